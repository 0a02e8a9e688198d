"""How a stage asks: with its ledger, within its budget, online or in batches, and what is written in the end."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

from irg_core.errors import EndpointError
from irg_core.llm import batch
from irg_core.llm.batch import Delivered, Office, is_pending, wire_of
from irg_core.llm.budget import UNLIMITED, Ceiling, budget
from irg_core.llm.interview import Inquiry, Interview
from irg_core.llm.transcripts import FOLDER, Ledger, path_of
from irg_core.records.annotation import Rejection, Transcript
from irg_core.tables import Draft, commit

Record = TypeVar("Record")


class Runtime(Protocol):
    """The part of `runtime` in params.yaml that is about asking."""

    @property
    def concurrency(self) -> int: ...
    @property
    def budget_usd(self) -> float | None: ...
    @property
    def max_requests(self) -> int | None: ...


@contextmanager
def conducted(
    inquiry: Inquiry[Record], place: tuple[str, str], transcripts: Path, runtime: Runtime,
    show_batches: Callable[..., Any],
) -> Iterator[Interview[Record]]:  # fmt: skip
    """The interview of a stage for a corpus; `transcripts` are written once it was gone through without an error."""
    ceiling = Ceiling(runtime.budget_usd, runtime.max_requests)
    with closing(Ledger(path_of(*place), transcripts)) as ledger:
        wire, folder = wire_of(inquiry.provider), batch.FOLDER.joinpath(*place)
        purse = budget(inquiry.provider, inquiry.model, ceiling, FOLDER, is_batched=wire is not None)
        if wire is not None:
            refused = Office(inquiry, wire, ledger, purse, folder).answer_all()
            inquiry = replace(inquiry, provider=Delivered(inquiry.provider, refused))
        elif is_pending(folder):
            raise EndpointError(
                f"{folder} holds batches that were sent; set llm.*.mode: batch again to fetch their replies"
            )
        # What batches have brought is in the ledger, and paid for: the stage sends nothing more.
        interview = Interview(inquiry, ledger, runtime.concurrency, show_batches, purse if wire is None else UNLIMITED)
        if wire is not None:
            interview.trust()
        yield interview
        commit(transcripts, ledger.used(), Transcript)


def sort_out(rows: Iterable[Record | Rejection], records: Draft[Record], rejections: Draft[Rejection]) -> Counter[str]:
    """Put each row into its table; return how often each reason was given for a rejection."""
    reasons: Counter[str] = Counter()
    for row in rows:
        if isinstance(row, Rejection):
            reasons[row.reason] += 1
            rejections.add(row)
        else:
            records.add(row)
    return reasons
