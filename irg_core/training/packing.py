"""Examples of any length in one row of tokens, none of which sees another.

All that a decoder does token by token is done once for the whole row; only attention has to know where an example ends.
So examples of like length lie side by side as a rectangle [examples, length], shorter ones padded on the right, where
no earlier token can see it, and attention goes rectangle by rectangle under a causal mask. On a CPU, with examples of
40 to 220 tokens, a block-diagonal mask over bins of examples does several times that work, and a gather for each
example moves more than it saves.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AttentionInterface
from transformers.masking_utils import AttentionMaskInterface

from irg_core.models.language import causal
from irg_core.seeds import rng
from irg_core.training.rows import IGNORED, Encoded

ATTENTION = "rectangles"
"""The name under which transformers knows the attention of this file."""
OVERHEAD = 24
"""What another rectangle costs, in tokens of padding: about its share of small operations in four layers on a CPU."""


class Rectangle(NamedTuple):
    """Examples that lie side by side, padded to the same length."""

    examples: int
    length: int


class Packed(NamedTuple):
    """Examples as a decoder reads them; every tensor is [1, tokens]."""

    ids: Tensor
    labels: Tensor
    """What is to be said next; IGNORED where nothing is supervised, and at the end of each example."""
    positions: Tensor
    """They start anew with each example."""
    rectangles: list[Rectangle]

    def to(self, device: torch.device) -> "Packed":
        return Packed(self.ids.to(device), self.labels.to(device), self.positions.to(device), self.rectangles)


def batches(lengths: np.ndarray, tokens: int, seed: int) -> Iterator[list[int]]:
    """Endless batches of at most `tokens`; each epoch shows every row once, and its last batch goes on into the next.

    Rows come in any order, so that a batch holds short and long ones: sorted, its gradient would be that of the tasks
    with examples of one length. A row longer than `tokens` goes alone.
    """
    batch: list[int] = []
    held, epoch = 0, 0
    while True:
        for row in rng(seed, "epoch", epoch).permutation(len(lengths)).tolist():
            if batch and held + lengths[row] > tokens:
                yield batch
                batch, held = [], 0
            batch.append(row)
            held += int(lengths[row])
        epoch += 1


def pack(examples: Sequence[Encoded], pad: int) -> Packed:
    """The examples in one row, in the order of their lengths."""
    ordered = sorted(examples, key=lambda example: len(example.ids))
    found = rectangles([len(example.ids) for example in ordered])
    total = sum(examples * length for examples, length in found)
    ids, labels = np.full(total, pad), np.full(total, IGNORED)
    for start, example in zip(_starts(found), ordered, strict=True):
        ids[start : start + len(example.ids)] = example.ids
        labels[start : start + len(example.ids) - 1] = example.labels[1:]
    positions = np.concatenate([np.tile(np.arange(length), examples) for examples, length in found])
    tokens, answers, places = (torch.from_numpy(values)[None] for values in (ids, labels, positions))
    return Packed(tokens, answers, places, found)


def _starts(found: Sequence[Rectangle]) -> Iterator[int]:
    start = 0
    for examples, length in found:
        for _ in range(examples):
            yield start
            start += length


def rectangles(lengths: Sequence[int]) -> list[Rectangle]:
    """The cut of ascending lengths that costs least: tokens with their padding, and OVERHEAD for each rectangle."""
    least, begun = [0], [0]
    for end in range(1, len(lengths) + 1):
        costs = [least[start] + (end - start) * lengths[end - 1] + OVERHEAD for start in range(end)]
        least.append(min(costs))
        begun.append(costs.index(least[-1]))
    found, end = list[Rectangle](), len(lengths)
    while end:
        found.append(Rectangle(end - begun[end], lengths[end - 1]))
        end = begun[end]
    return found[::-1]


@contextmanager
def packed_attention(model: Any) -> Iterator[None]:
    """Let a model attend within rectangles; it is told them with its inputs."""
    config = causal(model).config.get_text_config()
    before = config._attn_implementation
    config._attn_implementation = ATTENTION
    try:
        yield
    finally:
        config._attn_implementation = before


def attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float,
    rectangles: Sequence[Rectangle],
    softcap: float | None = None,
    sliding_window: int | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """softmax(cap(q k') + mask) v within each rectangle; [1, heads, tokens, width] each, [1, tokens, heads, width] out.

    Without dropout, whose draws would depend on how a batch is cut. The window is that of Gemma and Mistral: a token
    sees itself and the `sliding_window` - 1 before it.
    """
    shared = query.shape[1] // key.shape[1]  # heads of queries for each head of keys and values
    heads = [states[0] for states in (query * scaling, _repeated(key, shared), _repeated(value, shared))]
    mask = _mask(max(length for _, length in rectangles), sliding_window, query.device)
    # Split, not sliced: backwards, each slice would fill and add up a whole row of tokens.
    cut = (states.split([examples * length for examples, length in rectangles], dim=1) for states in heads)
    parts = []
    for (_, length), *three in zip(rectangles, *cut, strict=True):
        q, k, v = (states.unflatten(1, (-1, length)) for states in three)
        scores = q @ k.transpose(2, 3)
        if softcap is not None:
            scores = torch.tanh(scores / softcap) * softcap
        scores = scores + mask[:length, :length]
        said = functional.softmax(scores, dim=-1).to(v.dtype) @ v
        parts.append(said.flatten(1, 2).transpose(0, 1))
    return torch.cat(parts)[None], None


def _repeated(states: Tensor, times: int) -> Tensor:
    return states.repeat_interleave(times, dim=1) if times > 1 else states


def _mask(length: int, window: int | None, device: torch.device) -> Tensor:
    """[length, length] 0 where a row may see a column, else -inf. In float32, as which sums of exponents are taken."""
    place = torch.arange(length, device=device)
    apart = place[:, None] - place[None, :]
    seen = apart >= 0 if window is None else (apart >= 0) & (apart < window)
    return torch.zeros(length, length, device=device).masked_fill(~seen, -torch.inf)


AttentionInterface.register(ATTENTION, attention)
# What the model would make of positions is not asked for: `attention` has a mask of its own.
AttentionMaskInterface.register(ATTENTION, lambda *_, **__: None)
