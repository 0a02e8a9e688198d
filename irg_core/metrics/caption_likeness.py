"""caption_likeness: how near a row's sentence for a motion lies to the goal, as an evaluator's text encoder sees it.

Other words for the same thing cost nothing here, as they do in `captioning`; but "left" and "right" may be nearly one.
"""

import numpy as np

from irg_core.records.evaluation import Measure, Samples

OF = "space"


def compute(samples: Samples) -> list[Measure]:
    """The mean cosine of the row's sentence and the goal in the evaluator's space, -1 to 1."""
    if samples.said_points is None:
        return []
    return [Measure.of_clips("caption_likeness", cosines(samples.said_points, samples.texts))]


def cosines(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """Cosine [n] of the angle between point and point [n, d]; 0 where one has no direction."""
    one, two = one.astype(np.float64), two.astype(np.float64)
    sizes = np.linalg.norm(one, axis=1) * np.linalg.norm(two, axis=1)
    return np.asarray((one * two).sum(axis=1) / np.maximum(sizes, 1e-12))
