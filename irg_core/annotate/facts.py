"""Facts of motions as tables hold them: rounded, and looked up by whatever motion is shown."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from irg_core.motion import kinematics, representation
from irg_core.motion.thresholds import KinematicsParams
from irg_core.records.annotation import Flawed
from irg_core.records.motion import Facts, Phase

DECIMALS = 3
"""Facts are rounded, or the last bits of another machine's arithmetic would change tables, and with them all texts."""


def facts(motion_id: str, rows: np.ndarray, limits: KinematicsParams) -> Facts:
    """What can be measured in one motion of features [frames, 263 or 251]."""
    # Of broken numbers nothing is said; validate_clips is there to name the clip and stop.
    finite = bool(np.isfinite(rows).all())
    phases, measures = kinematics.facts(representation.to_joints(rows), limits) if finite else ([], [])
    seconds = representation.of(rows.shape[1]).seconds(rows)
    return Facts(motion_id, round(seconds, DECIMALS), [_rounded(phase) for phase in phases], measures)


def _rounded(phase: Phase) -> Phase:
    numbers = {name: round(getattr(phase, name), DECIMALS) for name in ("start", "end", "turn", "distance")}
    return replace(phase, **numbers)


def of_motions(measured: Sequence[Facts], flawed: Sequence[Flawed]) -> dict[str, Facts]:
    """The facts of each motion that can be shown, by motion_id."""
    made = [Facts(row.motion_id, row.seconds, row.phases, row.measures) for row in flawed]
    return {row.clip_id: row for row in [*measured, *made]}
