"""What was noticed at the door: one row for each defect, whatever became of it."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np

POSE = 66
"""Numbers of one frame of 22 joints."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A defect of one take, of one of its captions, or of two clips that are one motion."""

    finding_id: str  # "<name>|<kind>", told apart by ~2, ~3, … where one kind is found again
    corpus: str
    name: str  # of the take, "<corpus>/<take>", or of the clip
    kind: str  # one of audit.KINDS, or the reason for which the take was refused before it could be measured
    amount: float  # how bad it is, in `unit`
    unit: str
    limit: float  # the largest amount that passes
    outcome: str  # accepted | repaired | rejected
    detail: str
    # Frames of 22 joints at 20 a second, in metres, of a few examples of each kind; no frames at all for the others.
    before: Annotated[np.ndarray, POSE]
    after: Annotated[np.ndarray, POSE]
    other: str = ""  # the clip that this one is one motion with, where that is the defect


@dataclass(frozen=True, slots=True)
class Twin:
    """Of a finding, that two clips are one motion; what is read of data/twins.parquet where no motion is looked at."""

    finding_id: str
    name: str
    outcome: str
    other: str
