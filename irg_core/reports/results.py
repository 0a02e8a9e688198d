"""The results table, in the three shapes it is wanted in: nested metrics for DVC, plain text, and rows for the page."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from irg_core.records.evaluation import Score

REFERENCES = ("real", "random", "mean-pose", "reconstruction")
TRIES = ("only", "first", "final")
COLUMNS = {
    "r1": "R@1", "r2": "R@2", "r3": "R@3", "gallery_r3": "gallery R@3", "fid": "FID", "fid_inf": "FID∞",
    "mm_dist": "MM-Dist", "diversity": "Diversity", "foot_skate": "foot skate, cm/s",
    "penetration": "below the floor, mm", "jerk": "jerk, m/s³", "bone_drift": "bone drift, %", "mpjpe": "MPJPE, mm",
    "mpjpe_root": "MPJPE about the root, mm",
    "codes_used": "codes used", "code_perplexity": "perplexity of codes", "multimodality": "MultiModality",
    "caption_likeness": "caption, cosine", "bleu_1": "BLEU-1", "bleu_4": "BLEU-4", "rouge_l": "ROUGE-L",
    "cider": "CIDEr",
}  # fmt: skip
"""Metrics in the order they are shown; a further one of the metrics room follows under its own name."""


@dataclass(frozen=True)
class Line:
    """One row of one table: a model, or what it is measured against, with its scores by metric."""

    name: str
    is_reference: bool
    scores: dict[str, Score]

    @property
    def clips(self) -> int:
        return max(score.n for score in self.scores.values())


@dataclass(frozen=True)
class Results:
    """One table: one subset in one evaluator's space."""

    subset: str
    evaluator: str
    lines: list[Line]
    rewarded: Collection[str] = ()  # metrics that are rewards of Stage 3: marked, for they are no witnesses for it

    @property
    def columns(self) -> dict[str, str]:
        found = {metric for line in self.lines for metric in line.scores}
        named = {metric: name for metric, name in COLUMNS.items() if metric in found}
        unnamed = {metric: metric for metric in sorted(found - named.keys()) if not metric.startswith("gallery_")}
        return {
            metric: f"{name} (rewarded)" if metric in self.rewarded else name
            for metric, name in (named | unnamed).items()
        }


def metrics(scores: Iterable[Score]) -> dict[str, Any]:
    """row -> motion -> evaluator -> subset -> metric -> {mean, interval, n}, as `dvc metrics` reads it."""
    nested: dict[str, Any] = {}
    for score in scores:
        place = nested
        for part in (score.row, score.motion, score.evaluator, score.subset):
            place = place.setdefault(part, {})
        place[score.metric] = {"mean": score.mean, "interval": score.interval, "n": score.n}
    return nested


def tables(scores: Sequence[Score], models: Sequence[str], rewarded: Collection[str] = ()) -> list[Results]:
    """Every subset and evaluator; references lead, models follow in the order of training, first tries before final.

    `rewarded` names the metrics that are rewards of Stage 3.
    """
    places = sorted({(score.subset, score.evaluator) for score in scores}, key=lambda place: _subset_order(*place))
    return [Results(*place, _lines(scores, *place, models), rewarded) for place in places]


def text(found: Iterable[Results], pool: int) -> str:
    """The tables for a terminal: means and the half-width of their 95 % intervals over clips."""
    parts = [_text(table) for table in found if "/" not in table.subset]
    note = (
        f"R@k: share of goals that find a motion made for them among the nearest k, in shuffled pools of {pool} (one\n"
        "smaller pool where there are fewer clips) or in the whole gallery. ±: half of the 95 % interval over clips.\n"
        "'shuffled' pairs each motion with the goal of another clip. Evaluator 'reward' trained Stage 3, 'report' not."
    )
    return "\n".join([*parts, note, ""])


def _subset_order(subset: str, evaluator: str) -> tuple[bool, str, bool, str]:
    return (not subset.startswith("synthetic"), subset, evaluator != "report", evaluator)


def _lines(scores: Sequence[Score], subset: str, evaluator: str, models: Sequence[str]) -> list[Line]:
    order = [*REFERENCES, *(name for model in models for name in (model, f"{model}-shuffled"))]
    chosen = [score for score in scores if (score.subset, score.evaluator) == (subset, evaluator)]
    lines = []
    for row in [*order, *sorted({score.row for score in chosen} - set(order))]:
        for motion in TRIES:
            found = {score.metric: score for score in chosen if (score.row, score.motion) == (row, motion)}
            if found:
                name = row.replace("-shuffled", ", shuffled") + ("" if motion == "only" else f", {motion}")
                lines.append(Line(name, row in REFERENCES, found))
    return lines


def _text(table: Results) -> str:
    columns = table.columns
    label = f"*{table.subset}*" if table.subset.startswith("synthetic") else table.subset
    head = f"{label}, {judged(table.evaluator)}, {max(line.clips for line in table.lines)} test clips"
    rows = [["", *columns.values()]]
    rows += [[line.name, *(cell(line.scores.get(metric)) for metric in columns)] for line in table.lines]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    body = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows]
    return "\n".join([head, "-" * len(body[0]), *body, ""])


def judged(evaluator: str) -> str:
    """By whom a table is measured, in words."""
    told = {"motion": "no evaluator", "words": "what is said of real motions, in words of people"}
    return told.get(evaluator, f"evaluator '{evaluator}'")


def cell(score: Score | None) -> str:
    """A mean with its interval, with as many digits as the interval leaves meaning."""
    return f"{score.mean:.3f} ±{score.interval:.3f}" if score else "–"
