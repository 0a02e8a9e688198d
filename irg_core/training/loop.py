"""The one supervised loop behind base, Stage 1 and Stage 2: only what an answer supervises carries loss.

A flawed motion inside of a trace stays in the context and out of the loss (Ignore-Incorrect). The loss of a batch is
divided by its supervised tokens, so that neither padding nor long prompts dilute it. A batch may be shared by several
processes: each takes some of its rows, and their gradients are added up.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from irg_core.errors import TableError
from irg_core.models.language import Language
from irg_core.models.vocabulary import Vocabulary
from irg_core.records.training import Example
from irg_core.seeds import rng
from irg_core.training.checkpoint import Checkpoints, Saved, pack
from irg_core.training.journal import Journal, resume
from irg_core.training.schedule import Precision, learning_rate, reduced, set_rate, threads

IGNORED = -100
SORTED_TOGETHER = 1024
"""Examples that are sorted by length at a time: enough to pad little, few enough to keep batches mixed."""


@dataclass(frozen=True)
class SupervisedParams:
    """One supervised training in params.yaml."""

    seed: int
    workers: int
    """Processes that share each batch, on Ray where there are several. Part of the result, in its last bits."""
    threads: int
    """Of each worker. More is faster and changes the last bits of the weights."""
    precision: Precision
    """bfloat16 takes about half of the time of a step."""
    steps: int
    """Optimizer steps; time grows in proportion."""
    tokens: int
    """Of one batch, padding included. More is steadier, slower, and larger in memory."""
    longest: int
    """Longer examples are dropped and counted."""
    learning_rate: float
    warmup: int
    """Steps until the learning rate is reached."""
    weight_decay: float
    """Pull of weight matrices towards zero. More forgets the training examples sooner."""
    corrupted: float
    """Share of the answers' codes that are read as random ones, while the true ones stay the target: a model that may
    not trust what it said before looks at its prompt. More slows the learning of how motions go on."""
    log_every: int
    measure_every: int
    """Steps between two looks at the val split."""
    measured: int
    """Val examples of each task that are looked at."""
    checkpoint_every: int


class Team:
    """The processes that share each batch. This one is alone; `cluster` has teams of several."""

    rank = 0
    size = 1

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Put into each tensor its sum over the team."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """One example as ids, and what each position is to be predicted as."""

    task: str
    ids: list[int]
    labels: list[int]  # as ids; IGNORED where nothing is supervised


def encode(examples: Sequence[Example], vocabulary: Vocabulary) -> list[Encoded]:
    """`<user>prompt<assistant>answer<end>`; the prompt and unsupervised segments carry no labels."""
    texts = [text for example in examples for text in (example.prompt, *(part.text for part in example.answer))]
    ids = iter(vocabulary.encode_all(texts))
    return [_joined(example, next(ids), list(islice(ids, len(example.answer))), vocabulary) for example in examples]


def _joined(example: Example, prompt: list[int], answer: list[list[int]], vocabulary: Vocabulary) -> Encoded:
    ids = [vocabulary.user, *prompt, vocabulary.assistant]
    labels = [IGNORED] * len(ids)
    for segment, said in zip(example.answer, answer, strict=True):
        ids += said
        labels += said if segment.supervised else [IGNORED] * len(said)
    return Encoded(example.task, [*ids, vocabulary.end], [*labels, vocabulary.end])


def fitting(examples: Sequence[Encoded], longest: int) -> tuple[list[Encoded], Counter[str]]:
    """The examples that are short enough, and how many of each task are not."""
    kept = [example for example in examples if len(example.ids) <= longest]
    return kept, Counter(example.task for example in examples if len(example.ids) > longest)


def batches(lengths: Sequence[int], tokens: int, seed: int) -> Iterator[list[int]]:
    """Endless batches of rows of like length, none above `tokens` with padding; each epoch shows every row once."""
    epoch = 0
    while True:
        draws = rng(seed, "epoch", epoch)
        order = draws.permutation(len(lengths)).tolist()
        cut: list[list[int]] = []
        for start in range(0, len(order), SORTED_TOGETHER):
            cut += _cut(sorted(order[start : start + SORTED_TOGETHER], key=lambda row: lengths[row]), lengths, tokens)
        yield from (cut[index] for index in draws.permutation(len(cut)))
        epoch += 1


def _cut(rows: Sequence[int], lengths: Sequence[int], tokens: int) -> list[list[int]]:
    """Rows, sorted by length, in batches; a row longer than the budget goes alone."""
    cut: list[list[int]] = [[]]
    for row in rows:
        if cut[-1] and (len(cut[-1]) + 1) * lengths[row] > tokens:
            cut.append([])
        cut[-1].append(row)
    return cut


def padded(examples: Sequence[Encoded], pad: int) -> tuple[Tensor, Tensor]:
    """Ids and labels [rows, longest]. Padding stands on the right, where no earlier token can see it."""
    longest = max(len(example.ids) for example in examples)
    ids = [example.ids + [pad] * (longest - len(example.ids)) for example in examples]
    labels = [example.labels + [IGNORED] * (longest - len(example.labels)) for example in examples]
    return torch.tensor(ids), torch.tensor(labels)


def corrupted(row: Encoded, vocabulary: Vocabulary, share: float, draws: np.random.Generator) -> Encoded:
    """The row with a share of its supervised codes read as other codes, drawn evenly."""
    first, last = vocabulary.first_code, vocabulary.first_code + vocabulary.codes
    others, chances = draws.integers(first, last, len(row.ids)), draws.random(len(row.ids))
    ids = [
        other if chance < share and first <= token < last and label != IGNORED else token
        for token, label, other, chance in zip(row.ids, row.labels, others.tolist(), chances.tolist(), strict=True)
    ]
    return replace(row, ids=ids)


def losses(model: Any, ids: Tensor, labels: Tensor, precision: Precision) -> Tensor:
    """The cross-entropy of every supervised token, one after the other. Only their rows of logits are ever computed."""
    ids, labels = ids.to(model.device), labels.to(model.device)
    with reduced(precision, ids.device.type):
        hidden = model.base_model(input_ids=ids, use_cache=False).last_hidden_state[:, :-1]
        wanted = labels[:, 1:] != IGNORED
        logits = model.get_output_embeddings()(hidden[wanted])
    return functional.cross_entropy(logits.float(), labels[:, 1:][wanted], reduction="none")


def train(
    stage: str, params: SupervisedParams, language: Language, examples: Sequence[Example], kept: Checkpoints
) -> tuple[Journal, Counter[str]]:
    """Train the language model in place; also returns how many examples of each task were too long."""
    rows, heldout, dropped = prepared(stage, params, language.vocabulary, examples)
    return descend(stage, params, language, rows, heldout, kept, Team()), dropped


def prepared(
    stage: str, params: SupervisedParams, vocabulary: Vocabulary, examples: Sequence[Example]
) -> tuple[list[Encoded], list[Encoded], Counter[str]]:
    """Rows to learn from, rows to look at, and how many of each task were too long."""
    rows, dropped = fitting(encode([row for row in examples if row.split == "train"], vocabulary), params.longest)
    heldout, dropped_too = fitting(encode([row for row in examples if row.split == "val"], vocabulary), params.longest)
    if not rows:
        raise TableError(f"{stage}: no train example of at most {params.longest} tokens; raise {stage}.longest")
    return rows, _first_of_each_task(heldout, params.measured), dropped + dropped_too


def descend(
    stage: str,
    params: SupervisedParams,
    language: Language,
    rows: Sequence[Encoded],
    heldout: Sequence[Encoded],
    kept: Checkpoints,
    team: Team,
) -> Journal:
    """All steps, or those after the newest checkpoint. Every member of a team calls this with the same arguments."""
    model, pad = language.model.train(), language.vocabulary.pad
    optimizer = adam(model, params.weight_decay)
    journal, done = resume(stage, model, optimizer, kept)
    order = islice(batches([len(row.ids) for row in rows], params.tokens, params.seed), done, None)
    with threads(params.threads):
        for step, batch in zip(range(done, params.steps), order, strict=False):
            supervised = sum(label != IGNORED for row in batch for label in rows[row].labels)
            share = [
                corrupted(rows[row], language.vocabulary, params.corrupted, rng(params.seed, "corrupted", step, row))
                for row in batch[team.rank :: team.size]
            ]
            numbers = _step(params, model, optimizer, share, pad, supervised, team, step)
            if (step + 1) % params.log_every == 0:
                journal.note(step + 1, **numbers)
            if (step + 1) % params.measure_every == 0 or step + 1 == params.steps:
                journal.note(step + 1, **measure(model, heldout, pad, params))
            if kept.due(step + 1):
                kept.save(Saved(step + 1, pack(model, optimizer), {"journal": journal.state()}))
    return journal


def adam(model: torch.nn.Module, weight_decay: float) -> torch.optim.AdamW:
    """AdamW that decays matrices and leaves the scales of norms alone."""
    weights = list(model.parameters())
    groups = [
        {"params": [weight for weight in weights if weight.ndim > 1], "weight_decay": weight_decay},
        {"params": [weight for weight in weights if weight.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, betas=(0.9, 0.95), fused=True)


def _step(
    params: SupervisedParams,
    model: Any,
    optimizer: torch.optim.Optimizer,
    share: Sequence[Encoded],
    pad: int,
    supervised: int,
    team: Team,
    step: int,
) -> dict[str, float]:
    set_rate(optimizer, learning_rate(step, params.learning_rate, params.warmup, params.steps))
    loss = gradients(params, model, share, pad, supervised, team)
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return {"loss": loss.item(), "gradient_norm": norm.item(), "learning_rate": optimizer.param_groups[0]["lr"]}


def gradients(
    params: SupervisedParams, model: Any, share: Sequence[Encoded], pad: int, supervised: int, team: Team
) -> Tensor:
    """Leave in the model the gradients of the whole batch's loss, of which this process sees a share; the loss."""
    weights = list(model.parameters())
    for weight in weights:
        weight.grad = torch.zeros_like(weight)  # a batch may have fewer rows than the team has members
    loss = weights[0].new_zeros(())
    if share:
        loss = losses(model, *padded(share, pad), params.precision).sum() / supervised
        loss.backward()
    total = loss.detach().clone()
    team.add_up([total, *(weight.grad for weight in weights)])
    return total


def _first_of_each_task(rows: Sequence[Encoded], count: int) -> list[Encoded]:
    seen: Counter[str] = Counter()
    kept = []
    for row in rows:
        seen[row.task] += 1
        if seen[row.task] <= count:
            kept.append(row)
    return kept


@torch.inference_mode()
def measure(model: Any, rows: Sequence[Encoded], pad: int, params: SupervisedParams) -> dict[str, float]:
    """Mean loss a supervised token of heldout examples, task by task and over all."""
    model.eval()
    found = {task: _losses_of([row for row in rows if row.task == task], model, pad, params) for task in _tasks(rows)}
    model.train()
    if not found:
        return {}
    each = {f"heldout_loss/{task}": of_task.mean().item() for task, of_task in found.items()}
    return {"heldout_loss": torch.cat(list(found.values())).mean().item(), **(each if len(each) > 1 else {})}


def _tasks(rows: Sequence[Encoded]) -> list[str]:
    return sorted({row.task for row in rows})


def _losses_of(rows: Sequence[Encoded], model: Any, pad: int, params: SupervisedParams) -> Tensor:
    ordered = sorted(rows, key=lambda row: len(row.ids))
    cut = _cut(range(len(ordered)), [len(row.ids) for row in ordered], params.tokens)
    return torch.cat([losses(model, *padded([ordered[row] for row in batch], pad), params.precision) for batch in cut])
