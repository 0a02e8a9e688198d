"""Traces as stories: what a model made of its goal, each motion it generated, and what it said of each."""

import re
from dataclasses import dataclass

from irg_core import dialogue
from irg_core.records.evaluation import Generation

_CODES = re.compile(r"<Motion_(\d+)>")
_BLOCK = re.compile(r"\[(analyze|generate|assess)\](.*?)(?:\[/\1\]|$)", re.DOTALL)


@dataclass(frozen=True)
class Round:
    """One motion of an answer, and what was said of it; empty where the answer ended first."""

    codes: list[int]
    assessment: str
    refinement: str


@dataclass(frozen=True)
class Reading:
    """One answer as a story."""

    goal: str
    clip_id: str  # whose caption the goal is
    stop: str
    analysis: str
    rounds: list[Round]


def reading(row: Generation) -> Reading:
    """The blocks of a trace; the plans between them always say the same. A trace that breaks off is read as far as
    it goes, and of an answer without blocks all is one motion."""
    blocks = [(match[1], match[2].strip()) for match in _BLOCK.finditer(row.answer)] or [("generate", row.answer)]
    analysis = "\n".join(text for kind, text in blocks if kind == "analyze")
    told = [(kind, text) for kind, text in blocks if kind != "analyze"]
    rounds = []
    for index, (kind, text) in enumerate(told):
        if kind == "generate":
            following, said = told[index + 1] if index + 1 < len(told) else ("", "")
            rounds.append(Round(_codes(text), *(_judgement(said) if following == "assess" else ("", ""))))
    return Reading(row.text, row.clip_id, row.stop, analysis, rounds)


def _codes(text: str) -> list[int]:
    return [int(code) for code in _CODES.findall(text)]


def _judgement(text: str) -> tuple[str, str]:
    """Assessment and refinement; a text in another form is all assessment."""
    assessment, _, refinement = text.partition(dialogue.REFINEMENT)
    return assessment.removeprefix(dialogue.ASSESSMENT).strip(), refinement.strip()
