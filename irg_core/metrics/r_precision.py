"""R-precision: how often a text finds a motion made for it among the nearest 1, 2 or 3.

Ranked in pools, the field's protocol, and over the whole gallery, which is harder. A hit is any motion whose goal is
near-identical to the text: the field counts those as misses, and so punishes a corpus for saying a thing twice.

Pools are shuffled anew for every redraw, so none is sorted by length and none is fixed. The field drops the last,
partial pool of a redraw, whose ranks would be easier; here it is filled up with clips of other pools, which are ranked
once only. So every clip has a rank in every redraw. With fewer clips than one pool, all of them are one smaller pool:
read `n` beside such a number.
"""

import numpy as np

from irg_core.records.evaluation import Measure, Samples, half_interval
from irg_core.seeds import rng

OF = "space"
RANKS = (1, 2, 3)
BLOCK = 512
"""Texts that are held against the whole gallery at a time: memory grows with the clips, not with their square."""


def compute(samples: Samples) -> list[Measure]:
    """R-precision@1, 2, 3 in pools (`r1` …) and over the gallery (`gallery_r1` …).

    The interval is over clips (1.96 sigma / sqrt(n) of each clip's share of hits, which is what a bootstrap of clips
    converges to): redraws of pools shuffle the same clips, and their spread shrinks to nothing as they grow in number.
    """
    if len(samples.texts) < 2:
        return []
    in_pools, gallery = pool_ranks(samples), gallery_ranks(samples)
    found = []
    for rank in RANKS:
        hits = in_pools < rank
        found.append(Measure.of_shares(f"r{rank}", hits.mean(axis=0), half_interval(hits.mean(axis=1))))
    return found + [Measure.of_shares(f"gallery_r{rank}", gallery < rank) for rank in RANKS]


def pool_ranks(samples: Samples) -> np.ndarray:
    """How many motions of its pool are nearer to each text than its first hit there, [redraws, n]."""
    clips = len(samples.texts)
    found = np.empty((samples.protocol.redraws, clips), dtype=np.int64)
    texts, motions, place = _centred(samples)
    for draw, ranks in enumerate(found):
        members = pools(clips, samples, draw)
        distances = euclidean(texts.take(members, axis=0), motions.take(place[members], axis=0))
        # Equal motions are at bitwise equal distances, or rounding would decide their ranks.
        equal = place[members]
        first = (equal[:, :, None] == equal[:, None]).argmax(axis=2)
        distances = np.take_along_axis(distances, first[:, None], axis=2)
        hits = samples.same.take(members[:, :, None] * clips + members[:, None])
        of_pools = first_hits(distances, hits)
        # Who is lent to the last pool counts in the pool of its own, which is written after it.
        ranks[members[-1]] = of_pools[-1]
        ranks[members[:-1]] = of_pools[:-1]
    return found


def gallery_ranks(samples: Samples) -> np.ndarray:
    """How many of all motions are nearer to each text than its first hit, [n]."""
    texts, motions, place = _centred(samples)
    found = np.empty(len(texts), dtype=np.int64)
    for start in range(0, len(texts), BLOCK):
        rows = slice(start, start + BLOCK)
        found[rows] = first_hits(euclidean(texts[rows], motions)[:, place], samples.same[rows])
    return found


def pools(clips: int, samples: Samples, draw: int) -> np.ndarray:
    """The pools [pools, size] of one redraw. The last one is filled up from the front of the shuffle."""
    size = min(samples.protocol.pool, clips)
    shuffled = rng(samples.protocol.seed, "pools", draw).permutation(clips)
    return np.concatenate([shuffled, shuffled[: -clips % size]]).reshape(-1, size)


def first_hits(distances: np.ndarray, hits: np.ndarray) -> np.ndarray:
    """For each row of distances [..., n, m], how many are smaller than its least one that is a hit [..., n, m] bool.

    Motions at the same distance share their ranks by lot: a hit stands behind those before it in its row, and pools
    are shuffled; so a model that answers one motion to everything scores at chance.
    """
    of_hits = np.where(hits, distances, np.inf)
    first = of_hits.argmin(axis=-1)[..., None]
    nearest = np.take_along_axis(of_hits, first, axis=-1)
    is_before = np.arange(distances.shape[-1]) < first
    return np.asarray(((distances < nearest) | ((distances == nearest) & is_before)).sum(axis=-1))


def euclidean(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """Distances [..., n, m] of float64 points around 0, by the expanded square, and by differences where that loses
    digits: it is exact to about 1e-16 of the points' own squares, so only points that nearly meet need those."""
    sizes = np.square(one).sum(axis=-1)[..., None] + np.square(two).sum(axis=-1)[..., None, :]
    squares = sizes - 2.0 * (one @ two.swapaxes(-1, -2))
    near = np.nonzero(squares < 1e-6 * sizes)
    for start in range(0, len(near[0]), BLOCK):
        *batch, row, column = (places[start : start + BLOCK] for places in near)
        apart = one[(*batch, row)] - two[(*batch, column)]
        squares[(*batch, row, column)] = np.square(apart).sum(axis=-1)
    return np.asarray(np.sqrt(np.maximum(squares, 0.0)))


def _centred(samples: Samples) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Texts and different motions, float64, around the motions' mean; and for each motion [n] which of these it is."""
    motions = samples.motions.astype(np.float64)
    centre = motions.mean(axis=0)
    unique, place = np.unique(motions, axis=0, return_inverse=True)
    return samples.texts - centre, unique - centre, place.reshape(-1)
