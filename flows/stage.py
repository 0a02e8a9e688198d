"""One stage as a Prefect flow run, its batches as task runs, without Prefect in the stage's process.

A reporter, a process of its own, does the talking (`flows.reporter`); the stage writes lines into a pipe and never
waits for it. Prefect's own engine inside the stage would take its import from the stage's time, and was seen to raise
160 s after its server had died. Here a server may refuse, hang or die, and the work does not notice; and a stage that
is killed leaves a witness.
"""

import ast
import itertools
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from flows.dvc import leave_if_alone
from flows.messages import Began, Counted, Done, Ended, Message, Outcome, Taken, line
from flows.reports import title
from flows.server import address, environment, last
from irg_core.errors import FactoryError
from irg_core.records.annotation import Rejection
from irg_core.summaries import FOLDER as SUMMARIES
from pipelines.__main__ import Call, Shown
from pipelines.executor import MapBatches

LINGER = 8.0
"""Seconds that a finished stage waits for its reporter, which gives up by itself before that."""
SINGLE = 32
"""So many task runs show one batch each, the next so many two, then four …: 100,000 batches are 384 task runs."""
REASON = 1500
"""Bytes of a reason, so that a message fits into the pipe whole."""
TELL = 2.0
"""Seconds between two messages of how far a map has come."""
CREDENTIALS = ("PREFECT_API_KEY", "PREFECT_API_AUTH_STRING")
"""What a server may want to know of its reporters."""
PARENT = "IRG_FLOW_RUN"
"""Names the flow run that a stage belongs to, where it was started from Prefect."""
SECRET = re.compile("KEY|TOKEN|SECRET|PASSWORD", re.IGNORECASE)


@contextmanager
def watched(call: Call) -> Iterator[Shown]:
    """Report one stage run to the Prefect server, if one is named or ours is up. Errors are told, and go on."""
    leave_if_alone()
    # A stage of a run that Prefect began has a server: where it is away, the worker starts it again.
    if (api := address() or (last() if os.environ.get(PARENT) else None)) is None:
        yield lambda map_batches: map_batches
        return
    try:
        watch = Watch(call, api)
    except OSError as error:
        print(f"{call.stage}: NOT WATCHED, the work goes on: no reporter can be started ({error})", file=sys.stderr)
        yield lambda map_batches: map_batches
        return
    try:
        yield watch.show
    except BaseException as error:
        watch.end("Failed" if isinstance(error, Exception) else "Crashed", reason(error))
        raise
    watch.end("Completed", "")


class Watch:
    """The stage's end of the pipe."""

    def __init__(self, call: Call, api: str) -> None:
        self.call = call
        self.started = time.time()
        self.tasks = itertools.count(1)
        # In a session of its own, so that what kills the stage's group does not take the witness with it.
        self.reporter = subprocess.Popen(
            [sys.executable, "-m", "flows.reporter", api],
            env=environment(*CREDENTIALS),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            bufsize=0,
            start_new_session=True,
        )
        assert self.reporter.stdin is not None
        self.pipe = self.reporter.stdin
        os.set_blocking(self.pipe.fileno(), False)
        parameters = dict(zip(argument_names(call.stage), call.values, strict=False))
        tags = [*filter(None, [call.stage, call.item, repro()])]
        self.tell(Began(call.stage, call.item, parameters, tags, os.environ.get(PARENT, "")))

    def tell(self, message: Message) -> None:
        """Write a line; if the reporter is gone or stuck, this one is lost and none follows."""
        content = line(message)
        with suppress(OSError, ValueError):
            if os.write(self.pipe.fileno(), content) == len(content):
                return
        with suppress(OSError):
            self.pipe.close()

    def show(self, map_batches: MapBatches) -> MapBatches:
        return partial(self._map, map_batches)

    def end(self, outcome: Outcome, why: str) -> None:
        """Tell the end, and give the reporter its few seconds."""
        summary = SUMMARIES / f"{'@'.join(filter(None, [self.call.stage, self.call.item]))}.json"
        made = [value for value in self.call.values if self._is_new(Path(value))]
        self.tell(Ended(outcome, why, made, str(summary) if self._is_new(summary) else ""))
        with suppress(OSError):
            self.pipe.close()
        try:
            status = self.reporter.wait(LINGER)
        except subprocess.TimeoutExpired:
            self.reporter.kill()
            status = self.reporter.wait()
        if status < 0:
            name = title(self.call.stage, self.call.item)
            print(f"{name}: its reporter was killed; Prefect may not show its end", file=sys.stderr, flush=True)

    def _map(self, map_batches: MapBatches, work: Any, first: Iterable[Any], *more: Iterable[Any]) -> Iterator[Any]:
        """`map_batches`, and tell of it: a task run begins when its first batch is taken, ends with its last result."""
        tasks: dict[int, int] = {}
        results = iter(map_batches(work, self._taken(work_name(work), first, tasks), *more))
        count = Count(work_name(work))
        for batch in itertools.count(1):
            start, last = span(batch)
            try:
                result = next(results)
            except StopIteration:
                self._done(tasks, start, batch - start)
                return
            except Exception as error:
                self._done(tasks, start, batch - start, reason(error))
                raise
            if batch == last:
                self._done(tasks, start, batch - start + 1)
            if counted := count.add(result):
                self.tell(counted)
            yield result

    def _taken(self, work: str, batches: Iterable[Any], tasks: dict[int, int]) -> Iterator[Any]:
        for batch, content in enumerate(batches, start=1):
            first, last = span(batch)
            if batch == first:
                tasks[first] = next(self.tasks)
                self.tell(Taken(tasks[first], work, first, last))
            yield content

    def _done(self, tasks: dict[int, int], first: int, batches: int, failure: str = "") -> None:
        if first in tasks:
            self.tell(Done(tasks.pop(first), batches, failure))

    def _is_new(self, path: Path) -> bool:
        """Whether this run wrote it; file systems stamp by a clock that is a few milliseconds behind."""
        with suppress(OSError):
            return path.stat().st_mtime > self.started - 0.02
        return False


class Count:
    """Rows that came out of a map, told now and then."""

    def __init__(self, work: str) -> None:
        self._work = work
        self._rows = self._rejected = 0
        self._began = self._told = time.monotonic()

    def add(self, result: Any) -> Counted | None:
        """What to tell after this batch, if it is time; a result that is no list of rows is one row."""
        rows = result if isinstance(result, list | tuple) else [result]
        self._rows += len(rows)
        self._rejected += sum(isinstance(row, Rejection) for row in rows)
        if (now := time.monotonic()) - self._told < TELL:
            return None
        self._told = now
        return Counted(self._work, self._rows, self._rejected, round(now - self._began, 1))


def span(batch: int) -> tuple[int, int]:
    """First and last batch, counted from 1, of the task run that shows this batch."""
    level, size = 1, 1
    while batch >= level + SINGLE * size:
        level, size = level + SINGLE * size, 2 * size
    first = batch - (batch - level) % size
    return first, first + size - 1


def reason(error: BaseException) -> str:
    """One sentence of an error that a user can mend, kind and message of a bug; values of keys are masked."""
    return masked(str(error) if isinstance(error, FactoryError) else f"{type(error).__name__}: {error}")


def masked(text: str) -> str:
    """A text as Prefect may keep it: no longer than a reason, and without the value of any key."""
    for name, value in os.environ.items():
        if SECRET.search(name) and len(value) >= 8:
            text = text.replace(value, f"<{name}>")
    return text.encode(errors="replace")[:REASON].decode(errors="ignore")


def work_name(work: Any) -> str:
    while isinstance(work, partial):
        work = work.func
    return str(getattr(work, "__name__", type(work).__name__)).strip("_")


def argument_names(stage: str) -> list[str]:
    """The positional parameters of the stage's `main`, read rather than imported: imports are the stage's business."""
    import pipelines

    tree = ast.parse((Path(pipelines.__path__[0]) / f"{stage}.py").read_text(encoding="utf-8"))
    mains = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "main"]
    return [argument.arg for main in mains for argument in main.args.args]


def repro() -> str:
    """The `dvc` process that started this stage, as a tag which its stages share; empty if none did."""
    import psutil

    for ancestor in psutil.Process().parents():
        with suppress(psutil.Error):
            if any(Path(word).name in ("dvc", "flows.dvc") for word in ancestor.cmdline()[:3]):
                return f"dvc {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(ancestor.create_time()))}"
    return ""
