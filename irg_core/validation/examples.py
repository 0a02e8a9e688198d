"""What must be true of annotations and examples before Stages 1 to 3 are trained on them.

Tables are looked at column by column, some rows at a time: a million rows are a few seconds, and little memory.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from irg_core import dialogue
from irg_core.dialogue import SENTINEL, Trace
from irg_core.records.audit import Twin
from irg_core.records.motion import Split
from irg_core.records.training import Segment
from irg_core.tables import column_batches, columns, read
from irg_core.validation.verdicts import Table, always, between, rows_at_least, unique, within

TRAINING = ("train", "val")
SOURCES = ("goal", "edit", "retrieval", "rollout")
PARAPHRASES = 3
ANY_CODE = 10**9
"""Which codes exist is the tokenizer's word; here only the grammar is read."""
NOBODY = "none"
"""The motion of another split in an example that shows none."""
WORD = r"[^\s\pZ]+"


@dataclass(frozen=True)
class ValidateExamplesParams:
    """`validate_examples` in params.yaml."""

    smallest_task: float
    """Share of Stage 1 below which a task counts as lost."""
    longest_refinement: int
    """Words of a refinement instruction; the paper's longest has 66."""
    longest_trace: int
    """Motion codes and words of one trace. Longer ones would not fit the model's positions."""


@dataclass(frozen=True)
class Sources:
    """The tables that are looked at together."""

    captions: Sequence[Path]  # one a corpus, as of the next three
    analyses: Sequence[Path]
    pairs: Sequence[Path]
    verified: Sequence[Path]
    splits: Path
    twins: Path
    stage1: Path
    stage2: Path
    stage3: Path
    tasks: Sequence[str]  # that Stage 1 must have

    def tables(self, params: ValidateExamplesParams) -> list[Table]:
        known = Known(self)
        stage1 = _examples("stage1", self.stage1, known)
        return [
            _captions(self.captions, known),
            _analyses(self.analyses, self.captions),
            _pairs(self.pairs, known),
            _verified(self.verified, self.pairs, params),
            stage1,
            _tasks(stage1.frame, self.tasks, params),
            _examples("stage2", self.stage2, known),
            _traces(self.stage2, params),
            _goals(self.stage3, known),
        ]


def counts(found: Sequence[Table]) -> dict[str, Any]:
    """Rows by kind, for the report."""
    frames = {table.name: table.frame for table in found}
    motions = frames["stage2 traces"].get("motions", pd.Series(dtype=int))
    return {
        "pairs": _count(frames["pairs"].get("flaw", ())),
        "stage1": _count(frames["stage1"].get("task", ())),
        "stage2": _count(f"traces with {count} motions" for count in motions),
        "stage3": {"goals": len(frames["stage3"])},
    }


def _count(words: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(words).items()))


# ---- the columns that are read ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CaptionColumns:
    caption_id: str
    clip_id: str
    index: int
    text: str
    source: str


@dataclass(frozen=True)
class CaptionKey:
    caption_id: str


@dataclass(frozen=True)
class AnalysisColumns:
    caption_id: str
    analysis: str
    paraphrases: list[str]
    detailed: str


@dataclass(frozen=True)
class PairColumns:
    pair_id: str
    caption_id: str
    clip_id: str
    motion_id: str
    source: str
    kind: str
    distance: float


@dataclass(frozen=True)
class PairSource:
    pair_id: str
    source: str


@dataclass(frozen=True)
class JudgementColumns:
    pair_id: str
    assessment: str
    refinement: str


@dataclass(frozen=True)
class ExampleColumns:
    example_id: str
    task: str
    split: str
    prompt: str
    answer: list[Segment]
    lineage: list[str]


@dataclass(frozen=True)
class GoalColumns:
    goal_id: str
    split: str
    text: str
    prompt: str
    tokens: list[int]


# ---- what is asked of columns ----------------------------------------------------------------------------------------


def _frame(made: Iterator[dict[str, Any]]) -> pd.DataFrame:
    """One frame of what was made of each batch of rows."""
    frames = [pd.DataFrame({name: _plain(column) for name, column in batch.items()}) for batch in made]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def _plain(column: Any) -> Any:
    return column.to_pandas() if isinstance(column, (pa.Array, pa.ChunkedArray)) else column


def _batches(paths: Iterable[Path], record: type) -> Iterator[pa.Table]:
    return (batch for path in paths for batch in column_batches(path, record) if len(batch))


def _is_in(values: pa.Array, among: pa.Array) -> np.ndarray:
    return pc.is_in(values, value_set=among).to_numpy(zero_copy_only=False)


def _letters(texts: pa.Array) -> pa.Array:
    """Without white space at either end."""
    return pc.utf8_length(pc.utf8_trim_whitespace(texts))


def _true(values: pa.Array) -> np.ndarray:
    return pc.fill_null(values, False).to_numpy(zero_copy_only=False)


def _of_lists(lists: pa.ChunkedArray) -> tuple[pa.Array, np.ndarray]:
    """The items of lists, and the row of each."""
    return _one(pc.list_flatten(lists)), _one(pc.list_parent_indices(lists)).to_numpy()


def _one(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _rows_with(parents: np.ndarray, holds: np.ndarray, rows: int) -> np.ndarray:
    """Whether anything holds of an item of each row."""
    return np.bincount(parents[holds], minlength=rows) > 0


class Known:
    """What rows are held against: which captions and which motions a training of which split may know."""

    def __init__(self, sources: Sources) -> None:
        self._captions = sources.captions
        self._twins = [Twin(**row) for row in columns(sources.twins, Twin).to_pylist()]
        splits = read(sources.splits, Split)
        part = {row.clip_id: row.split for row in splits}
        torn = self._torn(part)
        trained = [row for row in splits if row.split in TRAINING]
        self.clips = pa.array([row.clip_id for row in splits], pa.string())
        self.trained_clips = pa.array([row.clip_id for row in trained], pa.string())
        self._trained_splits = pa.array([row.split for row in trained], pa.string())
        # A clip with a twin in another split is at home in none.
        self._homes = pa.array(["" if row.clip_id in torn else row.split for row in trained], pa.string())
        self._own = pa.array([f"{row.clip_id}/{index}" for row in trained for index in row.captions], pa.string())

    def _torn(self, part: dict[str, str]) -> set[str]:
        pairs = [(twin.name, twin.other) for twin in self._twins if twin.other]
        return {clip for pair in pairs if part.get(pair[0]) != part.get(pair[1]) for clip in pair}

    @cached_property
    def trained(self) -> tuple[pa.Array, pa.Array]:
        """The captions that a training may know, and their splits: visible ones of train and val clips."""
        ids, splits = [], []
        for batch in _batches(self._captions, CaptionColumns):
            is_written = pc.not_equal(batch["source"], "source").to_numpy(zero_copy_only=False)
            visible = pa.array(is_written | _is_in(_index_key(batch), self._own))
            place = pc.index_in(batch["clip_id"], value_set=self.trained_clips)
            keep = pc.and_(visible, pc.is_valid(place))
            ids.append(_one(batch["caption_id"].filter(keep)))
            splits.append(_one(self._trained_splits.take(_one(place.filter(keep)))))
        return _joined(ids), _joined(splits)

    def split_of_caption(self, captions: pa.Array) -> pa.Array:
        """Of each caption that a training may know; null of the others."""
        ids, splits = self.trained
        return splits.take(pc.index_in(captions, value_set=ids))

    def home_of_clip(self, clips: pa.Array) -> pa.Array:
        """The split in which alone each clip, and every twin of it, is; "" where there is none, null in the test."""
        return self._homes.take(pc.index_in(clips, value_set=self.trained_clips))


def _joined(parts: list[pa.Array]) -> pa.Array:
    return pa.concat_arrays(parts) if parts else pa.array([], pa.string())


def _index_key(batch: pa.Table) -> pa.Array:
    return pc.binary_join_element_wise(batch["clip_id"], pc.cast(batch["index"], pa.string()), "/")


# ---- annotations -----------------------------------------------------------------------------------------------------


def _captions(paths: Sequence[Path], known: Known) -> Table:
    frame = _frame(
        {
            "caption_id": batch["caption_id"],
            "letters": _letters(batch["text"]),
            "is_known": _is_in(batch["clip_id"], known.clips),
            "is_named": _true(pc.equal(batch["caption_id"], _index_key(batch))),
        }
        for batch in _batches(paths, CaptionColumns)
    )
    claims = [
        rows_at_least(1, "there are captions"),
        unique("caption_id", "a caption id occurs once"),
        between("letters", 1, None, "no caption is empty"),
        always("is_known", "a caption belongs to a clip that has a split"),
        always("is_named", "a caption id is made of its clip and index"),
    ]
    return Table("captions", "caption_id", frame, claims)


def _analyses(paths: Sequence[Path], captions_of: Sequence[Path]) -> Table:
    captions = _joined([_one(columns(path, CaptionKey)["caption_id"]) for path in captions_of])
    frame = _frame(
        {
            "caption_id": batch["caption_id"],
            "is_known": _is_in(batch["caption_id"], captions),
            "is_whole": _is_whole(batch),
            "paraphrases": pc.list_value_length(batch["paraphrases"]),
        }
        for batch in _batches(paths, AnalysisColumns)
    )
    claims = [
        unique("caption_id", "a caption is analysed once"),
        always("is_known", "an analysis belongs to a caption"),
        always("is_whole", "no text of an analysis is empty"),
        between("paraphrases", PARAPHRASES, PARAPHRASES, "an analysis has three paraphrases"),
    ]
    return Table("analyses", "caption_id", frame, claims)


def _is_whole(batch: pa.Table) -> np.ndarray:
    texts, parents = _of_lists(batch["paraphrases"])
    empty = _true(pc.equal(_letters(texts), 0))
    own = [_true(pc.greater(_letters(batch[name]), 0)) for name in ("analysis", "detailed")]
    return np.logical_and.reduce([*own, ~_rows_with(parents, empty, len(batch))])


def _pairs(paths: Sequence[Path], known: Known) -> Table:
    frame = _frame(_pair_scalars(batch, known) for batch in _batches(paths, PairColumns))
    claims = [
        rows_at_least(1, "there are pairs"),
        unique("pair_id", "a pair occurs once"),
        within("source", SOURCES, "a motion comes from a known source"),
        always("is_trainable", "goals are visible captions of train and val clips"),
        between("distance", 0.0, None, "distances are finite"),
        always("is_honest", "the goal motion, and no other, is called so"),
        always("is_shown_trainable", "no motion of a test clip is shown"),
    ]
    return Table("pairs", "pair_id", frame, claims)


def _pair_scalars(batch: pa.Table, known: Known) -> dict[str, Any]:
    is_goal, is_own = pc.equal(batch["source"], "goal"), pc.equal(batch["motion_id"], batch["clip_id"])
    is_plain = pc.or_(pc.equal(batch["kind"], "none"), pc.equal(batch["kind"], batch["source"]))
    return {
        "pair_id": batch["pair_id"],
        "source": batch["source"],
        "flaw": pc.if_else(
            is_plain, batch["source"], pc.binary_join_element_wise(batch["source"], batch["kind"], ": ")
        ),
        "is_trainable": _is_in(batch["caption_id"], known.trained[0]),
        "distance": pc.if_else(pc.is_finite(batch["distance"]), batch["distance"], -1.0),
        "is_honest": _true(pc.equal(is_goal, is_own)),
        "is_shown_trainable": _is_in(_clip_of(batch["motion_id"]), known.trained_clips),
    }


def _clip_of(motions: pa.Array) -> pa.Array:
    """A made motion is named after the clip that it was made from: "<clip>~<kind><number>"."""
    return pc.replace_substring_regex(motions, "~.*$", "")


def _clip_of_caption(captions: pa.Array) -> pa.Array:
    """A caption is named after its clip: "<clip>/<index>"."""
    return pc.replace_substring_regex(captions, "/[^/]*$", "")


def _verified(paths: Sequence[Path], pairs: Sequence[Path], params: ValidateExamplesParams) -> Table:
    frame = _frame(
        _judgement_scalars(batch, among)
        for path, of_corpus in zip(paths, pairs, strict=True)
        for among in [columns(of_corpus, PairSource).combine_chunks()]
        for batch in _batches([path], JudgementColumns)
    )
    claims = [
        rows_at_least(1, "there are verified assessments"),
        unique("pair_id", "a pair is judged once"),
        always("is_known", "an assessment belongs to a pair"),
        always("has_words", "assessment and refinement are not empty"),
        always("is_exact", "the sentinel is written to the letter, and alone"),
        always("is_fair", "a goal's own motion needs no refinement"),
        between("words", 1, params.longest_refinement, "a refinement is no essay"),
    ]
    return Table("verified", "pair_id", frame, claims)


def _judgement_scalars(batch: pa.Table, pairs: pa.Table) -> dict[str, Any]:
    place = pc.index_in(batch["pair_id"], value_set=_one(pairs["pair_id"]))
    said = batch["refinement"]
    is_satisfied = pc.equal(said, SENTINEL)
    sounds_so = pc.match_substring(said, SENTINEL.rstrip("."), ignore_case=True)
    of_goal = pc.fill_null(pc.equal(_one(pairs["source"]).take(_one(place)), "goal"), False)
    has_words = pc.and_(pc.greater(_letters(batch["assessment"]), 0), pc.greater(_letters(said), 0))
    return {
        "pair_id": batch["pair_id"],
        "is_known": _true(pc.is_valid(place)),
        "has_words": _true(has_words),
        "is_exact": _true(pc.or_(is_satisfied, pc.invert(sounds_so))),
        "is_fair": _true(pc.or_(pc.invert(of_goal), is_satisfied)),
        "words": pc.count_substring_regex(said, WORD),
    }


# ---- examples --------------------------------------------------------------------------------------------------------


def _examples(name: str, path: Path, known: Known) -> Table:
    frame = _frame(_example_scalars(batch, known) for batch in _batches([path], ExampleColumns))
    claims = [
        rows_at_least(1, "there are examples"),
        unique("example_id", "an example id occurs once"),
        always("has_prompt", "no prompt is empty"),
        between("supervised", 1, None, "something of an answer is supervised"),
        within("split", TRAINING, "no example is of the test split"),
        always("is_clean", "an example is composed from visible captions of its own split"),
        within("stranger", [NOBODY], "no motion of another split, or a twin of one, is shown"),
    ]
    return Table(name, "example_id", frame, claims)


def _example_scalars(batch: pa.Table, known: Known) -> dict[str, Any]:
    rows = len(batch)
    parts, of_part = _of_lists(batch["answer"])
    is_supervised = pc.struct_field(parts, "supervised").to_numpy(zero_copy_only=False)
    letters = pc.utf8_length(pc.struct_field(parts, "text")).to_numpy()
    keys, of_key = _of_lists(batch["lineage"])
    own = _one(batch["split"]).take(pa.array(of_key))
    # A lineage names captions, or pairs that start with theirs and end with their motion.
    names = pc.extract_regex(keys, r"^(?P<goal>[^|]*)\|?(?P<motion>.*)$")
    is_theirs = _true(pc.equal(known.split_of_caption(pc.struct_field(names, "goal")), own))
    goal_clips, motions = _clip_of_caption(pc.struct_field(names, "goal")), pc.struct_field(names, "motion")
    shown = pc.if_else(pc.equal(motions, ""), goal_clips, motions)
    at_home = _true(pc.equal(known.home_of_clip(_clip_of(shown)), own))
    return {
        "example_id": batch["example_id"],
        "task": batch["task"],
        "has_prompt": _true(pc.greater(_letters(batch["prompt"]), 0)),
        "supervised": np.bincount(of_part, weights=letters * is_supervised, minlength=rows).astype(np.int64),
        "split": batch["split"],
        "is_clean": _rows_with(of_key, is_theirs, rows) & ~_rows_with(of_key, ~is_theirs, rows),
        "stranger": _first_of_each_row(shown, of_key, ~at_home, rows),
    }


def _first_of_each_row(items: pa.Array, parents: np.ndarray, holds: np.ndarray, rows: int) -> list[str]:
    """Of each row the first item of which something holds, or `NOBODY`."""
    found = [NOBODY] * rows
    for place in reversed(np.flatnonzero(holds).tolist()):
        found[parents[place]] = items[place].as_py()
    return found


def _tasks(stage1: pd.DataFrame, wanted: Sequence[str], params: ValidateExamplesParams) -> Table:
    found = Counter(stage1.get("task", ()))
    frame = pd.DataFrame(
        {"task": task, "share": found[task] / max(1, len(stage1)), "is_asked": task in wanted}
        for task in sorted({*wanted, *found})
    )
    claims = [
        between("share", params.smallest_task, None, "no task is lost"),
        always("is_asked", "every task is named in compose.tasks"),
    ]
    return Table("stage1 tasks", "task", frame, claims)


def _traces(path: Path, params: ValidateExamplesParams) -> Table:
    frame = pd.DataFrame(
        _trace(row["example_id"], row["answer"])
        for batch in _batches([path], ExampleColumns)
        for row in batch.select(["example_id", "answer"]).to_pylist()
    )
    claims = [
        always("is_trace", "an answer is a trace by the grammar"),
        always("is_ignored", "only the last generate block is supervised"),
        between("length", 1, params.longest_trace, "a trace is short enough to learn"),
    ]
    return Table("stage2 traces", "example_id", frame, claims)


def _trace(example_id: str, answer: Sequence[dict[str, Any]]) -> dict[str, Any]:
    text = "".join(segment["text"] for segment in answer)
    blocks = [segment["supervised"] for segment in answer if "[generate]" in segment["text"]]
    return {
        "example_id": example_id,
        "is_trace": isinstance(dialogue.parse(text, ANY_CODE), Trace),
        "is_ignored": bool(blocks) and blocks[-1] and not any(blocks[:-1]),
        "length": text.count("<Motion_") + len(text.split()),
        "motions": len(blocks),
    }


def _goals(path: Path, known: Known) -> Table:
    frame = _frame(_goal_scalars(batch, known) for batch in _batches([path], GoalColumns))
    claims = [
        rows_at_least(1, "there are goals"),
        unique("goal_id", "a goal occurs once"),
        within("split", TRAINING, "no goal is of the test split"),
        always("is_clean", "a goal is a visible caption of its own split"),
        always("is_at_home", "no goal's clip has a twin in another split"),
        between("codes", 1, None, "a goal has a motion"),
        always("is_asked", "the prompt asks for the goal"),
    ]
    return Table("stage3", "goal_id", frame, claims)


def _goal_scalars(batch: pa.Table, known: Known) -> dict[str, Any]:
    texts = zip(batch["text"].to_pylist(), batch["prompt"].to_pylist(), strict=True)
    return {
        "goal_id": batch["goal_id"],
        "split": batch["split"],
        "is_clean": _true(pc.equal(known.split_of_caption(batch["goal_id"]), batch["split"])),
        "is_at_home": _true(pc.not_equal(known.home_of_clip(_clip_of_caption(batch["goal_id"])), "")),
        "codes": pc.list_value_length(batch["tokens"]),
        "is_asked": np.array([bool(text.strip()) and text in prompt for text, prompt in texts], dtype=bool),
    }
