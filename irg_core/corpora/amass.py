"""AMASS: SMPL-H, SMPL-X or SMPL poses in npz files, at any rate, z up.

The licensed body models are not needed: every performer gets one body, HumanML3D's bone lengths in SMPL's pose zero.
So the motion is each performer's own, the proportions are not; hands and faces are left aside.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from irg_core.motion import hierarchies, rotations
from irg_core.motion.skeleton import JOINTS, LENGTHS, PARENTS
from irg_core.records.annotation import Rejection
from irg_core.records.motion import Hierarchy, Take
from irg_core.sources import arrays
from irg_core.sources.captions import captions as open_captions
from irg_core.sources.entry import entry
from irg_core.sources.folders import takes
from irg_core.sources.walking import Found

BODY = len(JOINTS)
WIDTHS = (72, 156, 165)
"""Numbers a frame of SMPL, SMPL-H and SMPL-X, three for each joint; the first 22 joints are the same in all of them."""
RATES = ("mocap_framerate", "mocap_frame_rate")

# fmt: off
_POSE_ZERO = np.array([
    [0, 0, 0], [.6, -.8, 0], [-.6, -.8, 0], [0, 1, -.2], [.1, -1, 0], [-.1, -1, 0], [0, 1, 0], [0, -1, -.1],
    [0, -1, -.1], [0, 1, .3], [.1, -.4, .9], [-.1, -.4, .9], [0, 1, -.2], [.5, .8, -.2], [-.5, .8, -.2], [0, .8, .6],
    [.9, .3, -.1], [-.9, .3, -.1], [1, 0, -.1], [-1, 0, -.1], [1, 0, 0], [-1, 0, 0],
])
# fmt: on
"""Directions of the bones of one who stands with arms held out, y up and facing +z: to a tenth, nobody's own."""
_UP_IS_Z = rotations.about("x", np.pi / 2)


def read(
    root: Path, *, captions: Any = None, fps: Any = None, up: Any = None, unit: Any = None, joints: Any = None
) -> Iterator[Take | Rejection]:
    """One take for each *.npz, in the order of their names."""
    options = entry(fps=fps, up=up or "z", unit=unit or "m", joints=joints)
    return takes(root, (".npz",), motion, open_captions(root, captions), options)


def motion(found: Found) -> Take:
    """The bare take of one file. Raises `ValueError`."""
    content = arrays.npz(found.path, ("poses", "trans", *RATES))
    if missing := [name for name in ("poses", "trans") if name not in content]:
        raise ValueError(f"no '{missing[0]}' in it; files of body shapes alone are no motion")
    poses, place = content.pop("poses"), arrays.numeric(content["trans"])
    poses = poses.reshape(len(poses), -1) if poses.ndim == 3 and poses.shape[2] == 3 else poses
    if poses.ndim != 2 or poses.shape[1] not in WIDTHS or place.shape != (len(poses), 3):
        raise ValueError(f"poses of shape {poses.shape} and places of shape {place.shape}")
    hierarchies.check_size(len(poses), BODY)
    # Hands and faces are most of the numbers; they go before anything is computed.
    vectors = arrays.numeric(poses[:, : 3 * BODY])
    del poses
    local = partial(_local, vectors)
    body = Hierarchy(tuple(JOINTS), tuple(PARENTS), rotations.normalise(_POSE_ZERO) * LENGTHS[:, None])
    positions, turned = hierarchies.pose(body, local, {0: place}, len(vectors))
    # The pose zero is y up, what moves is z up: told in one set of axes, the rest pose stands as the motion does.
    standing = replace(body, offsets=rotations.rotate(_UP_IS_Z, body.offsets))
    turned = rotations.multiply(turned, rotations.inverse(_UP_IS_Z))
    return Take("", positions, _rate(content), (), "", "", hierarchy=standing, rotations=turned)


def _local(vectors: np.ndarray, part: slice) -> np.ndarray:
    """Parent-relative rotations [4, 22, n] of some frames, from rotation vectors [T, 66]."""
    return hierarchies.from_vectors(vectors[part].reshape(-1, BODY, 3)).transpose(2, 1, 0).copy()


def _rate(content: dict[str, np.ndarray]) -> float:
    rates = [arrays.numeric(content[name]) for name in RATES if name in content]
    return float(rates[0].reshape(-1)[0]) if rates and rates[0].size == 1 else float("nan")
