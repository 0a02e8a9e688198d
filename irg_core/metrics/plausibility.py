"""Physical plausibility, from joints alone: whether feet slide, sink into the floor, limbs jerk, or bones stretch.

No evaluator can be pleased here: what optimises one against the laws of bodies shows. Numbers of real motions are not 0
(people slide on their toes and shake, markers more so); they are what a row is read against.
"""

import numpy as np

from irg_core.motion.skeleton import FPS, INDEX, PARENTS
from irg_core.records.evaluation import Measure, Samples

OF = "motion"
FEET = [INDEX[name] for name in ("left_ankle", "left_foot", "right_ankle", "right_foot")]
NEAR = np.array([0.10, 0.05, 0.10, 0.05])
"""Metres above the floor below which ankles and toes count as standing on it: soles are thicker at the ankle."""
BONES = np.arange(1, len(PARENTS))
RIGID = 1e-6
"""Per cent of drift that is rounding."""
SHORTEST = 4
"""Frames that a third difference needs."""


def compute(samples: Samples) -> list[Measure]:
    """Means over clips, of each clip's `foot_skate` (cm/s), `penetration` (mm), `jerk` (m/s^3), `bone_drift` (%)."""
    if not samples.joints:
        return []
    measured = np.array([_of_clip(np.asarray(joints, dtype=np.float64)) for joints in samples.joints])
    found = [Measure.of_clips(name, measured[:, column]) for column, name in enumerate(NAMES)]
    # Joints that were laid on bones of fixed length cannot say whether bones stretch.
    return [one for one in found if one.metric != "bone_drift" or one.mean > RIGID]


NAMES = ("foot_skate", "penetration", "jerk", "bone_drift")


def _of_clip(joints: np.ndarray) -> tuple[float, float, float, float]:
    return foot_skate(joints), penetration(joints), jerk(joints), bone_drift(joints)


def foot_skate(joints: np.ndarray) -> float:
    """Mean horizontal speed, cm/s, of an ankle or toe of joints [T, 22, 3] while it is near the floor in two
    successive frames; 0 where none ever is."""
    feet = joints[:, FEET]
    is_near = feet[:, :, 1] < NEAR
    planted = is_near[1:] & is_near[:-1]
    steps = np.diff(feet[:, :, ::2], axis=0)
    speeds = 100.0 * FPS * np.sqrt(np.square(steps).sum(axis=-1))
    return float(speeds[planted].mean()) if planted.any() else 0.0


def penetration(joints: np.ndarray) -> float:
    """How far the lowest joint is below the floor, mm, in the mean over frames."""
    return float(1000.0 * np.maximum(0.0, -joints[:, :, 1].min(axis=1)).mean())


def jerk(joints: np.ndarray) -> float:
    """Mean size of the third derivative of positions, m/s^3, over joints and frames; 0 for fewer than four frames."""
    if len(joints) < SHORTEST:
        return 0.0
    third = np.diff(joints, n=3, axis=0) * FPS**3
    return float(np.sqrt(np.square(third).sum(axis=-1)).mean())


def bone_drift(joints: np.ndarray) -> float:
    """Standard deviation of a bone's length over the frames, in percent of its mean length; the mean over bones."""
    bones = joints[:, BONES] - joints[:, np.array(PARENTS)[BONES]]
    lengths = np.sqrt(np.square(bones).sum(axis=-1))
    return float(100.0 * (lengths.std(axis=0) / np.maximum(lengths.mean(axis=0), 1e-6)).mean())
