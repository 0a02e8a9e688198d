"""An arm does what the other one should: the body above the hips mirrored for one phase, the legs as they were."""

import numpy as np

from irg_core.motion.flaws import OPPOSITE, Edited, Scene, change, changed, draw, frames, made_of
from irg_core.motion.footing import HIPS, LEGS
from irg_core.motion.stretches import faded, mirrored_joints, placed, posed
from irg_core.motion.thresholds import KinematicsParams

ARMED = ("wave", "raise_arms", "punch")
PAD, FADE = 6, 6
"""Rows on either side that belong to a phase, and over which one pose turns into its mirror image."""
ABOVE = [joint for joint in range(1, 22) if joint not in (*HIPS, *LEGS)]


def edit(scene: Scene, source: np.random.Generator, limits: KinematicsParams) -> Edited | None:
    """None where no single arm does anything."""
    armed = [
        place for place, phase in enumerate(scene.phases) if phase.action in ARMED and phase.side in ("left", "right")
    ]
    if not armed:
        return None
    place = draw(armed, source)
    phase, rows = scene.phases[place], scene.rows
    start, end = frames(phase, len(rows), PAD)
    joints = placed(rows[start:end])
    weights = faded(len(joints), FADE)[:, None, None]
    joints[:, ABOVE] += weights * (mirrored_joints(joints)[:, ABOVE] - joints[:, ABOVE])
    now = OPPOSITE[phase.side]
    parts = [rows[:start], posed(rows[start:end], joints), rows[end:]]
    return made_of(parts, changed(scene.phases, place, side=now), [change(scene, phase, "side", phase.side, now)])
