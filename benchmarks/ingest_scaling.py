"""Time and peak memory of `ingest` over growing procedural corpora, each in processes of its own.

`python -m benchmarks.ingest_scaling 1000 10000` measures those numbers of clips, keeps what was measured before, and
writes benchmarks/results/ingest_scaling.md. 100,000 clips take 25 GB of disk and most of an hour on two cores.
"""

import json
import math
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from irg_core.files import write_json, write_text

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "ingest_scaling.json"


def measure(clips: int) -> dict[str, float]:
    """Seconds of the clock and of the processor, and MiB of the largest process, for a corpus of that many takes."""
    place = Path(tempfile.mkdtemp(prefix="ingest-scaling-"))
    try:
        params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
        grammar = str(ROOT / "irg_core/corpora/procedural.yaml")
        params["corpora"] = {"made": {"format": "procedural", "root": grammar, "clips": clips, "seed": 17}}
        params["runtime"] |= {"executor": "local"}
        (place / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
        outs = ["data/clips/made.parquet", "data/rejections/made.parquet", "data/findings/made.parquet"]
        started, computed = time.monotonic(), _processor_seconds()
        subprocess.run(
            [sys.executable, "-m", "pipelines", "ingest", "made", grammar, *outs],
            cwd=place, env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}, check=True,
        )  # fmt: skip
        seconds, computed = time.monotonic() - started, _processor_seconds() - computed
        (cost,) = map(json.loads, (place / "runs/costs.jsonl").read_text(encoding="utf-8").splitlines())
        size = (place / outs[0]).stat().st_size / 2**20
        return {
            "seconds": round(seconds, 1),
            "processor_seconds": round(computed, 1),
            "peak_mib": cost["peak_mib"],
            "table_mib": round(size),
        }
    finally:
        shutil.rmtree(place)


def _processor_seconds() -> float:
    """Of all processes that this one has waited for: unlike the clock, the same on a busy machine."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def table(measured: dict[str, dict[str, float]]) -> str:
    """One row a size, and the exponent of processor time over clips between the smallest and each larger one."""
    sizes = sorted(map(int, measured))
    rows = []
    for size in sizes:
        row = measured[str(size)]
        numbers = (
            f"{row['seconds']:.0f} | {row['processor_seconds']:.0f} | {1000 * row['processor_seconds'] / size:.1f} | "
            f"{row['peak_mib']:,} | {row['table_mib']:,}"
        )
        rows.append(f"| {size:,} | {numbers} | {_exponent(measured, sizes, size)} |")
    head = (
        "| clips | seconds | of the processor | ms of it a clip | peak MiB of the process | MiB of the table "
        "| exponent of processor time |"
    )
    about = (
        "`ingest` of the procedural corpus in one process (`runtime.executor: local`), synthesis and audit included."
    )
    return "\n".join([about, "", head, "|--:|--:|--:|--:|--:|--:|--:|", *rows]) + "\n"


def _exponent(measured: dict[str, dict[str, float]], sizes: list[int], size: int) -> str:
    """Of the power law through the smallest corpus and this one."""
    if size == sizes[0]:
        return "–"
    ratio = measured[str(size)]["processor_seconds"] / measured[str(sizes[0])]["processor_seconds"]
    return f"{math.log(ratio) / math.log(size / sizes[0]):.2f}"


if __name__ == "__main__":
    known = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    for number in sys.argv[1:]:
        known[number] = measure(int(number))
        write_json(RESULTS, known)
        write_text(RESULTS.with_suffix(".md"), table(known))
        print(f"{number} clips: {known[number]}", flush=True)
