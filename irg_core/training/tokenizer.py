"""Training of the motion tokenizer: windows of frames in, the same windows out, through one code for every four.

Speed and turning of the root are three of 263 numbers, or of 251, but their errors add up over a clip and carry the
whole body away: hence a loss on where the sums have put the joints, and on how these move there. Distances count, not
their squares: squares forget a hand that waves by a few centimetres over a body that runs.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from irg_core.errors import ParamsError
from irg_core.models import world
from irg_core.models.vqvae import FRAMES_PER_CODE, MotionTokenizer, Quantised, VqConfig, VqVae
from irg_core.motion import features, representation
from irg_core.seeds import derive, rng
from irg_core.training.checkpoint import Checkpoints, Saved, pack, unpack
from irg_core.training.journal import Journal, finite, resume
from irg_core.training.patches import components
from irg_core.training.schedule import Precision, generator, learning_rate, reduced, set_rate, threads

STAGE = "train_tokenizer"
SMALL = 0.1
"""z-scores below which an error counts by its square: there its direction is mostly noise."""
PATCHES = 8192
"""Patches of four frames whose principal components the net begins with."""
FIRST_WINDOWS = 512
"""Windows whose encoder outputs the codes begin among."""


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
    world: float
    """Weight of a metre between where a joint is and where the sums of a window's root have put it. More keeps clips
    from going astray, and blurs the limbs."""
    pace: float
    """Weight of a metre a frame between how both of them move. More keeps standing feet where they are."""
    weights: PartWeights
    log_every: int
    measure_every: int
    """Steps between two looks at the val split."""
    measured: int
    """Val clips that are looked at, the first in order of their hashes; at the end all are."""
    patience: int
    """Looks without a lower joint error after which the training ends; the weights of the best look are its result. 0:
    all steps are taken, and the last weights are the result."""
    checkpoint_every: int

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "log_every", "measure_every", "measured", "checkpoint_every"):
            if (value := getattr(self, name)) < 1:
                raise ParamsError(f"params.yaml: {STAGE}.{name} is {value}; it must be at least 1")
        if self.window < 2 * FRAMES_PER_CODE or self.window % FRAMES_PER_CODE:
            raise ParamsError(
                f"params.yaml: {STAGE}.window is {self.window}; windows are whole codes, at least two, of"
                f" {FRAMES_PER_CODE} frames each"
            )


class Windows:
    """Windows of frames, drawn by (seed, step): each frame is as likely as any other to be the middle of one, and what
    would reach over an end of its clip is pushed inside.

    Were each start as likely as any other, a clip that is hardly longer than a window would be seen a fraction as often
    as its length asks for, and the ends of every clip hardly at all.
    """

    def __init__(self, clips: Mapping[str, np.ndarray], length: int) -> None:
        self.names = list(clips)
        self.frames = torch.from_numpy(np.concatenate(list(clips.values())).astype(np.float32))
        self.length = length
        lengths = np.array([len(motion) for motion in clips.values()])
        self.firsts = np.cumsum(lengths) - lengths
        # Of a clip shorter than a window there are its whole codes, as `encode` has it; the rest is padded and masked.
        self.usable = np.where(lengths < length, lengths // FRAMES_PER_CODE * FRAMES_PER_CODE, lengths)
        # A window of a short clip holds fewer frames: it is drawn as often as one that is full.
        self.until = np.cumsum(np.where(self.usable > 0, np.maximum(self.usable, length), 0))

    def draw(self, seed: int, step: int, batch: int) -> tuple[Tensor, Tensor]:
        """Frames [batch, length, width] and which of them are real [batch, length]: all or none of a code's four."""
        clip, middle = self._drawn(seed, step, batch)
        first = np.clip(middle - self.length // 2, 0, np.maximum(self.usable[clip] - self.length, 0))
        rows = first[:, None] + np.arange(self.length)
        real = rows < self.usable[clip][:, None]
        rows = self.firsts[clip][:, None] + np.where(real, rows, first[:, None])
        return self.frames[torch.from_numpy(rows)], torch.from_numpy(real)

    def drawn_from(self, seed: int, step: int, batch: int) -> list[str]:
        """The clips [batch] of the windows that the same arguments draw."""
        return [self.names[clip] for clip in self._drawn(seed, step, batch)[0]]

    def _drawn(self, seed: int, step: int, batch: int) -> tuple[np.ndarray, np.ndarray]:
        """Clips [batch] by their frames, and the middle frames [batch] of windows within them."""
        drawn = rng(seed, "windows", step).integers(self.until[-1], size=batch)
        clip = np.searchsorted(self.until, drawn, side="right")
        return clip, drawn - np.concatenate([[0], self.until])[clip]


def train(
    params: TrainTokenizerParams,
    clips: Mapping[str, np.ndarray],
    heldout: Mapping[str, np.ndarray],
    mean: np.ndarray,
    std: np.ndarray,
    kept: Checkpoints,
) -> tuple[MotionTokenizer, Journal]:
    """Train on clips [frames, 263 or 251] by their ids; by what is heldout (val) the best weights are chosen.

    Raises `ModelError` at the first step whose loss or gradient is not finite, with the clips that it was drawn from.
    """
    with threads(params.threads):
        windows = Windows(clips, params.window)
        net, optimizer, journal, done = _begin(params, windows, Windows(clips, FRAMES_PER_CODE), mean, std, kept)
        tokenizer = MotionTokenizer(net, params.net)
        some = _some(heldout, params)
        for step in range(done, params.steps):
            if params.patience and looks_since_best(journal) >= params.patience:
                break
            numbers = _step(params, net, optimizer, windows, step)
            if (step + 1) % params.log_every == 0 or step + 1 == params.steps:
                journal.note(step + 1, **numbers)
            score = None
            if (step + 1) % params.measure_every == 0 or step + 1 == params.steps:
                seen = measure(tokenizer, some, tokenizer.encode_apart)
                journal.note(step + 1, **{f"look_{name}": value for name, value in seen.items()})
                score = seen["mpjpe_mm"] if params.patience and looks_since_best(journal) == 0 else None
            if kept.due(step + 1) or score is not None:
                kept.save(Saved(step + 1, pack(net, optimizer), {"journal": journal.state()}, score))
        if params.patience and (best := kept.best()) is not None:
            unpack(best.tensors, net, optimizer)
            print(f"{STAGE}: the weights of step {best.step} are the result", flush=True)
        seen = measure(tokenizer, list(heldout.values()), tokenizer.encode)
        journal.note(params.steps, **{f"heldout_{name}": value for name, value in seen.items()})
    return tokenizer, journal


def looks_since_best(journal: Journal) -> int:
    """How many looks at the val split were taken since the least error, the earlier of equals; 0 before the first."""
    found = [row.value for row in journal.rows if row.name == "look_mpjpe_mm"]
    return len(found) - 1 - found.index(min(found)) if found else 0


def _some(heldout: Mapping[str, np.ndarray], params: TrainTokenizerParams) -> list[np.ndarray]:
    """By their hashes, and not by their names, which begin with the corpus."""
    return [heldout[name] for name in sorted(heldout, key=lambda name: derive(params.seed, name))[: params.measured]]


def _begin(
    params: TrainTokenizerParams, windows: Windows, patches: Windows, mean: np.ndarray, std: np.ndarray,
    kept: Checkpoints,
) -> tuple[VqVae, torch.optim.AdamW, Journal, int]:  # fmt: skip
    net = _fresh(params, mean, std)
    optimizer = torch.optim.AdamW(net.parameters(), betas=(0.9, 0.99), weight_decay=0.0, fused=True)
    journal, done = resume(STAGE, net, optimizer, kept)
    if not done:
        _start(params, net, windows, patches)
    return net, optimizer, journal, done


@torch.no_grad()
def _start(params: TrainTokenizerParams, net: VqVae, windows: Windows, patches: Windows) -> None:
    """Begin from the data: layers from components of patches, codes from clusters of what these make of windows."""
    seed = derive(params.seed, "patches")
    drawn = net.normalise(patches.draw(seed, 0, PATCHES)[0])
    _measurable(drawn, patches.drawn_from(seed, 0, PATCHES), step=0)
    part = part_weights(params.weights, len(net.mean)) * len(net.mean)
    net.begin(components(drawn, part, params.net.width, params.net.code_width))
    outputs = []
    for step in range(-(-FIRST_WINDOWS // params.batch)):
        frames, real = windows.draw(derive(params.seed, "codes"), step, params.batch)
        codes = net.encoder((net.normalise(frames) * real[..., None]).transpose(1, 2)).transpose(1, 2)
        outputs.append(codes[real[:, ::FRAMES_PER_CODE]])
    net.codebook.start(torch.cat(outputs).T[None], generator(derive(params.seed, "codebook")))


def _measurable(drawn: Tensor, names: Sequence[str], step: int) -> None:
    """Raises `ModelError` with the clips, and these alone, of what was drawn and has no finite square: no component and
    no loss of it would be a number."""
    is_bad = ~torch.isfinite(drawn.square().flatten(1).sum(dim=1))
    if bad := sorted({names[row] for row in is_bad.nonzero()[:, 0].tolist()}):
        finite(STAGE, step, math.nan, math.nan, bad)


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
    target, clips = net.normalise(frames) * real[..., None], windows.drawn_from(params.seed, step, params.batch)
    _measurable(target, clips, step + 1)
    with reduced(params.precision):
        outputs = net.encoder(target.transpose(1, 2)).float()
    draws = generator(derive(params.seed, "codebook", step))
    quantised: Quantised = net.codebook(outputs)
    with reduced(params.precision):
        decoded = net.decoder(quantised.vectors).transpose(1, 2).float()
    reconstruction, velocity = _errors(params.weights, decoded, target, real)
    astray, pace = _gaps(decoded * net.std + net.mean, frames, real)
    loss = reconstruction + params.velocity * velocity + params.world * astray + params.pace * pace
    whole = real[:, ::FRAMES_PER_CODE]
    commitment = _mean(quantised.distances, whole)
    loss = loss + params.commitment * commitment

    set_rate(optimizer, learning_rate(step, params.learning_rate, params.warmup, params.steps))
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    finite(STAGE, step + 1, loss.item(), norm.item(), list(dict.fromkeys(clips)))
    optimizer.step()
    codes = quantised.codes[whole]
    net.codebook.update(outputs.detach().transpose(1, 2)[whole].T[None], codes, params.decay, draws)
    return {
        "reconstruction": reconstruction.item(),
        "velocity": velocity.item(),
        "world_mm": 1000.0 * astray.item(),
        "pace_mm": 1000.0 * pace.item(),
        "commitment": commitment.item(),
        "perplexity": perplexity(codes.numpy(), params.net.codes),
    }


def _errors(weights: PartWeights, decoded: Tensor, target: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
    """Smooth L1 of frames and of their changes, weighted by part, over real frames only."""
    part = part_weights(weights, target.shape[-1])
    frame = functional.smooth_l1_loss(decoded, target, beta=SMALL, reduction="none") @ part
    steps, true_steps = decoded.diff(dim=1), target.diff(dim=1)
    change = functional.smooth_l1_loss(steps, true_steps, beta=SMALL, reduction="none") @ part
    return _mean(frame, real), _mean(change, real[:, 1:] & real[:, :-1])


def _mean(values: Tensor, real: Tensor) -> Tensor:
    """Of values [batch, frames or positions] at real ones."""
    return (values * real).sum() / real.sum()


def _gaps(decoded: Tensor, frames: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
    """How far joints are from where they should be, and their steps from a frame to the next from what they should be:
    means over real frames [batch, frames, width], in metres."""
    gap = world.gaps(decoded, frames)
    return _mean(world.lengths(gap), real), _mean(world.lengths(gap.diff(dim=1)), real[:, 1:] & real[:, :-1])


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


def measure(
    tokenizer: MotionTokenizer,
    motions: Sequence[np.ndarray],
    encode: Callable[[Sequence[np.ndarray]], list[list[int]]],
) -> dict[str, float]:
    """Reconstruction of whole clips: joint error in mm, in place and with the drift of the root, and codes in use."""
    cropped = _whole_codes(motions)
    codes = encode(cropped)
    gaps = np.array([errors(*pair) for pair in zip(cropped, tokenizer.decode(codes), strict=True)]).mean(axis=0)
    used = np.concatenate([np.array(row) for row in codes])
    return {
        "mpjpe_mm": float(gaps[0]),
        "local_mpjpe_mm": float(gaps[1]),
        "perplexity": perplexity(used, tokenizer.codes),
    }


def _whole_codes(motions: Sequence[np.ndarray]) -> list[np.ndarray]:
    return [motion[: len(motion) // FRAMES_PER_CODE * FRAMES_PER_CODE] for motion in motions]


def errors(truth: np.ndarray, again: np.ndarray) -> tuple[float, float]:
    """Mean joint error, mm, of a clip [frames, 263 or 251] and its reconstruction: in the world, and in place."""
    kind = representation.of(truth.shape[1])
    # These columns are joints relative to the root, in its heading: their error knows no drift.
    local = (truth[:, kind.positions] - again[:, kind.positions]).reshape(len(truth), -1, 3)
    world = features.to_joints(truth) - features.to_joints(again)
    millimetre = kind.metre / 1000.0
    return tuple(float(np.linalg.norm(gap, axis=-1).mean()) / millimetre for gap in (world, local))  # type: ignore[return-value]


def errors_by_kind(
    tokenizer: MotionTokenizer, motions: Sequence[np.ndarray], kinds: Sequence[str]
) -> dict[str, dict[str, float]]:
    """The same for each kind of motion, and of how many clips."""
    found: dict[str, list[tuple[float, float]]] = {}
    truths = _whole_codes(motions)
    for truth, again, kind in zip(truths, tokenizer.decode(tokenizer.encode(truths)), kinds, strict=True):
        found.setdefault(kind, []).append(errors(truth, again))
    means = {kind: np.mean(pairs, axis=0).round(3).tolist() for kind, pairs in sorted(found.items())}
    return {
        kind: {"clips": len(found[kind]), "mpjpe_mm": astray, "local_mpjpe_mm": local}
        for kind, (astray, local) in means.items()
    }
