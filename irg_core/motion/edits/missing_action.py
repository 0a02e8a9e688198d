"""One of several phases is left out."""

import numpy as np

from irg_core.motion.flaws import Edited, Scene, boundaries, change, draw, made_of, merges, moved
from irg_core.motion.skeleton import FPS
from irg_core.motion.thresholds import KinematicsParams


def edit(scene: Scene, source: np.random.Generator, limits: KinematicsParams) -> Edited | None:
    """None where only one thing is done, or where its neighbours would become one."""
    able = [
        place
        for place, phase in enumerate(scene.phases)
        if phase.action != "stand" and not merges([*scene.phases[:place], *scene.phases[place + 1 :]])
    ]
    if len(scene.phases) < 2 or not able:
        return None
    place = draw(able, source)
    start, end = boundaries(scene.phases, scene.rows)[place : place + 2]
    phases = [*scene.phases[:place], *moved(scene.phases[place + 1 :], (start - end) / FPS)]
    phase = scene.phases[place]
    told = change(scene, phase, "missing", phase.action, "", 0.0)
    return made_of([scene.rows[:start], scene.rows[end:]], phases, [told])
