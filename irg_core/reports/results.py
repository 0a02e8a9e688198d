"""The results table, in the three shapes it is wanted in: nested metrics for DVC, plain text, and rows for the page."""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from irg_core.records.changes import REWARDING
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
SHARE = re.compile(r"(gallery_)?r\d|fulfilled")
"""Metrics that are shares of clips."""
OF_ALL = ("fid", "fid_inf")
"""Metrics that ask how a row's motions lie beside the real ones, and not which goal each was made for."""
WITHOUT_SPACE = {"motion": "no evaluator", "words": "what is said of real motions, in words of people"}
"""What stands where an evaluator's name does in tables that need none, in words."""


@dataclass(frozen=True)
class Line:
    """One row of one table: a model, or what it is measured against, with its scores by metric."""

    name: str
    is_reference: bool
    scores: dict[str, Score]

    @property
    def clips(self) -> int:
        return max(score.n for score in self.scores.values())

    def is_given(self, metric: str) -> bool:
        """Whether a number says nothing, because the motions are those of another row: the real ones, or in a control
        those of its model, exchanged among goals. FID and spread do not ask for goals."""
        is_exchanged = self.name == "random" or self.name.endswith(", shuffled")
        return (metric in OF_ALL and self.name == "real") or (is_exchanged and metric in (*OF_ALL, "diversity"))


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


def text(found: Sequence[Results], pool: int) -> str:
    """The tables for a terminal: means and the half-width of their 95 % intervals over clips."""
    parts = [_text(table) for table in found if "/" not in table.subset]
    others = held_out(table.evaluator for table in found)
    note = (
        f"R@k: share of goals that find a motion made for them among the nearest k, in shuffled pools of {pool} (one\n"
        "smaller pool where there are fewer clips) or in the whole gallery. ±: half of the 95 % interval over clips.\n"
        "'random' and 'shuffled' give each goal the motion of another: what is marked = is so by construction.\n"
        f"Evaluator '{REWARDING}' trained Stage 3, {' and '.join(repr(name) for name in others) or 'no other'} not."
    )
    return "\n".join([*parts, note, ""])


def held_out(evaluators: Iterable[str]) -> list[str]:
    """Those that took no part in making data or models."""
    return [name for name in dict.fromkeys(evaluators) if name != REWARDING and name not in WITHOUT_SPACE]


def _subset_order(subset: str, evaluator: str) -> tuple[bool, str, bool, str]:
    return (not subset.startswith("synthetic"), subset, not held_out([evaluator]), evaluator)


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
    rows += [[line.name, *(_cell(line, metric) for metric in columns)] for line in table.lines]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    body = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows]
    return "\n".join([head, "-" * len(body[0]), *body, ""])


def judged(evaluator: str) -> str:
    """By whom a table is measured, in words."""
    return WITHOUT_SPACE.get(evaluator, f"evaluator '{evaluator}'")


def _cell(line: Line, metric: str) -> str:
    score = line.scores.get(metric)
    if score is None:
        return "–"
    return f"{score.mean:.3f} {'=' if line.is_given(metric) else margin(score)}"


def margin(score: Score) -> str:
    """How sure a mean is."""
    centre = centred(score.mean, score.n) if SHARE.fullmatch(score.metric) else None
    return within(score.mean, score.interval, score.n, 3, centre)


def centred(share: float, n: int) -> float:
    """The middle of the interval of a share: one hit and one miss more, as in `Measure.of_shares`."""
    return (share * n + 1.0) / (n + 2.0)


def within(mean: float, interval: float, n: int, digits: int, centre: float | None) -> str:
    """Half of a 95 % interval; of a share, which has a `centre`, both ends where it would leave what a share can be.
    Of one clip nothing is known."""
    if n < 2:
        return "(one clip)"
    if centre is None or (mean - interval >= 0.0 and mean + interval <= 1.0):
        return f"±{interval:.{digits}f}"
    low, high = max(0.0, min(mean, centre - interval)), min(1.0, max(mean, centre + interval))
    return f"[{low:.{digits}f}, {high:.{digits}f}]"
