"""The whole motion with left and right swapped."""

import math
from dataclasses import replace

import numpy as np

from irg_core.motion.flaws import OPPOSITE, Change, Edited, Scene, change, made_of
from irg_core.motion.stretches import mirrored
from irg_core.motion.thresholds import KinematicsParams
from irg_core.records.motion import Phase


def edit(scene: Scene, source: np.random.Generator, limits: KinematicsParams) -> Edited | None:
    """None where nothing is done on one side, to one side or round one way."""
    changes = [one for phase in scene.phases for one in swaps(scene, phase)]
    phases = [swapped(phase) for phase in scene.phases]
    return made_of([mirrored(scene.rows)], phases, changes) if changes else None


def swapped(phase: Phase) -> Phase:
    """What is measured of a phase once it is mirrored."""
    side = OPPOSITE.get(phase.side, phase.side)
    direction = OPPOSITE[phase.direction] if phase.direction in ("left", "right") else phase.direction
    return replace(phase, side=side, direction=direction, turn=-phase.turn)


def swaps(scene: Scene, phase: Phase) -> list[Change]:
    """What mirroring changes of a phase."""
    found = []
    if phase.side in ("left", "right"):
        found.append(change(scene, phase, "side", phase.side, OPPOSITE[phase.side]))
    if phase.direction in ("left", "right"):
        found.append(change(scene, phase, "direction", phase.direction, OPPOSITE[phase.direction]))
    elif not math.isnan(phase.turn):
        found.append(change(scene, phase, "turn", phase.turn, -phase.turn))
    return found
