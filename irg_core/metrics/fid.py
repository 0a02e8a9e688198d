"""FID: the Fréchet distance between two Gaussians, fitted to a row's motions and to the real motions of the same clips.

Computed in float64 without the usual epsilon on the diagonal. With covariances A = P' P and B = Q' Q, tr sqrt(A B) is
the sum of the singular values of P Q', which exists for singular covariances too (a model that always answers alike),
and needs neither the root of a matrix nor the covariances themselves.
"""

import numpy as np

from irg_core.records.evaluation import Measure, Samples
from irg_core.seeds import rng

FEWEST = 32
"""With fewer clips a covariance says nothing, and no FID is given. Also below a few times the dimensions of the space
it is biased upwards: compare rows of one subset, never subsets."""


def compute(samples: Samples) -> list[Measure]:
    """The distance over all clips; its interval is 1.96 sigma over bootstrap draws of clips (sigma of such draws is
    itself the error, so it is not divided by their root). `real` is 0 by construction: it is compared with itself."""
    clips = len(samples.motions)
    if clips < FEWEST:
        return []
    protocol = samples.protocol
    drawn = [rng(protocol.seed, "fid", draw).integers(clips, size=clips) for draw in range(protocol.redraws)]
    spread = np.std([frechet(samples.motions[rows], samples.real[rows]) for rows in drawn], ddof=1)
    return [Measure("fid", frechet(samples.motions, samples.real), float(1.96 * spread), 0.0, clips)]


def frechet(one: np.ndarray, two: np.ndarray) -> float:
    """|mean1 - mean2|^2 + tr(C1 + C2 - 2 sqrt(C1 C2)) of two sets of points [n, d], never below 0."""
    one, two = one.astype(np.float64), two.astype(np.float64)
    shift = np.square(one.mean(0) - two.mean(0)).sum()
    spread_one, spread_two = _spread(one), _spread(two)
    shared = np.linalg.svd(spread_one @ spread_two.T, compute_uv=False).sum()
    return float(max(0.0, shift + np.square(spread_one).sum() + np.square(spread_two).sum() - 2.0 * shared))


def _spread(points: np.ndarray) -> np.ndarray:
    """The factor R [at most d, d] of the sample covariance R' R."""
    centred = (points - points.mean(0)) / np.sqrt(len(points) - 1)
    factor: np.ndarray = np.asarray(np.linalg.qr(centred, mode="r"))
    return factor
