"""The motion tokenizer: a 1-D convolutional VQ-VAE that turns four frames into one code.

Codes are learned by moving averages, not by gradients. A code that nothing falls to any more is put on an encoder
output of the current batch, or most of a codebook dies within the first hundred steps.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from irg_core.errors import ModelError
from irg_core.files import read_json, write_json

FRAMES_PER_CODE = 4
DILATION_GROWTH = 3
CLIPS_PER_BATCH = 32


@dataclass(frozen=True)
class VqConfig:
    """The sizes of the net."""

    width: int
    """Channels of every layer. Time grows with its square; reconstruction error falls slowly."""
    depth: int
    """Residual blocks in each stack, dilated 1, 3, 9, …: how many frames one code can see."""
    codes: int
    """Size of the codebook. More codes say more of a motion, and are harder to predict from text."""
    code_width: int
    """Numbers in one code vector."""


class Quantised(NamedTuple):
    """What the codebook made of encoder outputs [batch, width, positions]."""

    vectors: Tensor
    """The nearest codes; gradients pass straight through to the encoder."""
    codes: Tensor
    """Their indices [batch, positions]."""
    commitment: Tensor
    """Mean squared distance of the encoder's outputs to their codes."""


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
        return Quantised(x + (chosen - x).detach(), codes, functional.mse_loss(x, chosen))

    @torch.no_grad()
    def update(self, x: Tensor, codes: Tensor, decay: float, generator: torch.Generator) -> None:
        """Move each code towards the outputs [batch, width, positions] that fell to it; revive those that starve."""
        flat = x.float().transpose(1, 2).reshape(-1, x.shape[1])
        member = functional.one_hot(codes.reshape(-1), len(self.vectors)).float()
        self.counts.mul_(decay).add_(member.sum(0), alpha=1 - decay)
        self.sums.mul_(decay).add_(member.T @ flat, alpha=1 - decay)
        self._place(flat, self.counts < 0.5, generator)

    @torch.no_grad()
    def start(self, x: Tensor, generator: torch.Generator) -> None:
        """Put every code on an encoder output."""
        flat = x.float().transpose(1, 2).reshape(-1, x.shape[1])
        self._place(flat, torch.ones(len(self.vectors), dtype=torch.bool), generator)

    def _place(self, flat: Tensor, starved: Tensor, generator: torch.Generator) -> None:
        order = torch.randperm(len(flat), generator=generator)
        drawn = flat[order.repeat(1 + len(starved) // len(flat))[: len(starved)]]
        # Copies of one output would share their members for ever; a little noise tells them apart.
        drawn = drawn + 0.01 * flat.std() * torch.randn(drawn.shape, generator=generator)
        self.counts.masked_fill_(starved, 1.0)
        self.sums[starved] = drawn[starved]
        self.vectors.copy_(self.sums / self.counts[:, None])


class VqVae(nn.Module):
    """Encoder, codebook, decoder over z-normalised features [batch, width, frames]; frames a multiple of four."""

    mean: Tensor
    std: Tensor

    def __init__(self, config: VqConfig, features: int) -> None:
        super().__init__()
        width = config.width
        self.encoder = nn.Sequential(
            nn.Conv1d(features, width, 3, padding=1), nn.ReLU(),
            nn.Conv1d(width, width, 4, stride=2, padding=1), *_stack(config),
            nn.Conv1d(width, width, 4, stride=2, padding=1), *_stack(config),
            nn.Conv1d(width, config.code_width, 3, padding=1),
        )  # fmt: skip
        self.codebook = Codebook(config.codes, config.code_width)
        self.decoder = nn.Sequential(
            nn.Conv1d(config.code_width, width, 3, padding=1), nn.ReLU(),
            *_stack(config), nn.Upsample(scale_factor=2), nn.Conv1d(width, width, 3, padding=1),
            *_stack(config), nn.Upsample(scale_factor=2), nn.Conv1d(width, width, 3, padding=1), nn.ReLU(),
            nn.Conv1d(width, width, 3, padding=1), nn.ReLU(), nn.Conv1d(width, features, 3, padding=1),
        )  # fmt: skip
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("std", torch.ones(features))

    def normalise(self, features: Tensor) -> Tensor:
        """[..., frames, width] as measured -> z-scores."""
        return (features - self.mean) / self.std


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
        """Raises `ModelError` where the folder holds no tokenizer."""
        try:
            config = VqConfig(**read_json(folder / "config.json"))
            weights = load_file(folder / "model.safetensors")
            net = VqVae(config, len(weights["mean"]))
            net.load_state_dict(weights)
        except (OSError, KeyError, TypeError, RuntimeError) as error:
            raise ModelError(
                f"{folder} holds no motion tokenizer ({error}); run `dvc repro train_tokenizer`"
            ) from error
        return cls(net, config)

    def save(self, folder: Path) -> None:
        save_file(
            {name: tensor.contiguous() for name, tensor in self.net.state_dict().items()}, folder / "model.safetensors"
        )
        write_json(folder / "config.json", asdict(self.config))

    @torch.inference_mode()
    def encode(self, motions: Sequence[np.ndarray]) -> list[list[int]]:
        """The codes of clips [frames, width], one for every four frames; up to three last frames are cropped."""
        answers: list[list[int]] = [[] for _ in motions]
        for rows, length in _equal_lengths([len(motion) // FRAMES_PER_CODE for motion in motions]):
            stacked = torch.from_numpy(np.stack([motions[row][: length * FRAMES_PER_CODE] for row in rows]))
            outputs = self.net.encoder(self.net.normalise(stacked).transpose(1, 2))
            for row, codes in zip(rows, self.net.codebook(outputs).codes.tolist(), strict=True):
                answers[row] = codes
        return answers

    @torch.inference_mode()
    def decode(self, codes: Sequence[Sequence[int]]) -> list[np.ndarray]:
        """Features [4 x codes, width] of each list of codes; an empty list gives no frames. Raises on foreign codes."""
        if (largest := max((code for row in codes for code in row), default=0)) >= self.codes:
            raise ModelError(
                f"code {largest} is not among the {self.codes} of this tokenizer; encode with the same one"
            )
        answers = [np.zeros((0, len(self.net.mean)), dtype=np.float32) for _ in codes]
        for rows, _ in _equal_lengths([len(row) for row in codes]):
            vectors = self.net.codebook.vectors[torch.tensor([list(codes[row]) for row in rows])]
            decoded = self.net.decoder(vectors.transpose(1, 2)).transpose(1, 2) * self.net.std + self.net.mean
            for row, features in zip(rows, decoded.numpy(), strict=True):
                answers[row] = features
        return answers


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
