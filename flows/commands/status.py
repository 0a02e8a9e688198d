"""`irg status`: what is stale and why, what the last results were, and where everything is."""

import time
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from flows import dag
from flows.terminal import Json, console, duration, print_json, size
from irg_core.errors import ParamsError
from irg_core.files import read_json
from irg_core.params import PATH

REPORTS = Path("data/reports")
PAGES = ("report.html", "dataset.html", "corpus/*.html", "validation/*.html")
LEDGER, RUNS = Path("runs/ledger"), Path("runs")
METRICS = {"r3": "R@3", "gallery_r3": "gallery R@3", "fid": "FID", "fulfilled": "facts fulfilled"}
REASONS = 3
"""Changes of a stage that fit into a line."""


def status(
    fast: Annotated[bool, typer.Option(help="leave out what is stale; it takes DVC a few seconds")] = False,
    as_json: Json = False,
) -> None:
    """Say what is not up to date and why, the last results, the pages, the server, the ledger and checkpoints."""
    if not PATH.exists():
        raise ParamsError(f"{PATH} is missing; run from the root of the checkout")
    found, busy = stale(fast)
    values = {
        "stale": found,
        "busy": busy,
        "results": results(),
        "pages": [str(path) for pattern in PAGES for path in sorted(REPORTS.glob(pattern))],
        "server": server(),
        "ledger": ledger(),
        "checkpoints": checkpoints(),
    }
    if as_json:
        print_json(values)
    else:
        _show(values)


def stale(fast: bool) -> tuple[list[dict[str, Any]] | None, str]:
    """What is not up to date; None where nobody looked, and who works in this checkout then."""
    try:
        dag.look()
        return None if fast else [{"stage": one.stage, "why": one.why} for one in dag.stale()], ""
    except dag.Busy as error:
        return None, str(error)


def results() -> dict[str, Any]:
    """The headline numbers of the last evaluation, by the evaluators that trained no model, for the largest subset."""
    try:
        found = read_json(REPORTS / "evaluation.json")
    except (OSError, ValueError):
        return {}
    rows: dict[str, Any] = {}
    for row, motions in found.items():
        for motion, judges in motions.items():
            numbers = _headline(judges)
            if numbers:
                rows[row if motion == "only" else f"{row}, {motion}"] = numbers
    return rows


def _headline(judges: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for judge in sorted(judges, key=lambda name: name != "motion"):
        if judge == "reward":
            continue
        subsets = {name: scores for name, scores in judges[judge].items() if "/" not in name and scores}
        if subsets:
            most = max(subsets, key=lambda name: max(one["n"] for one in subsets[name].values()))
            found |= {name: subsets[most][name] for name in METRICS if name in subsets[most]}
    return {name: found[name] for name in METRICS if name in found}


def server() -> dict[str, Any]:
    """The Prefect server that stages report to; empty if there is none."""
    from flows.server import address, answers

    if (api := address()) is None:
        return {}
    trouble = answers(api, seconds=2)
    return {"page": api.removesuffix("/api"), "answers": not trouble, "trouble": trouble}


def ledger() -> dict[str, Any]:
    """What is kept of replies: files and bytes."""
    files = list(LEDGER.rglob("*.jsonl"))
    return {"files": len(files), "bytes": sum(path.stat().st_size for path in files)}


def checkpoints() -> list[dict[str, Any]]:
    """Half-trained weights under runs/, the newest first."""
    found = []
    for folder in RUNS.glob("*/*/step-*"):
        with suppress(OSError):
            weight = sum(path.stat().st_size for path in folder.iterdir())
            row = {"place": str(folder), "bytes": weight, "at": folder.stat().st_mtime}
            found.append(row)
    return sorted(found, key=lambda row: -row["at"])


def _show(values: dict[str, Any]) -> None:
    from rich.table import Table

    out = console()
    if values["busy"]:
        out.print(f"what is not up to date was not looked for: {values['busy']}", markup=False)
    if values["stale"] is not None:
        count = len(values["stale"])
        changed = [one for one in values["stale"] if one["why"]]
        out.print("[green]everything is up to date[/]" if not count else f"[bold]{count} stages are not up to date[/]")
        for one in changed:
            more = f" and {len(one['why']) - REASONS} more" if len(one["why"]) > REASONS else ""
            out.print(f"  {one['stage']}: {', '.join(one['why'][:REASONS])}{more}", markup=False)
        if waits := count - len(changed):
            out.print(f"  and {waits} that follow from these")
    if values["results"]:
        table = Table("last results", *METRICS.values(), box=None, pad_edge=False)
        for row, numbers in values["results"].items():
            table.add_row(row, *(_cell(numbers.get(name)) for name in METRICS))
        out.print(table)
    for page in values["pages"]:
        out.print(f"page: {page}", markup=False)
    found = values["server"]
    told = f"{found['page']}" + (f" ({found['trouble']})" if found["trouble"] else "") if found else "none runs"
    out.print(f"Prefect server: {told}", markup=False)
    out.print(f"ledger: {size(values['ledger']['bytes'])} in {values['ledger']['files']} files")
    for row in values["checkpoints"]:
        out.print(f"checkpoint: {row['place']}, {size(row['bytes'])}, {duration(time.time() - row['at'])} old")
    if not values["checkpoints"]:
        out.print("checkpoints: none; no training was interrupted")


def _cell(score: dict[str, float] | None) -> str:
    return f"{score['mean']:.3f} ±{score['interval']:.3f}" if score else "–"
