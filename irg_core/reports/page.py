"""The report and the dataset as one page each: no script, no font and no picture from elsewhere."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from irg_core.dialogue import SENTINEL
from irg_core.records.changes import REWARDING, Effect, Step
from irg_core.records.reasoning import Rounds, Share
from irg_core.records.training import LogRow
from irg_core.reports import drawings, templates
from irg_core.reports.dataset import Sample
from irg_core.reports.findings import FEW, Finding, by_sentence
from irg_core.reports.gallery import SCRIPT, Gallery
from irg_core.reports.judging import Shares
from irg_core.reports.models import Ceiling, Model
from irg_core.reports.overview import SPLITS, Overview
from irg_core.reports.player import Track
from irg_core.reports.published import Published
from irg_core.reports.results import Results, centred, judged, margin, within

AREA = "alignment score"
"""The share whose interval is around it, and not that of hits and misses."""
BY_GROUP = {"accepted": "accepted", "grounded": "grounded", "flaw gone": "flaw gone", AREA: "area"}
"""Shares that are told of each kind of flaw, and of each difficulty."""
FEW_PROBES = 10
"""Probes below which a share says nothing and is not shown."""
FEW_NAMES = 4
"""Numbers that a sentence names; of more it says how many they are."""
UNDRAWN = {"learning_rate", "gradient_norm"}
"""Numbers of the machinery; they stay in training.parquet."""


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
    steps: Sequence[Step]  # what each stage changed
    subset: str  # the test clips that `steps` compares over
    compared: int  # how many they are
    rewarded: Sequence[str]  # what Stage 3 is rewarded for
    held_out: Sequence[str]  # evaluators that took no part in making data or models
    shares: Mapping[str, Shares]  # by model
    by_difficulty: Mapping[str, Shares]  # by model; groups are the names of `difficulties`
    difficulties: Sequence[str]  # of flaws, the easy ones first
    by_corpus: Mapping[str, Mapping[str, Shares]]  # by corpus, all synthetic ones together, where there are several
    probed: Mapping[str, int]  # by corpus likewise: motions that were put before each model
    answered: Mapping[str, Mapping[str, int]]  # by model, then by corpus likewise: answers
    models: Sequence[Model]
    ceilings: Sequence[Ceiling]
    locked: Mapping[str, str]  # by stage before this one: what its entry in dvc.lock is
    rounds: Mapping[str, Sequence[Rounds]]  # by model
    traces: Gallery
    probes: Gallery
    corpora: Sequence[str]  # each has an audit page, corpus/<name>.html
    published: Sequence[Published]  # what others measured on the same corpora
    provenance: Mapping[str, str]  # what this report was made from


def render(report: Report) -> str:
    return templates.page(
        "page.html",
        report=report,
        charts=[(table, drawings.intervals(table.lines, "r3")) for table in report.results if _is_worth_a_chart(table)],
        curves={model: _curves(rows) for model, rows in report.logs.items()},
        title=_title,
        judged=judged,
        share=_share,
        few=FEW,
        few_probes=FEW_PROBES,
        rewarding=REWARDING,
        margin=margin,
        share_margin=_share_margin,
        findings=by_sentence(report.findings),
        columns=list(dict.fromkeys((one.judge, one.name) for step in report.steps for one in step.effects)),
        effect_of=_effect_of,
        chance=_chance,
        told=told,
        latest_first=_latest_first(report.steps),
        sentinel=SENTINEL,
        asked=max((counts["clips"] for counts in report.counts.values() if counts), default=0),
        judging=_judging(report.held_out),
        by_group=BY_GROUP,
        kinds=list(dict.fromkeys(group for shares in report.shares.values() for _, group in shares if group != "all")),
        rounds=_rounds(report),
        gallery_script=Markup(SCRIPT.read_text(encoding="utf-8")),
    )


def _judging(held_out: Sequence[str]) -> list[tuple[str, tuple[str, str]]]:
    """Lines of the table about judging and mending: label, and the share's name and group."""
    return [
        ("accepted, of right motions", ("accepted", "none")),
        ("accepted, of flawed ones", ("accepted", "flawed")),
        ("of the accepted, right", ("sentinel precision", "all")),
        ("area of the alignment score", (AREA, "flawed")),
        ("grounded, of flawed ones", ("grounded", "flawed")),
        ("the flaw is gone from the next motion", ("flaw gone", "flawed")),
        ("something else is broken in it", ("something else broken", "flawed")),
        *(
            (f"it is closer to the goal motion, held-out '{name}'", (f"closer by '{name}'", "flawed"))
            for name in held_out
        ),
        ("fulfilled in the end, from a flawed start", ("fulfilled in the end", "flawed")),
        ("fulfilled in the end, from another goal's motion", ("fulfilled in the end", "random")),
    ]


def _share_margin(share: Share) -> str:
    """How sure a share of probes is; the interval of the area is around itself."""
    centre = share.value if share.name == AREA else centred(share.value, share.n)
    return within(share.value, share.interval, share.n, 2, centre)


def _effect_of(step: Step, column: tuple[str, str]) -> Effect | None:
    return next((one for one in step.effects if (one.judge, one.name) == column), None)


def _chance(p: float) -> str:
    """A p-value, as far as exchanged labels can tell it."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def told(step: Step) -> str:
    """What a step comes to, in words."""
    parts = [part for part in (_named(step, verdict) for verdict in ("better", "worse")) if part]
    rest = sum(one.verdict not in ("better", "worse") for one in step.effects)
    if not parts:
        parts = ["its motions: no difference shown in any of these numbers"]
    elif rest:
        others = "other one" if rest == 1 else f"other {rest} of {len(step.effects)}"
        parts.append(f"no difference shown in the {others}")
    return "; ".join([*parts, *([f"its judging: it {step.judging}"] if step.judging else [])])


def _latest_first(steps: Sequence[Step]) -> list[Step]:
    """All that is said of a model together, that of the last model first; and first, what it is to the first one."""
    models = list(dict.fromkeys(step.two.partition(",")[0] for step in steps))
    return [
        step
        for model in models[::-1]
        for step in sorted(steps, key=lambda step: step.one != steps[0].one)
        if step.two.partition(",")[0] == model
    ]


def _named(step: Step, verdict: str) -> str:
    """What became better, or worse; where that is most of the table, how much of it."""
    found = [f"{one.name} ({one.judge})" for one in step.effects if one.verdict == verdict]
    if len(found) > FEW_NAMES:
        return f"{verdict} in {len(found)} of {len(step.effects)} numbers"
    return f"{verdict} in {', '.join(found)}" if found else ""


def told_whole(step: Step) -> str:
    """The same with the names of the two rows and what makes one doubt it, for a terminal."""
    doubts = [f"  BEWARE: {flag}" for flag in step.flags]
    return "\n".join([f"{step.two} against {step.one}: {told(step)}", *doubts])


def _rounds(report: Report) -> list[tuple[str, str, str]]:
    """Title, legend and drawing: one chart an evaluator, one line a model."""
    series: dict[str, dict[str, list[drawings.Point]]] = {}
    for model, rows in report.rounds.items():
        for row in rows:
            if row.subset == report.subset:
                line = [(float(place), far) for place, far in enumerate(row.distances, start=1)]
                series.setdefault(row.evaluator, {})[model] = line
    return [
        (f"evaluator {evaluator}, by round", drawings.legend(lines), drawings.curves(lines))
        for evaluator, lines in series.items()
    ]


def render_dataset(samples: Mapping[str, Sequence[Sample]], found: Overview | None = None) -> str:
    """The dataset page, from samples by corpus and what was counted."""
    return templates.page("dataset.html", corpora=samples, tracks=_tracks, overview=found, splits=SPLITS)


def _tracks(sample: Sample) -> list[Track]:
    twin = [Track(f"flawed: {sample.twin.kind.replace('_', ' ')}", sample.twin.joints)] if sample.twin else []
    return [Track("clip", sample.joints), *twin]


def _is_worth_a_chart(table: Results) -> bool:
    is_of_retrieval = any("r3" in line.scores for line in table.lines)
    return is_of_retrieval and "/" not in table.subset and max(line.clips for line in table.lines) >= FEW


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
