"""MM-Dist: the mean distance of each text to the motion made for it. Lower is better, and only one space compares."""

import numpy as np

from irg_core.records.evaluation import Measure, Samples


def compute(samples: Samples) -> list[Measure]:
    """The mean over clips of ||text - motion||; its interval is over clips. Nothing is redrawn, so the spread is 0."""
    if len(samples.texts) < 2:
        return []
    distances = np.linalg.norm(samples.texts.astype(np.float64) - samples.motions.astype(np.float64), axis=1)
    interval = 1.96 * distances.std(ddof=1) / np.sqrt(len(distances))
    return [Measure("mm_dist", float(distances.mean()), float(interval), 0.0, len(distances))]
