"""An act in words, without its subject: "kicks high with the left leg twice"."""

import re
from collections.abc import Sequence
from functools import cache
from string import Formatter

import numpy as np

from irg_core.llm.wording import lexicon
from irg_core.llm.wording.lexicon import Phase, Way

FORMS = {"base": 0, "": 1, "ing": 2}
SHORTEST_WAY = 0.75
"""Metres: of a shorter way nobody says how far it was."""
_ARTICLE = re.compile(r"\ba (?=[aeiou])")


def pick(words: Sequence[str], draw: np.random.Generator) -> str:
    return words[int(draw.integers(len(words)))]


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def tidy(text: str) -> str:
    """One blank between words, none before a comma, and "an" before a vowel."""
    return _ARTICLE.sub("an ", re.sub(r" (?=[,.;])", "", " ".join(text.split())))


def listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


class Clause:
    """An act whose way of being said is drawn; `format` asks for its form: "" third person, "ing", "base"."""

    def __init__(self, phase: Phase, draw: np.random.Generator) -> None:
        self._way = _way(phase, draw)
        self._slots = _slots(phase, draw)

    def __format__(self, form: str) -> str:
        return tidy(self._way.pattern.format(v=self._way.verb[FORMS[form]], **self._slots))


def clause(phase: Phase, form: str, draw: np.random.Generator) -> str:
    return format(Clause(phase, draw), form)


def named(phase: Phase) -> str:
    """The act as a thing: "slow walk", "two high kicks"."""
    action, count = phase["action"], phase["count"]
    pace = phase["speed"] if phase["speed"] in ("slow", "fast") else ""
    many = lexicon.number(count) if count > 1 else ""
    return tidy(f"{many} {pace} {lexicon.size(phase)} {lexicon.noun(action, count)}")


# ---- ways and slots --------------------------------------------------------------------------------------------------

_SAYS = {  # slot to what it says
    "adv": "speed", "pace": "speed", "way": "direction", "degrees": "turn", "share": "turn", "limb": "side",
    "arm": "side", "times": "count", "n": "count", "high": "amplitude", "big": "amplitude",
}  # fmt: skip


def _way(phase: Phase, draw: np.random.Generator) -> Way:
    """A way that says all there is to say, or as much of it as any does."""
    said = attributes(phase)
    able = [way for way in lexicon.WAYS[phase["action"]] if way.needs <= said]
    told = [len(_can(way.pattern) & said) for way in able]
    best = [way for way, much in zip(able, told, strict=True) if much == max(told)]
    return best[int(draw.integers(len(best)))]


def attributes(phase: Phase) -> set[str]:
    """The attributes of an act that there are words for."""
    said = {name for name in ("direction", "side", "count") if phase[name]}
    if phase["speed"] in ("slow", "fast"):
        said.add("speed")
    if phase["amplitude"] in lexicon.HEIGHTS.get(phase["action"], {}):
        said.add("amplitude")
    if phase["turn"] is not None and phase["action"] == "turn":
        said |= {"turn", "share"} if lexicon.rounded(phase["turn"]) in lexicon.SHARES else {"turn"}
    return said


@cache
def _can(pattern: str) -> frozenset[str]:
    """The attributes that a pattern has slots for."""
    return frozenset(_SAYS[name] for _, name, _, _ in Formatter().parse(pattern) if name in _SAYS)


def _slots(phase: Phase, draw: np.random.Generator) -> dict[str, str]:
    action, side, count, size = phase["action"], phase["side"], phase["count"], phase["amplitude"]
    is_sided = action in lexicon.LIMBS
    degrees, share = _turned(phase, draw)
    by = "on" if action == "kneel" else "with"
    return {
        "way": lexicon.toward(phase["direction"]),
        "adv": pick(lexicon.ADVERBS.get(phase["speed"], [""]), draw),
        "pace": pick(lexicon.PACES.get(phase["speed"], [""]), draw),
        "far": _far(phase, draw),
        "limb": f"{by} {lexicon.limb(action, side)}" if is_sided and side else "",
        "arm": lexicon.limb(action, side) if is_sided else "",
        "times": lexicon.times(count),
        "n": "a" if count == 1 else lexicon.number(count),
        "noun": lexicon.noun(action, count),
        "high": pick(lexicon.HEIGHTS.get(action, {}).get(size, [""]), draw),
        "big": lexicon.size(phase),
        "degrees": degrees,
        "share": share,
    }


def _turned(phase: Phase, draw: np.random.Generator) -> tuple[str, str]:
    """The size of a turn, as a measure and as the adjective of a turn."""
    if phase["action"] != "turn" or phase["turn"] is None:
        return "", ""
    size = lexicon.rounded(phase["turn"])
    return pick([f"{size} degrees", f"about {size} degrees"], draw), lexicon.SHARES.get(size, "")


def _far(phase: Phase, draw: np.random.Generator) -> str:
    """How far it goes, to half a metre; only said of what was measured, and then only at times."""
    distance = phase["distance"]
    if distance is None or distance < SHORTEST_WAY or draw.random() < 0.5:
        return ""
    halves = max(2, round(distance * 2))
    whole = lexicon.number(halves // 2)
    if halves % 2:
        whole = f"{whole} and a half"
    return f"for about {whole} {'meter' if halves == 2 else 'meters'}"
