"""One phase is done far too slowly, or far too fast."""

import math

import numpy as np

from irg_core.motion.flaws import GAITS, Edited, Scene, change, changed, draw, frames, made_of, pace
from irg_core.motion.skeleton import FPS
from irg_core.motion.stretches import TRAVEL, stretched
from irg_core.motion.thresholds import KinematicsParams
from irg_core.records.motion import Phase

SLOW, FAST = 0.8, 1.17
"""How far beyond the boundary of slow, or of fast, a wrong speed goes: clearly, yet a fast walk is still no run."""


def edit(scene: Scene, source: np.random.Generator, limits: KinematicsParams) -> Edited | None:
    """None where no phase has a speed that anybody would name."""
    paced = [
        (place, cuts)
        for place, phase in enumerate(scene.phases)
        if phase.speed and (cuts := limits.paces_of(phase.action, phase.direction))
    ]
    if not paced:
        return None
    place, cuts = draw(paced, source)
    phase, rows = scene.phases[place], scene.rows
    now = {"slow": "fast", "fast": "slow"}.get(phase.speed) or ("slow", "fast")[source.integers(2)]
    start, end = frames(phase, len(rows))
    wanted = cuts[0] * SLOW if now == "slow" else cuts[1] * FAST
    factor = pace(phase, rows[start:end], cuts, SLOW) / wanted
    part = _paced(rows[start:end], phase, factor)
    longer = (len(part) - (end - start)) / FPS
    told = change(scene, phase, "speed", phase.speed, now, phase.end - phase.start + longer)
    phases = changed(scene.phases, place, longer, speed=now)
    return made_of([rows[:start], part, rows[end:]], phases, [told], 1.0 / factor)


def _paced(rows: np.ndarray, phase: Phase, factor: float) -> np.ndarray:
    """The stretch at 1 / `factor` of its speed: a gait by shorter steps as well as by slower ones, as people do."""
    if phase.action not in GAITS:
        return stretched(rows, factor)
    part = stretched(rows, math.sqrt(factor))
    part[:, TRAVEL] /= math.sqrt(factor)
    return part
