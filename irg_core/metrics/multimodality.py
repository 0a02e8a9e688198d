"""MultiModality: how far apart several motions for one and the same text are. No motion of a text is better for it.

The field draws two lists of ten from thirty motions of a text, with chance pairs of a motion with itself; here every
pair of different motions counts once, which is what such draws would converge to without those.
"""

import numpy as np

from irg_core.records.evaluation import Measure, Samples

OF = "space"


def compute(samples: Samples) -> list[Measure]:
    """The mean over texts of the mean distance between two motions for a text; its interval is over texts."""
    variants = samples.variants
    if variants is None or len(variants) < 1:
        return []
    one, two = np.triu_indices(variants.shape[1], k=1)
    points = variants.astype(np.float64)
    apart = np.stack([np.linalg.norm(motions[one] - motions[two], axis=1).mean() for motions in points])
    return [Measure.of_clips("multimodality", apart)]
