"""Several answers to one goal, drawn as they come: what MultiModality is measured on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from irg_core import dialogue
from irg_core.evaluation.answers import Asked, Kind, composed_batch, in_batches, performed, told
from irg_core.models.decoding import Composed, Mode
from irg_core.models.vocabulary import Vocabulary
from irg_core.seeds import derive
from irg_core.tasks import generate


@dataclass(frozen=True)
class VariantParams:
    """evaluate.variants: how often some goals are answered again."""

    goals: int
    """Goals that are drawn by lot. More make MultiModality surer, and take longer."""
    each: int
    """Answers to each, at least two; the field draws thirty."""
    temperature: float
    """At which they are drawn; at 0 they would all be one."""

    def __post_init__(self) -> None:
        if self.each < 2 or self.temperature <= 0:
            raise ValueError("evaluate.variants: `each` must be at least 2 and the temperature above 0")


def variants(asked: Asked, kind: Kind, params: VariantParams) -> dict[int, list[np.ndarray]]:
    """Features of the last motion of each answer, by the goal's place in `asked.goals`; nothing of references."""
    if kind == "references":
        return {}
    goals, sampling = asked.goals, replace(asked.sampling, temperature=params.temperature)
    order = sorted(range(len(goals)), key=lambda row: derive(sampling.seed, "variants", goals[row].caption_id))
    drawn = sorted(order[: params.goals])
    texts = {f"{goals[row].caption_id}|{number}": goals[row].text for row in drawn for number in range(params.each)}
    lists = _last_motions(replace(asked, sampling=sampling), kind, texts)
    decoded, _ = performed(asked.tokenizer, [lists[key] for key in texts])
    every = iter(decoded)
    return {row: [next(every) for _ in range(params.each)] for row in drawn}


def _last_motions(asked: Asked, kind: Kind, texts: dict[str, str]) -> dict[str, list[int]]:
    if kind == "composed":
        work = asked.memory.around(partial(composed_batch, asked.weights, asked.threads, asked.sampling), Composed)
        parts = asked.map_batches(work, in_batches(texts, asked.sampling.batch))
        return {key: _last(answer.motions) for part in parts for key, answer in part.items()}
    mode: Mode = "motion" if kind == "direct" else "enforced"
    prompts = {key: generate.TEMPLATES[0].format(goal=text) for key, text in texts.items()}
    if kind == "trace":
        prompts = {key: dialogue.prompt(text) for key, text in texts.items()}
    (answers,) = told(asked, [(mode, prompts)])
    vocabulary = Vocabulary.load(asked.weights)
    return {key: _last(answer.motions(vocabulary)) for key, answer in answers.items()}


def _last(motions: Sequence[list[int]]) -> list[int]:
    return motions[-1] if motions else []
