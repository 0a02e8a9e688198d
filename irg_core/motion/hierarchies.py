"""Any skeleton in motion: world positions and rotations from what each joint does relative to its parent."""

from collections.abc import Callable, Mapping

import numpy as np

from irg_core.records.motion import Hierarchy

MOST_JOINTS = 1000
"""More is no body; the largest rigs in use have a few hundred, face and fingers included."""
MOST = 10_000_000
"""Joints times frames that a take may have: half an hour of 45 joints at 120 a second, half a gigabyte."""
_FRAMES = 1024
"""Frames that are posed together: few enough for the processor's cache, many enough to forget the loop over joints."""


Local = Callable[[slice], np.ndarray]
"""Gives the parent-relative rotations [4, J, n] of some frames: components first, so that each lies in one piece."""


def pose(
    hierarchy: Hierarchy, local: np.ndarray | Local, places: Mapping[int, np.ndarray], frames: int
) -> tuple[np.ndarray, np.ndarray]:
    """World positions [T, J, 3] and rotations [T, J, 4] from parent-relative rotations, all at once or block by block.

    `local` is an array [T, J, 4] or gives blocks. `places` are the positions [T, 3] of joints relative to their parents
    where these move; the others keep their offset. A joint's own rotation turns the bones that leave it.
    """
    joints = len(hierarchy.parents)
    check_size(frames, joints)
    positions, turned = np.empty((frames, joints, 3)), np.empty((frames, joints, 4))
    for start in range(0, frames, _FRAMES):
        part = slice(start, min(start + _FRAMES, frames))
        block = local(part) if callable(local) else np.ascontiguousarray(local[part].transpose(2, 1, 0))
        at = _pose(hierarchy, block, {joint: place[part].T for joint, place in places.items()})
        positions[part], turned[part] = at.transpose(2, 1, 0), block.transpose(2, 1, 0)
    return positions, turned


def _pose(hierarchy: Hierarchy, turned: np.ndarray, places: Mapping[int, np.ndarray]) -> np.ndarray:
    """Positions [3, J, n]; rotations [4, J, n] relative to parents become those in the world, in place."""
    at = np.empty((3, *turned.shape[1:]))
    for joint, parent in enumerate(hierarchy.parents):
        step = places.get(joint, hierarchy.offsets[joint][:, None])
        if parent < 0:
            at[:, joint] = step
            continue
        above = turned[:, parent]
        at[:, joint] = at[:, parent] + _rotated(above, step)
        turned[:, joint] = _multiplied(above, turned[:, joint])
    return at


# The same as in `rotations`, for quaternions [4, n] and vectors [3, n].


def _multiplied(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, ...]:
    (aw, ax, ay, az), (bw, bx, by, bz) = a, b
    return (
        aw * bw - ax * bx - ay * by - az * bz,
        aw * bx + ax * bw + ay * bz - az * by,
        aw * by - ax * bz + ay * bw + az * bx,
        aw * bz + ax * by - ay * bx + az * bw,
    )


def _rotated(q: np.ndarray, v: np.ndarray) -> np.ndarray:
    (w, x, y, z), (vx, vy, vz) = q, v
    tx, ty, tz = 2 * (y * vz - z * vy), 2 * (z * vx - x * vz), 2 * (x * vy - y * vx)
    return np.stack([
        vx + w * tx + y * tz - z * ty,
        vy + w * ty + z * tx - x * tz,
        vz + w * tz + x * ty - y * tx,
    ])  # fmt: skip


def from_vectors(vectors: np.ndarray) -> np.ndarray:
    """Quaternions [..., 4] of rotation vectors [..., 3]: the axis, as long as the angle in radians."""
    half = np.linalg.norm(vectors, axis=-1, keepdims=True) / 2.0
    # numpy's sinc is sin(pi x) / (pi x), and 1 at 0.
    return np.concatenate([np.cos(half), vectors * (np.sinc(half / np.pi) / 2.0)], axis=-1)


def check_size(frames: int, joints: int) -> None:
    """Raise `ValueError` where a file asks for more than a recording can be, before the memory is asked for."""
    if joints > MOST_JOINTS:
        raise ValueError(f"{joints} joints; at most {MOST_JOINTS} are read")
    if frames * joints > MOST:
        raise ValueError(f"{frames} frames of {joints} joints; at most {MOST // max(joints, 1)} such frames are read")
