"""What GRPO minimises, as formulas over log-probabilities; nothing here knows of models, words or rewards.

Every loss is a sum over tokens, each with a weight that is worked out from the whole batch before any of it is seen. So
its gradient does not depend on how the batch is cut into parts or shared by workers: parts are added up.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

Loss = Literal["grpo", "bnpo", "dr_grpo", "dapo"]
"""How tokens are weighed against one another, see `token_weights`."""
Kl = Literal["k3", "unbiased"]
"""How far from the reference is put into the loss, see `divergence`."""
Scale = Literal["group", "none"]
"""Whether advantages are divided by the standard deviation of their group."""
BARELY = 1e-4
"""Added to a standard deviation, so that siblings that differ by next to nothing are not told apart by it."""


@dataclass(frozen=True)
class Clip:
    """How far a probability ratio may move before it stops counting: 1 - low … 1 + high."""

    low: float
    high: float
    """More than `low` lets unlikely tokens become likely sooner (DAPO's "clip higher")."""


class Whole(NamedTuple):
    """What the whole batch holds, over all of its parts and all workers, of answers that count."""

    answers: float
    tokens: float
    parts: float
    longest: int
    """The most tokens that an answer may have."""


class Terms(NamedTuple):
    """The loss of one part, and sums over its tokens that say how the policy moves."""

    loss: Tensor
    kl: Tensor
    """k3 estimate of KL(policy || reference)."""
    clipped_low: Tensor
    """Tokens of worse answers than their siblings whose ratio is held below."""
    clipped_high: Tensor
    """Tokens of better answers whose ratio is held above."""


def advantages(rewards: np.ndarray, group: int, scale: Scale) -> np.ndarray:
    """Rewards minus the mean of their group, over its sample standard deviation + 1e-4 unless `scale` is "none"."""
    rows = rewards.reshape(-1, group)
    apart = rows - rows.mean(1, keepdims=True)
    return (apart / (rows.std(1, ddof=1, keepdims=True) + BARELY) if scale == "group" else apart).reshape(-1)


def token_weights(loss: Loss, said: Tensor, whole: Whole) -> Tensor:
    """The weight of each token [answers, tokens], 0 where `said` is 0; over the whole batch they add up to 1 at most.

    grpo: mean over answers of the mean over an answer's tokens (Shao et al. 2024). dapo: mean over all tokens (Yu et
    al. 2025). dr_grpo: sum over answers x the longest that an answer may be, so that length neither helps nor harms
    (Liu et al. 2025). bnpo: mean over parts of the mean over a part's tokens; the only one that depends on how a batch
    is cut, by its definition.
    """
    if loss == "grpo":
        return said / (said.sum(1, keepdim=True).clamp(min=1) * whole.answers)
    if loss == "bnpo":
        return said / (said.sum().clamp(min=1) * whole.parts)
    return said / (whole.answers * whole.longest if loss == "dr_grpo" else whole.tokens)


def divergence(new: Tensor, old: Tensor, reference: Tensor, kl: Kl) -> Tensor:
    """An estimate of KL(policy || reference) from each token that the old policy drew.

    k3 = exp(d) - d - 1 with d = reference - new (Schulman 2020) has the right mean, but the gradient of its mean is
    another one: it leaves out that the policy decides what is drawn. "unbiased" puts that back: k3 times new over old,
    whose mean over draws from the old policy is the divergence itself, and so is its gradient (DeepSeek-V3.2).
    """
    gap = reference - new
    k3 = torch.exp(gap) - gap - 1
    return k3 * torch.exp(new - old) if kl == "unbiased" else k3


def terms(
    new: Tensor, old: Tensor, reference: Tensor | None, advantage: Tensor, weights: Tensor, clip: Clip, beta: float,
    kl: Kl,
) -> Terms:  # fmt: skip
    """The loss of log-probabilities [answers, tokens] under their tokens' weights: -min(r A, clip(r) A) + beta KL.

    r = exp(new - old); no divergence enters where there is no reference.
    """
    ratio, better = torch.exp(new - old), advantage[:, None]
    each = -torch.minimum(ratio * better, ratio.clamp(1 - clip.low, 1 + clip.high) * better)
    is_said, apart = weights > 0, new.new_zeros(())
    if reference is not None:
        each = each + beta * divergence(new, old, reference, kl)
        apart = (divergence(new.detach(), old, reference, "k3") * is_said).sum()
    low, high = (ratio < 1 - clip.low) & (better < 0), (ratio > 1 + clip.high) & (better > 0)
    return Terms((each * weights).sum(), apart, (low & is_said).sum(), (high & is_said).sum())
