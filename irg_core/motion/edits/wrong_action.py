"""One phase is replaced by another action, taken from another motion of the corpus."""

import numpy as np

from irg_core.motion.edits.extra_action import PAD, fits, is_whole, taken
from irg_core.motion.flaws import Edited, Scene, boundaries, change, draw, made_of, moved
from irg_core.motion.skeleton import FPS
from irg_core.motion.thresholds import KinematicsParams


def edit(scene: Scene, source: np.random.Generator, limits: KinematicsParams) -> Edited | None:
    """None where no other motion is at hand, or none of its actions would be one of its own here."""
    able = [
        (place, other, phase)
        for other in scene.others
        for phase in other.phases
        for place, own in enumerate(scene.phases)
        if own.action not in ("stand", phase.action)
        and is_whole(phase, other)
        and fits(phase, [*scene.phases[:place], phase, *scene.phases[place + 1 :]])
    ]
    if not able:
        return None
    place, other, phase = draw(able, source)
    part, own = taken(other, phase), scene.phases[place]
    start, end = boundaries(scene.phases, scene.rows)[place : place + 2]
    new = moved([phase], (start + PAD) / FPS - phase.start)[0]
    later = (len(part) - (end - start)) / FPS
    phases = [*scene.phases[:place], new, *moved(scene.phases[place + 1 :], later)]
    told = change(scene, own, "action", own.action, phase.action, phase.end - phase.start)
    return made_of([scene.rows[:start], part, scene.rows[end:]], phases, [told], borrowed=[other])
