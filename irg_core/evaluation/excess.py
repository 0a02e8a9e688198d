"""Whether the evaluator that rewards sees more of a gain than one that took no part: how much of it is its own.

A model that is honestly better is so for both, but not by the same number: evaluators differ in how well they tell
motions apart, and who finds nearly all of them already has little left to see. So a gain counts as beyond another only
where it is more than `MUCH` times as large, and that in shares as well as in odds: a difference of gains that another
scale takes away is none (Loftus, 1978, "On interpretation of interactions").
"""

import math

import numpy as np

from irg_core.evaluation.paired import Difference, bootstrap, permutation
from irg_core.records.evaluation import Values
from irg_core.seeds import rng

MUCH = 1.5
"""Planted honest gains are within a tenth of each other in odds; those of a cheat are three and four times apart."""

Gain = tuple[Values, Values]
"""The shares of hits of the same clips before and after, as one evaluator finds them."""


def excess(rewarding: Gain, held_out: Gain, seed: int) -> Difference:
    """By how much the first gain is larger, in shares, clip by clip. Its p is that of not being beyond the other."""
    before, after = (np.array(one.values) for one in rewarding)
    earlier, later = (np.array(one.values) for one in held_out)
    gain, other = after - before, later - earlier
    place = (rewarding[0].evaluator, rewarding[0].subset, rewarding[0].metric)
    key = (*place, held_out[0].evaluator)
    low, high = bootstrap(gain - other, rng(seed, "excess", *key))
    beyond = gain - MUCH * other
    p = 1.0
    if gain.mean() > 0.0 and beyond.mean() > 0.0:
        p = max(permutation(beyond, rng(seed, "signs of excess", *key)), _in_odds(before, after, earlier, later))
    one, two = (f"{row.row}|{row.motion}" for row in rewarding)
    return Difference(two, one, *place, float((gain - other).mean()), low, high, p, len(gain))


def _in_odds(before: np.ndarray, after: np.ndarray, earlier: np.ndarray, later: np.ndarray) -> float:
    """The p-value by the logarithms of odds: their error is that of the sum of what each clip moves (delta method)."""
    weights = (-1.0, 1.0, MUCH, -MUCH)
    found = [_log_odds(shares) for shares in (before, after, earlier, later)]
    beyond = sum(weight * value for weight, (value, _) in zip(weights, found, strict=True))
    moved = sum((weight * moves for weight, (_, moves) in zip(weights, found, strict=True)), np.zeros(len(before)))
    error = float(moved.std(ddof=1)) / math.sqrt(len(moved)) if len(moved) > 1 else 0.0
    return math.erfc(beyond / error / math.sqrt(2.0)) if beyond > 0.0 and error > 0.0 else 1.0


def _log_odds(shares: np.ndarray) -> tuple[float, np.ndarray]:
    """Of the mean of shares [n], with half a hit and half a miss more, and by how much each clip moves it [n]."""
    mean = float((shares.sum() + 0.5) / (len(shares) + 1))
    return math.log(mean / (1.0 - mean)), (shares - mean) / (mean * (1.0 - mean))
