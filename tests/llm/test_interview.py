"""What is asked, how often, in what order, and what survives a failure."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from irg_core.errors import BudgetSpent, EndpointError, FactoryError, TableError
from irg_core.llm import interview as interviews
from irg_core.llm import line
from irg_core.llm.budget import Budget, Ceiling, Price, Spent
from irg_core.llm.chat import Busy, ChatRequest, Refused, Repair, Reply, fingerprint
from irg_core.llm.interview import CHUNK, MOST_BATCHES, SMALLEST_BATCH, Inquiry, Interview, Written, in_batches
from irg_core.llm.limits import NO_LIMITS
from irg_core.llm.transcripts import Ledger
from irg_core.records.annotation import Rejection, Transcript
from irg_core.tables import commit
from tests.llm.interviewing import Answers, interview

NO_TABLE = Path("no/such/table.parquet")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries follow one another at once."""
    monkeypatch.setattr(line, "FIRST_BACKOFF", 0.001)


def request(key: str, *repairs: Repair) -> ChatRequest:
    return ChatRequest(key, "describe", "be brief", f"describe {key}", {}, {"clip": key}, seed=7, repairs=repairs)


class Scripted:
    """Answers from a list of replies, one an attempt, and remembers what it was asked."""

    identity = "scripted"
    limits = NO_LIMITS
    reads_payload = True
    tries = 3

    def __init__(self, *replies: str) -> None:
        self.notes: dict[str, str] = {}
        self.sampling: dict[str, Any] = {}
        self.replies = replies
        self.asked: list[str] = []
        self.requests: list[ChatRequest] = []
        self.under_way = self.most_under_way = 0
        self.is_closed = False

    async def complete(self, request: ChatRequest) -> Reply:
        self.asked.append(request.key)
        self.requests.append(request)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        await asyncio.sleep(0)
        self.under_way -= 1
        return Reply(self.replies[min(request.attempt, len(self.replies) - 1)].format(key=request.key), 0, 0)

    async def close(self) -> None:
        self.is_closed = True


def as_it_is(request: ChatRequest, text: str) -> str | Rejection:
    return text


def read_json(request: ChatRequest, text: str) -> str | Rejection:
    try:
        return str(json.loads(text)["said"])
    except ValueError:
        return Rejection(request.key, "describe", "reply is no JSON object", "line 1")


def ask(
    provider: Scripted, keys: Iterable[str], ledger: Ledger, concurrency: int = 3,
    read: Callable[[ChatRequest, str], str | Rejection] = as_it_is, attempts: int = 1, **how: Any,
) -> Answers:  # fmt: skip
    return interview(provider, [request(key) for key in keys], read, ledger, concurrency, attempts, **how)


def test_answers_come_back_in_the_order_of_the_questions(tmp_path: Path) -> None:
    provider = Scripted("about {key}")
    assert ask(provider, "abcdefgh", Ledger(tmp_path / "log", NO_TABLE)).records == [f"about {k}" for k in "abcdefgh"]
    assert provider.most_under_way == 3
    assert provider.is_closed


def test_asking_twice_pays_once(tmp_path: Path) -> None:
    provider = Scripted("about {key}")
    for known in (0, 3):
        with closing(Ledger(tmp_path / "log", NO_TABLE)) as ledger:
            assert ask(provider, "abc", ledger).progress["from_ledger"] == known
    assert sorted(provider.asked) == ["a", "b", "c"]


def test_an_answer_is_on_disk_before_it_is_used(tmp_path: Path) -> None:
    path, seen = tmp_path / "log", []

    def look(request: ChatRequest, text: str) -> str:
        seen.append(text in path.read_text())
        return text

    ask(Scripted("about {key}"), "abcdef", Ledger(path, NO_TABLE), read=look)
    assert seen == [True] * 6


def test_a_torn_last_line_is_dropped_and_asked_again(tmp_path: Path) -> None:
    path, provider = tmp_path / "log", Scripted("about {key}")
    ask(provider, "abc", Ledger(path, NO_TABLE))
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    ask(provider, "abc", Ledger(path, NO_TABLE))
    assert len(provider.asked) == 4
    assert sorted(path.read_bytes().splitlines()) == sorted(whole.splitlines())


def test_a_broken_line_in_the_middle_is_named(tmp_path: Path) -> None:
    path = tmp_path / "log"
    ask(Scripted("about {key}"), "ab", Ledger(path, NO_TABLE))
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], "{oops", lines[1], ""]))
    with pytest.raises(TableError, match="line 2"):
        Ledger(path, NO_TABLE)


def test_a_fresh_ledger_starts_from_the_table(tmp_path: Path) -> None:
    table, provider = tmp_path / "t.parquet", Scripted("about {key}")
    commit(table, ask(provider, "abc", Ledger(tmp_path / "one", NO_TABLE)).transcripts, Transcript)
    ask(provider, "abcd", Ledger(tmp_path / "two", table))
    assert sorted(provider.asked) == ["a", "b", "c", "d"]
    assert len((tmp_path / "two").read_text().splitlines()) == 4


def test_whatever_could_change_an_answer_changes_its_fingerprint() -> None:
    one = request("a")
    others = [
        ChatRequest("a", "describe", "be brief", "describe a", {}, {"clip": "b"}, 7, ()),
        ChatRequest("a", "describe", "be brief", "describe a", {}, {"clip": "a"}, 8, ()),
        ChatRequest("a", "describe", "be long", "describe a", {}, {"clip": "a"}, 7, ()),
        ChatRequest("a", "describe", "be brief", "describe a", {"type": "object"}, {"clip": "a"}, 7, ()),
        request("a", Repair("oops", "no JSON")),
        request("a", Repair("oops", "no object")),
    ]
    another = Scripted()
    another.identity = "another"
    names = {fingerprint(another, one), *(fingerprint(Scripted(), some) for some in [one, *others])}
    assert len(names) == 8


def test_who_reads_only_words_is_not_paid_again_for_another_payload() -> None:
    words_only = Scripted()
    words_only.reads_payload = False
    other = ChatRequest("a", "describe", "be brief", "describe a", {}, {"clip": "b"}, 7, ())
    assert fingerprint(words_only, request("a")) == fingerprint(words_only, other)


def test_an_unreadable_reply_is_asked_for_again_with_its_fault_named(tmp_path: Path) -> None:
    provider = Scripted("{{oops", '{{"said": "{key}"}}')
    got = ask(provider, "a", Ledger(tmp_path / "log", NO_TABLE), read=read_json, attempts=2)
    assert got.records == ["a"]
    assert got.rejections == []
    assert len(got.transcripts) == 2
    *_, reply, repair = provider.requests[-1].messages
    assert reply == {"role": "assistant", "content": "{oops"}
    assert repair["role"] == "user"
    assert "reply is no JSON object (line 1)" in repair["content"]


def test_a_reply_that_stays_unreadable_is_a_rejection_that_quotes_it(tmp_path: Path) -> None:
    provider = Scripted("oops")
    got = ask(provider, "a", Ledger(tmp_path / "log", NO_TABLE), read=read_json, attempts=2)
    assert got.records == []
    assert [(row.reason, row.detail) for row in got.rejections] == [("reply is no JSON object", "line 1; reply: oops")]
    assert provider.asked == ["a", "a"]
    assert got.progress == {"sent": 2, "retries": 0, "from_ledger": 0, "repairs": 1}


def test_a_providers_own_error_reaches_the_stage(tmp_path: Path) -> None:
    class Broken(Scripted):
        async def complete(self, request: ChatRequest) -> Reply:
            raise FactoryError("no key in the environment")

    with pytest.raises(FactoryError, match="no key"):
        ask(Broken(), "ab", Ledger(tmp_path / "log", NO_TABLE))


class Failing(Scripted):
    """Fails at one question, while the others are under way."""

    def __init__(self, at: str, error: Exception, *replies: str) -> None:
        super().__init__(*replies)
        self.at, self.error = at, error

    async def complete(self, request: ChatRequest) -> Reply:
        if request.key == self.at:
            await asyncio.sleep(0.01)
            raise self.error
        reply = await super().complete(request)
        await asyncio.sleep(0.05)
        return reply


def test_when_one_question_stops_the_stage_the_answers_under_way_are_kept_and_nothing_more_is_asked(
    tmp_path: Path,
) -> None:
    log, provider = tmp_path / "log", Failing("d", FactoryError("the budget is spent"), "{key}")
    with pytest.raises(FactoryError, match="budget"), closing(Ledger(log, NO_TABLE)) as ledger:
        ask(provider, "abcdefghijkl", ledger, concurrency=8)
    assert sorted(json.loads(line)["key"] for line in log.read_text().splitlines()) == list("abcefgh")
    assert sorted(provider.asked) == list("abcefgh")


def test_what_the_stage_stopped_for_is_said_whatever_its_watcher_makes_of_it(tmp_path: Path) -> None:
    def wrapping(show: Callable[..., Any], batches: Iterable[Any]) -> list[Any]:
        try:
            return list(map(show, batches))
        except FactoryError as error:
            raise RuntimeError("a task failed") from error

    with pytest.raises(FactoryError, match="budget"), closing(Ledger(tmp_path / "log", NO_TABLE)) as ledger:
        ask(Failing("a", FactoryError("the budget is spent"), "{key}"), "ab", ledger, show_batches=wrapping)


def test_a_watcher_sees_every_row_once_in_hundreds_of_batches(tmp_path: Path) -> None:
    keys = [f"k{number:05d}" for number in range(9000)]
    shown: list[int] = []

    def pool(show: Callable[..., Any], batches: list[Any]) -> Iterable[Any]:
        shown.extend(map(len, batches))
        with ThreadPoolExecutor(4) as threads:
            return list(threads.map(show, batches))

    with closing(Ledger(tmp_path / "log", NO_TABLE)) as ledger:
        got = ask(Scripted("{key}"), keys, ledger, concurrency=64, show_batches=pool)
    assert got.records == keys
    assert sum(shown) == len(keys)
    assert 400 < len(shown) <= MOST_BATCHES


@pytest.mark.parametrize("rows", [0, 1, 16, 17, 8000, 8001, 100_000])
def test_batches_hold_all_rows_in_order(rows: int) -> None:
    batches = in_batches(rows)
    assert sum(map(len, batches)) == rows
    assert len(batches) <= MOST_BATCHES


def test_one_stream_drains_all_batches_whoever_looks_at_them(tmp_path: Path) -> None:
    """The last batch is asked while the watcher still sits before the first."""
    all_asked = threading.Event()

    class Counting(Scripted):
        async def complete(self, request: ChatRequest) -> Reply:
            reply = await super().complete(request)
            if len(self.asked) == 64:
                all_asked.set()
            return reply

    def late(show: Callable[..., Any], batches: list[Any]) -> Iterable[Any]:
        assert all_asked.wait(20)
        return map(show, batches)

    with closing(Ledger(tmp_path / "log", NO_TABLE)) as ledger:
        got = ask(Counting("{key}"), [f"{number:02d}" for number in range(64)], ledger, show_batches=late)
    assert len(got.records) == 64


def test_questions_are_written_when_it_is_their_turn_and_rows_are_handed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many there are, between the last one written and the first one not handed on are only so many."""
    monkeypatch.setattr(interviews, "AHEAD", 64)
    written = handed_on = furthest = 0

    def write() -> Iterator[ChatRequest]:
        nonlocal written, furthest
        for number in range(1000):
            written += 1
            furthest = max(furthest, written - handed_on)
            yield request(f"{number:04d}")

    with closing(Ledger(tmp_path / "log", NO_TABLE)) as ledger:
        inquiry: Inquiry[str | Rejection] = Inquiry(Scripted("{key}"), "m", Written(1000, write), as_it_is, 1)
        for number, row in enumerate(Interview(inquiry, ledger, 8)):
            assert row == f"{number:04d}"
            handed_on += 1
    assert (written, handed_on) == (1000, 1000)
    assert furthest <= 64 + 2 * SMALLEST_BATCH + CHUNK


@pytest.mark.parametrize("asked", [0, 1, 15, 16, 17, 40, 100])
def test_not_of_every_row_a_question_must_come(tmp_path: Path, asked: int) -> None:
    with closing(Ledger(tmp_path / "log", NO_TABLE)) as ledger:
        questions = Written(100, lambda: (request(str(number)) for number in range(asked)))
        inquiry: Inquiry[str | Rejection] = Inquiry(Scripted("{key}"), "m", questions, as_it_is, 1)
        rows = list(Interview(inquiry, ledger, 8))
    assert rows == [str(number) for number in range(asked)]


def test_a_question_that_cannot_be_written_stops_the_stage_and_what_came_is_kept(tmp_path: Path) -> None:
    def write() -> Iterator[ChatRequest]:
        for number in range(2 * CHUNK):
            yield request(str(number))
        raise TableError("the pairs are gone")

    with pytest.raises(TableError, match="the pairs are gone"), closing(Ledger(tmp_path / "log", NO_TABLE)) as ledger:
        inquiry: Inquiry[str | Rejection] = Inquiry(Scripted("{key}"), "m", Written(99, write), as_it_is, 1)
        list(Interview(inquiry, ledger, 4))
    assert len((tmp_path / "log").read_text().splitlines()) >= CHUNK


class Flaky(Scripted):
    """Busy a number of times for each key, then well."""

    def __init__(self, times: int, only: str = "", **busy: Any) -> None:
        super().__init__("{key}")
        self.times, self.only, self.busy = times, only, busy

    async def complete(self, request: ChatRequest) -> Reply:
        reply = await super().complete(request)
        if self.asked.count(request.key) <= self.times and (not self.only or request.key in self.only):
            raise Busy("it fails", **self.busy)
        return reply


def test_a_busy_endpoint_is_asked_again_up_to_its_tries(tmp_path: Path) -> None:
    provider = Flaky(times=2)
    with closing(Ledger(tmp_path / "log", NO_TABLE)) as ledger:
        got = ask(provider, "abc", ledger)
    assert got.records == ["a", "b", "c"]
    assert got.progress == {"sent": 9, "retries": 6, "from_ledger": 0, "repairs": 0}


def test_a_row_that_fails_while_others_are_answered_is_given_up(tmp_path: Path) -> None:
    with closing(Ledger(tmp_path / "log", NO_TABLE)) as ledger:
        got = ask(Flaky(times=99, only="b"), "abcdefgh", ledger)
    assert got.records == list("acdefgh")
    assert [(row.key, row.reason, row.detail) for row in got.rejections] == [
        ("b", "endpoint gave no answer", "it fails; tried 3 times")
    ]


def test_an_endpoint_that_answers_nobody_stops_the_stage(tmp_path: Path) -> None:
    with (
        pytest.raises(EndpointError, match="it fails, tried 3 times"),
        closing(Ledger(tmp_path / "l", NO_TABLE)) as log,
    ):
        ask(Flaky(times=99), "abcdefgh", log)


def test_a_row_that_always_fails_stops_no_rerun(tmp_path: Path) -> None:
    for _ in range(2):  # the second time all others come from the ledger
        with closing(Ledger(tmp_path / "log", NO_TABLE)) as ledger:
            got = ask(Flaky(times=99, only="h"), "abcdefgh", ledger, concurrency=1)
        assert got.records == list("abcdefg")
        assert [row.key for row in got.rejections] == ["h"]


def test_row_after_row_lost_stops_the_stage(tmp_path: Path) -> None:
    rows = "abcdefghijklmnop"
    with pytest.raises(EndpointError, match=r"1 replies\) is kept"), closing(Ledger(tmp_path / "log", NO_TABLE)) as log:
        ask(Flaky(times=99, only=rows[1:]), rows, log, concurrency=1)


def test_an_endpoint_that_falls_silent_stops_the_stage_and_what_came_is_kept(tmp_path: Path) -> None:
    provider = Flaky(times=99, only="efgh", was_reached=False)
    with pytest.raises(EndpointError, match=r"4 replies\) is kept"), closing(Ledger(tmp_path / "log", NO_TABLE)) as log:
        ask(provider, "abcdefgh", log, concurrency=1)
    assert len((tmp_path / "log").read_text().splitlines()) == 4


def test_before_anybody_answered_patience_is_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line, "FIRST_CONTACT", 0.0)
    provider = Flaky(times=2)
    with pytest.raises(EndpointError, match="tried once"), closing(Ledger(tmp_path / "log", NO_TABLE)) as ledger:
        ask(provider, "a", ledger)


def test_a_limit_is_no_fault_while_others_are_served(tmp_path: Path) -> None:
    """One is served at a time, all others are turned away, more often than their tries: which is once here."""

    class OneAtATime(Scripted):
        tries = 1

        async def complete(self, request: ChatRequest) -> Reply:
            if self.under_way:
                raise Busy("too many", is_limit=True)
            self.under_way += 1
            await asyncio.sleep(0.02 if self.asked else 0)
            self.under_way -= 1
            self.asked.append(request.key)
            return Reply(request.key, 0, 0)

    with closing(Ledger(tmp_path / "log", NO_TABLE)) as ledger:
        got = ask(OneAtATime(), "abcdefghijklmnop", ledger, concurrency=16)
    assert got.records == list("abcdefghijklmnop")
    assert 0 < got.progress["retries"] < 100


def test_when_one_is_told_to_wait_all_wait(tmp_path: Path) -> None:
    times: list[float] = []

    class Resting(Scripted):
        async def complete(self, request: ChatRequest) -> Reply:
            times.append(asyncio.get_running_loop().time())
            if len(times) == 1:
                raise Busy("too many", rest=0.3, is_limit=True)
            await asyncio.sleep(0.01)
            return Reply(request.key, 0, 0)

    with closing(Ledger(tmp_path / "log", NO_TABLE)) as ledger:
        ask(Resting(), "abcdef", ledger, concurrency=2)
    under_way = 1  # whoever was sent together with the first cannot be called back
    assert min(times[1 + under_way :]) - times[0] >= 0.3


def test_an_endpoint_that_wants_hours_of_rest_stops_the_stage(tmp_path: Path) -> None:
    with (
        pytest.raises(EndpointError, match="asks for a rest of 3600 s"),
        closing(Ledger(tmp_path / "log", NO_TABLE)) as ledger,
    ):
        ask(Flaky(times=1, rest=3600.0, is_limit=True), "abc", ledger)


class Refusing(Scripted):
    def __init__(self, keys: str) -> None:
        super().__init__("{key}")
        self.keys = keys

    async def complete(self, request: ChatRequest) -> Reply:
        reply = await super().complete(request)
        if request.key in self.keys:
            raise Refused("endpoint refused the request", "400 too long")
        return reply


def test_a_refused_request_costs_its_row_only(tmp_path: Path) -> None:
    with closing(Ledger(tmp_path / "log", NO_TABLE)) as ledger:
        got = ask(Refusing("ac"), "abcd", ledger)
    assert got.records == ["b", "d"]
    assert {row.reason for row in got.rejections} == {"endpoint refused the request"}


@pytest.mark.parametrize("rows", [2, 1000])
def test_when_every_request_is_refused_the_set_up_is_at_fault(tmp_path: Path, rows: int) -> None:
    provider = Refusing("a")
    with (
        pytest.raises(EndpointError, match="400 too long; it refused"),
        closing(Ledger(tmp_path / "l", NO_TABLE)) as log,
    ):
        interview(provider, [request("a")] * rows, as_it_is, log, concurrency=3, attempts=1)
    assert len(provider.asked) < 150


def test_a_refusal_is_kept_and_replayed_but_no_missing_answer_is(tmp_path: Path) -> None:
    told = []
    for provider in (Refusing("ac"), Refusing("")):
        with closing(Ledger(tmp_path / "log", NO_TABLE)) as ledger:
            told.append(ask(provider, "abcd", ledger))
    assert told[0].rejections == told[1].rejections
    assert told[0].transcripts == told[1].transcripts
    assert told[1].progress["sent"] == 0
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert {line["key"]: line["share"] for line in lines} == {"a": 0, "b": 1, "c": 0, "d": 1}
    with closing(Ledger(tmp_path / "other", NO_TABLE)) as ledger:
        ask(Flaky(times=99, only="b"), "abcd", ledger)
    assert len((tmp_path / "other").read_text().splitlines()) == 3


def test_what_a_wrong_set_up_refuses_is_not_kept(tmp_path: Path) -> None:
    with pytest.raises(EndpointError), closing(Ledger(tmp_path / "log", NO_TABLE)) as ledger:
        ask(Refusing("abcd"), "abcd", ledger)
    assert (tmp_path / "log").read_text() == ""


def test_one_row_that_is_always_one_too_many_is_lost_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line, "LONGEST_SILENCE", 0.3)
    for _ in range(2):  # the second time all others come from the ledger
        with closing(Ledger(tmp_path / "log", NO_TABLE)) as ledger:
            got = ask(Flaky(times=10**9, only="h", is_limit=True), "abcdefgh", ledger)
        assert got.records == list("abcdefg")
        assert [(row.key, row.reason) for row in got.rejections] == [("h", "endpoint gave no answer")]


def test_time_in_which_nobody_asks_is_no_silence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line, "LONGEST_SILENCE", 0.2)
    way = line.Line(provider := Flaky(times=1, is_limit=True, only="b"), 4)
    provider.tries = 1

    async def twice() -> None:
        await way.ask(request("a"))
        await asyncio.sleep(0.3)  # a long replay
        await way.ask(request("b"))

    asyncio.run(twice())
    assert provider.asked == ["a", "b", "b"]


def test_tokens_that_an_endpoint_does_not_count_are_counted_by_rule_and_paid_for(tmp_path: Path) -> None:
    provider = Scripted("about {key}")
    provider.reads_payload = False
    purse = Budget(Ceiling(0.5, None), Price(1000, 1000), Spent(0, 0), share=1, longest=30)
    keys = [f"k{number}" for number in range(60)]
    with pytest.raises(BudgetSpent), closing(Ledger(tmp_path / "log", NO_TABLE)) as ledger:
        ask(provider, keys, ledger, budget=purse)
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert 0 < len(lines) < 60
    assert 0.3 < sum(line["tokens_in"] + line["tokens_out"] for line in lines) / 1000 <= 0.5


def test_what_is_under_way_when_a_row_stops_the_stage_has_its_own_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interviews, "GRACE", 0.01)  # for whoever watches and leaves
    provider = Failing("d", FactoryError("the budget is spent"), "{key}")
    with pytest.raises(FactoryError, match="budget"), closing(Ledger(tmp_path / "log", NO_TABLE)) as ledger:
        ask(provider, "abcdefghijkl", ledger, concurrency=8)
    assert len((tmp_path / "log").read_text().splitlines()) == 7


def test_refused_rows_do_not_stop_a_stage_whose_other_rows_are_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line, "MOST_REFUSED", 2)
    for _ in range(2):
        with closing(Ledger(tmp_path / "log", NO_TABLE)) as ledger:
            got = ask(Refusing("cdef"), "abcdef", ledger, concurrency=1)
    assert (got.records, len(got.rejections)) == (["a", "b"], 4)
