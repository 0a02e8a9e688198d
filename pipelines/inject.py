"""inject: pair each goal with its own motion and with flawed ones: edited, retrieved, or made by the base model."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np

from irg_core.annotate import inject, keeping
from irg_core.annotate.inject import Aim, Attempt, Gallery, InjectParams, Made, Work
from irg_core.annotate.keeping import Inputs, Kept
from irg_core.models.decoding import Sampling, generate
from irg_core.models.evaluator import Evaluator
from irg_core.models.language import Language
from irg_core.models.vqvae import MotionTokenizer
from irg_core.motion.representation import MODES
from irg_core.motion.thresholds import KinematicsParams
from irg_core.params import choice, section
from irg_core.records.annotation import Caption, Flawed, Pair, visible_captions
from irg_core.records.motion import Clip, Facts, Split
from irg_core.summaries import summarise
from irg_core.tables import Keyed, commit, scan
from irg_core.tasks import generate as task
from pipelines.executor import MapBatches

Row = TypeVar("Row")

AT_A_TIME = 512
"""Clips whose frames, and those of the flaws made for them, are in memory together."""


def main(
    corpus: str,
    clips: Path,
    captions: Path,
    facts: Path,
    splits: Path,
    tokenizer: Path,
    evaluator: Path,
    base: Path,
    flawed: Path,
    pairs: Path,
    *,
    map_batches: MapBatches = map,
) -> None:
    params, limits = section("inject", InjectParams), section("kinematics", KinematicsParams)
    mode = choice("features", MODES)
    assigned = [row for row in scan(splits, Split) if row.corpus == corpus and row.split != "test"]
    inside = {row.clip_id: row.split for row in assigned}
    visible = visible_captions(scan(captions, Caption), assigned)
    measured = {row.clip_id: row for row in scan(facts, Facts) if row.clip_id in inside}
    # A clip none of whose captions may be seen could say the same as any goal: it is shown for none.
    gallery = [clip_id for clip_id, split in inside.items() if split == "train" and clip_id in visible]
    aims = inject.aims(inside, visible, measured, len(gallery), params)

    memory = keeping.remembered(flawed, pairs)
    names = keeping.of_clips(clip for clip in scan(clips, Clip) if clip.clip_id in inside)
    inputs = Inputs(keeping.rules(params, limits, mode, tokenizer), names, visible)
    kept = keeping.kept(aims, memory, inputs, gallery)
    due = [aim for aim in aims if aim.clip_id not in kept]
    rows = list(kept.values())
    if due:
        set_threads(params.threads)
        models = Models.load(tokenizer, evaluator, base)
        sight = look_at(clips, inside, gallery, visible, measured, models.judge, params)
        workshop = Workshop(params, limits, mode, models, sight, gallery, inputs, map_batches)
        with Keyed(clips, Clip) as table:
            rows += [row for batch in _batched(due, AT_A_TIME) for row in workshop.draw(batch, table)]

    commit(flawed, (flaw for row in rows for flaw in row.flawed), Flawed)
    commit(pairs, (pair for row in rows for pair in row.pairs), Pair)
    kinds = dict(sorted(Counter(pair.kind for row in rows for pair in row.pairs).items()))
    note = {"memory": memory.note} if memory.note else {}
    total = sum(kinds.values())
    summarise("inject", corpus, clips=len(aims), kept=len(kept), drawn=len(due), pairs=total, kinds=kinds, **note)


def set_threads(threads: int) -> None:
    import torch

    torch.set_num_threads(threads)


@dataclass(frozen=True)
class Models:
    """Who makes tokens, who measures distances and under which name, and who answers goals."""

    codec: MotionTokenizer
    judge: Evaluator
    judge_name: str
    base: Language

    @classmethod
    def load(cls, tokenizer: Path, evaluator: Path, base: Path) -> "Models":
        name = keeping.of_folder(evaluator)
        return cls(MotionTokenizer.load(tokenizer), Evaluator.load(evaluator), name, Language.load(base))


def look_at(
    clips: Path, inside: Mapping[str, str], gallery: list[str], visible: Mapping[str, list[Caption]],
    measured: Mapping[str, Facts], judge: Evaluator, params: InjectParams,
) -> Gallery:  # fmt: skip
    """Every clip as a point in the evaluator's space; frames are read a few clips at a time."""
    points: dict[str, np.ndarray] = {}
    for batch in _batched((clip for clip in scan(clips, Clip) if clip.clip_id in inside), AT_A_TIME):
        points |= _points({clip.clip_id: clip.features for clip in batch}, judge)
    return Gallery(visible, measured, points, inject.spread([points[name] for name in gallery], params.seed))


def _points(motions: Mapping[str, np.ndarray], judge: Evaluator) -> dict[str, np.ndarray]:
    return dict(zip(motions, judge.embed_motions(list(motions.values())), strict=True))


@dataclass(frozen=True)
class Workshop:
    """Everything that flaws are made with."""

    params: InjectParams
    limits: KinematicsParams
    mode: str
    models: Models
    sight: Gallery
    gallery: list[str]
    inputs: Inputs
    map_batches: MapBatches

    def draw(self, aims: list[Aim], table: Keyed[Clip]) -> Iterator[Kept]:
        """What becomes of some clips: flawed motions, and pairs of goals and motions."""
        made = [*self.edits(aims, table), *self.rollouts(aims)]
        tokens = self.models.codec.encode([one.features for one in made])
        points = _points({one.motion_id: one.features for one in made}, self.models.judge)
        found = self.retrieve(aims)
        of_clip: dict[str, list[tuple[Made, list[int]]]] = {}
        for one, codes in zip(made, tokens, strict=True):
            of_clip.setdefault(one.clip_id, []).append((one, codes))
        for aim in aims:
            mine, own = of_clip.get(aim.clip_id, []), self.inputs.of(aim)
            sources = {name: self.inputs.with_clip(own, name) for name in found.get(aim.clip_id, [])}
            flaws = [one for one, _ in mine]
            shown = inject.shown(aim, flaws, list(sources), self.sight.facts, sources | {aim.clip_id: own}, self.limits)
            near = {name: self.sight.points[name] for name in (aim.clip_id, *sources)}
            near |= {one.motion_id: points[one.motion_id] for one in flaws}
            yield Kept(
                [inject.flawed(one, codes, own) for one, codes in mine],
                inject.pairs(aim, shown, near, self.models.judge_name),
            )

    def edits(self, aims: list[Aim], table: Keyed[Clip]) -> list[Made]:
        """The edited motions, each the work of one of the executor's batches."""
        wanted = (self._work(aim, table) for aim in aims if aim.wanted["edit"])
        batches = list(_batched(wanted, self.params.batch))
        same = ([value] * len(batches) for value in (self.params, self.limits, self.mode))
        return [made for part in self.map_batches(inject.edited, batches, *same) for made in part]

    def _work(self, aim: Aim, table: Keyed[Clip]) -> Work:
        lent = [(_frames(table, name), self.sight.facts[name].phases) for name in aim.lent]
        return Work(aim, _frames(table, aim.clip_id), lent)

    def rollouts(self, aims: list[Aim]) -> list[Made]:
        """The base model's own attempts at the goals, as far as they miss them."""
        wanted = inject.attempts(aims)
        prompts = {key: task.TEMPLATES[0].format(goal=aim.goals[0].text) for key, aim in wanted.items()}
        rollout, base = self.params.rollout, self.models.base
        sampling = Sampling(
            self.params.seed,
            rollout.temperature,
            top_p=1.0,
            max_tokens=rollout.max_codes + 2,
            max_codes=rollout.max_codes,
            max_text=1,
            max_rounds=1,
            batch=rollout.batch,
        )
        answers = generate(base, prompts, "motion", sampling)
        decoded = self.models.codec.decode([answers[key].motions(base.vocabulary)[-1] for key in wanted])
        tries = [Attempt(key, aim, rows) for (key, aim), rows in zip(wanted.items(), decoded, strict=True)]
        batches = list(_batched(tries, self.params.batch))
        parts = self.map_batches(inject.missed, batches, [self.limits] * len(batches))
        return [made for part in parts for made in part]

    def retrieve(self, aims: list[Aim]) -> dict[str, list[str]]:
        """Clips of the train split shown for goals that are not theirs, by the clip of the goal."""
        wanted = [aim for aim in aims if aim.wanted["retrieval"]]
        if not wanted:
            return {}
        texts = self.models.judge.embed_texts([aim.goals[0].text for aim in wanted])
        motions = np.stack([self.sight.points[clip_id] for clip_id in self.gallery])
        found = {}
        for aim, text in zip(wanted, texts, strict=True):
            order = np.argsort(np.linalg.norm(motions - text, axis=1), kind="stable")
            ranking = [self.gallery[place] for place in order]
            found[aim.clip_id] = inject.retrieved(aim, ranking, self.sight, self.params, self.limits)
        return found


def _frames(table: Keyed[Clip], clip_id: str) -> np.ndarray:
    clip = table.find(clip_id)
    assert clip is not None, clip_id
    return clip.features


def _batched(rows: Iterable[Row], size: int) -> Iterator[list[Row]]:
    remaining = iter(rows)
    while batch := list(islice(remaining, size)):
        yield batch
