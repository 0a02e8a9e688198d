"""Inverse kinematics: how bones and joints are turned in poses of which only the positions are known.

Positions say nothing of twist, so each bone takes the shortest way from the frame of the bone before it: knees and
elbows bend as hinges do. The pelvis is turned as its spine and its hips say.
"""

import numpy as np

from irg_core.motion import rotations
from irg_core.motion.skeleton import DIRECTIONS, INDEX, PARENTS

LEADS_TO = np.arange(22)
"""For each of our joints the one that its own rotation points to; where bones part, the one in the middle."""
for _joint, _parent in reversed(list(enumerate(PARENTS))):
    if _parent >= 0:
        LEADS_TO[_parent] = _joint
LEADS_TO[[INDEX["pelvis"], INDEX["spine3"]]] = INDEX["spine1"], INDEX["neck"]


def joints_turned(joints: np.ndarray) -> np.ndarray:
    """World rotations [T, 22, 4] of the joints [T, 22, 3] themselves, from our reference pose."""
    return bones_turned(joints)[:, LEADS_TO]


def bones_turned(joints: np.ndarray, turned: np.ndarray | None = None) -> np.ndarray:
    """World rotations [T, 22, 4] of the bones that end at joints [T, 22, 3], from our reference pose; first the pelvis.

    With rotations `turned` [T, 22, 4] that nearly know them, each of those is brought to its bone the shortest way.
    """
    found = np.empty((len(joints), 22, 4))
    found[:, 0] = _pelvis(joints) if turned is None else turned[:, 0]
    for child in range(1, 22):
        before = found[:, PARENTS[child]] if turned is None else turned[:, child]
        bone = rotations.normalise(joints[:, child] - joints[:, PARENTS[child]])
        rest = rotations.rotate(before, np.broadcast_to(DIRECTIONS[child], bone.shape))
        found[:, child] = rotations.multiply(rotations.between(rest, bone), before)
    return found


def _pelvis(joints: np.ndarray) -> np.ndarray:
    """[T, 4]: the spine points up as the reference pose's does, then it is turned until its hips agree."""
    spine = rotations.normalise(joints[:, INDEX["spine1"]] - joints[:, 0])
    raised = rotations.between(np.broadcast_to([0.0, 1.0, 0.0], spine.shape), spine)
    across = rotations.rotate(rotations.inverse(raised), joints[:, INDEX["left_hip"]] - joints[:, INDEX["right_hip"]])
    level = rotations.normalise(across * (1.0, 0.0, 1.0))
    return rotations.multiply(raised, rotations.between(np.broadcast_to([1.0, 0.0, 0.0], level.shape), level))
