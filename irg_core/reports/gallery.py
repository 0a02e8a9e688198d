"""Galleries: motions beside the words about them, to be filtered by what they are and ordered by how well they went.

Which motions are shown is drawn by lot before anybody knows how they went, so failures are as many here as they are in
the whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup, escape

from irg_core.reports.player import Track

VERDICTS = ("contradicted", "supported", "unverifiable")
"""Of measured facts on a stretch of words, the gravest first."""
SCRIPT = Path(__file__).with_name("gallery.js")


@dataclass(frozen=True)
class Mark:
    """A stretch of words that measured facts bear out, or speak against."""

    words: str
    verdict: str  # one of VERDICTS


@dataclass(frozen=True)
class Saying:
    """A text, who says it, and what facts say of its parts."""

    who: str
    text: str
    marks: Sequence[Mark] = ()

    @property
    def marked(self) -> Markup:
        """The text, every marked stretch in a tag of its own; of marks that overlap the gravest counts."""
        spans: list[tuple[int, int, str]] = []
        for mark in sorted(self.marks, key=lambda mark: VERDICTS.index(mark.verdict)):
            start = self.text.lower().find(mark.words.lower().strip()) if mark.words.strip() else -1
            end = start + len(mark.words.strip())
            if start >= 0 and all(end <= low or start >= high for low, high, _ in spans):
                spans.append((start, end, mark.verdict))
        parts, position = [], 0
        for start, end, verdict in sorted(spans):
            stretch = Markup('<mark class="{}" title="{} by measured facts">{}</mark>')
            parts += [escape(self.text[position:start]), stretch.format(verdict, verdict, self.text[start:end])]
            position = end
        return Markup("").join([*parts, escape(self.text[position:])])


@dataclass(frozen=True)
class Column:
    """What stands below one panel of the player."""

    title: str
    note: str
    sayings: Sequence[Saying] = ()


@dataclass(frozen=True)
class Exhibit:
    """One goal with motions and words about them."""

    goal: str
    about: str
    analysis: str
    tags: dict[str, str]  # what it can be filtered by, in words: {"action": "walk", "outcome": "missed"}
    badness: float  # for "worst first"
    tracks: Sequence[Track]
    columns: Sequence[Column]


@dataclass(frozen=True)
class Gallery:
    """Exhibits, with the choices that their tags offer."""

    exhibits: Sequence[Exhibit]

    @property
    def choices(self) -> dict[str, dict[str, int]]:
        """Tag -> value -> number of exhibits, where there is anything to choose."""
        found: dict[str, dict[str, int]] = {}
        for exhibit in self.exhibits:
            for tag, value in exhibit.tags.items():
                counts = found.setdefault(tag, {})
                counts[value] = counts.get(value, 0) + 1
        return {tag: dict(sorted(counts.items())) for tag, counts in found.items() if len(counts) > 1}
