"""Acts as whole sentences: captions, paraphrases, checklists, and captions that name the body parts."""

import re
from collections.abc import Sequence

import numpy as np

from irg_core.llm.wording import lexicon
from irg_core.llm.wording.clauses import Clause, pick, tidy
from irg_core.llm.wording.lexicon import Phase

NEW = ["a person", "someone", "a figure", "somebody"]
SUBJECTS = [*NEW, "the person", "the figure"]
FRAMES: list[list[str]] = [  # of one act, of two, of more: a the first, b the last, m those between
    [
        "{s} {a}", "{s} is {a:ing}", "there is {new} who {a}", "we see {new} {a:ing}", "{s} can be seen {a:ing}",
        "this is {new} {a:ing}", "in this motion {s} {a}", "{s} wants to {a:base}", "{s} is about to {a:base}",
    ],
    [
        "{s} {a}, then {b}", "{s} {a} and then {b}", "{s} {a} before {b:ing}", "after {a:ing}, {s} {b}",
        "first {s} {a}, then {b}", "{s} starts by {a:ing} and finishes by {b:ing}", "{s} {a}; after that they {b:base}",
        "{s} is {a:ing} and then {b:ing}", "we see {new} {a:ing}, followed by {b:ing}",
        "{s} begins by {a:ing}, then {b}",
        "there is {new} who {a} and then {b}", "{s} wants to {a:base} and then {b:base}",
        "{s} first {a} and then {b}",
    ],
    [
        "{s} {a}, {m} and then {b}", "{s} {a}, then {m}, and finally {b}", "first {s} {a}, next {m}, and finally {b}",
        "{s} starts by {a:ing}, then {m}, and ends by {b:ing}", "after {a:ing}, {s} {m} and then {b}",
        "{s} {a}, then {m} before {b:ing}", "{s} {a}, next {m}; after that they {b:base}",
        "{s} begins by {a:ing}, then {m} and then {b}", "{s} first {a}, then {m}, and last {b}",
        "there is {new} who {a}, then {m} and then {b}", "we see how {new} {a}, then {m}, and at the end {b}",
    ],
]  # fmt: skip
_OPENERS = [[""], ["first", "then"], ["first", "then", "finally"], ["first", "next", "then", "last"]]
_BARE = re.compile(r"^(?:the|an?) ")
_USING = ["using {}", "with {} at work", "moving {}"]


def sentence(phases: Sequence[Phase], frame: str, draw: np.random.Generator) -> str:
    """All acts in one sentence of a frame that is made for so many."""
    first, *middle, last = (Clause(phase, draw) for phase in (*phases, phases[-1])[: max(2, len(phases))])
    words = {
        "s": pick(SUBJECTS, draw),
        "new": pick(NEW, draw),
        "a": first,
        "b": last,
        "m": ", ".join(f"{one}" for one in middle),
    }
    return tidy(frame.format(**words) + ".")


def caption(phases: Sequence[Phase], draw: np.random.Generator) -> str:
    """A sentence in a frame that is drawn, of those that speak of what is, not of what is wanted."""
    frames = [frame for frame in FRAMES[min(len(phases), len(FRAMES)) - 1] if ":base" not in frame]
    return sentence(phases, pick(frames, draw), draw)


def paraphrases(phases: Sequence[Phase], draw: np.random.Generator) -> list[str]:
    """Three sentences of different build."""
    frames = FRAMES[min(len(phases), len(FRAMES)) - 1]
    return [sentence(phases, frames[place], draw) for place in draw.permutation(len(frames))[:3]]


def detailed(phases: Sequence[Phase], draw: np.random.Generator) -> str:
    """A caption that names the body parts of each step."""
    openers = _OPENERS[len(phases) - 1] if len(phases) <= len(_OPENERS) else ["first", *["then"] * (len(phases) - 1)]
    steps = []
    for opener, phase in zip(openers, phases, strict=True):
        said, moving = f"{Clause(phase, draw)}", lexicon.part(phase)
        steps.append(f"{opener} {said}" if moving in said else f"{opener} {said}, {pick(_USING, draw).format(moving)}")
    return tidy(f"{pick(SUBJECTS, draw)} {'; '.join(steps)}.")


def analysis(phases: Sequence[Phase]) -> str:
    """A checklist: action, direction, count, manner and body parts of each step; what is left open is left out."""
    return " ".join(f"{number}. {_item(phase)}." for number, phase in enumerate(phases, start=1))


def _item(phase: Phase) -> str:
    action = phase["action"]
    turn = f"{lexicon.rounded(phase['turn'])} degrees" if action == "turn" and phase["turn"] is not None else ""
    way = tidy(f"{turn} {lexicon.toward(phase['direction'])}")
    manner = [value for value in (phase["speed"], lexicon.size(phase)) if value not in ("", "normal")]
    items = [way, lexicon.times(phase["count"]), *manner, _BARE.sub("", lexicon.part(phase))]
    return f"{lexicon.noun(action, 1)}: {', '.join(filter(None, items))}"
