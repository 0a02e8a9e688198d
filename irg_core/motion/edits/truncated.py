"""The motion stops too early: before its last phase, or in the middle of its repetitions."""

import numpy as np

from irg_core.motion.flaws import FEWEST, STEPPING, Edited, Scene, boundaries, change, changed, frames, made_of
from irg_core.motion.skeleton import FPS
from irg_core.motion.thresholds import KinematicsParams


def edit(scene: Scene, source: np.random.Generator, limits: KinematicsParams) -> Edited | None:
    """None where there is but one thing, done once."""
    if not scene.phases:
        return None
    last, rows = scene.phases[-1], scene.rows
    if len(scene.phases) > 1:
        if last.action == "stand":
            return None
        stop = boundaries(scene.phases, rows)[-2]
        return made_of([rows[:stop]], scene.phases[:-1], [change(scene, last, "missing", last.action, "", 0.0)])
    fewest = FEWEST.get(last.action, 1)
    if last.count <= fewest or last.action in STEPPING:
        return None
    start, end = frames(last, len(rows))
    kept = int(source.integers(fewest, last.count))
    stop = start + round((end - start) * kept / last.count)
    longer = (stop - end) / FPS
    told = change(scene, last, "count", last.count, kept, (stop - start) / FPS)
    return made_of([rows[:stop]], changed(scene.phases, 0, longer, count=kept), [told])
