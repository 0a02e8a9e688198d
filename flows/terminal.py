"""What every command shows and how: colours and moving bars on a terminal, plain lines elsewhere, JSON for programs."""

import json
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

if TYPE_CHECKING:
    from rich.console import Console

Row = TypeVar("Row")
EVERY = 10.0
"""Seconds between two lines about progress where no bar can move."""
WIDTH = 120
"""Of tables that go into a file or a pipe."""

Json = Annotated[bool, typer.Option("--json", help="for programs")]


def console() -> "Console":
    from rich.console import Console

    return Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)


def print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))


def counted(rows: Iterable[Row], what: str, total: int | None = None) -> Iterator[Row]:
    """The rows as they come, with their number, rate and remaining time on the error stream."""
    with bar(what, total) as advance:
        for row in rows:
            yield row
            advance()


@contextmanager
def bar(what: str, total: int | None) -> Iterator[Any]:
    """Yields a function to call after each row."""
    if not sys.stderr.isatty():
        yield _Lines(what, total)
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"), TimeElapsedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=total, rate="")

        def advance() -> None:
            progress.advance(task)
            speed = progress.tasks[0].speed
            progress.update(task, rate=f"{speed:.1f}/s" if speed else "")

        yield advance


class _Lines:
    """A line now and then, for logs."""

    def __init__(self, what: str, total: int | None) -> None:
        self.what = what
        self.total = total
        self.done = 0
        self.started = self.last = time.monotonic()

    def __call__(self) -> None:
        self.done += 1
        now = time.monotonic()
        if now - self.last < EVERY:
            return
        self.last = now
        rate = self.done / (now - self.started)
        of = f" of {self.total}" if self.total else ""
        left = f", about {duration((self.total - self.done) / rate)} left" if self.total else ""
        print(f"{self.what}: {self.done}{of}, {rate:.1f}/s{left}", file=sys.stderr, flush=True)


def duration(seconds: float) -> str:
    """As people say it: 8 s, 3 min 20 s, 2 h 5 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def size(count: float) -> str:
    """Bytes as people say them."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 10 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
