"""compose: from verified rows to what the language model trains on: Stage-1 examples, Stage-2 traces, Stage-3 goals.

Everything is drawn here, once, from (seed, row key): a trainer that decides nothing can be resumed and read.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from irg_core import dialogue
from irg_core.dialogue import SENTINEL, Round, Trace
from irg_core.records.annotation import Analysis, Assessment, Caption, Flawed, Pair, visible_captions
from irg_core.records.material import Material, Shown
from irg_core.records.motion import MotionTokens, Split
from irg_core.records.training import Example, Goal
from irg_core.seeds import derive, rng


@dataclass(frozen=True)
class ComposeParams:
    """How many examples of which kind."""

    seed: int
    """Another seed draws other prompts, other examples and other rounds from the same rows."""
    tasks: dict[str, float]
    """Files of irg_core/tasks to their share of Stage 1; a larger share of one leaves less for the others."""
    stage1_examples: int
    """Cap of Stage 1 over all tasks; more are more varied and seen less often in the same number of steps."""
    flawed_rounds: list[float]
    """Shares of traces with 0, 1, 2 … flawed motions before the right one; more rounds make longer traces."""
    goals_per_clip: int
    """Captions of each train clip that Stage 3 answers; more are more varied and drawn less often."""

    def __post_init__(self) -> None:
        for name, shares in (("tasks", list(self.tasks.values())), ("flawed_rounds", self.flawed_rounds)):
            if not math.isclose(sum(shares), 1.0, abs_tol=1e-6):
                raise ValueError(f"compose.{name} must add up to 1, not {sum(shares):g}")


@dataclass(frozen=True)
class Rows:
    """The tables that examples are composed from."""

    tokens: list[MotionTokens]
    flawed: list[Flawed]
    captions: list[Caption]
    analyses: list[Analysis]
    pairs: list[Pair]
    verified: list[Assessment]
    splits: list[Split]


def materials(rows: Rows) -> list[Material]:
    """One for each caption that train and val may see; the test split has no part in any training."""
    motions = {row.clip_id: row.tokens for row in rows.tokens} | {row.motion_id: row.tokens for row in rows.flawed}
    analysis = {row.caption_id: row for row in rows.analyses}
    shown = _shown(rows.pairs, rows.verified, motions)
    splits = {row.clip_id: row.split for row in rows.splits if row.split != "test" and motions.get(row.clip_id)}
    return [
        Material(
            caption,
            splits[clip_id],
            motions[clip_id],
            analysis.get(caption.caption_id),
            shown.get(caption.caption_id, []),
        )
        for clip_id, captions in sorted(visible_captions(rows.captions, rows.splits).items())
        if clip_id in splits
        for caption in captions
    ]


def _shown(
    pairs: Iterable[Pair], verified: Iterable[Assessment], motions: dict[str, list[int]]
) -> dict[str, list[Shown]]:
    """The verified pairs of each goal, worst first."""
    words = {row.pair_id: row for row in verified}
    found: dict[str, list[Shown]] = defaultdict(list)
    for pair in sorted(pairs, key=lambda pair: (-pair.distance, pair.pair_id)):
        said, codes = words.get(pair.pair_id), motions.get(pair.motion_id)
        if said is not None and codes:
            is_flawed = said.refinement != SENTINEL
            shown = Shown(pair.pair_id, is_flawed, pair.distance, codes, said.assessment, said.refinement)
            found[pair.caption_id].append(shown)
    return found


def lot(examples: Iterable[Example], count: int, seed: int) -> list[Example]:
    """Draw `count` examples by lot, the same ones whatever else there is; all of them where there are fewer."""
    return sorted(examples, key=lambda example: derive(seed, example.example_id))[:count]


def traces(rows: Sequence[Material], params: ComposeParams) -> list[Example]:
    """A trace for every goal that has an analysis and whose own motion was judged right."""
    return [
        _trace(material, analysis, right, params)
        for material in rows
        if (analysis := material.analysis) is not None
        for right in material.shown
        if not right.is_flawed and right.tokens == material.tokens
    ]


def _trace(material: Material, analysis: Analysis, right: Shown, params: ComposeParams) -> Example:
    draw = rng(params.seed, "trace", material.caption.caption_id)
    flawed = [shown for shown in material.shown if shown.is_flawed]
    count = min(len(flawed), int(draw.choice(len(params.flawed_rounds), p=params.flawed_rounds)))
    kept = sorted(draw.choice(len(flawed), size=count, replace=False).tolist()) if count else []
    shown = [*(flawed[position] for position in kept), right]
    rounds = tuple(Round(tuple(one.tokens), one.assessment, one.refinement) for one in shown)
    return Example(
        example_id=f"trace|{material.caption.caption_id}",
        task="trace",
        split=material.split,
        prompt=dialogue.prompt(material.caption.text),
        answer=dialogue.segments(Trace(analysis.analysis, rounds)),
        lineage=[material.caption.caption_id, *(one.pair_id for one in shown)],
    )


def goals(rows: Sequence[Material], params: ComposeParams) -> list[Goal]:
    """Stage-3 prompts: some captions of each train clip, drawn by lot."""
    of_clip: dict[str, list[Material]] = defaultdict(list)
    for material in rows:
        if material.split == "train":
            of_clip[material.caption.clip_id].append(material)
    return [
        _goal(material)
        for group in of_clip.values()
        for material in sorted(group, key=lambda row: derive(params.seed, "goal", row.caption.caption_id))[
            : params.goals_per_clip
        ]
    ]


def _goal(material: Material) -> Goal:
    caption = material.caption
    prompt = dialogue.prompt(caption.text)
    return Goal(caption.caption_id, caption.clip_id, material.split, caption.text, prompt, material.tokens)
