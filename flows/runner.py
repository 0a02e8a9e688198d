"""One run that was started in Prefect: `python -m flows.runner <flow run>`, a process that the worker starts.

It goes on when the worker or the server dies, and tells the server once one is back. When it is killed itself, `dvc`,
the stage and its workers end with it. One runs at a time in a checkout; its lock is a file that the kernel frees.
"""

import fcntl
import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import psutil

from flows import server
from flows.dvc import KEEPER
from flows.forms import work_of
from flows.prefect_api import RUNNING, Api, Refused, Silent, own_labels, state
from flows.progress import Outcome, Progress
from flows.rebuild import Step, Work
from flows.stage import PARENT, masked
from flows.telling import Teller
from irg_core.errors import FactoryError
from irg_core.files import read_json

LOCK = server.HOME / "dvc.lock"
"""Held while a run of ours is under way; it says which process holds it."""
GRACE = 5.0
"""Seconds from the request to end to the kill."""
LOOK = 1.5
"""Seconds between two looks at whether somebody cancelled the run."""
LOCKED = re.compile(r"[Uu]nable to acquire lock|is busy, it is being blocked")
ATTEMPTS = 20
"""How often a step is begun that somebody else's DVC kept from its locks."""
NOISE = re.compile(
    r"To track the changes|To enable auto staging|\s*dvc config|\s*git add|Use `dvc push`|Updating lock|Generating lock"
    r"|> |WARNING: Process .* in RWLock-file|\s*$"
)
"""What DVC says of itself, at the beginning of a line."""
FAILED = re.compile(r"^ERROR: (failed to reproduce '?(?P<stage>[^':]*)'?: )?(?P<why>.*)$")
STOPPED = "cancelled; what is done is kept, and a new run goes on from there"


class Stopped(Exception):
    """Somebody wants the run to end."""


@dataclass
class Stop:
    """The wish that the run ends, whoever has it."""

    wished: threading.Event = field(default_factory=threading.Event)
    why: str = STOPPED

    def wish(self, why: str) -> None:
        self.why = why
        self.wished.set()


def main(run_id: str) -> int:
    with _alone() as lock:
        if lock is None:
            return 0  # another one was faster; the run stays in the queue
        with Api(_address(), seconds=10) as api:
            run = api.get(f"/flow_runs/{run_id}")
            if run["state"]["type"] != "SCHEDULED":
                return 0
            api.patch(f"/flow_runs/{run_id}/labels", **own_labels())
            api.set_state(run_id, RUNNING)
        stop = Stop()
        signal.signal(signal.SIGTERM, lambda *_: stop.wish("ended by `make stop`; a new run goes on from there"))
        teller = Teller(run_id)
        threading.Thread(target=_listen, args=(run_id, stop), name="listen", daemon=True).start()
        outcome = _outcome(run, teller, stop, lock)
    # The next run may begin; a server that is away now is told when it is back.
    level = logging.INFO if outcome["name"] == "Completed" else logging.ERROR
    teller.log(outcome["message"], level)
    teller.end(outcome)
    return 0


def _outcome(run: dict[str, Any], teller: Teller, stop: Stop, lock: IO[str]) -> dict[str, Any]:
    try:
        deployments = read_json(server.HOME / "deployments.json")
        work = work_of(deployments[run["deployment_id"]], run["parameters"])
        teller.tell(lambda api: api.patch(f"/flow_runs/{run['id']}", name=work.title))
        return state("Completed", _do(work, teller, stop, lock, run["id"]))
    except Stopped:
        return state("Cancelled", stop.why)
    except FactoryError as error:
        return state("Failed", masked(str(error)))
    except Exception as error:
        teller.log(f"{type(error).__name__}: {error}", logging.ERROR)
        return state("Crashed", masked(f"{type(error).__name__}: {error}"))


class StepFailed(FactoryError):
    """A stage of the run, or DVC, says why it did not go on."""


def _do(work: Work, teller: Teller, stop: Stop, lock: IO[str], run_id: str) -> str:
    """Every step, one after the other; what to say of it in the end."""
    progress = Progress(work, teller)
    _wait_for_others(teller, stop)
    work.apply()
    progress.begin()
    outcome: Outcome = "failed"
    try:
        for step in work.steps:
            for _ in range(ATTEMPTS):
                if not LOCKED.search(why := _repro(step, progress, teller, stop, lock, run_id)):
                    break
                _wait_for_others(teller, stop)
                stop.wished.wait(1.0)
            if why:
                raise StepFailed(why)
        outcome = "done"
    except Stopped:
        outcome = "cancelled"
        raise
    finally:
        progress.end(outcome)
    return progress.said()


def _repro(step: Step, progress: Progress, teller: Teller, stop: Stop, lock: IO[str], run_id: str) -> str:
    """One `dvc repro`; why it failed, empty if it did not. Raises `Stopped`, and then nothing of it is left."""
    teller.log(f"$ {' '.join(step.command)}")
    process = subprocess.Popen(
        [sys.executable, "-m", "flows.dvc", *step.command[1:]],
        env=_environment(run_id),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
        pass_fds=[lock.fileno()],  # held as long as it lives, whatever becomes of us
    )
    threading.Thread(target=_end_if_wished, args=(process, stop), name="stop", daemon=True).start()
    assert process.stdout is not None
    before, why = "", ""
    for line in map(str.rstrip, process.stdout):
        if not stop.wished.is_set():  # a stage that we end does not fail
            progress.read(line)
        if NOISE.match(line):
            continue
        teller.log(line, logging.ERROR if line.startswith("ERROR") else logging.INFO)
        if failed := FAILED.match(line):
            why = why or _reason(failed, before)
        before = line
    code = process.wait()
    if stop.wished.is_set():
        _kill(process)
        raise Stopped
    if code < 0:
        return f"dvc was killed (signal {-code})"
    return why or (f"dvc ended with exit status {code}" if code else "")


def _reason(failed: re.Match[str], before: str) -> str:
    """The stage's own last sentence; a stage that was killed has none, and what is wrong with DVC it says itself."""
    stage, why = failed["stage"], failed["why"]
    if killed := re.search(r"exited with (-\d+|1(?:3[0-9]|43))$", why):
        code = int(killed[1])
        return f"{stage} was killed (signal {-code if code < 0 else code - 128})"
    return before if stage and "exited with" in why else f"{stage}: {why}" if stage else why


def _environment(run_id: str) -> dict[str, str]:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return {
        **os.environ,
        "PATH": path,
        "DVC_NO_ANALYTICS": "1",
        "PYTHONUNBUFFERED": "1",
        PARENT: run_id,
        KEEPER: str(os.getpid()),
    }


def _listen(run_id: str, stop: Stop) -> None:
    """Look for whether the run, or a stage of it, was cancelled."""
    cancelled = {"type": {"any_": ["CANCELLING", "CANCELLED"]}}
    of_it = [{"id": {"any_": [run_id]}}, {"parent_flow_run_id": {"any_": [run_id]}}]
    while not stop.wished.wait(LOOK):
        with suppress(Silent, Refused, server.ServerError), Api(_address(), seconds=5) as api:
            for which in of_it:
                if api.post("/flow_runs/filter", flow_runs={**which, "state": cancelled}, limit=1):
                    stop.wish(STOPPED)


def _end_if_wished(process: subprocess.Popen[str], stop: Stop) -> None:
    while process.poll() is None:
        if stop.wished.wait(0.2):
            _kill(process)
            return


def _kill(process: subprocess.Popen[str]) -> None:
    """End `dvc`, its stage and the stage's workers, all of one group."""
    for ending, seconds in ((signal.SIGTERM, GRACE), (signal.SIGKILL, GRACE)):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, ending)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if process.poll() is not None and not _has_group(process.pid):
                return
            time.sleep(0.05)


def _has_group(leader: int) -> bool:
    try:
        os.killpg(leader, 0)
    except ProcessLookupError:
        return False
    return True


def _wait_for_others(teller: Teller, stop: Stop) -> None:
    """Until no `dvc repro` of a shell works in this checkout."""
    said = False
    while others := list(_others()):
        if not said:
            teller.log(f"waits for `dvc` in this checkout (process {', '.join(map(str, others))})")
            said = True
        if stop.wished.wait(0.5):
            raise Stopped


def _others() -> Iterator[int]:
    for process in psutil.process_iter(["cmdline", "cwd", "status"]):
        words = [Path(word).name for word in (process.info["cmdline"] or [])[:4]]
        is_dvc = ("dvc" in words or "flows.dvc" in words) and "repro" in words
        if is_dvc and process.info["cwd"] == str(Path.cwd()) and process.info["status"] != psutil.STATUS_ZOMBIE:
            yield process.pid


@contextmanager
def _alone() -> Iterator[IO[str] | None]:
    """The lock of this checkout, or None if another run has it."""
    with LOCK.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield None
            return
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield lock


def is_free() -> bool:
    """Whether no run of ours is under way."""
    with _held() as held:
        return held is None


@contextmanager
def _held() -> Iterator[int | None]:
    with LOCK.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield None
        except OSError:
            lock.seek(0)
            yield int(lock.read() or 0)


def under_way() -> int | None:
    """The process of the run that is under way."""
    with _held() as held:
        return held


def _address() -> str:
    if (api := server.address()) is None:
        raise server.ServerError("no Prefect server runs")
    return api


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
