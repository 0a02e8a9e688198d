"""What is asked, how often, and what survives a kill."""

import asyncio
import json
from contextlib import closing
from pathlib import Path

import pytest

from irg_core.errors import FactoryError, TableError
from irg_core.llm.chat import ChatRequest, ask, fingerprint, interview
from irg_core.llm.transcripts import Ledger
from irg_core.records.annotation import Rejection, Transcript
from irg_core.tables import commit

NO_TABLE = Path("no/such/table.parquet")


def request(key: str, attempt: int = 0) -> ChatRequest:
    return ChatRequest(key, "describe", "be brief", f"describe {key}", {"clip": key}, seed=7, attempt=attempt)


class Scripted:
    """Answers from a list of replies for each key, and remembers what it was asked."""

    identity = "scripted"

    def __init__(self, *replies: str) -> None:
        self.replies = replies
        self.asked: list[str] = []
        self.under_way = self.most_under_way = 0

    async def complete(self, request: ChatRequest) -> str:
        self.asked.append(request.key)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        await asyncio.sleep(0)
        self.under_way -= 1
        return self.replies[min(request.attempt, len(self.replies) - 1)].format(key=request.key)


def answers(provider: Scripted, keys: str, ledger: Ledger, concurrency: int = 3) -> list[Transcript]:
    return asyncio.run(ask(provider, [request(key) for key in keys], ledger, concurrency))


def test_answers_come_back_in_the_order_of_the_questions(tmp_path: Path) -> None:
    provider = Scripted("about {key}")
    replies = [row.reply for row in answers(provider, "abcdefgh", Ledger(tmp_path / "log.jsonl", NO_TABLE))]
    assert replies == [f"about {key}" for key in "abcdefgh"]
    assert provider.most_under_way <= 3


def test_asking_twice_pays_once(tmp_path: Path) -> None:
    provider = Scripted("about {key}")
    for _ in range(2):
        ledger = Ledger(tmp_path / "log.jsonl", NO_TABLE)
        answers(provider, "abc", ledger)
        ledger.close()
    assert sorted(provider.asked) == ["a", "b", "c"]


def test_an_answer_is_on_disk_before_it_is_used(tmp_path: Path) -> None:
    path, seen = tmp_path / "log.jsonl", []

    class Watching(Ledger):
        async def append(self, transcript: Transcript) -> None:
            await super().append(transcript)
            seen.append(transcript.reply in path.read_text())

    answers(Scripted("about {key}"), "abcdef", Watching(path, NO_TABLE))
    assert seen == [True] * 6


def test_a_torn_last_line_is_dropped_and_asked_again(tmp_path: Path) -> None:
    path, provider = tmp_path / "log.jsonl", Scripted("about {key}")
    answers(provider, "abc", Ledger(path, NO_TABLE))
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    answers(provider, "abc", Ledger(path, NO_TABLE))
    assert len(provider.asked) == 4
    assert sorted(path.read_bytes().splitlines()) == sorted(whole.splitlines())


def test_a_broken_line_in_the_middle_is_named(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    answers(Scripted("about {key}"), "ab", Ledger(path, NO_TABLE))
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], "{oops", lines[1], ""]))
    with pytest.raises(TableError, match="line 2"):
        Ledger(path, NO_TABLE)


def test_a_fresh_ledger_starts_from_the_table(tmp_path: Path) -> None:
    table, provider = tmp_path / "t.parquet", Scripted("about {key}")
    commit(table, answers(provider, "abc", Ledger(tmp_path / "one.jsonl", NO_TABLE)), Transcript)
    answers(provider, "abcd", Ledger(tmp_path / "two.jsonl", table))
    assert provider.asked == ["a", "b", "c", "d"]
    assert len((tmp_path / "two.jsonl").read_text().splitlines()) == 4


def test_whatever_could_change_an_answer_changes_its_fingerprint() -> None:
    one = request("a")
    others = [
        ChatRequest("a", "describe", "be brief", "describe a", {"clip": "b"}, 7, 0),
        ChatRequest("a", "describe", "be brief", "describe a", {"clip": "a"}, 8, 0),
        ChatRequest("a", "describe", "be long", "describe a", {"clip": "a"}, 7, 0),
        request("a", attempt=1),
    ]
    names = {fingerprint("scripted", one), fingerprint("another", one), *(fingerprint("scripted", o) for o in others)}
    assert len(names) == 6


def read_json(request: ChatRequest, text: str) -> str | Rejection:
    try:
        return str(json.loads(text)["said"])
    except ValueError:
        return Rejection(request.key, "describe", "reply is no JSON object", text)


def test_an_unreadable_reply_is_asked_for_again(tmp_path: Path) -> None:
    provider = Scripted("{{oops", '{{"said": "{key}"}}')
    got = interview(provider, [request("a")], read_json, Ledger(tmp_path / "log.jsonl", NO_TABLE), 2, attempts=2)
    assert got.records == ["a"]
    assert got.rejections == []
    assert len(got.transcripts) == 2


def test_a_reply_that_stays_unreadable_is_a_rejection(tmp_path: Path) -> None:
    provider = Scripted("oops")
    got = interview(provider, [request("a")], read_json, Ledger(tmp_path / "log.jsonl", NO_TABLE), 2, attempts=2)
    assert got.records == []
    assert [row.reason for row in got.rejections] == ["reply is no JSON object"]
    assert provider.asked == ["a", "a"]


def test_a_providers_own_error_reaches_the_stage(tmp_path: Path) -> None:
    class Broken(Scripted):
        async def complete(self, request: ChatRequest) -> str:
            raise FactoryError("no key in the environment")

    with pytest.raises(FactoryError, match="no key"):
        answers(Broken(), "ab", Ledger(tmp_path / "log.jsonl", NO_TABLE))


def test_when_one_question_fails_the_answers_beside_it_are_kept(tmp_path: Path) -> None:
    class Failing(Scripted):
        async def complete(self, request: ChatRequest) -> str:
            reply = await super().complete(request)
            if request.key == "d":
                raise FactoryError("the budget is spent")
            return reply

    log = tmp_path / "log.jsonl"
    with pytest.raises(FactoryError, match="budget"), closing(Ledger(log, NO_TABLE)) as ledger:
        answers(Failing("{key}"), "abcdefgh", ledger, concurrency=8)
    assert sorted(json.loads(line)["key"] for line in log.read_text().splitlines()) == list("abcefgh")
