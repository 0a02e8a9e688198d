"""`python -m flows.worker`: takes what is started in Prefect, one run at a time, and refuses what cannot work.

It keeps nothing in its memory that matters: each run is a process of its own (`flows.runner`) that outlives it.
"""

import fcntl
import os
import platform
import signal
import subprocess
import sys
import threading
import time
import traceback
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flows import runner, server
from flows.deployments import POOL, register
from flows.forms import work_of
from flows.prefect_api import Api, Refused, Silent, state
from flows.stage import masked
from flows.telling import catch_up
from irg_core.errors import FactoryError
from irg_core.files import read_json, write_json

STATE = server.HOME / "worker.json"
LOCK = server.HOME / "worker.lock"
LOOK = 1.0
"""Seconds between two looks for something to do."""
BEAT = 10
"""Seconds between two signs of life; Prefect calls a worker offline that misses three."""
SWEEP = 10
"""Seconds between two looks for runs whose processes are gone."""
PATIENCE = 60.0
"""Seconds until a new worker has to be at work; about two on an idle machine."""
QUEUED = "Queued"


class Worker:
    """One checkout's worker."""

    def __init__(self) -> None:
        self.ended = threading.Event()
        self._deployments: dict[str, str] = {}
        self._checked: set[str] = set()
        self._runner: subprocess.Popen[bytes] | None = None
        self._begun = ""
        """The run that the runner was started for; it is not in the queue any more, whatever its state still says."""
        self._next = {"beat": 0.0, "sweep": 0.0}

    def work(self) -> None:
        while not self.ended.wait(LOOK):
            try:
                self._look()
            except (Silent, Refused, server.ServerError, OSError) as trouble:
                print(f"{datetime.now():%H:%M:%S} {type(trouble).__name__}: {trouble}", file=sys.stderr, flush=True)
                self._deployments = {}
            except Exception:  # one run that nobody foresaw must not keep all others waiting
                traceback.print_exc()

    def _look(self) -> None:
        if (address := server.address()) is None:
            if server.STATE.exists():  # it did not end by itself
                server.start()
            return
        with Api(address, seconds=10) as api:
            if not self._deployments:
                self._deployments = register(api)
            if self._is_time("beat", BEAT):
                name = f"{platform.node()} {os.getpid()}"
                api.post(f"/work_pools/{POOL}/workers/heartbeat", name=name, heartbeat_interval_seconds=BEAT)
            if self._runner and self._runner.poll() is not None:
                self._runner, self._next["sweep"] = None, 0.0
            if self._is_time("sweep", SWEEP):
                for run in catch_up(api):
                    api.settle(run)
                api.crash_orphans()
            self._serve(api)

    def _serve(self, api: Api) -> None:
        asked = api.post(f"/work_pools/{POOL}/get_scheduled_flow_runs", scheduled_before=datetime.now(UTC).isoformat())
        waiting = [run for one in asked if self._can_work(api, run := one["flow_run"])]
        if waiting and self._runner is None and runner.is_free():
            self._begun = waiting[0]["id"]
            # In a session of its own: it ends by its own rules, not with us.
            command = [sys.executable, "-m", "flows.runner", self._begun]
            self._runner = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
        for run in waiting:
            if run["id"] != self._begun and run["state_name"] != QUEUED:
                when = {"scheduled_time": run["next_scheduled_start_time"]}
                waits = {"type": "SCHEDULED", "name": QUEUED, "message": "waits for the run before it"}
                api.set_state(run["id"], {**waits, "state_details": when})

    def _can_work(self, api: Api, run: dict[str, Any]) -> bool:
        """Whether a run can begin; a wrong form fails at once, whoever is in front of it."""
        if run["id"] in self._checked or run["deployment_id"] not in self._deployments:
            return run["deployment_id"] in self._deployments
        try:
            work_of(self._deployments[run["deployment_id"]], run["parameters"])
        except FactoryError as error:
            api.set_state(run["id"], state("Failed", masked(str(error))))
            return False
        self._checked.add(run["id"])
        return True

    def _is_time(self, what: str, seconds: float) -> bool:
        if time.monotonic() < self._next[what]:
            return False
        self._next[what] = time.monotonic() + seconds
        return True


def start() -> bool:
    """A worker for this checkout, at work when this returns; whether there was one. Raises `ServerError`."""
    if _running():
        return True
    with (server.HOME / "worker.log").open("ab") as log:
        subprocess.Popen(
            [sys.executable, "-m", "flows.worker"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    deadline = time.monotonic() + PATIENCE
    while not _running():
        if time.monotonic() > deadline:
            raise server.ServerError(f"the worker does not come up; see {server.HOME}/worker.log")
        time.sleep(0.1)
    return False


def retire() -> None:
    """End a worker that serves another address, or whose code is not today's; the run under way goes on."""
    if (worker := _running()) and {**read_json(STATE), **_served()} != read_json(STATE):
        _end(worker, seconds=10)
        STATE.unlink(missing_ok=True)


def _served() -> dict[str, str]:
    """What a worker that starts now would serve, and with which code."""
    return {"api": os.environ.get("PREFECT_API_URL", ""), "source": server.source()}


def stop() -> bool:
    """End the worker, and the run that is under way; what is done of it is kept. Whether there was a worker."""
    worker = _running()
    if worker:
        _end(worker, seconds=10)
    STATE.unlink(missing_ok=True)
    if server.HOME.exists() and (run := _ours(runner.under_way(), "flows.runner")):
        _end(run, seconds=runner.GRACE * 2 + 10)
    return worker is not None


def _running() -> Any:
    """The worker of this checkout, as a process; None if there is none."""
    with suppress(OSError, ValueError, KeyError):
        return _ours(int(read_json(STATE)["pid"]), "flows.worker")
    return None


def _ours(pid: int | None, module: str) -> Any:
    """The process of this number, if it runs this module in this checkout; others may have the number by now."""
    import psutil

    try:
        process = psutil.Process(pid or 0)
        is_ours = module in process.cmdline() and Path(process.cwd()) == Path.cwd()
    except psutil.Error:
        return None
    return process if is_ours and process.status() != psutil.STATUS_ZOMBIE else None


def _end(process: Any, seconds: float) -> None:
    import psutil

    with suppress(psutil.NoSuchProcess):
        process.terminate()
        try:
            process.wait(seconds)
        except psutil.TimeoutExpired:
            process.kill()


def main() -> int:
    server.HOME.mkdir(exist_ok=True)
    with LOCK.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return 0
        write_json(STATE, {"pid": os.getpid(), **_served()})
        worker = Worker()
        signal.signal(signal.SIGTERM, lambda *_: worker.ended.set())
        worker.work()
    return 0


if __name__ == "__main__":
    sys.exit(main())
