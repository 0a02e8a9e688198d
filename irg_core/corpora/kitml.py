"""KIT-ML in HumanML3D's layout: 21 joints in millimetres at 12.5 frames a second, or only their 251 features."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from irg_core.motion import features
from irg_core.motion.orders import known
from irg_core.records.annotation import Rejection
from irg_core.records.motion import Take
from irg_core.sources import arrays, humanml
from irg_core.sources.entry import entry
from irg_core.sources.walking import Found

FPS = 12.5
KIT_FEATURES = 251


def read(root: Path) -> Iterator[Take | Rejection]:
    """One take for each id, or for each stretch of it that has captions of its own, in the order of ids."""
    return humanml.takes(root, _from_joints, _from_features, entry(fps=None, up="y", unit="mm", joints=None))


def _from_joints(found: Found) -> Take:
    return _take(arrays.numeric(arrays.npy(found.path)))


def _from_features(found: Found) -> Take:
    rows = arrays.numeric(arrays.npy(found.path))
    if rows.ndim != 2 or rows.shape[1] != KIT_FEATURES:
        raise ValueError(f"features of shape {rows.shape}; (frames, {KIT_FEATURES}) are needed")
    return _take(features.to_joints(rows))


def _take(joints: np.ndarray) -> Take:
    body, hierarchy = known("kit").body(joints)
    return Take("", body, FPS, (), "", "", hierarchy=hierarchy)
