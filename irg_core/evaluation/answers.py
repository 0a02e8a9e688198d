"""How each kind of model answers the goals: `evaluate.models.<m>.answers` names a function of `KINDS`.

Whatever a model is, it ends up as `Answers`: motions for every goal, once or as first and final try, and what was said.
Goals are answered in fixed batches, each decoded as a whole by one worker: how many workers there are changes nothing.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from irg_core import dialogue
from irg_core.errors import ModelError
from irg_core.evaluation.goals import Goal
from irg_core.evaluation.memory import Memory
from irg_core.models import decoding
from irg_core.models.decoding import Answer, Composed, LoopPrompts, Mode, Sampling
from irg_core.models.language import Language
from irg_core.models.vocabulary import Vocabulary
from irg_core.models.vqvae import MotionTokenizer
from irg_core.records.evaluation import Generation
from irg_core.seeds import derive
from irg_core.tasks import generate, instruct, refine_instructed

Kind = Literal["references", "direct", "composed", "trace"]


@dataclass(frozen=True)
class Shown:
    """One row of the results table: a motion for every goal."""

    row: str
    motion: str  # "first" | "final" | "only"
    features: list[np.ndarray]
    is_shuffled: bool = False  # paired with the texts of other goals: a control
    codes: Sequence[list[int]] = ()  # of the real motions, where the row shows what the tokenizer makes of them
    said: Sequence[str] = ()  # of the real motions, a sentence each, where the row has something to say
    variants: Mapping[int, Sequence[np.ndarray]] = field(default_factory=dict)  # more motions for some of the goals


@dataclass(frozen=True)
class Answers:
    """All that one model said to the goals."""

    shown: list[Shown]
    generations: list[Generation]
    counts: dict[str, Any]
    """Stop reasons, rounds, failures, share of well-formed traces: whatever is no score."""


@dataclass(frozen=True)
class Failed:
    """Answers of one row that show no motion, by their reason."""

    empty: int
    not_finite: int


@dataclass(frozen=True)
class Asked:
    """Everything that a model is asked with."""

    model: str
    weights: Path
    goals: Sequence[Goal]
    tokenizer: MotionTokenizer
    sampling: Sampling
    free_clips: int
    threads: int  # of each worker
    map_batches: Callable[..., Any]  # where batches run: a function like the builtin `map`
    memory: Memory  # of batches that are answered


def references(asked: Asked) -> Answers:
    """What models are measured against: the clips, clips of other goals, one pose for all, and the tokenizer alone."""
    real, spoken = [goal.clip.features for goal in asked.goals], [goal.text for goal in asked.goals]
    codes = asked.tokenizer.encode(real)
    # As long for every goal: a pose held for as long as the goal's own motion would tell its length.
    still = np.tile(mean_pose(asked.weights), (int(np.median([len(frames) for frames in real])), 1))
    shown = [
        Shown("real", "only", real, said=spoken),
        Shown("random", "only", real, is_shuffled=True, said=spoken),
        Shown("mean-pose", "only", [still] * len(real)),
        Shown("reconstruction", "only", asked.tokenizer.decode(codes), codes=codes),
    ]
    said = [
        _generation("reconstruction", goal, dialogue.motion(tokens), [tokens], True, "single")
        for goal, tokens in zip(asked.goals, codes, strict=True)
    ]
    return Answers(shown, said, {})


def direct(asked: Asked) -> Answers:
    """One motion a goal. The control pairs it with another goal's text: if codes depend on the text, it must fall."""
    prompts = {goal.caption_id: generate.TEMPLATES[0].format(goal=goal.text) for goal in asked.goals}
    (answers,) = told(asked, [("motion", prompts)])
    vocabulary = Vocabulary.load(asked.weights)
    said = []
    for goal in asked.goals:
        answer = answers[goal.caption_id]
        motions = answer.motions(vocabulary)
        said.append(_generation(asked.model, goal, answer.text, motions, bool(motions), answer.stop))
    decoded, failed = _decoded([row.motions for row in said], -1, asked)
    shown = [Shown(asked.model, "only", decoded), Shown(f"{asked.model}-shuffled", "only", decoded, is_shuffled=True)]
    return Answers(shown, said, _counts(said, failed))


def composed(asked: Asked) -> Answers:
    """The loop around a Stage-1 model: generate, then instruct and refine until nothing is left to refine."""
    texts = {goal.caption_id: goal.text for goal in asked.goals}
    batches = in_batches(texts, asked.sampling.batch)
    work = asked.memory.around(partial(composed_batch, asked.weights, asked.threads, asked.sampling), Composed)
    answers = {key: answer for part in asked.map_batches(work, batches) for key, answer in part.items()}
    said = []
    for goal in asked.goals:
        answer = answers[goal.caption_id]
        said.append(_generation(asked.model, goal, answer.text(), answer.motions, all(answer.motions), answer.stop))
    return _first_and_final(said, asked, {})


def trace(asked: Asked) -> Answers:
    """Whole traces with their grammar enforced; on some goals also free, to see what the model learned of it."""
    prompts = {goal.caption_id: dialogue.prompt(goal.text) for goal in asked.goals}
    drawn = sorted(prompts, key=lambda key: derive(asked.sampling.seed, "free", key))[: asked.free_clips]
    answers, free = told(asked, [("enforced", prompts), ("free", {key: prompts[key] for key in drawn})])
    vocabulary = Vocabulary.load(asked.weights)
    said = []
    for goal in asked.goals:
        answer = answers[goal.caption_id]
        said.append(
            _generation(
                asked.model, goal, answer.text, answer.motions(vocabulary),
                _is_trace(answer.text, asked.tokenizer.codes), answer.stop,
            )
        )  # fmt: skip
    return _first_and_final(said, asked, _counts_of_free(free, asked.tokenizer.codes))


KINDS: dict[Kind, Callable[[Asked], Answers]] = {
    "references": references,
    "direct": direct,
    "composed": composed,
    "trace": trace,
}


def mean_pose(stats: Path) -> np.ndarray:
    """The mean frame of the train split [263 or 251]."""
    return np.array(json.loads(stats.read_text(encoding="utf-8"))["mean"], dtype=np.float32)


def told(asked: Asked, tasks: Sequence[tuple[Mode, Mapping[str, str]]]) -> list[dict[str, Answer]]:
    """The answers of each mode to its prompts, by their keys. Batches of all modes run at one time."""
    batches = [(mode, batch) for mode, prompts in tasks for batch in in_batches(prompts, asked.sampling.batch)]
    work = asked.memory.around(partial(said_batch, asked.weights, asked.threads, asked.sampling), Answer)
    parts = asked.map_batches(work, batches)
    answers: dict[Mode, dict[str, Answer]] = {mode: {} for mode, _ in tasks}
    for (mode, _), part in zip(batches, parts, strict=True):
        answers[mode] |= part
    return list(answers.values())


def in_batches(texts: Mapping[str, str], size: int) -> list[dict[str, str]]:
    """Texts of like length together: they need the least padding."""
    order = sorted(texts, key=lambda key: (len(texts[key]), key))
    return [{key: texts[key] for key in order[start : start + size]} for start in range(0, len(order), size)]


def said_batch(
    weights: Path, threads: int, sampling: Sampling, asked: tuple[Mode, dict[str, str]]
) -> dict[str, Answer]:
    """In a worker: the answers to one batch of prompts."""
    torch.set_num_threads(threads)
    mode, prompts = asked
    return decoding.generate(loaded(weights), prompts, mode, sampling)


def composed_batch(weights: Path, threads: int, sampling: Sampling, goals: dict[str, str]) -> dict[str, Composed]:
    """In a worker: the loop of Stage 1 on one batch of goals."""
    torch.set_num_threads(threads)
    prompts = LoopPrompts(generate.TEMPLATES[0], instruct.TEMPLATES[0], refine_instructed.TEMPLATES[0])
    return decoding.compose(loaded(weights), goals, prompts, sampling)


@cache
def loaded(weights: Path) -> Language:
    """Once a process."""
    return Language.load(weights)


def _counts_of_free(answers: Mapping[str, Answer], codes: int) -> dict[str, Any]:
    """How many answers are traces when nothing holds them to the grammar."""
    good = [_is_trace(answer.text, codes) for answer in answers.values()]
    return {"free": {"clips": len(good), "wellformed": sum(good)}}


def _first_and_final(said: list[Generation], asked: Asked, counts: dict[str, Any]) -> Answers:
    first, _ = _decoded([row.motions for row in said], 0, asked)
    final, failed = _decoded([row.motions for row in said], -1, asked)
    shown = [Shown(asked.model, "first", first), Shown(asked.model, "final", final)]
    return Answers(shown, said, _counts(said, failed) | counts)


def _decoded(motions: Sequence[Sequence[list[int]]], which: int, asked: Asked) -> tuple[list[np.ndarray], Failed]:
    """Features of one motion of each answer, and how many of them count as failures."""
    return performed(asked.tokenizer, [row[which] if row else [] for row in motions])


def performed(tokenizer: MotionTokenizer, motions: Sequence[Sequence[int]]) -> tuple[list[np.ndarray], Failed]:
    """Features of motions that models wrote as codes, and how many of them are no motion.

    One without a code, or whose numbers are not finite once decoded, counts as a failure and stands still as one token
    of code 0 would: it must cost the model, and must not leave the table. Raises `ModelError` where that token is not
    finite either.
    """
    decoded = tokenizer.decode([list(codes) or [0] for codes in motions])
    broken = [place for place, features in enumerate(decoded) if not np.isfinite(features).all()]
    if broken:
        (still,) = tokenizer.decode([[0]])
        if not np.isfinite(still).all():
            raise ModelError(
                "the motion tokenizer decodes code 0 to numbers that are not finite; `dvc repro --force"
                " train_tokenizer` makes it anew"
            )
        for place in broken:
            decoded[place] = still
    return decoded, Failed(sum(not codes for codes in motions), len(broken))


def _is_trace(text: str, codes: int) -> bool:
    return isinstance(dialogue.parse(text, codes), dialogue.Trace)


def _counts(said: Sequence[Generation], failed: Failed) -> dict[str, Any]:
    broken = {"not_finite": failed.not_finite} if failed.not_finite else {}
    return broken | {
        "clips": len(said),
        "failures": failed.empty + failed.not_finite,
        "wellformed": sum(row.wellformed for row in said),
        "stops": dict(sorted(Counter(row.stop for row in said).items())),
        "motions": {str(count): rows for count, rows in sorted(Counter(len(row.motions) for row in said).items())},
    }


def _generation(
    model: str, goal: Goal, answer: str, motions: list[list[int]], is_wellformed: bool, stop: str
) -> Generation:
    return Generation(
        f"{model}|{goal.caption_id}", goal.caption_id, goal.clip.clip_id, goal.clip.corpus, goal.unseen, goal.text,
        answer, motions, is_wellformed, stop,
    )  # fmt: skip
