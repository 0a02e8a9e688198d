"""The build's one body: HumanML3D's 22 joints with uniform bone lengths. Metres, y up; left is +x when facing +z."""

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
