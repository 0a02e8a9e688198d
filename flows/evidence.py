"""What a person wants to see of a stage's work, out of the files that it wrote: Prefect artifacts beside its counts.

Rows that were rejected, expectations that held or did not, curves of a training, scores beside those of the run before.
"""

import base64
import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from flows.reports import Report, key, title
from irg_core.files import read_json
from irg_core.records.annotation import Rejection
from irg_core.records.training import LogRow
from irg_core.tables import scan

SAMPLES = 3
"""Rejected rows shown of each reason."""
LONGEST = 300
"""Letters of a detail."""
PANELS = 12
WIDTH, HEIGHT = 300, 150
"""Of one curve, in pixels."""

Last = Callable[[str], str | None]
"""The data of the latest artifact of a key, if there is one."""


def evidence(stage: str, item: str, made: list[Path], last: Last) -> Iterator[Report]:
    of = title(stage, item)
    for path in made:
        if path.parts[:2] == ("data", "rejections"):
            yield from rejections(of, path)
        elif path.parts[:3] == ("data", "reports", "validation") and path.suffix == ".json":
            yield validation(of, path)
        elif path.parts[:3] == ("data", "reports", "evaluation") and path.suffix == ".json":
            yield scores(of, path, last)
        elif (path / "training.parquet").exists():
            yield curves(of, path / "training.parquet")


def rejections(of: str, path: Path) -> Iterator[Report]:
    """How many rows each reason kept out, with a few of them."""
    counts, samples = defaultdict[str, int](int), defaultdict[str, list[Rejection]](list)
    for row in scan(path, Rejection):
        counts[row.reason] += 1
        if len(samples[row.reason]) < SAMPLES:
            samples[row.reason].append(row)
    rows = [
        {"reason": reason, "rows": counts[reason], "such as": row.key, "detail": row.detail[:LONGEST]}
        for reason in sorted(counts, key=lambda reason: -counts[reason])
        for row in samples[reason]
    ]
    if rows:
        yield Report(key(of, "rejections"), "table", f"{of}: what was rejected, with samples", json.dumps(rows))


def validation(of: str, path: Path) -> Report:
    verdict = read_json(path)
    names = ("table", "sentence", "expected", "observed", "violations")
    outcomes = sorted(verdict["outcomes"], key=lambda outcome: bool(outcome["holds"]))
    rows = [
        {"holds": "yes" if outcome["holds"] else "NO", **{name: outcome[name] for name in names}}
        for outcome in outcomes
    ]
    broken = sum(not outcome["holds"] for outcome in outcomes)
    said = f"{of}: " + (f"{broken} of {len(rows)} expectations are broken" if broken else f"all {len(rows)} hold")
    return Report(key(of, "expectations"), "table", said, json.dumps(rows))


def scores(of: str, path: Path, last: Last) -> Report:
    """The scores of a model, with what changed since it was evaluated before."""
    name = key(of, "scores")
    known = {_score(row): row["score"] for row in json.loads(last(name) or "[]")}
    rows = []
    for found in read_json(path)["scores"]:
        labels = {field: found[field] for field in ("metric", "evaluator", "motion", "subset")}
        row: dict[str, Any] = {**labels, "score": found["mean"], "±": found["interval"], "n": found["n"]}
        before = known.get(_score(row))
        row["change"] = "" if before is None else f"{found['mean'] - before:+.4g}"
        rows.append(row)
    return Report(name, "table", f"{of}: scores, and their change since the run before", json.dumps(rows))


def _score(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[field] for field in ("metric", "evaluator", "motion", "subset"))


def curves(of: str, path: Path) -> Report:
    """Losses, rewards and what else a training noted, over its steps, as one picture."""
    series = defaultdict[str, list[tuple[int, float]]](list)
    for row in scan(path, LogRow):
        series[row.name].append((row.step, row.value))
    drawn = [(name, points) for name, points in sorted(series.items(), key=_weight) if len(points) > 1][:PANELS]
    picture = base64.b64encode(drawing(drawn).encode()).decode()
    return Report(key(of, "curves"), "image", f"{of}: its curves", f"data:image/svg+xml;base64,{picture}")


def _weight(named: tuple[str, Any]) -> tuple[bool, bool, str]:
    """Losses and rewards come first."""
    name = named[0]
    return ("loss" not in name and "reward" not in name, "/" in name, name)


def drawing(series: list[tuple[str, list[tuple[int, float]]]]) -> str:
    """Small curves, three in a row, as SVG; first and last values beside their ends."""
    panels = [_panel(name, points, 20 + n % 3 * WIDTH, 20 + n // 3 * HEIGHT) for n, (name, points) in enumerate(series)]
    high = 30 + -(-max(len(series), 1) // 3) * HEIGHT
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{20 + 3 * WIDTH}" height="{high}" font-family="sans-serif"'
    return f'{head} font-size="11"><rect width="100%" height="100%" fill="white"/>{"".join(panels)}</svg>'


def _panel(name: str, points: list[tuple[int, float]], x: int, y: int) -> str:
    steps, values = [step for step, _ in points], [value for _, value in points]
    wide, high = WIDTH - 40, HEIGHT - 60
    low, span = min(values), (max(values) - min(values)) or 1.0
    far = (steps[-1] - steps[0]) or 1
    places = [
        f"{x + (step - steps[0]) / far * wide:.1f},{y + 20 + (1 - (value - low) / span) * high:.1f}"
        for step, value in points
    ]
    label = name.replace("&", "&amp;").replace("<", "&lt;")
    reach = f"step {steps[0]} to {steps[-1]}, {low:.4g} to {max(values):.4g}"
    return (
        f'<text x="{x}" y="{y + 8}" fill="#222">{label}: {values[0]:.4g} → {values[-1]:.4g}</text>'
        f'<polyline points="{" ".join(places)}" fill="none" stroke="#2563a8" stroke-width="1.5"/>'
        f'<text x="{x}" y="{y + high + 36}" fill="#777">{reach}</text>'
    )
