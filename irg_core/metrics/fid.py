"""FID: the Fréchet distance between two Gaussians, fitted to a row's motions and to the real motions of the same clips.

Computed in float64 without the usual epsilon on the diagonal. With covariances A = P' P and B = Q' Q, tr sqrt(A B) is
the sum of the singular values of P Q', which exists for singular covariances too (a model that always answers alike),
and needs no root of a matrix.

Few clips bias it upwards, by about c / n (Chong and Forsyth, 2020): rows of unequal n do not compare, and a small n
says little of a large one. `fid_inf` is where the line through the whole and its halves meets 1/n = 0.
"""

import numpy as np
from scipy.linalg import eigh, lapack

from irg_core.records.evaluation import Measure, Samples
from irg_core.seeds import rng

OF = "space"
FEWEST = 32
"""With fewer clips a covariance says nothing, and no FID is given. Also below a few times the dimensions of the space
it is biased upwards: compare rows of one subset, never subsets."""
REGULAR = 1e-8
"""A covariance whose least pivot is this share of its largest, or less, is factored by way of the points: their QR
loses no digits to squaring."""


def compute(samples: Samples) -> list[Measure]:
    """`fid` over all clips, and `fid_inf` where half of them are more than the dimensions of the space.

    Half of the clips, drawn without putting back, scatter about as much around the whole as the whole does around the
    truth (the variance of a mean over m of n clips is sigma^2/m (1 - m/n), and m = n/2): so 1.96 sigma over the drawn
    halves is the interval. A bootstrap would draw clips twice, which flattens covariances. `real` is 0 by
    construction: it is compared with itself.

    The limit, twice the whole less the mean half, scatters as the whole does: over all halves their mean moves with the
    whole, but for the bias. So its interval is that of the same halves, each of which gives one such limit: halves with
    quarters of them would tell of the limit of half of the clips, which scatters two to three times as far. Where a row
    is as good as real motions, FID is a square around 0, and either interval up to sqrt(3) too wide.
    """
    clips, width = samples.motions.shape
    if clips < FEWEST:
        return []
    of_halves = np.array([frechet(samples.motions[rows], samples.real[rows]) for rows in halves(samples)])
    whole = frechet(samples.motions, samples.real)
    found = [_measure("fid", whole, of_halves, clips)]
    if clips // 2 > width:
        limits = 2.0 * whole - of_halves
        found.append(_measure("fid_inf", float(2.0 * whole - of_halves.mean()), limits, clips))
    return found


def halves(samples: Samples) -> list[np.ndarray]:
    """Half of the clips for each redraw: the same halves for every row of a subset, so that rows compare in pairs."""
    clips, protocol = len(samples.motions), samples.protocol
    return [rng(protocol.seed, "halves", draw).permutation(clips)[: clips // 2] for draw in range(protocol.redraws)]


def frechet(one: np.ndarray, two: np.ndarray) -> float:
    """|mean1 - mean2|^2 + tr(C1 + C2 - 2 sqrt(C1 C2)) of two sets of points [n, d], never below 0."""
    one, two = one.astype(np.float64), two.astype(np.float64)
    (mean_one, trace_one, root_one), (mean_two, trace_two, root_two) = _fitted(one), _fitted(two)
    shared = _sum_of_singular_values(root_one @ root_two.T)
    return float(max(0.0, np.square(mean_one - mean_two).sum() + trace_one + trace_two - 2.0 * shared))


def _fitted(points: np.ndarray) -> tuple[np.ndarray, float, np.ndarray]:
    """Mean [d], trace of the sample covariance, and its factor R [at most d, d] with R' R the covariance."""
    mean = points.mean(axis=0)
    centred = points - mean
    if len(points) > points.shape[1]:
        covariance = centred.T @ centred / (len(points) - 1)
        root, broken = lapack.dpotrf(covariance, lower=0)
        pivots = np.square(np.diag(root))
        if not broken and pivots.min() > REGULAR * pivots.max():
            return mean, float(np.trace(covariance)), root
    root = np.asarray(np.linalg.qr(centred / np.sqrt(len(points) - 1), mode="r"))
    return mean, float(np.square(root).sum()), root


def _sum_of_singular_values(product: np.ndarray) -> float:
    """By the eigenvalues of the square, which is three times as fast, where none is so small that squaring hides it."""
    if product.shape[0] == product.shape[1]:
        squares = eigh(product @ product.T, eigvals_only=True, driver="evr", check_finite=False)
        if squares[0] > REGULAR * squares[-1]:
            return float(np.sqrt(squares).sum())
    return float(np.linalg.svd(product, compute_uv=False).sum())


def _measure(name: str, mean: float, drawn: np.ndarray, clips: int) -> Measure:
    return Measure(name, mean, float(1.96 * drawn.std(ddof=1)), 0.0, clips, tuple(drawn.tolist()), "halves")
