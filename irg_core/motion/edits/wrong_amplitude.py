"""One phase is done too large, or too small: a deeper squat, a lower kick, a higher jump."""

import numpy as np

from irg_core.motion.flaws import GRADES, Edited, Scene, change, changed, draw, frames, made_of
from irg_core.motion.signals import Signals, signals
from irg_core.motion.skeleton import FPS
from irg_core.motion.stretches import larger, placed, stretched
from irg_core.motion.thresholds import KinematicsParams
from irg_core.records.motion import Phase

PAD = 4
"""Rows on either side that belong to a phase."""
SMALL, LARGE = 0.78, 1.22
"""How far beyond the boundary of small, or of large, a wrong size goes."""
TRIALS = 5
"""Of how far a leg is to swing."""
BODY = tuple(range(22))
SWUNG = {"left": (4, 7, 10), "right": (5, 8, 11)}
"""Joints whose bones a kick swings."""


def edit(scene: Scene, source: np.random.Generator, limits: KinematicsParams) -> Edited | None:
    """None where no phase has a size that anybody would name."""
    sized = [
        place
        for place, phase in enumerate(scene.phases)
        if phase.amplitude and phase.action in limits.sizes and (phase.action != "kick" or phase.side in SWUNG)
    ]
    if not sized:
        return None
    place = draw(sized, source)
    phase, rows = scene.phases[place], scene.rows
    now = draw([name for name in GRADES["amplitude"] if name != phase.amplitude], source)
    low, high = limits.sizes[phase.action]
    wanted = {"small": low * SMALL, "normal": float(np.sqrt(low * high)), "large": high * LARGE}[now]
    start, end = frames(phase, len(rows), PAD)
    factor = wanted / _size(signals(scene.joints), phase, start, end)
    part = _scaled(rows[start:end], phase, factor)
    longer = (len(part) - (end - start)) / FPS
    told = change(scene, phase, "amplitude", phase.amplitude, now, phase.end - phase.start + longer)
    phases = changed(scene.phases, place, longer, amplitude=now)
    return made_of([rows[:start], part, rows[end:]], phases, [told], max(1.0, factor))


def _size(s: Signals, phase: Phase, start: int, end: int) -> float:
    """The size of a phase as it is graded: metres, or degrees of a bow."""
    if phase.action == "jump":
        return float(s.toes[start:end].min(axis=1).max())
    if phase.action == "kick":
        return float(s.toes[start:end].max())
    return float((s.drop if phase.action == "squat" else s.pitch)[start:end].max())


def _scaled(rows: np.ndarray, phase: Phase, factor: float) -> np.ndarray:
    if phase.action == "kick":
        return _kicked(rows, SWUNG[phase.side], factor)
    scaled = larger(rows, factor, BODY)
    # Higher takes longer: what is thrown up falls by the square of the time.
    return stretched(scaled, float(np.sqrt(factor))) if phase.action == "jump" else scaled


def _kicked(rows: np.ndarray, leg: tuple[int, ...], factor: float) -> np.ndarray:
    """The stretch with a leg swung out by angles that lift its foot `factor` times as high, found step by step."""
    wanted, angles, kicked = factor * _lift(rows, leg), float(np.sqrt(factor)), rows
    for _ in range(TRIALS):
        kicked = larger(rows, angles, leg, rise=1.0)
        angles *= float(np.sqrt(wanted / max(_lift(kicked, leg), 0.01)))
    return kicked


def _lift(rows: np.ndarray, leg: tuple[int, ...]) -> float:
    """Metres that the end of a limb rises above where it begins."""
    heights = placed(rows)[:, leg[-1], 1]
    return float(heights.max() - heights[0])
