"""Diversity: the mean distance between two motions drawn at random. Good when near to that of real motions."""

import numpy as np

from irg_core.records.evaluation import Measure, Samples, half_interval
from irg_core.seeds import rng

OF = "space"


def compute(samples: Samples) -> list[Measure]:
    """The mean over redraws of pairs. The interval is 1.96 sigma over bootstrap draws of clips: sigma of such draws is
    itself the error, so it is not divided by their root."""
    clips = len(samples.motions)
    if clips < 2:
        return []
    points, protocol = samples.motions.astype(np.float64), samples.protocol
    means, resampled = [], []
    for draw in range(protocol.redraws):
        generator = rng(protocol.seed, "diversity", draw)
        one, two = pairs(clips, protocol.pairs, generator)
        again = generator.integers(clips, size=clips)
        means.append(_mean_distance(points[one], points[two]))
        one, two = pairs(clips, protocol.pairs, generator)
        resampled.append(_mean_distance(points[again[one]], points[again[two]]))
    interval = float(1.96 * np.std(resampled, ddof=1))
    spread = half_interval(np.array(means))
    return [Measure("diversity", float(np.mean(means)), interval, spread, clips, tuple(resampled), "draws")]


def pairs(clips: int, most: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of different clips, none used twice: two halves of one shuffle. Few clips give fewer pairs."""
    shuffled = generator.permutation(clips)
    size = min(most, clips // 2)
    return shuffled[:size], shuffled[size : 2 * size]


def _mean_distance(one: np.ndarray, two: np.ndarray) -> float:
    return float(np.linalg.norm(one - two, axis=1).mean())
