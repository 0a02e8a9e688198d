"""One journey that leads straight ahead bends to one side."""

import math

import numpy as np

from irg_core.motion.flaws import Edited, Scene, change, changed, draw, made_of, settled
from irg_core.motion.stretches import YAW, faded
from irg_core.motion.thresholds import KinematicsParams

LEAST, MOST = 65.0, 110.0
"""Degrees of the bend."""
SHORTEST = 24
"""Rows: a shorter journey would turn on the spot."""


def edit(scene: Scene, source: np.random.Generator, limits: KinematicsParams) -> Edited | None:
    """None where nobody goes straight for long enough."""
    going = [
        place
        for place, phase in enumerate(scene.phases)
        if phase.action in ("walk", "run") and math.isnan(phase.turn) and phase.end - phase.start >= SHORTEST / 20
    ]
    if not going:
        return None
    place = draw(going, source)
    phase, rows = scene.phases[place], scene.rows.copy()
    start, end = settled(phase, rows)
    now = float(source.uniform(LEAST, MOST) * (1 if source.random() < 0.5 else -1))
    weights = faded(end - start, (end - start) // 4)
    rows[start:end, YAW] += math.radians(now) * weights / weights.sum()
    told = change(scene, phase, "turn", 0.0, round(now, 1))
    return made_of([rows], changed(scene.phases, place, turn=now), [told])
