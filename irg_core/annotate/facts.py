"""Facts of motions as tables hold them: rounded, and looked up by whatever motion is shown."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from irg_core.motion import features, kinematics
from irg_core.motion.skeleton import FPS
from irg_core.records.annotation import Flawed
from irg_core.records.motion import Facts, Phase

DECIMALS = 3
"""Facts are rounded, or the last bits of another machine's arithmetic would change tables, and with them all texts."""


def facts(motion_id: str, rows: np.ndarray) -> Facts:
    """What can be measured in one motion of features [frames, 263]."""
    # Of broken numbers nothing is said; validate_clips is there to name the clip and stop.
    phases = kinematics.measure(features.to_joints(rows)) if np.isfinite(rows).all() else []
    return Facts(motion_id, round(len(rows) / FPS, DECIMALS), [_rounded(phase) for phase in phases])


def _rounded(phase: Phase) -> Phase:
    numbers = {name: round(getattr(phase, name), DECIMALS) for name in ("start", "end", "turn", "distance")}
    return replace(phase, **numbers)


def of_motions(measured: Sequence[Facts], flawed: Sequence[Flawed]) -> dict[str, list[Phase]]:
    """The phases of each motion that can be shown, by motion_id."""
    return {row.clip_id: row.phases for row in measured} | {row.motion_id: row.phases for row in flawed}
