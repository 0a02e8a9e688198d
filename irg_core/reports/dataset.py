"""The dataset page: clips that move, beside what was measured in them, what is said of them, and a flawed twin.

What no table shows is whether a motion reads as its words, so clips are drawn by lot; not the best ones.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TypeVar

import numpy as np

from irg_core.dialogue import SENTINEL
from irg_core.motion import lines
from irg_core.motion.representation import to_joints
from irg_core.records.annotation import Assessment, Caption, Flawed, Pair
from irg_core.records.motion import Clip, Facts
from irg_core.seeds import derive

Item = TypeVar("Item")
Decode = Callable[[list[int]], np.ndarray]
"""Codes to joints [frames, 22, 3]."""
FACTS = 12
"""Measures that are listed of one clip, the most telling ones."""


@dataclass(frozen=True)
class Corpus:
    """The tables of one corpus that the page draws from."""

    name: str
    clips: Sequence[Clip]
    captions: Sequence[Caption]
    facts: Sequence[Facts]
    flawed: Sequence[Flawed]
    pairs: Sequence[Pair]
    verified: Sequence[Assessment]


@dataclass(frozen=True)
class Twin:
    """A motion that misses a goal of the clip, and what the judge says of it."""

    goal: str
    source: str  # "edit" | "retrieval" | "rollout"
    kind: str
    joints: np.ndarray  # [frames, 22, 3]
    assessment: str
    refinement: str


@dataclass(frozen=True)
class Sample:
    """One clip of the page."""

    clip_id: str
    is_synthetic: bool
    joints: np.ndarray  # [frames, 22, 3]
    captions: list[tuple[str, str]]  # who wrote it ("source" or a provider), and what
    facts: list[str]
    twin: Twin | None


def samples(corpora: Sequence[Corpus], count: int, seed: int, decode: Decode) -> dict[str, list[Sample]]:
    """`count` clips by corpus: each corpus gives the same number as far as it has them, every second with a twin."""
    drawn = [[(corpus.name, clip) for clip in _drawn(corpus, seed)] for corpus in corpora]
    chosen = _in_turn(*drawn)[:count]
    return {
        corpus.name: [_sample(corpus, clip, seed, decode) for name, clip in chosen if name == corpus.name]
        for corpus in corpora
    }


def _drawn(corpus: Corpus, seed: int) -> list[Clip]:
    """All clips by lot, those with a twin and those without by turns."""
    twinned = {pair.clip_id for pair, _ in _faults(corpus)}
    by_lot = sorted(corpus.clips, key=lambda clip: derive(seed, "sample", clip.clip_id))
    return _in_turn(
        [clip for clip in by_lot if clip.clip_id in twinned], [clip for clip in by_lot if clip.clip_id not in twinned]
    )


def _in_turn(*rows: Sequence[Item]) -> list[Item]:
    """One of each by turns, until all are told."""
    missing = object()
    return [item for turn in zip_longest(*rows, fillvalue=missing) for item in turn if item is not missing]  # type: ignore[misc]


def _faults(corpus: Corpus) -> list[tuple[Pair, Assessment]]:
    """Pairs that a judge found fault with, and whose judgement was verified."""
    judged = {row.pair_id: row for row in corpus.verified if row.refinement != SENTINEL}
    return [(pair, judged[pair.pair_id]) for pair in corpus.pairs if pair.pair_id in judged]


def _sample(corpus: Corpus, clip: Clip, seed: int, decode: Decode) -> Sample:
    measured = next((row for row in corpus.facts if row.clip_id == clip.clip_id), None)
    return Sample(
        clip.clip_id,
        bool(clip.truth),
        to_joints(clip.features),
        [(row.source, row.text) for row in corpus.captions if row.clip_id == clip.clip_id],
        [*lines.of_phases(measured.phases), *lines.of_measures(measured.measures, FACTS)] if measured else [],
        twin(corpus, clip.clip_id, seed, decode),
    )


def twin(corpus: Corpus, clip_id: str, seed: int, decode: Decode) -> Twin | None:
    """One by lot of the motions that miss a goal of this clip."""
    faults = [(pair, said) for pair, said in _faults(corpus) if pair.clip_id == clip_id]
    if not faults:
        return None
    pair, said = min(faults, key=lambda fault: derive(seed, "twin", fault[0].pair_id))
    made = {row.motion_id: row.tokens for row in corpus.flawed}
    if pair.motion_id in made:
        joints = decode(made[pair.motion_id])
    else:
        joints = next(to_joints(clip.features) for clip in corpus.clips if clip.clip_id == pair.motion_id)
    return Twin(pair.goal, pair.source, pair.kind, joints, said.assessment, said.refinement)
