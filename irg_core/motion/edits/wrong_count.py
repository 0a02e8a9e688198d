"""One phase is repeated once more, or once less, than it was."""

import numpy as np

from irg_core.motion.flaws import FEWEST, STEPPING, Edited, Scene, change, changed, draw, frames, made_of
from irg_core.motion.skeleton import FPS
from irg_core.motion.stretches import repetition
from irg_core.motion.thresholds import KinematicsParams


def edit(scene: Scene, source: np.random.Generator, limits: KinematicsParams) -> Edited | None:
    """None where nothing is counted."""
    counted = [p for p, phase in enumerate(scene.phases) if phase.count > 0 and phase.action not in STEPPING]
    if not counted:
        return None
    place = draw(counted, source)
    phase, rows = scene.phases[place], scene.rows
    first, second = repetition(rows, *frames(phase, len(rows)), phase.count)
    more = -1 if phase.count > FEWEST.get(phase.action, 1) and source.random() < 0.5 else 1
    parts = [rows[:first], rows[second:]] if more < 0 else [rows[:second], rows[first:second], rows[second:]]
    longer = more * (second - first) / FPS
    now = phase.count + more
    told = change(scene, phase, "count", phase.count, now, phase.end - phase.start + longer)
    return made_of(parts, changed(scene.phases, place, longer, count=now), [told])
