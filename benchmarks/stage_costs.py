"""Seconds and peak memory of each stage's latest run, from runs/costs.jsonl, as a table in Markdown.

Memory is that of the largest process; with a pool, its workers come on top.
`python -m benchmarks.stage_costs` after `make demo`.
"""

import json
import sys
from pathlib import Path

COSTS = Path("runs/costs.jsonl")


def table(lines: list[str]) -> str:
    """One row a stage, items of a stage added up (seconds) or compared (memory); the last row is the whole."""
    latest = {(row["stage"], row["item"]): row for row in map(json.loads, lines)}
    seconds: dict[str, float] = {}
    memory: dict[str, int] = {}
    for (stage, _), row in latest.items():
        seconds[stage] = seconds.get(stage, 0.0) + row["seconds"]
        memory[stage] = max(memory.get(stage, 0), row["peak_mib"])
    rows = [f"| `{stage}` | {spent:.0f} | {memory[stage]} |" for stage, spent in seconds.items()]
    whole = f"| together | {sum(seconds.values()):.0f} | {max(memory.values())} |"
    return "\n".join(["| stage | seconds | peak MiB |", "|---|--:|--:|", *rows, whole])


if __name__ == "__main__":
    if not COSTS.exists():
        sys.exit(f"{COSTS} is missing; `make demo` writes it")
    print(table(COSTS.read_text(encoding="utf-8").splitlines()))
