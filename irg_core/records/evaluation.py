"""What a model answered, and how it scored."""

from dataclasses import dataclass

import numpy as np


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
    evaluator: str
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


@dataclass(frozen=True)
class Protocol:
    """evaluate.protocol: how a score is drawn, the same for every model."""

    seed: int
    pool: int
    """Motions a text is ranked against, its own among them. A larger pool is harder; the field's is 32."""
    redraws: int
    """Redraws of pools and pairs, and bootstrap draws of clips. More smooth the means; intervals keep their width."""
    pairs: int
    """Pairs of motions for Diversity; fewer where there are fewer clips."""
    near_identical: float
    """Captions that overlap this much count as the same goal. Lower makes retrieval easier."""

    def __post_init__(self) -> None:
        if self.pool < 2 or self.redraws < 2:
            raise ValueError("evaluate.protocol: pool and redraws must be at least 2, or nothing is ranked or spread")


@dataclass(frozen=True)
class Samples:
    """One row of the table in one evaluator's space, clip by clip. Never stored; what metrics compute from."""

    texts: np.ndarray  # [n, d] the goals
    motions: np.ndarray  # [n, d] the row's motion for each goal
    real: np.ndarray  # [n, d] the motion that each goal was written for
    same: np.ndarray  # [n, n] bool: goals i and j are near-identical
    protocol: Protocol
