"""`irg doctor`: what is fit, what is not, and the way out; never a key."""

import json
import os
import socket
import subprocess
from pathlib import Path

import pytest

from tests.checkouts import ENVIRONMENT, Checkout
from tests.flows.small import small_project

pytestmark = pytest.mark.services

SECRET = "sk-canary-91c2"


@pytest.fixture
def project(tmp_path: Path) -> Checkout:
    return small_project(tmp_path / "small")


def doctor(project: Checkout, *options: str, code: int = 1, **more: str) -> dict[str, tuple[str, str, str]]:
    done = subprocess.run(
        ["irg", "doctor", "--json", *options],
        cwd=project.root,
        env={**ENVIRONMENT, **more},
        capture_output=True,
        text=True,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert SECRET not in done.stdout + done.stderr
    return {row["name"]: (row["state"], row["told"], row["way_out"]) for row in json.loads(done.stdout)}


def test_versions_are_held_against_the_pins(project: Checkout) -> None:
    found = doctor(project)
    assert found["Python"][0] == "ok"
    assert found["packages"] == ("bad", "missing: no-such-package", "make setup")
    state, told, _ = found["versions"]
    assert state == "warn"
    assert "pinned 0.0.1" in told
    assert "dvc" not in told
    (project.root / "requirements.lock").write_text("dvc==3.67.1\n")
    assert doctor(project, code=0)["versions"] == ("ok", "all 1 packages are those of requirements.lock", "")


def test_of_a_key_only_its_presence_is_told(project: Checkout) -> None:
    assert doctor(project)["key"][:2] == ("ok", "SMALL_PROJECTS_KEY is not set; no stage asks 'openai'")
    assert doctor(project, SMALL_PROJECTS_KEY=SECRET)["key"][1].startswith("SMALL_PROJECTS_KEY is set")
    project.edit("params.yaml", "describe: {provider: kinematic}", "describe: {provider: openai}")
    assert doctor(project)["key"] == ("bad", "SMALL_PROJECTS_KEY is not set", "export SMALL_PROJECTS_KEY=…")


def test_a_spoilt_and_a_missing_file_of_the_cache_are_found(project: Checkout) -> None:
    project.run("dvc", "repro", "-q")
    assert doctor(project)["DVC cache"][:2] == ("ok", "all 3 files of dvc.lock are there; 3 hashed, unspoilt")
    first, second, _ = sorted(path for path in (project.root / ".dvc/cache/files/md5").rglob("*") if path.is_file())
    first.chmod(0o644)
    first.write_text("something else")
    state, told, way = doctor(project)["DVC cache"]
    assert (state, told) == ("bad", "1 of 3 files are not what their name says")
    assert str(first.relative_to(project.root)) in way or str(first) in way
    first.unlink()
    second.unlink()
    state, told, _ = doctor(project)["DVC cache"]
    assert (state, told) == ("warn", "2 of 3 files missing")


def test_a_lock_of_a_process_that_is_gone_is_left_over(project: Checkout) -> None:
    assert doctor(project)["locks"][0] == "ok"
    gone = subprocess.Popen(["true"])
    gone.wait()
    lock = {"read": {"x": [{"pid": gone.pid, "cmd": "dvc repro"}]}, "write": {}}
    (project.root / ".dvc/tmp/rwlock").write_text(json.dumps(lock))
    assert doctor(project)["lock"][1] == f".dvc/tmp/rwlock names process {gone.pid}, which is gone"


def test_servers_that_do_not_answer_are_told(project: Checkout) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    project.edit(
        "params.yaml",
        'executor: local, workers: 1, ray_address: ""',
        f"executor: ray, workers: 1, ray_address: 127.0.0.1:{port}",
    )
    found = doctor(project, PREFECT_API_URL=f"http://127.0.0.1:{port}/api")
    assert found["Ray"][0] == "bad"
    assert found["Prefect"][0] == "warn"
    with socket.socket() as head:
        head.bind(("127.0.0.1", port))
        head.listen()
        assert doctor(project)["Ray"][:2] == ("ok", f"127.0.0.1:{port} takes connections")


def test_broken_files_are_findings_and_no_tracebacks(project: Checkout) -> None:
    (project.root / "params.yaml").write_text("runtime: [")
    (project.root / "dvc.lock").write_text("stages: {")
    found = doctor(project)
    assert found["parameters"][0] == "bad"
    assert "params.yaml cannot be read" in found["parameters"][1]
    assert found["dvc.lock"][0] == "bad"


def test_lines_for_people_end_with_a_count(project: Checkout) -> None:
    said = project.run("irg", "doctor", code=1)
    assert "bad  packages: missing: no-such-package → make setup" in said
    assert said.splitlines()[-1].startswith("1 bad, ")
    assert os.fspath(project.root) in said
