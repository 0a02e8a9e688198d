"""Traces as a person reads them: what was said, with each motion shortened to its length and first codes."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from irg_core import dialogue
from irg_core.records.evaluation import Generation
from irg_core.seeds import derive

FIRST_CODES = 8
_MOTION = re.compile(re.escape(dialogue.MOTION) + r"((?:<Motion_\d+>)*)(?:" + re.escape(dialogue.MOTION_END) + ")?")
_BLOCK = re.compile(r"\[(analyze|generate|assess)\](.*?)(?:\[/\1\]|$)", re.DOTALL)
NAMES = {"analyze": "Analysis", "generate": "Motion", "assess": "Judgement"}


@dataclass(frozen=True)
class Reading:
    """One answer in paragraphs: (heading, text)."""

    model: str
    goal: str
    clip_id: str
    stop: str
    paragraphs: list[tuple[str, str]]


def readings(generations: Sequence[Generation], model: str, count: int, seed: int) -> list[Reading]:
    """Some answers of one model, drawn by lot; of each number of motions one comes first, so that loops are seen."""
    drawn = sorted(generations, key=lambda row: derive(seed, "reading", row.generation_id))
    seen: dict[int, int] = {}
    turns = []
    for row in drawn:
        turns.append((seen.setdefault(len(row.motions), 0), -len(row.motions), row))
        seen[len(row.motions)] += 1
    chosen = [row for _, _, row in sorted(turns, key=lambda turn: turn[:2])[:count]]
    return [Reading(model, row.text, row.clip_id, row.stop, paragraphs(row.answer)) for row in chosen]


def paragraphs(answer: str) -> list[tuple[str, str]]:
    """The blocks of a trace; the plans between them always say the same. An answer without blocks is one paragraph."""
    found = [(NAMES[match[1]], _shortened(match[2])) for match in _BLOCK.finditer(answer)]
    return found or [("Answer", _shortened(answer))]


def _shortened(text: str) -> str:
    return _MOTION.sub(_motion, text).strip()


def _motion(match: re.Match[str]) -> str:
    codes = re.findall(r"\d+", match[1])
    more = " …" if len(codes) > FIRST_CODES else ""
    return f"{len(codes)} codes, {len(codes) / 5:.1f} s: {' '.join(codes[:FIRST_CODES])}{more}"
