"""One BVH file a motion, in centimetres, y up, for Blender, Maya, MotionBuilder and Unreal.

Where a build's features are exact, bones turn as the features say. Positions alone carry no twist: then each bone takes
the shortest way from its parent's frame, and the pelvis faces where the hips do. Three bones leave the pelvis and three
the chest, and one rotation cannot aim three bones: the side ones hang on a joint of no length, as in the CMU database's
own files.
"""

from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import numpy as np

from irg_core.files import write_text
from irg_core.motion import posing, representation, rotations
from irg_core.motion.skeleton import FPS, INDEX, JOINTS, OFFSETS, PARENTS
from irg_core.params import choice
from irg_core.records.exchange import Motion

CENTIMETRES = 100.0
TIP = np.array([0.0, 0.0, 0.05])
"""A bone beyond each last joint, in metres: without one, readers drop the joint."""
_CHILDREN = {joint: [child for child in range(22) if PARENTS[child] == joint] for joint in range(22)}
_AIMED_AT = {joint: INDEX[name] for joint, name in ((INDEX["pelvis"], "spine1"), (INDEX["spine3"], "neck"))}


def write(motions: Iterable[Motion], folder: Path) -> int:
    """Write `<name>.bvh` for each motion; returns how many. A slash in a name makes a folder."""
    exact = choice("features", representation.MODES) == representation.EXACT
    count = 0
    for motion in motions:
        joints = representation.to_joints(motion.features)
        turned = representation.bones_turned(motion.features, joints) if exact else None
        write_text(folder / f"{motion.name.replace('#', '~')}.bvh", text(joints, turned=turned))
        count += 1
    return count


def text(joints: np.ndarray, fps: float = FPS, turned: np.ndarray | None = None) -> str:
    """Joints [T, 22, 3] in metres as BVH. Bones keep their mean length, so only rigid motion comes back exactly.

    `turned` [T, 22, 4] are the world rotations of the bones that end at the joints, where more is known of them.
    """
    offsets = _offsets(joints)
    lines = ["HIERARCHY"]
    turns: list[np.ndarray] = []
    upright = np.broadcast_to([1.0, 0.0, 0.0, 0.0], (len(joints), 4))
    aims = posing.bones_turned(joints) if turned is None else turned
    _describe(0, offsets, aims, upright, lines, turns, "")
    angles = _euler(np.stack(turns, axis=1)).reshape(len(joints), -1)
    rows = np.concatenate([CENTIMETRES * joints[:, 0], angles], axis=1)
    frames = "\n".join(" ".join(f"{value:.6f}" for value in row) for row in rows + 0.0)
    return "\n".join([*lines, "MOTION", f"Frames: {len(rows)}", f"Frame Time: {1 / fps:.6f}", frames, ""])


def _offsets(joints: np.ndarray) -> np.ndarray:
    """Our reference pose [22, 3] with the motion's own mean bone lengths."""
    bones = joints[:, 1:] - joints[:, PARENTS[1:]]
    lengths = np.sqrt((bones**2).sum(axis=-1)).mean(axis=0)
    scaled = np.zeros((22, 3))
    scaled[1:] = rotations.normalise(OFFSETS[1:]) * lengths[:, None]
    return scaled


def _describe(
    joint: int, offsets: np.ndarray, aims: np.ndarray, around: np.ndarray,
    lines: list[str], turns: list[np.ndarray], indent: str,
) -> None:  # fmt: skip
    """Write a joint and all below it, and note the turn of each in the same order; `around`: its parent's frame."""
    children = _CHILDREN[joint]
    aimed_at = _AIMED_AT.get(joint, children[0] if children else None)
    frame = around if aimed_at is None else aims[:, aimed_at]
    _open(JOINTS[joint], "ROOT" if joint == 0 else "JOINT", offsets[joint], lines, indent)
    turns.append(rotations.multiply(rotations.inverse(around), frame))
    for child in children:
        if child == aimed_at:
            _describe(child, offsets, aims, frame, lines, turns, indent + "  ")
            continue
        _open(f"{JOINTS[child]}_base", "JOINT", np.zeros(3), lines, indent + "  ")
        turns.append(rotations.multiply(rotations.inverse(frame), aims[:, child]))
        _describe(child, offsets, aims, aims[:, child], lines, turns, indent + "    ")
        lines.append(f"{indent}  }}")
    if not children:
        lines += [f"{indent}  End Site", f"{indent}  {{", f"{indent}    OFFSET {_numbers(TIP)}", f"{indent}  }}"]
    lines.append(f"{indent}}}")


def _open(name: str, kind: str, offset: np.ndarray, lines: list[str], indent: str) -> None:
    position = "Xposition Yposition Zposition " if kind == "ROOT" else ""
    lines += [
        f"{indent}{kind} {name}",
        f"{indent}{{",
        f"{indent}  OFFSET {_numbers(np.zeros(3) if kind == 'ROOT' else offset)}",
        f"{indent}  CHANNELS {6 if position else 3} {position}Zrotation Yrotation Xrotation",
    ]


def _numbers(vector: np.ndarray) -> str:
    return " ".join(f"{CENTIMETRES * value:.6f}" for value in vector)


def _euler(q: np.ndarray) -> np.ndarray:
    """Degrees [T, n, 3] about z, then the new y, then the new x; without jumps of a full turn from frame to frame."""
    matrix = rotations.matrix(q)
    y = np.arcsin(np.clip(-matrix[..., 2, 0], -1.0, 1.0))
    z = np.arctan2(matrix[..., 1, 0], matrix[..., 0, 0])
    x = np.arctan2(matrix[..., 2, 1], matrix[..., 2, 2])
    locked = np.abs(matrix[..., 2, 0]) > 1 - 1e-9  # z and x turn about one line: all of it is given to z
    z = np.where(locked, np.arctan2(-matrix[..., 0, 1], matrix[..., 1, 1]), z)
    x = np.where(locked, 0.0, x)
    return np.degrees(_closest(np.stack([z, y, x], axis=-1)))


def _closest(angles: np.ndarray) -> np.ndarray:
    """Of the two ways to write each rotation, the one nearer to the frame before; then no jumps of a full turn."""
    chosen = angles.copy()
    other = np.stack([angles[..., 0] + np.pi, np.pi - angles[..., 1], angles[..., 2] + np.pi], axis=-1)
    for before, now in pairwise(range(len(angles))):
        ways = np.stack([angles[now], other[now]])
        ways += 2 * np.pi * np.round((chosen[before] - ways) / (2 * np.pi))
        nearer = np.abs(ways - chosen[before]).sum(axis=-1).argmin(axis=0)
        chosen[now] = np.where(nearer[:, None] == 0, ways[0], ways[1])
    return chosen
