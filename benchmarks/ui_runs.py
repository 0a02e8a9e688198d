"""Runs of small targets through Prefect, two submitted at once each time: do they queue, and does a lock ever fail?

`python -m benchmarks.ui_runs 25` makes a copy of the project in a temporary folder, says `make watch` there, submits 25
pairs of runs and writes benchmarks/results/ui_runs.md. The second of each pair changes a parameter, so that there is
something to do.
"""

import re
import statistics
import sys
import tempfile
import time
from pathlib import Path

import yaml

from irg_core.files import write_text
from tests.checkouts import copy_of_the_project
from tests.flows.conftest import Server
from tests.flows.steering import DATASET, FINAL, GRAMMAR, Steered

RESULT = Path("benchmarks/results/ui_runs.md")
LOCKS = re.compile(r"database is locked|[Uu]nable to acquire lock|is busy, it is being blocked")


def main(pairs: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        checkout = copy_of_the_project(Path(name) / "project")
        params = yaml.safe_load((checkout.root / "params.yaml").read_text())
        params["corpora"] = {"tiny": {"format": "procedural", "root": GRAMMAR, "clips": 12, "seed": 17}}
        params["runtime"]["executor"] = "local"
        (checkout.root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
        steered = Steered(checkout, Server(checkout.root))
        steered.watch("start")
        try:
            write_text(RESULT, table(steered, pairs))
        finally:
            steered.watch("stop")
    print(RESULT.read_text())


def table(steered: Steered, pairs: int) -> str:
    ends, seconds, most = dict[str, int](), [], 0
    for number in range(pairs):
        began = time.monotonic()
        runs = [
            steered.start(DATASET, corpus="tiny", depth="clips"),
            steered.start(DATASET, corpus="tiny", depth="clips", options={"clips": 12 + number % 2, "seed": 17}),
        ]
        while any(steered.state(run)["type"] not in FINAL for run in runs):
            at_work = [found for found in steered.processes("flows.dvc") if "repro" in found.cmdline()]
            most = max(most, len(at_work))
            time.sleep(0.2)
        seconds.append(time.monotonic() - began)
        for run in runs:
            end = steered.state(run)["name"]
            ends[end] = ends.get(end, 0) + 1
        print(f"{number + 1}: {ends}, {seconds[-1]:.1f} s", flush=True)
    said = "".join(path.read_text(errors="replace") for path in (steered.root / ".prefect").glob("*.log"))
    return "\n".join(
        [
            f"{2 * pairs} runs of `dvc repro ingest@tiny audit@tiny` started in Prefect, two at once each time.",
            "",
            "| | |",
            "|---|--:|",
            *(f"| {end} | {count} |" for end, count in sorted(ends.items())),
            f"| DVC processes at the same time, at most | {most} |",
            f"| locks that failed (DVC's, the database's) | {len(LOCKS.findall(said))} |",
            f"| seconds a pair, median | {statistics.median(seconds):.1f} |",
            f"| seconds a pair, longest | {max(seconds):.1f} |",
            "",
        ]
    )


if __name__ == "__main__":
    main(int(sys.argv[1]))
