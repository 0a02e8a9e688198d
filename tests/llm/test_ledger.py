"""The ledger under writers that die, fail, or write at the same time, and what it knows of earlier versions."""

import asyncio
import fcntl
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path

import pytest

from irg_core.errors import LedgerError, TableError
from irg_core.llm.transcripts import Ledger, kept_in
from irg_core.records.annotation import Rejection, Transcript
from irg_core.tables import commit

ROOT = Path(__file__).parents[2]
NO_TABLE = Path("no/such/table.parquet")


def transcript(key: str, reply: str = "") -> Transcript:
    name = sha256(key.encode()).hexdigest()
    return Transcript(name, "m", 10, 3, key, 0, "p", f"what of {key}?", reply or f"this of {key}")


def append(ledger: Ledger, *rows: Transcript) -> list[Transcript]:
    async def together() -> list[Transcript]:
        return list(await asyncio.gather(*(ledger.append(row, 1) for row in rows)))

    return asyncio.run(together())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "assess" / "c.jsonl"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    with closing(Ledger(path, NO_TABLE)) as opened:
        yield opened


def test_what_is_appended_is_found_with_what_it_took(ledger: Ledger, path: Path) -> None:
    rows = [transcript(key) for key in "abc"]
    assert append(ledger, *rows) == rows
    assert [ledger.find(row.request) for row in rows] == rows
    with closing(Ledger(path, NO_TABLE)) as again:
        assert [again.find(row.request) for row in rows] == rows
    assert [(line.tokens_in, line.tokens_out, line.share) for line in kept_in(path.parents[1])] == [(10, 3, 1.0)] * 3


def test_one_that_asks_has_what_another_has_answered_meanwhile(ledger: Ledger, path: Path) -> None:
    with closing(Ledger(path, NO_TABLE)) as other:
        append(other, transcript("a"))
    assert ledger.find(transcript("a").request) == transcript("a")


def test_an_answer_is_written_at_once_unless_another_writes(ledger: Ledger, path: Path) -> None:
    """No thread's turn is waited for, and while another process has the lock replies still come in."""

    async def write(key: str, turns: int) -> bool:
        writing = asyncio.create_task(ledger.write(transcript(key), 1))
        for _ in range(turns):
            await asyncio.sleep(0)
        return writing.done()

    async def both() -> None:
        assert await write("a", turns=5)
        with path.open("rb") as other:
            fcntl.flock(other, fcntl.LOCK_EX)
            assert not await write("b", turns=50)
        await ledger.flush()

    asyncio.run(both())
    assert [ledger.find(transcript(key).request) is not None for key in "ab"] == [True, True]


def test_a_line_that_became_another_since_the_run_began_is_no_answer(ledger: Ledger, path: Path) -> None:
    append(ledger, transcript("a"), transcript("b"))
    first, second = (json.dumps({"share": 1, **asdict(transcript(key))}) + "\n" for key in "ab")
    path.write_text(second + first)
    with pytest.raises(TableError, match="it was another one when the run began"):
        ledger.find(transcript("a").request)


def test_of_two_answers_to_one_question_the_first_counts_for_both(ledger: Ledger, path: Path) -> None:
    with closing(Ledger(path, NO_TABLE)) as other:
        append(other, transcript("a", "mine"))
    assert append(ledger, transcript("a", "yours"), transcript("b")) == [transcript("a", "mine"), transcript("b")]
    assert len(path.read_bytes().splitlines()) == 2


def test_only_what_was_used_goes_into_the_table(path: Path) -> None:
    with closing(Ledger(path, NO_TABLE)) as ledger:
        append(ledger, *(transcript(key) for key in "abc"))
    with closing(Ledger(path, NO_TABLE)) as ledger:
        ledger.find(transcript("b").request)
        ledger.find(transcript("b").request)
        append(ledger, transcript("d"))
        assert list(ledger.used()) == [transcript("b"), transcript("d")]


def test_a_torn_line_of_one_writer_spoils_no_line_of_another(ledger: Ledger, path: Path) -> None:
    append(ledger, transcript("a"))
    with path.open("ab") as dying:
        dying.write(b'{"share": 1, "request": "ab')
    append(ledger, transcript("b"))
    with closing(Ledger(path, NO_TABLE)) as again:
        assert [again.find(transcript(key).request) is not None for key in "ab"] == [True, True]
    assert b'"ab' not in path.read_bytes()


def test_lines_of_an_earlier_version_are_left_where_they_are(path: Path) -> None:
    path.parent.mkdir()
    old = {"request": "0" * 64, "key": "a", "provider": "p", "question": "q", "reply": "r"}
    path.write_text(json.dumps(old) + "\n")
    with closing(Ledger(path, NO_TABLE)) as ledger:
        append(ledger, transcript("a"))
        assert ledger.find("0" * 64) is None
    assert json.loads(path.read_text().splitlines()[0]) == old


def test_a_table_of_an_earlier_version_is_left_where_it_is(tmp_path: Path, path: Path) -> None:
    table = tmp_path / "old.parquet"
    commit(table, [Rejection("a", "s", "r", "d")], Rejection)
    with closing(Ledger(path, table)) as ledger:
        assert list(ledger.used()) == []


@pytest.mark.parametrize("line", ["[1]", '{"share": 1}', "oops"])
def test_a_line_that_is_no_transcript_is_named(path: Path, line: str) -> None:
    with closing(Ledger(path, NO_TABLE)) as ledger:
        append(ledger, transcript("a"))
    with path.open("a") as file:
        file.write(f"{line}\n")
    with pytest.raises(TableError, match=r"c\.jsonl, line 2 is no transcript"):
        Ledger(path, NO_TABLE)


def test_a_line_that_was_damaged_behind_its_head_is_named_when_it_is_read(path: Path) -> None:
    with closing(Ledger(path, NO_TABLE)) as ledger:
        append(ledger, transcript("a"), transcript("b"))
    path.write_bytes(path.read_bytes().replace(b"what of b", b'what" of b'))
    with closing(Ledger(path, NO_TABLE)) as ledger:
        assert ledger.find(transcript("a").request) is not None
        with pytest.raises(TableError, match="line 2 is no transcript"):
            ledger.find(transcript("b").request)


def test_what_comes_with_a_table_was_not_paid_for_here(tmp_path: Path, path: Path) -> None:
    table = tmp_path / "t.parquet"
    commit(table, [transcript(key) for key in "abc"], Transcript)
    for _ in range(2):
        with closing(Ledger(path, table)) as ledger:
            assert ledger.find(transcript("b").request) == transcript("b")
            assert list(ledger.used()) == [transcript("b")]
    assert [line.share for line in kept_in(tmp_path)] == [0.0] * 3


def test_a_full_disk_is_told_in_one_sentence_and_costs_no_line_before(
    ledger: Ledger, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(ledger, transcript("a"))
    honest = os.write
    left = 150  # bytes

    def full(file: int, data: bytes) -> int:
        nonlocal left
        if not left:
            raise OSError(28, "No space left on device")
        written = honest(file, bytes(data)[:left])
        left -= written
        return written

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(LedgerError, match=r"c\.jsonl cannot be written \(No space left on device\)"):
            append(ledger, transcript("b"), transcript("c"))
    assert append(ledger, transcript("c")) == [transcript("c")]
    with closing(Ledger(path, NO_TABLE)) as again:
        assert [again.find(transcript(key).request) is not None for key in "abc"] == [True, False, True]


WRITER = """
import asyncio, sys
from dataclasses import asdict
from pathlib import Path
from irg_core.llm.transcripts import Ledger
from tests.llm.test_ledger import NO_TABLE, transcript

async def write(ledger, who):
    await asyncio.gather(*(one(ledger, f"{who}{n}") for n in range(8)))

async def one(ledger, name):
    for number in range(1000):
        kept = await ledger.append(transcript(f"{name}.{number}", "x" * (number % 900)), 1)
        print(kept.request, flush=True)

ledger = Ledger(Path(sys.argv[1]), NO_TABLE)
print("open", flush=True)
asyncio.run(write(ledger, sys.argv[2]))
"""


@pytest.mark.services
def test_two_writers_that_are_killed_at_any_moment_lose_nothing_that_was_promised(path: Path) -> None:
    """Each prints the name of an answer when `append` has returned; what it printed must be there, and readable."""
    draw, promised = random.Random(3), set()
    for turn in range(3):
        command = [sys.executable, "-c", WRITER, str(path)]
        writers = [
            subprocess.Popen([*command, f"{turn}{who}"], cwd=ROOT, stdout=subprocess.PIPE, text=True) for who in "ab"
        ]
        for writer in writers:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "open\n"
        for writer in writers:
            time.sleep(draw.uniform(0.05, 0.3))
            writer.send_signal(signal.SIGKILL)
        for writer in writers:
            said, _ = writer.communicate()
            promised |= {line for line in said.splitlines(keepends=True) if line.endswith("\n")}
    assert len(promised) > 50
    with closing(Ledger(path, NO_TABLE)) as ledger:
        assert [name for name in promised if ledger.find(name.strip()) is None] == []
    assert all(json.loads(line)["reply"] is not None for line in path.read_bytes().splitlines())


def test_a_ledger_holds_no_text_in_memory(path: Path) -> None:
    import tracemalloc

    rows = [replace(transcript(str(number)), reply="x" * 5000) for number in range(2000)]
    with closing(Ledger(path, NO_TABLE)) as ledger:
        ledger.keep(rows, 1)
    del rows
    tracemalloc.start()
    with closing(Ledger(path, NO_TABLE)) as ledger:
        held, _ = tracemalloc.get_traced_memory()
        assert ledger.find(transcript("7").request) is not None
    tracemalloc.stop()
    assert held / 2000 < 400, "bytes an answer"


def test_a_line_is_what_its_transcript_is(ledger: Ledger, path: Path) -> None:
    append(ledger, transcript("a"))
    assert json.loads(path.read_text()) == {"share": 1, **asdict(transcript("a"))}
