"""Training of the motion tokenizer: windows of frames in, the same windows out, through one code for every four.

Speed and turning of the root are three of 263 numbers, or of 251, but their errors add up over a clip and carry the
whole body away: hence a loss on their sums.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from irg_core.models.vqvae import FRAMES_PER_CODE, MotionTokenizer, Quantised, VqConfig, VqVae
from irg_core.motion import features, representation
from irg_core.seeds import derive, rng
from irg_core.training.checkpoint import Checkpoints, Saved, pack
from irg_core.training.journal import Journal, resume
from irg_core.training.schedule import Precision, generator, learning_rate, reduced, set_rate, threads

STAGE = "train_tokenizer"


@dataclass(frozen=True)
class PartWeights:
    """The weight of each part of a frame in the reconstruction loss."""

    root: float
    """Yaw and ground speed, height. More keeps clips from drifting and blurs the limbs."""
    positions: float
    rotations: float
    velocities: float
    contacts: float
    """Foot contacts: decoded motion does not use them."""


@dataclass(frozen=True)
class TrainTokenizerParams:
    """`train_tokenizer` in params.yaml."""

    seed: int
    threads: int
    """More is faster and changes the last bits of the weights."""
    precision: Precision
    """bfloat16 halves the time of a step."""
    net: VqConfig
    steps: int
    """Optimizer steps. Error still falls slowly at the end; time grows in proportion."""
    batch: int
    """Windows a step."""
    window: int
    """Frames a window, a multiple of four."""
    learning_rate: float
    warmup: int
    """Steps until the learning rate is reached."""
    decay: float
    """Of the codebook's moving averages. Nearer to 1 is steadier and slower."""
    commitment: float
    """Weight of the distance between encoder outputs and their codes."""
    velocity: float
    """Weight of the loss on frame-to-frame change. More gives smoother motion."""
    drift: float
    """Weight of a metre, or two radians, by which a window's root has gone astray. More blurs the limbs."""
    weights: PartWeights
    log_every: int
    checkpoint_every: int


class Windows:
    """Windows of frames, each start equally likely, drawn by (seed, step)."""

    def __init__(self, motions: Sequence[np.ndarray], length: int) -> None:
        self.frames = torch.from_numpy(np.concatenate(motions).astype(np.float32))
        self.length = length
        lengths = np.array([len(motion) for motion in motions])
        self.ends = np.cumsum(lengths)
        self.firsts = self.ends - lengths
        # A clip shorter than a window still has one start; what is missing is padded and masked.
        self.starts = np.cumsum(np.maximum(lengths - length, 0) + 1)

    def draw(self, seed: int, step: int, batch: int) -> tuple[Tensor, Tensor]:
        """Frames [batch, length, width] and which of them are real [batch, length]."""
        drawn = rng(seed, "windows", step).integers(self.starts[-1], size=batch)
        clip = np.searchsorted(self.starts, drawn, side="right")
        first = self.firsts[clip] + drawn - np.concatenate([[0], self.starts])[clip]
        rows = first[:, None] + np.arange(self.length)
        real = rows < self.ends[clip][:, None]
        return self.frames[torch.from_numpy(np.where(real, rows, first[:, None]))], torch.from_numpy(real)


def train(
    params: TrainTokenizerParams,
    motions: Sequence[np.ndarray],
    heldout: Sequence[np.ndarray],
    mean: np.ndarray,
    std: np.ndarray,
    kept: Checkpoints,
) -> tuple[MotionTokenizer, Journal]:
    """Train on clips [frames, 263 or 251]; what is heldout (val) is only measured."""
    with threads(params.threads):
        net, optimizer, journal, done = _begin(params, mean, std, kept)
        windows = Windows(motions, params.window)
        for step in range(done, params.steps):
            numbers = _step(params, net, optimizer, windows, step)
            if (step + 1) % params.log_every == 0 or step + 1 == params.steps:
                journal.note(step + 1, **numbers)
            if kept.due(step + 1):
                kept.save(Saved(step + 1, pack(net, optimizer), {"journal": journal.state()}))
        tokenizer = MotionTokenizer(net, params.net)
        journal.note(params.steps, **measure(tokenizer, heldout))
    return tokenizer, journal


def _begin(
    params: TrainTokenizerParams, mean: np.ndarray, std: np.ndarray, kept: Checkpoints
) -> tuple[VqVae, torch.optim.AdamW, Journal, int]:
    net = _fresh(params, mean, std)
    optimizer = torch.optim.AdamW(net.parameters(), betas=(0.9, 0.99), weight_decay=0.0, fused=True)
    journal, done = resume(STAGE, net, optimizer, kept)
    return net, optimizer, journal, done


def _fresh(params: TrainTokenizerParams, mean: np.ndarray, std: np.ndarray) -> VqVae:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(params.seed, "weights") % 2**63)
        net = VqVae(params.net, len(mean))
    net.mean.copy_(torch.from_numpy(mean))
    net.std.copy_(torch.from_numpy(std))
    return net.train()


def _step(
    params: TrainTokenizerParams, net: VqVae, optimizer: torch.optim.Optimizer, windows: Windows, step: int
) -> dict[str, float]:
    frames, real = windows.draw(params.seed, step, params.batch)
    target = net.normalise(frames) * real[..., None]
    with reduced(params.precision):
        outputs = net.encoder(target.transpose(1, 2)).float()
    draws = generator(derive(params.seed, "codebook", step))
    if step == 0:
        net.codebook.start(outputs, draws)
    quantised: Quantised = net.codebook(outputs)
    with reduced(params.precision):
        decoded = net.decoder(quantised.vectors).transpose(1, 2).float()
    reconstruction, velocity = _errors(params.weights, decoded, target, real)
    drift = _drift(decoded, target, real, net.std)
    loss = reconstruction + params.velocity * velocity + params.drift * drift
    loss = loss + params.commitment * quantised.commitment

    set_rate(optimizer, learning_rate(step, params.learning_rate, params.warmup, params.steps))
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    optimizer.step()
    net.codebook.update(outputs.detach(), quantised.codes, params.decay, draws)
    return {
        "reconstruction": reconstruction.item(),
        "velocity": velocity.item(),
        "drift": drift.item(),
        "commitment": quantised.commitment.item(),
        "perplexity": perplexity(quantised.codes.reshape(-1).numpy(), params.net.codes),
    }


def _errors(weights: PartWeights, decoded: Tensor, target: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
    """Smooth L1 of frames and of their changes, weighted by part, over real frames only."""
    part = part_weights(weights, target.shape[-1])
    frame = functional.smooth_l1_loss(decoded, target, reduction="none") @ part
    change = functional.smooth_l1_loss(decoded.diff(dim=1), target.diff(dim=1), reduction="none") @ part
    both = real[:, 1:] & real[:, :-1]
    return (frame * real).sum() / real.sum(), (change * both).sum() / both.sum()


def _drift(decoded: Tensor, target: Tensor, real: Tensor, std: Tensor) -> Tensor:
    """How far the sums of yaw and ground speed are off, on average over a window: in metres and half radians."""
    metre = representation.of(len(std)).metre
    gap = ((decoded - target) * std)[..., :3] / torch.tensor([1.0, metre, metre]) * real[..., None]
    return (gap.cumsum(dim=1).abs().sum(dim=-1) * real).sum() / real.sum()


def part_weights(weights: PartWeights, width: int) -> Tensor:
    """One weight for each of the numbers of a frame, with sum 1."""
    shares = (weights.root, weights.positions, weights.rotations, weights.velocities, weights.contacts)
    parts = zip(shares, representation.of(width).parts, strict=True)
    each = torch.cat([torch.full((numbers,), weight / numbers) for weight, numbers in parts])
    return each / each.sum()


def perplexity(codes: np.ndarray, size: int) -> float:
    """How many codes are in use, as if equally often: exp of the entropy of their shares."""
    share = np.bincount(codes, minlength=size) / len(codes)
    used = share[share > 0]
    return float(np.exp(-(used * np.log(used)).sum()))


def measure(tokenizer: MotionTokenizer, motions: Sequence[np.ndarray]) -> dict[str, float]:
    """Reconstruction of whole clips: joint error in mm, in place and with the drift of the root, and codes in use."""
    cropped = [motion[: len(motion) // FRAMES_PER_CODE * FRAMES_PER_CODE] for motion in motions]
    codes = tokenizer.encode(cropped)
    kind = representation.of(len(tokenizer.net.mean))
    world, local = [], []
    for truth, again in zip(cropped, tokenizer.decode(codes), strict=True):
        # These columns are joints relative to the root, in its heading: their error knows no drift.
        gap = (truth[:, kind.positions] - again[:, kind.positions]).reshape(len(truth), -1, 3)
        local.append(np.linalg.norm(gap, axis=-1).mean())
        world.append(np.linalg.norm(features.to_joints(truth) - features.to_joints(again), axis=-1).mean())
    used = np.concatenate([np.array(row) for row in codes])
    return {
        "heldout_mpjpe_mm": 1000 / kind.metre * float(np.mean(world)),
        "heldout_local_mpjpe_mm": 1000 / kind.metre * float(np.mean(local)),
        "heldout_perplexity": perplexity(used, tokenizer.codes),
    }
