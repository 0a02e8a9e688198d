"""Whether two rows differ: clip by clip, or part by part, so that what both find hard cancels out.

Two intervals that overlap say little about a difference on the same clips. Each clip's two numbers are compared
instead, with an interval from redrawn clips and a p-value from exchanged labels. What no clip has a number of its own
for, FID, is compared on the same halves of the clips.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from irg_core.errors import TableError
from irg_core.records.evaluation import Values
from irg_core.seeds import rng

DRAWS = 10_000
"""Of the bootstrap and of the permutations: a p-value is known to about a tenth of itself from 0.01 upwards."""
PART = 500
"""Draws at a time, to keep them in the processor's cache."""
ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class Difference:
    """How one row differs from another in one number."""

    one: str  # "<row>|<motion>"
    two: str
    evaluator: str
    subset: str
    metric: str
    mean: float  # of `one` less that of `two`
    low: float  # the 95 % interval
    high: float
    p: float  # how often a difference as large, of either sign, would come by chance; 1 where nothing is known
    n: int  # clips, or drawn parts of them


def differences(ones: Iterable[Values], twos: Iterable[Values], seed: int) -> list[Difference]:
    """`difference` of all numbers that two rows have in common, in the order of the first."""
    others = {(two.evaluator, two.subset, two.metric): two for two in twos}
    places = ((one, others.get((one.evaluator, one.subset, one.metric))) for one in ones)
    return [difference(one, two, seed) for one, two in places if two and one.values and two.values]


def difference(one: Values, two: Values, seed: int) -> Difference:
    """How `one` differs from `two`, which must be of the same clips. Raises `TableError` where they are not."""
    if (one.over, len(one.values)) != (two.over, len(two.values)):
        raise TableError(
            f"{one.values_id} and {two.values_id} are not of the same clips: {len(one.values)} {one.over} against"
            f" {len(two.values)} {two.over}; evaluate both rows on one split with one evaluate.protocol"
        )
    apart = np.array(one.values) - np.array(two.values)
    mean = one.mean - two.mean
    key = (one.evaluator, one.subset, one.metric)
    if one.over == "clips":
        low, high, p = (*bootstrap(apart, rng(seed, "bootstrap", *key)), permutation(apart, rng(seed, "signs", *key)))
    else:
        low, high, p = _by_scatter(mean, apart)
    return Difference(
        f"{one.row}|{one.motion}", f"{two.row}|{two.motion}", *key, mean, low, high, p, len(apart)
    )  # fmt: skip


def bootstrap(apart: np.ndarray, generator: np.random.Generator) -> tuple[float, float]:
    """The 95 % interval of the mean of differences [n], from draws of n of them with putting back."""
    clips = len(apart)
    means = np.concatenate(
        [apart[generator.integers(clips, size=(PART, clips))].mean(axis=1) for _ in range(DRAWS // PART)]
    )
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def permutation(apart: np.ndarray, generator: np.random.Generator) -> float:
    """The two-sided p-value of the mean of differences [n]: were the two rows alike, each sign could be the other.

    The drawn signs and the signs as they are count together, so it is never 0 (Phipson and Smyth, 2010).
    """
    moved = apart[apart != 0.0]
    seen = abs(moved.sum()) - ROUNDING * np.abs(moved).sum()
    as_far = 0
    for _ in range(DRAWS // PART):
        signs = generator.integers(0, 2, size=(PART, len(moved)), dtype=np.int8)
        as_far += int((np.abs(2.0 * (signs @ moved) - moved.sum()) >= seen).sum())
    return (as_far + 1) / (DRAWS + 1)


def _by_scatter(mean: float, apart: np.ndarray) -> tuple[float, float, float]:
    """Interval and p-value of a difference whose error is the scatter of paired redraws (see `metrics.fid`): normal."""
    error = float(apart.std(ddof=1)) if len(apart) > 1 else 0.0
    if error == 0.0:
        return mean, mean, 1.0 if mean == 0.0 else 0.0
    return mean - 1.96 * error, mean + 1.96 * error, math.erfc(abs(mean) / error / math.sqrt(2.0))


def holm(found: Sequence[Difference]) -> list[float]:
    """p-values of a family of comparisons, raised for their number (Holm 1979): who asks often finds by chance."""
    order = sorted(range(len(found)), key=lambda place: found[place].p)
    raised, worst = [0.0] * len(found), 0.0
    for rank, place in enumerate(order):
        worst = max(worst, min(1.0, (len(found) - rank) * found[place].p))
        raised[place] = worst
    return raised
