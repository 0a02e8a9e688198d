"""Packed or alone, an example is read the same; and nobody reads over another's shoulder."""

from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import (
    AutoModelForCausalLM,
    BambaConfig,
    Gemma2Config,
    Gemma3TextConfig,
    GptOssConfig,
    GraniteConfig,
    Lfm2Config,
    LlamaConfig,
    MambaConfig,
    MistralConfig,
    PreTrainedConfig,
    Qwen2Config,
    Qwen3Config,
)

from irg_core.errors import ModelError
from irg_core.models.card import Origin
from irg_core.models.language import Language, logits
from irg_core.models.vocabulary import Vocabulary
from irg_core.seeds import rng
from irg_core.training import loop, packing
from irg_core.training.packing import Packed, Rectangle
from irg_core.training.rows import IGNORED, Encoded

SIZES: dict[str, Any] = {
    "vocab_size": 50,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 128,
    "pad_token_id": 0,
    "attn_implementation": "eager",
}
# Windows shorter than the examples, and caps low enough to be felt.
CONFIGS: dict[str, PreTrainedConfig] = {
    "llama": LlamaConfig(**SIZES),
    "mistral": MistralConfig(**SIZES, sliding_window=5),
    "qwen2": Qwen2Config(**SIZES),
    "qwen3": Qwen3Config(**SIZES),
    "gemma2": Gemma2Config(
        **SIZES, sliding_window=5, attn_logit_softcapping=1.0, final_logit_softcapping=2.0, query_pre_attn_scalar=8
    ),
    "gemma3": Gemma3TextConfig(**SIZES, sliding_window=5, query_pre_attn_scalar=8),
}
# Attention that holds more than ours does, and layers that run on from one example into the next.
STRANGE: dict[str, PreTrainedConfig] = {
    "gpt_oss": GptOssConfig(**SIZES, num_local_experts=2, num_experts_per_tok=1, sliding_window=64),
    "lfm2": Lfm2Config(**SIZES, layer_types=["conv", "full_attention"]),
    "mamba": MambaConfig(vocab_size=50, hidden_size=32, num_hidden_layers=2, state_size=4, pad_token_id=0),
    "bamba": BambaConfig(
        **SIZES, attn_layer_indices=[1], mamba_n_heads=8, mamba_d_head=8, mamba_d_state=8, mamba_n_groups=1
    ),
}
LENGTHS = [3, 17, 9, 9, 24, 1, 12]


def model_of(name: str) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = AutoModelForCausalLM.from_config((CONFIGS | STRANGE)[name])
        for weight in model.parameters():
            torch.nn.init.normal_(weight, std=0.3)
    return model.eval()


def rows_of(lengths: list[int]) -> list[Encoded]:
    found = []
    for number, length in enumerate(lengths):
        ids = rng(5, number).integers(1, 50, length).astype(np.int32)
        found.append(Encoded(str(number), "walk", ids, ids))
    return found


@torch.no_grad()
def read_packed(model: Any, batch: Packed) -> torch.Tensor:
    """Logits [tokens, vocabulary]."""
    return logits(model, packing.read(model, batch))[0]


def places(batch: Packed) -> list[tuple[int, int]]:
    """Where each example lies with its padding: begin and end."""
    found, start = [], 0
    for examples, length in batch.rectangles or []:
        for _ in range(examples):
            found.append((start, start + length))
            start += length
    return found


@pytest.mark.parametrize("name", CONFIGS)
def test_packed_and_alone_an_example_has_the_same_logits(name: str) -> None:
    model, rows = model_of(name), rows_of(LENGTHS)
    batch = packing.pack(rows, 0)
    assert len(batch.rectangles or []) > 1
    together = read_packed(model, batch)
    ordered = sorted(rows, key=lambda row: len(row.ids))
    for row, (start, _) in zip(ordered, places(batch), strict=True):
        with torch.no_grad():
            alone = model(input_ids=torch.from_numpy(row.ids).long()[None]).logits[0]
        torch.testing.assert_close(together[start : start + len(row.ids)], alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", CONFIGS)
def test_no_token_sees_another_example(name: str) -> None:
    model = model_of(name)
    batch = packing.pack(rows_of(LENGTHS), 0)
    before = read_packed(model, batch)
    for changed, (start, end) in enumerate(places(batch)):
        ids = batch.ids.clone()
        ids[0, start:end] = (ids[0, start:end] + 7) % 50
        after = read_packed(model, batch._replace(ids=ids))
        for other, (first, last) in enumerate(places(batch)):
            is_same = torch.equal(after[first:last], before[first:last])
            assert is_same == (other != changed), f"{other} when {changed} changes"


# ---- what packing must not be used for -------------------------------------------------------------------------------


def language_of(name: str) -> Language:
    vocabulary = Vocabulary.learn(["a person walks."], size=300, codes=16)
    return Language(model_of(name), vocabulary, Origin(f"a small {name}", "", "", ()))


@pytest.mark.parametrize("name", STRANGE)
def test_a_backbone_that_packing_would_change_is_refused_by_name_with_the_way_out(name: str) -> None:
    told = rf"train_x: the backbone a small {name} \(architecture {name}\) .*; set train_x\.packing: false, which"
    with pytest.raises(ModelError, match=told) as raised:
        packing.check("train_x", language_of(name), rows_of([40, 35]))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", [*CONFIGS, "granite"])
def test_a_backbone_that_packs_is_let_through_as_it_was(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CONFIGS, "granite", GraniteConfig(**SIZES, logits_scaling=3.0, attention_multiplier=0.2))
    language = language_of(name)
    language.model.train()
    for lengths in ([40, 35], [9, 30, 4], [200]):
        packing.check("train_x", language, rows_of(lengths))
    assert language.model.training
    assert language.model.config._attn_implementation == "eager"


@pytest.mark.parametrize("name", ["llama", *STRANGE])
def test_one_example_a_row_has_the_loss_of_each_alone(name: str) -> None:
    model, rows = model_of(name), rows_of(LENGTHS)
    with torch.no_grad():
        together = loop.losses(model, packing.one_a_row(rows, 0), "float32")
        alone = [
            torch.nn.functional.cross_entropy(
                model(input_ids=torch.from_numpy(row.ids).long()[None]).logits[0, :-1],
                torch.from_numpy(row.ids[1:]).long(), reduction="none",
            )
            for row in rows
        ]  # fmt: skip
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ["llama", "gemma2"])
def test_decoding_finds_the_attention_that_the_model_came_with(name: str) -> None:
    model = model_of(name)
    with pytest.raises(ValueError, match="broken"), packing.packed_attention(model):
        raise ValueError("broken")
    assert model.config._attn_implementation == "eager"


@given(lengths=st.lists(st.integers(1, 80), min_size=1, max_size=40))
@settings(deadline=None)
def test_a_pack_holds_every_token_once_and_what_comes_after_it(lengths: list[int]) -> None:
    rows = rows_of(lengths)
    batch = packing.pack(rows, 0)
    for row, (start, end) in zip(sorted(rows, key=lambda row: len(row.ids)), places(batch), strict=True):
        size = len(row.ids)
        assert batch.ids[0, start:end].tolist() == [*row.ids, *[0] * (end - start - size)]
        assert batch.labels[0, start:end].tolist() == [*row.ids[1:], *[IGNORED] * (end - start - size + 1)]
        assert batch.positions[0, start:end].tolist() == list(range(end - start))
    assert places(batch)[-1][1] == batch.ids.shape[1]
    apart = packing.one_a_row(rows, 0)
    for place, row in enumerate(rows):
        size = len(row.ids)
        assert apart.ids[place, :size].tolist() == list(row.ids)
        assert apart.labels[place].tolist() == [*row.ids[1:], *[IGNORED] * (max(lengths) - size + 1)]


@given(lengths=st.lists(st.integers(1, 200), min_size=1, max_size=9).map(sorted))
def test_no_other_cut_costs_less(lengths: list[int]) -> None:
    def cost(cut: list[Rectangle]) -> int:
        return sum(examples * length + packing.OVERHEAD for examples, length in cut)

    others = []
    for ends in range(2 ** (len(lengths) - 1)):
        cut, size = [], 0
        for place, length in enumerate(lengths):
            size += 1
            if place == len(lengths) - 1 or ends >> place & 1:
                cut.append(Rectangle(size, length))
                size = 0
        others.append(cost(cut))
    assert cost(packing.rectangles(lengths)) == min(others)


@given(
    lengths=st.lists(st.integers(1, 80), min_size=1, max_size=60),
    tokens=st.integers(20, 300),
    seed=st.integers(0, 9),
)
def test_epochs_show_every_row_once_within_the_budget(lengths: list[int], tokens: int, seed: int) -> None:
    stream, shown = packing.batches(np.array(lengths), tokens, seed), list[int]()
    while len(shown) < 3 * len(lengths):
        batch = next(stream)
        assert len(batch) == 1 or sum(lengths[row] for row in batch) <= tokens
        shown += batch
    for epoch in range(3):
        assert sorted(shown[epoch * len(lengths) :][: len(lengths)]) == list(range(len(lengths)))


def test_epochs_differ_and_the_seed_decides_them() -> None:
    lengths = np.arange(1, 41)
    one, same, other = ([*islice(packing.batches(lengths, 60, seed), 60)] for seed in (1, 1, 2))
    assert one == same
    assert one != other
    flat = [row for batch in one for row in batch]
    assert flat[:40] != flat[40:80]
