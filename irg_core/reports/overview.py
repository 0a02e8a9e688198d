"""What the dataset consists of, counted: for its page and for its card."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from irg_core.motion import representation
from irg_core.records.annotation import Origin, Pair, Rejection
from irg_core.records.motion import Clip
from irg_core.reports.dataset import Corpus
from irg_core.tables import columns, scan

COMMONEST = 14
"""Values that a distribution names; the others are counted together."""
SAMPLES = 2
"""Rejected rows that stand for all of one reason."""
DETAIL = 160
"""Letters of a rejected row that are shown."""
SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class ExampleSizes:
    """Of an example, what is counted."""

    example_id: str
    task: str
    split: str
    action: str
    flaws: list[str]
    prompt_tokens: int
    answer_tokens: int


@dataclass(frozen=True)
class SplitOf:
    """Of a split row, what is counted."""

    clip_id: str
    corpus: str
    split: str
    unseen: bool


@dataclass(frozen=True)
class AnalysisOrigin:
    """Of an analysis, who wrote it."""

    caption_id: str
    origin: Origin


@dataclass(frozen=True)
class Refused:
    """Rejected rows of one stage and reason."""

    stage: str
    reason: str
    rows: int
    samples: list[str]


@dataclass(frozen=True)
class CorpusCounts:
    """One corpus in numbers."""

    splits: dict[str, int]  # clips
    minutes: float
    captions: int
    analyses: int
    pairs: int
    verified: int


@dataclass(frozen=True)
class Overview:
    """The dataset in numbers."""

    corpora: dict[str, CorpusCounts]
    distributions: dict[str, list[tuple[str, int]]]  # title -> values and how many
    refused: list[Refused]
    writers: dict[str, Counter[str]]  # kind of text -> who wrote it with which prompt -> texts


def overview(
    corpora: Sequence[Corpus], splits: Path, analyses: Path, examples: Path, rejections: Mapping[str, Sequence[Path]]
) -> Overview:
    """`analyses` and `examples` are folders; `rejections` are tables by stage."""
    files = [examples / f"{stage}.parquet" for stage in ("stage1", "stage2")]
    rows = [row for file in files for row in columns(file, ExampleSizes).to_pylist()]
    parts = columns(splits, SplitOf).to_pylist()
    thought = {corpus.name: columns(analyses / f"{corpus.name}.parquet", AnalysisOrigin) for corpus in corpora}
    writers: dict[str, Counter[str]] = {
        "captions": Counter(writer(row.origin) for corpus in corpora for row in corpus.captions),
        "analyses": Counter(
            writer(Origin(**row)) for table in thought.values() for row in table.column("origin").to_pylist()
        ),
        "judgements": Counter(writer(row.origin) for corpus in corpora for row in corpus.verified),
    }
    counts = {corpus.name: _counts(corpus, parts, len(thought[corpus.name])) for corpus in corpora}
    pairs = [pair for corpus in corpora for pair in corpus.pairs]
    clips = [clip for corpus in corpora for clip in corpus.clips]
    refused = [one for stage, paths in rejections.items() for one in _refused(stage, paths)]
    return Overview(counts, _distributions(rows, pairs, clips, parts), refused, writers)


def writer(origin: Origin) -> str:
    """Who wrote a text, and with which prompt."""
    if not origin.provider:
        return "came with the clip"
    return f"{origin.provider}, {origin.model}, {origin.prompt} version {origin.prompt_version} ({origin.prompt_hash})"


def _counts(corpus: Corpus, parts: Sequence[dict[str, Any]], analyses: int) -> CorpusCounts:
    split = Counter(row["split"] for row in parts if row["corpus"] == corpus.name)
    return CorpusCounts(
        {name: split[name] for name in SPLITS}, sum(map(_seconds, corpus.clips)) / 60, len(corpus.captions), analyses,
        len(corpus.pairs), len(corpus.verified),
    )  # fmt: skip


def _seconds(clip: Clip) -> float:
    return representation.of(clip.features.shape[1]).seconds(clip.features)


def _distributions(
    rows: Sequence[dict[str, Any]], pairs: Sequence[Pair], clips: Sequence[Clip], parts: Sequence[dict[str, Any]]
) -> dict[str, list[tuple[str, int]]]:
    flawed = [pair for pair in pairs if pair.source != "goal"]
    traces = [row for row in rows if row["task"] == "trace"]
    return {
        "Clips by split": _by_count(row["split"] + (", unseen kind" if row["unseen"] else "") for row in parts),
        "Seconds of a clip": _in_steps(map(_seconds, clips), 1.0),
        "Examples by task": _by_count(row["task"] for row in rows),
        "Action that an example's goal asks for": _by_count(_plain(row["action"]) for row in rows),
        "Flawed motions by source": _by_count(pair.source for pair in flawed),
        "Flaws of the pairs": _by_count(_plain(pair.kind) for pair in flawed),
        "Flaws shown in examples": _by_count(_plain(flaw) for row in rows for flaw in row["flaws"]),
        "Difficulty of a flaw, 0 to 1": _in_steps((pair.difficulty for pair in flawed), 0.1),
        "Flawed motions of a trace": sorted(Counter(str(len(row["flaws"])) for row in traces).items()),
        "Tokens of an example": _in_steps((row["prompt_tokens"] + row["answer_tokens"] for row in rows), 50.0),
    }


def _plain(name: str) -> str:
    """As people write it; two flaws at once are joined by "+"."""
    return name.replace("_", " ").replace("+", " + ")


def _by_count(values: Iterable[str]) -> list[tuple[str, int]]:
    """Values and how often they occur, the commonest first, the rare ones together."""
    counts = sorted(Counter(values).items(), key=lambda item: (-item[1], item[0]))
    rest = sum(count for _, count in counts[COMMONEST:])
    return counts[:COMMONEST] + ([(f"{len(counts) - COMMONEST} others", rest)] if rest else [])


def _in_steps(values: Iterable[float], step: float) -> list[tuple[str, int]]:
    """How many values lie in each step of a scale, steps without one between others included."""
    counts = Counter(math.floor(round(value / step, 6)) for value in values)
    while len(range(min(counts, default=0), max(counts, default=0) + 1)) > COMMONEST:
        step *= 2
        counts = _halved(counts)
    steps = range(min(counts), max(counts) + 1) if counts else ()
    return [(f"{place * step:g} to {(place + 1) * step:g}", counts[place]) for place in steps]


def _halved(counts: Counter[int]) -> Counter[int]:
    found: Counter[int] = Counter()
    for place, count in counts.items():
        found[place // 2] += count
    return found


def _refused(stage: str, paths: Sequence[Path]) -> list[Refused]:
    counts: Counter[str] = Counter()
    samples: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        for row in scan(path, Rejection):
            counts[row.reason] += 1
            if len(samples[row.reason]) < SAMPLES:
                detail = " ".join(row.detail.split())
                samples[row.reason].append(f"{row.key}: {detail[:DETAIL]}{' …' if len(detail) > DETAIL else ''}")
    return [Refused(stage, reason, count, samples[reason]) for reason, count in counts.most_common()]
