"""Great Expectations over a million annotation rows, through the project's own validation.

`python -m benchmarks.validation_scale` measures, each in a process of its own, the whole stage `validate_examples` over
a million rows of captions, analyses, pairs and verified judgements, and thirty expectations over one table of a million
rows, sound and broken; it writes benchmarks/results/validation_scale.md.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import million
from irg_core.files import write_text
from irg_core.validation import verdicts

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "benchmarks/results/validation_scale.md"
ROWS = 1_000_000
FLAGS, NUMBERS, WORDS = 14, 10, 4
"""Columns of the one table, with an expectation each; two more hold its keys and its size against theirs."""


def stage() -> dict[str, float]:
    """validate_examples over a million annotation rows, from Parquet to verdict and page."""
    with tempfile.TemporaryDirectory() as name:
        made = subprocess.run(
            [sys.executable, "-m", "benchmarks.validation_scale", "make", name], cwd=ROOT, check=True,
            capture_output=True, text=True,
        )  # fmt: skip
        rows = json.loads(made.stdout)
        os.chdir(name)
        from pipelines import validate_examples

        start = time.perf_counter()
        validate_examples.main(
            Path("data/captions"), Path("data/analyses"), Path("data/pairs"), Path("data/verified"),
            Path("data/splits.parquet"), Path("data/twins.parquet"), Path("data/examples/stage1.parquet"),
            Path("data/examples/stage2.parquet"), Path("data/examples/stage3.parquet"), Path("v.json"), Path("v.html"),
        )  # fmt: skip
        seconds = time.perf_counter() - start
        expectations = len(json.loads(Path("v.json").read_text(encoding="utf-8"))["outcomes"])
        os.chdir(ROOT)
    annotations = sum(rows[f"{name}/made"] for name in ("captions", "analyses", "pairs", "verified"))
    return {"rows": annotations, "others": rows["examples/stage1"] + rows["examples/stage3"],
            "expectations": expectations, "seconds": seconds}  # fmt: skip


def one_table(broken: bool) -> dict[str, float]:
    """Thirty expectations over one table; broken: every second row breaks one, and one row in a thousand ten more."""
    draw = np.random.Generator(np.random.PCG64(1))
    frame = {"pair_id": pd.Series([million.pair(number) for number in range(ROWS)], dtype="str")}
    claims = [verdicts.rows_at_least(1, "there are rows"), verdicts.unique("pair_id", "a pair occurs once")]
    for number in range(FLAGS):
        frame[f"flag{number}"] = pd.Series(np.arange(ROWS) % 2 == 0 if broken and not number else np.ones(ROWS, bool))
        claims.append(verdicts.always(f"flag{number}", f"flag {number} holds"))
    for number in range(NUMBERS):
        frame[f"number{number}"] = pd.Series(draw.random(ROWS) + (broken * (np.arange(ROWS) % 1000 == 0)))
        claims.append(verdicts.between(f"number{number}", 0, 1, f"number {number} is small"))
    for number in range(WORDS):
        frame[f"word{number}"] = pd.Series(np.array(["a", "b", "c"])[draw.integers(0, 3, ROWS)], dtype="str")
        claims.append(verdicts.within(f"word{number}", ["a", "b", "c"], f"word {number} is known"))
    start = time.perf_counter()
    outcomes = verdicts.check([verdicts.Table("pairs", "pair_id", pd.DataFrame(frame), claims)])
    assert all(outcome.holds for outcome in outcomes) is not broken
    return {"rows": ROWS, "others": 0, "expectations": len(outcomes), "seconds": time.perf_counter() - start}


CASES = {
    "the stage `validate_examples`, reading included": stage,
    "one table, sound": lambda: one_table(False),
    "one table, half a million rows broken": lambda: one_table(True),
}


def main() -> None:
    lines = []
    for place, name in enumerate(CASES):
        found = subprocess.run(
            [sys.executable, "-m", "benchmarks.validation_scale", str(place)], cwd=ROOT, check=True,
            capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        row = json.loads(found.stdout.splitlines()[-1])
        numbers = f"{row['rows']:,.0f} | {row['others']:,.0f} | {row['expectations']:.0f}"
        lines.append(f"| {name} | {numbers} | {row['seconds']:.1f} | {row['peak_mib']:,.0f} |")
        print(lines[-1], flush=True)
    head = "| | annotation rows | rows of examples | expectations | seconds | peak MiB |"
    about = "Each in a process of its own, on one thread; the seconds hold the import of Great Expectations (3 to 5)."
    write_text(RESULT, "\n".join([about, "", head, "|---|--:|--:|--:|--:|--:|", *lines, ""]))


if __name__ == "__main__":
    if sys.argv[1:2] == ["make"]:
        print(json.dumps(million.make(Path(sys.argv[2]), ROWS // 10)))
    elif sys.argv[1:]:
        measured = CASES[list(CASES)[int(sys.argv[1])]]()
        print(json.dumps(measured | {"peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
    else:
        main()
