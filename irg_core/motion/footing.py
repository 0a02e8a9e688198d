"""Feet on the floor: when they stand still, how much they slide, and how to make them stand still again.

Whoever cuts, bends or blends a motion moves its feet as well. A foot that stood in the source stands in the edited
motion: its stretches on the floor are laid still, what lies between them follows, and the knees give.
"""

import numpy as np

from irg_core.motion.rotations import normalise
from irg_core.motion.signals import runs
from irg_core.motion.skeleton import FPS, INDEX, LENGTHS

HIPS, KNEES, ANKLES, TOES = (
    [INDEX[f"{side}_{name}"] for side in ("left", "right")] for name in ("hip", "knee", "ankle", "foot")
)
LEGS = [*KNEES, *ANKLES, *TOES]
LOW = 0.05
"""Metres of a toe above the lowest it comes, down to which it may be on the floor."""
STILL = 0.15
"""m/s of a toe that rests; recorded ones that do come to 0.1."""
FLAT = 0.04
"""Metres above their own lowest level within which ankle and toe of a foot lie that is flat on the floor: a toe alone
passes as low as that in every step."""
SHORTEST = 3
"""Frames that a foot stands for at the least."""
REACH = 0.998
"""Share of a leg's length that may be used: a knee never locks."""


def planted(joints: np.ndarray) -> np.ndarray:
    """Frames [T, 2] bool in which the left and the right foot of joints [T, 22, 3] stand still on the floor."""
    still = (_heights(joints) < LOW) & (_speeds(joints) < STILL)
    down = np.zeros_like(still)
    for foot in (0, 1):
        for start, end in runs(still[:, foot]):
            # The step out of a frame is still, so the next frame is where this one is.
            down[start : end + 1, foot] = end - start >= SHORTEST
    return down


def slide(joints: np.ndarray) -> float:
    """Mean m/s over the floor of the toes of feet that are flat on it; 0 where none ever is."""
    heights = joints[:, [*ANKLES, *TOES], 1]
    low = heights < np.percentile(heights, 5, axis=0) + FLAT
    flat = low[:, :2] & low[:, 2:]
    touching = flat[1:] & flat[:-1]
    return float(_speeds(joints)[:-1][touching].mean()) if touching.any() else 0.0


def _heights(joints: np.ndarray) -> np.ndarray:
    """Metres [T, 2] of the toes above the lowest that either comes, but for a few frames."""
    heights = joints[:, TOES, 1]
    return np.asarray(heights - np.percentile(heights.min(axis=1), 5))


def _speeds(joints: np.ndarray) -> np.ndarray:
    """m/s [T, 2] of the toes over the floor, from frame to frame."""
    steps = np.diff(joints[:, TOES][..., [0, 2]], axis=0)
    speeds = np.sqrt((steps * steps).sum(axis=-1)) * FPS
    return np.concatenate([speeds, speeds[-1:]])


def stood(joints: np.ndarray, down: np.ndarray) -> np.ndarray:
    """Joints [T, 22, 3] whose feet stay where they are while `down` [T, 2] says that they stand.

    Bones keep their lengths: hips as they are, feet where they belong, and knees in between. A foot out of reach is
    drawn along.
    """
    fixed = joints.copy()
    for foot in (0, 1):
        stretches = runs(down[:, foot])
        toe, ankle = _laid_still(joints[:, TOES[foot]], joints[:, ANKLES[foot]], stretches)
        sole = LENGTHS[TOES[foot]] * normalise(toe - ankle)
        _reach(fixed, foot, toe - sole)
        fixed[:, TOES[foot]] = fixed[:, ANKLES[foot]] + sole
    return fixed


def _laid_still(toe: np.ndarray, ankle: np.ndarray, stretches: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    """Toe and ankle [T, 3] with each stretch at its middle place and in its middle direction."""
    if not stretches:
        return toe, ankle
    sole = toe - ankle
    pointing = np.unwrap(np.arctan2(sole[:, 0], sole[:, 2]))
    moved, turned = np.zeros((len(toe), 3)), np.zeros(len(toe))
    known = np.zeros(len(toe), dtype=bool)
    for start, end in stretches:
        known[start:end] = True
        moved[start:end, ::2] = np.median(toe[start:end, ::2], axis=0) - toe[start:end, ::2]
        turned[start:end] = np.median(pointing[start:end]) - pointing[start:end]
    at, frames = np.flatnonzero(known), np.arange(len(toe))
    moved = np.stack([np.interp(frames, at, moved[at, axis]) for axis in range(3)], axis=-1)
    turned = np.interp(frames, at, turned[at])
    cosine, sine = np.cos(turned), np.sin(turned)
    x, y, z = sole.T
    laid = toe + moved
    return laid, laid - np.stack([cosine * x + sine * z, y, cosine * z - sine * x], axis=-1)


def _reach(joints: np.ndarray, foot: int, ankle: np.ndarray) -> None:
    """Put an ankle where it belongs, or as near as the leg comes, by the law of cosines; the knee bends as it did."""
    hip, knee = joints[:, HIPS[foot]], joints[:, KNEES[foot]]
    thigh, shin = LENGTHS[KNEES[foot]], LENGTHS[ANKLES[foot]]
    line = ankle - hip
    axis = normalise(line)
    away = np.sqrt((line * line).sum(axis=-1, keepdims=True))
    length = np.clip(away, abs(thigh - shin) + 0.02, REACH * (thigh + shin))
    bent = normalise(knee - hip) + 0.01 * _ahead(joints)
    bent = normalise(bent - (bent * axis).sum(axis=-1, keepdims=True) * axis)
    along = (thigh**2 - shin**2 + length**2) / (2.0 * length)
    joints[:, KNEES[foot]] = hip + along * axis + np.sqrt(np.maximum(thigh**2 - along**2, 0.0)) * bent
    joints[:, ANKLES[foot]] = hip + length * axis


def _ahead(joints: np.ndarray) -> np.ndarray:
    """Unit vectors [T, 3] that the hips face: a straight leg does not say which way it bends."""
    across = joints[:, HIPS[0]] - joints[:, HIPS[1]]
    return normalise(np.stack([-across[:, 2], np.zeros(len(across)), across[:, 0]], axis=-1))
