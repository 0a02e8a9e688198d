"""Facts fulfilled: the share of goals for which all that the sentence asks for is measured in the motion.

No evaluator is asked. A goal counts where its words, or else its own motion, can be read; what its words leave open may
be done in any way. Real motions do not reach 1: a sentence may say more, or other, than can be measured.
"""

import numpy as np

from irg_core.records.evaluation import Measure, Samples

OF = "motion"


def compute(samples: Samples) -> list[Measure]:
    """`fulfilled`, over the goals that can be measured."""
    if not samples.fulfilled:
        return []
    return [Measure.of_shares("fulfilled", np.array(samples.fulfilled, dtype=np.float64))]
