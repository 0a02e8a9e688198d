"""MM-Dist: the mean distance of each text to the motion made for it. Lower is better, and only one space compares."""

import numpy as np

from irg_core.records.evaluation import Measure, Samples

OF = "space"


def compute(samples: Samples) -> list[Measure]:
    """The mean over clips of ||text - motion||; its interval is over clips. Nothing is redrawn, so the spread is 0."""
    if len(samples.texts) < 2:
        return []
    apart = samples.texts.astype(np.float64) - samples.motions.astype(np.float64)
    return [Measure.of_clips("mm_dist", np.linalg.norm(apart, axis=1))]
