"""What a model made of motions whose fault is known, and what was counted over them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Distance:
    """How far motions are from the motion of their goal, in one evaluator's space."""

    evaluator: str
    shown: float  # of the motion that was put before the model
    refined: float  # of the next one; the shown one's where nothing was refined
    final: float  # of the last one


@dataclass(frozen=True, slots=True)
class Probed:
    """One motion put before a model as its own first try for a goal, and what came of it."""

    probe_id: str  # "<model>|<caption_id>~<kind>"
    caption_id: str
    clip_id: str  # whose caption is the goal
    corpus: str
    text: str  # the goal
    kind: str  # "none" for the goal's own motion, "random" for another goal's, else the name of an edit
    truth: str  # JSON: what exactly was changed
    shown: list[int]  # codes of the motion
    assessment: str
    refinement: str
    motions: list[list[int]]  # what the model generated after it
    sentinel: float  # ln of the probability that it says there is nothing to refine
    accepts: bool  # it said so
    is_true: bool  # decoded from its codes, the motion still is what its kind says: right, or flawed
    is_grounded: bool  # its judgement survives verification
    is_mended: bool  # what was wrong with the shown motion is gone from the next one, by measured facts
    is_spoilt: bool  # the next one misses something that the shown one did not
    fulfils: bool  # the last one shows all that the goal asks for
    distances: list[Distance]


@dataclass(frozen=True, slots=True)
class Share:
    """One number about a model's judging and mending, over a group of probes."""

    name: str
    group: str  # a kind of probe, "flawed" or "all"
    value: float
    interval: float  # half the 95 % interval
    n: int


@dataclass(frozen=True, slots=True)
class Rounds:
    """Whether motions come nearer to their text from round to round; an answer that stopped keeps its last motion."""

    evaluator: str
    subset: str
    distances: list[float]  # mean over goals of text to motion, by round
    gained: float  # mean of first minus last: positive is better
    interval: float  # of `gained`, half the 95 % interval over goals
    n: int
