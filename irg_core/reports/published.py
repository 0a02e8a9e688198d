"""What others published about the same corpora, to stand beside the numbers of this build."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import yaml

TABLES = Path(__file__).with_suffix(".yaml")


@dataclass(frozen=True)
class Published:
    """One published table."""

    name: str  # of the corpus
    evaluator: str
    source: str
    rows: dict[str, dict[str, float]]  # row -> metric -> number

    @property
    def columns(self) -> list[str]:
        return list(dict.fromkeys(metric for row in self.rows.values() for metric in row))


def published(formats: Iterable[str]) -> list[Published]:
    """The tables of corpora of these formats; none for corpora that nobody published numbers on."""
    tables = yaml.safe_load(TABLES.read_text(encoding="utf-8"))
    return [Published(**tables[name]) for name in sorted(set(formats)) if name in tables]
