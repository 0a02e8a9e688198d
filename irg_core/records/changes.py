"""What a stage changed, in a few numbers. Never stored; what the report shows first."""

from dataclasses import dataclass, field

REWARDING = "reward"
"""The evaluator that enters the making of data and Stage 3. All others are held out."""


@dataclass(frozen=True, slots=True)
class Effect:
    """One number of one step."""

    judge: str  # "held-out" | "rewarding" | "motion", which needs no evaluator
    name: str
    before: float
    after: float
    low: float  # the 95 % interval of after minus before
    high: float
    p: float  # raised for the number of questions asked
    verdict: str  # "better" | "worse" | "beyond", of a gain beside another | "no difference shown"


@dataclass(frozen=True, slots=True)
class Step:
    """From one row of the results table to the next."""

    one: str
    two: str
    effects: list[Effect]
    flags: list[str]  # what should make one suspicious of a gain
    judging: str = ""  # from model to model: what became of its judging, as a sentence
    guards: list[Effect] = field(default_factory=list)  # what is asked only to doubt a gain
