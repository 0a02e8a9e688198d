"""One phase goes the other way: mirrored where it goes or turns left or right, else run backwards in time."""

import math

import numpy as np

from irg_core.motion.edits.mirror import swapped, swaps
from irg_core.motion.flaws import OPPOSITE, Edited, Scene, change, changed, draw, made_of, settled
from irg_core.motion.skeleton import FPS
from irg_core.motion.stretches import backwards, mirrored, stretched
from irg_core.motion.thresholds import KinematicsParams

BACKWARD_PACE = 0.65
"""People go backwards at about two thirds of their pace ahead; at the same pace it would be a hurry."""


def edit(scene: Scene, source: np.random.Generator, limits: KinematicsParams) -> Edited | None:
    """None where nothing goes or turns anywhere."""
    moving = [place for place, phase in enumerate(scene.phases) if phase.direction or not math.isnan(phase.turn)]
    if not moving:
        return None
    place = draw(moving, source)
    phase, rows = scene.phases[place], scene.rows
    start, end = settled(phase, rows)
    if phase.direction not in ("forward", "backward"):
        other = swapped(phase)
        phases = changed(scene.phases, place, side=other.side, direction=other.direction, turn=other.turn)
        return made_of([rows[:start], mirrored(rows[start:end]), rows[end:]], phases, swaps(scene, phase))
    pace = 1.0
    if phase.action == "walk":
        pace = BACKWARD_PACE if phase.direction == "forward" else 1.0 / BACKWARD_PACE
    reverse = backwards(stretched(rows[start:end], 1.0 / pace))
    longer = (len(reverse) - (end - start)) / FPS
    now = OPPOSITE[phase.direction]
    told = change(scene, phase, "direction", phase.direction, now, phase.end - phase.start + longer)
    # Nobody grades the pace of a run backwards.
    speed = phase.speed if phase.action == "walk" else ""
    phases = changed(scene.phases, place, longer, direction=now, turn=-phase.turn, speed=speed)
    return made_of([rows[:start], reverse, rows[end:]], phases, [told], 1.0 / BACKWARD_PACE)
