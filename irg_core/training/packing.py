"""Examples of any length in one row of tokens, none of which sees another.

All that a decoder does token by token is done once for the whole row; only attention has to know where an example ends.
So examples of like length lie side by side as a rectangle [examples, length], shorter ones padded on the right, where
no earlier token can see it, and attention goes rectangle by rectangle under a causal mask. On a CPU, with examples of
40 to 220 tokens, a block-diagonal mask over bins of examples does several times that work, and a gather for each
example moves more than it saves.

That is right only where nothing but attention looks at other tokens, and attention has no more to it than is done here:
not for learned sinks, nor for convolutions and state spaces, which run on from one example into the next. `check` finds
that out beforehand; such a model reads one example in each row.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AttentionInterface
from transformers.masking_utils import AttentionMaskInterface

from irg_core.errors import ModelError
from irg_core.models.language import Language, causal, hidden_states, logits
from irg_core.seeds import rng
from irg_core.training.rows import IGNORED, Encoded

ATTENTION = "rectangles"
"""The name under which transformers knows the attention of this file."""
OVERHEAD = 24
"""What another rectangle costs, in tokens of padding: about its share of small operations in four layers on a CPU."""
SHOWN = 128
"""Tokens of an example that are looked at beforehand: at a large vocabulary's size logits take memory."""
ALIKE = 1e-4
"""How far logits, in float32 and by the size of the largest, may differ by the order of sums alone."""


class Rectangle(NamedTuple):
    """Examples that lie side by side, padded to the same length."""

    examples: int
    length: int


class Packed(NamedTuple):
    """Examples as a decoder reads them; every tensor is [rows, tokens], with one row for all where they are packed."""

    ids: Tensor
    labels: Tensor
    """What is to be said next; IGNORED where nothing is supervised, and at the end of each example."""
    positions: Tensor
    """They start anew with each example."""
    rectangles: list[Rectangle] | None
    """What lies in the one row; None: each example has a row of its own."""

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


def one_a_row(examples: Sequence[Encoded], pad: int) -> Packed:
    """Each example in a row of its own, padded on the right: more padding, and nothing that a decoder could mix."""
    shape = len(examples), max(len(example.ids) for example in examples)
    ids, labels = np.full(shape, pad), np.full(shape, IGNORED)
    for row, example in enumerate(examples):
        ids[row, : len(example.ids)] = example.ids
        labels[row, : len(example.ids) - 1] = example.labels[1:]
    places = torch.arange(shape[1]).expand(shape)
    return Packed(torch.from_numpy(ids), torch.from_numpy(labels), places, None)


def read(model: Any, batch: Packed) -> Tensor:
    """The last hidden states [rows, tokens, width] of a batch."""
    if batch.rectangles is None:
        return hidden_states(model, input_ids=batch.ids, use_cache=False)
    with packed_attention(model):
        return hidden_states(
            model, input_ids=batch.ids, position_ids=batch.positions, use_cache=False, rectangles=batch.rectangles
        )


@torch.no_grad()
def check(stage: str, language: Language, rows: Sequence[Encoded]) -> None:
    """Raises `ModelError` where packed examples have other logits than alone: something is mixed, or is lost.

    Two examples and a part of one are packed, so that there is a neighbour, and padding. Alone they pass through the
    model as transformers calls it.
    """
    model = language.model
    first, last = (rows[place] for place in (0, -1))
    shown = sorted((_cut(row, size) for row, size in ((first, SHOWN), (last, SHOWN), (first, SHOWN // 4))), key=_length)
    is_learning = model.training
    model.eval()
    try:
        apart = _apart(model, shown, language.vocabulary.pad)
    # Models without attention, or with one of another kind, choke on rectangles in ways of their own.
    except (TypeError, ValueError, RuntimeError, KeyError, AttributeError) as error:
        wrong = f"cannot be packed ({str(error).splitlines()[0] if str(error) else type(error).__name__})"
        raise ModelError(_unpackable(stage, language, wrong)) from error
    finally:
        model.train(is_learning)
    if not apart <= ALIKE:
        wrong = f"reads packed examples otherwise than alone (logits differ by {apart:.2g} of the largest)"
        raise ModelError(_unpackable(stage, language, wrong))


def _cut(row: Encoded, size: int) -> Encoded:
    return Encoded(row.example_id, row.task, row.ids[:size], row.labels[:size])


def _length(row: Encoded) -> int:
    return len(row.ids)


def _apart(model: Any, rows: Sequence[Encoded], pad: int) -> float:
    """How far the logits of packed rows, ordered by length, are from those alone, as a share of the largest."""
    batch = pack(rows, pad).to(model.device)
    together = logits(model, read(model, batch))[0]
    found = 0.0
    for start, row in zip(_starts(batch.rectangles or []), rows, strict=True):
        ids = torch.from_numpy(row.ids.astype(np.int64))[None].to(model.device)
        alone = causal(model)(input_ids=ids, use_cache=False).logits[0]
        if not alone.isfinite().all():
            return 0.0  # no fault of packing; the first step says so
        far = (together[start : start + len(row.ids)] - alone).abs().max() / alone.abs().max().clamp(min=1.0)
        found = max(found, far.item()) if far.isfinite() else math.inf
    return found


def _unpackable(stage: str, language: Language, wrong: str) -> str:
    kind = language.model.config.get_text_config().model_type
    return (
        f"{stage}: the backbone {language.origin.base} (architecture {kind}) {wrong}; set {stage}.packing: false, which"
        " gives each example a row of its own"
    )


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
