"""What a model answered, and how it scored."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Self

import numpy as np

Over = Literal["clips", "halves", "draws"]
"""What stands behind the values of a measure: one clip each, half of the clips each, or one bootstrap draw of them."""


@dataclass(frozen=True, slots=True)
class Generation:
    """One answer of one model to one test caption."""

    generation_id: str  # "<model>|<caption_id>"
    caption_id: str
    clip_id: str
    corpus: str
    unseen: bool
    text: str  # the goal
    answer: str  # everything the model said
    motions: list[list[int]]  # every motion of the answer in order; the last one counts
    wellformed: bool
    stop: str  # why it stopped: "satisfied" | "rounds" | "tokens" | "single"


@dataclass(frozen=True, slots=True)
class Score:
    """One number of one row of the results table, with its uncertainty."""

    row: str  # real | random | mean-pose | reconstruction | base | stage1 | stage2 | stage3
    motion: str  # "first" | "final" | "only"
    evaluator: str  # "motion" for numbers that need no evaluator
    subset: str  # e.g. "synthetic", "synthetic/unseen", "deepmimic"
    metric: str
    mean: float
    interval: float  # half the 95 % interval over clips: what another draw of test clips could have given
    spread: float  # the field's plus-minus, 1.96 sigma / sqrt(redraws), over pools or pairs of one generation alone
    n: int  # clips behind it


@dataclass(frozen=True, slots=True)
class Measure:
    """One number that a metric computed; a `Score` without its place in the table."""

    metric: str
    mean: float
    interval: float
    spread: float
    n: int
    values: tuple[float, ...] = ()
    """What two rows are compared by: the number of each clip, or of each drawn part of the clips, which is the same
    part for every row. None where the metric says nothing of differences."""
    over: Over = "clips"

    @classmethod
    def of_clips(cls, metric: str, values: np.ndarray, spread: float = 0.0) -> Self:
        """The mean of one value a clip [n]; its interval is 1.96 sigma / sqrt(n)."""
        listed = tuple(values.astype(np.float64).tolist())
        return cls(metric, float(values.mean()), half_interval(values), spread, len(values), listed)

    @classmethod
    def of_shares(cls, metric: str, values: np.ndarray, spread: float = 0.0) -> Self:
        """The same for shares, 0 to 1 a clip: the interval is that with one clip of 0 and one of 1 more (Agresti and
        Coull 1998), for a few clips that are all hits, or all misses, are not certain to stay so."""
        found = cls.of_clips(metric, values, spread)
        return replace(found, interval=half_interval(np.append(values, (0.0, 1.0))))


def half_interval(values: np.ndarray) -> float:
    """1.96 sigma / sqrt(n) with the sample's sigma; nothing can be said of one value, which gives 0."""
    return float(1.96 * values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0


@dataclass(frozen=True, slots=True)
class Values:
    """What a row's number is made of, so that rows of different models can be compared clip by clip."""

    values_id: str  # "<row>|<motion>|<evaluator>|<subset>|<metric>"
    row: str
    motion: str
    evaluator: str
    subset: str
    metric: str
    over: str  # "clips" | "halves" | "draws"
    mean: float
    values: list[float]


@dataclass(frozen=True)
class Protocol:
    """evaluate.protocol: how a score is drawn, the same for every model."""

    seed: int
    pool: int
    """Motions a text is ranked against, its own among them. A larger pool is harder; the field's is 32."""
    redraws: int
    """Redraws of pools, of pairs and of halves of the clips. More smooth the means; intervals keep their width."""
    pairs: int
    """Pairs of motions for Diversity; fewer where there are fewer clips."""
    near_identical: float
    """Captions that overlap this much count as the same goal. Lower makes retrieval easier."""

    def __post_init__(self) -> None:
        if self.pool < 2 or self.redraws < 2:
            raise ValueError("evaluate.protocol: pool and redraws must be at least 2, or nothing is ranked or spread")


@dataclass(frozen=True)
class Samples:
    """One row of the table in one evaluator's space, clip by clip. Never stored; what metrics compute from.

    What a row has nothing of is empty, and a metric that needs it measures nothing.
    """

    texts: np.ndarray  # [n, d] the goals
    motions: np.ndarray  # [n, d] the row's motion for each goal
    real: np.ndarray  # [n, d] the motion that each goal was written for
    same: np.ndarray  # [n, n] bool: goals i and j are near-identical
    protocol: Protocol
    joints: Sequence[np.ndarray] = ()  # n times [frames, 22, 3], metres at 20 frames a second: the row's motions
    real_joints: Sequence[np.ndarray] = ()  # n times: the motions that the goals were written for
    codes: Sequence[Sequence[int]] = ()  # n times: the real motions as the tokenizer's codes
    fulfilled: Sequence[bool] = ()  # for each goal that can be measured: the row's motion shows all that it asks for
    variants: np.ndarray | None = None  # [m, k, d] k >= 2 motions for each of m goals
    said: Sequence[str] = ()  # n times: the sentence that the row has for each real motion
    said_points: np.ndarray | None = None  # [n, d] the same, in the evaluator's space
    references: Sequence[Sequence[str]] = ()  # n times: the sentences that people wrote for each real motion
