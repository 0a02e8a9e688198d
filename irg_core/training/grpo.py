"""Stage 3, GRPO: several answers to one goal, each pushed by how much better it is than its siblings.

Rewards are scaled within the group of a goal and nowhere else, so the layout of a batch cannot change them. The
grammar stays free while sampling (or the reward for well-formed traces would be constant); a malformed answer gets
the floor of its group.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from irg_core import plugins
from irg_core.dialogue import Trace, parse
from irg_core.errors import ParamsError, TableError
from irg_core.models.decoding import Answer, Sampling, Symbols, allowed_masks, generate
from irg_core.models.evaluator import Evaluator
from irg_core.models.language import Language
from irg_core.models.vqvae import MotionTokenizer
from irg_core.records.training import Goal, Rollout
from irg_core.seeds import rng
from irg_core.training.checkpoint import Checkpoints, Saved, pack
from irg_core.training.journal import Journal, resume
from irg_core.training.loop import adam
from irg_core.training.schedule import Precision, learning_rate, reduced, set_rate, threads

STAGE = "train_stage3"
REWARDS = "irg_core.rewards"


@dataclass(frozen=True)
class TrainStage3Params:
    """`train_stage3` in params.yaml."""

    seed: int
    threads: int
    """More is faster and changes the last bits of the weights."""
    precision: Precision
    """Of the forward passes that carry gradients; sampling is float32."""
    steps: int
    """Rounds of sampling and updating."""
    goals: int
    """Goals a step. More is steadier and slower."""
    group: int
    """Answers to each goal. More tells good from bad more surely, and costs as many samples."""
    updates: int
    """Optimizer steps on the same answers. From the second on, ratios leave 1 and clipping sets in."""
    learning_rate: float
    warmup: int
    beta: float
    """Weight of the KL divergence from Stage 2. More keeps the model nearer to it."""
    clip: float
    """How far a probability ratio may move before it stops counting."""
    max_tokens: int
    """Of one answer; a longer one is cut off, and so malformed."""
    max_codes: int
    max_rounds: int
    rewards: dict[str, float]
    """Name of a file in irg_core/rewards to its weight."""
    log_every: int
    checkpoint_every: int

    def __post_init__(self) -> None:
        if self.group < 2:
            raise ParamsError(
                f"params.yaml: {STAGE}.group is {self.group}; a group needs siblings to compare, at least 2"
            )

    def sampling(self) -> Sampling:
        # Temperature 1 samples from the policy itself; any other would bias the ratio.
        limits = {"max_tokens": self.max_tokens, "max_codes": self.max_codes, "max_rounds": self.max_rounds}
        return Sampling(
            seed=self.seed, temperature=1.0, max_text=self.max_tokens, batch=self.goals * self.group, **limits
        )


class Judge:
    """The tokenizer and the evaluator that rewards look through."""

    def __init__(self, tokenizer: MotionTokenizer, evaluator: Evaluator, weights: Mapping[str, float]) -> None:
        self.tokenizer = tokenizer
        self.evaluator = evaluator
        self.rewards = {name: (plugins.load(REWARDS, name), weight) for name, weight in sorted(weights.items())}

    def rollouts(self, goals: Sequence[Goal], answers: Sequence[str]) -> list[Rollout]:
        """Each answer beside its goal, placed in the evaluator's space."""
        traces = [parse(answer, self.tokenizer.codes) for answer in answers]
        finals = [list(trace.rounds[-1].motion) if isinstance(trace, Trace) else [] for trace in traces]
        points = iter(self._points([codes for codes in finals if codes]))
        texts = self.evaluator.embed_texts([goal.text for goal in goals])
        wanted = self._points([goal.tokens for goal in goals])
        return [
            Rollout(
                goal.goal_id, goal.text, answer, self.tokenizer.codes, text, target, next(points) if final else None
            )
            for goal, answer, text, target, final in zip(goals, answers, texts, wanted, finals, strict=True)
        ]

    def _points(self, codes: Sequence[Sequence[int]]) -> np.ndarray:
        return self.evaluator.embed_motions(self.tokenizer.decode(codes)) if codes else np.zeros((0, 0))

    def scores(self, rollouts: Sequence[Rollout]) -> dict[str, list[float | None]]:
        """Each reward of each rollout, as it is."""
        return {name: module.score(rollouts) for name, (module, _) in self.rewards.items()}

    def totals(self, scores: Mapping[str, Sequence[float | None]], group: int) -> np.ndarray:
        """The weighted sum of rewards [rollouts], those on a scale of their own scaled within each group."""
        total = np.zeros(len(next(iter(scores.values()))))
        for name, (module, weight) in self.rewards.items():
            values = (
                scaled(scores[name], group) if module.SCALED else np.array([value or 0.0 for value in scores[name]])
            )
            total += weight * values
        return total


def scaled(values: Sequence[float | None], group: int) -> np.ndarray:
    """Min-max within each run of `group` values; None gets the floor, 0, and so does a group without spread."""
    rows = np.array([np.nan if value is None else value for value in values], dtype=np.float64).reshape(-1, group)
    answer = np.zeros_like(rows)
    for row, out in zip(rows, answer, strict=True):
        known = ~np.isnan(row)
        if known.any() and (span := np.ptp(row[known])) > 0:
            out[known] = (row[known] - row[known].min()) / span
    return answer.reshape(-1)


def advantages(rewards: np.ndarray, group: int) -> np.ndarray:
    """(R - mean) / (std + 1e-4) within each group; the standard deviation is the sample's (n - 1)."""
    rows = rewards.reshape(-1, group)
    return ((rows - rows.mean(1, keepdims=True)) / (rows.std(1, ddof=1, keepdims=True) + 1e-4)).reshape(-1)


class Terms(NamedTuple):
    """What one update minimises, and what it says about the policy."""

    loss: Tensor
    kl: Tensor
    """Mean k3 estimate of KL(policy || reference) a token."""
    clipped: Tensor
    """Share of tokens whose ratio was clipped."""


def grpo_loss(
    new: Tensor, old: Tensor, reference: Tensor, advantage: Tensor, said: Tensor, clip: float, beta: float
) -> Terms:
    """GRPO's loss over log-probabilities [answers, tokens], with `said` marking the real ones; mean of answers' means.

    min(r A, clip(r) A) - beta (exp(d) - d - 1) with r = exp(new - old), d = reference - new (Shao et al. 2024).
    """
    ratio = torch.exp(new - old)
    gain = torch.minimum(ratio * advantage[:, None], ratio.clamp(1 - clip, 1 + clip) * advantage[:, None])
    gap = reference - new
    kl = torch.exp(gap) - gap - 1
    each = ((gain - beta * kl) * said).sum(1) / said.sum(1)
    outside = ((ratio - 1).abs() > clip) * said
    return Terms(-each.mean(), (kl * said).sum() / said.sum(), outside.sum() / said.sum())


class Batch(NamedTuple):
    """Answers as tensors: what the model reads, and which of it was said, among what."""

    ids: Tensor
    """[answers, longest] prompts and answers, padded on the right."""
    spoken: Tensor
    """[answers, longest - 1] True where the next token belongs to the answer."""
    allowed: Tensor
    """[spoken tokens, vocabulary] what each could have been."""
    said: Tensor
    """[answers, longest answer] 1 for a token, 0 for padding."""


def batch_of(language: Language, prompts: Sequence[str], answers: Sequence[Answer], sampling: Sampling) -> Batch:
    symbols, vocabulary = Symbols(language.vocabulary), language.vocabulary
    chats = [vocabulary.chat(prompt) for prompt in prompts]
    longest = max(len(chat) + len(answer.ids) for chat, answer in zip(chats, answers, strict=True))
    ids = torch.full((len(answers), longest), vocabulary.pad)
    spoken = torch.zeros(len(answers), longest - 1, dtype=torch.bool)
    said = torch.zeros(len(answers), max(len(answer.ids) for answer in answers))
    for row, (chat, answer) in enumerate(zip(chats, answers, strict=True)):
        ids[row, : len(chat) + len(answer.ids)] = torch.tensor(chat + answer.ids)
        spoken[row, len(chat) - 1 : len(chat) + len(answer.ids) - 1] = True
        said[row, : len(answer.ids)] = 1
    allowed = torch.cat([allowed_masks(symbols, "free", sampling, answer.ids) for answer in answers])
    return Batch(ids, spoken, allowed, said)


def log_probabilities(model: Any, batch: Batch, precision: Precision) -> Tensor:
    """[answers, longest answer] of what was said, among what was allowed; 0 in the padding."""
    with reduced(precision):
        hidden = model.base_model(input_ids=batch.ids, use_cache=False).last_hidden_state[:, :-1]
        logits = model.get_output_embeddings()(hidden[batch.spoken])
    scores = logits.float().masked_fill(~batch.allowed, -torch.inf)
    taken = batch.ids[:, 1:][batch.spoken]
    # The chosen score minus the sum over all: gathering from a whole log-softmax would send NaN through its -inf.
    found = scores.gather(1, taken[:, None])[:, 0] - torch.logsumexp(scores, dim=1)
    return torch.zeros_like(batch.said).masked_scatter(batch.said.bool(), found)


def train(
    params: TrainStage3Params,
    language: Language,
    reference: Language,
    goals: Sequence[Goal],
    judge: Judge,
    kept: Checkpoints,
) -> Journal:
    """Improve the language model in place; the reference stays as it is."""
    chosen = sorted((goal for goal in goals if goal.split == "train"), key=lambda goal: goal.goal_id)
    if len(chosen) < params.goals:
        raise TableError(f"{STAGE}: {len(chosen)} train goals, {params.goals} are wanted a step; lower {STAGE}.goals")
    with threads(params.threads):
        # Evaluation mode throughout: dropout would make the ratio differ from 1 before any update.
        model = language.model.eval()
        optimizer = adam(model, weight_decay=0.0)
        journal, done = resume(STAGE, model, optimizer, kept)
        for step in range(done, params.steps):
            numbers = _step(params, language, reference, optimizer, _drawn(chosen, params, step), judge, step)
            if (step + 1) % params.log_every == 0 or step + 1 == params.steps:
                journal.note(step + 1, **numbers)
            if kept.due(step + 1):
                kept.save(Saved(step + 1, pack(model, optimizer), {"journal": journal.state()}))
    return journal


def _drawn(goals: Sequence[Goal], params: TrainStage3Params, step: int) -> list[Goal]:
    """The goals of one step: without repetition in an epoch."""
    epoch, place = divmod(step, len(goals) // params.goals)
    order = rng(params.seed, "goals", epoch).permutation(len(goals))
    return [goals[row] for row in order[place * params.goals : (place + 1) * params.goals]]


def _step(
    params: TrainStage3Params,
    language: Language,
    reference: Language,
    optimizer: torch.optim.Optimizer,
    goals: Sequence[Goal],
    judge: Judge,
    step: int,
) -> dict[str, float]:
    asked = [(f"{step}|{goal.goal_id}|{sibling}", goal) for goal in goals for sibling in range(params.group)]
    sampling = params.sampling()
    answers = list(generate(language, {key: goal.prompt for key, goal in asked}, "free", sampling).values())
    rollouts = judge.rollouts([goal for _, goal in asked], [answer.text for answer in answers])
    scores = judge.scores(rollouts)
    totals = judge.totals(scores, params.group)
    advantage = torch.from_numpy(advantages(totals, params.group)).float()

    batch = batch_of(language, [goal.prompt for _, goal in asked], answers, sampling)
    set_rate(optimizer, learning_rate(step, params.learning_rate, params.warmup, params.steps))
    return {
        **_update(params, language.model, reference.model, optimizer, batch, advantage, answers),
        "reward": float(totals.mean()),
        "groups_without_spread": float((np.ptp(totals.reshape(-1, params.group), axis=1) == 0).mean()),
        "answer_tokens": float(np.mean([len(answer.ids) for answer in answers])),
        "cut_off": float(np.mean([answer.stop == "tokens" for answer in answers])),
        "motions": float(np.mean([len(answer.motions(language.vocabulary)) for answer in answers])),
        **{f"reward/{name}": float(np.mean(known)) for name, known in _known(scores).items()},
    }


def _known(scores: Mapping[str, Sequence[float | None]]) -> dict[str, list[float]]:
    """The values that exist of each reward; one that no answer earned is left out."""
    known = {name: [value for value in values if value is not None] for name, values in scores.items()}
    return {name: values for name, values in known.items() if values}


def _update(
    params: TrainStage3Params,
    model: Any,
    reference: Any,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    advantage: Tensor,
    answers: Sequence[Answer],
) -> dict[str, float]:
    """The optimizer steps on one batch of answers, and the numbers of the last."""
    with torch.no_grad():
        anchor = log_probabilities(reference, batch, params.precision)
    old: Tensor | None = None
    for _ in range(params.updates):
        new = log_probabilities(model, batch, params.precision)
        # The first forward pass is the old policy's: taken from there, its ratio is 1 to the bit.
        old = new.detach() if old is None else old
        terms = grpo_loss(new, old, anchor, advantage, batch.said, params.clip, params.beta)
        optimizer.zero_grad(set_to_none=True)
        terms.loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    sampled = torch.tensor([value for answer in answers for value in answer.log_probs])
    assert old is not None
    return {
        "loss": terms.loss.item(),
        "gradient_norm": norm.item(),
        "kl": terms.kl.item(),
        "clipped": terms.clipped.item(),
        # Between the cached pass that sampled and the pass that trains; large would mean learning off policy.
        "sampling_drift": (old[batch.said.bool()] - sampled).abs().mean().item(),
    }
