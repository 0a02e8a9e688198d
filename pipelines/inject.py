"""inject: pair each goal with its own motion and with flawed ones: edited, retrieved, or made by the base model."""

from collections import Counter
from pathlib import Path
from typing import TypeVar

import numpy as np

from irg_core.annotate import inject
from irg_core.annotate.inject import Aim, Attempt, InjectParams, Made
from irg_core.models.decoding import Sampling, generate
from irg_core.models.evaluator import Evaluator
from irg_core.models.language import Language
from irg_core.models.vqvae import MotionTokenizer
from irg_core.motion.thresholds import KinematicsParams
from irg_core.params import section
from irg_core.records.annotation import Caption, Flawed, Pair, visible_captions
from irg_core.records.motion import Clip, Facts, Split
from irg_core.summaries import summarise
from irg_core.tables import commit, read
from irg_core.tasks import generate as task
from pipelines.executor import MapBatches

Row = TypeVar("Row")


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
    set_threads(params.threads)
    assigned = [row for row in read(splits, Split) if row.corpus == corpus and row.split != "test"]
    inside = {row.clip_id: row.split for row in assigned}
    rows = [clip for clip in read(clips, Clip) if clip.clip_id in inside]
    visible = visible_captions(read(captions, Caption), assigned)
    measured = {row.clip_id: row for row in read(facts, Facts)}
    # A clip none of whose captions may be seen could say the same as any goal: it is shown for none.
    gallery = [clip.clip_id for clip in rows if inside[clip.clip_id] == "train" and clip.clip_id in visible]
    aims = inject.aims(rows, visible, measured, len(gallery), params)

    codec, judge = MotionTokenizer.load(tokenizer), Evaluator.load(evaluator)
    made = edits(aims, params, limits, map_batches)
    made += rollouts(aims, Language.load(base), codec, params, limits, map_batches)
    kept = [
        inject.flawed(flaw, codes) for flaw, codes in zip(made, codec.encode([m.features for m in made]), strict=True)
    ]
    names = [*(clip.clip_id for clip in rows), *(flaw.motion_id for flaw in made)]
    points = dict(
        zip(
            names,
            judge.embed_motions([*(clip.features for clip in rows), *(flaw.features for flaw in made)]),
            strict=True,
        )
    )
    found = retrieve(aims, gallery, points, visible, judge, params)
    of_clip: dict[str, list[Flawed]] = {aim.clip.clip_id: [] for aim in aims}
    for flaw, row in zip(made, kept, strict=True):
        of_clip[flaw.clip_id].append(row)
    together = [
        pair
        for aim in aims
        for pair in inject.pairs(aim, of_clip[aim.clip.clip_id], found.get(aim.clip.clip_id, []), points)
    ]

    commit(flawed, kept, Flawed)
    commit(pairs, together, Pair)
    kinds = dict(sorted(Counter(pair.kind for pair in together).items()))
    summarise("inject", corpus, clips=len(aims), pairs=len(together), kinds=kinds)


def set_threads(threads: int) -> None:
    import torch

    torch.set_num_threads(threads)


def edits(aims: list[Aim], params: InjectParams, limits: KinematicsParams, map_batches: MapBatches) -> list[Made]:
    batches = _batches(aims, params.batch)
    same = ([value] * len(batches) for value in (params.edits, params.seed, limits))
    parts = map_batches(inject.edited, batches, *same)
    return [made for part in parts for made in part]


def rollouts(
    aims: list[Aim], base: Language, codec: MotionTokenizer, params: InjectParams, limits: KinematicsParams,
    map_batches: MapBatches,
) -> list[Made]:  # fmt: skip
    """The base model's own attempts at the goals, as far as they miss them."""
    wanted = inject.attempts(aims)
    prompts = {key: task.TEMPLATES[0].format(goal=aim.goals[0].text) for key, aim in wanted.items()}
    rollout = params.rollout
    sampling = Sampling(
        params.seed,
        rollout.temperature,
        max_tokens=rollout.max_codes + 2,
        max_codes=rollout.max_codes,
        max_text=1,
        max_rounds=1,
        batch=rollout.batch,
    )
    answers = generate(base, prompts, "motion", sampling)
    codes = [answers[key].motions(base.vocabulary)[-1] for key in wanted]
    decoded = codec.decode(codes)
    tries = [Attempt(key, aim, rows) for (key, aim), rows in zip(wanted.items(), decoded, strict=True)]
    batches = _batches(tries, params.batch)
    return [made for part in map_batches(inject.missed, batches, [limits] * len(batches)) for made in part]


def retrieve(
    aims: list[Aim],
    gallery: list[str],
    points: dict[str, np.ndarray],
    visible: dict[str, list[Caption]],
    judge: Evaluator,
    params: InjectParams,
) -> dict[str, list[str]]:
    """Clips of the train split shown for goals that are not theirs, by the clip of the goal."""
    wanted = [aim for aim in aims if aim.wanted["retrieval"]]
    if not wanted:
        return {}
    texts = judge.embed_texts([aim.goals[0].text for aim in wanted])
    motions = np.stack([points[clip_id] for clip_id in gallery])
    found = {}
    for aim, text in zip(wanted, texts, strict=True):
        order = np.argsort(np.linalg.norm(motions - text, axis=1), kind="stable")
        found[aim.clip.clip_id] = inject.retrieved(aim, [gallery[place] for place in order], visible, params)
    return found


def _batches(rows: list[Row], size: int) -> list[list[Row]]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]
