"""A real Prefect server for the session, and a checkout with a stage that does what a test wants to see."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.checkouts import ENVIRONMENT, ROOT, Checkout, copy_of_the_project

STAGE = '''
"""count: square a few numbers, a batch at a time; the corpus says what goes wrong."""

import os
import time
from pathlib import Path

from irg_core.errors import SourceError
from irg_core.files import write_text
from irg_core.summaries import summarise
from pipelines.executor import MapBatches


def main(corpus: str, out: Path, page: Path, *, map_batches: MapBatches = map) -> None:
    batches = [[1, 2], [3, 4], [5]]
    squares = [square for batch in map_batches(squared, batches, [corpus] * len(batches)) for square in batch]
    write_text(out, "\\n".join(map(str, squares)))
    write_text(page, "<p>done")
    summarise("count", corpus, numbers=len(squares), rejected={"too odd": 3, "too even": 2})


def squared(batch: list[int], corpus: str) -> list[int]:
    if corpus == "poor" and 3 in batch:
        raise SourceError("corpus 'poor' has no threes; add some")
    if corpus == "buggy" and 3 in batch:
        raise RuntimeError(f"sent {os.environ['OPENAI_API_KEY']}")
    while corpus == "patient" and 3 in batch and not Path("go").exists():
        time.sleep(0.02)
    return [number * number for number in batch]
'''
CANARY, KEY = "canary-5eb0c1d2a9", "sk-canary-77d1f0e3"


@dataclass(frozen=True)
class Server:
    """A Prefect server that was started in `folder`."""

    folder: Path

    def command(self, word: str, code: int = 0) -> str:
        """`python -m flows.server <word>`, and what it says."""
        done = subprocess.run(
            [sys.executable, "-m", "flows.server", word],
            cwd=self.folder,
            env={**ENVIRONMENT, "PYTHONPATH": str(ROOT), "IRG_CANARY": CANARY, "OPENAI_API_KEY": KEY},
            capture_output=True,
            text=True,
            check=False,
            timeout=90,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return (done.stdout + done.stderr).strip()

    @property
    def pid(self) -> int:
        return int(self._state()["pid"])

    @property
    def page(self) -> str:
        return f"http://127.0.0.1:{self._state()['port']}"

    @property
    def api(self) -> str:
        return f"{self.page}/api"

    def _state(self) -> dict[str, int]:
        return dict(json.loads((self.folder / ".prefect/server.json").read_text()))

    def ask(self, path: str, **query: Any) -> list[dict[str, Any]]:
        while (answer := httpx.post(f"{self.api}{path}", json=query, timeout=60)).status_code == 503:
            time.sleep(0.5)  # a busy server asks for another attempt
        answer.raise_for_status()
        return list(answer.json())

    def run_of(self, corpus: str) -> dict[str, Any]:
        """The newest flow run of a corpus."""
        runs = self.ask("/flow_runs/filter", flow_runs={"tags": {"all_": [corpus]}}, sort="START_TIME_DESC")
        return runs[0] if runs else {"state": {"type": "", "message": ""}}

    def tasks_of(self, run: dict[str, Any]) -> list[dict[str, Any]]:
        return self.ask("/task_runs/filter", flow_runs={"id": {"any_": [run["id"]]}}, sort="NAME_ASC")

    def artifacts_of(self, run: dict[str, Any]) -> dict[str, Any]:
        found = self.ask("/artifacts/filter", flow_runs={"id": {"any_": [run["id"]]}})
        return {artifact["key"]: artifact for artifact in found}

    def wait_for(self, corpus: str, state: str) -> dict[str, Any]:
        deadline = time.monotonic() + 30
        while (run := self.run_of(corpus))["state"]["type"] != state:
            assert time.monotonic() < deadline, run["state"]
            time.sleep(0.05)
        return run


@dataclass(frozen=True)
class Stages:
    """A checkout whose stages report to an address."""

    checkout: Checkout

    def start(self, api: str | None, corpus: str) -> subprocess.Popen[str]:
        """`python -m flows count <corpus> …`"""
        named = {"PREFECT_API_URL": api} if api else {}
        command = [sys.executable, "-m", "flows", "count", corpus, f"data/{corpus}.txt", f"data/{corpus}.html"]
        return subprocess.Popen(
            command,
            cwd=self.checkout.root,
            env={**ENVIRONMENT, "IRG_CANARY": CANARY, "OPENAI_API_KEY": KEY, **named},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, api: str | None, corpus: str, code: int = 0) -> str:
        return self.end(self.start(api, corpus), code)

    def go(self, stage: subprocess.Popen[str]) -> str:
        """Let a patient stage finish."""
        (self.checkout.root / "go").touch()
        said = self.end(stage)
        (self.checkout.root / "go").unlink()
        return said

    def end(self, stage: subprocess.Popen[str], code: int = 0) -> str:
        said, _ = stage.communicate(timeout=60)
        assert stage.returncode == code, said
        assert self.reporters() == [], "a reporter stayed behind"
        return said

    def made(self, corpus: str) -> bytes:
        return (self.checkout.root / f"data/{corpus}.txt").read_bytes()

    def reporters(self) -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter(["cmdline", "cwd"]):
            is_reporter = "flows.reporter" in (process.info["cmdline"] or [])
            if is_reporter and process.info["cwd"] == str(self.checkout.root) and lives(process.pid):
                found.append(process)
        return found


def lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture(scope="session")
def stages(tmp_path_factory: pytest.TempPathFactory) -> Stages:
    checkout = copy_of_the_project(tmp_path_factory.mktemp("watched") / "project")
    (checkout.root / "pipelines/count.py").write_text(STAGE)
    checkout.edit("params.yaml", "executor: process", "executor: local")
    return Stages(checkout)


@pytest.fixture(scope="session")
def server(stages: Stages) -> Iterator[Server]:
    """The server of the checkout in which the stages run; at first its number is that of another process."""
    (stages.checkout.root / ".prefect").mkdir()
    (stages.checkout.root / ".prefect/server.json").write_text(json.dumps({"pid": os.getpid(), "port": 4200}))
    started = Server(stages.checkout.root)
    assert "no Prefect server" in started.command("address", code=2)
    started.command("start")
    yield started
    pid = started.pid
    assert "stopped" in started.command("stop")
    assert not lives(pid)
    assert "no Prefect server of this checkout runs" in started.command("stop")
