"""report: gather what evaluation, validation and training wrote into metrics, one page and a plain table."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from irg_core.files import read_json, write_json, write_text
from irg_core.params import mapping, names, section
from irg_core.records.annotation import Rejection
from irg_core.records.evaluation import Generation, Protocol, Score
from irg_core.records.motion import Clip
from irg_core.records.training import LogRow
from irg_core.reports import findings, results
from irg_core.reports import page as pages
from irg_core.reports.page import Report
from irg_core.reports.readings import Reading, readings
from irg_core.reports.samples import samples
from irg_core.summaries import summarise
from irg_core.tables import read, read_all


@dataclass(frozen=True)
class ReportParams:
    """`report` in params.yaml."""

    seed: int
    traces: int
    """Answers that the page shows in full."""
    samples: int
    """Clips of each corpus that the page shows as pictures."""


def main(
    clips: Path, evaluation: Path, validation: Path, generations: Path, rejections: Path, models: Path,
    metrics: Path, page: Path, table: Path,
) -> None:  # fmt: skip
    params = section("report", ReportParams)
    pool = section("evaluate.protocol", Protocol).pool
    answers = {model: entry["answers"] for model, entry in mapping("evaluate.models").items()}
    evaluated = {model: read_json(evaluation / f"{model}.json") for model in answers}
    scores = [Score(**score) for found in evaluated.values() for score in found["scores"]]
    found = results.tables(scores, list(answers))
    shown = findings.findings(found)

    report = Report(
        results=found,
        pool=pool,
        findings=shown,
        counts={model: outcome["counts"] for model, outcome in evaluated.items()},
        logs=_logs(models, [model for model, kind in answers.items() if kind != "references"]),
        verdicts={name: read_json(validation / f"{name}.json") for name in ("clips", "examples")},
        rejections=_rejections(rejections),
        readings=_readings(generations, [model for model, kind in answers.items() if kind == "trace"], params),
        samples={
            corpus: samples(read(clips / f"{corpus}.parquet", Clip), params.samples, params.seed)
            for corpus in names("corpora")
        },
    )
    write_json(metrics, results.metrics(scores))
    write_text(page, pages.render(report))
    write_text(table, results.text(found, pool) + "\n" + findings.text(shown))
    summarise("report", scores=len(scores), tables=len(found))


def _logs(models: Path, trained: Sequence[str]) -> dict[str, list[LogRow]]:
    """What each training wrote down, in the order of the stages."""
    judges = [f"evaluators/{name}" for name in names("train_evaluators")]
    return {name: read(models / name / "training.parquet", LogRow) for name in ("tokenizer", *judges, *trained)}


def _rejections(folder: Path) -> dict[str, dict[str, int]]:
    """Refused rows by stage and reason, over the corpora of this build."""
    found: dict[str, dict[str, int]] = {}
    for stage in sorted(path for path in folder.iterdir() if path.is_dir()):
        reasons = Counter(row.reason for row in read_all(stage, names("corpora"), Rejection))
        found[stage.name] = dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0])))
    return found


def _readings(folder: Path, tracers: Sequence[str], params: ReportParams) -> list[Reading]:
    """Traces of the last stage that writes them."""
    if not tracers:
        return []
    rows: list[Any] = read(folder / f"{tracers[-1]}.parquet", Generation)
    return readings(rows, tracers[-1], params.traces, params.seed)
