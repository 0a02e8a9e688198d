"""What must be true of annotations and examples before Stages 1 to 3 are trained on them."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from irg_core import dialogue
from irg_core.dialogue import SENTINEL, Trace
from irg_core.records.annotation import Analysis, Assessment, Caption, Pair, visible_captions
from irg_core.records.motion import Split
from irg_core.records.training import Example, Goal
from irg_core.validation.verdicts import Table, always, between, rows_at_least, unique, within

TRAINING = ("train", "val")
SOURCES = ("goal", "edit", "retrieval", "rollout")
PARAPHRASES = 3
ANY_CODE = 10**9
"""Which codes exist is the tokenizer's word; here only the grammar is read."""


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
class Annotated:
    """The tables that are looked at together."""

    captions: Sequence[Caption]
    analyses: Sequence[Analysis]
    pairs: Sequence[Pair]
    verified: Sequence[Assessment]
    splits: Sequence[Split]
    stage1: Sequence[Example]
    stage2: Sequence[Example]
    stage3: Sequence[Goal]
    tasks: Sequence[str]  # that Stage 1 must have


def tables(rows: Annotated, params: ValidateExamplesParams) -> list[Table]:
    trained = _trainable(rows)
    return [
        _captions(rows),
        _analyses(rows),
        _pairs(rows, trained),
        _verified(rows, params),
        _examples("stage1", rows.stage1, trained),
        _tasks(rows, params),
        _examples("stage2", rows.stage2, trained),
        _traces(rows.stage2, params),
        _goals(rows, trained),
    ]


def counts(rows: Annotated) -> dict[str, Any]:
    """Rows by kind, for the report."""
    return {
        "pairs": _count(_flaw(pair) for pair in rows.pairs),
        "stage1": _count(example.task for example in rows.stage1),
        "stage2": _count(f"traces with {_motions(example)} motions" for example in rows.stage2),
        "stage3": {"goals": len(rows.stage3)},
    }


def _flaw(pair: Pair) -> str:
    return pair.source if pair.kind in ("none", pair.source) else f"{pair.source}: {pair.kind}"


def _motions(example: Example) -> int:
    return sum("[generate]" in segment.text for segment in example.answer)


def _count(words: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(words).items()))


def _trainable(rows: Annotated) -> dict[str, str]:
    """The captions that a training may know, with their split: visible ones of train and val clips."""
    part = {split.clip_id: split.split for split in rows.splits if split.split in TRAINING}
    visible = visible_captions(rows.captions, rows.splits)
    return {
        caption.caption_id: part[clip_id] for clip_id, said in visible.items() if clip_id in part for caption in said
    }


def _captions(rows: Annotated) -> Table:
    clips = {split.clip_id for split in rows.splits}
    frame = pd.DataFrame(
        {
            "caption_id": row.caption_id,
            "letters": len(row.text.strip()),
            "is_known": row.clip_id in clips,
            "is_named": row.caption_id == f"{row.clip_id}/{row.index}",
        }
        for row in rows.captions
    )
    claims = [
        rows_at_least(1, "there are captions"),
        unique("caption_id", "a caption id occurs once"),
        between("letters", 1, None, "no caption is empty"),
        always("is_known", "a caption belongs to a clip that has a split"),
        always("is_named", "a caption id is made of its clip and index"),
    ]
    return Table("captions", "caption_id", frame, claims)


def _analyses(rows: Annotated) -> Table:
    known = {row.caption_id for row in rows.captions}
    frame = pd.DataFrame(
        {
            "caption_id": row.caption_id,
            "is_known": row.caption_id in known,
            "is_whole": all(text.strip() for text in (row.analysis, row.detailed, *row.paraphrases)),
            "paraphrases": len(row.paraphrases),
        }
        for row in rows.analyses
    )
    claims = [
        unique("caption_id", "a caption is analysed once"),
        always("is_known", "an analysis belongs to a caption"),
        always("is_whole", "no text of an analysis is empty"),
        between("paraphrases", PARAPHRASES, PARAPHRASES, "an analysis has three paraphrases"),
    ]
    return Table("analyses", "caption_id", frame, claims)


def _pairs(rows: Annotated, trained: dict[str, str]) -> Table:
    shown = {row.clip_id for row in rows.splits if row.split in TRAINING}
    frame = pd.DataFrame(
        {
            "pair_id": row.pair_id,
            "source": row.source,
            "is_trainable": row.caption_id in trained,
            "distance": row.distance if math.isfinite(row.distance) else -1.0,
            "is_honest": (row.source == "goal") == (row.motion_id == row.clip_id),
            # A made motion is named after the clip it was made from: "<clip>~<kind><number>".
            "is_shown_trainable": row.motion_id.split("~")[0] in shown,
        }
        for row in rows.pairs
    )
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


def _verified(rows: Annotated, params: ValidateExamplesParams) -> Table:
    source = {row.pair_id: row.source for row in rows.pairs}
    frame = pd.DataFrame(
        {
            "pair_id": row.pair_id,
            "is_known": row.pair_id in source,
            "has_words": bool(row.assessment.strip() and row.refinement.strip()),
            "is_exact": row.refinement == SENTINEL or SENTINEL.rstrip(".").lower() not in row.refinement.lower(),
            "is_fair": source.get(row.pair_id) != "goal" or row.refinement == SENTINEL,
            "words": len(row.refinement.split()),
        }
        for row in rows.verified
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


def _examples(name: str, examples: Sequence[Example], trained: dict[str, str]) -> Table:
    frame = pd.DataFrame(
        {
            "example_id": row.example_id,
            "has_prompt": bool(row.prompt.strip()),
            "supervised": sum(len(segment.text) for segment in row.answer if segment.supervised),
            "split": row.split,
            "is_clean": _is_clean(row, trained),
        }
        for row in examples
    )
    claims = [
        rows_at_least(1, "there are examples"),
        unique("example_id", "an example id occurs once"),
        always("has_prompt", "no prompt is empty"),
        between("supervised", 1, None, "something of an answer is supervised"),
        within("split", TRAINING, "no example is of the test split"),
        always("is_clean", "an example is composed from visible captions of its own split"),
    ]
    return Table(name, "example_id", frame, claims)


def _is_clean(example: Example, trained: dict[str, str]) -> bool:
    """A lineage names captions, or pairs that start with theirs; a test caption in it is a leak."""
    goals = {key.split("|")[0] for key in example.lineage}
    return bool(goals) and all(trained.get(goal) == example.split for goal in goals)


def _tasks(rows: Annotated, params: ValidateExamplesParams) -> Table:
    found = Counter(example.task for example in rows.stage1)
    frame = pd.DataFrame(
        {"task": task, "share": found[task] / max(1, len(rows.stage1)), "is_asked": task in rows.tasks}
        for task in sorted({*rows.tasks, *found})
    )
    claims = [
        between("share", params.smallest_task, None, "no task is lost"),
        always("is_asked", "every task is named in compose.tasks"),
    ]
    return Table("stage1 tasks", "task", frame, claims)


def _traces(examples: Sequence[Example], params: ValidateExamplesParams) -> Table:
    frame = pd.DataFrame(_trace(row, params) for row in examples)
    claims = [
        always("is_trace", "an answer is a trace by the grammar"),
        always("is_ignored", "only the last generate block is supervised"),
        between("length", 1, params.longest_trace, "a trace is short enough to learn"),
    ]
    return Table("stage2 traces", "example_id", frame, claims)


def _trace(row: Example, params: ValidateExamplesParams) -> dict[str, Any]:
    text = "".join(segment.text for segment in row.answer)
    blocks = [segment.supervised for segment in row.answer if "[generate]" in segment.text]
    return {
        "example_id": row.example_id,
        "is_trace": isinstance(dialogue.parse(text, ANY_CODE), Trace),
        "is_ignored": bool(blocks) and blocks[-1] and not any(blocks[:-1]),
        "length": text.count("<Motion_") + len(text.split()),
    }


def _goals(rows: Annotated, trained: dict[str, str]) -> Table:
    frame = pd.DataFrame(
        {
            "goal_id": row.goal_id,
            "split": row.split,
            "is_clean": trained.get(row.goal_id) == row.split,
            "codes": len(row.tokens),
            "is_asked": bool(row.text.strip()) and row.text in row.prompt,
        }
        for row in rows.stage3
    )
    claims = [
        rows_at_least(1, "there are goals"),
        unique("goal_id", "a goal occurs once"),
        within("split", TRAINING, "no goal is of the test split"),
        always("is_clean", "a goal is a visible caption of its own split"),
        between("codes", 1, None, "a goal has a motion"),
        always("is_asked", "the prompt asks for the goal"),
    ]
    return Table("stage3", "goal_id", frame, claims)
