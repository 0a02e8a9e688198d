"""An interview from its first question to its last, and all that came of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from irg_core.llm.budget import UNLIMITED, Budget
from irg_core.llm.chat import ChatRequest, Provider
from irg_core.llm.interview import Inquiry, Interview
from irg_core.llm.transcripts import Ledger
from irg_core.records.annotation import Rejection, Transcript


@dataclass(frozen=True)
class Answers:
    records: list[Any]
    rejections: list[Rejection]
    transcripts: list[Transcript]
    progress: dict[str, int]


def interview(
    provider: Provider, requests: Sequence[ChatRequest], read: Callable[[ChatRequest, str], Any], ledger: Ledger,
    concurrency: int, attempts: int, show_batches: Callable[..., Any] = map, budget: Budget = UNLIMITED,
) -> Answers:  # fmt: skip
    held = Interview(Inquiry(provider, "m", requests, read, attempts), ledger, concurrency, show_batches, budget)
    rows = list(held)
    return Answers(
        [row for row in rows if not isinstance(row, Rejection)],
        [row for row in rows if isinstance(row, Rejection)],
        list(ledger.used()),
        held.progress,
    )
