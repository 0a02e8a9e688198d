"""Runs that are started in Prefect: what they make, what is refused, how they queue, end and are ended."""

import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import yaml

from flows.dvc import KEEPER
from irg_core.corpora import procedural
from irg_core.files import read_json
from tests.checkouts import ENVIRONMENT, ROOT, copy_of_the_project
from tests.flows import ui
from tests.flows.conftest import Server
from tests.flows.steering import DATASET, FINAL, GRAMMAR, PATIENT, Steered, tables
from tests.reports.browser import browser, find

pytestmark = pytest.mark.services

TINY = "corpora:\n  tiny: {format: procedural, root: irg_core/corpora/procedural.yaml, clips: 12, seed: 17}\n"


def _small(to: Path) -> Steered:
    """A checkout of one tiny corpus."""
    checkout = copy_of_the_project(to)
    params = (checkout.root / "params.yaml").read_text()
    params = re.sub(r"^corpora:\n(  .*\n)+", TINY, params, flags=re.MULTILINE)
    (checkout.root / "params.yaml").write_text(params.replace("executor: process", "executor: local"))
    (checkout.root / "irg_core/corpora/patient.py").write_text(PATIENT)
    return Steered(checkout, Server(checkout.root))


@pytest.fixture(scope="module")
def steered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Steered]:
    made = _small(tmp_path_factory.mktemp("steered") / "project")
    assert "/deployments" in made.watch("start")
    yield made
    made.go()
    assert "stopped" in made.watch("stop")
    assert made.nothing_works()
    assert not made.processes("flows.worker")


@pytest.fixture
def takes(tmp_path: Path) -> Path:
    """A folder of six motions and a table that speaks of them."""
    folder = tmp_path / "takes"
    folder.mkdir()
    rows = ["clip,caption"]
    for number, take in enumerate(procedural.read(ROOT / GRAMMAR, clips=6, seed=5)):
        np.save(folder / f"take{number}.npy", take.joints)
        rows.append(f"take{number},a person moves in way {number}")
    (folder / "index.csv").write_text("\n".join(rows))
    return folder


def test_the_deployments_have_forms_with_choices_and_descriptions(steered: Steered) -> None:
    found = {deployment["name"]: deployment for deployment in steered.server.ask("/deployments/filter")}
    assert set(found) == {
        "Rebuild everything", DATASET, "Train stages", "Evaluate a model", "Backfill corpora",
    }  # fmt: skip
    fields = found[DATASET]["parameter_openapi_schema"]["properties"]
    assert {"bvh", "cmu", "amass"} <= set(fields["format"]["enum"])
    assert all(field["description"] for field in fields.values())
    assert all(deployment["description"] for deployment in found.values())
    assert "flows.worker" in steered.processes("flows.worker")[0].cmdline()
    before = [process.pid for process in steered.processes("flows.worker")]
    assert "for others say make stop first" in steered.watch("start")
    assert [process.pid for process in steered.processes("flows.worker")] == before, "a second start changes nothing"


def test_a_run_has_the_bytes_of_the_shell_and_says_how_to_repeat_it(
    steered: Steered, takes: Path, tmp_path: Path
) -> None:
    form = {"corpus": "mine", "format": "joints", "root": str(takes), "captions": "index.csv", "fps": 20}
    run = steered.start(DATASET, **form, options={"order": "t2m"}, depth="clips")
    assert steered.wait(run)["type"] == "COMPLETED"
    names = ("ingest · mine", "ingest · tiny", "split", "audit · mine")
    assert steered.stages(run) == dict.fromkeys(names, "COMPLETED")
    artifacts = steered.artifacts(run)
    commands = re.search(r"```bash\n(.*)\n```", artifacts["dataset-mine-commands"]["data"], re.DOTALL)
    assert commands is not None
    overlay = re.search(r"overlays/dataset-mine-\w+\.yaml", commands[1])
    assert overlay is not None
    assert json.loads(artifacts["dataset-mine-progress"]["data"]) == 100
    rows = json.loads(artifacts["dataset-mine-stages"]["data"])
    assert {row["stage"]: row["outcome"] for row in rows}["audit@mine"] == "done"

    shell = _small(tmp_path / "shell")
    (shell.root / "overlays").mkdir()
    (shell.root / overlay[0]).write_bytes((steered.root / overlay[0]).read_bytes())
    shell.checkout.run("bash", "-c", commands[1])
    assert tables(shell.root) == tables(steered.root)
    assert len(tables(shell.root)) > 8
    assert (shell.root / "params.yaml").read_bytes() == (steered.root / "params.yaml").read_bytes()

    page = re.search(r"\((http://\S+mine\.html)\)", artifacts["dataset-mine-pages"]["data"])
    assert page is not None
    shown = httpx.get(page[1])
    assert "Corpus mine" in shown.text
    assert "sandbox" in shown.headers["content-security-policy"]
    assert _status(steered, "/reports/corpus/mine.html") == 200
    for outside in (
        "/reports/../../params.yaml",
        "/reports/%2e%2e/%2e%2e/params.yaml",
        "/reports/..%2f..%2fparams.yaml",
    ):
        assert _status(steered, outside) == 404
    assert _status(steered, "/reports/corpus/nothing.html") == 404


@pytest.mark.parametrize(
    "form",
    [
        {"format": "bvh", "root": "/no/such/folder"},
        {"format": "vicon", "root": "{takes}"},
        {"format": "bvh", "root": "{takes}"},
        {"format": "joints", "root": "{takes}", "captions": "nothing.csv"},
        {"format": "joints", "root": "{takes}", "unit": "yard"},
        {"format": "joints", "root": "{takes}", "options": {"colour": "red"}},
    ],
)
def test_a_wrong_corpus_is_refused_when_it_is_sent_in_the_words_of_the_shell(
    steered: Steered, takes: Path, form: dict[str, object], tmp_path: Path
) -> None:
    form = {name: str(takes) if value == "{takes}" else value for name, value in form.items()}
    refused = steered.ask(DATASET, corpus="wrong", **form)
    assert refused.status_code == 409

    options = form.pop("options", {})
    assert isinstance(options, dict)
    entry = {"corpora": {"wrong": {**form, **options}}}
    (tmp_path / "params.yaml").write_text(
        yaml.safe_dump({**yaml.safe_load((steered.root / "params.yaml").read_text()), **entry})
    )
    command = ["env", "-C", str(tmp_path), f"PYTHONPATH={steered.root}", "python", "-m", "pipelines"]
    said = steered.checkout.run(*command, "ingest", "wrong", str(form["root"]), "a/o", "a/r", "a/f", code=2)
    assert said.strip() == f"ingest: {refused.json()['detail']}"


@pytest.mark.parametrize("corpus", ["no/slash", "Up", "", "x'y"])
def test_a_name_that_is_none_is_refused(steered: Steered, corpus: str) -> None:
    refused = steered.ask(DATASET, corpus=corpus, format="procedural", root=GRAMMAR)
    assert refused.status_code == 409
    assert "is no name for a corpus" in refused.json()["detail"]


def test_a_person_regenerates_a_dataset_in_the_browser(steered: Steered, tmp_path: Path) -> None:
    program, source = find(), ROOT.parent / "shared/data/cmu/bvh20"
    if program is None or not source.is_dir():
        pytest.skip("no Chromium, or no ../shared/data/cmu/bvh20")
    folder = tmp_path / "mocap"
    folder.mkdir()
    rows = ["clip,caption"]
    for file in sorted(source.glob("02_0*.bvh"))[:6]:
        (folder / file.name).write_bytes(file.read_bytes())
        rows.append(f"{file.stem},a person walks or jumps")
    (folder / "index.csv").write_text("\n".join(rows))
    with browser(program, tmp_path / "home") as page:
        ui.open_form(page, steered.server.page, "Regenerate the dataset")
        for label, value in {"Corpus": "nowhere", "Format": "bvh", "Root": "/no/such/folder"}.items():
            ui.fill(page, label, value)
        refused = ui.submit(page)
        assert refused.startswith("/no/such/folder, the root of corpus 'nowhere', does not exist"), refused

        run, _ = ui.regenerate(page, steered.server.page, folder, "index.csv", "clips")
        assert ui.wait_for_end(page, 180) == "Completed", steered.state(run)
        ui.show_run(page, steered.server.page, run)
        page.wait("document.body.innerText.includes('dataset · mocap')")
        ui.press(page, "Artifacts", ".p-tab")
        page.wait("document.body.innerText.toLowerCase().includes('dataset-mocap-stages')")
        page.open(steered.server.page + "/reports/corpus/mocap.html")
        assert "Corpus mocap" in ui.text(page)
    clips = tables(steered.root)["data/clips/mocap.parquet"]
    shown = {"clips": str(tmp_path / "c"), "refused": str(tmp_path / "r"), "findings": str(tmp_path / "f")}
    steered.checkout.stage("ingest", "mocap", str(folder), *shown.values())
    assert hashlib.sha256((tmp_path / "c").read_bytes()).hexdigest() == clips


def test_another_host_is_not_answered(steered: Steered) -> None:
    answer = httpx.get(f"{steered.server.page}/api/health", headers={"Host": "evil.example"})
    assert answer.status_code == 421


def test_a_page_of_the_web_is_not_answered_not_even_at_a_web_socket(steered: Steered) -> None:
    upgrade = {
        "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }  # fmt: skip
    for path, headers, own in (("/api/health", {}, 200), ("/api/events/in", upgrade, 101)):
        assert _status(steered, path, **headers, Origin="http://evil.example") == 403
        assert _status(steered, path, **headers, Origin=steered.server.page) == own


def test_runs_that_come_at_once_wait_for_each_other(steered: Steered) -> None:
    runs = [steered.start(DATASET, corpus="tiny", depth="clips") for _ in range(3)]
    names, most = set(), 0
    while any((now := steered.state(run))["type"] not in FINAL for run in runs):
        names.add(now["name"])
        most = max(most, len([found for found in steered.processes("flows.dvc") if "repro" in found.cmdline()]))
        time.sleep(0.1)
    assert [steered.state(run)["type"] for run in runs] == ["COMPLETED"] * 3
    assert most == 1
    assert "Queued" in names


def test_cancelling_ends_the_stage_and_a_new_run_finishes(steered: Steered) -> None:
    run = steered.dataset("waits", format="patient")
    steered.wait_for_stage(run, "ingest · waits")
    steered.cancel(run)
    assert steered.wait(run)["type"] == "CANCELLED"
    assert steered.nothing_works()
    assert steered.stages(run)["ingest · waits"] == "CANCELLED"
    assert _outcomes(steered, run, "dataset-waits")["ingest@waits"] == "cancelled"
    steered.go()
    assert steered.wait(steered.dataset("waits", format="patient"))["type"] == "COMPLETED"
    (steered.root / "go").unlink()


def test_a_failed_run_says_the_sentence_of_its_stage(steered: Steered) -> None:
    before = (steered.root / "params.yaml").read_bytes()
    changes = {"ingest": {"min_seconds": 9.5, "max_seconds": 9.6}}
    try:
        failed = steered.wait(steered.start("Rebuild everything", changes=changes, saved_as="too strict"))
    finally:
        (steered.root / "params.yaml").write_bytes(before)
    assert failed["type"] == "FAILED"
    assert "ingest.max_seconds 9.6 must be at least twice" in failed["message"]
    assert yaml.safe_load((steered.root / "overlays/too-strict.yaml").read_text()) == changes


def test_a_run_outlives_its_worker_and_its_server(steered: Steered) -> None:
    run = steered.dataset("long", format="patient")
    steered.wait_for_stage(run, "ingest · long")
    for pid in (steered.processes("flows.worker")[0].pid, steered.server.pid):
        _kill(pid)
    page = steered.server.page
    steered.go()
    while steered.processes("ingest"):
        time.sleep(0.1)  # it ends while nobody is there to be told
    steered.watch("start")
    assert steered.server.page == page, "pages that are open find the new one"
    assert steered.wait(run)["type"] == "COMPLETED"
    (steered.root / "go").unlink()
    assert steered.wait(steered.start(DATASET, corpus="tiny", depth="clips"))["type"] == "COMPLETED", (
        "the new worker works"
    )
    steered.wait_for_completed(run, "ingest · long", "split", "audit · long")
    assert set(_outcomes(steered, run, "dataset-long").values()) <= {"done", "up to date"}


def test_what_is_killed_is_shown_and_leaves_no_orphan(steered: Steered) -> None:
    for victim in ("flows.runner", "ingest"):
        run = steered.dataset("killed", format="patient")
        steered.wait_for_stage(run, "ingest · killed")
        _kill(steered.processes(victim)[-1].pid)
        ended = steered.wait(run)
        assert ended["type"] == ("CRASHED" if victim == "flows.runner" else "FAILED")
        assert re.search("killed|lives", ended["message"]), ended
        assert steered.nothing_works()
        assert steered.stages(run)["ingest · killed"] == "CRASHED"
        told = "killed" if victim == "flows.runner" else "failed"
        assert _outcomes(steered, run, "dataset-killed")["ingest@killed"] == told


@pytest.mark.parametrize(
    "command", [["flows.dvc", "repro", "ingest@tiny"], ["flows", "ingest", "tiny", GRAMMAR, "a/o", "a/r", "a/f"]]
)
def test_what_belongs_to_a_run_does_not_begin_without_it(
    steered: Steered, command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    monkeypatch.setitem(ENVIRONMENT, KEEPER, str(gone.pid))
    assert "is gone" in steered.checkout.run(sys.executable, "-m", *command, code=1)
    assert not (steered.root / "a").exists()


def test_a_backfill_that_was_killed_in_the_third_goes_on_there(steered: Steered) -> None:
    entries = [
        {"corpus": name, "format": format, "root": GRAMMAR, "options": {"clips": 5, "seed": 3}}
        for name, format in (("b1", "procedural"), ("b2", "procedural"), ("b3", "patient"), ("b4", "procedural"))
    ]
    run = steered.start("Backfill corpora", corpora=entries, depth="clips")
    steered.wait_for_stage(run, "ingest · b3")
    _kill(next(found for found in steered.processes("flows.dvc") if "repro" in found.cmdline()).pid)
    ended = steered.wait(run)
    assert (ended["type"], ended["message"]) == ("FAILED", "dvc was killed (signal 9)")
    assert _outcomes(steered, run, "backfill-b1-b2-b3-b4")["ingest@b3"] == "failed"
    assert steered.nothing_works()
    steered.go()
    again = steered.start("Backfill corpora", corpora=entries, depth="clips")
    assert steered.wait(again)["type"] == "COMPLETED"
    outcomes = _outcomes(steered, again, "backfill-b1-b2-b3-b4")
    assert set(steered.stages(again)) >= {"ingest · b3", "ingest · b4"}
    assert {"ingest · b1", "ingest · b2"}.isdisjoint(steered.stages(again)), outcomes
    assert {f"data/reports/corpus/b{n}.html" for n in (1, 2, 3, 4)} <= set(tables(steered.root))
    (steered.root / "go").unlink()


def test_the_deployments_that_the_server_has_are_those_of_the_file(steered: Steered) -> None:
    known = {deployment["id"] for deployment in steered.server.ask("/deployments/filter")}
    assert set(read_json(steered.root / ".prefect/deployments.json")) == known


def test_a_start_after_a_change_of_code_or_address_is_a_fresh_one(
    steered: Steered, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers, pids, page = [steered.processes("flows.worker")[0].pid], [steered.server.pid], steered.server.page
    with (steered.root / "flows/forms.py").open("a") as source:
        source.write("\n# another line\n")

    def again() -> None:
        assert "make stop first" not in steered.watch("start")
        (worker,) = steered.processes("flows.worker")
        workers.append(worker.pid)
        pids.append(steered.server.pid)

    again()
    monkeypatch.setitem(ENVIRONMENT, "PREFECT_API_URL", steered.server.api)
    again()
    monkeypatch.delitem(ENVIRONMENT, "PREFECT_API_URL")
    again()
    assert len(set(workers)) == 4
    assert pids[0] != pids[1] == pids[2] == pids[3], "only other code wants another server"
    assert steered.server.page == page
    assert steered.wait(steered.start(DATASET, corpus="tiny", depth="clips"))["type"] == "COMPLETED"


def _outcomes(steered: Steered, run: str, title: str) -> dict[str, str]:
    """The stages of a run, as its table has them."""
    rows = json.loads(steered.artifacts(run)[f"{title}-stages"]["data"])
    return {row["stage"]: row["outcome"] for row in rows}


def _status(steered: Steered, path: str, **headers: str) -> int:
    """The answer to a path that nobody tidies up on its way."""
    host = steered.server.page.removeprefix("http://")
    lines = [f"GET {path} HTTP/1.1", f"Host: {host}", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    address, _, port = host.partition(":")
    with socket.create_connection((address, int(port)), timeout=30) as connection:
        connection.sendall("\r\n".join(lines).encode())
        return int(connection.makefile("rb").readline().split()[1])


def _kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
