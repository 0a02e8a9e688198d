"""What is known about a motion: the take as it came in, the clip cut from it, its measured facts, its tokens."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

import numpy as np

FEATURES = 263
"""Numbers a frame in HumanML3D's format, 22 joints at 20 fps; a build of KIT's skeleton has 251 at 12.5."""


@dataclass(frozen=True, slots=True)
class SourceCaption:
    """A sentence that came with the motion."""

    text: str
    template: str  # name of the grammar template it was made from, "" where a person wrote it


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """The skeleton that a take came with; every joint comes after its parent."""

    names: tuple[str, ...]
    parents: tuple[int, ...]  # -1 for the root
    offsets: np.ndarray  # [joints, 3] float64: from the parent in the rest pose, in the source's unit and axes


@dataclass(frozen=True, slots=True)
class Conventions:
    """What an entry of `corpora:` says about the body; what it leaves empty is found out from the motion."""

    up: str = ""  # the axis that points up: "x" | "y" | "z", or "-x" …
    unit: float = 0.0  # metres a unit of length
    joints: Mapping[str, str] = field(default_factory=dict)  # our joint to the source's


@dataclass(frozen=True, slots=True)
class Take:
    """One motion as its corpus gives it; what `read(root)` yields. Never stored."""

    name: str  # unique within the corpus
    joints: np.ndarray  # [frames, joints, 3] float64; without a hierarchy: our 22 joints, metres, y up
    fps: float
    captions: tuple[SourceCaption, ...]  # none at all: only the describe stage will speak of it
    cell: str  # what kind of motion it is; takes of one cell never straddle seen and unseen
    truth: str  # the synthesiser's parameters as JSON, "" for real motion; never shown to annotators
    hierarchy: Hierarchy | None = None  # None: `joints` are our 22, in metres, y up
    rotations: np.ndarray | None = None  # [frames, joints, 4] world rotations w x y z that turn the rest offsets
    conventions: Conventions = Conventions()
    recording: str = ""  # what it was cut or mirrored from, if not from itself: the unit of splitting
    source: str = ""  # the file it was read from, relative to the corpus's root
    split: str = ""  # train | val | test where the corpus itself says so


@dataclass(frozen=True, slots=True)
class Clip:
    """One motion by one performer, at its representation's rate, facing +Z at frame 0, feet on the floor."""

    clip_id: str  # "<corpus>/<take>" or "<corpus>/<take>#<cut>", unique across corpora
    corpus: str
    take: str  # "<corpus>/<recording>": the unit of splitting, so that a cut never straddles two splits
    cell: str
    features: Annotated[np.ndarray, FEATURES]  # [frames, 263, or 251 of KIT's skeleton] float32, not normalised
    captions: list[SourceCaption]
    truth: str
    source: str = ""  # the file it was read from, relative to the corpus's root
    split: str = ""  # train | val | test where the corpus itself says so


@dataclass(frozen=True, slots=True)
class Split:
    """Where a clip belongs, and which of its captions may be seen there."""

    clip_id: str
    corpus: str
    split: str  # train | val | test
    unseen: bool  # its cell occurs in test only
    captions: list[int]  # indices of its source captions; a held-out template is visible in test only


@dataclass(frozen=True, slots=True)
class Phase:
    """One thing that happens in a motion: measured in a clip, or asked for by a sentence.

    An unknown or unmentioned attribute is empty ("" or 0 or NaN), never guessed.
    """

    action: str  # one of kinematics.ACTIONS, or "other"
    start: float  # seconds from the clip's start; NaN where a sentence asks
    end: float
    side: str  # "left" | "right" | "both" | ""
    direction: str  # "forward" | "backward" | "left" | "right" | ""
    turn: float  # signed degrees, left positive; NaN if none
    count: int  # repetitions; 0 unknown
    speed: str  # "slow" | "normal" | "fast" | ""
    amplitude: str  # "small" | "normal" | "large" | ""
    distance: float  # metres travelled by the root; NaN unknown


@dataclass(frozen=True, slots=True)
class Measure:
    """One number or property measured in a stretch of motion; what does not apply is empty ("" or NaN)."""

    kind: str  # one of actions.MEASURES: what was measured
    part: str  # "body" | "torso" | "arm" | "leg" | "legs" | "feet"
    side: str  # "left" | "right" | "both" | ""; of steps: the foot that goes first
    direction: str  # "forward" | "backward" | "left" | "right" | "down" | ""
    manner: str  # how, in the word of its kind: a pace, the shape of a path, a height ("chest"), "face up", an action
    amount: float
    unit: str  # "degrees" | "m" | "m/s" | "s" | "%" | "steps" | "steps/min" | "times" | ""
    start: float  # seconds from the clip's start
    end: float


@dataclass(frozen=True, slots=True)
class Facts:
    """What was measured in one clip, in the order of time. The annotator never sees joints, only these."""

    clip_id: str
    seconds: float
    phases: list[Phase]
    measures: list[Measure] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class MotionTokens:
    """The codes of one clip, one for every four frames."""

    clip_id: str
    tokens: list[int]


@dataclass(frozen=True, slots=True)
class Difference:
    """One attribute in which a motion is not what was asked for."""

    attribute: str  # action | missing | extra | order | side | direction | turn | count | speed | amplitude
    action: str  # of the phase concerned
    asked: str  # in words, "" for an extra phase
    shown: str  # in words, "" for a missing phase
