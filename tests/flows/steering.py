"""A checkout with small corpora, whose runs are started through Prefect as its UI starts them."""

import hashlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from irg_core.files import read_json
from tests.checkouts import ENVIRONMENT, Checkout
from tests.flows.conftest import Server

PATIENT = '''
"""Motions as `procedural` makes them, once a file `go` is there."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from irg_core.corpora import procedural


def read(root: Path, *, clips: int, seed: int) -> Iterator[Any]:
    for number, take in enumerate(procedural.read(root, clips=clips, seed=seed)):
        if number > 2:
            while not Path("go").exists():
                time.sleep(0.05)
        yield take
'''
GRAMMAR = "irg_core/corpora/procedural.yaml"
FINAL = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
DATASET = "Regenerate the dataset for a corpus"


@dataclass(frozen=True)
class Steered:
    """A checkout that `make watch` was said in."""

    checkout: Checkout
    server: Server

    @property
    def root(self) -> Path:
        return self.checkout.root

    def watch(self, word: str) -> str:
        """`make watch` or `make stop`."""
        command = [sys.executable, "-m", "flows.watch", word]
        # What it starts must not hold our pipe.
        with (self.root / ".said").open("w+") as said:
            done = subprocess.run(command, cwd=self.root, env=ENVIRONMENT, stdout=said, stderr=said, timeout=150)
            said.seek(0)
            assert done.returncode == 0, said.read()
            said.seek(0)
            return said.read()

    def ask(self, title: str, **parameters: Any) -> httpx.Response:
        """Send a form."""
        (deployment,) = [id for id, name in read_json(self.root / ".prefect/deployments.json").items() if name == title]
        address = f"{self.server.api}/deployments/{deployment}/create_flow_run"
        while (answer := httpx.post(address, json={"parameters": parameters}, timeout=60)).status_code == 503:
            time.sleep(0.5)  # a busy server asks for another attempt
        return answer

    def start(self, title: str, **parameters: Any) -> str:
        answer = self.ask(title, **parameters)
        answer.raise_for_status()
        return str(answer.json()["id"])

    def dataset(self, corpus: str, clips: int = 6, format: str = "procedural", **more: Any) -> str:
        given = {"format": format, "root": GRAMMAR, "options": {"clips": clips, "seed": 3}, "depth": "clips"}
        return self.start(DATASET, corpus=corpus, **given, **more)

    def state(self, run: str) -> dict[str, Any]:
        while (answer := httpx.get(f"{self.server.api}/flow_runs/{run}", timeout=60)).status_code == 503:
            time.sleep(0.5)
        return dict(answer.json()["state"])

    def wait(self, run: str, *states: str, seconds: float = 180) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while (now := self.state(run))["type"] not in (states or FINAL):
            assert now["type"] not in FINAL, now
            assert time.monotonic() < deadline, (now, self.stages(run), self.at_work())
            time.sleep(0.1)
        return now

    def at_work(self) -> str:
        """Processes of this checkout, and the last words of its worker."""
        found = (process.info["cmdline"] for process in self._own())
        said = (self.root / ".prefect/worker.log").read_text(errors="replace")
        return "\n".join([*(" ".join(words or []) for words in found), said[-3000:]])

    def stages(self, run: str) -> dict[str, str]:
        """Stage runs of a run, with their states."""
        found = self.server.ask("/flow_runs/filter", flow_runs={"parent_flow_run_id": {"any_": [run]}})
        return {stage["name"]: stage["state"]["type"] for stage in found}

    def wait_for_stage(self, run: str, name: str) -> None:
        self._wait_for_stages(run, lambda stages: stages.get(name) == "RUNNING")

    def wait_for_completed(self, run: str, *names: str) -> None:
        """Until Prefect shows these stages of a run, and that all of its stages completed."""
        self._wait_for_stages(run, lambda stages: stages == dict.fromkeys([*stages, *names], "COMPLETED"))

    def _wait_for_stages(self, run: str, are_there: Callable[[dict[str, str]], bool]) -> None:
        deadline = time.monotonic() + 120
        while not are_there(stages := self.stages(run)):
            assert time.monotonic() < deadline, (stages, self.state(run))
            time.sleep(0.1)

    def cancel(self, run: str) -> None:
        """As the button in the UI does."""
        address = f"{self.server.api}/flow_runs/{run}/set_state"
        httpx.post(address, json={"state": {"type": "CANCELLING", "name": "Cancelling"}}, timeout=30).raise_for_status()

    def artifacts(self, run: str) -> dict[str, Any]:
        return self.server.artifacts_of({"id": run})

    def go(self) -> None:
        (self.root / "go").touch()

    def processes(self, word: str) -> list[psutil.Process]:
        """Those of this checkout with a word on their command line."""
        return [process for process in self._own() if word in (process.info["cmdline"] or [])]

    def _own(self) -> Iterator[psutil.Process]:
        for process in psutil.process_iter(["cmdline", "cwd", "status"]):
            if process.info["cwd"] == str(self.root) and process.info["status"] != psutil.STATUS_ZOMBIE:
                yield process

    def nothing_works(self, seconds: float = 15) -> bool:
        """Whether every process of runs ends in time: no orphan is left."""
        deadline = time.monotonic() + seconds
        while any(self.processes(word) for word in ("flows.runner", "flows.dvc", "ingest", "flows.reporter")):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        return True


def tables(root: Path) -> dict[str, str]:
    """Everything that DVC made, with its hash."""
    files = [path for path in sorted((root / "data").rglob("*")) if path.is_file()]
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
