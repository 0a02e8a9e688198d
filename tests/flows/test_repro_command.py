"""`irg repro` and `irg status`, through the real entry point, on three quick stages."""

import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from tests.checkouts import ENVIRONMENT, Checkout
from tests.flows.small import small_project

pytestmark = pytest.mark.services

PATIENT = """
import os, time
from pathlib import Path
from pipelines.lifetime import die_with_parent

die_with_parent()
Path("patient.part").write_text(str(os.getpid()))
Path("patient.part").rename("patient.pid")
while not Path("go").exists():
    time.sleep(0.02)
"""
"""A stage that says that it runs, and then does until somebody lets it go."""


@pytest.fixture
def project(tmp_path: Path) -> Checkout:
    return small_project(tmp_path / "small")


def stale(project: Checkout) -> dict[str, list[str]]:
    found = json.loads(project.run("irg", "status", "--json"))["stale"]
    return {row["stage"]: row["why"] for row in found}


def test_a_build_is_told_stage_by_stage_and_then_nothing_is_left(project: Checkout) -> None:
    assert set(stale(project)) == {"count", "double", "other"}
    said = project.run("irg", "repro")
    assert "3 stages are not up to date" in said
    assert "[3/3]" in said
    assert "3 stages in" in said
    assert stale(project) == {}
    assert "everything is up to date" in project.run("irg", "status")
    assert json.loads(project.run("irg", "repro", "--json"))["stages"] == []


def test_what_changed_is_named_and_what_follows_comes_after_it(project: Checkout) -> None:
    project.run("irg", "repro")
    project.edit("source.txt", "3", "4")
    project.edit("params.yaml", "other: 7", "other: 8")
    found = stale(project)
    assert found == {"count": ["source.txt modified"], "double": [], "other": ["other modified"]}
    assert list(found).index("count") < list(found).index("double")


def test_a_target_brings_up_to_date_what_it_needs_and_no_more(project: Checkout) -> None:
    ran = json.loads(project.run("irg", "repro", "double", "--json"))
    assert [row["stage"] for row in ran["stages"]] == ["count", "double"]
    assert set(stale(project)) == {"other"}
    said = project.run("irg", "repro", "nothing", code=2)
    assert said.startswith("irg: DVC: ")
    assert "nothing" in said


def test_a_stage_that_fails_is_quoted_and_the_status_is_that_of_dvc(project: Checkout) -> None:
    (project.root / "broken").touch()
    said = project.run("irg", "repro", "double", code=None)
    assert "double: no number can be read" in said
    by_dvc = subprocess.run(["dvc", "repro", "double"], cwd=project.root, env=ENVIRONMENT, capture_output=True)
    by_irg = subprocess.run(["irg", "repro", "double"], cwd=project.root, env=ENVIRONMENT, capture_output=True)
    assert by_irg.returncode == by_dvc.returncode != 0
    assert b"Traceback" not in by_irg.stderr


@pytest.mark.parametrize("list_of_locks", ["whole", "cut short"])
def test_a_lock_of_a_killed_dvc_whose_number_another_process_has_keeps_nobody_out(
    project: Checkout, list_of_locks: str
) -> None:
    locks = project.root / ".dvc/tmp/rwlock"
    holder = {"pid": os.getpid(), "cmd": "dvc repro"}  # a live process, but no dvc
    written = json.dumps({"write": {str(project.root / "data/count.txt"): holder}, "read": {}})
    locks.parent.mkdir(exist_ok=True)
    locks.write_text(written if list_of_locks == "whole" else written[:40])
    by_dvc = subprocess.run(["dvc", "repro", "count"], cwd=project.root, env=ENVIRONMENT, capture_output=True)
    assert by_dvc.returncode != 0
    assert [row["stage"] for row in json.loads(project.run("irg", "repro", "double", "--json"))["stages"]] == [
        "count", "double",
    ]  # fmt: skip


@contextmanager
def patient(project: Checkout, *command: str) -> Iterator[tuple["subprocess.Popen[bytes]", list[psutil.Process]]]:
    """A command whose stage 'other' waits for a file 'go', and all its processes; none outlives this."""
    (project.root / "patient.py").write_text(PATIENT)
    project.edit("dvc.yaml", "echo done >", "python patient.py && echo done >")
    run = subprocess.Popen(command, cwd=project.root, env=ENVIRONMENT, stdout=subprocess.DEVNULL)
    family: list[psutil.Process] = []
    try:
        deadline = time.monotonic() + 60
        while not (project.root / "patient.pid").exists():
            assert run.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        family = psutil.Process(run.pid).children(recursive=True)
        yield run, family
    finally:
        run.kill()
        run.wait()
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()


def test_killed_with_its_dvc_and_its_stage_it_leaves_nobody_behind(project: Checkout) -> None:
    with patient(project, "irg", "repro", "other") as (run, family):
        assert int((project.root / "patient.pid").read_text()) in {process.pid for process in family}
        assert any("flows.dvc" in process.cmdline() for process in family)
        run.kill()
        run.wait()
        _, alive = psutil.wait_procs(family, timeout=30)
        assert alive == []
    assert not (project.root / "data/other.txt").exists()


def test_a_build_under_way_is_told_and_not_disturbed(project: Checkout) -> None:
    with patient(project, "dvc", "repro", "-q", "other") as (run, _):
        told = f"a build is under way (process {run.pid})"
        for options in ((), ("--fast",)):
            found = json.loads(project.run("irg", "status", "--json", *options))
            assert found["stale"] is None
            assert found["busy"].startswith(told)
        assert told in project.run("irg", "status")
        assert project.run("irg", "repro", "double", code=2).startswith(f"irg: {told}")
        (project.root / "go").touch()
        assert run.wait(60) == 0
    found = json.loads(project.run("irg", "status", "--json"))
    assert found["busy"] == ""
    assert [row["stage"] for row in found["stale"]] == ["count", "double"]


def test_a_lock_that_another_dvc_holds_is_told_beside_everything_else(project: Checkout) -> None:
    with (project.root / ".dvc/tmp/lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = json.loads(project.run("irg", "status", "--json"))
    assert found["stale"] is None
    assert found["busy"].startswith("DVC: Unable to acquire lock")
    assert "\x1b" not in found["busy"]


def test_stages_get_the_python_of_the_command_that_nobody_activated(project: Checkout) -> None:
    project.edit("dvc.yaml", "echo done >", "python -c 'import sys; print(sys.prefix)' >")
    bare = {**ENVIRONMENT, "PATH": os.defpath}
    irg = Path(sys.executable).with_name("irg")
    subprocess.run([irg, "repro", "other"], cwd=project.root, env=bare, check=True, stdout=subprocess.DEVNULL)
    assert (project.root / "data/other.txt").read_text() == f"{sys.prefix}\n"


def test_status_tells_results_ledger_and_checkpoints(project: Checkout) -> None:
    score = {"mean": 0.5, "interval": 0.1, "n": 40}
    files = {
        "data/reports/evaluation.json": json.dumps({"stage1": {"final": {"report": {"mocap": {"r3": score}}}}}),
        "data/reports/report.html": "<p>",
        "runs/ledger/assess/mocap.jsonl": "{}\n",
        "runs/train_stage1/abc/step-40/tensors.safetensors": "12345",
    }
    for name, text in files.items():
        (project.root / name).parent.mkdir(parents=True, exist_ok=True)
        (project.root / name).write_text(text)
    found = json.loads(project.run("irg", "status", "--fast", "--json"))
    assert found["stale"] is None
    assert found["results"] == {"stage1, final": {"r3": score}}
    assert found["pages"] == ["data/reports/report.html"]
    assert found["ledger"] == {"files": 1, "bytes": 3}
    assert [row["place"] for row in found["checkpoints"]] == ["runs/train_stage1/abc/step-40"]
    assert "0.500 ±0.100" in project.run("irg", "status", "--fast")


def test_outside_of_a_checkout_it_says_so(tmp_path: Path) -> None:
    assert "params.yaml is missing" in Checkout(tmp_path).run("irg", "status", code=2)


def test_on_a_terminal_the_running_stage_is_shown(project: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    import pty

    project.edit("dvc.yaml", "echo done >", "sleep 2; echo done >")
    program = "import sys; sys.argv[:] = ['irg', 'repro', 'other']; from flows.cli import main; main()"
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(project.root)
    told = bytearray()

    def read(handle: int) -> bytes:
        told.extend(block := os.read(handle, 1024))
        return block

    status = pty.spawn([sys.executable, "-c", program], read)
    assert os.waitstatus_to_exitcode(status) == 0
    assert "▶ other" in told.decode(errors="replace")
