"""The grammar of a trace, once: everything that writes, reads, masks, rewards or decodes traces imports this file.

    <think> plan analyze plan ( generate plan assess plan )* generate plan assess plan </think>

Texts are plain; motions stand in them as `<Motion><Motion_17>…</Motion>`. Reading is done by an automaton over
symbols (a tag, one motion code, or a stretch of free text), so that the same automaton drives constrained decoding.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from irg_core.records.training import Segment

SENTINEL = "No refinements needed."
"""The refinement of a motion that fulfils its goal, to the letter."""

PLANS = {
    "analyse": "First I work out what the goal asks for.",
    "generate": "Now I generate a motion from this analysis.",
    "assess": "Next I check the motion against the goal.",
    "refine": "Something is off, so I refine the motion as instructed.",
    "stop": "The motion fulfils the goal, so I stop here.",
}

MOTION, MOTION_END = "<Motion>", "</Motion>"
TAGS = (
    "<think>", "</think>", "[plan]", "[/plan]", "[analyze]", "[/analyze]", "[generate]", "[/generate]",
    "[assess]", "[/assess]", MOTION, MOTION_END,
)  # fmt: skip
"""Structural symbols; each is one token of the vocabulary."""

ASSESSMENT, REFINEMENT = "Assessment: ", "\nRefinement: "

CODE, TEXT = "code", "text"
"""The two symbols that are no tags."""


@dataclass(frozen=True, slots=True)
class Round:
    """One generated motion and what was said of it."""

    motion: tuple[int, ...]
    assessment: str
    refinement: str


@dataclass(frozen=True, slots=True)
class Trace:
    """One interleaved answer; the last round's motion is the answer, and its refinement the sentinel."""

    analysis: str
    rounds: tuple[Round, ...]


@dataclass(frozen=True, slots=True)
class Malformed:
    """Why a text is no trace, and the motions that could be read all the same."""

    reason: str
    motions: tuple[tuple[int, ...], ...]


def prompt(goal: str) -> str:
    """What is asked of a model that shall answer with a trace."""
    return f"Think step by step and generate a motion for: {goal}"


def code(index: int) -> str:
    return f"<Motion_{index}>"


def motion(codes: Iterable[int]) -> str:
    """A motion as it stands in a text."""
    return MOTION + "".join(map(code, codes)) + MOTION_END


def render(trace: Trace) -> str:
    """The text of a trace. Raises `ValueError` where `parse` could not read it back."""
    text = "".join(segment.text for segment in segments(trace))
    codes = 1 + max((code for turn in trace.rounds for code in turn.motion), default=0)
    if (again := parse(text, codes)) != trace:
        raise ValueError(f"this trace does not survive its own grammar: {again}")
    return text


def segments(trace: Trace) -> list[Segment]:
    """The answer in stretches. Ignore-Incorrect: the generate block of every motion but the last carries no loss."""
    parts = [Segment(f"<think>{_plan('analyse')}[analyze]{trace.analysis}[/analyze]{_plan('generate')}", True)]
    for position, turn in enumerate(trace.rounds):
        is_last = position == len(trace.rounds) - 1
        parts.append(Segment(f"[generate]{motion(turn.motion)}[/generate]", is_last))
        judged = f"[assess]{ASSESSMENT}{turn.assessment}{REFINEMENT}{turn.refinement}[/assess]"
        parts.append(Segment(f"{_plan('assess')}{judged}{_plan('stop' if is_last else 'refine')}", True))
    return [*parts, Segment("</think>", True)]


def _plan(name: str) -> str:
    return f"[plan]{PLANS[name]}[/plan]"


# ---- the automaton ---------------------------------------------------------------------------------------------------

_BLOCKS: dict[str, list[tuple[str, str]]] = {
    "start": [("<think>", "analysis plan")],
    "analysis plan": [("[plan]", "analysis plan text")],
    "analysis plan text": [("plan:analyse", "analysis plan end")],
    "analysis plan end": [("[/plan]", "analysis")],
    "analysis": [("[analyze]", "analysis text")],
    "analysis text": [(TEXT, "analysis end")],
    "analysis end": [("[/analyze]", "generation plan")],
    "generation plan": [("[plan]", "generation plan text")],
    "generation plan text": [("plan:generate", "generation plan end")],
    "generation plan end": [("[/plan]", "generation")],
    "generation": [("[generate]", "motion")],
    "motion": [(MOTION, "first code")],
    "first code": [(CODE, "codes")],
    "codes": [(CODE, "codes"), (MOTION_END, "generation end")],
    "generation end": [("[/generate]", "assessment plan")],
    "assessment plan": [("[plan]", "assessment plan text")],
    "assessment plan text": [("plan:assess", "assessment plan end")],
    "assessment plan end": [("[/plan]", "assessment")],
    "assessment": [("[assess]", "assessment text")],
    "assessment text": [(TEXT, "assessment end")],
    "assessment end": [("[/assess]", "verdict")],
    "verdict": [("[plan]", "verdict text")],
    "verdict text": [("plan:refine", "refinement"), ("plan:stop", "satisfaction")],
    "refinement": [("[/plan]", "generation")],
    "satisfaction": [("[/plan]", "last")],
    "last": [("</think>", "end")],
    "end": [],
}
_MOVES = {state: dict(moves) for state, moves in _BLOCKS.items()}


class Grammar:
    """The automaton over symbols: a tag, `CODE`, `TEXT`, or "plan:<name>" for a sentence of `PLANS`."""

    def __init__(self) -> None:
        self.state = "start"

    @property
    def allowed(self) -> frozenset[str]:
        """The symbols that may come next; none at the end."""
        return frozenset(_MOVES[self.state])

    @property
    def finished(self) -> bool:
        return self.state == "end"

    def advance(self, symbol: str) -> None:
        """Take one step. Raises `ValueError`, and stays where it is, on a symbol that is not allowed."""
        if symbol not in self.allowed:
            expected = " or ".join(sorted(self.allowed)) or "nothing"
            raise ValueError(f"{symbol} where {expected} was due")
        self.state = _MOVES[self.state][symbol]


def parse(text: str, codes: int) -> Trace | Malformed:
    """Read a trace; anything else, also a code outside of 0…codes-1, comes back as `Malformed`, never as an error."""
    analysis, motions, verdicts = "", [], []  # type: str, list[tuple[int, ...]], list[str]
    grammar, current = Grammar(), list[int]()
    try:
        for symbol, word in _symbols(text, codes):
            state = grammar.state
            grammar.advance(symbol)
            if state == "analysis text":
                analysis = word
            elif symbol == CODE:
                current.append(int(word))
            elif symbol == MOTION_END:
                motions.append(tuple(current))
                current = []
            elif state == "assessment text":
                verdicts.append(word)
            elif state == "verdict text":
                _check_verdict(verdicts[-1], symbol)
        if not grammar.finished:
            raise ValueError(f"the text ends where {' or '.join(sorted(grammar.allowed))} was due")
        rounds = tuple(Round(codes_, *_verdict(said)) for codes_, said in zip(motions, verdicts, strict=True))
    except ValueError as error:
        return Malformed(str(error), tuple(motions))
    return Trace(analysis, rounds)


_SYMBOL = re.compile("|".join([r"<Motion_(0|[1-9][0-9]*)>", *map(re.escape, TAGS)]))
_PLAN_OF = {sentence: f"plan:{name}" for name, sentence in PLANS.items()}


def _symbols(text: str, codes: int) -> Iterator[tuple[str, str]]:
    """Cut a text into (symbol, its words); white space between tags is no text."""
    position = 0
    for match in _SYMBOL.finditer(text):
        yield from _words(text[position : match.start()])
        position = match.end()
        if match[1] is None:
            yield match[0], match[0]
        elif len(match[1]) > 9 or int(match[1]) >= codes:
            raise ValueError(f"{match[0]} is outside of the {codes} codes")
        else:
            yield CODE, match[1]
    yield from _words(text[position:])


def _words(text: str) -> Iterator[tuple[str, str]]:
    if text.strip():
        yield _PLAN_OF.get(text.strip(), TEXT), text


def _verdict(said: str) -> tuple[str, str]:
    """The assessment and the refinement in the text of an assess block."""
    assessment, found, refinement = said.removeprefix(ASSESSMENT).partition(REFINEMENT)
    if not (said.startswith(ASSESSMENT) and found and assessment.strip() and refinement.strip()):
        raise ValueError("an assess block without an assessment and a refinement")
    return assessment, refinement


def _check_verdict(said: str, plan: str) -> None:
    """A trace goes on exactly as long as something is left to refine."""
    is_satisfied = _verdict(said)[1] == SENTINEL
    if is_satisfied != (plan == "plan:stop"):
        raise ValueError("the plan to go on or to stop contradicts the refinement")
