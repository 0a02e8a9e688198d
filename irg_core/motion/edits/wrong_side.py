"""One phase done with the other hand or foot, and leaning the other way; the rest stays as it is."""

import numpy as np

from irg_core.motion.edits.mirror import swaps
from irg_core.motion.flaws import Edited, Scene, changed, draw, frames, made_of
from irg_core.motion.stretches import mirrored
from irg_core.motion.thresholds import KinematicsParams

PAD = 3
"""Rows on either side that belong to a phase."""


def edit(scene: Scene, source: np.random.Generator, limits: KinematicsParams) -> Edited | None:
    """None where nothing is done on one side only."""
    sided = [place for place, phase in enumerate(scene.phases) if phase.side in ("left", "right")]
    if not sided or len(scene.phases) < 2:
        return None
    place = draw(sided, source)
    phase, rows = scene.phases[place], scene.rows
    changes = swaps(scene, phase)
    start, end = frames(phase, len(rows), PAD)
    phases = changed(scene.phases, place, side=changes[0].now)
    return made_of([rows[:start], mirrored(rows[start:end]), rows[end:]], phases, changes)
