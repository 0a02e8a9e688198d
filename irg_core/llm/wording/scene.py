"""A goal, a motion, and what parts them, as those who speak of it see it; with the words for differences."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from irg_core.llm.wording import lexicon
from irg_core.llm.wording.clauses import pick, tidy
from irg_core.llm.wording.lexicon import Phase

Difference = dict[str, str]  # a records.motion.Difference as JSON
MOST_TOLD = 3
"""Differences that one judgement speaks of: a motion with more is another motion, and the rest would be noise."""
MOST_SEEN = 3
"""Acts of a motion that are told one by one; of more nobody keeps count."""


@dataclass(frozen=True)
class Scene:
    """A goal and a motion, as the facts have them, and the lot by which words are chosen."""

    asked: list[Phase]
    shown: list[Phase]
    differences: list[Difference]
    draw: np.random.Generator

    def pick(self, words: Sequence[str]) -> str:
        return pick(words, self.draw)

    @property
    def is_another(self) -> bool:
        """Whether the motion has nothing in common with what was asked for."""
        there = {phase["action"] for phase in self.shown}
        return bool(self.asked) and len(self.differences) > 1 and not any(p["action"] in there for p in self.asked)

    def noun(self, one: Difference) -> str:
        """What a difference is about: "kick", or "second kick" where the goal asks for several apart."""
        action = one["action"]
        same = [phase for phase in self.asked if phase["action"] == action]
        meant = [place for place, phase in enumerate(same) if _value(phase, one["attribute"]) == one["asked"]]
        ordinal = _ORDINALS[meant[0]] if len(same) > 1 and len(meant) == 1 and meant[0] < len(_ORDINALS) else ""
        return tidy(f"{ordinal} {lexicon.noun(action, 1)}")

    def is_shown(self, action: str) -> bool:
        return any(phase["action"] == action for phase in self.shown)

    def is_repeated(self, action: str) -> bool:
        """Whether the goal asks for an action in several places."""
        return sum(phase["action"] == action for phase in self.asked) > 1

    def wanted(self, action: str) -> Phase:
        """What is asked of an action, as far as it holds for each time that it is asked for."""
        same = [phase for phase in self.asked if phase["action"] == action]
        return {name: value if all(other[name] == value for other in same) else OPEN[name]
                for name, value in same[0].items()}  # fmt: skip


OPEN: dict[str, Any] = {
    "action": "", "start": None, "end": None, "side": "", "direction": "", "turn": None, "count": 0, "speed": "",
    "amplitude": "", "distance": None,
}  # fmt: skip
"""An act of which nothing is said."""
_ORDINALS = ("first", "second", "third")


def _value(phase: Phase, attribute: str) -> str:
    """An attribute as differences spell it."""
    value = phase.get(attribute, "")
    return f"{abs(value):.0f} degrees" if attribute == "turn" and value is not None else str(value)


def scene_of(facts: dict[str, Any], draw: np.random.Generator) -> Scene:
    told = facts["differences"]
    return Scene(facts["asked"], facts["shown"], [one for n, one in enumerate(told) if one not in told[:n]], draw)


# ---- words for differences -------------------------------------------------------------------------------------------

PACES = {"slow": "slow", "normal": "normal", "fast": "quick"}
SIDES = ("left", "right", "both")
_VERBS = {
    "raise_arms": "raise goes_up an_arm_raise", "stand": "stand_still stands_still standing_still",
    "lie": "lie_down lies_down lying_down", "kneel": "kneel is_down kneeling",
}  # fmt: skip
_SAID = {action: _VERBS.get(action, " ".join(ways[0].verb)).split() for action, ways in lexicon.WAYS.items()}
BASE, THIRD, DOING = ({action: said[form].replace("_", " ") for action, said in _SAID.items()} for form in range(3))
"""What to do; what a limb does that does it; doing it."""


def limb_of(side: str, action: str) -> str:
    return lexicon.limb(action, side) if action in lexicon.LIMBS else f"the {side} side"


def other_limb(side: str, beside: str, action: str) -> str:
    """The limb, after the one of the other side was named: "the right one"."""
    return f"the {side} one" if {side, beside} == {"left", "right"} else limb_of(side, action)


def degrees(turn: str) -> int:
    return lexicon.rounded(float(turn.split()[0]))


def noun_of(name: str) -> str:
    """The noun of an action as differences name it."""
    action = {"something else": "other"}.get(name, name.replace(" ", "_"))
    return lexicon.noun(action, 1) if action in lexicon.NOUNS else "movement"


def neighbour_of(one: Difference, scene: Scene) -> tuple[str, str, str] | None:
    """Where an act comes and where it should, beside one that is asked for next to it: ("before", "after", "walk")."""
    asked, shown = ([phase["action"] for phase in phases] for phases in (scene.asked, scene.shown))
    action = one["action"]
    for other in dict.fromkeys(asked):
        if other != action and all(order.count(name) == 1 for order in (asked, shown) for name in (action, other)):
            is_first, should = shown.index(action) < shown.index(other), asked.index(action) < asked.index(other)
            if is_first != should:
                return ("before", "after")[not is_first], ("before", "after")[not should], lexicon.noun(other, 1)
    return None
