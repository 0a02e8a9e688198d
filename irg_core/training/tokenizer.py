"""Training of the motion tokenizer: windows of frames in, the same windows out, through one code for every four.

Speed and turning of the root are three of 263 numbers, or of 251, but their errors add up over a clip and carry the
whole body away: hence a loss on where the sums have put the joints, and on how these move there. Distances count, not
their squares: squares forget a hand that waves by a few centimetres over a body that runs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from irg_core.errors import ParamsError
from irg_core.models.vqvae import FRAMES_PER_CODE, MotionTokenizer, Quantised, VqConfig, VqVae
from irg_core.motion import features, representation
from irg_core.seeds import derive, rng
from irg_core.training.checkpoint import Checkpoints, Saved, pack, unpack
from irg_core.training.journal import Journal, resume
from irg_core.training.patches import components
from irg_core.training.schedule import Precision, generator, learning_rate, reduced, set_rate, threads

STAGE = "train_tokenizer"
SMALL = 0.1
"""z-scores below which an error counts by its square: there its direction is mostly noise."""
PATCHES = 8192
"""Patches of four frames whose principal components the net begins with."""
FIRST_WINDOWS = 512
"""Windows whose encoder outputs the codes begin among."""
NEARLY = 1e-8
"""Under roots of squared metres, whose slope is infinite at nothing."""


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
    """Train on clips [frames, 263 or 251]; by what is heldout (val) the best weights are chosen."""
    with threads(params.threads):
        windows = Windows(motions, params.window)
        net, optimizer, journal, done = _begin(params, windows, Windows(motions, FRAMES_PER_CODE), mean, std, kept)
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
                seen = measure(tokenizer, some)
                journal.note(step + 1, **{f"look_{name}": value for name, value in seen.items()})
                score = seen["mpjpe_mm"] if params.patience and looks_since_best(journal) == 0 else None
            if kept.due(step + 1) or score is not None:
                kept.save(Saved(step + 1, pack(net, optimizer), {"journal": journal.state()}, score))
        if params.patience and (best := kept.best()) is not None:
            unpack(best.tensors, net, optimizer)
            print(f"{STAGE}: the weights of step {best.step} are the result", flush=True)
        journal.note(params.steps, **{f"heldout_{name}": value for name, value in measure(tokenizer, heldout).items()})
    return tokenizer, journal


def looks_since_best(journal: Journal) -> int:
    """How many looks at the val split were taken since the least error, the earlier of equals; 0 before the first."""
    found = [row.value for row in journal.rows if row.name == "look_mpjpe_mm"]
    return len(found) - 1 - found.index(min(found)) if found else 0


def _some(heldout: Sequence[np.ndarray], params: TrainTokenizerParams) -> list[np.ndarray]:
    drawn = rng(params.seed, "looks").permutation(len(heldout))[: params.measured]
    return [heldout[row] for row in sorted(drawn.tolist())]


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
    drawn, _ = patches.draw(derive(params.seed, "patches"), 0, PATCHES)
    part = part_weights(params.weights, len(net.mean)) * len(net.mean)
    net.begin(components(net.normalise(drawn), part, params.net.width, params.net.code_width))
    outputs = []
    for step in range(-(-FIRST_WINDOWS // params.batch)):
        frames, real = windows.draw(derive(params.seed, "codes"), step, params.batch)
        codes = net.encoder((net.normalise(frames) * real[..., None]).transpose(1, 2)).transpose(1, 2)
        outputs.append(codes[real[:, ::FRAMES_PER_CODE]])
    net.codebook.start(torch.cat(outputs).T[None], generator(derive(params.seed, "codebook")))


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
    quantised: Quantised = net.codebook(outputs)
    with reduced(params.precision):
        decoded = net.decoder(quantised.vectors).transpose(1, 2).float()
    reconstruction, velocity = _errors(params.weights, decoded, target, real)
    world, pace = _gaps(decoded * net.std + net.mean, frames, real)
    loss = reconstruction + params.velocity * velocity + params.world * world + params.pace * pace
    loss = loss + params.commitment * quantised.commitment

    set_rate(optimizer, learning_rate(step, params.learning_rate, params.warmup, params.steps))
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    optimizer.step()
    whole = real[:, ::FRAMES_PER_CODE]
    net.codebook.update(outputs.detach().transpose(1, 2)[whole].T[None], quantised.codes[whole], params.decay, draws)
    return {
        "reconstruction": reconstruction.item(),
        "velocity": velocity.item(),
        "world_mm": 1000.0 * world.item(),
        "pace_mm": 1000.0 * pace.item(),
        "commitment": quantised.commitment.item(),
        "perplexity": perplexity(quantised.codes.reshape(-1).numpy(), params.net.codes),
    }


def _errors(weights: PartWeights, decoded: Tensor, target: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
    """Smooth L1 of frames and of their changes, weighted by part, over real frames only."""
    part = part_weights(weights, target.shape[-1])
    frame = functional.smooth_l1_loss(decoded, target, beta=SMALL, reduction="none") @ part
    steps, true_steps = decoded.diff(dim=1), target.diff(dim=1)
    change = functional.smooth_l1_loss(steps, true_steps, beta=SMALL, reduction="none") @ part
    return _mean(frame, real), _mean(change, real[:, 1:] & real[:, :-1])


def _mean(values: Tensor, real: Tensor) -> Tensor:
    """Of values [batch, frames] at real frames."""
    return (values * real).sum() / real.sum()


def _gaps(decoded: Tensor, frames: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
    """How far joints are from where they should be, and their steps from a frame to the next from what they should be:
    means over real frames [batch, frames, width], in metres."""
    metre = representation.of(frames.shape[-1]).metre
    gap = (world_joints(decoded) - world_joints(frames)) / metre
    return _mean(_lengths(gap), real), _mean(_lengths(gap.diff(dim=1)), real[:, 1:] & real[:, :-1])


def _lengths(gaps: Tensor) -> Tensor:
    """Mean length [batch, frames] of vectors [batch, frames, joints, 3]."""
    return (gaps.square().sum(dim=-1) + NEARLY).sqrt().mean(dim=-1)


def world_joints(rows: Tensor) -> Tensor:
    """`features.to_joints` for gradients: joints [batch, frames, J, 3] of rows [batch, frames, 263 or 251], in the unit
    of the rows."""
    kind = representation.of(rows.shape[-1])
    half = _until(rows[..., 0]).cumsum(dim=1)
    cosine, sine = torch.cos(2.0 * half), -torch.sin(2.0 * half)
    x, z = (part.cumsum(dim=1) for part in _turned(cosine, sine, _until(rows[..., 1]), _until(rows[..., 2])))
    others = rows[..., kind.positions].unflatten(-1, (-1, 3))
    across, along = _turned(cosine[..., None], sine[..., None], others[..., 0], others[..., 2])
    root = torch.stack([x, rows[..., 3], z], dim=-1)
    return torch.cat(
        [root[..., None, :], torch.stack([across + x[..., None], others[..., 1], along + z[..., None]], dim=-1)], dim=-2
    )


def _turned(cosine: Tensor, sine: Tensor, x: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    return cosine * x + sine * z, cosine * z - sine * x


def _until(values: Tensor) -> Tensor:
    """What has happened before each frame [batch, frames], where a value tells of the way to the next."""
    return functional.pad(values[:, :-1], (1, 0))


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
    gaps = np.array([errors(*pair) for pair in zip(cropped, tokenizer.decode(codes), strict=True)]).mean(axis=0)
    used = np.concatenate([np.array(row) for row in codes])
    return {
        "mpjpe_mm": float(gaps[0]),
        "local_mpjpe_mm": float(gaps[1]),
        "perplexity": perplexity(used, tokenizer.codes),
    }


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
    for motion, kind in zip(motions, kinds, strict=True):
        truth = motion[: len(motion) // FRAMES_PER_CODE * FRAMES_PER_CODE]
        found.setdefault(kind, []).append(errors(truth, tokenizer.decode(tokenizer.encode([truth]))[0]))
    means = {kind: np.mean(pairs, axis=0).round(3).tolist() for kind, pairs in sorted(found.items())}
    return {
        kind: {"clips": len(found[kind]), "mpjpe_mm": world, "local_mpjpe_mm": local}
        for kind, (world, local) in means.items()
    }
