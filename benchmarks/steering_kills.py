"""Whatever works on a run that was started in Prefect is killed: what is shown then, and what does a rerun make?

`python -m benchmarks.steering_kills` makes a copy of the project in a temporary folder, says `make watch` there, and
kills each of five victims at three moments: as a stage begins, in the middle of a batch, and between two stages (a
stage: once its first table is written). A trial holds four things against what was promised: states in Prefect are
right within 90 s, those of the stages and their table too; no process is left; the same form again completes; and
everything under data/ then has the bytes of an undisturbed `dvc repro`. With names of victims, only they are tried;
the others' results stay. It writes benchmarks/results/steering_kills.md.
"""

import os
import re
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil
import yaml

from irg_core.files import read_json, write_json, write_text
from irg_core.params import overlaid
from tests.checkouts import Checkout, copy_of_the_project
from tests.flows.conftest import Server
from tests.flows.steering import DATASET, FINAL, GRAMMAR, Steered, tables

RESULT = Path("benchmarks/results/steering_kills.md")
LIMIT = 90.0
"""Seconds in which Prefect has to show what happened."""
HALTS = '''
"""Motions as `procedural` makes them; while a file `halt` is there, the work on the fourth stands still."""

import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from irg_core.corpora import procedural


class Halting(tuple[Any, ...]):
    def __iter__(self) -> Iterator[Any]:
        while Path("halt").exists():
            Path("halted").touch()
            time.sleep(0.02)
        return super().__iter__()


def read(root: Path, *, clips: int, seed: int) -> Iterator[Any]:
    for number, take in enumerate(procedural.read(root, clips=clips, seed=seed)):
        yield dataclasses.replace(take, captions=Halting(take.captions)) if number == 3 else take
'''
FIRST = "ingest@halts"
STAGES = ("ingest · halts", "split", "audit · halts")
BEGINS, BATCH, BETWEEN, WRITTEN = (
    "as a stage begins", "in the middle of a batch", "between two stages", "its first table written",
)  # fmt: skip
VICTIMS = ("worker", "server", "run", "dvc", "stage")
SURVIVED = {"worker", "server"}
"""Whose end a run outlives."""


Found = TypeVar("Found")


@dataclass(frozen=True)
class Promise:
    """What Prefect has to show in the end."""

    state: str
    message: str  # a pattern for it


PROMISES = {
    "worker": Promise("COMPLETED", "stages ran"),
    "server": Promise("COMPLETED", "stages ran"),
    "run": Promise("CRASHED", "neither the run nor its reporter lives"),
    "dvc": Promise("FAILED", r"dvc was killed \(signal 9\)"),
    "stage": Promise("FAILED", rf"{FIRST} was killed \(signal 9\)"),
}


@dataclass(frozen=True)
class Trial:
    """What became of one run."""

    victim: str
    moment: str
    shown: str  # state of the run, as Prefect has it in the end
    stages: dict[str, str]  # states of its stages
    seconds: float | None  # from the kill until all of it was right; none: it never was
    is_clean: bool  # no process was left
    rerun: str  # how the same form ended
    is_equal: bool

    @property
    def holds(self) -> bool:
        return self.seconds is not None and self.is_clean and self.rerun == "COMPLETED" and self.is_equal


def main(victims: list[str]) -> None:
    kept = RESULT.with_suffix(".json")
    known = [Trial(**row) for row in read_json(kept)] if victims and kept.exists() else []
    trials = {(trial.victim, trial.moment): trial for trial in known}
    with tempfile.TemporaryDirectory() as name:
        steered, undisturbed = watched(Path(name) / "project"), checkout(Path(name) / "undisturbed")
        try:
            for victim in victims or VICTIMS:
                for number, moment in enumerate((BEGINS, BATCH, WRITTEN if victim == "stage" else BETWEEN)):
                    seed = 1 + 3 * VICTIMS.index(victim) + number
                    trials[victim, moment] = tried(steered, undisturbed, victim, moment, seed)
                    print(trials[victim, moment], flush=True)
        finally:
            steered.watch("stop")
    done = sorted(trials.values(), key=lambda trial: VICTIMS.index(trial.victim))
    write_json(kept, [asdict(trial) for trial in done])
    write_text(RESULT, table(done))
    print(RESULT.read_text(encoding="utf-8"))


def checkout(folder: Path) -> Checkout:
    """A copy with one small corpus, whose motions can be made to wait."""
    made = copy_of_the_project(folder)
    params = yaml.safe_load((folder / "params.yaml").read_text(encoding="utf-8"))
    params["corpora"] = {"halts": _entry(0)}
    params["runtime"]["executor"] = "local"
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
    (folder / "irg_core/corpora/halts.py").write_text(HALTS, encoding="utf-8")
    return made


def watched(folder: Path) -> Steered:
    steered = Steered(checkout(folder), Server(folder))
    steered.watch("start")
    return steered


def _entry(seed: int) -> dict[str, Any]:
    return {"format": "halts", "root": GRAMMAR, "clips": 6, "seed": seed}


# ---- a trial ---------------------------------------------------------------------------------------------------------


def tried(steered: Steered, undisturbed: Checkout, victim: str, moment: str, seed: int) -> Trial:
    """Each trial has a corpus of its own seed, so that there is something to do; then things are as before."""
    (steered.root / "halted").unlink(missing_ok=True)
    (steered.root / "halt").touch()
    (steered.root / "data/clips/halts.parquet").unlink(missing_ok=True)
    run = start(steered, seed)
    stage = await_moment(steered, run, moment)
    os.kill(stage if victim == "stage" else pid_of(steered, victim), signal.SIGKILL)
    killed = time.monotonic()
    if victim in SURVIVED:
        (steered.root / "halt").unlink(missing_ok=True)
    seconds = until(lambda: is_right(steered, run, victim, moment), killed)
    state, stages = steered.state(run), steered.stages(run)
    is_clean = until(lambda: not left(steered), time.monotonic(), 15.0) is not None
    (steered.root / "halt").unlink(missing_ok=True)
    if victim == "worker":
        steered.watch("start")
    rerun = steered.wait(start(steered, seed), *FINAL)["type"]
    params = overlaid((undisturbed.root / "params.yaml").read_text(), {"corpora": {"halts": _entry(seed)}}, "seed")
    write_text(undisturbed.root / "params.yaml", params)
    undisturbed.repro(FIRST, "audit@halts")
    is_equal = tables(steered.root) == tables(undisturbed.root)
    return Trial(victim, moment, f"{state['name']}: {state['message']}", stages, seconds, is_clean, rerun, is_equal)


def start(steered: Steered, seed: int) -> str:
    return steered.start(
        DATASET, corpus="halts", format="halts", root=GRAMMAR, options={"clips": 6, "seed": seed}, depth="clips"
    )


def await_moment(steered: Steered, run: str, moment: str) -> int:
    """The process of the first stage, once it is as far."""
    stage = soon(lambda: stage_of(steered))
    if moment == BEGINS:
        return stage
    soon((steered.root / "halted").exists)
    if moment == BATCH:
        soon(lambda: batches(steered, run))
        return stage
    (steered.root / "halt").unlink()
    soon((steered.root / "data/clips/halts.parquet").exists)
    if moment == BETWEEN:
        soon(lambda: not stage_of(steered))
    return stage


def soon(condition: Callable[[], Found | None]) -> Found:
    """What a condition finds at a moment that is short, hence looked for often."""
    deadline = time.monotonic() + 120
    while not (found := condition()):
        assert time.monotonic() < deadline, "the moment never came"
        time.sleep(0.005)
    return found


def until(condition: Callable[[], object], since: float, limit: float = LIMIT) -> float | None:
    """Seconds since a moment, once the condition holds; none if it does not in time."""
    while not condition():
        if time.monotonic() - since > limit:
            return None
        time.sleep(0.1)
    return round(time.monotonic() - since, 1)


def stage_of(steered: Steered) -> int | None:
    """The process of the first stage; a shell that stands between it and `dvc` is none."""
    for process in steered.processes("ingest"):
        with suppress(psutil.Error):
            if "flows" in process.cmdline():
                return process.pid
    return None


def batches(steered: Steered, run: str) -> list[dict[str, Any]]:
    """Task runs under way in the stages of a run."""
    stages = {"parent_flow_run_id": {"any_": [run]}, "state": {"type": {"any_": ["RUNNING"]}}}
    return steered.server.ask(
        "/task_runs/filter", flow_runs=stages, task_runs={"state": {"type": {"any_": ["RUNNING"]}}}
    )


def pid_of(steered: Steered, victim: str) -> int:
    if victim == "server":
        return steered.server.pid
    word = {"worker": "flows.worker", "run": "flows.runner", "dvc": "flows.dvc"}[victim]
    wanted = {"dvc": "repro"}.get(victim, word)
    return next(process.pid for process in steered.processes(word) if wanted in process.cmdline())


def is_right(steered: Steered, run: str, victim: str, moment: str) -> bool:
    """Whether Prefect shows what is promised of the run, of its stages and in its table of them."""
    with suppress(httpx.HTTPError):  # the server is away
        promise, state = PROMISES[victim], steered.state(run)
        is_shown = state["type"] == promise.state and re.search(promise.message, state["message"])
        artifact = steered.artifacts(run).get("dataset-halts-stages", {"data": '"running"'})
        is_told = '"running"' not in artifact["data"]
        return bool(is_shown and is_told and are_right(steered.stages(run), victim, moment))
    return False


def are_right(stages: dict[str, str], victim: str, moment: str) -> bool:
    """Whether each stage is shown as it ended: one that was killed before it had a witness is not shown at all."""
    if victim in SURVIVED:
        return stages == dict.fromkeys(STAGES, "COMPLETED")
    first = stages.pop(STAGES[0], None)
    ended = {BEGINS: (None, "CRASHED"), BATCH: ("CRASHED",), WRITTEN: ("CRASHED",), BETWEEN: ("COMPLETED",)}
    return first in ended[moment] and set(stages.values()) <= {"CRASHED"}


def left(steered: Steered) -> list[psutil.Process]:
    """Processes of this checkout besides its server and its worker."""
    found = []
    for process in psutil.process_iter(["cmdline", "cwd", "status"]):
        is_ours = process.info["cwd"] == str(steered.root) and process.info["status"] != psutil.STATUS_ZOMBIE
        if is_ours and not {"flows.app", "flows.worker"} & set(process.info["cmdline"] or []):
            found.append(process)
    return found


# ---- what it says ----------------------------------------------------------------------------------------------------


def table(trials: list[Trial]) -> str:
    lines = [
        f"# {len(trials)} runs started in Prefect, each with something killed (SIGKILL), and run again",
        "",
        "`dvc repro ingest@halts audit@halts`, three stages; seconds from the kill until Prefect shows what happened, "
        "of the run, its stages and their table; where the run goes on, its work is among them.",
        "",
        "| killed | when | Prefect shows | s | stages that it shows | left | rerun | bytes |",
        "|---|---|---|--:|---|---|---|---|",
        *map(_row, trials),
        "",
        f"Trials that broke a promise: {sum(not trial.holds for trial in trials) or 'none'}.",
        "",
    ]
    return "\n".join(lines)


def _row(trial: Trial) -> str:
    shown = [f"{name.split()[0]} {trial.stages[name].lower()}" for name in STAGES if name in trial.stages]
    stages = ", ".join(shown) or "–"
    return (
        f"| {trial.victim} | {trial.moment} | {trial.shown} | {trial.seconds or 'never right'} | {stages} | "
        f"{'nothing' if trial.is_clean else 'A PROCESS'} | {trial.rerun.lower()} | "
        f"{'equal' if trial.is_equal else 'OTHERS'} |"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
