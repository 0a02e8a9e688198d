"""One turn on the spot goes half as far, or twice."""

import numpy as np

from irg_core.motion.flaws import Edited, Scene, change, changed, draw, made_of, settled
from irg_core.motion.skeleton import FPS
from irg_core.motion.stretches import YAW, stretched
from irg_core.motion.thresholds import KinematicsParams
from irg_core.records.motion import Phase

FARTHEST = 225.0
"""Degrees: who turns farther seems to turn the other way."""


def edit(scene: Scene, source: np.random.Generator, limits: KinematicsParams) -> Edited | None:
    """None where nobody turns by so much that half of it, or twice as much, is another turn."""
    turning = [place for place, phase in enumerate(scene.phases) if _halves(phase, limits) or _doubles(phase, limits)]
    if not turning:
        return None
    place = draw(turning, source)
    phase, rows = scene.phases[place], scene.rows
    start, end = settled(phase, rows)
    part = rows[start:end]
    if _doubles(phase, limits) and (not _halves(phase, limits) or source.random() < 0.5):
        parts, now = [part, part], 2.0 * phase.turn
    else:
        # Half the angle in half the time: as fast as it was. A small turn has no pace, and steps need their time.
        half = stretched(part, 0.5 if abs(phase.turn) / 2 > limits.turning.graded else 0.85)
        half[:, YAW] *= 0.5
        parts, now = [half], 0.5 * phase.turn
    longer = (sum(map(len, parts)) - len(part)) / FPS
    told = change(scene, phase, "turn", phase.turn, now, phase.end - phase.start + longer)
    return made_of([rows[:start], *parts, rows[end:]], changed(scene.phases, place, longer, turn=now), [told])


def _halves(phase: Phase, limits: KinematicsParams) -> bool:
    """Whether half of it is still a turn, and another one."""
    least = max(1.3 * limits.turning.tolerance, 1.1 * limits.turning.least)
    return phase.action == "turn" and abs(phase.turn) / 2 > least


def _doubles(phase: Phase, limits: KinematicsParams) -> bool:
    return phase.action == "turn" and 1.3 * limits.turning.tolerance < abs(phase.turn) < FARTHEST / 2
