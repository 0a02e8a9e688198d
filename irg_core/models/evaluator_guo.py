"""The field's evaluator in the manner of Guo et al. (2022): movement convolutions, then recurrent nets both ways.

Points are not normalised; wrong pairs are pushed apart up to a margin. Written from the paper's description;
`evaluator_published` is the net as it was published, for those who have its weights.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

CONTACTS = 4


def reads(width: int) -> int:
    """Of a row of so many numbers, how many from its start: all but the foot contacts, which are near-binary and would
    dominate after normalising."""
    return width - CONTACTS


class Recurrent(nn.Module):
    """A two-way GRU whose last states, from both ends, become one point."""

    def __init__(self, inputs: int, width: int, layers: int, embedding: int) -> None:
        super().__init__()
        self.gru = nn.GRU(inputs, width, layers, batch_first=True, bidirectional=True)
        self.point = nn.Sequential(
            nn.Linear(2 * width, width), nn.LayerNorm(width), nn.LeakyReLU(0.2), nn.Linear(width, embedding)
        )

    def forward(self, steps: Tensor, lengths: Tensor) -> Tensor:
        packed = nn.utils.rnn.pack_padded_sequence(steps, lengths, batch_first=True, enforce_sorted=False)
        _, last = self.gru(packed)
        return self.point(torch.cat([last[-2], last[-1]], dim=-1))


class MotionEncoder(nn.Module):
    """Two stride-2 convolutions take four frames to one step; a `Recurrent` reads the steps."""

    def __init__(self, features: int, width: int, layers: int, embedding: int) -> None:
        super().__init__()
        self.movement = nn.ModuleList([nn.Conv1d(features, width, 4, 2, 1), nn.Conv1d(width, width, 4, 2, 1)])
        self.steps = nn.Linear(width, width)
        self.recurrent = Recurrent(width, width, layers, embedding)

    def forward(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Frames [n, T, features] to points [n, embedding]."""
        signal, remaining = frames, lengths
        for convolution in self.movement:
            signal, remaining = functional.leaky_relu(halved(signal, convolution), 0.2), remaining // 2
            # Padding must stay zero, or a row's last step would depend on the rows beside it.
            signal = signal * (torch.arange(signal.shape[1]) < remaining[:, None])[..., None]
        return self.recurrent(self.steps(signal), remaining)


def halved(signal: Tensor, convolution: nn.Module) -> Tensor:
    """A convolution of width 4, stride 2 and padding 1 over [n, T, channels], T even, to [n, T/2, channels].

    As one product of the four frames of each step: twice as fast on a processor as the library's convolution.
    """
    windows = functional.pad(signal, (0, 0, 1, 1)).unfold(1, 4, 2)
    weight: Tensor = convolution.weight  # type: ignore[assignment]
    bias: Tensor = convolution.bias  # type: ignore[assignment]
    return functional.linear(windows.transpose(2, 3).flatten(2), weight.transpose(1, 2).flatten(1), bias)


class TextEncoder(nn.Module):
    """Word vectors, learned here, read by a `Recurrent`."""

    def __init__(self, words: int, width: int, layers: int, embedding: int) -> None:
        super().__init__()
        self.words = nn.Embedding(words, width, padding_idx=0)
        self.recurrent = Recurrent(width, width, layers, embedding)

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """Word indices [n, L] to points [n, embedding]."""
        return self.recurrent(self.words(tokens), lengths)


def contrast(texts: Tensor, motions: Tensor, wrong: Tensor, margin: float) -> Tensor:
    """The contrastive margin loss over all pairs of a batch.

    Right pairs (the diagonal) pay their squared distance; pairs marked in `wrong` [n, n] pay what they lack of the
    margin, squared. Pairs that are neither, captions too alike to call the other motion wrong, pay nothing.
    """
    distances = (texts[:, None] - motions[None]).square().sum(-1).add(1e-9).sqrt()
    lacking = functional.relu(margin - distances).square()
    hardest = torch.cat([(lacking * wrong).amax(0), (lacking * wrong).amax(1)]).mean()
    return distances.diagonal().square().mean() + (lacking * wrong).sum() / wrong.sum().clamp(min=1) + hardest
