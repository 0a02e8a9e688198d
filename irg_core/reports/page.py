"""The report and the dataset as one page each: no script, no font and no picture from elsewhere."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from irg_core.records.training import LogRow
from irg_core.reports import drawings
from irg_core.reports.dataset import Sample
from irg_core.reports.findings import Finding, by_sentence
from irg_core.reports.player import Track, head, player
from irg_core.reports.readings import Reading
from irg_core.reports.results import Results

REPORT, DATASET, STYLE = (Path(__file__).with_name(name) for name in ("page.html", "dataset.html", "page.css"))
FEW = 32
"""Test clips below which a table says little, and is marked so."""
UNDRAWN = {"learning_rate", "gradient_norm"}
"""Numbers of the machinery; they stay in training.parquet."""


@dataclass(frozen=True)
class Story:
    """One trace with its motions: the goal's, then that of each round which has one."""

    reading: Reading
    goal_seconds: float
    tracks: list[Track]


@dataclass(frozen=True)
class Report:
    """Everything that the report shows."""

    results: Sequence[Results]
    pool: int  # how many motions a goal is searched among
    findings: Sequence[Finding]
    counts: Mapping[str, Mapping[str, Any]]  # by model: stop reasons, motions, failures, well-formed answers
    logs: Mapping[str, Sequence[LogRow]]  # by model
    verdicts: Mapping[str, Mapping[str, Any]]
    rejections: Mapping[str, Mapping[str, int]]  # stage -> reason -> rows
    stories: Sequence[Story]
    corpora: Sequence[str]  # each has an audit page, corpus/<name>.html


def render(report: Report) -> str:
    return _page(
        REPORT,
        report=report,
        charts=[(table, drawings.intervals(table.lines, "r3")) for table in report.results if _is_worth_a_chart(table)],
        curves={model: _curves(rows) for model, rows in report.logs.items()},
        title=_title,
        share=_share,
        few=FEW,
        findings=by_sentence(report.findings),
        judges=list(dict.fromkeys(finding.evaluator for finding in report.findings)),
    )


def render_dataset(samples: Mapping[str, Sequence[Sample]]) -> str:
    """The dataset page, from samples by corpus."""
    return _page(DATASET, corpora=samples, tracks=_tracks)


def _tracks(sample: Sample) -> list[Track]:
    twin = [Track(f"flawed: {sample.twin.kind.replace('_', ' ')}", sample.twin.joints)] if sample.twin else []
    return [Track("clip", sample.joints), *twin]


def _page(template: Path, **values: object) -> str:
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined)
    style = Markup(STYLE.read_text(encoding="utf-8"))
    page = environment.from_string(template.read_text(encoding="utf-8"))
    return page.render(style=style, player_head=head(), player=player, **values)


def _is_worth_a_chart(table: Results) -> bool:
    return "/" not in table.subset and max(line.clips for line in table.lines) >= FEW


def _curves(rows: Sequence[LogRow]) -> list[tuple[str, str, str]]:
    """Title, legend and drawing of each number that was logged more than once; a held-out twin shares its axes."""
    series: dict[str, list[drawings.Point]] = {}
    for row in rows:
        series.setdefault(row.name, []).append((float(row.step), row.value))
    drawn = []
    for name, line in series.items():
        twin = f"heldout_{name}"
        if (
            len(line) < 2
            or name in UNDRAWN
            or (name.startswith("heldout_") and name.removeprefix("heldout_") in series)
        ):
            continue
        together = {name: line} | ({twin: series[twin]} if len(series.get(twin, [])) > 1 else {})
        drawn.append(
            (name.replace("_", " "), drawings.legend(together) if len(together) > 1 else "", drawings.curves(together))
        )
    return drawn


def _title(subset: str) -> str:
    """A subset's name; all that no person moved is marked as such wherever it stands."""
    parts = {"synthetic": "synthetic test clips", "synthetic/seen": "synthetic, seen cells"}
    return parts.get(subset, subset.replace("/", ", ") + (" cells" if subset.endswith("/unseen") else ""))


def _share(part: int, whole: int) -> str:
    return f"{part} of {whole}" + (f" ({100 * part / whole:.0f} %)" if whole else "")
