"""The one supervised loop behind base, Stage 1 and Stage 2: only what an answer supervises carries loss.

A flawed motion inside of a trace stays in the context and out of the loss (Ignore-Incorrect). The loss of a batch is
divided by its supervised tokens, so that neither padding nor long prompts dilute it.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from irg_core.errors import TableError
from irg_core.models.language import Language
from irg_core.models.vocabulary import Vocabulary
from irg_core.records.training import Example
from irg_core.seeds import derive, rng
from irg_core.training.checkpoint import Checkpoints, Saved, pack
from irg_core.training.journal import Journal, resume
from irg_core.training.schedule import Precision, generator, learning_rate, reduced, set_rate, threads

IGNORED = -100
SORTED_TOGETHER = 1024
"""Examples that are sorted by length at a time: enough to pad little, few enough to keep batches mixed."""


@dataclass(frozen=True)
class SupervisedParams:
    """One supervised training in params.yaml."""

    seed: int
    threads: int
    """More is faster and changes the last bits of the weights."""
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


def corrupted(ids: Tensor, labels: Tensor, vocabulary: Vocabulary, share: float, seed: int) -> Tensor:
    """Ids in which a share of the supervised codes are other codes, drawn evenly."""
    draws = generator(seed)
    is_code = (ids >= vocabulary.first_code) & (ids < vocabulary.first_code + vocabulary.codes) & (labels != IGNORED)
    others = torch.randint(vocabulary.first_code, vocabulary.first_code + vocabulary.codes, ids.shape, generator=draws)
    return torch.where(is_code & (torch.rand(ids.shape, generator=draws) < share), others, ids)


def losses(model: Any, ids: Tensor, labels: Tensor, precision: Precision) -> Tensor:
    """The cross-entropy of every supervised token, one after the other. Only their rows of logits are ever computed."""
    with reduced(precision):
        hidden = model.base_model(input_ids=ids, use_cache=False).last_hidden_state[:, :-1]
        wanted = labels[:, 1:] != IGNORED
        logits = model.get_output_embeddings()(hidden[wanted])
    return functional.cross_entropy(logits.float(), labels[:, 1:][wanted], reduction="none")


def train(
    stage: str, params: SupervisedParams, language: Language, examples: Sequence[Example], kept: Checkpoints
) -> tuple[Journal, Counter[str]]:
    """Train the language model in place; also returns how many examples of each task were too long."""
    vocabulary = language.vocabulary
    rows, dropped = fitting(encode([row for row in examples if row.split == "train"], vocabulary), params.longest)
    heldout, dropped_too = fitting(encode([row for row in examples if row.split == "val"], vocabulary), params.longest)
    if not rows:
        raise TableError(f"{stage}: no train example of at most {params.longest} tokens; raise {stage}.longest")
    with threads(params.threads):
        journal = _train(stage, params, language, rows, _first_of_each_task(heldout, params.measured), kept)
    return journal, dropped + dropped_too


def _train(
    stage: str,
    params: SupervisedParams,
    language: Language,
    rows: Sequence[Encoded],
    heldout: Sequence[Encoded],
    kept: Checkpoints,
) -> Journal:
    model, vocabulary = language.model.train(), language.vocabulary
    optimizer = adam(model, params.weight_decay)
    journal, done = resume(stage, model, optimizer, kept)
    order = batches([len(row.ids) for row in rows], params.tokens, params.seed)
    for step, batch in zip(range(done, params.steps), islice(order, done, None), strict=False):
        ids, labels = padded([rows[row] for row in batch], vocabulary.pad)
        ids = corrupted(ids, labels, vocabulary, params.corrupted, derive(params.seed, "corrupted", step))
        numbers = _step(params, model, optimizer, ids, labels, step)
        if (step + 1) % params.log_every == 0:
            journal.note(step + 1, **numbers)
        if (step + 1) % params.measure_every == 0 or step + 1 == params.steps:
            journal.note(step + 1, **measure(model, heldout, vocabulary.pad, params))
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
    params: SupervisedParams, model: Any, optimizer: torch.optim.Optimizer, ids: Tensor, labels: Tensor, step: int
) -> dict[str, float]:
    rate = learning_rate(step, params.learning_rate, params.warmup, params.steps)
    set_rate(optimizer, rate)
    loss = losses(model, ids, labels, params.precision).mean()
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return {"loss": loss.item(), "gradient_norm": norm.item(), "learning_rate": rate}


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
