"""What a stage run looks like in Prefect: names, tables of counts, tables of reasons, links to what it wrote."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

UNDER_WAY = "running"
ENDS = {"COMPLETED": "done", "FAILED": "failed", "CANCELLED": "cancelled"}
"""How the run of a stage ended, in the words of the table of stages; any other end is that it was killed."""


@dataclass(frozen=True)
class Report:
    """One Prefect artifact. Those of equal key, from run to run, are its versions."""

    key: str
    kind: Literal["table", "markdown", "image", "progress"]
    title: str
    data: str


def title(stage: str, item: str) -> str:
    return f"{stage} · {item}" if item else stage


def said(summary: dict[str, Any]) -> str:
    """The summary on one line, as the stage prints it."""
    return ", ".join(f"{name} {value}" for name, value in facts(summary).items())


def reports(stage: str, item: str, summary: dict[str, Any], made: list[Path], page: str) -> list[Report]:
    """A summary's numbers as one table, each of its mappings as one of its own; what the stage wrote, pages first.

    `page` is the address of the checkout's own server, which shows its reports; empty for another one.
    """
    of = title(stage, item)
    found = facts(summary)
    counts = [{"what": name, "value": value} for name, value in found.items() if not isinstance(value, dict)]
    tables = {"counts": counts} if counts else {}
    tables |= {name: shares(name, value) for name, value in found.items() if isinstance(value, dict) and value}
    shown = [Report(key(of, name), "table", f"{of}: {name}", json.dumps(rows)) for name, rows in tables.items()]
    if made:
        lines = "\n".join(f"- {link(path, page)}" for path in sorted(made, key=lambda path: path.suffix != ".html"))
        shown.append(Report(key(of, "files"), "markdown", f"{of}: what it wrote", lines))
    return shown


def settled(table: str, runs: dict[str, dict[str, Any]]) -> str:
    """A table of stages in which none is under way any more: it ended as its own run did, or was killed.

    `runs` are states of stage runs by name.
    """
    rows = json.loads(table)
    for row in rows:
        if row["outcome"] == UNDER_WAY:
            stage, _, item = row["stage"].partition("@")
            run = runs.get(title(stage, item), {"type": "", "message": ""})
            row["outcome"], row["result"] = ENDS.get(run["type"], "killed"), run["message"] or ""
    return json.dumps(rows)


def facts(summary: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in summary.items() if name not in {"stage", "item"}}


def shares(of: str, counts: dict[str, Any]) -> list[dict[str, Any]]:
    """A mapping such as rejections by reason, as rows; the most frequent come first."""
    rows = [{of: name, "count": value} for name, value in counts.items()]
    if all(isinstance(value, int | float) for value in counts.values()):
        rows.sort(key=lambda row: -row["count"])
    return rows


def link(path: Path, page: str) -> str:
    """Browsers open no local file from a page of the network, so its name can also be read and copied."""
    if page and path.parts[:2] == ("data", "reports"):
        return f"[{path.name}]({page}/reports/{path.relative_to('data/reports').as_posix()}) `{path}`"
    return f"[{path.name}]({path.resolve().as_uri()}) `{path}`"


def key(*words: str) -> str:
    """Prefect allows lower-case letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", " ".join(words).lower()).strip("-")
