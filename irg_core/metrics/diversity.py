"""Diversity: the mean distance between two motions drawn at random. Good when near to that of real motions."""

import numpy as np

from irg_core.records.evaluation import Measure, Samples
from irg_core.seeds import rng


def compute(samples: Samples) -> list[Measure]:
    """The mean over redraws of pairs. The interval is 1.96 sigma over bootstrap draws of clips (see `fid`)."""
    clips = len(samples.motions)
    if clips < 2:
        return []
    points, protocol = samples.motions.astype(np.float64), samples.protocol
    means, resampled = [], []
    for draw in range(protocol.redraws):
        generator = rng(protocol.seed, "diversity", draw)
        means.append(_mean_distance(points, protocol.pairs, generator))
        resampled.append(_mean_distance(points[generator.integers(clips, size=clips)], protocol.pairs, generator))
    spread = 1.96 * np.std(means, ddof=1) / np.sqrt(len(means))
    return [Measure("diversity", float(np.mean(means)), float(1.96 * np.std(resampled, ddof=1)), float(spread), clips)]


def _mean_distance(points: np.ndarray, pairs: int, generator: np.random.Generator) -> float:
    """Over pairs of different motions, none used twice: two halves of one shuffle. Few clips give fewer pairs."""
    shuffled = generator.permutation(len(points))
    size = min(pairs, len(points) // 2)
    return float(np.linalg.norm(points[shuffled[:size]] - points[shuffled[size : 2 * size]], axis=1).mean())
