"""A motion as rows of the body's own frame, which know neither place nor heading: they can be cut, turned, repeated and
put together in any order, and walked off anew.

HumanML3D's heading would not do: it is smoothed over seconds, and a turn cut out of it leaves its ends behind. A row
also says which feet stand on the floor, so that they stand as still after an edit as they did before.
"""

from collections.abc import Sequence

import numpy as np

from irg_core.motion import footing
from irg_core.motion.footing import LEGS
from irg_core.motion.rotations import normalise
from irg_core.motion.skeleton import INDEX, LENGTHS, MIRROR, PARENTS

YAW, TRAVEL, POSE, DOWN = 0, slice(1, 3), slice(3, 67), slice(67, 69)
"""A row: radians of turn and metres of travel to the next row; height of the root and positions of the others; 1 for
each foot that stands."""
BLEND = 4
"""Frames on either side of a seam over which two poses meet."""


def rows_of(joints: np.ndarray) -> np.ndarray:
    """Joints [T, 22, 3] in the body's own frame [T, 69]."""
    across = sum(joints[:, INDEX[f"left_{pair}"]] - joints[:, INDEX[f"right_{pair}"]] for pair in ("hip", "shoulder"))
    heading = np.unwrap(np.arctan2(-across[:, 2], across[:, 0]))
    rows = np.zeros((len(joints), DOWN.stop))
    rows[:-1, YAW] = np.diff(heading)
    step = np.diff(joints[:, 0], axis=0, append=joints[-1:, 0])
    rows[:, TRAVEL] = _turn(step[:, None], -heading)[:, 0, ::2]
    rows[:, 3] = joints[:, 0, 1]
    local = joints[:, 1:] - joints[:, :1] * (1.0, 0.0, 1.0)
    rows[:, 4 : POSE.stop] = _turn(local, -heading).reshape(len(joints), -1)
    rows[:, DOWN] = footing.planted(joints)
    return rows


def walked(rows: np.ndarray) -> np.ndarray:
    """Rows [T, 69] walked off from the origin, facing +Z, as joints [T, 22, 3] whose bones have their lengths."""
    heading = np.concatenate([[0.0], np.cumsum(rows[:-1, YAW])])
    step = np.zeros((len(rows), 1, 3))
    step[1:, 0, ::2] = rows[:-1, TRAVEL]
    # A step belongs to the frame that it starts from.
    step[1:] = _turn(step[1:], heading[:-1])
    joints = _turn(placed(rows), heading)
    joints += np.cumsum(step, axis=0) * (1.0, 0.0, 1.0)
    fixed = with_lengths(joints)
    # Feet stay where the rows have them, or a trunk that is bent anew would carry them off.
    fixed[:, LEGS] = joints[:, LEGS]
    return footing.stood(fixed, rows[:, DOWN] > 0.5)


def placed(rows: np.ndarray) -> np.ndarray:
    """Joints [T, 22, 3] about the root's place, as the body faces."""
    root = np.zeros((len(rows), 1, 3))
    root[:, 0, 1] = rows[:, 3]
    return np.concatenate([root, rows[:, 4 : POSE.stop].reshape(-1, 21, 3)], axis=1)


def posed(rows: np.ndarray, joints: np.ndarray) -> np.ndarray:
    """The rows with the poses of joints [T, 22, 3], given as by `placed`."""
    changed = rows.copy()
    changed[:, 3] = joints[:, 0, 1]
    changed[:, 4 : POSE.stop] = joints[:, 1:].reshape(len(rows), -1)
    return changed


def with_lengths(joints: np.ndarray) -> np.ndarray:
    """Bones back at their lengths, which a blend of two poses shortens; directions are kept."""
    fixed = joints.copy()
    for joint in range(1, len(PARENTS)):
        bone = normalise(joints[:, joint] - joints[:, PARENTS[joint]])
        fixed[:, joint] = fixed[:, PARENTS[joint]] + LENGTHS[joint] * bone
    return fixed


def _turn(vectors: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Vectors [T, n, 3] turned left by angles [T] in radians."""
    cosine, sine = np.cos(angle)[:, None], np.sin(angle)[:, None]
    x, y, z = np.moveaxis(vectors, -1, 0)
    return np.stack([cosine * x + sine * z, y, cosine * z - sine * x], axis=-1)


def joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Stretches one after the other; around each seam both poses bend towards their mean."""
    parts = [part for part in parts if len(part)]
    rows = np.concatenate(parts)
    ends = np.cumsum([len(part) for part in parts])
    for part, after, seam in zip(parts, parts[1:], ends, strict=False):
        gap = after[0, POSE] - part[-1, POSE]
        before, behind = min(BLEND, len(part)), min(BLEND, len(after))
        rows[seam - before : seam, POSE] += ease(before)[:, None] * gap / 2
        rows[seam : seam + behind, POSE] -= ease(behind)[::-1, None] * gap / 2
    return rows


def ease(frames: int) -> np.ndarray:
    """From nearly 0 to 1, smoothly."""
    share = np.arange(1, frames + 1) / frames
    return np.asarray(share * share * (3.0 - 2.0 * share))


def faded(frames: int, over: int) -> np.ndarray:
    """Weights [frames] that are 1 but for their ends, where they come from 0 and go to 0."""
    weights = np.ones(frames)
    over = min(over, frames // 2)
    weights[:over], weights[frames - over :] = ease(over), ease(over)[::-1]
    return weights


def backwards(rows: np.ndarray) -> np.ndarray:
    """The stretch with time reversed; a velocity leads from its row to the next, so it shifts by one."""
    reverse = rows[::-1].copy()
    reverse[:-1, :3] = -rows[:-1][::-1, :3]
    reverse[-1, :3] = reverse[-2, :3]
    return reverse


def mirrored(rows: np.ndarray) -> np.ndarray:
    """The stretch with left and right swapped, in the body's own frame."""
    swapped = posed(rows, mirrored_joints(placed(rows)))
    swapped[:, :2] *= -1.0  # yaw, and travel to the left
    swapped[:, DOWN] = rows[:, DOWN][:, ::-1]
    return swapped


def mirrored_joints(joints: np.ndarray) -> np.ndarray:
    return np.asarray(joints[:, MIRROR] * (-1.0, 1.0, 1.0))


def stretched(rows: np.ndarray, factor: float) -> np.ndarray:
    """The stretch played over `factor` times as many frames; it still covers the same ground."""
    count = max(2, round(len(rows) * factor))
    at = np.linspace(0.0, len(rows) - 1.0, count)
    below = np.floor(at).astype(int)
    above = np.minimum(below + 1, len(rows) - 1)
    slower = rows[below] + (at - below)[:, None] * (rows[above] - rows[below])
    slower[:, :3] *= len(rows) / count
    return slower


def repetition(rows: np.ndarray, start: int, end: int, count: int) -> tuple[int, int]:
    """Two frames one repetition apart whose poses are as alike as can be."""
    if count == 1:
        return start, end
    period, pose = (end - start) // count, rows[start:end, POSE]
    # Speed counts as well: half-way down and half-way up are one pose.
    pose = np.concatenate([pose, 5.0 * np.gradient(pose, axis=0)], axis=1)
    best = (np.inf, start, start + period)
    for length in range(max(2, round(0.85 * period)), min(round(1.15 * period), len(pose) - 1) + 1):
        gaps = np.abs(pose[length:] - pose[:-length]).sum(axis=1)
        place = int(np.argmin(gaps))
        best = min(best, (float(gaps[place]), start + place, start + place + length))
    return best[1:]


def larger(rows: np.ndarray, factor: float, parts: Sequence[int], rise: float | None = None) -> np.ndarray:
    """The stretch with its pose `factor` times as far from the pose it begins and ends with.

    `parts` are the joints whose bones swing farther, each by the angle from where it was; `rise` is the factor on the
    height of the root, which is `factor` where not given. Feet that stand stay where they are.
    """
    joints = placed(rows)
    share = np.linspace(0.0, 1.0, len(rows))[:, None, None]
    base = joints[:1] + share * (joints[-1:] - joints[:1])
    scaled = np.zeros_like(joints)
    height = factor if rise is None else rise
    scaled[:, 0] = base[:, 0] + height * (joints[:, 0] - base[:, 0])
    for joint in range(1, len(PARENTS)):
        bone = normalise(joints[:, joint] - joints[:, PARENTS[joint]])
        if joint in parts:
            rest = normalise(base[:, joint] - base[:, PARENTS[joint]])
            bone = _swung(rest, bone, factor)
        scaled[:, joint] = scaled[:, PARENTS[joint]] + LENGTHS[joint] * bone
    standing = np.repeat(smooth_edges(rows[:, DOWN]), 2, axis=1)[..., None]
    feet = [footing.ANKLES[0], footing.TOES[0], footing.ANKLES[1], footing.TOES[1]]
    scaled[:, feet] += standing * (joints[:, feet] - scaled[:, feet])
    return posed(rows, scaled)


def smooth_edges(flags: np.ndarray) -> np.ndarray:
    """Flags [T, n] of 0 and 1 as weights that change over a few frames."""
    padded = np.concatenate([flags[:1].repeat(2, 0), flags, flags[-1:].repeat(2, 0)])
    return np.asarray(sum(padded[shift : shift + len(flags)] for shift in range(5)) / 5.0)


def _swung(rest: np.ndarray, bone: np.ndarray, factor: float) -> np.ndarray:
    """Unit vectors [T, 3] `factor` times the angle away from `rest` that `bone` is, and never turned right round."""
    cosine = np.clip((rest * bone).sum(axis=-1, keepdims=True), -1.0, 1.0)
    angle = np.minimum(np.arccos(cosine) * factor, 0.95 * np.pi)
    aside = normalise(bone - cosine * rest)
    return np.asarray(np.cos(angle) * rest + np.sin(angle) * aside)
