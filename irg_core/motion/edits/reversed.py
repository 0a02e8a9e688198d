"""The whole motion backwards in time."""

import math
from dataclasses import replace

import numpy as np

from irg_core.motion.flaws import GAITS, OPPOSITE, Change, Edited, Scene, acts, change, frames, pace
from irg_core.motion.thresholds import KinematicsParams, graded
from irg_core.records.motion import Phase

SLOW = 0.8


def edit(scene: Scene, source: np.random.Generator, limits: KinematicsParams) -> Edited | None:
    """None where it would look the same."""
    phases = [_turned_round(phase, scene, limits) for phase in reversed(scene.phases)]
    was, now = acts(scene.phases), acts(phases)
    changes: list[Change] = []
    if was != now:
        first = scene.phases[0]
        changes.append(replace(change(scene, first, "order", was, now, scene.seconds - first.start), start=0.0))
    for phase, before in zip(phases, reversed(scene.phases), strict=True):
        changes += [
            replace(change(scene, before, name, getattr(before, name), value), start=phase.start, end=phase.end)
            for name in ("direction", "turn", "speed")
            if (value := getattr(phase, name))
            and not _same(value, getattr(before, name))
            and (name != "turn" or not phase.direction)
            and getattr(before, name)
        ]
    return Edited(scene.joints[::-1].copy(), phases, changes) if changes else None


def _same(one: float | str, other: float | str) -> bool:
    return one == other or (isinstance(one, float) and math.isnan(one))


def _turned_round(phase: Phase, scene: Scene, limits: KinematicsParams) -> Phase:
    """What is measured of a phase that runs backwards."""
    start, end = round(scene.seconds - phase.end, 3), round(scene.seconds - phase.start, 3)
    direction = OPPOSITE.get(phase.direction, phase.direction)
    speed = phase.speed
    if phase.action in GAITS and (cuts := limits.paces_of(phase.action, direction)):
        rows = scene.rows[slice(*frames(phase, len(scene.rows)))]
        speed = graded(pace(phase, rows, cuts, SLOW), cuts, ("slow", "normal", "fast"), limits.margin)
    elif phase.action in GAITS:
        speed = ""
    return replace(phase, start=start, end=end, direction=direction, turn=-phase.turn, speed=speed)
