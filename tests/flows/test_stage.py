"""What a watched stage leaves in Prefect, and that nothing which befalls Prefect reaches the work."""

import io
import itertools
import json
import signal

import pytest

from flows.prefect_api import Silent
from flows.reporter import CATCH_UP, GIVE_UP, LAST_ATTEMPTS, GaveUp, Mailbox, Patience
from flows.stage import LINGER, SINGLE, span
from tests.checkouts import Checkout
from tests.flows.conftest import CANARY, KEY, STAGE, Server, Stages
from tests.flows.relay import Relay

pytestmark = pytest.mark.services

SQUARES = b"1\n4\n9\n16\n25"


def test_a_stage_is_a_completed_run_with_its_batches_and_its_counts(server: Server, stages: Stages) -> None:
    stages.run(server.api, "rich")
    run = server.run_of("rich")
    assert (run["name"], run["state"]["type"]) == ("count · rich", "COMPLETED")
    assert run["tags"] == ["count", "rich"]
    assert run["parameters"] == {"corpus": "rich", "out": "data/rich.txt", "page": "data/rich.html"}
    tasks = server.tasks_of(run)
    assert [(task["name"], task["state"]["type"]) for task in tasks] == [
        (f"squared {batch}", "COMPLETED") for batch in (1, 2, 3)
    ]
    artifacts = server.artifacts_of(run)
    assert json.loads(artifacts["count-rich-counts"]["data"]) == [{"what": "numbers", "value": 5}]
    rejected = json.loads(artifacts["count-rich-rejected"]["data"])
    assert rejected == [{"rejected": "too odd", "count": 3}, {"rejected": "too even", "count": 2}]
    page, text = artifacts["count-rich-files"]["data"].splitlines()
    assert "data/rich.txt" in text
    assert (stages.checkout.root / "data/rich.html").as_uri() in page
    (first, *_) = server.ask("/logs/filter", logs={"flow_run_id": {"any_": [run["id"]]}})
    assert first["message"] == run["state"]["message"] != ""


def test_a_failed_run_says_why_in_the_sentence_of_the_error(server: Server, stages: Stages) -> None:
    said = stages.run(server.api, "poor", code=2)
    assert said.strip() == "count: corpus 'poor' has no threes; add some"
    run = server.run_of("poor")
    assert run["state"]["type"] == "FAILED"
    assert run["state"]["message"] == "corpus 'poor' has no threes; add some"
    states = {task["name"]: task["state"]["type"] for task in server.tasks_of(run)}
    assert states == {"squared 1": "COMPLETED", "squared 2": "FAILED"}


def test_a_bug_is_named_by_its_kind_and_no_key_reaches_prefect(server: Server, stages: Stages) -> None:
    said = stages.run(server.api, "buggy", code=1)
    assert "Traceback" in said
    run = server.run_of("buggy")
    assert run["state"]["type"] == "FAILED"
    assert run["state"]["message"] == "RuntimeError: sent <OPENAI_API_KEY>"
    kept = b"".join(path.read_bytes() for path in (server.folder / ".prefect").rglob("*") if path.is_file())
    assert b"RuntimeError: sent" in kept, "the search below would find nothing anywhere"
    assert KEY.encode() not in kept
    assert CANARY.encode() not in kept


def test_a_killed_stage_is_shown_as_crashed(server: Server, stages: Stages) -> None:
    stage = stages.start(server.api, "patient")
    server.wait_for("patient", "RUNNING")
    stage.kill()
    stage.wait()
    run = server.wait_for("patient", "CRASHED")
    assert "killed" in run["state"]["message"]


def test_a_run_that_lost_its_reporter_is_crashed_by_the_next_one(server: Server, stages: Stages) -> None:
    stage = stages.start(server.api, "patient")
    server.wait_for("patient", "RUNNING")
    (reporter,) = stages.reporters()
    reporter.kill()
    stage.kill()
    stage.wait()
    assert server.run_of("patient")["state"]["type"] == "RUNNING"
    stages.run(server.api, "rich")
    assert server.run_of("patient")["state"]["type"] == "CRASHED"


def test_a_reporter_that_is_killed_costs_nothing_but_the_picture(server: Server, stages: Stages) -> None:
    stage = stages.start(server.api, "patient")
    server.wait_for("patient", "RUNNING")
    (reporter,) = stages.reporters()
    reporter.send_signal(signal.SIGKILL)
    said = stages.go(stage)
    assert "its reporter was killed" in said
    assert stages.made("patient") == SQUARES


MOMENTS = {
    "before it answers": rb"GET /api/health",
    "while batches run": rb"POST /api/task_runs/ ",
    "before the end": rb"POST /api/flow_runs/[0-9a-f-]+/set_state",
}


@pytest.mark.parametrize("hangs", [False, True], ids=["killed", "hanging"])
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_server_that_goes_at_any_moment_takes_nothing_with_it(
    server: Server, stages: Stages, moment: str, hangs: bool
) -> None:
    with Relay(server.api, MOMENTS[moment], hangs) as relay:
        said = stages.run(relay.address, "rich")
        assert relay.broken.is_set(), "the server was never in trouble"
    assert stages.made("rich") == SQUARES
    assert said.count("NOT WATCHED, the work goes on") == 1, said


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("http://127.0.0.1:9/api", "refused"),
        ("http://nowhere.invalid/api", "no Prefect server answers at http://nowhere.invalid/api"),
        ("a typing error", "unknown url type"),
    ],
)
def test_a_wrong_address_is_one_sentence_and_the_work_goes_on(stages: Stages, address: str, why: str) -> None:
    said = stages.run(address, "rich").splitlines()
    (complaint,) = [line for line in said if "NOT WATCHED" in line]
    assert why in complaint
    assert len(said) == 2, "besides, only the stage's own summary"
    assert stages.made("rich") == SQUARES


def test_the_page_of_a_server_is_not_its_api(server: Server, stages: Stages) -> None:
    said = stages.run(server.api.removesuffix("/api"), "rich")
    assert "the address of an API ends in /api" in said


def test_without_a_server_nothing_is_said_and_nothing_started(checkout: Checkout) -> None:
    (checkout.root / "pipelines/count.py").write_text(STAGE)
    stages = Stages(checkout)
    assert len(stages.run(None, "rich").splitlines()) == 1
    assert stages.made("rich") == SQUARES
    assert not (checkout.root / ".prefect").exists()


def test_a_finished_stage_waits_less_than_ten_seconds_whatever_happens() -> None:
    assert CATCH_UP < GIVE_UP < LINGER < 10


@pytest.mark.parametrize(("was_silent_before", "attempts"), [(False, LAST_ATTEMPTS), (True, 1)])
def test_once_the_work_is_over_a_silent_server_is_asked_a_counted_number_of_times(
    was_silent_before: bool, attempts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.reporter.PAUSE", 0.0)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO()))
    mailbox = Mailbox()
    mailbox.over.wait()
    patience = Patience("a stage", "http://127.0.0.1:9/api", mailbox)
    monkeypatch.setattr(patience, "_said", was_silent_before)
    asked = []

    def ask() -> None:
        asked.append(1)
        raise Silent("no answer")

    with pytest.raises(GaveUp):
        patience.insist(ask)
    assert len(asked) == attempts


def test_every_batch_belongs_to_one_task_run_and_a_hundred_thousand_need_few() -> None:
    spans = sorted({span(batch) for batch in range(1, 100_001)})
    assert spans[0] == (1, 1)
    assert all(this[1] + 1 == following[0] for this, following in itertools.pairwise(spans))
    assert len(spans) <= 500
    assert [span(batch) for batch in (SINGLE, SINGLE + 1)] == [(SINGLE, SINGLE), (SINGLE + 1, SINGLE + 2)]
