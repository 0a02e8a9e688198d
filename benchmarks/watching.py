"""What it costs to be watched: the same stage plain and watched, in turns, and what that means for the demo.

`python -m benchmarks.watching` from the root of the checkout writes benchmarks/results/watching.md. It starts a Prefect
server of its own in a temporary folder. Seconds are of the wall and of all processors together: on idle processors the
reporter works beside the stage, on busy ones its seconds come on top.
"""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import yaml

from irg_core.files import read_json, write_text

ROOT = Path(__file__).parents[1]
RESULT = Path("benchmarks/results/watching.md")
PAIRS = 7
CLIPS = (20, 1000)
"""Sizes of `ingest`: next to no work in one batch, and more in `BATCHES`."""
BATCHES = 16
DEMO_SECONDS, DEMO_BATCHES = 1918.0, 560
"""`make demo` on two cores, as in README.md, and about as many batches as its stages have together."""


@dataclass(frozen=True)
class Cost:
    """One run, or how much more one run took than another."""

    wall: float
    processor: float

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.wall + other.wall, self.processor + other.processor)

    def __mul__(self, factor: float) -> "Cost":
        return Cost(self.wall * factor, self.processor * factor)

    def __sub__(self, other: "Cost") -> "Cost":
        return self + other * -1


def main() -> None:
    if not Path("dvc.lock").exists():
        sys.exit("dvc.lock is missing; run from the root of a checkout whose demo was built")
    runs = len(yaml.safe_load(Path("dvc.lock").read_text(encoding="utf-8"))["stages"])
    with tempfile.TemporaryDirectory() as name:
        write_text(RESULT, table(Path(name), runs))
    print(RESULT.read_text(encoding="utf-8"))


def table(folder: Path, runs: int) -> str:
    prepare(folder)
    start = timed(folder, "flows.server", "start")
    server = psutil.Process(read_json(folder / ".prefect/server.json")["pid"])
    rows, added = [], []
    for clips in CLIPS:
        before = busy(server)
        pairs = [pair(folder, clips) for _ in range(PAIRS)]
        serving = (busy(server) - before) / PAIRS
        plain = median([plain for plain, _ in pairs])
        more = median([watched - plain for plain, watched in pairs])
        added.append(more + Cost(0.0, serving))
        batches = BATCHES if clips == max(CLIPS) else 1
        seconds = f"{plain.wall:.2f} | {more.wall:.2f} | {more.processor + serving:.2f} | {serving:.2f}"
        rows.append(f"| `ingest` of {clips} clips, batches: {batches} | {seconds} |")
    timed(folder, "flows.server", "stop")
    few, many = added
    demo = few * runs + (many - few) * (DEMO_BATCHES / (BATCHES - 1))
    wall, busy_wall = start.wall + demo.wall, start.wall + demo.processor / 2
    return "\n".join(
        [
            f"Median of {PAIRS} pairs in turns; what watching adds to a stage.",
            "",
            "| stage | plain, s | added, s | added, s of processor | of these, the server's |",
            "|---|--:|--:|--:|--:|",
            *rows,
            "",
            f"A first start of the server takes {start.wall:.1f} s. The demo has {runs} stage runs with about "
            f"{DEMO_BATCHES} batches and takes {DEMO_SECONDS:.0f} s. Watched, it takes {wall:.0f} s more "
            f"({wall / DEMO_SECONDS:.1%}); were both cores always busy, {busy_wall:.0f} s "
            f"({busy_wall / DEMO_SECONDS:.1%}).",
            "",
        ]
    )


def prepare(folder: Path) -> None:
    """A root to run stages from: parameters, the grammar of the procedural corpus, and no data."""
    params = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    params["runtime"]["executor"] = "local"
    (folder / "grammar.yaml").write_bytes(Path("irg_core/corpora/procedural.yaml").read_bytes())
    for clips in CLIPS:
        params["corpora"][f"clips{clips}"] = {**params["corpora"]["procedural"], "clips": clips}
    (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")


def pair(folder: Path, clips: int) -> tuple[Cost, Cost]:
    """One stage run plain, and one watched."""
    corpus = f"clips{clips}"
    arguments = ["ingest", corpus, "grammar.yaml", f"data/{corpus}.parquet", f"data/refused/{corpus}.parquet"]
    arguments.append(f"data/findings/{corpus}.parquet")
    return timed(folder, "pipelines", *arguments), timed(folder, "flows", *arguments)


def timed(folder: Path, module: str, *arguments: str) -> Cost:
    """Run a module of ours in `folder`; processor seconds include those of every process that it waited for."""
    named = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    before, started = children(), time.monotonic()
    subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=folder,
        env={**named, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return Cost(time.monotonic() - started, children() - before)


def children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def busy(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def median(costs: list[Cost]) -> Cost:
    return Cost(statistics.median(cost.wall for cost in costs), statistics.median(cost.processor for cost in costs))


if __name__ == "__main__":
    main()
