"""What the language model trains on. Motions stand in texts as `<Motion><Motion_17>…</Motion>`."""

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of an answer; only supervised ones carry loss."""

    text: str
    supervised: bool


@dataclass(frozen=True, slots=True)
class Example:
    """One supervised example: a prompt, which never carries loss, and an answer in segments."""

    example_id: str
    task: str  # a Stage-1 task, "base" or "trace"
    split: str  # train | val
    prompt: str
    answer: list[Segment]
    lineage: list[str]  # keys of the rows it was composed from
    action: str = ""  # the first that the goal asks for
    flaws: list[str] = field(default_factory=list)  # kinds of the flawed motions that it shows, in their order
    codes: int = 0  # motion codes in prompt and answer
    # In tokens of the vocabulary that all stages share, tags and codes included.
    prompt_tokens: int = 0
    answer_tokens: int = 0
    supervised_tokens: int = 0  # those of the answer that carry loss


@dataclass(frozen=True, slots=True)
class Goal:
    """One Stage-3 prompt and what its rewards compare with."""

    goal_id: str  # caption_id
    clip_id: str
    split: str
    text: str  # the goal caption
    prompt: str
    tokens: list[int]  # the goal motion
    action: str = ""  # the first that the goal asks for
    prompt_tokens: int = 0


@dataclass(frozen=True, slots=True)
class LogRow:
    """One logged number of a training; without seconds, so that equal runs give equal logs."""

    row: str  # "<step, eight digits>/<name>"
    step: int
    name: str
    value: float


@dataclass(frozen=True, slots=True)
class Rollout:
    """One sampled answer to a Stage-3 goal, as rewards see it. Never stored.

    Points lie in the `reward` evaluator's space.
    """

    goal_id: str
    text: str  # the goal caption
    answer: str  # everything the model said
    codes: int  # size of the motion codebook
    tokens: int  # of the answer
    motions: int  # whole ones in the answer
    text_point: np.ndarray  # of the goal caption
    goal_point: np.ndarray  # of the goal motion
    # Of a trace; None where the answer is malformed.
    first_point: np.ndarray | None  # of its first motion
    motion_point: np.ndarray | None  # of its final motion
    asked: int  # acts that the goal asks for; 0 where neither its words nor its motion can be read
    missed: int | None  # differences of the final motion from what is asked; None also where nothing can be read


@dataclass(frozen=True, slots=True)
class Earned:
    """One rollout of Stage 3 and what it earned, kept for people to read what was rewarded."""

    rollout: str  # "<step, eight digits>|<goal_id>|<sibling>"
    step: int
    goal_id: str
    goal: str  # the goal caption
    answer: str
    stop: str  # why it ended: satisfied | rounds | tokens
    tokens: int
    wellformed: bool
    rewards: list[str]  # names, those with a score
    scores: list[float]  # as each reward gave it
    total: float  # weighted, scaled within its group
    advantage: float  # 0 where all siblings earned the same: such a group is not learned from
