"""The ledger: every paid answer on disk before anybody uses it, so that no question is ever paid for twice.

An append-only JSONL file under runs/, which no rerun deletes; the table of transcripts under data/ is written from it.
In memory are only the places of the answers, so that a million of them are a hundred megabytes.
"""

import asyncio
import dataclasses
import fcntl
import json
import os
import re
import threading
from array import array
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from irg_core import tables
from irg_core.errors import LedgerError, TableError
from irg_core.records.annotation import Transcript

FOLDER = Path("runs/ledger")

HEAD = re.compile(
    rb'\{"share": ([\d.]+), "request": "([0-9a-f]{64})", "model": ("(?:[^"\\]|\\.)*"), '
    rb'"tokens_in": (\d+), "tokens_out": (\d+), '
)
"""How a line starts: a ledger of a million lines is looked through in seconds, without reading their texts."""
TAKEN_OVER = 4096
"""Rows of the table that are written with one fsync."""
PAGE, PAGES = 1 << 13, 1 << 20
"""Bytes read at a time for one line, and for all."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A line of a ledger, as far as its head tells."""

    request: str
    model: str
    tokens_in: int
    tokens_out: int
    share: float  # of its list price that was paid here: 0 for a program's reply, and for one that came with a table


class Ledger:
    """Answers by request hash. What is appended outlives this process once written, and the machine once synced.

    Several processes may write to one ledger: each holds its lock while it appends, and first takes note of what the
    others wrote. Where two have asked the same question the first answer counts, for both.
    """

    def __init__(self, path: Path, table: Path) -> None:
        """Open the ledger at `path`; what only the transcripts `table` knows (a fresh clone's) is taken over."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        self._places: dict[bytes, int] = {}  # where the line of an answer begins, by half of its request hash
        self._used = array("Q")  # the places of the answers that this run has found or added
        self._end = 0  # so far the file is known
        self._reading = threading.Lock()
        # Waiting for another writer and syncing take their time, in which replies come in and lines are written.
        self._writer, self._syncer = ThreadPoolExecutor(1, "ledger"), ThreadPoolExecutor(1, "ledger-sync")
        self._waiting: list[tuple[bytes, Transcript, asyncio.Future[Transcript]]] = []
        self._writing: asyncio.Task[None] | None = None
        self._sync: asyncio.Task[None] | None = None
        self._next_sync: asyncio.Task[None] | None = None
        with self._alone():
            self._catch_up(heal=True)
        self._take_over(table)

    def find(self, request: str) -> Transcript | None:
        """The answer, if there is one here by now; it counts as used."""
        if (place := self._place(request)) is None:
            return None
        self._used.append(place)
        found = self._at(place)
        if found.request != request:
            raise _broken(self._path, place, "it was another one when the run began")
        return found

    def __contains__(self, request: str) -> bool:
        return self._place(request) is not None

    def used(self) -> Iterator[Transcript]:
        """Every answer that was found or added since the ledger was opened, once."""
        last = -1
        for place in sorted(self._used):
            if place != last:
                yield self._at(place)
            last = place

    async def append(self, transcript: Transcript, share: float) -> Transcript:
        """Keep an answer; the one that counts comes back once it is on disk."""
        kept = await self.write(transcript, share)
        await self.sync()
        return kept

    async def write(self, transcript: Transcript, share: float) -> Transcript:
        """Write an answer, so that it outlives this process; the one that counts comes back, to be used after `sync`.

        Raises `LedgerError` where it cannot be written.
        """
        kept: asyncio.Future[Transcript] = asyncio.get_running_loop().create_future()
        self._waiting.append((_line(transcript, share), transcript, kept))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_groups())
        return await kept

    async def sync(self) -> None:
        """Wait until all that was written so far is on disk; who waits together shares an fsync."""
        if self._next_sync is None:
            self._next_sync = asyncio.create_task(self._sync_after(self._sync))
        # Shielded: whoever is cancelled while others wait with it must not take theirs along.
        await asyncio.shield(self._next_sync)

    async def flush(self) -> None:
        """Wait until all that was given to `write` is on disk."""
        if self._writing is not None:
            await self._writing
        await self.sync()

    def keep(self, transcripts: Sequence[Transcript], share: float) -> None:
        """Append answers that came together."""
        self._write([(_line(transcript, share), transcript) for transcript in transcripts])
        self._fsync()

    def close(self) -> None:
        """Put on disk what still waits for a commit, so that a run that ends early loses no answer it has."""
        self._writer.shutdown()
        self._syncer.shutdown()
        waiting, self._waiting = self._waiting, []
        try:
            if waiting:
                self._write([(line, transcript) for line, transcript, _ in waiting])
                self._fsync()
        finally:
            os.close(self._file)

    async def _sync_after(self, earlier: asyncio.Task[None] | None) -> None:
        """An fsync that is under way may have begun before the last write: the next one waits for it."""
        if earlier is not None and not earlier.done():
            await asyncio.wait([earlier])
        self._sync, self._next_sync = self._next_sync, None
        await asyncio.get_running_loop().run_in_executor(self._syncer, self._fsync)

    def _fsync(self) -> None:
        with _in_words(self._path):
            os.fsync(self._file)

    async def _write_groups(self) -> None:
        while self._waiting:
            await asyncio.sleep(0)  # every answer that is ready by now joins this write
            group, self._waiting = self._waiting, []
            lines = [(line, transcript) for line, transcript, _ in group]
            try:
                counting = await self._written(lines)
            except Exception as error:
                for _, _, kept in group:
                    if not kept.done():
                        kept.set_exception(error)
                continue
            for (_, _, kept), transcript in zip(group, counting, strict=True):
                if not kept.done():
                    kept.set_result(transcript)
        self._writing = None

    async def _written(self, lines: Sequence[tuple[bytes, Transcript]]) -> list[Transcript]:
        """Write at once: a thread's turn takes a hundred times as long. Only another writer is waited for in one."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return await asyncio.get_running_loop().run_in_executor(self._writer, self._write, lines)
        return self._write(lines)

    def _write(self, lines: Sequence[tuple[bytes, Transcript]]) -> list[Transcript]:
        """Append lines as one piece; return the transcripts that count in their stead."""
        added: dict[bytes, int] = {}
        with self._reading, self._alone():
            self._catch_up(heal=True)
            fresh = []
            end = self._end
            for line, transcript in lines:
                name = _name(transcript.request)
                if name not in self._places and name not in added:
                    added[name] = end
                    fresh.append(line)
                    end += len(line)
            self._put(b"".join(fresh))
            self._places.update(added)
        places = [self._places[_name(transcript.request)] for _, transcript in lines]
        self._used.extend(places)
        return [
            transcript if added.get(_name(transcript.request)) == place else self._at(place)
            for place, (_, transcript) in zip(places, lines, strict=True)
        ]

    def _put(self, data: bytes) -> None:
        """Write at the end. Where that fails half-way whole lines stay, and who writes next cuts off the torn one."""
        rest = memoryview(data)
        with _in_words(self._path):
            while rest:
                rest = rest[os.write(self._file, rest) :]
        self._end += len(data)

    def _place(self, request: str) -> int | None:
        with self._reading:
            place = self._places.get(_name(request))
            if place is None and os.fstat(self._file).st_size > self._end:
                self._catch_up(heal=False)
                place = self._places.get(_name(request))
        return place

    def _catch_up(self, *, heal: bool) -> None:
        """Take note of the lines that others have appended; `heal`: cut off a last one that a kill tore.

        Only who holds the lock may cut: then nobody else is in the middle of a line.
        """
        for place, line in lines_of(self._file, self._end):
            if not line.endswith(b"\n"):
                if heal:
                    os.ftruncate(self._file, place)
                return
            if (kept := _kept(line, self._path, place)) is not None:
                self._places.setdefault(_name(kept.request), place)
            self._end = place + len(line)

    def _at(self, place: int) -> Transcript:
        line = b""
        while not line.endswith(b"\n"):
            page = os.pread(self._file, PAGE, place + len(line))
            if not page:
                break
            line += page[: page.find(b"\n") + 1 or None]
        try:
            values = json.loads(line)
            del values["share"]
            return Transcript(**values)
        except (ValueError, TypeError, KeyError) as error:
            raise _broken(self._path, place, str(error)) from error

    def _take_over(self, table: Path) -> None:
        """A table of another shape, written by an earlier version, is left aside: its prompts are others, too."""
        if not table.exists() or not tables.has_columns(table, Transcript):
            return
        rows: list[Transcript] = []
        if all(_name(request) in self._places for request in tables.keys(table)):
            return
        for row in tables.scan(table, Transcript):
            if _name(row.request) not in self._places:
                rows.append(row)
            if len(rows) == TAKEN_OVER:
                self.keep(rows, share=0)
                rows = []
        self.keep(rows, share=0)
        del self._used[:]

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """No other process appends meanwhile; the lock of one that dies is free."""
        fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)


def path_of(stage: str, corpus: str) -> Path:
    return FOLDER / stage / f"{corpus}.jsonl"


def kept_in(folder: Path) -> Iterator[Kept]:
    """What all ledgers below a folder hold; a line that is being written meanwhile is not among it."""
    for path in sorted(folder.glob("*/*.jsonl")):
        with path.open("rb") as file:
            for place, line in lines_of(file.fileno(), 0):
                if line.endswith(b"\n") and (kept := _kept(line, path, place)) is not None:
                    yield kept


def lines_of(file: int, start: int) -> Iterator[tuple[int, bytes]]:
    """The lines from a place on and where each begins; the last one may lack its end."""
    held, place = b"", start
    while page := os.pread(file, PAGES, place + len(held)):
        held += page
        *whole, rest = held.split(b"\n")
        for line in whole:
            yield place, line + b"\n"
            place += len(line) + 1
        held = rest
    if held:
        yield place, held


def _line(transcript: Transcript, share: float) -> bytes:
    return json.dumps({"share": share, **dataclasses.asdict(transcript)}, ensure_ascii=False).encode() + b"\n"


def _name(request: str) -> bytes:
    return bytes.fromhex(request)[:16]


def _kept(line: bytes, path: Path, place: int) -> Kept | None:
    """The head of a line; None for a whole line of an earlier version. Raises `TableError` for what is no such line."""
    if head := HEAD.match(line):
        share, request, model, tokens_in, tokens_out = head.groups()
        return Kept(request.decode(), json.loads(model), int(tokens_in), int(tokens_out), float(share))
    try:
        if "request" in dict(json.loads(line)):
            return None
    except (ValueError, TypeError) as error:
        raise _broken(path, place, str(error)) from error
    raise _broken(path, place, "it names no request")


def _broken(path: Path, place: int, why: str) -> TableError:
    with path.open("rb") as file:
        number = sum(1 for start, _ in lines_of(file.fileno(), 0) if start <= place)
    return TableError(f"{path}, line {number} is no transcript ({why}); remove it and rerun")


@contextmanager
def _in_words(path: Path) -> Iterator[Any]:
    try:
        yield
    except OSError as error:
        way_out = "make room and run again: what was answered before is kept"
        raise LedgerError(f"{path} cannot be written ({error.strerror}); {way_out}") from error
