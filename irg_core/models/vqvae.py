"""The motion tokenizer: a 1-D convolutional VQ-VAE that turns four frames into one code.

Four frames enter as one patch and leave as one, so that all layers work at the rate of the codes. Four frames of motion
lie close to a plane of some thirty dimensions: the net begins as the projection onto it and back, which no training
from random weights comes near within the first thousand steps, and its blocks begin at zero.

Codes begin at the means of clusters and are learned by moving averages, not by gradients. A code that hardly anything
falls to any more is put on an encoder output of the current batch, or most of a codebook dies.

The nearest codes round a root's speed, and the errors add up: clips are encoded so that they keep to their paths.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from irg_core.errors import ModelError
from irg_core.files import read_json, write_json
from irg_core.fingerprints import seal
from irg_core.models import folders, world

FRAMES_PER_CODE = 4
DILATION_GROWTH = 3
LLOYD_ROUNDS = 10
STARVED = 0.2
"""Of its even share of use; a code that has less begins anew elsewhere."""
FAINTEST = 0.01
"""Spread below which a direction's numbers are not enlarged: they would be noise."""
CLIPS_PER_BATCH = 32
FEEDBACKS = 12
"""Times at most that a clip is encoded again for its path. Drift falls with each, less and less; time grows with it."""
NEAR_ENOUGH = 0.025
"""Metres that joints are off at which a clip is left as it is: little of it is drift."""
FEEDBACK_FRAMES = 13
"""Over which a lack of speed is told, some three codes: within one there is nothing to choose."""
PATH = slice(0, 3)
"""The numbers of a row that are summed: the root's turning and speed."""


@dataclass(frozen=True)
class VqConfig:
    """The sizes of the net."""

    width: int
    """Channels of every layer. Time grows with its square; reconstruction error falls slowly."""
    depth: int
    """Residual blocks in encoder and decoder each, dilated 1, 3, 9, …: how many codes away a code is still felt."""
    codes: int
    """Size of the codebook. More codes say more of a motion, and are harder to predict from text."""
    code_width: int
    """Numbers in one code vector, the principal components of four frames that it can tell apart. Fewer leave detail
    out; more let what does not matter decide which code is the nearest."""


class Quantised(NamedTuple):
    """What the codebook made of encoder outputs [batch, width, positions]."""

    vectors: Tensor
    """The nearest codes; gradients pass straight through to the encoder."""
    codes: Tensor
    """Their indices [batch, positions]."""
    distances: Tensor
    """Mean squared distances [batch, positions] of the encoder's outputs to their codes."""


class Components(NamedTuple):
    """The directions in which patches of z-normalised frames differ most, largest first."""

    centre: Tensor
    """The mean patch [4 x features], one frame after the other."""
    into: Tensor
    """[n, 4 x features]: a patch, less the mean, to its coordinates."""
    back: Tensor
    """[4 x features, n]: coordinates to a patch, less the mean."""
    spread: Tensor
    """Standard deviations [n] of the coordinates."""


class Block(nn.Module):
    """A residual block: one dilated convolution, one that mixes channels."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.dilated = nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation)
        self.mix = nn.Conv1d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.mix(functional.relu(self.dilated(functional.relu(x))))


class Codebook(nn.Module):
    """Code vectors, with the moving sums that they are the quotient of."""

    vectors: Tensor
    counts: Tensor
    sums: Tensor

    def __init__(self, codes: int, width: int) -> None:
        super().__init__()
        self.register_buffer("vectors", torch.zeros(codes, width))
        self.register_buffer("counts", torch.zeros(codes))
        self.register_buffer("sums", torch.zeros(codes, width))

    def nearest(self, x: Tensor) -> Tensor:
        """The index of the nearest code for each row of x [n, width]."""
        distances = self.vectors.square().sum(1) - 2 * x @ self.vectors.T
        return distances.argmin(1)

    def forward(self, x: Tensor) -> Quantised:
        x = x.float()
        flat = x.transpose(1, 2)
        codes = self.nearest(flat.reshape(-1, flat.shape[-1]).detach()).view(flat.shape[:-1])
        chosen = self.vectors[codes].transpose(1, 2)
        return Quantised(x + (chosen - x).detach(), codes, (x - chosen).square().mean(dim=1))

    @torch.no_grad()
    def update(self, x: Tensor, codes: Tensor, decay: float, generator: torch.Generator) -> None:
        """Move each code towards the outputs [batch, width, positions] that fell to it; revive those that starve."""
        flat = x.float().transpose(1, 2).reshape(-1, x.shape[1])
        member = functional.one_hot(codes.reshape(-1), len(self.vectors)).float()
        self.counts.mul_(decay).add_(member.sum(0), alpha=1 - decay)
        self.sums.mul_(decay).add_(member.T @ flat, alpha=1 - decay)
        self._place(flat, self.counts < STARVED * len(flat) / len(self.vectors), generator)

    @torch.no_grad()
    def start(self, x: Tensor, generator: torch.Generator) -> None:
        """Put the codes on means of clusters of encoder outputs [batch, width, positions]: k-means++, then Lloyd."""
        flat = x.float().transpose(1, 2).reshape(-1, x.shape[1])
        self.vectors.copy_(_far_apart(flat, len(self.vectors), generator))
        for _ in range(LLOYD_ROUNDS):
            member = functional.one_hot(self.nearest(flat), len(self.vectors)).float()
            share = member.sum(0)[:, None]
            self.vectors.copy_(torch.where(share > 0, member.T @ flat / share.clamp(min=1.0), self.vectors))
        self.counts.fill_(1.0)
        self.sums.copy_(self.vectors)

    def _place(self, flat: Tensor, starved: Tensor, generator: torch.Generator) -> None:
        order = torch.randperm(len(flat), generator=generator)
        drawn = flat[order.repeat(1 + len(starved) // len(flat))[: len(starved)]]
        # Copies of one output would share their members for ever; a little noise tells them apart.
        drawn = drawn + 0.01 * flat.std() * torch.randn(drawn.shape, generator=generator)
        even = len(flat) / len(starved)
        self.counts.masked_fill_(starved, even)
        self.sums[starved] = even * drawn[starved]
        self.vectors.copy_(self.sums / self.counts[:, None])


def _far_apart(points: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Some of the points [n, width], each drawn by its squared distance to those before it (Arthur and Vassilvitskii
    2007); copies where there are fewer."""
    rows = [int(torch.randint(len(points), (1,), generator=generator))]
    left = torch.full((len(points),), torch.inf)
    for _ in range(count - 1):
        left = torch.minimum(left, (points - points[rows[-1]]).square().sum(1))
        rows.append(int(torch.multinomial(left + 1e-12, 1, generator=generator)))
    return points[rows]


class VqVae(nn.Module):
    """Encoder, codebook, decoder over z-normalised features [batch, width, frames]; frames a multiple of four."""

    mean: Tensor
    std: Tensor

    def __init__(self, config: VqConfig, features: int) -> None:
        super().__init__()
        width, patch = config.width, FRAMES_PER_CODE
        self.encoder = nn.Sequential(
            nn.Conv1d(features, width, patch, stride=patch), *_stack(config), nn.Conv1d(width, config.code_width, 1)
        )
        self.codebook = Codebook(config.codes, config.code_width)
        self.decoder = nn.Sequential(
            nn.Conv1d(config.code_width, width, 3, padding=1), *_stack(config), nn.Conv1d(width, patch * features, 1),
            Frames(),
        )  # fmt: skip
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("std", torch.ones(features))

    def normalise(self, features: Tensor) -> Tensor:
        """[..., frames, width] as measured -> z-scores."""
        return (features - self.mean) / self.std

    @torch.no_grad()
    def begin(self, components: Components) -> None:
        """Make the net the projection of patches onto as many components as a code has numbers, and back.

        Within the net the spread of components is evened out half-way, for gradients; what is quantised has them as
        they are, so that the nearest code is the one that decodes to the nearest patch.
        """
        first, narrow, widen, last = _convolutions(self.encoder[0], self.encoder[-1], self.decoder[0], self.decoder[-2])
        n = min(len(components.spread), first.out_channels)
        m = min(n, narrow.out_channels)
        into, back = components.into[:n], components.back[:, :n]
        room = components.spread[:n].clamp(min=FAINTEST).sqrt()
        first.weight[:n] = (into / room[:, None]).view(n, FRAMES_PER_CODE, -1).transpose(1, 2)
        first.bias[:n] = -(into @ components.centre) / room
        for layer in (narrow, widen, last, *(block.mix for block in self.modules() if isinstance(block, Block))):
            layer.weight.zero_()
            layer.bias.zero_()
        narrow.weight[:m, :m, 0] = room[:m].diag()
        widen.weight[:m, :m, 1] = (1.0 / room[:m]).diag()
        last.weight[:, :n, 0] = back * room
        last.bias.copy_(components.centre)


def _convolutions(*layers: nn.Module) -> list[Any]:
    """Layers of a `Sequential`, whose type does not tell that they have weight and bias."""
    return list(layers)


class Frames(nn.Module):
    """Patches [batch, 4 x features, positions] as frames [batch, features, 4 x positions]."""

    def forward(self, x: Tensor) -> Tensor:
        batch, _, positions = x.shape
        apart = x.reshape(batch, FRAMES_PER_CODE, -1, positions).permute(0, 2, 3, 1)
        return apart.reshape(batch, -1, FRAMES_PER_CODE * positions)


def _stack(config: VqConfig) -> list[Block]:
    return [Block(config.width, DILATION_GROWTH**level) for level in reversed(range(config.depth))]


class MotionTokenizer:
    """A trained VQ-VAE between features and codes; always float32, so that equal clips give equal codes."""

    def __init__(self, net: VqVae, config: VqConfig) -> None:
        self.net = net.eval()
        self.config = config

    @property
    def codes(self) -> int:
        return self.config.codes

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Raises `ModelError` where the folder holds no tokenizer, or is damaged."""
        folders.intact(folder, "run `dvc repro train_tokenizer`")
        try:
            config = VqConfig(**read_json(folder / "config.json"))
            weights = load_file(folder / "model.safetensors")
            net = VqVae(config, len(weights["mean"]))
            net.load_state_dict(weights)
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
            raise ModelError(
                f"{folder} holds no motion tokenizer ({error}); run `dvc repro train_tokenizer`"
            ) from error
        return cls(net, config)

    def save(self, folder: Path) -> None:
        save_file(
            {name: tensor.contiguous() for name, tensor in self.net.state_dict().items()}, folder / "model.safetensors"
        )
        write_json(folder / "config.json", asdict(self.config))
        seal(folder)

    def encode(self, motions: Sequence[np.ndarray]) -> list[list[int]]:
        """The codes of clips [frames, width], one for every four frames, that keep to their paths; up to three last
        frames are cropped."""
        return self._encoded(motions, self._on_path)

    def encode_apart(self, motions: Sequence[np.ndarray]) -> list[list[int]]:
        """The same with the nearest code for each four frames, whatever their errors add up to: a tenth of the time."""
        return self._encoded(motions, self._nearest)

    @torch.inference_mode()
    def _encoded(self, motions: Sequence[np.ndarray], codes_of: Callable[[Tensor], Tensor]) -> list[list[int]]:
        answers: list[list[int]] = [[] for _ in motions]
        for rows, length in _equal_lengths([len(motion) // FRAMES_PER_CODE for motion in motions]):
            stacked = torch.from_numpy(np.stack([motions[row][: length * FRAMES_PER_CODE] for row in rows]))
            for row, codes in zip(rows, codes_of(stacked).tolist(), strict=True):
                answers[row] = codes
        return answers

    def _nearest(self, stacked: Tensor) -> Tensor:
        """Codes [batch, positions] of features [batch, frames, width]."""
        codes: Tensor = self.net.codebook(self.net.encoder(self.net.normalise(stacked).transpose(1, 2))).codes
        return codes

    def _frames(self, codes: Tensor) -> Tensor:
        """Features [batch, frames, width] of codes [batch, positions]."""
        frames: Tensor = self.net.decoder(self.net.codebook.vectors[codes].transpose(1, 2)).transpose(1, 2)
        return frames * self.net.std + self.net.mean

    def _on_path(self, stacked: Tensor) -> Tensor:
        """Codes [batch, positions] by feedback: what the root came out too slow is asked for on top, a few times over.

        A code rounds the speed of the root, and a clip's roundings are alike: a run whose codes are all a little slow
        ends decimetres short. Whichever codes leave the joints nearest to where they should be are the answer.
        """
        asked, best = stacked.clone(), self._nearest(stacked)
        again = self._frames(best)
        least = _astray(again, stacked)
        for _ in range(FEEDBACKS):
            if not len(rows := (least > NEAR_ENOUGH).nonzero()[:, 0]):
                break
            asked[rows, :, PATH] += _smooth((stacked[rows] - again[rows])[..., PATH])
            codes = self._nearest(asked[rows])
            again[rows] = self._frames(codes)
            gaps = _astray(again[rows], stacked[rows])
            is_nearer = gaps < least[rows]
            best[rows[is_nearer]], least[rows[is_nearer]] = codes[is_nearer], gaps[is_nearer]
        return best

    @torch.inference_mode()
    def decode(self, codes: Sequence[Sequence[int]]) -> list[np.ndarray]:
        """Features [4 x codes, width] of each list of codes; an empty list gives no frames. Raises on foreign codes."""
        if (largest := max((code for row in codes for code in row), default=0)) >= self.codes:
            raise ModelError(
                f"code {largest} is not among the {self.codes} of this tokenizer; encode with the same one"
            )
        answers = [np.zeros((0, len(self.net.mean)), dtype=np.float32) for _ in codes]
        for rows, _ in _equal_lengths([len(row) for row in codes]):
            decoded = self._frames(torch.tensor([list(codes[row]) for row in rows]))
            for row, features in zip(rows, decoded.numpy(), strict=True):
                answers[row] = features
        return answers


def _astray(rows: Tensor, truth: Tensor) -> Tensor:
    """Mean distance [batch] of joints from where they should be, in the world."""
    return world.lengths(world.gaps(rows, truth)).mean(dim=1)


def _smooth(values: Tensor) -> Tensor:
    """Running means of [batch, frames, n]."""
    return functional.avg_pool1d(
        values.transpose(1, 2), FEEDBACK_FRAMES, 1, FEEDBACK_FRAMES // 2, count_include_pad=False
    ).transpose(1, 2)


def _equal_lengths(lengths: Sequence[int]) -> list[tuple[list[int], int]]:
    """Rows in batches of one length each: padding would leak into the last codes of shorter clips."""
    buckets: dict[int, list[int]] = {}
    for row, length in enumerate(lengths):
        if length:
            buckets.setdefault(length, []).append(row)
    return [
        (rows[start : start + CLIPS_PER_BATCH], length)
        for length, rows in sorted(buckets.items())
        for start in range(0, len(rows), CLIPS_PER_BATCH)
    ]
