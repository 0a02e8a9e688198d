"""Losses of GRPO against oracles: written from the formulas token by token in float64, and those of another library."""

import itertools
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, get_args

import numpy as np
import pytest
import torch
from torch import Tensor

from irg_core.training import policy
from irg_core.training.policy import Clip, Kl, Loss, Whole

CLIP = Clip(low=0.2, high=0.28)
BETA = 0.1
LONGEST = 7
LOSSES, KLS = get_args(Loss), get_args(Kl)


@dataclass
class Case:
    """Five answers of up to six tokens over a vocabulary of five, all float64; the policy is its logits."""

    logits: np.ndarray
    taken: np.ndarray
    old: np.ndarray
    reference: np.ndarray
    advantage: np.ndarray
    said: np.ndarray

    def part(self, rows: slice) -> "Case":
        return Case(**{name: value[rows] for name, value in vars(self).items()})


@pytest.fixture
def case() -> Case:
    draws = np.random.Generator(np.random.PCG64(7))
    lengths = np.array([6, 2, 5, 1, 3])
    return Case(
        draws.normal(size=(5, 6, 5)),
        draws.integers(5, size=(5, 6)),
        np.log(draws.uniform(0.1, 0.5, size=(5, 6))),
        np.log(draws.uniform(0.1, 0.5, size=(5, 6))),
        np.array([1.2, -0.7, 0.4, -1.4, 0.5]),
        (np.arange(6) < lengths[:, None]).astype(float),
    )


def whole(case: Case, parts: float) -> Whole:
    return Whole(len(case.said), case.said.sum(), parts, LONGEST)


def log_probs(logits: Tensor, taken: np.ndarray) -> Tensor:
    return torch.log_softmax(logits, -1).gather(2, torch.tensor(taken)[..., None])[..., 0]


def ours(case: Case, loss: Loss, kl: Kl, over: Whole) -> tuple[float, Tensor, policy.Terms]:
    """The loss, its gradient by the logits, and all terms."""
    logits = torch.tensor(case.logits, requires_grad=True)
    old, reference, advantage, said = map(torch.tensor, (case.old, case.reference, case.advantage, case.said))
    weights = policy.token_weights(loss, said, over)
    terms = policy.terms(log_probs(logits, case.taken), old, reference, advantage, weights, CLIP, BETA, kl)
    terms.loss.backward()
    assert logits.grad is not None
    return terms.loss.item(), logits.grad, terms


# ---- from the formulas -----------------------------------------------------------------------------------------------


def oracle(case: Case, loss: Loss, kl: Kl) -> float:
    """What the papers write, answer by answer and token by token."""
    answers = [_tokens(case, row, kl) for row in range(len(case.said))]
    every = [value for answer in answers for value in answer]
    if loss == "grpo":
        return sum(sum(answer) / len(answer) for answer in answers) / len(answers)
    if loss == "dr_grpo":
        return sum(every) / (len(answers) * LONGEST)
    return sum(every) / len(every)


def _tokens(case: Case, row: int, kl: Kl) -> list[float]:
    found = []
    for place in range(int(case.said[row].sum())):
        scores, better = case.logits[row, place], case.advantage[row]
        new = scores[case.taken[row, place]] - np.log(np.exp(scores).sum())
        ratio = np.exp(new - case.old[row, place])
        gain = min(ratio * better, min(max(ratio, 1 - CLIP.low), 1 + CLIP.high) * better)
        gap = case.reference[row, place] - new
        apart = (np.exp(gap) - gap - 1) * (ratio if kl == "unbiased" else 1)
        found.append(BETA * apart - gain)
    return found


@pytest.mark.parametrize("kl", KLS)
@pytest.mark.parametrize("loss", LOSSES)
def test_the_loss_and_its_gradient_are_the_oracles(case: Case, loss: Loss, kl: Kl) -> None:
    found, gradient, _ = ours(case, loss, kl, whole(case, 1))
    assert found == pytest.approx(oracle(case, loss, kl), abs=1e-12)
    step = 1e-6
    for index in np.ndindex(*case.logits.shape):
        slope = 0.0
        for sign in (1, -1):
            case.logits[index] += sign * step
            slope += sign * oracle(case, loss, kl) / (2 * step)
            case.logits[index] -= sign * step
        assert gradient[index].item() == pytest.approx(slope, abs=1e-7)


def test_what_is_clipped_is_counted_by_its_side(case: Case) -> None:
    *_, terms = ours(case, "grpo", "k3", whole(case, 1))
    ratio = np.exp(log_probs(torch.tensor(case.logits), case.taken).numpy() - case.old)
    better = case.advantage[:, None] * case.said
    assert terms.clipped_low.item() == ((ratio < 0.8) & (better < 0)).sum() > 0
    assert terms.clipped_high.item() == ((ratio > 1.28) & (better > 0)).sum() > 0


def test_without_a_reference_no_divergence_enters(case: Case) -> None:
    new, old, advantage, said = map(torch.tensor, (case.old, case.old, case.advantage, case.said))
    weights = policy.token_weights("dapo", said, whole(case, 1))
    terms = policy.terms(new, old, None, advantage, weights, CLIP, BETA, "k3")
    assert terms.loss.item() == pytest.approx(-(case.advantage[:, None] * case.said).sum() / case.said.sum())
    assert terms.kl.item() == 0.0


# ---- another library's -----------------------------------------------------------------------------------------------


class Toy(torch.nn.Module):
    """A policy that is its logits."""


def trl_loss(case: Case, loss: Loss, kl: Kl) -> tuple[float, Tensor, dict[str, list[float]]]:
    """`trl.GRPOTrainer._compute_loss` on the same tensors: the formulas as TRL runs them, without a trainer around."""
    grpo_trainer = pytest.importorskip("trl.trainer.grpo_trainer", reason="trl is a development dependency")
    logits = torch.tensor(case.logits, requires_grad=True)
    trainer = object.__new__(grpo_trainer.GRPOTrainer)
    metrics: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    settings = {
        "args": SimpleNamespace(use_bias_correction_kl=kl == "unbiased", delta=None, steps_per_generation=1),
        "model": Toy(), "accelerator": SimpleNamespace(
            num_processes=1, gather=lambda x: x, reduce=lambda x, reduction: x
        ),
        "beta": BETA, "epsilon_low": CLIP.low, "epsilon_high": CLIP.high, "loss_type": loss,
        "importance_sampling_level": "token", "top_entropy_quantile": 1.0, "aux_loss_enabled": False,
        "off_policy_mask_threshold": None, "use_vllm": False, "max_completion_length": LONGEST,
        "current_gradient_accumulation_steps": 1, "_entropy_bonus_enabled": False, "_metrics": metrics,
        "_get_per_token_logps_and_entropies": lambda *_, **__: (
            log_probs(logits, case.taken), torch.zeros_like(logits[..., 0]), None
        ),
    }  # fmt: skip
    for name, value in settings.items():
        object.__setattr__(trainer, name, value)
    inputs: dict[str, Any] = {
        "prompt_ids": torch.zeros(5, 1, dtype=torch.long), "prompt_mask": torch.ones(5, 1, dtype=torch.long),
        "completion_ids": torch.tensor(case.taken), "completion_mask": torch.tensor(case.said),
        "advantages": torch.tensor(case.advantage), "old_per_token_logps": torch.tensor(case.old),
        "ref_per_token_logps": torch.tensor(case.reference), "num_items_in_batch": torch.tensor(case.said.sum()),
    }  # fmt: skip
    found = trainer._compute_loss(trainer.model, inputs)
    found.backward()
    assert logits.grad is not None
    return found.item(), logits.grad, metrics["train"]


@pytest.mark.parametrize("kl", KLS)
@pytest.mark.parametrize("loss", LOSSES)
def test_the_loss_and_its_gradient_are_those_of_trl(case: Case, loss: Loss, kl: Kl) -> None:
    theirs, slope, told = trl_loss(case, loss, kl)
    found, gradient, terms = ours(case, loss, kl, whole(case, 1))
    assert found == pytest.approx(theirs, abs=1e-12)
    torch.testing.assert_close(gradient, slope, atol=1e-12, rtol=0)
    tokens = case.said.sum()
    assert terms.clipped_low.item() / tokens == pytest.approx(told["clip_ratio/low_mean"][0])
    assert terms.clipped_high.item() / tokens == pytest.approx(told["clip_ratio/high_mean"][0])
    if kl == "k3":
        assert terms.kl.item() / tokens == pytest.approx(told["kl"][0])


# ---- cut into parts --------------------------------------------------------------------------------------------------


def summed(case: Case, loss: Loss, cuts: Sequence[int]) -> tuple[float, Tensor]:
    """The loss and the gradient of all parts, added up as accumulation and workers do."""
    parts = [case.part(slice(*ends)) for ends in itertools.pairwise([0, *cuts, len(case.said)])]
    found = [ours(part, loss, "k3", whole(case, len(parts))) for part in parts]
    return sum(value for value, *_ in found), torch.cat([gradient for _, gradient, _ in found])


@pytest.mark.parametrize("loss", ["grpo", "dr_grpo", "dapo"])
@pytest.mark.parametrize("cuts", [[1], [2, 4], [1, 2, 3, 4]])
def test_no_cut_changes_the_gradient(case: Case, loss: Loss, cuts: list[int]) -> None:
    together, gradient = summed(case, loss, [])
    apart, of_parts = summed(case, loss, cuts)
    assert apart == pytest.approx(together, abs=1e-12)
    torch.testing.assert_close(of_parts, gradient, atol=1e-12, rtol=0)


def test_bnpo_is_dapo_within_each_part(case: Case) -> None:
    """By its definition the one loss that a cut changes."""
    assert summed(case, "bnpo", [])[0] == pytest.approx(summed(case, "dapo", [])[0], abs=1e-12)
    of_each = [oracle(case.part(rows), "dapo", "k3") for rows in (slice(0, 2), slice(2, 5))]
    assert summed(case, "bnpo", [2])[0] == pytest.approx(sum(of_each) / 2, abs=1e-12)
    assert summed(case, "bnpo", [2])[0] != pytest.approx(summed(case, "bnpo", [])[0], abs=1e-3)


# ---- the divergence --------------------------------------------------------------------------------------------------


def enumerated(kl: Kl, logits: Tensor, old: Tensor, reference: Tensor) -> Tensor:
    """The gradient by the logits of the mean of an estimate over everything that the old policy can draw."""
    free = logits.clone().requires_grad_()
    estimate = policy.divergence(torch.log_softmax(free, -1), old.log(), reference.log(), kl)
    (gradient,) = torch.autograd.grad((old * estimate).sum(), free)
    return gradient


def true_gradient(logits: Tensor, reference: Tensor) -> Tensor:
    """That of KL(policy || reference) itself."""
    free = logits.clone().requires_grad_()
    new = torch.log_softmax(free, -1)
    (gradient,) = torch.autograd.grad((new.exp() * (new - reference.log())).sum(), free)
    return gradient


@pytest.mark.parametrize("is_on_policy", [True, False])
def test_the_unbiased_divergence_has_the_gradient_of_the_divergence_and_k3_has_not(is_on_policy: bool) -> None:
    draws = torch.Generator().manual_seed(3)
    logits, other, third = (torch.randn(5, generator=draws, dtype=torch.float64) for _ in range(3))
    reference, old = other.softmax(-1), (logits if is_on_policy else third).softmax(-1)
    wanted = true_gradient(logits, reference)
    torch.testing.assert_close(enumerated("unbiased", logits, old, reference), wanted, atol=1e-12, rtol=0)
    assert (enumerated("k3", logits, old, reference) - wanted).abs().max() > 0.05


@pytest.mark.parametrize("kl", KLS)
def test_the_mean_of_either_estimate_is_the_divergence(kl: Kl) -> None:
    draws = torch.Generator().manual_seed(3)
    new, reference = (torch.randn(5, generator=draws, dtype=torch.float64).softmax(-1) for _ in range(2))
    mean = (new * policy.divergence(new.log(), new.log(), reference.log(), kl)).sum()
    assert mean.item() == pytest.approx((new * (new / reference).log()).sum().item(), abs=1e-12)


def test_a_policy_is_no_distance_from_itself() -> None:
    new = torch.log(torch.tensor([[0.5, 0.2]], dtype=torch.float64)).requires_grad_()
    for kl in KLS:
        (gradient,) = torch.autograd.grad(policy.divergence(new, new.detach(), new.detach(), kl).sum(), new)
        assert gradient.abs().max() == 0.0


# ---- advantages ------------------------------------------------------------------------------------------------------


def test_advantages_are_standard_scores_of_a_group() -> None:
    found = policy.advantages(np.array([0.0, 1.0, 2.0, 5.0, 5.0, 8.0]), 3, "group")
    assert found[:3] == pytest.approx([-1.0, 0.0, 1.0], abs=1e-3)
    assert found[3:].sum() == pytest.approx(0.0)


def test_without_scale_advantages_are_what_is_above_the_mean() -> None:
    found = policy.advantages(np.array([0.0, 1.0, 2.0, 5.0, 5.0, 8.0]), 3, "none")
    assert found == pytest.approx([-1.0, 0.0, 1.0, -1.0, -1.0, 2.0])


def test_a_group_without_spread_is_told_apart_by_nothing() -> None:
    assert policy.advantages(np.array([1.0, 1.0, 1.0]), 3, "group").tolist() == [0.0, 0.0, 0.0]
