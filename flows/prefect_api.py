"""The one file that speaks to Prefect: a flow run, its task runs and its artifacts, through Prefect's REST API.

No flow runs in here: Prefect is told of what happens elsewhere. Prefect's own client could tell it as well, but its
import takes a second of a processor for each stage, more than everything else about watching taken together.
"""

import base64
import logging
import os
import platform
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import httpx
import psutil

from flows.messages import Began, Done, Ended, Message, Taken
from flows.reports import Report, reports, said, title
from irg_core.files import read_json

RUNNING = {"type": "RUNNING", "name": "Running"}
TRY_AGAIN = {408, 429}
MACHINE, PID, BORN = "irg.machine", "irg.pid", "irg.born"
"""Labels that tell whose run it is: the machine's name, the reporter's process, and when that was born."""

Call = Callable[[], object]


class Silent(Exception):
    """No answer, or one that another attempt may change."""


class Refused(Exception):
    """An answer that stays: a key is missing, or this server does not know such a request."""


class FlowRun:
    """One stage run as Prefect knows it."""

    def __init__(self, api: str, seconds: float) -> None:
        self._client = httpx.Client(base_url=api, headers=_credentials(), timeout=seconds)
        self._key = str(uuid4())
        self._id = ""
        self._began: Began | None = None
        self._open: dict[int, str] = {}
        """Task runs that are under way, with their names in Prefect."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        self._client.close()

    def calls(self, message: Message) -> list[Call]:
        """What to ask of the server, in order, so that it knows of the message. A call may be made twice."""
        match message:
            case Began():
                return [partial(self._begin, message), self._crash_orphans]
            case Taken():
                return [partial(self._take, message)]
            case Done():
                return [partial(self._close, message.task, _outcome(message))] if message.task in self._open else []
            case Ended():
                return list(self._end(message))

    def _begin(self, began: Began) -> None:
        self._began = began
        run = {
            "flow_id": self._ask("/flows/", name=began.stage)["id"],
            "name": title(began.stage, began.item),
            "parameters": began.parameters,
            "tags": began.tags,
            "labels": {MACHINE: platform.node(), PID: os.getpid(), BORN: psutil.Process().create_time()},
            "state": RUNNING,
            "idempotency_key": self._key,
        }
        self._id = self._ask("/flow_runs/", **run)["id"]

    def _take(self, taken: Taken) -> None:
        work = taken.work.replace("_", " ")
        task = {
            "flow_run_id": self._id,
            "name": f"{work} {taken.first}" + (f"–{taken.last}" if taken.last > taken.first else ""),
            "task_key": taken.work,
            "dynamic_key": str(taken.task),
            "state": RUNNING,
        }
        self._open[taken.task] = self._ask("/task_runs/", **task)["id"]

    def _close(self, task: int, state: dict[str, str]) -> None:
        self._ask(f"/task_runs/{self._open[task]}/set_state", state=state, force=True)
        del self._open[task]

    def _end(self, ended: Ended) -> Iterator[Call]:
        """The outcome first: should there be no time for the rest, the run is at least not shown as running."""
        assert self._began is not None
        summary = read_json(Path(ended.summary)) if ended.summary else {}
        outcome = _state(ended.outcome, ended.reason or said(summary))
        yield partial(self._set_state, self._id, outcome)
        lines = [outcome["message"], *(f"wrote {path}" for path in ended.made)]
        yield partial(self._log, logging.ERROR if ended.reason else logging.INFO, [line for line in lines if line])
        for report in reports(self._began.stage, self._began.item, summary, [Path(path) for path in ended.made]):
            yield partial(self._attach, report)
        for task in list(self._open):
            yield partial(self._close, task, _state("Cancelled", "the stage ended before this was done"))

    def _set_state(self, run: str, state: dict[str, str]) -> None:
        self._ask(f"/flow_runs/{run}/set_state", state=state, force=True)

    def _attach(self, report: Report) -> None:
        shown = {"key": report.key, "type": report.kind, "description": report.title, "data": report.data}
        self._ask("/artifacts/", **shown, flow_run_id=self._id)

    def _log(self, level: int, lines: list[str]) -> None:
        now = datetime.now(UTC).isoformat()
        about = {"name": "irg", "level": level, "timestamp": now, "flow_run_id": self._id}
        self._ask("/logs/", *({**about, "message": line} for line in lines))

    def _crash_orphans(self) -> None:
        """Runs whose reporter died with them, or found no server at the end, would be shown as running for ever."""
        for run in self._ask("/flow_runs/filter", flow_runs={"state": {"type": {"any_": ["RUNNING"]}}}):
            if _is_orphan(run.get("labels", {})):
                self._set_state(run["id"], _state("Crashed", "neither the stage nor its reporter lives"))

    def _ask(self, path: str, *rows: dict[str, Any], **content: Any) -> Any:
        """The answer to one request, of rows or of one object; what keeps it away raises `Silent` or `Refused`."""
        try:
            answer = self._client.post(path, json=rows or content)
            answer.raise_for_status()
        except httpx.HTTPStatusError as error:
            code = error.response.status_code
            kind = Silent if code >= 500 or code in TRY_AGAIN else Refused
            raise kind(f"{code} {error.response.reason_phrase}") from error
        except httpx.TransportError as error:
            raise Silent(str(error) or type(error).__name__) from error
        try:
            return answer.json() if answer.content else None
        except ValueError as error:
            raise Refused("what answers there is no Prefect API") from error


def _is_orphan(labels: dict[str, Any]) -> bool:
    if labels.get(MACHINE) != platform.node() or PID not in labels:
        return False
    with suppress(psutil.Error):
        reporter = psutil.Process(labels[PID])
        is_same = abs(reporter.create_time() - labels[BORN]) < 2  # seconds; another process may have the number now
        return not is_same or reporter.status() == psutil.STATUS_ZOMBIE
    return True


def _outcome(done: Done) -> dict[str, str]:
    if done.failure:
        return _state("Failed", done.failure)
    return _state("Completed", "1 batch" if done.batches == 1 else f"{done.batches} batches")


def _state(name: str, message: str) -> dict[str, str]:
    return {"type": name.upper(), "name": name, "message": message}


def _credentials() -> dict[str, str]:
    """As Prefect's client finds them in the environment (`flows.stage.CREDENTIALS`); our own server wants none."""
    if pair := os.environ.get("PREFECT_API_AUTH_STRING"):
        return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}
    key = os.environ.get("PREFECT_API_KEY")
    return {"Authorization": f"Bearer {key}"} if key else {}
