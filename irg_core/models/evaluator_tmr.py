"""An evaluator in the manner of TMR (Petrovich et al. 2023): transformers over patches and words, and InfoNCE.

Points lie on the unit sphere, where Euclidean distance and cosine rank alike. Written from the paper's description.
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

PATCH = 4
LONGEST = 256
HEADS = 4
CONTACTS = 4


def reads(width: int) -> int:
    """Of a row of so many numbers, how many from its start: all but the foot contacts, as `evaluator_guo` does."""
    return width - CONTACTS


class Transformer(nn.Module):
    """Reads steps [n, L, width] with a summary token in front; its last state becomes the point."""

    def __init__(self, width: int, layers: int, embedding: int) -> None:
        super().__init__()
        self.summary = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(0.02 * torch.randn(1, LONGEST, width))
        layer = nn.TransformerEncoderLayer(width, HEADS, 4 * width, 0.0, "gelu", batch_first=True, norm_first=True)
        self.layers = nn.ModuleList([copy.deepcopy(layer) for _ in range(layers)])
        self.norm = nn.LayerNorm(width)
        self.point = nn.Linear(width, embedding)

    def forward(self, steps: Tensor, lengths: Tensor) -> Tensor:
        steps = torch.cat([self.summary.expand(len(steps), -1, -1), steps], dim=1)[:, :LONGEST]
        steps = steps + self.positions[:, : steps.shape[1]]
        is_padding = torch.arange(steps.shape[1]) > lengths[:, None]
        *layers, last = self.layers
        for layer in layers:
            steps = layer(steps, src_key_padding_mask=is_padding)
        summary = summarised(last, steps, is_padding)
        return functional.normalize(self.point(self.norm(summary)), dim=-1)


def summarised(layer: Any, steps: Tensor, is_padding: Tensor) -> Tensor:
    """The first state [n, width] after the last layer, which nobody asks for another: a third of the layer's work."""
    normed, own = layer.norm1(steps), steps[:, :1]
    heard, _ = layer.self_attn(normed[:, :1], normed, normed, key_padding_mask=is_padding, need_weights=False)
    own = own + heard
    own = own + layer.linear2(functional.gelu(layer.linear1(layer.norm2(own))))
    return own[:, 0]


class MotionEncoder(nn.Module):
    """Four frames make one patch, one step of the transformer."""

    def __init__(self, features: int, width: int, layers: int, embedding: int) -> None:
        super().__init__()
        self.patches = nn.Linear(PATCH * features, width)
        self.transformer = Transformer(width, layers, embedding)

    def forward(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Frames [n, T, features], T a multiple of the patch, to points [n, embedding]."""
        return self.transformer(self.patches(frames.unflatten(1, (-1, PATCH)).flatten(2)), lengths // PATCH)


class TextEncoder(nn.Module):
    """Word vectors, learned here, read by a `Transformer`."""

    def __init__(self, words: int, width: int, layers: int, embedding: int) -> None:
        super().__init__()
        self.words = nn.Embedding(words, width, padding_idx=0)
        self.transformer = Transformer(width, layers, embedding)

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """Word indices [n, L] to points [n, embedding]."""
        return self.transformer(self.words(tokens), lengths)


def contrast(texts: Tensor, motions: Tensor, wrong: Tensor, temperature: float) -> Tensor:
    """InfoNCE both ways over a batch; pairs neither right (the diagonal) nor `wrong` [n, n] are left out."""
    likeness = texts @ motions.T / temperature
    ignored = ~wrong & ~torch.eye(len(texts), dtype=torch.bool)
    likeness = likeness.masked_fill(ignored, float("-inf"))
    target = torch.arange(len(texts))
    return (functional.cross_entropy(likeness, target) + functional.cross_entropy(likeness.T, target)) / 2
