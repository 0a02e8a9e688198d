"""A folder in HumanML3D's layout: 22 joints at 20 frames a second, or only their 263 features; texts, splits."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from irg_core.motion import features
from irg_core.motion.skeleton import FPS
from irg_core.records.annotation import Rejection
from irg_core.records.motion import FEATURES, Take
from irg_core.sources import arrays, humanml
from irg_core.sources.entry import entry
from irg_core.sources.walking import Found


def read(root: Path) -> Iterator[Take | Rejection]:
    """One take for each id, or for each stretch of it that has captions of its own, in the order of ids."""
    return humanml.takes(root, _from_joints, _from_features, entry(fps=None, up=None, unit=None, joints=None))


def _from_joints(found: Found) -> Take:
    joints = arrays.numeric(arrays.npy(found.path))
    if joints.ndim != 3 or joints.shape[1:] != (22, 3):
        raise ValueError(f"joints of shape {joints.shape}; (frames, 22, 3) are needed")
    return _take(joints)


def _from_features(found: Found) -> Take:
    rows = arrays.numeric(arrays.npy(found.path))
    if rows.ndim != 2 or rows.shape[1] != FEATURES:
        raise ValueError(f"features of shape {rows.shape}; (frames, {FEATURES}) are needed")
    return _take(features.to_joints(rows))


def _take(joints: np.ndarray) -> Take:
    return Take("", joints, FPS, (), "", "")
