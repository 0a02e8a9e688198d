"""HumanML3D's 263 numbers a frame, from joints and back, for 22 joints at 20 frames a second.

Compatible with HumanML3D's own converter, quirks included, so that numbers and published networks stay comparable:
its heading mixes up the hips after frame 0, is smoothed over seconds, and is forced to +Z at frame 0. One thing
differs: a step of the heading is taken the short way round, where the original's changes sign at half a turn.

Only additions, products, quotients and roots touch the frames (no trigonometry, no matrix library), so that equal
joints give equal bits on any machine.
"""

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from irg_core.motion import rotations
from irg_core.motion.skeleton import CHAINS, DIRECTIONS, INDEX, LENGTHS, PARENTS
from irg_core.records.motion import FEATURES

YAW, TRAVEL, HEIGHT = slice(0, 1), slice(1, 3), slice(3, 4)
POSITIONS, ROTATIONS, VELOCITIES, CONTACTS = slice(4, 67), slice(67, 193), slice(193, 259), slice(259, 263)
GROUPS = (YAW, TRAVEL, HEIGHT, POSITIONS, ROTATIONS, VELOCITIES, CONTACTS)
"""What stands where in a row. Numbers of one group are of one kind and share one standard deviation in `stats.json`."""

FEET = [INDEX[name] for name in ("left_ankle", "left_foot", "right_ankle", "right_foot")]
STILL = 0.002
"""A foot joint whose squared displacement in one frame (m²) is below this is in contact."""
_SIGMA = 20.0
_KERNEL = np.array([math.exp(-0.5 * (offset / _SIGMA) ** 2) for offset in range(-80, 81)])
_KERNEL /= _KERNEL.sum()
_FIRST = {chain[1] for chain in CHAINS}
# The collars leave spine3, but their chains start afresh from the root's rotation, as in HumanML3D.
_TURNED_BY = np.array([0 if joint in _FIRST else PARENTS[joint] for joint in range(1, 22)])
_STARTS = np.array(PARENTS[1:])
_LEFT_HIP, _RIGHT_HIP = INDEX["left_hip"], INDEX["right_hip"]
_SHOULDERS = INDEX["right_shoulder"], INDEX["left_shoulder"]


def extract(joints: np.ndarray) -> np.ndarray:
    """Features [T-1, 263] float32 of joints [T, 22, 3] in the uniform skeleton; they are normalised first."""
    joints = normalise(joints)
    heading = _to_heading(_smooth(_forward(joints, swapped=True)))
    heading[0] = 1.0, 0.0, 0.0, 0.0
    step = joints[1:] - joints[:-1]
    root = joints[:, :1] * (1.0, 0.0, 1.0)
    rows = np.empty((len(step), FEATURES), dtype=np.float32)
    rows[:, YAW] = np.arcsin(_yaw_step(heading))[:, None]
    rows[:, TRAVEL] = rotations.rotate(heading[1:], step[:, 0])[:, [0, 2]]
    rows[:, HEIGHT] = joints[:-1, 0, 1:2]
    rows[:, POSITIONS] = _flat(_yawed(heading[:-1], (joints - root)[:-1, 1:]))
    rows[:, ROTATIONS] = _flat(rotations.six_numbers(_bone_rotations(joints[:-1], heading[:-1])))
    rows[:, VELOCITIES] = _flat(_yawed(heading[:-1], step))
    rows[:, CONTACTS] = _squared(step[:, FEET]) < STILL
    return rows


def to_joints(features: np.ndarray) -> np.ndarray:
    """Joints [T, 22, 3] float64 of features [T, 263]: the root from its velocities, the others from their positions."""
    rows = np.asarray(features, dtype=np.float64)
    half = np.concatenate([[0.0], np.cumsum(rows[:-1, 0])])
    away = np.zeros((len(rows), 4))
    away[:, 0], away[:, 2] = np.cos(half), -np.sin(half)
    travel = np.zeros((len(rows), 3))
    travel[1:, [0, 2]] = rows[:-1, TRAVEL]
    root = np.cumsum(rotations.rotate(away, travel), axis=0)
    joints = np.empty((len(rows), 22, 3))
    joints[:, 1:] = _yawed(away, rows[:, POSITIONS].reshape(-1, 21, 3)) + root[:, None]
    joints[:, 0] = root
    joints[:, 0, 1] = rows[:, 3]
    return joints


def normalise(joints: np.ndarray) -> np.ndarray:
    """Joints [T, 22, 3] moved so that the lowest is on the floor, and frame 0 stands at the origin and faces +Z."""
    moved = np.array(joints, dtype=np.float64)
    moved[..., 1] -= moved[..., 1].min()
    moved[..., ::2] -= joints[0, 0, ::2]
    return _yawed(_to_heading(_forward(joints[:1], swapped=False)), moved)


def retarget(joints: np.ndarray) -> np.ndarray:
    """A body of any proportions as the uniform skeleton: its directions, our lengths, its path scaled by the legs."""
    bones = joints[:, 1:] - joints.take(_STARTS, axis=1)
    lengths = np.sqrt(_squared(bones[0]))
    knee, ankle = INDEX["right_knee"], INDEX["right_ankle"]
    leg = lengths[knee - 1] + lengths[ankle - 1]
    scaled = np.zeros((len(joints), 22, 3))
    scaled[:, 0] = joints[:, 0] * ((LENGTHS[knee] + LENGTHS[ankle]) / leg)
    directions = _directions(bones)
    for joint in range(1, 22):
        scaled[:, joint] = scaled[:, PARENTS[joint]] + directions[:, joint - 1] * LENGTHS[joint]
    return scaled


def _directions(bones: np.ndarray) -> np.ndarray:
    """Bones [T, 21, 3] at length one; a bone of no length points where its parent does."""
    length = np.sqrt(_squared(bones))[..., None]
    directions = bones / np.where(length > 0, length, 1.0)
    for joint in range(1, 22):
        parent = PARENTS[joint]
        if parent > 0 and not length[:, joint - 1].all():
            lost = length[:, joint - 1, 0] == 0
            directions[lost, joint - 1] = directions[lost, parent - 1]
    return directions


def _forward(joints: np.ndarray, swapped: bool) -> np.ndarray:
    """Where the body faces: x and z [T, 2] of up × across; `swapped` takes the hips the wrong way as HumanML3D does."""
    right, left = (_LEFT_HIP, _RIGHT_HIP) if swapped else (_RIGHT_HIP, _LEFT_HIP)
    across = joints[:, right] - joints[:, left] + joints[:, _SHOULDERS[0]] - joints[:, _SHOULDERS[1]]
    length = np.sqrt(_squared(across))[:, None]
    return np.stack([across[:, 2], -across[:, 0]], axis=-1) / np.where(length > 0, length, 1.0)


def _smooth(forward: np.ndarray) -> np.ndarray:
    """A Gaussian of 20 frames over [T, 2], cut at 80, the ends held."""
    held = np.concatenate([np.repeat(forward[:1], 80, 0), forward, np.repeat(forward[-1:], 80, 0)])
    return (sliding_window_view(held, len(_KERNEL), axis=0).transpose(2, 0, 1) * _KERNEL[:, None, None]).sum(axis=0)


def _to_heading(forward: np.ndarray) -> np.ndarray:
    """The quaternions about y [T, 4] that turn forward (x, z) [T, 2] to +Z; no direction at all counts as +Z."""
    x, z = forward[:, 0], forward[:, 1]
    length = np.sqrt(x * x + z * z)
    found = length > 0
    length = np.where(found, length, 1.0)
    cosine = np.where(found, z, 1.0) / length
    quaternions = np.zeros((len(forward), 4))
    # Half-angle formulas: each root is taken where its argument is far from zero or its error harmless.
    quaternions[:, 0] = np.sqrt(np.maximum(0.5 + 0.5 * cosine, 0.0))
    quaternions[:, 2] = -np.copysign(np.sqrt(np.maximum(0.5 - 0.5 * cosine, 0.0)), x)
    return quaternions


def _yaw_step(heading: np.ndarray) -> np.ndarray:
    """The sine of half the turn from each frame to the next [T-1], the short way round."""
    w, y = heading[:, 0], heading[:, 2]
    sine = y[1:] * w[:-1] - w[1:] * y[:-1]
    cosine = w[1:] * w[:-1] + y[1:] * y[:-1]
    return np.clip(np.where(cosine < 0, -sine, sine), -1.0, 1.0)


def _bone_rotations(joints: np.ndarray, heading: np.ndarray) -> np.ndarray:
    """Rotations [T, 21, 4] relative to the bone before; each is the shortest from the reference pose, twist is lost."""
    bones = rotations.between(DIRECTIONS[1:], _directions(joints[:, 1:] - joints.take(_STARTS, axis=1)))
    everything = np.concatenate([heading[:, None], bones], axis=1)
    return rotations.multiply(rotations.inverse(everything.take(_TURNED_BY, axis=1)), bones)


def _yawed(quaternions: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Vectors [T, n, 3] turned by quaternions about y [T or 1, 4]."""
    w, y = quaternions[:, 0, None], quaternions[:, 2, None]
    cosine, sine = w * w - y * y, 2.0 * w * y
    turned = np.empty_like(vectors)
    turned[..., 0] = cosine * vectors[..., 0] + sine * vectors[..., 2]
    turned[..., 1] = vectors[..., 1]
    turned[..., 2] = cosine * vectors[..., 2] - sine * vectors[..., 0]
    return turned


def _squared(vectors: np.ndarray) -> np.ndarray:
    """Squared lengths [...] of vectors [..., 3], summed in a fixed order."""
    return vectors[..., 0] ** 2 + vectors[..., 1] ** 2 + vectors[..., 2] ** 2


def _flat(values: np.ndarray) -> np.ndarray:
    return values.reshape(len(values), -1)
