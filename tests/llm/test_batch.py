"""Batches: the same rows as online, nothing sent twice whatever happens in between, and what is lost is asked again."""

import json
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from irg_core.errors import BudgetSpent, EndpointError, FactoryError
from irg_core.llm import batch, line
from irg_core.records.annotation import Rejection, Transcript
from irg_core.tables import read
from pipelines import assess
from tests.llm import test_stage_over_the_wire as over_the_wire
from tests.llm.batches import Batches, served
from tests.llm.endpoint import Response, endpoint, failed
from tests.llm.test_stage_over_the_wire import KEY, PAIRS, judge, tables

REPAIRS = PAIRS // 5


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "FIRST_LOOK", 0.01)
    monkeypatch.setattr(batch, "FIRST_BACKOFF", 0.01)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


@dataclass(frozen=True)
class Online:
    """The stage as it runs online, nothing disturbing it."""

    folder: Path
    bodies: list[dict[str, Any]]


@pytest.fixture(scope="module")
def online(tmp_path_factory: pytest.TempPathFactory) -> Online:
    with endpoint(judge) as calm, pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_API_KEY", KEY)
        folder = over_the_wire.make(tmp_path_factory.mktemp("calm") / "online", calm.url)
        run(folder, patch)
    return Online(folder, calm.requests)


def make(folder: Path, url: str, *, runtime: dict[str, Any] | None = None, **changed: Any) -> Path:
    made = over_the_wire.make(folder, url, mode="batch", **changed)
    params = yaml.safe_load((made / "params.yaml").read_text())
    params["llm"]["prices"] = {"m": {"input": 1.0, "output": 4.0}}
    params["runtime"].update(runtime or {})
    (made / "params.yaml").write_text(yaml.safe_dump(params))
    return made


def run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    out = [Path(f"out/{name}.parquet") for name in ("assessments", "transcripts", "rejections")]
    assess.main("c", Path("pairs.parquet"), Path("facts.parquet"), Path("flawed.parquet"), *out)


def sorted_bodies(bodies: list[dict[str, Any]]) -> list[str]:
    return sorted(json.dumps(body, sort_keys=True) for body in bodies)


def questions(bodies: list[dict[str, Any]]) -> list[str]:
    return [json.dumps(body["messages"]) for body in bodies]


def test_batches_give_the_same_rows_as_one_question_at_a_time(
    tmp_path: Path, online: Online, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(Batches(judge)) as at:
        folder = make(tmp_path / "batched", at.url)
        run(folder, monkeypatch)
    assert tables(folder) == tables(online.folder)
    assert len(at.batches) == 2, "the questions, and what had to be repaired"
    assert sorted_bodies(at.asked) == sorted_bodies(online.bodies)
    assert not any((folder / "runs/ledger/batches/assess/c").iterdir())


def test_files_keep_the_limits(tmp_path: Path, online: Online, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "MOST_REQUESTS", 30)
    with served(Batches(judge)) as at:
        folder = make(tmp_path / "batched", at.url)
        run(folder, monkeypatch)
    assert [file.content.count(b"\n") for file in at.uploads] == [30, 30, 20, 16]
    assert tables(folder) == tables(online.folder)


def test_large_files_are_split_by_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "MOST_BYTES", 50_000)
    with served(Batches(judge)) as at:
        run(make(tmp_path / "batched", at.url), monkeypatch)
    assert len(at.uploads) > 3
    assert max(len(file.content) for file in at.uploads) < 60_000


class Killed(BaseException):
    """Ends the process, as far as the code under test can tell."""


def kills(monkeypatch: pytest.MonkeyPatch) -> Generator[None, None, None]:
    """Die once at each step of a batch, before and after it."""
    from irg_core.llm.openai import Wire

    for step in ("upload", "create", "progress", "fetch"):
        for is_done in (False, True):
            with monkeypatch.context() as patch:
                honest = getattr(Wire, step)

                def dying(self: Any, *arguments: Any, honest: Any = honest, is_done: bool = is_done) -> Any:
                    if is_done:
                        honest(self, *arguments)
                    raise Killed

                patch.setattr(Wire, step, dying)
                yield


def test_a_run_that_dies_at_any_step_goes_on_with_what_it_had_sent(
    tmp_path: Path, online: Online, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(Batches(judge)) as at:
        folder = make(tmp_path / "killed", at.url)
        for _ in kills(monkeypatch):
            with pytest.raises(Killed):
                run(folder, monkeypatch)
        run(folder, monkeypatch)
    assert len(at.uploads) == len(at.batches) == 2
    assert len(at.asked) == PAIRS + REPAIRS
    assert tables(folder) == tables(online.folder)


@pytest.mark.services
def test_a_process_killed_while_it_waits_finds_its_batch_again(tmp_path: Path, online: Online) -> None:
    with served(Batches(judge, looks=10**9)) as at:
        folder = make(tmp_path / "killed", at.url)
        process = over_the_wire.start(folder)
        assert at.looked_at.wait(60)
        process.kill()
        process.communicate()
        at.looks = 1
        out, _ = over_the_wire.finish(over_the_wire.start(folder), code=0)
    assert len(at.uploads) == len(at.batches) == 2
    assert "batch batch_0" in out
    assert tables(folder) == tables(online.folder)


def test_an_answer_lost_on_its_way_back_sends_nothing_twice(
    tmp_path: Path, online: Online, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(Batches(judge, cut=["/v1/files", "/v1/batches"])) as at:
        folder = make(tmp_path / "batched", at.url)
        run(folder, monkeypatch)
    assert len(at.uploads) == len(at.batches) == 2
    assert tables(folder) == tables(online.folder)


def test_what_an_expired_batch_left_is_asked_in_the_next(
    tmp_path: Path, online: Online, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(Batches(judge, fate=lambda n: ("expired", 0.25) if n == 0 else ("completed", 1.0))) as at:
        folder = make(tmp_path / "batched", at.url)
        run(folder, monkeypatch)
    repairs_of_first_quarter = 5
    assert at.uploads[1].content.count(b"\n") == PAIRS * 3 // 4 + repairs_of_first_quarter
    assert len(at.asked) == len(set(questions(at.asked))) == PAIRS + REPAIRS
    assert tables(folder) == tables(online.folder)


def test_batches_that_bring_nothing_stop_the_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with served(Batches(judge, fate=lambda _: ("expired", 0.0))) as at, pytest.raises(EndpointError, match="nothing"):
        run(make(tmp_path / "batched", at.url), monkeypatch)


def test_a_refused_batch_is_told_and_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with served(Batches(judge, fate=lambda _: ("failed", 0.0))) as at:
        folder = make(tmp_path / "batched", at.url)
        with pytest.raises(EndpointError, match="the file has no such model"):
            run(folder, monkeypatch)
    assert not any((folder / "runs/ledger/batches/assess/c").iterdir())


def test_a_refused_question_costs_its_row_and_a_failed_one_is_asked_again(
    tmp_path: Path, online: Online, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures: set[str] = set()
    monkeypatch.setattr(line, "MOST_REFUSED", 1)

    def moody(body: dict[str, Any]) -> Response:
        words = body["messages"][1]["content"]
        if "version 0." in words:
            return failed(400, f"too long for {KEY}")
        if "version 9." in words and words not in failures:
            failures.add(words)
            return failed(500, "oops")
        return judge(body)

    with served(Batches(moody)) as at:
        folder = make(tmp_path / "batched", at.url)
        run(folder, monkeypatch)
    rejections = {row.key: row for row in read(folder / "out/rejections.parquet", Rejection)}
    refused = rejections.pop("c/0|c/0")
    assert refused.reason == "endpoint refused the request"
    assert "[key]" in refused.detail
    assert KEY not in refused.detail
    others = {row.key: row for row in read(online.folder / "out/rejections.parquet", Rejection)}
    assert rejections == {key: row for key, row in others.items() if key != refused.key}


def test_a_question_that_is_always_lost_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def moody(body: dict[str, Any]) -> Response:
        return failed(500, "oops") if "version 9." in body["messages"][1]["content"] else judge(body)

    with served(Batches(moody)) as at:
        folder = make(tmp_path / "batched", at.url, tries=6)
        run(folder, monkeypatch)
    lost = {row.key: row.detail for row in read(folder / "out/rejections.parquet", Rejection)}["c/9|c/9"]
    assert "oops; sent in 6 batches" in lost


def unsent(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that dies when its files are written and none is sent."""

    def dies(office: batch.Office, files: list[Path]) -> None:
        if files:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(batch.Office, "_finish", dies)
        with pytest.raises(Killed):
            run(folder, monkeypatch)


def test_what_a_dead_run_had_not_sent_is_asked_as_it_is_today(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with served(Batches(judge)) as at:
        folder = make(tmp_path / "batched", at.url)
        unsent(folder, monkeypatch)
        params = yaml.safe_load((folder / "params.yaml").read_text())
        params["runtime"]["max_requests"] = 0
        (folder / "params.yaml").write_text(yaml.safe_dump(params))
        with pytest.raises(BudgetSpent):
            run(folder, monkeypatch)
    assert at.asked == []


def test_an_endpoint_without_batches_is_told_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class OnlineOnly(Batches):
        def post(self, path: str, kind: str, body: bytes) -> tuple[int, Any]:
            return 404, {"error": {"message": "no such path"}}

    with served(OnlineOnly(judge)) as at, pytest.raises(EndpointError, match="is not the place: 404 no such path"):
        run(make(tmp_path / "online only", at.url), monkeypatch)


def test_a_refused_question_needs_no_budget_and_no_key_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def moody(body: dict[str, Any]) -> Response:
        return failed(400, "too long") if "version 3." in body["messages"][1]["content"] else judge(body)

    with served(Batches(moody)) as at:
        folder = make(tmp_path / "batched", at.url, runtime={"max_requests": PAIRS + REPAIRS})
        run(folder, monkeypatch)
        made, asked = tables(folder), len(at.asked)
        (folder / "runs/ledger/assess/c.jsonl").unlink()
        monkeypatch.setenv("OPENAI_API_KEY", "")
        run(folder, monkeypatch)
    assert tables(folder) == made
    assert len(at.asked) == asked


def test_a_line_without_end_costs_its_question_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "LARGEST_REPLY", 5000)
    brought = tmp_path / "brought"
    brought.write_bytes(b"first\n" + b"x" * 12_345 + b"\nthird\n" + b"y" * 5000 + b"\nlast")
    assert list(batch._honest_lines(brought)) == [b"first\n", b"third\n", b"last"]


def test_going_back_to_online_does_not_pay_for_what_is_under_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(Batches(judge)) as at:
        folder = make(tmp_path / "batched", at.url)
        deaths = kills(monkeypatch)
        for _ in range(5):
            next(deaths)
        with pytest.raises(Killed):
            run(folder, monkeypatch)
        deaths.close()
        params = yaml.safe_load((folder / "params.yaml").read_text())
        params["llm"]["openai"]["mode"] = "online"
        (folder / "params.yaml").write_text(yaml.safe_dump(params))
        with pytest.raises(FactoryError, match="holds batches that were sent"):
            run(folder, monkeypatch)


def test_a_budget_holds_for_batches_at_half_the_price(
    tmp_path: Path, online: Online, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(Batches(judge)) as at:
        folder = make(tmp_path / "batched", at.url, runtime={"max_requests": 30})
        with pytest.raises(BudgetSpent, match="max_requests 30 is reached"):
            run(folder, monkeypatch)
        assert len(at.asked) == 30
        params = yaml.safe_load((folder / "params.yaml").read_text())
        params["runtime"]["max_requests"] = 500
        (folder / "params.yaml").write_text(yaml.safe_dump(params))
        run(folder, monkeypatch)
    assert tables(folder) == tables(online.folder)
    lines = (folder / "runs/ledger/assess/c.jsonl").read_text().splitlines()
    assert {json.loads(line)["share"] for line in lines} == {0.5}
    assert len(read(folder / "out/transcripts.parquet", Transcript)) == len(lines) == PAIRS + REPAIRS
