"""Putting probes before a model: one way for models that write traces, one for the loop around a Stage-1 model."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from irg_core import dialogue
from irg_core.evaluation.answers import Asked, Kind, loaded
from irg_core.evaluation.probes import Probe
from irg_core.models.decoding import Sampling, generate, leaves_something
from irg_core.models.language import Language
from irg_core.models.scoring import log_probs
from irg_core.records.evaluation import Generation
from irg_core.tasks import assess, instruct, refine_instructed

LEAST = -100.0
"""Stands for ln of a probability in an answer that ended before the words could come."""
GENERATE, GENERATED = "[generate]", "[/generate]"
_JUDGED = re.compile(r"\[assess\](.*?)(?:\[/assess\]|$)", re.DOTALL)


@dataclass(frozen=True)
class Said:
    """What a model said to one probe."""

    assessment: str
    refinement: str
    motions: list[list[int]]  # generated after the motion that it was shown
    sentinel: float  # ln of the probability of "nothing to refine" in the place of its refinement


@dataclass(frozen=True)
class Shown:
    """A probe as a model gets it."""

    goal: str
    codes: list[int]
    begun: str  # of the model's own answer to the goal, all before its first motion


def said(asked: Asked, kind: Kind, probes: Sequence[Probe], generations: Sequence[Generation]) -> dict[str, Said]:
    """The model's words and motions by probe; nothing for kinds of model that neither judge nor refine.

    A motion that is longer than any that the model may write is no first try of its own, and not shown.
    """
    if kind not in BATCHES:
        return {}
    begun = {row.caption_id: row.answer.partition(GENERATE)[0] for row in generations}
    codes = asked.tokenizer.encode([probe.features for probe in probes])
    shown = {
        probe.probe_id: {"goal": probe.goal.text, "codes": tokens, "begun": begun[probe.goal.caption_id]}
        for probe, tokens in zip(probes, codes, strict=True)
        if len(tokens) <= asked.sampling.max_codes
    }
    work = asked.memory.around(partial(BATCHES[kind], asked.weights, asked.threads, asked.sampling), Said)
    parts = asked.map_batches(work, _batches(shown, asked.sampling.batch))
    return {key: words for part in parts for key, words in part.items()}


def trace_batch(weights: Path, threads: int, sampling: Sampling, batch: dict[str, dict[str, Any]]) -> dict[str, Said]:
    """In a worker: each trace goes on after a first motion that is not the model's own."""
    torch.set_num_threads(threads)
    language, shown = loaded(weights), {key: Shown(**told) for key, told in batch.items()}
    vocabulary = language.vocabulary
    texts = {key: f"{one.begun}{GENERATE}{dialogue.motion(one.codes)}{GENERATED}" for key, one in shown.items()}
    prompts = {key: dialogue.prompt(one.goal) for key, one in shown.items()}
    begun = {key: vocabulary.encode(text) for key, text in texts.items()}
    # A first try that leaves no token to be said about it would not be the model's own either.
    begun = {
        key: ids for key, ids in begun.items() if leaves_something(language, prompts[key], "enforced", sampling, ids)
    }
    answers = generate(language, {key: prompts[key] for key in begun}, "enforced", sampling, begun)
    rest = {key: answer.text.removeprefix(texts[key]) for key, answer in answers.items()}
    due = {key: _before_refinement(prompts[key], texts[key], rest[key], language) for key in rest}
    words = vocabulary.encode(f" {dialogue.SENTINEL}[/assess]")
    sentinels = log_probs(language, {key: ids for key, ids in due.items() if ids}, words, sampling.batch)
    return {
        key: Said(*_judgement(rest[key]), answer.motions(vocabulary)[1:], sentinels.get(key, LEAST))
        for key, answer in answers.items()
    }


def _before_refinement(prompt: str, begun: str, rest: str, language: Language) -> list[int]:
    """Ids of all that stands before the first refinement; none where the answer ended before it."""
    before, found, _ = rest.partition(dialogue.REFINEMENT.rstrip(" "))
    vocabulary = language.vocabulary
    return [*vocabulary.chat(prompt), *vocabulary.encode(begun + before + found)] if found else []


def _judgement(rest: str) -> tuple[str, str]:
    """The first assessment and refinement; empty where the answer ended before them."""
    text = match[1] if (match := _JUDGED.search(rest)) else ""
    assessment, _, refinement = text.partition(dialogue.REFINEMENT.rstrip(" "))
    return assessment.removeprefix(dialogue.ASSESSMENT.rstrip(" ")).strip(), refinement.strip()


def composed_batch(
    weights: Path, threads: int, sampling: Sampling, batch: dict[str, dict[str, Any]]
) -> dict[str, Said]:
    """In a worker: one turn of the loop around a Stage-1 model, with its assessment beside it."""
    torch.set_num_threads(threads)
    language, shown = loaded(weights), {key: Shown(**told) for key, told in batch.items()}
    vocabulary = language.vocabulary
    words = {key: {"goal": one.goal, "motion": dialogue.motion(one.codes)} for key, one in shown.items()}
    judged = generate(language, _filled(assess.TEMPLATES[0], words, "assess"), "text", sampling)
    asked = _filled(instruct.TEMPLATES[0], words, "instruct")
    instructed = generate(language, asked, "text", sampling)
    due = {key: vocabulary.chat(prompt) for key, prompt in asked.items()}
    sentinels = log_probs(language, due, [*vocabulary.encode(dialogue.SENTINEL), vocabulary.end], sampling.batch)
    orders = {key: instructed[f"{key}|instruct"].text.strip() for key in shown}
    going = {key: words[key] | {"instruction": order} for key, order in orders.items() if order != dialogue.SENTINEL}
    refined = generate(language, _filled(refine_instructed.TEMPLATES[0], going, "refine"), "motion", sampling)
    return {
        key: Said(
            judged[f"{key}|assess"].text.strip(),
            orders[key],
            refined[f"{key}|refine"].motions(vocabulary) if key in going else [],
            sentinels[f"{key}|instruct"],
        )
        for key in shown
    }


def _filled(template: str, words: Mapping[str, Mapping[str, str]], task: str) -> dict[str, str]:
    return {f"{key}|{task}": template.format(**told) for key, told in words.items()}


BATCHES: Mapping[Kind, Callable[..., dict[str, Said]]] = {"trace": trace_batch, "composed": composed_batch}


def _batches(shown: Mapping[str, dict[str, Any]], size: int) -> list[dict[str, dict[str, Any]]]:
    """Probes of like length together: they need the least padding."""
    order = sorted(shown, key=lambda key: (len(shown[key]["begun"]) + len(shown[key]["codes"]), key))
    return [{key: shown[key] for key in order[start : start + size]} for start in range(0, len(order), size)]
