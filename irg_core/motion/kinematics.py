"""Measured facts: what a motion does, from joint positions alone.

Events found in the signals become phases (what was done, in the order of time: the backbone that texts and checks
reason about); measures say the rest in numbers. Where a value lies near a boundary both say nothing rather than guess.
Whatever we fail to measure here, no caption can mention.
"""

import numpy as np

from irg_core.motion.events import Event, events, grouped, mask, rests
from irg_core.motion.measures import measures
from irg_core.motion.postures import postures, strangeness
from irg_core.motion.signals import Signals, runs, signals
from irg_core.motion.skeleton import FPS
from irg_core.motion.thresholds import KinematicsParams, graded
from irg_core.records.motion import Measure, Phase

FEWEST_FRAMES = 8
"""A shorter motion has no events."""
STRANGE_FRAMES = 4
"""Frames of a body that neither stands nor sits, kneels, lies or crawls, before it is said to do something else."""
ROUND_IT = 0.35
"""Seconds around a figure that no word fits in which arms, hands and feet belong to it."""


def phases(joints: np.ndarray, limits: KinematicsParams) -> list[Phase]:
    """The phases of a motion [frames, 22, 3] at 20 fps on the uniform skeleton, in the order of time."""
    return facts(joints, limits)[0]


def facts(joints: np.ndarray, limits: KinematicsParams) -> tuple[list[Phase], list[Measure]]:
    """The phases of a motion and everything else that was measured in it, both in the order of time."""
    if len(joints) < FEWEST_FRAMES:
        return [], []
    s = signals(joints)
    down = postures(s, limits)
    upright = events(s, down, limits)
    known = _ordinary(s, upright, down, limits)
    told = [_phase(group, limits) for group in grouped([*known, *rests(s, known, limits)], limits)]
    crowds = limits.crowds
    if len(told) > crowds.phases and len(told) * FPS > crowds.rate * len(joints):
        told = [_phase([Event("other", 0, len(joints) - 1)], limits)]
    return told, measures(s, known, limits)


def _ordinary(s: Signals, upright: list[Event], down: list[Event], limits: KinematicsParams) -> list[Event]:
    """Events during which the body stays upright, postures, and what is neither.

    A jump that goes head over heels is none, and an arm that goes up into a cartwheel is part of it.
    """
    kicking = mask(len(s.yaw), [event for event in upright if event.action == "kick"], 0.1)
    odd = strangeness(s, down, limits) & ~kicking
    strange = [Event("other", a, b) for a, b in runs(odd) if b - a >= STRANGE_FRAMES]
    strange = [event for event in strange if not _leads_to(event, down)]
    inside, around = mask(len(s.yaw), strange, 0.1), mask(len(s.yaw), strange, ROUND_IT)
    kept = []
    for event in upright:
        span = slice(int(event.start), int(event.end) + 1)
        if event.action == "jump" and inside[span].any():
            continue
        if event.action in ("raise_arms", "wave", "punch", "kick", "squat", "bow") and around[span].any():
            continue
        if inside[span].mean() <= 0.3:
            kept.append(event)
    return [*kept, *down, *strange]


def _leads_to(strange: Event, down: list[Event]) -> bool:
    """Whether an odd moment is only the way into a posture, or out of it."""
    return strange.end - strange.start < FPS and any(
        abs(strange.end - event.start) < 0.3 * FPS or abs(event.end - strange.start) < 0.3 * FPS for event in down
    )


# --- from events to phases ------------------------------------------------------------------------------------------


def _phase(group: list[Event], limits: KinematicsParams) -> Phase:
    first = group[0]
    turned = sum(event.turn for event in group if event.turn == event.turn)
    pace, size = (float(np.median([getattr(event, name) for event in group])) for name in ("pace", "size"))
    return Phase(
        action=first.action,
        start=round(first.start / FPS, 3),
        end=round(max(event.end for event in group) / FPS, 3),
        side=first.side,
        direction=first.direction,
        turn=round(turned, 3) if abs(turned) >= limits.turning.least else float("nan"),
        count=sum(event.count for event in group),
        speed=graded(pace, limits.paces_of(first.action, first.direction), ("slow", "normal", "fast"), limits.margin),
        amplitude=graded(size, limits.sizes.get(first.action), ("small", "normal", "large"), limits.margin),
        distance=round(sum(event.distance for event in group), 3),
    )
