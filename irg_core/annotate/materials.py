"""The tables of one corpus, joined clip by clip: all that was made and verified for each goal.

No table is held but the motions' codes, so that memory grows with neither captions nor pairs. What is not clean is not
handed on: a motion of another split, under its own name or as a twin, is shown for no goal of this one.
"""

import itertools
from array import array
from collections.abc import Collection, Container, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from irg_core.dialogue import SENTINEL
from irg_core.records.annotation import Analysis, Assessment, Caption, Pair, visible_captions
from irg_core.records.audit import Twin
from irg_core.records.material import Material, Shown
from irg_core.records.motion import MotionTokens, Split
from irg_core.tables import Keyed, scan

TRAINED = ("train", "val")


@dataclass(frozen=True, slots=True)
class Made:
    """Of a flawed motion, what a text shows."""

    motion_id: str
    tokens: list[int]


@dataclass(frozen=True)
class Folders:
    """Where the tables lie, each with one file a corpus."""

    tokens: Path
    flawed: Path
    captions: Path
    analyses: Path
    pairs: Path
    verified: Path


def source_of(motion_id: str) -> str:
    """The clip that a motion was made from: "<clip>~<kind><number>" is its name; a clip is its own."""
    return motion_id.partition("~")[0]


def clean_splits(splits: Iterable[Split], twins: Iterable[Twin]) -> dict[str, str]:
    """The split of each train and val clip that has no twin in another split."""
    split_of = {row.clip_id: row.split for row in splits}
    pairs = [(twin.name, twin.other) for twin in twins if twin.other]
    torn = {clip for pair in pairs if len({split_of.get(clip) for clip in pair}) > 1 for clip in pair}
    return {clip: split for clip, split in split_of.items() if split in TRAINED and clip not in torn}


class Codes:
    """The codes of many motions in little memory."""

    def __init__(self, rows: Iterable[MotionTokens], wanted: Collection[str]) -> None:
        self._places: dict[str, tuple[int, int]] = {}
        self._codes = array("H")
        for row in rows:
            if row.clip_id in wanted:
                self._places[row.clip_id] = len(self._codes), len(row.tokens)
                self._codes.extend(row.tokens)

    def find(self, clip_id: str) -> list[int]:
        """None at all of a clip that is not wanted, or that is too short for a code."""
        start, count = self._places.get(clip_id, (0, 0))
        return self._codes[start : start + count].tolist()


class Materials:
    """What examples of one corpus are composed from; to be opened as a context."""

    def __init__(self, corpus: str, folders: Folders, splits: Path, clean: Mapping[str, str]) -> None:
        self._corpus, self._folders, self._splits, self._clean = corpus, folders, splits, clean

    def __enter__(self) -> "Materials":
        with ExitStack() as stack:
            folders, file = self._folders, f"{self._corpus}.parquet"
            self._codes = Codes(scan(folders.tokens / file, MotionTokens), self._clean)
            self._split = stack.enter_context(Keyed(self._splits, Split))
            self._flawed = stack.enter_context(Keyed(folders.flawed / file, Made))
            self._captions = stack.enter_context(Keyed(folders.captions / file, Caption))
            self._analyses = stack.enter_context(Keyed(folders.analyses / file, Analysis))
            self._pairs = stack.enter_context(Keyed(folders.pairs / file, Pair))
            self._verified = stack.enter_context(Keyed(folders.verified / file, Assessment))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def clips(self) -> Iterator[str]:
        """The clips that may be learned from, in order."""
        for row in self._split.starting(f"{self._corpus}/"):
            if row.corpus == self._corpus and row.clip_id in self._clean:
                yield row.clip_id

    def of(self, clip_id: str) -> list[Material]:
        """One for each caption of a clip that its split may see; none where the clip has no codes."""
        split, codes = self._split.find(clip_id), self._codes.find(clip_id)
        if split is None or not codes:
            return []
        said = (row for row in self._captions.starting(f"{clip_id}/") if row.clip_id == clip_id)
        visible = visible_captions(said, [split]).get(clip_id, [])
        return [
            Material(row, split.split, codes, self._analyses.find(row.caption_id), self._shown(row, split.split))
            for row in visible
        ]

    def _shown(self, caption: Caption, split: str) -> list[Shown]:
        """The verified pairs of a goal, worst first."""
        found = []
        for pair in self._pairs.starting(f"{caption.caption_id}|"):
            if self._clean.get(source_of(pair.motion_id)) != split or pair.caption_id != caption.caption_id:
                continue
            said, codes = self._verified.find(pair.pair_id), self._motion(pair.motion_id)
            if said is not None and codes:
                found.append(_shown(pair, said, codes))
        return sorted(found, key=lambda shown: (-shown.distance, shown.pair_id))

    def _motion(self, motion_id: str) -> list[int]:
        if "~" not in motion_id:
            return self._codes.find(motion_id)
        made = self._flawed.find(motion_id)
        return made.tokens if made else []


def _shown(pair: Pair, said: Assessment, codes: list[int]) -> Shown:
    is_flawed = said.refinement != SENTINEL
    return Shown(
        pair.pair_id, is_flawed, pair.distance, codes, said.assessment, said.refinement, pair.kind, pair.difficulty
    )


def walk(corpora: Iterable[Materials], wanted: Container[int] | None = None) -> Iterator[tuple[int, list[Material]]]:
    """The clips of all corpora, counted, each with its goals; of those wanted, or of all."""
    number = itertools.count()
    for corpus in corpora:
        with corpus:
            for clip_id in corpus.clips():
                place = next(number)
                if wanted is None or place in wanted:
                    yield place, corpus.of(clip_id)
