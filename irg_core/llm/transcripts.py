"""The ledger: every paid answer on disk before anybody uses it, so that no question is ever paid for twice.

An append-only JSONL file under runs/, which no rerun deletes; the table of transcripts under data/ is written from it.
"""

import asyncio
import dataclasses
import json
import os
from pathlib import Path

from irg_core import tables
from irg_core.errors import TableError
from irg_core.records.annotation import Transcript


class Ledger:
    """Answers by request hash. `append` returns once the line is on disk; lines that wait together share one fsync."""

    def __init__(self, path: Path, table: Path) -> None:
        """Open the ledger at `path`; what only the transcripts `table` knows (a fresh clone's) is taken over."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._answers = _read(path)
        self._file = path.open("ab")
        self._pending: list[bytes] = []
        self._commit: asyncio.Task[None] | None = None
        if table.exists():
            self._take_over(tables.read(table, Transcript))

    def find(self, request: str) -> Transcript | None:
        return self._answers.get(request)

    async def append(self, transcript: Transcript) -> None:
        self._pending.append(_line(transcript))
        if self._commit is None:
            self._commit = asyncio.create_task(self._group_commit())
        # Shielded: whoever is cancelled while others wait with it must not take their lines along.
        await asyncio.shield(self._commit)
        self._answers[transcript.request] = transcript

    def close(self) -> None:
        """Put on disk what still waits for a commit, so that a run that ends early loses no answer it has."""
        self._write(self._pending)
        self._pending = []
        self._file.close()

    async def _group_commit(self) -> None:
        await asyncio.sleep(0)  # every answer that is ready by now joins this commit
        lines, self._pending, self._commit = self._pending, [], None
        self._write(lines)

    def _take_over(self, transcripts: list[Transcript]) -> None:
        fresh = [transcript for transcript in transcripts if transcript.request not in self._answers]
        self._write([_line(transcript) for transcript in fresh])
        self._answers.update({transcript.request: transcript for transcript in fresh})

    def _write(self, lines: list[bytes]) -> None:
        self._file.write(b"".join(lines))
        self._file.flush()
        os.fsync(self._file.fileno())


def _line(transcript: Transcript) -> bytes:
    return json.dumps(dataclasses.asdict(transcript), ensure_ascii=False).encode() + b"\n"


def _read(path: Path) -> dict[str, Transcript]:
    """The answers of a ledger. A last line that a kill tore is cut off, or the next append would make it unreadable."""
    if not path.exists():
        return {}
    whole = path.read_bytes()
    if (end := whole.rfind(b"\n") + 1) < len(whole):
        os.truncate(path, end)
    answers = {}
    for number, line in enumerate(whole[:end].splitlines(), start=1):
        try:
            transcript = Transcript(**json.loads(line))
        except (ValueError, TypeError) as error:
            raise TableError(f"{path}, line {number} is no transcript ({error}); remove it and rerun") from error
        answers[transcript.request] = transcript
    return answers
