"""What a model says of the next token, given what it has read so far.

For models of the Llama family each operation is called directly, on weights that are read together where they can be.
Through the framework's modules, which call one another some sixty times a layer, a token of a small model took more
than twice as long.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import LlamaForCausalLM
from transformers.cache_utils import Cache

Ahead = Callable[[Cache, Tensor, Tensor, Tensor], Tensor]
"""cache, ids [rows, new], attention [rows, all so far], positions [rows, new] -> logits [rows, vocabulary] of what is
next after the last id; the cache takes the ids in."""


def ahead_of(model: Any) -> Ahead:
    """For as long as the weights stay as they are."""
    # Not for descendants, which may do otherwise; nor with adapters, which are wrapped around a model.
    if type(model) is LlamaForCausalLM and _is_plain(model.config):
        return Llama(model)
    return partial(_by_framework, model)


def _is_plain(config: Any) -> bool:
    return config.hidden_act == "silu" and not config.attention_bias and not config.mlp_bias


def _by_framework(model: Any, cache: Cache, ids: Tensor, attention: Tensor, positions: Tensor) -> Tensor:
    output = model(
        input_ids=ids, attention_mask=attention, position_ids=positions, past_key_values=cache, logits_to_keep=1
    )
    found: Tensor = output.logits[:, -1]
    return found


class Llama:
    """Touvron et al. 2023: pre-normalised attention with rotated queries and keys, and a gated feed-forward layer."""

    def __init__(self, model: LlamaForCausalLM) -> None:
        self.model = model
        self.heads = model.config.num_attention_heads, model.config.num_key_value_heads
        self.layers = [_Layer(layer, *self.heads) for layer in model.model.layers]

    def __call__(self, cache: Cache, ids: Tensor, attention: Tensor, positions: Tensor) -> Tensor:
        inner = self.model.model
        hidden = functional.embedding(ids, inner.embed_tokens.weight)
        turn = tuple(part[:, None] for part in inner.rotary_emb(hidden, positions))
        sees = _sees(attention, ids.shape[1])
        for place, layer in enumerate(self.layers):
            hidden = hidden + layer.attend(hidden, place, cache, turn, sees)
            hidden = hidden + layer.feed(hidden)
        return functional.linear(_normed(hidden[:, -1], inner.norm), self.model.lm_head.weight)


class _Layer:
    def __init__(self, layer: Any, heads: int, of_keys: int) -> None:
        own, feed = layer.self_attn, layer.mlp
        self.layer = layer
        self.split = [heads + of_keys, of_keys]
        self.heads = heads
        self.read = torch.cat([own.q_proj.weight, own.k_proj.weight, own.v_proj.weight])
        self.gates = torch.cat([feed.gate_proj.weight, feed.up_proj.weight])

    def attend(self, hidden: Tensor, place: int, cache: Cache, turn: tuple[Tensor, ...], sees: Tensor | None) -> Tensor:
        rows, new, _ = hidden.shape
        read = functional.linear(_normed(hidden, self.layer.input_layernorm), self.read)
        turned, values = read.view(rows, new, sum(self.split), -1).transpose(1, 2).split(self.split, dim=1)
        turned = _turned(turned, *turn)
        keys, values = cache.update(turned[:, self.heads :], values, place)
        seen = functional.scaled_dot_product_attention(
            turned[:, : self.heads], keys, values, attn_mask=sees, enable_gqa=self.heads != keys.shape[1]
        )
        return functional.linear(seen.transpose(1, 2).reshape(rows, new, -1), self.layer.self_attn.o_proj.weight)

    def feed(self, hidden: Tensor) -> Tensor:
        gate, up = functional.linear(_normed(hidden, self.layer.post_attention_layernorm), self.gates).chunk(2, dim=-1)
        return functional.linear(functional.silu(gate) * up, self.layer.mlp.down_proj.weight)


def _normed(hidden: Tensor, norm: Any) -> Tensor:
    # At one token a row, twice as fast as torch's own.
    found: Tensor = hidden * torch.rsqrt(hidden.square().mean(-1, keepdim=True) + norm.variance_epsilon) * norm.weight
    return found


def _turned(states: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Rotary positions on states [rows, heads, new, width], whose halves hold the two coordinates of each plane."""
    left, right = states.chunk(2, dim=-1)
    return states * cosine + torch.cat([-right, left], dim=-1) * sine


def _sees(attention: Tensor, new: int) -> Tensor | None:
    """Which of all positions each new one may look at [rows, 1, new, all]; None where that is every one.

    Padding looks at itself: a row that sees nothing would be NaN, and NaN spreads through whatever is weighed with 0.
    """
    if new == 1:
        return None if bool(attention.all()) else attention.bool()[:, None, None]
    before = torch.ones(new, attention.shape[1], dtype=torch.bool, device=attention.device).tril(
        attention.shape[1] - new
    )
    itself = torch.eye(attention.shape[1], dtype=torch.bool, device=attention.device)[-new:]
    return ((before & attention.bool()[:, None]) | itself)[:, None]
