"""A small `assess` run is killed, or its disk fails, again and again; each rerun must end as if nothing had happened.

`python -m benchmarks.kills 500` runs the trials 0 … 499 (trial and seed are one number), those apart that ran before,
and writes benchmarks/results/kills.md as it goes. A trial kills the process at a random moment, or at one of the
named points of ledger and tables, or lets a call fail there; then it runs the stage again and looks at three things:
the tables have the bytes of an undisturbed run; no question whose line stood in the ledger was sent again; of the
others at most those under way were. `--points` prints 25 trials, 24 of them at the named points, as JSON.

Every run is a fork of one process that has imported all there is to import. What kills or fails is put around
`os.write`, `os.fsync` and `os.replace` in the fork: the code under test knows nothing of it.
"""

import errno
import hashlib
import json
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pandas as _pandas  # noqa: F401  # pyarrow imports it with the first column of a table
import yaml

import pipelines.assess
from irg_core.files import write_json, write_text
from irg_core.llm import openai as _openai  # noqa: F401  # a plug-in, which is imported by name
from irg_core.records.annotation import Flawed, Pair
from irg_core.records.motion import Facts, Phase
from irg_core.seeds import rng
from irg_core.tables import commit

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "kills.json"
PAIRS, UNDER_WAY = 24, 4
SECONDS = (0.0, 0.01)
"""That the endpoint takes for a reply."""
NOTED = 10
"""Trials after which the results are written."""
OUT = ("assessments", "transcripts", "rejections")

Calls = dict[str, Callable[..., Any]]


# ---- what goes wrong -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Point:
    """A place in the work where a process dies or a call fails."""

    name: str
    call: str  # function of `os`
    where: str  # how the file's name ends that it is about
    action: str  # "before" | "half" | "after": the process dies then; "fail": the call does; "short": it does a part
    error: int = 0

    @property
    def is_fatal(self) -> bool:
        return self.action in ("before", "half", "after")


POINTS = (
    Point("before a line is written", "write", ".jsonl", "before"),
    Point("in the middle of a line", "write", ".jsonl", "half"),
    Point("a line written, not yet synced", "write", ".jsonl", "after"),
    Point("a line synced, its reply not yet used", "fsync", ".jsonl", "after"),
    Point("a table written aside, not yet synced", "fsync", ".parquet.part", "before"),
    Point("before a table takes its place", "replace", ".parquet", "before"),
    Point("between two tables", "replace", ".parquet", "after"),
    Point("ledger: no space left", "write", ".jsonl", "fail", errno.ENOSPC),
    Point("ledger: a part written, then no space left", "write", ".jsonl", "short", errno.ENOSPC),
    Point("ledger: cannot be synced", "fsync", ".jsonl", "fail", errno.EIO),
    Point("table: cannot be synced", "fsync", ".parquet.part", "fail", errno.EIO),
    Point("table: no space left", "replace", ".parquet", "fail", errno.ENOSPC),
)
RANDOM = "at a random moment"


class Saboteur:
    """Stands before three calls of `os`, and acts the n-th time that one is about the file in question."""

    def __init__(self, point: Point, nth: int) -> None:
        self._point, self._left = point, nth
        self._honest: Calls = {name: getattr(os, name) for name in ("write", "fsync", "replace")}
        setattr(os, point.call, self._act)

    def _act(self, *arguments: Any) -> Any:
        honest = self._honest[self._point.call]
        if not self._is_it(arguments) or (left := self._left - 1) > 0:
            if self._is_it(arguments):
                self._left -= 1
            return honest(*arguments)
        self._left = left
        if self._point.action == "fail" or (self._point.action == "short" and left < 0):
            raise OSError(self._point.error, os.strerror(self._point.error))
        if self._point.action in ("half", "short"):
            file, data = arguments
            written = honest(file, data[: max(1, len(data) // 2)])
            if self._point.action == "short":
                return written
        elif self._point.action == "after":
            honest(*arguments)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("unreachable")

    def _is_it(self, arguments: tuple[Any, ...]) -> bool:
        about = arguments[-1] if self._point.call == "replace" else Path(f"/proc/self/fd/{arguments[0]}").readlink()
        return str(about).endswith(self._point.where)


# ---- the endpoint ----------------------------------------------------------------------------------------------------


def endpoint(log: Path, ready: int) -> None:
    """Judge whatever is asked, note who asked it before answering, and tell the port on `ready`."""
    noted = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            question = name_of("\n\n".join(message["content"] for message in body["messages"]))
            os.write(noted, f"{self.headers['Authorization'].removeprefix('Bearer ')} {question}\n".encode())
            low, high = SECONDS
            time.sleep(low + (high - low) * int(question[:4], 16) / 0xFFFF)
            content = json.dumps(_completion(body, question)).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

        def handle_error(self, *_: object) -> None:
            """Clients that die are what is tried here."""

    server = Server(("127.0.0.1", 0), Handler)
    os.write(ready, f"{server.server_port}\n".encode())
    os.close(ready)
    server.serve_forever()


def _completion(body: dict[str, Any], question: str) -> dict[str, Any]:
    """A judgement by the words of the question; some first replies, and some second ones, cannot be read."""
    is_repair, draw = len(body["messages"]) > 2, int(question[4:6], 16)
    text = json.dumps(
        {"assessment": f"The kick is missing in {question[:8]}.", "refinement": "Kick with the left leg."}
    )
    if draw < (32 if is_repair else 64):
        text = f"no object {question[:8]}"
    message = {"role": "assistant", "content": text}
    usage = {"prompt_tokens": len(str(body["messages"])) // 4, "completion_tokens": len(text) // 4}
    return {
        "id": "1", "object": "chat.completion", "usage": usage,
        "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
    }  # fmt: skip


def name_of(question: str) -> str:
    return hashlib.sha256(question.encode()).hexdigest()


# ---- runs ------------------------------------------------------------------------------------------------------------


def fork(work: Callable[[], None]) -> int:
    """A process that does nothing but this; its status is 0 where it came to an end."""
    sys.stdout.flush()
    if process := os.fork():
        return process
    status = 1
    try:
        work()
        status = 0
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        status = getattr(error, "status", 1)
    finally:
        sys.stdout.flush()
        os._exit(status)


def stage(folder: Path, key: str, sabotage: Callable[[], object]) -> None:
    os.chdir(folder)
    os.environ["OPENAI_API_KEY"] = key
    with Path("log").open("a") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    sabotage()
    tables = [Path(f"{name}.parquet") for name in ("pairs", "facts", "flawed")]
    pipelines.assess.main("c", *tables, *(Path(f"out/{name}.parquet") for name in OUT))


def inputs(folder: Path, port: int) -> None:
    """The tables and the parameters of the stage."""
    folder.mkdir()
    every = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params = {name: every[name] for name in ("assess", "kinematics", "runtime", "llm")}  # the rest takes time to read
    params["assess"] |= {"provider": "openai", "model": "m", "attempts": 2}
    params["runtime"] |= {"concurrency": UNDER_WAY, "budget_usd": None, "max_requests": None}
    params["llm"]["openai"] |= {"base_url": f"http://127.0.0.1:{port}/v1", "mode": "online"}
    write_text(folder / "params.yaml", yaml.safe_dump(params))
    walk = Phase("walk", 0.0, 2.0, "", "forward", float("nan"), 0, "", "", 2.0)
    goal = "a person walks forward and then kicks with the left leg, version {}."
    pairs = [
        Pair(f"c/{n}|c/{n}", f"c/{n}/0", f"c/{n}", goal.format(n), f"c/{n}", "goal", "none", "{}", 0.0)
        for n in range(PAIRS)
    ]
    commit(folder / "pairs.parquet", pairs, Pair)
    commit(folder / "facts.parquet", [Facts(f"c/{number}", 2.0, [walk]) for number in range(PAIRS)], Facts)
    commit(folder / "flawed.parquet", [], Flawed)


# ---- trials ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trial:
    """What one trial came to."""

    seed: int
    point: str
    status: int  # of the disturbed run: negative where it was killed, 0 where it was done before anything happened
    sent: int  # questions by the disturbed run
    kept: int  # of them whose lines stood in the ledger
    again: int  # kept ones that the rerun sent: must be 0
    lost: int  # others that the disturbed run had sent: at most those under way
    is_equal: bool  # whether the rerun came to its end, with the tables of an undisturbed run
    said: str = ""  # by a run that failed

    @property
    def is_good(self) -> bool:
        return self.is_equal and not self.again and self.lost <= UNDER_WAY


class Bench:
    """An endpoint, and the tables of an undisturbed run to compare with."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._log = place / "asked"
        ready, tell = os.pipe()
        self._endpoint = fork(lambda: endpoint(self._log, tell))
        os.close(tell)
        port = int(os.read(ready, 16))
        os.close(ready)
        _, status = os.waitpid(fork(lambda: inputs(place / "calm", port)), 0)
        assert status == 0, "the inputs could not be made"
        started = time.monotonic()
        status = self._end(self._run(place / "calm", "calm", lambda: None))
        assert status == 0, (place / "calm/log").read_text()
        self.seconds = time.monotonic() - started
        self._wanted = _bytes(place / "calm")

    def close(self) -> None:
        os.kill(self._endpoint, signal.SIGKILL)
        os.waitpid(self._endpoint, 0)

    def trial(self, seed: int, point: Point | None) -> Trial:
        """Disturb a run, at a point or at any moment, and run it again."""
        draw = rng(seed, "kill")
        folder = self._place / f"{seed}"
        folder.mkdir()
        for name in ("params.yaml", "pairs.parquet", "facts.parquet", "flawed.parquet"):
            os.link(self._place / "calm" / name, folder / name)
        if point is None:
            process = self._run(folder, f"first-{seed}", lambda: None)
            time.sleep(draw.random() * self.seconds)
            os.kill(process, signal.SIGKILL)
        else:
            nth = int(draw.integers(1, len(OUT) + 1 if "parquet" in point.where else PAIRS // UNDER_WAY))
            process = self._run(folder, f"first-{seed}", lambda: Saboteur(point, nth))
        status = self._end(process)
        kept = _kept(folder)
        done = self._end(self._run(folder, f"second-{seed}", lambda: None)) == 0
        first, second = self._asked(f"first-{seed}"), self._asked(f"second-{seed}")
        is_equal = done and _bytes(folder) == self._wanted
        said = "" if done else (folder / "log").read_text()[-1000:]
        shutil.rmtree(folder)
        again, lost = len(kept & set(second)), len(set(first) - kept)
        name = RANDOM if point is None else point.name
        return Trial(seed, name, status, len(first), len(kept), again, lost, is_equal, said)

    def _run(self, folder: Path, key: str, sabotage: Callable[[], object]) -> int:
        return fork(lambda: stage(folder, key, sabotage))

    def _end(self, process: int) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])

    def _asked(self, key: str) -> list[str]:
        lines = self._log.read_text(encoding="ascii").splitlines()
        return [question for who, question in map(str.split, lines) if who == key]


def _kept(folder: Path) -> set[str]:
    """The questions whose lines stand in the ledger, whole."""
    path = folder / "runs/ledger/assess/c.jsonl"
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    return {name_of(json.loads(line)["question"]) for line in lines}


def _bytes(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted((folder / "out").iterdir())}


def point_of(seed: int) -> Point | None:
    """Every second trial is killed at a random moment, the others take the named points in turn."""
    return None if seed % 2 else POINTS[seed // 2 % len(POINTS)]


def table(trials: list[Trial]) -> str:
    lines = [
        f"# {len(trials)} disturbed runs of `assess`, each run again",
        "",
        f"{PAIRS} pairs, {UNDER_WAY} questions under way, a loopback endpoint; seeds 0 to {len(trials) - 1}.",
        "",
        "| disturbed | trials | ended early | kept before | sent again | lost under way, most | tables equal |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name in [RANDOM, *(point.name for point in POINTS)]:
        if of := [trial for trial in trials if trial.point == name]:
            cells = [
                len(of), sum(trial.status != 0 for trial in of), sum(trial.kept for trial in of),
                sum(trial.again for trial in of), max(trial.lost for trial in of), sum(trial.is_equal for trial in of),
            ]  # fmt: skip
            lines.append(f"| {name} | " + " | ".join(f"{cell:,}" for cell in cells) + " |")
    bad = [trial.seed for trial in trials if not trial.is_good]
    lines += ["", f"Trials that broke a promise: {', '.join(map(str, bad)) if bad else 'none'}."]
    return "\n".join(lines) + "\n"


def note(trials: list[Trial]) -> str:
    write_json(RESULTS, [asdict(trial) for trial in trials])
    write_text(RESULTS.with_suffix(".md"), table(trials))
    return table(trials)


def main(arguments: list[str]) -> None:
    place = Path(tempfile.mkdtemp(prefix="kills-"))
    bench = Bench(place)
    try:
        if arguments == ["--points"]:
            named = [(seed, POINTS[seed % len(POINTS)]) for seed in range(24)]
            trials = [bench.trial(seed, point) for seed, point in named] + [bench.trial(25, None)]
            print(json.dumps([asdict(trial) | {"is_good": trial.is_good} for trial in trials]))
            return
        known = {row["seed"]: Trial(**row) for row in json.loads(RESULTS.read_text())} if RESULTS.exists() else {}
        for seed in range(int(arguments[0])):
            if seed not in known:
                known[seed] = bench.trial(seed, point_of(seed))
                if not known[seed].is_good or seed % NOTED == NOTED - 1:
                    note([known[seed] for seed in sorted(known)])
        print(note([known[seed] for seed in sorted(known)]))
    finally:
        bench.close()
        shutil.rmtree(place)


if __name__ == "__main__":
    assert threading.active_count() == 1, "a fork has only the thread that forks"
    main(sys.argv[1:])
