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

import httpx
import psutil

from flows import server
from flows.evidence import evidence
from flows.messages import Began, Counted, Done, Ended, Message, Taken
from flows.purse import Purse, live
from flows.reports import Report, reports, said, settled, title
from irg_core.errors import FactoryError
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


class Api:
    """Requests to one server; what keeps an answer away raises `Silent` or `Refused`."""

    def __init__(self, address: str, seconds: float) -> None:
        self._address = address
        # A proxy for the web knows nothing of this machine's own addresses.
        trusted = not server.is_near(address)
        self._client = httpx.Client(base_url=address, headers=_credentials(), timeout=seconds, trust_env=trusted)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        self._client.close()

    def post(self, path: str, *rows: dict[str, Any], **content: Any) -> Any:
        """The answer to one request, of rows or of one object."""
        return self._ask("POST", path, rows or content)

    def get(self, path: str) -> Any:
        return self._ask("GET", path, None)

    def patch(self, path: str, **content: Any) -> Any:
        return self._ask("PATCH", path, content)

    def set_state(self, run: str, new: dict[str, Any], of: str = "flow_runs") -> None:
        self.post(f"/{of}/{run}/set_state", state=new, force=True)

    def log(self, run: str, level: int, lines: list[str]) -> None:
        about = {"name": "irg", "level": level, "timestamp": datetime.now(UTC).isoformat(), "flow_run_id": run}
        if lines:
            self.post("/logs/", *({**about, "message": line} for line in lines))

    def attach(self, run: str, report: Report) -> str:
        """Keep an artifact with a run; its id."""
        shown = {"key": report.key, "type": report.kind, "description": report.title, "data": report.data}
        return str(self.post("/artifacts/", **shown, flow_run_id=run)["id"])

    def last(self, key: str) -> str | None:
        """The data of the latest artifact of a key."""
        try:
            return str(self.get(f"/artifacts/{key}/latest")["data"])
        except Refused:
            return None

    def page(self) -> str:
        """The address of this server if it is the checkout's own, which shows its reports."""
        own = server.running()
        return own.page if own and own.api == self._address else ""

    def crash_orphans(self) -> None:
        """Runs whose reporter died with them, or found no server at the end, would be shown as running for ever."""
        for run in self.post("/flow_runs/filter", flow_runs={"state": {"type": {"any_": ["RUNNING", "CANCELLING"]}}}):
            if _is_orphan(run.get("labels", {})):
                self.settle(run["id"])
                crashed = state("Crashed", "neither the run nor its reporter lives")
                self.set_state(run["id"], crashed)
                if stands := run.get("parent_task_run_id"):
                    self.set_state(stands, crashed, "task_runs")

    def settle(self, run: str) -> None:
        """Let the table of a run whose process is gone say how the stage ended that it shows as under way."""
        stages = self.post("/flow_runs/filter", flow_runs={"parent_flow_run_id": {"any_": [run]}})
        ends = {stage["name"]: stage["state"] for stage in stages}
        for artifact in self.post("/artifacts/filter", flow_runs={"id": {"any_": [run]}}):
            if artifact["key"].endswith("-stages"):
                self.patch(f"/artifacts/{artifact['id']}", data=settled(artifact["data"], ends))

    def _ask(self, method: str, path: str, content: Any) -> Any:
        try:
            answer = self._client.request(method, path, json=content)
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


class FlowRun:
    """One stage run as Prefect knows it."""

    def __init__(self, api: Api, key: str) -> None:
        self._api = api
        self._key = key
        """Names the run for us: told of twice, it is one."""
        self._parent = ""
        """The task run that stands for this one in the run that it belongs to."""
        self._id = ""
        self._began: Began | None = None
        self._live = ""
        """The artifact that says how far the stage is."""
        self._open: dict[int, str] = {}
        """Task runs that are under way, with their names in Prefect."""

    def calls(self, message: Message) -> list[Call]:
        """What to ask of the server, in order, so that it knows of the message. A call may be made twice."""
        match message:
            case Began():
                return [partial(self._begin, message)]
            case Taken():
                return [partial(self._take, message)]
            case Done():
                return [partial(self._close, message.task, _outcome(message))] if message.task in self._open else []
            case Counted():
                return [partial(self._count, message)]
            case Ended():
                return list(self._end(message))

    def _begin(self, began: Began) -> None:
        self._began = began
        self._purse = Purse(began.stage, began.item)
        run = {
            "flow_id": self._api.post("/flows/", name=began.stage)["id"],
            "name": title(began.stage, began.item),
            "parameters": began.parameters,
            "tags": began.tags,
            "labels": own_labels(),
            "state": RUNNING,
            "idempotency_key": self._key,
        }
        if began.parent and not self._parent:
            stands = {"name": title(began.stage, began.item), "task_key": began.stage, "dynamic_key": self._key}
            self._parent = self._api.post("/task_runs/", flow_run_id=began.parent, **stands, state=RUNNING)["id"]
        self._id = self._api.post("/flow_runs/", **run, parent_task_run_id=self._parent or None)["id"]

    def _take(self, taken: Taken) -> None:
        work = taken.work.replace("_", " ")
        task = {
            "flow_run_id": self._id,
            "name": f"{work} {taken.first}" + (f"–{taken.last}" if taken.last > taken.first else ""),
            "task_key": taken.work,
            "dynamic_key": str(taken.task),
            "state": RUNNING,
        }
        self._open[taken.task] = self._api.post("/task_runs/", **task)["id"]

    def _close(self, task: int, outcome: dict[str, str]) -> None:
        self._api.set_state(self._open[task], outcome, "task_runs")
        del self._open[task]

    def _count(self, counted: Counted) -> None:
        """One table that changes while the stage works."""
        assert self._began is not None
        shown = live(title(self._began.stage, self._began.item), counted, self._purse.spent())
        if self._live:
            self._api.patch(f"/artifacts/{self._live}", data=shown.data)
        else:
            self._live = self._api.attach(self._id, shown)

    def _end(self, ended: Ended) -> Iterator[Call]:
        """The outcome first: should there be no time for the rest, the run is at least not shown as running."""
        assert self._began is not None
        summary = read_json(Path(ended.summary)) if ended.summary and Path(ended.summary).exists() else {}
        outcome = state(ended.outcome, ended.reason or said(summary))
        yield partial(self._close_run, outcome)
        lines = [outcome["message"], *(f"wrote {path}" for path in ended.made)]
        level = logging.ERROR if ended.reason else logging.INFO
        yield partial(self._api.log, self._id, level, [line for line in lines if line])
        stage, item, made = self._began.stage, self._began.item, [Path(path) for path in ended.made]
        for report in reports(stage, item, summary, made, self._api.page()):
            yield partial(self._api.attach, self._id, report)
        with suppress(FactoryError, OSError, ValueError, KeyError):  # a file that was cut short is no evidence
            for report in evidence(stage, item, made, self._api.last):
                yield partial(self._api.attach, self._id, report)
        for task in list(self._open):
            yield partial(self._close, task, state("Cancelled", "the stage ended before this was done"))

    def _close_run(self, outcome: dict[str, str]) -> None:
        if outcome["type"] in ("CRASHED", "FAILED") and self._was_cancelled():
            outcome.update(state("Cancelled", "cancelled; what is done is kept, and a new run goes on from there"))
        self._api.set_state(self._id, outcome)
        if self._parent:
            self._api.set_state(self._parent, outcome, "task_runs")

    def _was_cancelled(self) -> bool:
        """Whether somebody cancelled this run or the one that it belongs to, and the stage was ended for that."""
        assert self._began is not None
        runs = [self._id, *filter(None, [self._began.parent])]
        found = [self._api.get(f"/flow_runs/{run}").get("state") for run in runs]
        return any(now and now["type"] in ("CANCELLING", "CANCELLED") for now in found)


def own_labels() -> dict[str, Any]:
    """Labels for a run that is told of by this process."""
    return {MACHINE: platform.node(), PID: os.getpid(), BORN: psutil.Process().create_time()}


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
        return state("Failed", done.failure)
    return state("Completed", "1 batch" if done.batches == 1 else f"{done.batches} batches")


def state(name: str, message: str) -> dict[str, str]:
    return {"type": name.upper(), "name": name, "message": message}


def _credentials() -> dict[str, str]:
    """As Prefect's client finds them in the environment (`flows.stage.CREDENTIALS`); our own server wants none."""
    if pair := os.environ.get("PREFECT_API_AUTH_STRING"):
        return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}
    key = os.environ.get("PREFECT_API_KEY")
    return {"Authorization": f"Bearer {key}"} if key else {}
