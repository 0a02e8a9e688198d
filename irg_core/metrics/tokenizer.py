"""What the tokenizer costs: how far decoded joints are from the real ones, and how many of its codes it uses.

Only the row that shows the real motions encoded and decoded again has codes; its FID stands beside that of the models.
"""

from collections import Counter

import numpy as np

from irg_core.records.evaluation import Measure, Samples

OF = "motion"


def compute(samples: Samples) -> list[Measure]:
    """`mpjpe` (mm, the root's path and heading included), `mpjpe_root` (the same with each frame's root laid onto the
    real one: what is left without the path), and use of the codes: how many different ones
    (`codes_used`), and how many equally likely ones would be as hard to foretell (`code_perplexity`)."""
    if not samples.codes:
        return []
    errors = [mpjpe(one, two) for one, two in zip(samples.joints, samples.real_joints, strict=True)]
    rooted = [
        mpjpe(one - one[:, :1], two - two[:, :1]) for one, two in zip(samples.joints, samples.real_joints, strict=True)
    ]
    counts = np.array(list(Counter(code for row in samples.codes for code in row).values()), dtype=np.float64)
    clips = len(samples.codes)
    return [
        Measure.of_clips("mpjpe", np.array(errors)),
        Measure.of_clips("mpjpe_root", np.array(rooted)),
        Measure("codes_used", float(len(counts)), 0.0, 0.0, clips),
        Measure("code_perplexity", perplexity(counts), 0.0, 0.0, clips),
    ]


def mpjpe(one: np.ndarray, two: np.ndarray) -> float:
    """Mean distance of a joint to itself, mm, over the frames [T, J, 3] that both have."""
    frames = min(len(one), len(two))
    return float(1000.0 * np.linalg.norm(one[:frames] - two[:frames], axis=-1).mean())


def perplexity(counts: np.ndarray) -> float:
    """The exponential of the entropy of a draw, from how often each code occurs."""
    shares = counts / counts.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))
