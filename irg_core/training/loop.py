"""The one supervised loop behind base, Stage 1 and Stage 2: only what an answer supervises carries loss.

A flawed motion inside of a trace stays in the context and out of the loss (Ignore-Incorrect). The loss of a step is
divided by the supervised tokens of its whole batch, so that neither padding nor long prompts dilute it. A batch may be
shared by several processes, and each share read in several passes: their gradients are added up, and come out the same.

Weights and Adam's moments are float32 throughout; bfloat16 is a matter of the forward pass alone, by autocast.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from irg_core.dialogue import Trace, parse
from irg_core.errors import FactoryError, ModelError, ParamsError
from irg_core.fingerprints import unlike
from irg_core.models.adapters import LoraParams
from irg_core.models.decoding import Answer, Sampling, generate
from irg_core.models.language import Language, logits, trained
from irg_core.models.vocabulary import Vocabulary
from irg_core.records.training import Example
from irg_core.seeds import derive, rng
from irg_core.training import packing
from irg_core.training.checkpoint import Checkpoints, Saved, pack, unpack
from irg_core.training.journal import Journal, resume
from irg_core.training.packing import Packed, batches
from irg_core.training.rows import IGNORED, Encoded, Prepared, corrupted, write
from irg_core.training.schedule import Precision, Schedule, rate, reduced, seeded, set_rate, threads
from irg_core.training.sharding import Sharding, number

ROWS = "rows"
"""Folder beside the steps with the examples as ids."""
NAMED = 8
"""Examples that an error names."""


@dataclass(frozen=True)
class SupervisedParams:
    """One supervised training in params.yaml."""

    seed: int
    workers: int
    """Processes that share each batch, on Ray where there are several. Part of the result, in its last bits."""
    sharding: Sharding
    """full: each worker holds a share of weights, gradients and moments, and layers are gathered as they are needed;
    for models that are too large for one. none: each holds them all, which is faster."""
    threads: int
    """Of each worker. More is faster and changes the last bits of the weights."""
    precision: Precision
    """Of forward passes; weights are float32. bfloat16 takes about half of the time of a step."""
    steps: int
    """Optimizer steps; time grows in proportion."""
    tokens: int
    """Of one step's batch, prompts included and padding not. More is steadier and slower."""
    accumulate: int
    """Passes in which a worker reads its share of a batch. More takes less memory and changes the last bits."""
    packing: bool
    """Examples of any length in one row of tokens, see `training/packing.py`. false: one in each row, padded; slower,
    and right for every architecture."""
    longest: int
    """Longer examples are dropped and counted."""
    learning_rate: float
    schedule: Schedule
    """cosine falls to a tenth of the rate by the last step; constant stays, so that a training may be lengthened."""
    warmup: int
    """Steps until the learning rate is reached."""
    weight_decay: float
    """Pull of weight matrices towards zero. More forgets the training examples sooner."""
    corrupted: float
    """Share of the answers' codes that are read as random ones, while the true ones stay the target: a model that may
    not trust what it said before looks at its prompt. More slows the learning of how motions go on."""
    lora: LoraParams | None
    """null trains all weights; adapters train few, beside a large pretrained model, and are merged at the end."""
    log_every: int
    measure_every: int
    """Steps between two looks at the val split."""
    measured: int
    """Val examples of each task that are looked at."""
    generated: int
    """Val examples of each task that are also answered, token by token, at each look. 0 saves that time."""
    patience: int
    """Looks without a lower heldout loss after which the training ends; the weights of the best look are its result.
    0: all steps are taken, and the last weights are the result."""
    checkpoint_every: int

    def __post_init__(self) -> None:
        for name in ("workers", "accumulate", "tokens", "log_every", "measure_every", "checkpoint_every"):
            if (value := getattr(self, name)) < 1:
                raise ParamsError(f"params.yaml: {name} of a training is {value}; it must be at least 1")
        if self.sharding == "full" and (self.workers == 1 or self.generated):
            raise ParamsError(
                f"params.yaml: sharding of a training is full, with workers {self.workers} and generated"
                f" {self.generated}; it needs at least 2 workers to share the weights, and generated: 0, for a worker"
                " cannot answer by itself"
            )
        if self.patience and not self.measured:
            raise ParamsError("params.yaml: patience waits for a lower heldout loss; it needs measured above 0")


class Team:
    """The processes that share each batch. This one is alone; `cluster` has teams of several."""

    rank = 0
    size = 1
    is_sharded = False
    """Whether a member holds only a share of the weights: then all must pass through the model as often."""

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Put into each tensor its sum over the team."""

    def agree(self, wrong: FactoryError | None) -> None:
        """Raise in all members what is wrong in any: the others would wait for one that has given up."""
        if wrong is not None:
            raise wrong


class Alone(Team):
    """One process that shares no batch, though it may hold its weights with others."""

    def __init__(self, is_sharded: bool) -> None:
        self.is_sharded = is_sharded


def train(
    stage: str, params: SupervisedParams, language: Language, examples: Iterable[Example], kept: Checkpoints
) -> tuple[Journal, Counter[str]]:
    """Train the language model in place; also returns how many examples of each task were too long."""
    ready = prepared(stage, params, language, examples, kept)
    return descend(stage, params, language, ready, kept, Team()), ready.dropped


def prepared(
    stage: str, params: SupervisedParams, language: Language, examples: Iterable[Example], kept: Checkpoints
) -> Prepared:
    """The examples as ids, on disk beside the checkpoints; a training that goes on finds them there."""
    language.make_room(params.longest, f"{stage}.longest")
    folder = kept.folder / ROWS
    if not folder.exists() or unlike(folder):
        write(folder, stage, examples, language.vocabulary, params.longest, params.seed, params.measured)
    ready = opened(kept)
    if params.packing:
        packing.check(stage, language, ready.rows)
    return ready


def opened(kept: Checkpoints) -> Prepared:
    """What was prepared, for another process of the same training."""
    return Prepared(kept.folder / ROWS)


def descend(
    stage: str, params: SupervisedParams, language: Language, ready: Prepared, kept: Checkpoints, team: Team
) -> Journal:
    """All steps, or those after the newest checkpoint. Every member of a team calls this with the same arguments."""
    model = language.model.train()
    optimizer = adam(model, params.weight_decay)
    journal, done = resume(stage, model, optimizer, kept)
    order = islice(batches(ready.rows.lengths, params.tokens, params.seed), done, None)
    with threads(params.threads):
        for step, batch in zip(range(done, params.steps), order, strict=False):
            if params.patience and looks_since_best(journal) >= params.patience:
                break
            numbers = _step(stage, params, language, optimizer, [ready.rows[row] for row in batch], team, step)
            if (step + 1) % params.log_every == 0:
                journal.note(step + 1, **numbers)
            score = None
            if (step + 1) % params.measure_every == 0 or step + 1 == params.steps:
                seen = _looked(stage, params, language, ready.heldout, team, step)
                journal.note(step + 1, **seen)
                score = seen.get("heldout_loss") if params.patience and looks_since_best(journal) == 0 else None
            if kept.due(step + 1) or score is not None:
                kept.save(Saved(step + 1, pack(model, optimizer), {"journal": journal.state()}, score))
        if params.patience and (best := kept.best()) is not None:
            unpack(best.tensors, model, optimizer)
            print(f"{stage}: the weights of step {best.step} are the result", flush=True)
    return journal


def looks_since_best(journal: Journal) -> int:
    """How many looks at the val split were taken since the lowest loss, the earlier of equals; 0 before the first."""
    found = [row.value for row in journal.rows if row.name == "heldout_loss"]
    return len(found) - 1 - found.index(min(found)) if found else 0


def adam(model: torch.nn.Module, weight_decay: float) -> torch.optim.AdamW:
    """AdamW that decays matrices and leaves the scales of norms alone."""
    weights = trained(model)
    groups = [
        {"params": [weight for weight in weights if weight.ndim > 1], "weight_decay": weight_decay},
        {"params": [weight for weight in weights if weight.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, betas=(0.9, 0.95), fused=True)


# ---- a step ----------------------------------------------------------------------------------------------------------


def _step(
    stage: str,
    params: SupervisedParams,
    language: Language,
    optimizer: torch.optim.Optimizer,
    batch: Sequence[Encoded],
    team: Team,
    step: int,
) -> dict[str, float]:
    set_rate(optimizer, rate(params.schedule, step, params.learning_rate, params.warmup, params.steps))
    share = [
        corrupted(row, language.vocabulary, params.corrupted, rng(params.seed, "corrupted", step, row.example_id))
        for row in batch[team.rank :: team.size]
    ]
    with seeded(derive(params.seed, "dropout", step, team.rank)):  # of models that were made with some
        loss = gradients(params, language, share, supervised_tokens(batch), team).item()
    norm = number(torch.nn.utils.clip_grad_norm_(trained(language.model), 1.0))
    if not math.isfinite(loss) or not math.isfinite(norm):
        raise ModelError(
            f"{stage}: the loss is {loss} and its gradient {norm} at step {step + 1}, on the examples "
            f"{_named(_culprits(params, language, batch, team))}; nothing is changed by it, and checkpoints stay as"
            f" they were; look at them, or lower {stage}.learning_rate"
        )
    optimizer.step()
    return {"loss": loss, "gradient_norm": norm, "learning_rate": optimizer.param_groups[0]["lr"]}


def _culprits(params: SupervisedParams, language: Language, batch: Sequence[Encoded], team: Team) -> Sequence[Encoded]:
    """The rows of a batch that by themselves have a loss or gradient that is no number; all, where none has."""
    found = [row for row in batch if not _is_finite(params, language, row, team.is_sharded)]
    return found or batch


def _is_finite(params: SupervisedParams, language: Language, row: Encoded, is_sharded: bool) -> bool:
    loss = gradients(replace(params, accumulate=1), language, [row], 1, Alone(is_sharded)).item()
    grads = (weight.grad for weight in trained(language.model) if weight.grad is not None)
    return math.isfinite(loss) and math.isfinite(number(torch.nn.utils.get_total_norm(grads)))


def _named(batch: Sequence[Encoded]) -> str:
    names = ", ".join(row.example_id for row in batch[:NAMED])
    return f"{names} and {len(batch) - NAMED} more" if len(batch) > NAMED else names


def supervised_tokens(rows: Sequence[Encoded]) -> int:
    return sum(int((row.labels != IGNORED).sum()) for row in rows)


def gradients(
    params: SupervisedParams, language: Language, share: Sequence[Encoded], supervised: int, team: Team
) -> Tensor:
    """Leave in the model the gradients of the whole batch's loss, of which this process sees a share; the loss."""
    model, weights = language.model, trained(language.model)
    for weight in weights:
        weight.grad = torch.zeros_like(weight)  # a batch may have fewer rows than the team has members
    total = torch.zeros((), dtype=weights[0].dtype, device=weights[0].device)
    for turn in range(params.accumulate):
        if some := share[turn :: params.accumulate]:
            loss = losses(model, laid(some, params, language), params.precision).sum() / supervised
            loss.backward()
            total += loss.detach()
        elif team.is_sharded:
            (losses(model, _idle(params, language), params.precision).sum() * 0.0).backward()
    # Shares of gradients were added up on their way back.
    whole = [] if team.is_sharded else [weight.grad for weight in weights if weight.grad is not None]
    team.add_up([total, *whole])
    return total


def laid(rows: Sequence[Encoded], params: SupervisedParams, language: Language) -> Packed:
    """Examples as the model is to read them."""
    return (packing.pack if params.packing else packing.one_a_row)(rows, language.vocabulary.pad)


def _idle(params: SupervisedParams, language: Language) -> Packed:
    """Something to pass through the model while others have more to read."""
    ends = np.array([language.vocabulary.end] * 2, dtype=np.int32)
    return laid([Encoded("", "", ends, ends)], params, language)


def losses(model: Any, batch: Packed, precision: Precision) -> Tensor:
    """The cross-entropy of every supervised token, one after the other."""
    scores, wanted = predictions(model, batch, precision)
    return functional.cross_entropy(scores, wanted, reduction="none")


def predictions(model: Any, batch: Packed, precision: Precision) -> tuple[Tensor, Tensor]:
    """Logits [supervised tokens, vocabulary] in float32 or wider, and what is to be said there.

    Only those rows of logits are ever computed: at the vocabulary's size they are most of the memory.
    """
    there = batch.to(model.device)
    with reduced(precision, there.ids.device.type):
        scores = model.scores(there) if hasattr(model, "scores") else supervised_scores(model, there)
    return scores.to(torch.promote_types(scores.dtype, torch.float32)), there.labels[there.labels != IGNORED]


def supervised_scores(model: Any, batch: Packed) -> Tensor:
    """Logits [supervised tokens, vocabulary]."""
    hidden = packing.read(model, batch)
    return logits(model, hidden[batch.labels != IGNORED])


# ---- the val split ---------------------------------------------------------------------------------------------------


def _looked(
    stage: str, params: SupervisedParams, language: Language, rows: Sequence[Encoded], team: Team, step: int
) -> dict[str, float]:
    """What `measure` finds. Raises `ModelError`, with the examples, where that is no number."""
    seen = measure(language, rows, params, team)
    if (loss := seen.get("heldout_loss")) is not None and not math.isfinite(loss):
        named = _named(_culprits(params, language, rows, team))
        raise ModelError(
            f"{stage}: the loss of heldout examples is {loss} after step {step + 1}, on the examples {named};"
            f" checkpoints stay as they were; look at them, or lower {stage}.learning_rate"
        )
    return seen


@torch.no_grad()
def measure(language: Language, rows: Sequence[Encoded], params: SupervisedParams, team: Team) -> dict[str, float]:
    """Means over heldout examples: loss and rightness of a supervised token, task by task and over all; and answers.

    Each member of a team looks at its share, and hears of all.
    """
    tasks = sorted({row.task for row in rows})
    if not tasks:
        return {}
    language.model.eval()
    sums = torch.stack([_sums([row for row in rows if row.task == task], language, params, team) for task in tasks])
    language.model.train()
    team.add_up([sums])
    loss, right, count = sums.sum(0)[:3].tolist()
    found = {"heldout_loss": loss / count, "heldout_accuracy": right / count}
    if len(tasks) > 1:
        found |= {f"heldout_loss/{task}": of[0] / of[2] for task, of in zip(tasks, sums.tolist(), strict=True)}
    if params.generated:
        wellformed, same, said, answers = sums.sum(0)[3:].tolist()
        found |= {"generated_wellformed": wellformed / answers, "generated_accuracy": same / said}
    return found


def _sums(rows: Sequence[Encoded], language: Language, params: SupervisedParams, team: Team) -> Tensor:
    """[7] float64: loss, right tokens, supervised tokens; well-formed answers, right tokens, true tokens, answers."""
    sums = torch.zeros(7, dtype=torch.float64)
    shares = [list(_within(rows[rank :: team.size], params.tokens // params.accumulate)) for rank in range(team.size)]
    for batch in shares[team.rank]:
        scores, wanted = predictions(language.model, laid(batch, params, language), params.precision)
        loss = functional.cross_entropy(scores, wanted, reduction="sum").double().cpu()
        sums[:3] += torch.tensor([loss, (scores.argmax(1) == wanted).sum(), len(wanted)], dtype=torch.float64)
    if team.is_sharded:
        for _ in range(max(map(len, shares)) - len(shares[team.rank])):
            predictions(language.model, _idle(params, language), params.precision)
    if some := rows[: params.generated][team.rank :: team.size]:
        sums[3:] += torch.tensor(_answered(some, language, params.longest), dtype=torch.float64)
    return sums


def _within(rows: Sequence[Encoded], tokens: int) -> Iterator[list[Encoded]]:
    """Rows in batches of at most `tokens`; a longer row goes alone."""
    batch, held = list[Encoded](), 0
    for row in rows:
        if batch and held + len(row.ids) > tokens:
            yield batch
            batch, held = [], 0
        batch.append(row)
        held += len(row.ids)
    if batch:
        yield batch


def _answered(rows: Sequence[Encoded], language: Language, longest: int) -> list[int]:
    """Of greedy answers to the rows' prompts: well-formed ones, right tokens, true tokens, all."""
    vocabulary = language.vocabulary
    ids = {row.example_id: row.ids.tolist() for row in rows}
    begun = {name: found.index(vocabulary.assistant) + 1 for name, found in ids.items()}
    prompts = {name: vocabulary.decode(found[1 : begun[name] - 1]) for name, found in ids.items()}
    truths = {name: found[begun[name] :] for name, found in ids.items()}
    said = generate(language, prompts, "free", _greedy(longest - max(begun.values()), len(rows)))
    same = [a == b for name, truth in truths.items() for a, b in zip(said[name].ids, truth, strict=False)]
    ended = [is_wellformed(said[row.example_id], row.task, vocabulary) for row in rows]
    return [sum(ended), sum(same), sum(map(len, truths.values())), len(rows)]


def _greedy(tokens: int, batch: int) -> Sampling:
    return Sampling(
        seed=0,
        temperature=0.0,
        top_p=1.0,
        max_tokens=tokens,
        max_codes=tokens,
        max_text=tokens,
        max_rounds=tokens,
        batch=batch,
    )


def is_wellformed(answer: Answer, task: str, vocabulary: Vocabulary) -> bool:
    """Whether an answer ends by itself and, being a trace, can be read."""
    is_ended = bool(answer.ids) and answer.ids[-1] == vocabulary.end
    return is_ended and (task != "trace" or isinstance(parse(answer.text, vocabulary.codes), Trace))
