"""Flaws: what an edit works on, what it says that it did, and whether that can be believed.

An edit changes a motion and names what should be measured in it now. It counts only where that is measured, and
nothing else has changed; where the feet slide no more than they did; and where nobody jumps from place to place.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from irg_core.motion import footing
from irg_core.motion.skeleton import FPS
from irg_core.motion.stretches import DOWN, POSE, TRAVEL, joined, rows_of, walked
from irg_core.motion.thresholds import KinematicsParams
from irg_core.records.motion import Phase

SHORTEST, LONGEST = 20, 240
"""Rows of an edited motion: one second, and a fifth more than the longest clip."""
OPPOSITE = {"left": "right", "right": "left", "forward": "backward", "backward": "forward"}
FEWEST = {"wave": 2}
"""Repetitions without which an action is not recognised any more; one, where not said."""
STEPPING = ("walk", "run", "sidestep", "stand")
"""Actions whose repetitions nobody counts."""
GAITS = ("walk", "run", "sidestep")
GRADES = {
    "speed": ("slow", "normal", "fast"),
    "amplitude": ("small", "normal", "large"),
}
CALM = 8
"""Rows into a pause in which the calmest moment is looked for."""
SETTLING = 12
"""Rows within which feet come to stand before a journey and after it."""
SLIDE = 0.02
"""m/s by which feet may slide more than in the source: less than can be seen."""
LEAP = 3.0
"""m/s by which the fastest joint may be faster than in the source, beyond the factor on its speed."""
CLASSES = {"easy": 1 / 3, "medium": 2 / 3, "hard": 1.01}
"""Difficulties and where they end."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A motion to be edited."""

    joints: np.ndarray  # [T, 22, 3] at 20 fps
    rows: np.ndarray  # [T, 69] as in stretches.py
    phases: Sequence[Phase]  # what is measured in it
    others: Sequence["Scene"]  # motions of the same corpus and split, from which actions can be taken

    @property
    def seconds(self) -> float:
        return len(self.rows) / FPS


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is not as it was, in the words of the facts."""

    attribute: str  # action | missing | extra | order | side | direction | turn | count | speed | amplitude
    action: str  # of the phase concerned
    was: Any  # of an action that is missing: its name; of the order: all names
    now: Any  # "" where the action is gone
    side: str  # of the body, where the change concerns one
    start: float  # seconds of the edited motion; of what is missing: where it is missed
    end: float
    size: float  # 0…1 of what could be changed; 1 is the opposite, or a whole action
    share: float  # of the source's time that is concerned


@dataclass(frozen=True, slots=True)
class Edited:
    """A motion with a flaw."""

    joints: np.ndarray  # [T, 22, 3] at 20 fps
    phases: Sequence[Phase]  # what should be measured in it
    changes: Sequence[Change]
    faster: float = 1.0  # how many times as fast as in the source some of it is meant to be
    borrowed: Sequence[Scene] = ()  # other motions that a part of it comes from


def scene(joints: np.ndarray, phases: Sequence[Phase], others: Sequence[Scene] = ()) -> Scene:
    return Scene(joints, rows_of(joints), phases, others)


def after(edited: Edited, source: Scene) -> Scene:
    """The edited motion as one to be edited again."""
    return scene(edited.joints, edited.phases, source.others)


def made_of(
    parts: Sequence[np.ndarray], phases: Sequence[Phase], changes: Sequence[Change], faster: float = 1.0,
    borrowed: Sequence[Scene] = (),
) -> Edited | None:  # fmt: skip
    """Stretches put together as an edited motion.

    None where it is too short or too long to be a clip, and where two phases would read as a single one.
    """
    if not SHORTEST <= sum(map(len, parts)) <= LONGEST or merges(phases):
        return None
    return Edited(walked(joined(parts)), phases, changes, faster, borrowed)


# ---- phases ----------------------------------------------------------------------------------------------------------


def frames(phase: Phase, length: int, pad: int = 0) -> tuple[int, int]:
    """First row and row after the last of a phase, `pad` rows wider on either side; at least four rows."""
    start = min(max(0, round(phase.start * FPS) - pad), length - 4)
    return start, min(max(start + 4, round(phase.end * FPS) + pad), length)


def settled(phase: Phase, rows: np.ndarray) -> tuple[int, int]:
    """First row and row after the last of a phase, from one moment on which both feet stand to another.

    A journey is measured from where the body moves: its first step has begun by then.
    """
    start, end = frames(phase, len(rows))
    both = rows[:, DOWN].min(axis=1) > 0.5
    before = np.flatnonzero(both[max(0, start - SETTLING) : start + 1])
    behind = np.flatnonzero(both[end - 1 : end + SETTLING])
    start = max(0, start - SETTLING) + int(before[-1]) if len(before) else start
    return start, end + int(behind[0]) if len(behind) else end


def boundaries(phases: Sequence[Phase], rows: np.ndarray) -> list[int]:
    """Rows that part the phases, in the middle of what lies between them; the first is 0, the last the end.

    Where somebody stands before or after, it is the calmest moment towards that: a limb comes to rest last.
    """
    restless = np.abs(np.diff(rows[:, POSE], axis=0, prepend=rows[:1, POSE])).sum(axis=1)
    found = [0]
    for phase, after in pairwise(phases):
        middle = min(round((phase.end + after.start) / 2 * FPS), len(rows) - 1)
        first = max(found[-1], middle - CALM) if phase.action == "stand" else middle
        last = middle + CALM if after.action == "stand" else middle
        found.append(first + int(np.argmin(restless[first : last + 1])))
    return [*found, len(rows)]


def merges(phases: Sequence[Phase]) -> bool:
    """Whether two alike stand side by side, which would read as one longer phase."""
    kinds = [(phase.action, phase.side, phase.direction) for phase in phases if phase.action != "stand"]
    return any(one == other for one, other in pairwise(kinds))


def acts(phases: Sequence[Phase]) -> list[str]:
    """What is done, in order, but for pauses: nobody asks for those, and they come and go with an edit."""
    return [phase.action for phase in phases if phase.action != "stand"]


def moved(phases: Sequence[Phase], seconds: float) -> list[Phase]:
    """The phases so much later."""
    return [replace(phase, start=phase.start + seconds, end=phase.end + seconds) for phase in phases]


def changed(phases: Sequence[Phase], place: int, longer: float = 0.0, **values: Any) -> list[Phase]:
    """The phases, of which one has other values and lasts longer by some seconds, and the rest come as much later."""
    one = replace(phases[place], end=phases[place].end + longer, **values)
    return [*phases[:place], one, *moved(phases[place + 1 :], longer)]


def draw(among: Sequence[Any], source: np.random.Generator) -> Any:
    return among[int(source.integers(len(among)))]


# ---- changes ---------------------------------------------------------------------------------------------------------


def change(
    source: Scene, phase: Phase, attribute: str, was: Any, now: Any, seconds: float | None = None, side: str = ""
) -> Change:
    """A change of one phase, which lasts so many seconds in the edited motion, or as long as before."""
    end = phase.end if seconds is None else phase.start + seconds
    share = min(1.0, max(phase.end - phase.start, end - phase.start) / source.seconds)
    return Change(
        attribute, phase.action, was, now, side or phase.side, round(phase.start, 3), round(end, 3),
        _size(attribute, was, now), share,
    )  # fmt: skip


def _size(attribute: str, was: Any, now: Any) -> float:
    """How much of what could be changed is changed."""
    if attribute in GRADES:
        grades = GRADES[attribute]
        return abs(grades.index(was) - grades.index(now)) / 2.0
    if attribute == "count":
        return float(min(1.0, abs(now - was) / was))
    if attribute == "turn":
        return float(min(1.0, abs(now - was) / 180.0))
    return 1.0


def difficulty(changes: Sequence[Change]) -> float:
    """0 … 1: how hard the flaws are to see, which is decided by the hardest of them.

    1 minus the geometric mean of how much is changed and of how long one can see it.
    """
    return round(max(1.0 - math.sqrt(one.size * one.share) for one in changes), 3)


def difficulty_class(changes: Sequence[Change]) -> str:
    hardness = difficulty(changes)
    return next(name for name, end in CLASSES.items() if hardness < end)


def truth(changes: Sequence[Change]) -> str:
    """What was changed, as JSON, for whoever checks a judge."""
    names = ("attribute", "action", "was", "now", "side", "start", "end")
    told = [{name: getattr(one, name) for name in names} for one in changes]
    values = {"changes": told, "difficulty": difficulty(changes), "class": difficulty_class(changes)}
    return json.dumps(values, sort_keys=True, allow_nan=False)


def timed(changes: Sequence[Change], measured: Sequence[Phase]) -> list[Change]:
    """The changes with the times that are measured, where there is but one phase that each can speak of."""
    found = []
    for one in changes:
        phases = [phase for phase in measured if phase.action == (one.now if one.attribute == "action" else one.action)]
        fits = len(phases) == 1 and one.attribute not in ("missing", "order")
        found.append(replace(one, start=phases[0].start, end=phases[0].end) if fits else one)
    return found


def both(first: Edited, second: Edited) -> Edited | None:
    """Two flaws in one motion, the second made in what the first one left; None where one speaks of the other."""
    actions = [{one.action for one in edited.changes} for edited in (first, second)]
    spreads = [any(one.attribute == "order" for one in edited.changes) for edited in (first, second)]
    if actions[0] & actions[1] or any(spreads):
        return None
    faster, borrowed = max(first.faster, second.faster), [*first.borrowed, *second.borrowed]
    return Edited(second.joints, second.phases, [*first.changes, *second.changes], faster, borrowed)


# ---- belief ----------------------------------------------------------------------------------------------------------


def shows(edited: Edited, measured: Sequence[Phase], limits: KinematicsParams) -> bool:
    """Whether the facts of the edited motion are those that it should have: each change, and no other."""
    if acts(edited.phases) != acts(measured):
        return False
    wanted, found = ([phase for phase in phases if phase.action != "stand"] for phases in (edited.phases, measured))
    tolerance = limits.turning.tolerance
    same = all(_agree(one, other, tolerance) for one, other in zip(wanted, found, strict=True))
    return same and all(_occurs(one, found, tolerance) for one in edited.changes)


def _agree(one: Phase, other: Phase, tolerance: float) -> bool:
    """Whether two phases of one action are alike, as far as both say anything."""
    graded = all(not (a := getattr(one, name)) or not (b := getattr(other, name)) or a == b for name in GRADES)
    counted = not one.count or not other.count or one.count == other.count
    turned = math.isnan(one.turn) or math.isnan(other.turn) or abs(one.turn - other.turn) <= tolerance
    return graded and counted and turned and (one.side, one.direction) == (other.side, other.direction)


def _occurs(one: Change, found: Sequence[Phase], tolerance: float) -> bool:
    """Whether a changed attribute is measured as it is now; which actions there are has been compared."""
    if one.attribute not in ("side", "direction", "turn", "count", "speed", "amplitude"):
        return True
    values = [getattr(phase, one.attribute) for phase in found if phase.action == one.action]
    if one.attribute == "turn":
        return any(abs(value - one.now) <= tolerance for value in values)
    return one.now in values


def plausible(edited: Edited, source: Scene) -> bool:
    """Whether a body could do this: feet slide no more than in the source, and nothing leaps from place to place."""
    origins = [one.joints for one in (source, *edited.borrowed)]
    factor = max(1.0, edited.faster)
    slides = factor * max(map(footing.slide, origins)) + SLIDE
    leaps = factor * max(map(_fastest, origins)) + LEAP
    return footing.slide(edited.joints) <= slides and _fastest(edited.joints) <= leaps


def _fastest(joints: np.ndarray) -> float:
    """m/s of the fastest joint at its fastest."""
    steps = np.diff(joints, axis=0)
    return float(np.sqrt((steps * steps).sum(axis=-1)).max()) * FPS


def pace(phase: Phase, rows: np.ndarray, cuts: tuple[float, float], slow: float) -> float:
    """Metres a second of a gait as measured; of anything else the middle of its class."""
    if phase.action in GAITS:
        travel = rows[:, TRAVEL]
        return float(np.percentile(np.sqrt((travel * travel).sum(axis=1)), 85)) * FPS
    low, high = cuts
    return {"slow": low * slow, "fast": high / slow}.get(phase.speed, math.sqrt(low * high))
