"""What leaves the factory: one motion with all that is known of it, whatever format it is written in."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Motion:
    """A clip of the dataset, or what a model showed for a goal."""

    name: str  # a clip_id, or "<model>/<clip_id>" where a model made it
    corpus: str
    split: str  # train | val | test
    captions: list[str]
    facts: list[str]  # measured facts as lines; none for a generated motion
    features: np.ndarray  # [frames, 263 or 251] float32, not normalised
    source: str  # the file it was read from, relative to the corpus's root; "" where a program or a model made it
