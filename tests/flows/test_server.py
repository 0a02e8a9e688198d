"""The server of a checkout: found, healed, never another's; and what happens to a stage when it is killed."""

import os
import signal
from pathlib import Path

import pytest

from tests.checkouts import ENVIRONMENT
from tests.flows.conftest import Server, Stages

pytestmark = pytest.mark.services


def test_a_second_start_finds_the_first_server_and_so_does_a_stage(server: Server, stages: Stages) -> None:
    assert server.page in server.command("start")
    assert server.command("address") == server.page
    stages.run(None, "rich")
    assert server.run_of("rich")["state"]["type"] == "COMPLETED"


def test_a_server_killed_under_a_stage_is_swept_aside_by_the_next_start(server: Server, stages: Stages) -> None:
    stage = stages.start(None, "patient")
    server.wait_for("patient", "RUNNING")
    killed = server.page
    os.killpg(server.pid, signal.SIGKILL)
    said = stages.go(stage)
    assert said.count("NOT WATCHED, the work goes on") == 1
    assert stages.made("patient") == b"1\n4\n9\n16\n25"

    assert killed in server.command("start"), "pages that are open find the new one"
    stages.run(None, "rich")
    assert server.run_of("patient")["state"]["type"] == "CRASHED", "it would be shown as running for ever"


def test_a_named_server_is_used_and_none_started(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ENVIRONMENT, "PREFECT_API_URL", server.api)
    other = Server(tmp_path)
    assert server.api in other.command("start")
    assert "no Prefect server of this checkout runs" in other.command("stop")
    assert not (tmp_path / ".prefect").exists()
    assert server.ask("/flows/filter"), "the named one was left alone"


def test_a_server_that_cannot_start_says_its_last_words(tmp_path: Path) -> None:
    (tmp_path / ".prefect/prefect.db").mkdir(parents=True)
    said = Server(tmp_path).command("start", code=2)
    assert "ended" in said
    assert "its last words" in said
