"""Something is done that was not to be done, before everything else, after it or in between."""

import numpy as np

from irg_core.motion.flaws import Change, Edited, Scene, boundaries, draw, frames, made_of, merges, moved
from irg_core.motion.skeleton import FPS
from irg_core.motion.stretches import DOWN
from irg_core.motion.thresholds import KinematicsParams
from irg_core.records.motion import Phase

NEVER = ("stand", "other", "sit", "kneel", "lie", "crawl")
"""What nobody does in passing."""
PAD = 5
"""Rows on either side that an action needs to come and go."""


def edit(scene: Scene, source: np.random.Generator, limits: KinematicsParams) -> Edited | None:
    """None where no other motion is at hand, or none of its actions would be one of its own here."""
    able = [
        (place, other, phase)
        for other in scene.others
        for phase in other.phases
        for place in range(len(scene.phases) + 1)
        if is_whole(phase, other) and fits(phase, [*scene.phases[:place], phase, *scene.phases[place:]])
    ]
    if not able or not scene.phases:
        return None
    place, other, phase = draw(able, source)
    part = taken(other, phase)
    at = boundaries(scene.phases, scene.rows)[place]
    seconds = len(part) / FPS
    begins = at / FPS
    new = moved([phase], begins + PAD / FPS - phase.start)[0]
    phases = [*scene.phases[:place], new, *moved(scene.phases[place:], seconds)]
    told = Change(
        "extra", phase.action, "", phase.action, phase.side, round(new.start, 3), round(new.end, 3), 1.0,
        min(1.0, seconds / scene.seconds),
    )  # fmt: skip
    return made_of([scene.rows[:at], part, scene.rows[at:]], phases, [told], borrowed=[other])


def is_whole(phase: Phase, other: Scene) -> bool:
    """Whether a phase can be cut out of its motion: it begins and ends with a standing body."""
    start, end = frames(phase, len(other.rows), PAD)
    held = other.rows[[start, end - 1]]
    return phase.action not in NEVER and bool(held[:, DOWN].any(axis=1).all())


def fits(phase: Phase, phases: list[Phase]) -> bool:
    """Whether an action stays apart from others of its kind: what is done elsewhere again reads as an order."""
    return not merges(phases) and sum(one.action == phase.action for one in phases) == 1


def taken(other: Scene, phase: Phase) -> np.ndarray:
    """The rows of a phase of another motion."""
    return other.rows[slice(*frames(phase, len(other.rows), PAD))]
