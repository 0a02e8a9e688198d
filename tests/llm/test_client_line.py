"""The way to an endpoint in bad times: outages, limits a minute, and a mix of all faults."""

import asyncio
import hashlib
import json
import threading
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from irg_core.annotate.asking import Reply, read_reply
from irg_core.errors import EndpointError
from irg_core.llm import limits, line
from irg_core.llm.chat import ChatRequest
from irg_core.llm.limits import Limits
from irg_core.llm.openai import Provider
from irg_core.llm.transcripts import Ledger
from irg_core.records.annotation import Rejection
from tests.llm.endpoint import Response, Script, endpoint, failed, said
from tests.llm.interviewing import Answers, interview
from tests.llm.test_openai import key, settings

__all__ = ["key"]  # a fixture


class Said(Reply):
    said: str


def request(number: int) -> ChatRequest:
    schema = Said.model_json_schema()
    return ChatRequest(f"c/{number}", "describe", "You describe.", f"Describe {number}.", schema, {}, number, ())


def read(asked: ChatRequest, text: str) -> Said | Rejection:
    return read_reply(Said, asked, text)


def ask(script: Script, folder: Path, rows: int, concurrency: int = 8, attempts: int = 3, **changed: Any) -> Answers:
    with endpoint(script) as served, closing(Ledger(folder / "log", folder / "none")) as ledger:
        provider = Provider("m", settings(served.url, **changed))
        return interview(provider, [request(number) for number in range(rows)], read, ledger, concurrency, attempts)


def row_of(body: dict[str, Any]) -> int:
    return int(body["messages"][1]["content"].split()[1].rstrip("."))


def test_an_outage_that_passes_costs_no_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line, "FIRST_BACKOFF", 0.05)
    began = time.monotonic()

    def script(body: dict[str, Any]) -> Response:
        is_down = 0.3 < time.monotonic() - began < 1.3
        return failed(502, "down") if is_down else Response(said('{"said": "x"}').body, seconds=0.02)

    got = ask(script, tmp_path, rows=400, tries=8)
    assert len(got.records) == 400
    assert got.progress["retries"] < 40, "while nobody is answered only probes are sent"


def test_an_outage_that_lasts_stops_the_run_and_loses_no_row(tmp_path: Path) -> None:
    answered = Counter[str]()

    def script(body: dict[str, Any]) -> Response:
        answered["sent"] += 1
        return failed(502, "down") if answered["sent"] > 50 else said('{"said": "x"}')

    with pytest.raises(EndpointError, match=r"fails: 502 down, tried 3 times; .*\(50 replies\) is kept"):
        ask(script, tmp_path, rows=400, concurrency=32)
    assert len((tmp_path / "log").read_text().splitlines()) == 50
    assert answered["sent"] < 150


def test_a_few_rows_that_always_fail_are_lost_alone(tmp_path: Path) -> None:
    got = ask(lambda body: failed(500, "no") if row_of(body) % 50 == 0 else said('{"said": "x"}'), tmp_path, rows=300)
    assert sorted(row.key for row in got.rejections) == sorted(f"c/{number}" for number in range(0, 300, 50))
    assert {row.reason for row in got.rejections} == {"endpoint gave no answer"}


def test_requests_a_minute_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MINUTE", 1.0)
    times: list[float] = []

    def script(body: dict[str, Any]) -> Response:
        times.append(time.monotonic())
        return said('{"said": "x"}')

    got = ask(script, tmp_path, rows=60, limits=Limits(40, 0))
    assert len(got.records) == 60
    assert got.progress["retries"] == 0
    assert times[59] - times[0] >= 1.3, "60 requests, 4 in each tenth of what is a minute here, 40 in the whole"


def test_tokens_a_minute_are_kept_by_what_was_used_in_truth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MINUTE", 1.0)
    times: list[float] = []

    def script(body: dict[str, Any]) -> Response:
        times.append(time.monotonic())
        completion = json.loads(said('{"said": "x"}').body)
        completion["usage"] = {"prompt_tokens": 80, "completion_tokens": 20}
        return Response(json.dumps(completion).encode())

    got = ask(script, tmp_path, rows=30, limits=Limits(0, 2000))
    assert len(got.records) == 30
    assert times[-1] - times[0] >= 0.9, "two in each tenth, twenty in the whole"


STUBBORN = 25
GOOD = '{"said": "a person walks."}'


def mixed() -> Script:
    """One try in five meets a fault, each row twice at most; one row in so many is never answered well."""
    tries, lock = Counter[int](), threading.Lock()
    faults = [
        failed(429, "slow down"), failed(429, "slow down", Retry_After="0.05"), failed(500, "oops"),
        Response(b"", seconds=5), said(GOOD[:15]), said('{"say": 3}'), said(""), said("", refusal="I cannot."),
        Response(said(GOOD).body, is_cut=True),
    ]  # fmt: skip

    def script(body: dict[str, Any]) -> Response:
        row = row_of(body)
        if row % STUBBORN == 0:
            return said("", refusal="I cannot.")
        with lock:
            tries[row] += 1
            draw = hashlib.sha256(f"{row} {tries[row]}".encode()).digest()
        return faults[draw[1] % len(faults)] if tries[row] <= 2 and draw[0] < 51 else said(GOOD)

    return script


def test_of_a_mix_of_faults_all_that_can_be_had_is_delivered_and_all_else_has_a_reason(tmp_path: Path) -> None:
    got = ask(mixed(), tmp_path, rows=250, tries=6, timeout=0.4)
    assert len(got.records) == 250 - 250 // STUBBORN
    assert sorted(row.key for row in got.rejections) == sorted(f"c/{number}" for number in range(0, 250, STUBBORN))
    assert {row.reason for row in got.rejections} == {"reply is no JSON object"}
    assert all("I cannot." in row.detail for row in got.rejections)


def test_who_stops_waiting_for_a_turn_takes_nobodys_place() -> None:
    from irg_core.llm.chat import Halted
    from irg_core.llm.limits import NO_LIMITS, Allowance
    from irg_core.llm.line import Turnstile
    from irg_core.llm.pacing import Pacing

    async def turns() -> None:
        gate = Turnstile(Pacing(1, time.monotonic()), Allowance(NO_LIMITS))
        first = await gate.passed(0, is_next=False)
        waiting = [asyncio.create_task(gate.passed(0, is_next=False)) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.sleep(0)
        gate.back(first, "answered")
        second = await waiting[1]
        assert not waiting[2].done()
        gate.left(second)
        await waiting[2]
        late = asyncio.create_task(gate.passed(0, is_next=False))
        await asyncio.sleep(0)
        gate.close()
        with pytest.raises(Halted):
            await late
        with pytest.raises(Halted):
            await gate.passed(0, is_next=False)

    asyncio.run(turns())
