"""Somebody bends the knees and swings the arms to jump, and stays on the floor."""

from dataclasses import replace

import numpy as np

from irg_core.motion.flaws import Edited, Scene, change, draw, frames, made_of
from irg_core.motion.footing import ANKLES, TOES
from irg_core.motion.stretches import DOWN, TRAVEL, larger, placed, posed
from irg_core.motion.thresholds import KinematicsParams

PAD = 6
"""Rows on either side in which a body crouches and comes to rest."""
DIP = 0.6
"""Of what counts as a squat: how far the knees give."""
ABOVE = (3, 6, 9, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21)
SWING = 0.3
"""Of the swing of arms and trunk is left."""


def edit(scene: Scene, source: np.random.Generator, limits: KinematicsParams) -> Edited | None:
    """None where nobody jumps."""
    jumping = [place for place, phase in enumerate(scene.phases) if phase.action == "jump"]
    if not jumping:
        return None
    place = draw(jumping, source)
    phase, rows = scene.phases[place], scene.rows
    start, end = frames(phase, len(rows), PAD)
    part = _grounded(rows[start:end], DIP * limits.bending.dip)
    told = change(scene, phase, "missing", "jump", "")
    standing = replace(phase, action="stand", direction="", count=0, speed="", amplitude="", distance=0.0)
    rest = [*scene.phases[:place], *scene.phases[place + 1 :]]
    return made_of([rows[:start], part, rows[end:]], rest or [standing], [told])


def _grounded(rows: np.ndarray, dip: float) -> np.ndarray:
    """The stretch with both feet where they stand at its ends; the root sinks by `dip` metres at the most."""
    joints = placed(larger(rows, SWING, ABOVE, rise=0.0))
    before, level = placed(rows), joints[:, 0, 1].copy()
    sunk = np.maximum(level - before[:, 0, 1], 0.0)
    shift = -sunk * (dip / max(dip, float(sunk.max())))
    share = np.linspace(0.0, 1.0, len(rows))[:, None, None]
    joints[..., 1] += shift[:, None]
    feet = [*ANKLES, *TOES]
    joints[:, feet] = before[:1, feet] + share * (before[-1:, feet] - before[:1, feet])
    grounded = posed(rows, joints)
    grounded[:, DOWN], grounded[:, TRAVEL] = 1.0, 0.0
    return grounded
