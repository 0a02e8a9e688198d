"""What an entry of `corpora:` may say about any folder of motion: the rate, the axes, the unit, the joints."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from irg_core.errors import SourceError
from irg_core.records.motion import Conventions

AXES = ("x", "y", "z", "-x", "-y", "-z")
UNITS = {"m": 1.0, "cm": 0.01, "mm": 0.001, "inch": 0.0254, "foot": 0.3048}


@dataclass(frozen=True, slots=True)
class Entry:
    """The options that all folder formats share."""

    fps: float | None  # overrides what files say of themselves
    conventions: Conventions


def entry(*, fps: Any, up: Any, unit: Any, joints: Any) -> Entry:
    """The options as they stand in params.yaml, `None` where absent. Raises `SourceError` at values of no meaning."""
    if fps is not None and not _is_positive(fps):
        raise SourceError(f"corpora: 'fps' is {fps!r}; it takes frames a second, such as 60")
    if up is not None and up not in AXES:
        raise SourceError(f"corpora: 'up' is {up!r}; it takes the axis that points up: {', '.join(AXES)}")
    if unit is not None and unit not in UNITS and not _is_positive(unit):
        raise SourceError(f"corpora: 'unit' is {unit!r}; it takes {', '.join(UNITS)} or metres a unit, such as 0.0254")
    if joints is not None and not _is_names(joints):
        raise SourceError("corpora: 'joints' maps our joints to the source's, such as {left_wrist: LeftHand}")
    metres = 0.0 if unit is None else UNITS.get(unit) or float(unit)
    return Entry(None if fps is None else float(fps), Conventions(up or "", metres, dict(joints or {})))


def _is_positive(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value > 0


def _is_names(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(name, str) for pair in value.items() for name in pair)
