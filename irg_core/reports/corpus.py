"""The page of one corpus: what came in, how it is made up, and what the audit found, with examples that move."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from irg_core.motion import representation
from irg_core.motion.audit import Rule
from irg_core.motion.features import TRAVEL
from irg_core.records.annotation import Rejection
from irg_core.records.audit import Finding
from irg_core.records.motion import Clip, Split
from irg_core.reports import templates
from irg_core.reports.player import Track

OUTCOMES = ("rejected", "repaired", "accepted")
BINS = 12
WIDTH, HEIGHT, FOOT = 300.0, 120.0, 18.0


@dataclass(frozen=True)
class Makeup:
    """What the clips of a corpus are like, without their motions."""

    takes: int
    seconds: list[float]  # of each clip
    speeds: list[float]  # metres a second of the root, mean over each clip
    captions: list[int]  # of each clip
    words: list[int]  # of each caption


def by_outcome(findings: Iterable[Finding]) -> dict[str, int]:
    return dict(sorted(Counter(finding.outcome for finding in findings).items()))


@dataclass(frozen=True)
class Kind:
    """All findings of one kind."""

    name: str
    outcomes: dict[str, int]
    worst: float
    unit: str
    limit: float
    takes: int


def makeup(clips: Iterable[Clip]) -> Makeup:
    """Read clip by clip: a corpus may be larger than memory."""
    takes: set[str] = set()
    seconds, speeds, captions, words = [], [], [], []
    for clip in clips:
        takes.add(clip.take)
        kind = representation.of(clip.features.shape[1])
        travel = kind.in_metres(clip.features)[:, TRAVEL].astype(np.float64)
        seconds.append(kind.seconds(clip.features))
        speeds.append(float(np.hypot(travel[:, 0], travel[:, 1]).mean()) * kind.fps)
        captions.append(len(clip.captions))
        words += [len(caption.text.split()) for caption in clip.captions]
    return Makeup(len(takes), seconds, speeds, captions, words)


def kinds(findings: Sequence[Finding]) -> list[Kind]:
    """Findings by kind, those first that cost most takes."""
    found = []
    for name in dict.fromkeys(finding.kind for finding in findings):
        rows = [finding for finding in findings if finding.kind == name]
        outcomes = Counter(row.outcome for row in rows)
        worst = max(row.amount for row in rows)
        takes = len({row.name for row in rows})
        found.append(Kind(name, dict(outcomes), worst, rows[0].unit, rows[0].limit, takes))
    return sorted(found, key=lambda kind: ([-kind.outcomes.get(outcome, 0) for outcome in OUTCOMES], kind.name))


def render(
    corpus: str,
    clips: Makeup,
    rejections: Sequence[Rejection],
    findings: Sequence[Finding],
    splits: Sequence[Split],
    rules: Mapping[str, Rule],
) -> str:
    drawn = [finding for finding in findings if len(finding.before)]
    examples = sorted(drawn, key=lambda finding: (OUTCOMES.index(finding.outcome), finding.kind, finding.finding_id))
    return templates.page(
        "corpus.html",
        has_players=bool(examples),
        tracks=tracks,
        corpus=corpus,
        clips=clips,
        histograms=_histograms(clips),
        kinds=kinds(findings),
        rules=rules,
        outcomes=OUTCOMES,
        examples=examples,
        reasons=Counter(rejection.reason for rejection in rejections).most_common(),
        splits=Counter(split.split + (", unseen kinds" if split.unseen else "") for split in splits),
    )


def tracks(finding: Finding) -> list[Track]:
    """What came in, and beside it what the repair made of it."""
    shown = {"as it came": finding.before, "repaired": finding.after}
    return [Track(label, _joints(frames)) for label, frames in shown.items() if len(frames)]


def _joints(frames: np.ndarray) -> np.ndarray:
    return np.asarray(frames, dtype=np.float64).reshape(len(frames), -1, 3)


def _histograms(clips: Makeup) -> list[tuple[str, Markup]]:
    shown: dict[str, Sequence[float]] = {
        "seconds a clip": clips.seconds, "metres a second, mean of a clip": clips.speeds,
        "captions a clip": clips.captions, "words a caption": clips.words,
    }  # fmt: skip
    return [(title, histogram(values)) for title, values in shown.items() if len(set(values)) > 1]


def histogram(values: Sequence[float]) -> Markup:
    """Bars over equal bins as inline SVG; whole numbers have one bin each where they are few."""
    low, high = min(values), max(values)
    is_count = all(float(value).is_integer() for value in values) and high - low < BINS
    edges = np.arange(low, high + 2) - 0.5 if is_count else np.linspace(low, high if high > low else low + 1, BINS + 1)
    counts, _ = np.histogram(values, edges)
    middle = f"median {np.median(values):.3g}"
    ends = (f"{low:g}", f"{high:g}") if is_count else (f"{edges[0]:.1f}", f"{edges[-1]:.1f}")
    bars = [_bar(index, int(count), counts) for index, count in enumerate(counts)]
    ticks = [_tick(1, "start", ends[0]), _tick(WIDTH / 2, "middle", middle), _tick(WIDTH - 1, "end", ends[1])]
    return Markup(f'<svg viewBox="0 0 {WIDTH:g} {HEIGHT:g}" role="img">{"".join(bars + ticks)}</svg>')


def _bar(index: int, count: int, counts: np.ndarray) -> str:
    wide, tall = WIDTH / len(counts), (HEIGHT - FOOT - 4) * count / counts.max()
    return (
        f'<rect x="{index * wide + 1:.1f}" y="{HEIGHT - FOOT - tall:.1f}" width="{wide - 2:.1f}" height="{tall:.1f}"'
        f' fill="#2563a8"><title>{count}</title></rect>'
    )


def _tick(x: float, anchor: str, text: str) -> str:
    return f'<text class="tick" x="{x:g}" y="{HEIGHT - 4:g}" text-anchor="{anchor}">{text}</text>'
