"""A pretrained model made smaller: fewer layers, and of its vocabulary only what our texts need.

A piece that byte-pair encoding reaches is merged from smaller ones. Keep those too, and of the merges all whose parts
and whole are kept, in their order: then texts of which every piece is kept are read exactly as before, since each merge
that was taken is still there, and none before it is new.
"""

import json
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch
from tokenizers import Tokenizer, pre_tokenizers

from irg_core.errors import ModelError, ParamsError


def cut_layers(model: Any, layers: int) -> None:
    """Keep the first `layers`, in place."""
    config = model.config.get_text_config()
    if not 1 <= layers <= config.num_hidden_layers:
        raise ParamsError(f"layers is {layers}; the model has {config.num_hidden_layers}, of which at least 1 is kept")
    model.base_model.layers = model.base_model.layers[:layers]
    config.num_hidden_layers = layers
    if getattr(config, "layer_types", None) is not None:
        config.layer_types = config.layer_types[:layers]


def cut_vocabulary(model: Any, tokenizer: Tokenizer, texts: Iterable[str], merges: int) -> Tokenizer:
    """Keep the first `merges` merges and whatever `texts` need, the model's rows in place; the rebuilt tokenizer."""
    parts = json.loads(tokenizer.to_str())
    if parts["model"]["type"] != "BPE":
        raise ModelError(f"a vocabulary of the kind {parts['model']['type']} cannot be cut; byte-pair encodings can")
    kept = _kept_pieces(parts, tokenizer, texts, merges)
    before: dict[str, int] = parts["model"]["vocab"]
    added = {token["content"]: token["id"] for token in parts["added_tokens"]}
    order = sorted({*kept, *added}, key=lambda piece: added.get(piece, before.get(piece, 0)))
    places = {piece: place for place, piece in enumerate(order)}
    parts["model"]["vocab"] = {piece: place for piece, place in places.items() if piece in before}
    parts["model"]["merges"] = [pair for pair in _merges(parts) if {*pair, "".join(pair)} <= places.keys()]
    for token in parts["added_tokens"]:
        token["id"] = places[token["content"]]
    _cut_rows(model, [added.get(piece, before.get(piece, 0)) for piece in order])
    return Tokenizer.from_str(json.dumps(parts))


def _merges(parts: dict[str, Any]) -> list[tuple[str, str]]:
    """Pairs in the order of their ranks, however the file writes them."""
    pairs = (pair.split(" ") if isinstance(pair, str) else pair for pair in parts["model"]["merges"])
    return [(left, right) for left, right in pairs]


def _kept_pieces(parts: dict[str, Any], tokenizer: Tokenizer, texts: Iterable[str], merges: int) -> set[str]:
    """Bytes, what the first merges make, what the texts are made of, and whatever any of these are merged from."""
    before: dict[str, int] = parts["model"]["vocab"]
    halves: dict[str, list[str]] = defaultdict(list)
    for pair in _merges(parts):
        halves["".join(pair)] += pair
    waiting = {piece for piece in before if len(piece) == 1} | set(pre_tokenizers.ByteLevel.alphabet())
    waiting |= {"".join(pair) for pair in _merges(parts)[:merges]}
    for found in tokenizer.encode_batch(list(texts), add_special_tokens=False):
        waiting.update(found.tokens)
    kept: set[str] = set()
    while waiting:
        piece = waiting.pop()
        if piece in before and piece not in kept:
            kept.add(piece)
            waiting.update(halves[piece])
    return kept


def _cut_rows(model: Any, rows: list[int]) -> None:
    """Leave only these rows of the embedding and of the head, in this order."""
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    of_embedding, of_head = embedding.weight.detach()[rows].clone(), head.weight.detach()[rows].clone()
    with torch.random.fork_rng(devices=[]):
        model.resize_token_embeddings(len(rows), mean_resizing=False)
    with torch.no_grad():
        model.get_input_embeddings().weight.copy_(of_embedding)
        model.get_output_embeddings().weight.copy_(of_head)
