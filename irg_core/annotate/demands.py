"""What a motion is held against: the words of its goal, or, where no lexicon reads them, the goal motion's facts."""

import math
from collections.abc import Sequence

from irg_core.annotate import claims
from irg_core.motion.actions import ACTIONS
from irg_core.records.motion import Phase

MOST_PHASES = 4
"""A motion that falls into more is of a kind that no detector knows (a dance, a flip), whatever they call it."""


def demand(goal: str, own: Sequence[Phase]) -> list[Phase]:
    """What the goal asks for; nothing where neither its words nor its motion can be read, and so nothing can be judged.

    Where the words leave an attribute open nothing is demanded of it, however the goal motion does it.
    """
    asked = claims.claims(goal)
    if asked and all(phase.action in ACTIONS for phase in asked):
        return asked
    return list(own) if is_understood(own) else []


def is_understood(phases: Sequence[Phase]) -> bool:
    """Whether the facts of a motion are such that something true can be said of it."""
    return 0 < len(phases) <= MOST_PHASES and all(phase.action in ACTIONS for phase in phases)


def asks_for(asked: Sequence[Phase], attribute: str, action: str) -> bool:
    """Whether this attribute of this action is demanded; that an action occurs, and when, always is.

    So is that nothing else is done.
    """
    concerned = [phase for phase in asked if phase.action == action]
    if attribute == "extra":
        return action != "stand"
    if attribute in ("missing", "action", "order"):
        return bool(concerned)
    return any(is_set(getattr(phase, attribute)) for phase in concerned)


def is_set(value: float | str) -> bool:
    """Whether an attribute says anything: not empty, not zero, not NaN."""
    return bool(value) and not (isinstance(value, float) and math.isnan(value))
