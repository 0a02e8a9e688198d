"""Trains an evaluator: right sentence and motion together, wrong ones apart.

One caption is drawn for each clip and epoch. Noise on motions and dropped words stand in for the variety that a small
corpus lacks; dropped words also train the vector of the unknown word, which no caption of the train split has.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from irg_core.models.evaluator import ARCHITECTURES, UNKNOWN, Evaluator, pad
from irg_core.records.wording import near_identical
from irg_core.seeds import derive, rng
from irg_core.training.checkpoint import Checkpoints, Saved, pack, unpack
from irg_core.training.journal import Journal, finite
from irg_core.training.schedule import set_rate

LOG_EVERY = 25
"""Steps."""
GROUP = 16
"""Rows of like length that an encoder reads together."""


@dataclass(frozen=True)
class EvaluatorParams:
    """train_evaluators.<e>: one evaluator and its training."""

    architecture: Literal["guo", "tmr", "essential", "sentences"]
    """The file irg_core/models/evaluator_<architecture>.py."""
    seed: int
    width: int
    """Channels of every layer; time grows with its square."""
    layers: int
    """Recurrent or transformer layers of each encoder."""
    embedding: int
    """Dimensions of the joint space. FID needs many more test clips than this to mean much."""
    contrast: float
    """`guo`: the margin wrong pairs are pushed to. `tmr`: the temperature; lower minds only the hardest wrong pairs."""
    near_identical: float
    """Captions that overlap this much are no wrong pair. Lower is kinder to duplicates and blinder to details."""
    steps: int
    batch: int
    """Clips a step. More wrong pairs for each right one, and slower steps."""
    learning_rate: float
    """At its height: it climbs for a twentieth of the steps and falls to nothing along a cosine."""
    weight_decay: float
    """Pull of weights towards zero."""
    noise: float
    """Standard deviations of Gaussian noise added to normalised features: more forgives a decoder's roughness."""
    dropped_words: float
    """Share of words replaced by the unknown word."""
    threads: int
    """Part of the result: sums over threads round differently."""
    checkpoint_every: int
    """Steps between checkpoints; smaller loses less to a kill and writes more."""


@dataclass(frozen=True, slots=True)
class Pairing:
    """A clip's motion and the sentences that describe it."""

    key: str
    features: np.ndarray
    captions: tuple[str, ...]


def train(
    stage: str, pairings: Sequence[Pairing], stats: Mapping[str, Any], params: EvaluatorParams, checkpoints: Checkpoints
) -> tuple[Evaluator, Journal]:
    """Train from scratch, or on from the newest checkpoint: either way to the same weights."""
    torch.set_num_threads(params.threads)
    evaluator = untrained(pairings, stats, params)
    optimizer = torch.optim.AdamW(evaluator.parameters(), lr=params.learning_rate, weight_decay=params.weight_decay)
    first, journal = 0, Journal(stage)
    if saved := checkpoints.newest():
        unpack(saved.tensors, evaluator, optimizer)
        first, journal = saved.step, Journal.restore(stage, saved.state["journal"])
    motions = [evaluator.motion_input(pairing.features) for pairing in pairings]
    evaluator.train()
    for step in range(first, params.steps):
        loss = _loss(evaluator, pairings, motions, step, params)
        gradient = _backward(loss, evaluator)
        rows = batch(step, len(pairings), params)[1]
        finite(stage, step + 1, loss.item(), gradient, [pairings[row].key for row in rows])
        set_rate(optimizer, _rate(step, params))
        optimizer.step()
        if step % LOG_EVERY == 0 or step == params.steps - 1:
            journal.note(step, loss=loss.item())
        if checkpoints.due(step + 1) and step + 1 < params.steps:
            checkpoints.save(Saved(step + 1, pack(evaluator, optimizer), {"journal": journal.state()}))
    return evaluator.eval(), journal


def untrained(pairings: Sequence[Pairing], stats: Mapping[str, Any], params: EvaluatorParams) -> Evaluator:
    """The weights before the first step. Torch's layers draw from the global state, which is put back as it was."""
    captions = [caption for pairing in pairings for caption in pairing.captions]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(params.seed, "weights") % 2**63)
        return Evaluator.create(params.architecture, params.width, params.layers, params.embedding, captions, stats)


def _loss(
    evaluator: Evaluator, pairings: Sequence[Pairing], motions: Sequence[Tensor], step: int, params: EvaluatorParams
) -> Tensor:
    epoch, rows = batch(step, len(pairings), params)
    drawn = [_caption(pairings[row], epoch, params.seed) for row in rows]
    wrong = torch.from_numpy(~near_identical(drawn, drawn, params.near_identical))
    noise = torch.Generator().manual_seed(derive(params.seed, "noise", step) % 2**63)
    frames = [_noisy(motions[row], noise, params.noise) for row in rows]
    tokens = [_thinned(evaluator.text_input(text), noise, params.dropped_words) for text in drawn]
    texts, points = _points(evaluator.texts, tokens), _points(evaluator.motions, frames)
    return ARCHITECTURES[params.architecture].contrast(texts, points, wrong, params.contrast)


def _points(encoder: torch.nn.Module, inputs: Sequence[Tensor]) -> Tensor:
    """One point a row, in groups of like length: padding a batch to its longest row would double the work."""
    order = sorted(range(len(inputs)), key=lambda row: len(inputs[row]))
    groups = [order[start : start + GROUP] for start in range(0, len(order), GROUP)]
    points = torch.cat([encoder(*pad([inputs[row] for row in group])) for group in groups])
    return points[torch.argsort(torch.tensor(order))]


def batch(step: int, clips: int, params: EvaluatorParams) -> tuple[int, np.ndarray]:
    """The epoch of a step, and its clips. An epoch is one shuffle; clips short of a full batch wait for the next.

    A batch never reaches over two epochs: the same clip twice would stand against itself as a wrong pair.
    """
    size = min(params.batch, clips)
    epoch, slot = divmod(step, clips // size)
    order = rng(params.seed, "order", epoch).permutation(clips)
    return epoch, order[slot * size : (slot + 1) * size]


def _caption(pairing: Pairing, epoch: int, seed: int) -> str:
    return pairing.captions[derive(seed, "caption", epoch, pairing.key) % len(pairing.captions)]


def _noisy(frames: Tensor, generator: torch.Generator, noise: float) -> Tensor:
    return frames + noise * torch.randn(frames.shape, generator=generator)


def _thinned(words: Tensor, generator: torch.Generator, share: float) -> Tensor:
    """Words [L] without a share of them; those that come as states [L, numbers] are silenced."""
    dropped = torch.rand(len(words), generator=generator) < share
    return words.masked_fill(dropped, UNKNOWN) if words.ndim == 1 else words * ~dropped[:, None]


def _rate(step: int, params: EvaluatorParams) -> float:
    """A straight climb over a twentieth of the steps, then a cosine down to nothing."""
    climb = max(1, params.steps // 20)
    if step < climb:
        return params.learning_rate * (step + 1) / climb
    return params.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - climb) / max(1, params.steps - climb)))


def _backward(loss: Tensor, evaluator: Evaluator) -> float:
    """Leave the clipped gradients of the loss in the evaluator; their norm before that."""
    evaluator.zero_grad(set_to_none=True)
    loss.backward()
    return torch.nn.utils.clip_grad_norm_(evaluator.parameters(), 1.0).item()
