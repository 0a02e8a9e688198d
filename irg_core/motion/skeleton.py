"""The build's one body: HumanML3D's 22 joints with uniform bone lengths. Metres, y up; left is +x when facing +z.

Beside it stands KIT's body of 21 joints, as far as features need to know it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from irg_core.motion import rotations

FPS = 20.0

JOINTS = (  # noqa: SIM905
    "pelvis left_hip right_hip spine1 left_knee right_knee spine2 left_ankle right_ankle spine3 left_foot right_foot "
    "neck left_collar right_collar head left_shoulder right_shoulder left_elbow right_elbow left_wrist right_wrist"
).split()
INDEX = {name: index for index, name in enumerate(JOINTS)}

CHAINS = ([0, 2, 5, 8, 11], [0, 1, 4, 7, 10], [0, 3, 6, 9, 12, 15], [9, 14, 17, 19, 21], [9, 13, 16, 18, 20])
PARENTS = [-1] * 22
for _chain in CHAINS:
    for _parent, _child in pairwise(_chain):
        PARENTS[_child] = _parent

MIRROR = [INDEX[n.replace("left", "L").replace("right", "left").replace("L", "right")] for n in JOINTS]
"""For each joint, the one on the other side."""

# fmt: off
DIRECTIONS = np.array([
    [0, 0, 0], [1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, -1, 0], [0, 1, 0], [0, -1, 0], [0, -1, 0], [0, 1, 0],
    [0, 0, 1], [0, 0, 1], [0, 1, 0], [1, 0, 0], [-1, 0, 0], [0, 0, 1], [0, -1, 0], [0, -1, 0], [0, -1, 0], [0, -1, 0],
    [0, -1, 0], [0, -1, 0],
], dtype=np.float64)
"""Direction of each joint from its parent in HumanML3D's reference pose (arms hang, the head looks ahead)."""

LENGTHS = np.array([
    0.0, .10307, .10988, .13157, .39362, .39019, .14319, .43243, .42564, .05736, .14338, .14942, .21936, .13749, .14338,
    .10304, .13161, .12298, .25684, .26309, .26601, .26988,
])
"""Uniform bone lengths in metres: each joint to its parent."""
# fmt: on

OFFSETS = DIRECTIONS * LENGTHS[:, None]


@dataclass(frozen=True, slots=True)
class Body:
    """What features depend on; all numbers but the threshold are joints."""

    parents: tuple[int, ...]
    turned_by: tuple[int, ...]  # from joint 1 on: the joint whose bone a bone's rotation is relative to, 0 the root
    directions: np.ndarray  # [joints, 3] of each joint from its parent in the reference pose
    pose: np.ndarray  # the same for the exact mode, which takes no direction over that the body itself contradicts
    hips: tuple[int, int]  # right, left
    shoulders: tuple[int, int]
    feet: tuple[int, int, int, int]  # in the order of contacts: left ankle, left foot, right ankle, right foot
    still: float  # a foot joint with a squared displacement in one frame below this is in contact


def _body(
    chains: Sequence[Sequence[int]], directions: np.ndarray, pose: np.ndarray, hips: tuple[int, int],
    shoulders: tuple[int, int], feet: tuple[int, int, int, int], still: float,
) -> Body:  # fmt: skip
    parents = [-1] * len(directions)
    turned_by = [0] * len(directions)
    for chain in chains:
        for place, (parent, child) in enumerate(pairwise(chain)):
            parents[child] = parent
            # A chain starts afresh from the root's rotation, also where it leaves the spine.
            turned_by[child] = parent if place else 0
    return Body(tuple(parents), tuple(turned_by[1:]), directions, pose, hips, shoulders, feet, still)


T2M = _body(CHAINS, DIRECTIONS, DIRECTIONS, (2, 1), (17, 16), (7, 10, 8, 11), still=0.002)
"""Ours; `still` is in square metres."""

KIT_CHAINS = ([0, 11, 12, 13, 14, 15], [0, 16, 17, 18, 19, 20], [0, 1, 2, 3, 4], [3, 5, 6, 7], [3, 8, 9, 10])
# fmt: off
_KIT_DIRECTIONS = np.array([
    [0, 0, 0], [0, 1, 0], [0, 1, 0], [0, 1, 0], [0, 1, 0], [1, 0, 0], [0, -1, 0], [0, -1, 0], [-1, 0, 0], [0, -1, 0],
    [0, -1, 0], [1, 0, 0], [0, -1, 0], [0, -1, 0], [0, 0, 1], [0, 0, 1], [-1, 0, 0], [0, -1, 0], [0, -1, 0], [0, 0, 1],
    [0, 0, 1],
], dtype=np.float64)
# fmt: on
_KIT_POSE = _KIT_DIRECTIONS.copy()
_KIT_POSE[[5, 8, 11, 16]] *= -1.0
_KIT_POSE[4] = DIRECTIONS[INDEX["head"]]
KIT = _body(KIT_CHAINS, _KIT_DIRECTIONS, _KIT_POSE, (11, 16), (5, 8), (19, 20, 14, 15), still=0.05)
"""KIT-ML's 21 joints at 12.5 frames a second, in millimetres, so `still` is in square millimetres.

Its axes are left-handed: what the source calls left (5-7, 11-15) lies at -x when the body faces +z. The field's
converter takes that for the right side, which finds the same front; `hips` and `shoulders` follow it. The reference
directions of hips and shoulders point the other way all the same, which twists their rotations; the compatible mode
keeps that, the exact one does not, and there the head looks ahead as ours does. Contacts are those of the last two
joints of each leg.
"""


def forward_kinematics(root: np.ndarray, local: np.ndarray, offsets: np.ndarray = OFFSETS) -> np.ndarray:
    """Joint positions [T, J, 3] from root positions [T, 3] and parent-relative rotations [T, J, 4].

    A joint's own rotation turns the bones that leave it; `offsets` [J, 3] are the bones in the reference pose.
    """
    positions = np.zeros((*local.shape[:-1], 3))
    turned = local.copy()
    positions[:, 0] = root
    for joint, parent in enumerate(PARENTS):
        if parent >= 0:
            turned[:, joint] = rotations.multiply(turned[:, parent], local[:, joint])
            positions[:, joint] = positions[:, parent] + rotations.rotate(turned[:, parent], offsets[joint])
    return positions
