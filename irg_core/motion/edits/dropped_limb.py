"""A part of the body does not join in: the arm that should wave hangs, the leg that should kick stands."""

from dataclasses import replace

import numpy as np

from irg_core.motion.flaws import OPPOSITE, Edited, Scene, change, changed, draw, frames, made_of
from irg_core.motion.stretches import DOWN, larger, placed, posed
from irg_core.motion.thresholds import KinematicsParams

PAD = 7
"""Rows on either side in which a limb leaves its place, and comes back."""
ARM = {"left": (13, 16, 18, 20), "right": (14, 17, 19, 21)}
LEG = {"left": (4, 7, 10), "right": (5, 8, 11)}
ARMED = ("wave", "raise_arms", "punch")


def edit(scene: Scene, source: np.random.Generator, limits: KinematicsParams) -> Edited | None:
    """None where no arm or leg does anything by itself."""
    able = [p for p, phase in enumerate(scene.phases) if phase.side and phase.action in (*ARMED, "kick")]
    if not able:
        return None
    place = draw(able, source)
    phase, rows = scene.phases[place], scene.rows
    start, end = frames(phase, len(rows), PAD)
    side = draw(("left", "right"), source) if phase.side == "both" else phase.side
    limb = LEG if phase.action == "kick" else ARM
    part = larger(rows[start:end], 0.0, limb[side], rise=1.0)
    if phase.action == "kick":
        foot = 0 if side == "left" else 1
        part = _standing(part, limb[side])
        part[:, DOWN.start + foot] = 1.0
    parts = [rows[:start], part, rows[end:]]
    if phase.side == "both":
        now = OPPOSITE[side]
        told = change(scene, phase, "side", "both", now, side=side)
        return made_of(parts, changed(scene.phases, place, side=now), [told])
    if len(scene.phases) < 2:
        return _alone(scene, parts, side)
    told = change(scene, phase, "missing", phase.action, "", side=side)
    return made_of(parts, [*scene.phases[:place], *scene.phases[place + 1 :]], [told])


def _alone(scene: Scene, parts: list[np.ndarray], side: str) -> Edited | None:
    """Where nothing else was to be done, somebody stands."""
    (phase,) = scene.phases
    standing = replace(phase, action="stand", side="", count=0, speed="", amplitude="", start=0.0, end=scene.seconds)
    return made_of(parts, [standing], [change(scene, phase, "missing", phase.action, "", side=side)])


def _standing(rows: np.ndarray, leg: tuple[int, ...]) -> np.ndarray:
    """The stretch with a foot where it is at both ends."""
    joints = placed(rows)
    share = np.linspace(0.0, 1.0, len(rows))[:, None, None]
    joints[:, leg] = joints[:1, leg] + share * (joints[-1:, leg] - joints[:1, leg])
    return posed(rows, joints)
