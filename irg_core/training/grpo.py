"""Stage 3, GRPO: several answers to one goal, each pushed by how much better it is than its siblings.

The grammar stays free while sampling (or the reward for well-formed traces would be constant), but for the inside of
motions, where only codes may come. The same masks, temperature and nucleus hold in the passes that train, so that new
and old policy are one distribution before the first update. A group whose siblings all earned the same teaches nothing
and is left out. Several processes may share a step: each takes some of its goals, and their gradients are added up.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from irg_core.dialogue import Trace, parse
from irg_core.errors import FactoryError, ModelError, ParamsError, TableError
from irg_core.models.adapters import LoraParams, unadapted
from irg_core.models.decoding import Answer, Sampling, Symbols, allowed_masks, generate
from irg_core.models.language import Language, causal, hidden_states, logits, trained
from irg_core.records.training import Earned, Goal
from irg_core.seeds import rng
from irg_core.training import policy
from irg_core.training.checkpoint import Checkpoints, Saved, pack
from irg_core.training.journal import Journal, resume
from irg_core.training.judge import Judge
from irg_core.training.loop import Team, adam
from irg_core.training.policy import Clip, Kl, Loss, Scale, Whole
from irg_core.training.rollouts import Ledger
from irg_core.training.schedule import Precision, learning_rate, reduced, set_rate, threads

STAGE = "train_stage3"


@dataclass(frozen=True)
class TrainStage3Params:
    """`train_stage3` in params.yaml."""

    seed: int
    workers: int
    """Processes that share each step, on Ray where there are several. Part of the result, in its last bits."""
    threads: int
    """Of each worker. More is faster and changes the last bits of the weights."""
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
    answers_at_once: int
    """Answers of one forward and backward pass. Fewer need less memory, more less time; the gradient is the same."""
    lora: LoraParams | None
    """Adapters to train instead of all weights; the weights without them are then the reference."""
    learning_rate: float
    warmup: int
    loss: Loss
    """How tokens are weighed: grpo counts every answer the same, dapo every token, dr_grpo also by its place in the
    longest answer that may be; bnpo as dapo, but within each pass alone."""
    scale_rewards: Scale
    """group divides advantages by the spread of their group; none lets close groups count less (as dr_grpo wants)."""
    beta: float
    """Weight of the KL divergence from Stage 2. More keeps the model nearer to it; 0 saves the reference."""
    kl: Kl
    """k3 puts the usual estimate into the loss; unbiased one whose gradient is the divergence's own."""
    clip: Clip
    mask_truncated: bool
    """Whether answers that a budget cut off are left out of the loss, above and below its fraction line."""
    temperature: float
    """Of sampling, and of the policy that is trained. More tries more."""
    top_p: float
    """Tokens are drawn from the likeliest that together have this probability; 1 draws from all."""
    max_tokens: int
    """Of one answer; a longer one is cut off, and so malformed."""
    max_codes: int
    max_rounds: int
    rewards: dict[str, float]
    """Name of a file in irg_core/rewards to its weight."""
    log_every: int
    checkpoint_every: int

    def __post_init__(self) -> None:
        for name, is_right, due in (
            ("group", self.group >= 2, "a group needs siblings to compare, at least 2"),
            ("temperature", self.temperature > 0, "without chance all siblings are one; more than 0 is due"),
            ("top_p", 0 < self.top_p <= 1, "a probability above 0 and up to 1 is due"),
            ("workers", 1 <= self.workers <= self.goals, f"1 to {STAGE}.goals ({self.goals}) can have work"),
            ("answers_at_once", self.answers_at_once >= 1, "at least 1 is due"),
            ("updates", self.updates >= 1, "at least 1 is due"),
            ("log_every", self.log_every >= 1, "at least 1 is due"),
            ("checkpoint_every", self.checkpoint_every >= 1, "at least 1 is due"),
            ("rewards", bool(self.rewards), "without a reward nothing is learned; name a file of irg_core/rewards"),
        ):
            if not is_right:
                raise ParamsError(f"params.yaml: {STAGE}.{name} is {getattr(self, name)}; {due}")

    def sampling(self) -> Sampling:
        return Sampling(
            self.seed, self.temperature, self.top_p, self.max_tokens, self.max_codes, max_text=self.max_tokens,
            max_rounds=self.max_rounds, batch=self.goals * self.group,
        )  # fmt: skip


@dataclass(frozen=True)
class Run:
    """All that stays the same from step to step."""

    params: TrainStage3Params
    language: Language
    reference: Language | None
    optimizer: torch.optim.Optimizer
    judge: Judge
    ledger: Ledger
    team: Team


@dataclass(frozen=True)
class Sample:
    """One answer, and what it earned."""

    goal: Goal
    answer: Answer
    earned: Earned
    learns: bool


class Batch(NamedTuple):
    """Answers as tensors: what the model reads, and which of it was said, among what."""

    ids: Tensor
    """[answers, longest] prompts and answers, padded on the right."""
    spoken: Tensor
    """[answers, longest - 1] True where the next token belongs to the answer."""
    allowed: Tensor
    """[spoken tokens, vocabulary] what each was drawn from."""
    said: Tensor
    """[answers, longest answer] 1 for a token, 0 for padding."""


def train(
    params: TrainStage3Params,
    language: Language,
    reference: Language | None,
    goals: Sequence[Goal],
    judge: Judge,
    kept: Checkpoints,
) -> Journal:
    """Improve the language model in place; the reference stays as it is. `Ledger.of(kept)` has the rollouts.

    Without a reference the divergence is that from the model's own weights without its adapters.
    """
    return improve(params, language, reference, goals, judge, kept, Team())


def improve(
    params: TrainStage3Params,
    language: Language,
    reference: Language | None,
    goals: Sequence[Goal],
    judge: Judge,
    kept: Checkpoints,
    team: Team,
) -> Journal:
    """All steps, or those after the newest checkpoint. Every member of a team calls this with the same arguments."""
    chosen = sorted((goal for goal in goals if goal.split == "train"), key=lambda goal: goal.goal_id)
    _check(params, language, reference, chosen)
    with threads(params.threads):
        # Evaluation mode throughout: dropout would make the ratio differ from 1 before any update.
        model = language.model.eval()
        optimizer = adam(model, weight_decay=0.0)
        run = Run(params, language, reference, optimizer, judge, Ledger.of(kept), team)
        journal, done = resume(STAGE, model, optimizer, kept)
        for step in range(done, params.steps):
            numbers = _step(run, _drawn(chosen, params, step), step)
            if (step + 1) % params.log_every == 0 or step + 1 == params.steps:
                journal.note(step + 1, **numbers)
            if kept.due(step + 1):
                kept.save(Saved(step + 1, pack(model, optimizer), {"journal": journal.state()}))
    return journal


def _check(params: TrainStage3Params, language: Language, reference: Language | None, goals: Sequence[Goal]) -> None:
    if len(goals) < params.goals:
        raise TableError(f"{STAGE}: {len(goals)} train goals, {params.goals} are wanted a step; lower {STAGE}.goals")
    longest = max(goals, key=lambda goal: len(language.vocabulary.chat(goal.prompt)))
    prompt = len(language.vocabulary.chat(longest.prompt))
    wish = f"{STAGE}: the prompt of goal '{longest.goal_id}' ({prompt}) and {STAGE}.max_tokens ({params.max_tokens})"
    language.make_room(prompt + params.max_tokens, wish)
    if params.beta and reference is None and causal(language.model) is language.model:
        raise ModelError(f"{STAGE}: beta is {params.beta}, but there is no reference and no adapter to put aside")


def _drawn(goals: Sequence[Goal], params: TrainStage3Params, step: int) -> list[Goal]:
    """The goals of one step: without repetition in an epoch."""
    epoch, place = divmod(step, len(goals) // params.goals)
    order = rng(params.seed, "goals", epoch).permutation(len(goals))
    return [goals[row] for row in order[place * params.goals : (place + 1) * params.goals]]


def _step(run: Run, goals: Sequence[Goal], step: int) -> dict[str, float]:
    """Sample, ask what it earns, learn from it; the numbers of the whole team."""
    params, team = run.params, run.team
    samples, wrong = list[Sample](), None
    try:
        samples = _sampled(run, goals[team.rank :: team.size], step)
    except FactoryError as error:
        wrong = error
    team.agree(wrong)
    run.ledger.keep(step, team.rank, [sample.earned for sample in samples])
    learning = sorted((sample for sample in samples if sample.learns), key=lambda sample: len(sample.answer.ids))
    # Neighbours in length need the least padding.
    parts = [learning[at : at + params.answers_at_once] for at in range(0, len(learning), params.answers_at_once)]
    tokens = sum(len(sample.answer.ids) for sample in learning)
    counts = torch.tensor([len(learning), tokens, len(parts)], dtype=torch.float64)
    team.add_up([counts])
    answers, spoken, cut = counts.tolist()
    whole = Whole(answers, spoken, cut, params.max_tokens)
    set_rate(run.optimizer, learning_rate(step, params.learning_rate, params.warmup, params.steps))
    told = _told_of(samples, run)
    # Where nobody learns, no weight moves, and no optimizer forgets.
    return {**(_updated(run, parts, whole, goals, step) if whole.answers else {}), **told}


# ---- sampling --------------------------------------------------------------------------------------------------------


def _sampled(run: Run, goals: Sequence[Goal], step: int) -> list[Sample]:
    """The answers to some goals, group by group."""
    params, judge = run.params, run.judge
    asked = {f"{step:08d}|{goal.goal_id}|{sibling}": goal for goal in goals for sibling in range(params.group)}
    if not asked:
        return []
    answers = generate(run.language, {key: goal.prompt for key, goal in asked.items()}, "free", params.sampling())
    # Answers of a broken model are all alike: no group would teach, and no loss would ever tell.
    odd = {asked[key].goal_id for key, answer in answers.items() if not np.isfinite(answer.log_probs).all()}
    if odd:
        raise ModelError(
            f"{STAGE}: the model's probabilities are no numbers at step {step + 1}, on the goals {_listed(odd)};"
            f" checkpoints stay as they were; lower {STAGE}.learning_rate, or look at the weights that it began with"
        )
    rollouts = judge.rollouts(list(asked.values()), list(answers.values()))
    scores = judge.scores(rollouts)
    totals = judge.totals(scores, len(rollouts), params.group)
    better = policy.advantages(totals, params.group, params.scale_rewards)
    is_spread = np.repeat(np.ptp(totals.reshape(-1, params.group), axis=1) > 0, params.group)
    return [
        _sample(run, key, goal, answers[key], step, {name: found[row] for name, found in scores.items()},
                float(totals[row]), float(better[row]), bool(is_spread[row]))
        for row, (key, goal) in enumerate(asked.items())
    ]  # fmt: skip


def _sample(
    run: Run, key: str, goal: Goal, answer: Answer, step: int, scores: Mapping[str, float | None], total: float,
    advantage: float, is_spread: bool,
) -> Sample:  # fmt: skip
    known = {name: score for name, score in scores.items() if score is not None}
    earned = Earned(
        key, step, goal.goal_id, goal.text, answer.text, answer.stop, len(answer.ids),
        isinstance(parse(answer.text, run.judge.tokenizer.codes), Trace), list(known), list(known.values()), total,
        advantage if is_spread else 0.0,
    )  # fmt: skip
    return Sample(goal, answer, earned, is_spread and not (run.params.mask_truncated and _is_truncated(answer)))


def _is_truncated(answer: Answer) -> bool:
    return answer.stop in ("tokens", "rounds")


def _told_of(samples: Sequence[Sample], run: Run) -> dict[str, float]:
    """Means over all answers of the team; of a reward over those that have a score, and none where none has."""
    group = run.params.group
    seen: dict[str, list[float]] = {
        "reward": [sample.earned.total for sample in samples],
        "groups_skipped": [float(not any(one.earned.advantage for one in samples[at : at + group]))
                           for at in range(0, len(samples), group)],
        "answer_tokens": [float(len(sample.answer.ids)) for sample in samples],
        "truncated": [float(_is_truncated(sample.answer)) for sample in samples],
        "wellformed": [float(sample.earned.wellformed) for sample in samples],
        "motions": [float(len(sample.answer.motions(run.language.vocabulary))) for sample in samples],
        **{f"reward/{name}": [dict(zip(one.earned.rewards, one.earned.scores, strict=True))[name]
                              for one in samples if name in one.earned.rewards] for name in run.judge.rewards},
    }  # fmt: skip
    sums = torch.tensor([[sum(values), len(values)] for values in seen.values()], dtype=torch.float64)
    run.team.add_up([sums])
    return {name: total / count for name, (total, count) in zip(seen, sums.tolist(), strict=True) if count}


# ---- learning --------------------------------------------------------------------------------------------------------


def batch_of(
    language: Language, prompts: Sequence[str], answers: Sequence[Answer], symbols: Symbols, sampling: Sampling
) -> Batch:
    vocabulary = language.vocabulary
    chats = [vocabulary.chat(prompt) for prompt in prompts]
    longest = max(len(chat) + len(answer.ids) for chat, answer in zip(chats, answers, strict=True))
    ids = torch.full((len(answers), longest), vocabulary.pad)
    spoken = torch.zeros(len(answers), longest - 1, dtype=torch.bool)
    said = torch.zeros(len(answers), max(len(answer.ids) for answer in answers))
    for row, (chat, answer) in enumerate(zip(chats, answers, strict=True)):
        ids[row, : len(chat) + len(answer.ids)] = torch.tensor(chat + answer.ids)
        spoken[row, len(chat) - 1 : len(chat) + len(answer.ids) - 1] = True
        said[row, : len(answer.ids)] = 1
    allowed = torch.cat([allowed_masks(symbols, "free", sampling, answer) for answer in answers])
    return Batch(*(part.to(language.model.device) for part in (ids, spoken, allowed, said)))


def log_probabilities(model: Any, batch: Batch, temperature: float, precision: Precision) -> Tensor:
    """[answers, longest answer] of what was said, among what it was drawn from; 0 in the padding."""
    with reduced(precision, batch.ids.device.type):
        hidden = hidden_states(model, input_ids=batch.ids, use_cache=False)[:, :-1]
        scores = logits(model, hidden[batch.spoken])
    scores = (scores.float() / temperature).masked_fill_(~batch.allowed, -torch.inf)
    taken = batch.ids[:, 1:][batch.spoken]
    # The chosen score minus the sum over all: gathering from a whole log-softmax would send NaN through its -inf.
    found = scores.gather(1, taken[:, None])[:, 0] - torch.logsumexp(scores, dim=1)
    return torch.zeros_like(batch.said).masked_scatter(batch.said.bool(), found)


@dataclass
class Part:
    """Answers that pass through the model together."""

    samples: Sequence[Sample]
    advantage: Tensor
    old: Tensor | None = None
    anchor: Tensor | None = None


def _updated(
    run: Run, parts: Sequence[Sequence[Sample]], whole: Whole, goals: Sequence[Goal], step: int
) -> dict[str, float]:
    """The optimizer steps on one batch of answers, and the numbers of the last."""
    weights, device = trained(run.language.model), run.language.model.device
    held = [Part(part, torch.tensor([one.earned.advantage for one in part], device=device)) for part in parts]
    for _ in range(run.params.updates):
        for weight in weights:
            weight.grad = torch.zeros_like(weight)  # a worker may have no answer that teaches
        sums, odd = torch.zeros(6, dtype=torch.float64, device=device), set[str]()
        for part, found in zip(held, _descended(run, held, whole), strict=True):
            sums += found
            odd |= set() if torch.isfinite(found).all() else {one.goal.goal_id for one in part.samples}
        run.team.add_up([sums, *(weight.grad for weight in weights if weight.grad is not None)])
        norm = torch.nn.utils.clip_grad_norm_(weights, 1.0)
        if not (torch.isfinite(sums[0]) and torch.isfinite(norm)):
            wrong = (
                f"{STAGE}: the loss is {sums[0].item()} and its gradient {norm.item()} at step {step + 1}, on the goals"
                f" %s; no weight is changed by it, and checkpoints stay as they were; lower {STAGE}.learning_rate"
            )
            run.team.agree(ModelError(wrong % _listed(odd)) if odd else None)
            raise ModelError(wrong % _listed({goal.goal_id for goal in goals}))
        run.optimizer.step()
    loss, *of_tokens = sums.tolist()
    names = ("kl", "clipped_low", "clipped_high", "entropy", "sampling_drift")
    means = {name: value / whole.tokens for name, value in zip(names, of_tokens, strict=True)}
    if not run.params.beta:
        del means["kl"]
    return {"loss": loss, "gradient_norm": norm.item(), **means}


def _listed(goals: set[str]) -> str:
    return ", ".join(sorted(goals))


def _descended(run: Run, parts: Sequence[Part], whole: Whole) -> Iterator[Tensor]:
    """Leave the gradients of all parts in the model; of each, its loss and sums over its tokens.

    The entropy is estimated from what was said: -ln p has it as its mean. The drift lies between the cached pass that
    sampled and the pass that trains; large would mean learning off policy.
    """
    params, model, symbols = run.params, run.language.model, Symbols(run.language.vocabulary)
    for part in parts:
        answers = [sample.answer for sample in part.samples]
        prompts = [sample.goal.prompt for sample in part.samples]
        batch = batch_of(run.language, prompts, answers, symbols, params.sampling())
        if part.old is None:
            part.anchor = _anchor(run, batch)  # before the pass that has to be kept for its way back
        new = log_probabilities(model, batch, params.temperature, params.precision)
        if part.old is None:
            # The first forward pass is the old policy's: taken from there, its ratio is 1 to the bit.
            part.old = new.detach()
        weights = policy.token_weights(params.loss, batch.said, whole)
        terms = policy.terms(new, part.old, part.anchor, part.advantage, weights, params.clip, params.beta, params.kl)
        terms.loss.backward()
        sampled = torch.tensor([value for answer in answers for value in answer.log_probs], device=new.device)
        drift = (part.old[batch.said.bool()] - sampled).abs().sum()
        yield torch.stack([*(term.detach() for term in terms), -new.detach().sum(), drift]).double()


def _anchor(run: Run, batch: Batch) -> Tensor | None:
    """What the reference finds of what was said; None where no divergence is asked for."""
    params = run.params
    if not params.beta:
        return None
    with torch.no_grad():
        if run.reference is not None:
            return log_probabilities(run.reference.model, batch, params.temperature, params.precision)
        with unadapted(run.language.model):
            return log_probabilities(run.language.model, batch, params.temperature, params.precision)
