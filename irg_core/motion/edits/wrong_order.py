"""Two neighbouring phases change places."""

import numpy as np

from irg_core.motion.flaws import Edited, Scene, acts, boundaries, change, draw, made_of, merges, moved
from irg_core.motion.skeleton import FPS
from irg_core.motion.thresholds import KinematicsParams
from irg_core.records.motion import Phase


def edit(scene: Scene, source: np.random.Generator, limits: KinematicsParams) -> Edited | None:
    """None where no order can be wrong: one phase, or neighbours that would then be one with others."""
    phases = list(scene.phases)
    orders = {place: _swapped(phases, place) for place in range(len(phases) - 1)}
    places = [place for place, order in orders.items() if not merges(order) and acts(order) != acts(phases)]
    if not places:
        return None
    place = draw(places, source)
    start, middle, end = boundaries(phases, scene.rows)[place : place + 3]
    rows = scene.rows
    told = change(
        scene, phases[place], "order", acts(phases), acts(orders[place]),
        phases[place + 1].end - phases[place].start,
    )  # fmt: skip
    order = orders[place]
    order[place : place + 2] = [
        *moved([order[place]], (start - middle) / FPS), *moved([order[place + 1]], (end - middle) / FPS),
    ]  # fmt: skip
    return made_of([rows[:start], rows[middle:end], rows[start:middle], rows[end:]], order, [told])


def _swapped(phases: list[Phase], place: int) -> list[Phase]:
    return [*phases[:place], phases[place + 1], phases[place], *phases[place + 2 :]]
