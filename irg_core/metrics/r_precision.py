"""R-precision: how often a text finds a motion made for it among the nearest 1, 2 or 3.

Ranked in pools, the field's protocol, and over the whole gallery, which is harder. A hit is any motion whose goal is
near-identical to the text: the field counts those as misses, and so punishes a corpus for saying a thing twice.

Pools are shuffled anew for every redraw, so none is sorted by length and none is fixed. The last, partial pool of a
redraw is dropped, for its ranks are easier; over all redraws every clip has its turn. With fewer clips than one pool,
all of them are one smaller pool: read `n` beside such a number.
"""

import numpy as np

from irg_core.records.evaluation import Measure, Samples
from irg_core.seeds import rng

RANKS = (1, 2, 3)


def compute(samples: Samples) -> list[Measure]:
    """R-precision@1, 2, 3 in pools (`r1` …) and over the gallery (`gallery_r1` …).

    The interval is over clips (1.96 sigma / sqrt(n) of each clip's share of hits, which is what a bootstrap of clips
    converges to): redraws of pools shuffle the same clips, and their spread shrinks to nothing as they grow in number.
    """
    if len(samples.texts) < 2:
        return []
    distances = euclidean(samples.texts, samples.motions)
    everyone = np.arange(len(distances))[None]
    draws = [first_hits(distances, samples.same, pools(len(distances), samples, draw)) for draw in _draws(samples)]
    gallery = first_hits(distances, samples.same, everyone)
    in_pools = [_measure(f"r{rank}", [np.where(np.isnan(d), d, d < rank) for d in draws]) for rank in RANKS]
    return in_pools + [_measure(f"gallery_r{rank}", [(gallery < rank).astype(float)]) for rank in RANKS]


def pools(clips: int, samples: Samples, draw: int) -> np.ndarray:
    """Indices [pools, size] of one redraw."""
    size = min(samples.protocol.pool, clips)
    shuffled = rng(samples.protocol.seed, "pools", draw).permutation(clips)
    return shuffled[: clips // size * size].reshape(-1, size)


def first_hits(distances: np.ndarray, same: np.ndarray, pools: np.ndarray) -> np.ndarray:
    """For each clip's text [n], how many motions of its pool are nearer than its first hit; NaN without a pool.

    Motions at the same distance share their ranks by lot: pools are shuffled and the sort is stable, so a model that
    answers one motion to everything scores at chance.
    """
    ranks = np.full(len(distances), np.nan)
    for pool in pools:
        square = np.ix_(pool, pool)
        nearest = np.argsort(distances[square], axis=1, kind="stable")
        ranks[pool] = np.take_along_axis(same[square], nearest, axis=1).argmax(axis=1)
    return ranks


def euclidean(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """Distances [n, m] in float64, row by row: the expanded square loses digits where points nearly meet."""
    return np.stack([np.linalg.norm(point - two.astype(np.float64), axis=1) for point in one.astype(np.float64)])


def _draws(samples: Samples) -> range:
    return range(samples.protocol.redraws)


def _measure(name: str, hits: list[np.ndarray]) -> Measure:
    """Mean, interval over clips and spread over redraws of hits [redraws][n], NaN where a clip had no pool."""
    table = np.stack(hits).astype(np.float64)
    seen = table[:, ~np.isnan(table).all(axis=0)]
    of_clips, of_draws = np.nanmean(seen, axis=0), np.nanmean(seen, axis=1)
    return Measure(name, float(of_clips.mean()), half_interval(of_clips), half_interval(of_draws), len(of_clips))


def half_interval(values: np.ndarray) -> float:
    """1.96 sigma / sqrt(n) with the sample's sigma; nothing can be said of one value, which gives 0."""
    return float(1.96 * values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0
