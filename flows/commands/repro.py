"""`irg repro`: `dvc repro` with a view of where it is, how fast it goes and what remains."""

import re
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import Annotated, Any

import typer

from flows import dag
from flows.terminal import Json, console, duration, print_json
from irg_core.files import read_json
from irg_core.summaries import FOLDER as SUMMARIES

LOG = Path("runs/repro.log")
BEGINS = re.compile(r"Running stage '(.+)':")
STEP = re.compile(r"(\w+) (\d+): ")
LAST = 25
"""Lines of a failed stage that are shown."""
PATIENCE = 15.0
"""Seconds that DVC has to end after an interrupt."""
EVERY = 0.2
"""Seconds between two looks."""
FACTS = 4
"""Numbers of a summary that fit into a line."""


def repro(
    targets: Annotated[list[str] | None, typer.Argument(help="stages, such as audit@cmu; all if left out")] = None,
    force: Annotated[bool, typer.Option(help="run them even if they are up to date")] = False,
    pull: Annotated[bool, typer.Option(help="fetch what a remote has instead of making it")] = False,
    as_json: Json = False,
) -> None:
    """Bring stages up to date, and show which one runs, how far it is, how fast, and what remains."""
    wanted = list(targets or [])
    dag.look()
    waiting = [] if force else [one.stage for one in dag.stale(wanted)]
    command = [
        sys.executable,
        "-m",
        "flows.dvc",
        "repro",
        *(["--force"] if force else []),
        *(["--pull"] if pull else []),
        *wanted,
    ]
    run = Run(waiting, dag.costs())
    if not as_json:
        _announce(run, force)
    with _view(run, quiet=as_json) as view:
        status = _followed(command, run, view)
    if as_json:
        print_json({"status": status, "stages": run.done, "seconds": round(run.seconds, 1)})
    elif status:
        console().print("\n".join(run.said), markup=False, style="red" if sys.stdout.isatty() else "")
        print(f"irg: dvc ended with status {status}; all it said is in {LOG}", file=sys.stderr)
    else:
        print(f"{len(run.done)} stages in {duration(run.seconds)}; everything asked for is up to date")
    raise typer.Exit(status)


class Run:
    """Where a run of DVC is, by what it prints and by what the stages write on the way."""

    def __init__(self, waiting: list[str], costs: dict[str, float]) -> None:
        self.waiting = waiting
        self.costs = costs
        self.started = time.monotonic()
        self.stage = ""
        self.since = self.started
        self.step = 0
        self.known = 0  # lines of the stage's ledger when it began
        self.said: deque[str] = deque(maxlen=LAST)
        self.done: list[dict[str, Any]] = []

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started

    @property
    def total(self) -> int:
        return len({one["stage"] for one in self.done} | set(self.waiting) | ({self.stage} - {""}))

    def hear(self, line: str) -> dict[str, Any] | None:
        """Take note of a line; returns the stage that ended with it."""
        begun = BEGINS.match(line)
        ended = self.end() if begun else None
        if begun:
            self.stage, self.since, self.step = begun[1], time.monotonic(), 0
            self.known = self._replies()
            self.said.clear()
        elif (step := STEP.match(line)) and step[1] == dag.split_name(self.stage)[0]:
            self.step = int(step[2])
        self.said.append(line)
        return ended

    def end(self) -> dict[str, Any] | None:
        if not self.stage:
            return None
        row = {"stage": self.stage, "seconds": round(time.monotonic() - self.since, 1), "summary": self._summary()}
        self.done.append(row)
        self.waiting = [one for one in self.waiting if one != self.stage]
        self.stage = ""
        return row

    def left(self) -> str:
        """How long the rest takes if it takes as long as it took last."""
        names = [one for one in self.waiting if one != self.stage]
        known = sum(self.costs.get(one, 0.0) for one in names)
        if self.stage in self.costs:
            known += max(0.0, self.costs[self.stage] - (time.monotonic() - self.since))
        unknown = sum(one not in self.costs for one in {*names, *([self.stage] if self.stage else [])})
        never = f"{unknown} that never ran" if unknown else ""
        return " and ".join(filter(None, [f"at most about {duration(known)}" if known else "", never]))

    def rows(self) -> str:
        """How far the running stage is: steps of a training, replies of a stage that asks."""
        spent = max(time.monotonic() - self.since, 0.1)
        if self.step:
            of = f" of {steps}" if (steps := _steps(self.stage)) else ""
            return f"step {self.step}{of}, {self.step / spent:.1f}/s"
        replies = self._replies() - self.known
        return f"{replies:,} replies, {replies / spent:.0f}/s" if replies > 0 else ""

    def _replies(self) -> int:
        stage, item = dag.split_name(self.stage)
        with suppress(OSError), (Path("runs/ledger") / stage / f"{item}.jsonl").open("rb") as file:
            return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
        return 0

    def _summary(self) -> dict[str, Any]:
        path = SUMMARIES / f"{self.stage}.json"
        with suppress(OSError, ValueError):
            if path.stat().st_mtime > time.time() - (time.monotonic() - self.since) - 1:
                return {name: value for name, value in read_json(path).items() if name not in ("stage", "item")}
        return {}


def _steps(stage: str) -> int:
    from irg_core.params import mapping

    found = mapping(dag.split_name(stage)[0]).get("steps", 0)
    return found if isinstance(found, int) else 0


def _announce(run: Run, force: bool) -> None:
    if run.waiting:
        print(f"{run.total} stages are not up to date; {run.left()}")
    elif not force:
        print("everything asked for is up to date; DVC looks once more")


def _followed(command: list[str], run: Run, view: Any) -> int:
    """Run DVC to its end. An interrupt reaches DVC and its stage as well, and is waited for."""
    LOG.parent.mkdir(exist_ok=True)
    with LOG.open("w", encoding="utf-8") as log, subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        env=dag.environment(),
    ) as process:  # fmt: skip
        lines: Queue[str | None] = Queue()
        Thread(target=_read, args=(process, lines), daemon=True).start()
        try:
            for line in _until_end(lines):
                if line is not None:
                    log.write(line + "\n")
                    ended = run.hear(line)
                    view.line(line, ended)
                view.look()
            status = process.wait()
        except KeyboardInterrupt:
            status = _stopped(process)
    if not status and (ended := run.end()):
        view.line("", ended)
    return status


def _read(process: "subprocess.Popen[str]", lines: "Queue[str | None]") -> None:
    assert process.stdout is not None
    for line in process.stdout:
        lines.put(line.rstrip("\n"))
    lines.put(None)


def _until_end(lines: "Queue[str | None]") -> Iterator[str | None]:
    """Every line; None where none came for a moment."""
    while True:
        try:
            line = lines.get(timeout=EVERY)
        except Empty:
            yield None
            continue
        if line is None:
            return
        yield line


def _stopped(process: "subprocess.Popen[str]") -> int:
    for ending in (None, signal.SIGTERM, signal.SIGKILL):
        if ending:
            process.send_signal(ending)
        with suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
            process.wait(PATIENCE)
            break
    return 130


# ---- what is seen ----------------------------------------------------------------------------------------------------


def told(row: dict[str, Any], run: Run) -> str:
    """A stage that ended, in a line."""
    numbers = {name: value for name, value in row["summary"].items() if isinstance(value, (int, float))}
    facts = ", ".join(f"{name} {value:,}" for name, value in list(numbers.items())[:FACTS])
    rejected = row["summary"].get("rejected") or {}
    lost = f", rejected {sum(rejected.values()):,}" if isinstance(rejected, dict) and rejected else ""
    return f"[{len(run.done)}/{run.total}] {row['stage']}: {duration(row['seconds'])}  {facts}{lost}".rstrip()


class Plain:
    """Lines as DVC and the stages print them, and one for each stage that ended."""

    def __init__(self, run: Run, quiet: bool) -> None:
        self.run = run
        self.quiet = quiet

    def line(self, line: str, ended: dict[str, Any] | None) -> None:
        if self.quiet:
            return
        if ended:
            left = self.run.left()
            print(told(ended, self.run) + (f"; left: {left}" if left else ""), flush=True)
        if line:
            print(line, flush=True)

    def look(self) -> None:
        """Nothing moves in a log."""


class Moving:
    """Stages that ended above, the one that runs below."""

    def __init__(self, run: Run, live: Any) -> None:
        self.run = run
        self.live = live

    def line(self, line: str, ended: dict[str, Any] | None) -> None:
        if ended:
            self.live.console.print(told(ended, self.run), markup=False)

    def look(self) -> None:
        self.live.update(self._now())

    def _now(self) -> Any:
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        run = self.run
        took = time.monotonic() - run.since
        last = run.costs.get(run.stage)
        of = f" of about {duration(last)}" if last else ""
        now = f"▶ {run.stage or 'DVC looks for changes'}  {duration(took)}{of}  {run.rows()}"
        whole = f"{len(run.done)} of {run.total} stages, {duration(run.seconds)}; left: {run.left() or 'little'}"
        said = run.said[-1] if run.said else ""
        lines = Table.grid()
        for line in (
            Text(now.rstrip(), style="bold", no_wrap=True, overflow="ellipsis"),
            ProgressBar(total=last or None, completed=min(took, last or took), width=60, pulse=not last),
            Text(said, style="dim", no_wrap=True, overflow="ellipsis"),
            Text(whole),
        ):
            lines.add_row(line)
        return lines


@contextmanager
def _view(run: Run, quiet: bool) -> Iterator[Plain | Moving]:
    if quiet or not sys.stdout.isatty():
        yield Plain(run, quiet)
        return
    from rich.live import Live

    with Live(console=console(), refresh_per_second=5, transient=True) as live:
        yield Moving(run, live)
