"""How long `irg explain` looks for the chain behind an example, among a million of them.

`python -m benchmarks.explain [goals]` makes tables of four pairs a goal in a temporary folder and writes
benchmarks/results/explain.md. What is timed is the look-up in one process that runs already, files in the page cache.
"""

import os
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import million
from flows.commands.explain import chain
from irg_core.errors import TableError
from irg_core.files import write_text
from irg_core.params import mapping
from irg_core.seeds import rng

RESULT = Path(__file__).parent / "results/explain.md"
LOOKS = 50


def main(goals: int) -> None:
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as name:
        rows = million.make(Path(name), goals)
        os.chdir(name)
        try:
            numbers = rng(1, "explain").integers(0, 4 * goals, LOOKS).tolist()
            keys = [million.pair(number) for number in numbers]
            looks = {
                "an example, back to its source": [f"assess|{key}" for key in keys],
                "a pair": keys,
                "a caption": [key.partition("|")[0] for key in keys],
                "a clip": [million.clip(number // 4) for number in numbers],
                "a key that no table has": [f"{key}x" for key in keys],
            }
            corpora = mapping("corpora")  # as part of the start of the process
            chain(keys[0], corpora)  # imports, and the first look at the files
            timed = {what: sorted(_milliseconds(key, corpora) for key in wanted) for what, wanted in looks.items()}
        finally:
            os.chdir(here)
    write_text(RESULT, table(timed, rows))
    print(RESULT.read_text(encoding="utf-8"))


def _milliseconds(key: str, corpora: dict[str, Any]) -> tuple[float, float]:
    """Of the clock, and of the processor: on a busy machine the clock also tells what others did."""
    start, computed = time.perf_counter(), time.process_time()
    try:
        chain(key, corpora)
    except TableError:
        assert key.endswith("x")
    return 1000 * (time.perf_counter() - start), 1000 * (time.process_time() - computed)


def table(timed: dict[str, list[tuple[float, float]]], rows: dict[str, int]) -> str:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    lines = [
        f"| {what} | {statistics.median(clock for clock, _ in found):.0f} | {found[int(0.95 * len(found))][0]:.0f} | "
        f"{found[-1][0]:.0f} | {statistics.median(computed for _, computed in found):.0f} |"
        for what, found in timed.items()
    ]
    sizes = ", ".join(f"{name.removesuffix('/made')} {count:,}" for name, count in rows.items() if count)
    return "\n".join(
        [
            f"Rows: {sizes}. {LOOKS} look-ups each, in one process, milliseconds; peak {peak:,.0f} MiB, the making of "
            "the tables included.", "",
            "| looked up | median | 95th of 100 | slowest | median of the processor |", "|---|--:|--:|--:|--:|",
            *lines, "",
        ]
    )  # fmt: skip


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 250_000)
