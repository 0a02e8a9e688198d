from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, Gemma2Config, LlamaConfig

from irg_core.errors import ModelError
from irg_core.models.adapters import LoraParams
from irg_core.models.backbones import hf, smollm2
from irg_core.models.language import ATTENTION, Language, trained
from irg_core.models.vocabulary import STRUCTURE
from irg_core.records.training import Example
from irg_core.training import loop, planning
from irg_core.training.checkpoint import Checkpoints
from irg_core.training.loop import SupervisedParams

LORA = LoraParams(rank=4, alpha=8, targets="all-linear")
SMALL = LlamaConfig(
    vocab_size=300, hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
    tie_word_embeddings=True, bos_token_id=None, eos_token_id=None,
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "millions"),
    [
        ("google/gemma-2-2b-it", 2614.3),
        ("meta-llama/Llama-3.2-1B-Instruct", 1235.8),
        ("Qwen/Qwen2.5-0.5B-Instruct", 494.0),
    ],
)
def test_the_known_shapes_have_the_parameters_that_their_makers_state(name: str, millions: float) -> None:
    config = hf.config(hf.Settings(name, "main"), 0)
    config.vocab_size -= len(STRUCTURE)
    assert planning.count(planning.shape(config)) / 1e6 == pytest.approx(millions, abs=0.06)


def test_smollm2_has_the_parameters_that_its_maker_states() -> None:
    config = smollm2.config(smollm2.Settings(None, True, None), 0)
    config.vocab_size -= len(STRUCTURE)
    assert planning.count(planning.shape(config)) / 1e6 == pytest.approx(134.5, abs=0.06)


def test_a_shape_that_nobody_knows_is_asked_for() -> None:
    with pytest.raises(ModelError, match=r"the shape of someone/else is not known.*google/gemma-2-2b-it"):
        hf.config(hf.Settings("someone/else", "main"), 16)


@pytest.mark.parametrize("lora", [None, LORA, LoraParams(4, 8, ["q_proj", "down_proj"])])
def test_what_learns_is_counted_as_it_will_be(language: Language, lora: LoraParams | None) -> None:
    planned = planning.trained_count(language.model, lora, len(language.vocabulary.symbols))
    language.begin("train_base", [], lora, 1)
    assert planned == sum(weight.numel() for weight in trained(language.model))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    "config", [SMALL, Gemma2Config(**{**SMALL.to_dict(), "head_dim": 16, "num_key_value_heads": 2})]
)
def test_what_a_pass_keeps_is_counted_without_numbers_as_with_them(config: object, precision: str) -> None:
    model = AutoModelForCausalLM.from_config(config, attn_implementation=ATTENTION)
    real = planning.kept_bytes(model, 3, 40, precision)  # type: ignore[arg-type]
    assert planning.activations(config, 3, 40, precision) == real  # type: ignore[arg-type]
    assert planning.activations(config, 6, 40, precision) > 1.5 * real  # type: ignore[arg-type]


def test_a_training_takes_the_steps_and_tokens_that_were_planned(
    language: Language,
    examples: list[Example],
    supervised: SupervisedParams,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read: list[int] = []
    taken = loop.gradients

    def counted(params: SupervisedParams, one: Language, share: list[loop.Encoded], *rest: object) -> torch.Tensor:
        read.append(sum(len(row.ids) for row in share))
        return taken(params, one, share, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "gradients", counted)
    params = replace(supervised, steps=12)
    plan = planning.supervised("train_base", language.model.config, len(language.vocabulary.symbols), params)
    loop.train("train_base", params, language, examples, Checkpoints(tmp_path / "kept", 99))
    assert len(read) == plan.steps
    assert 0.85 * plan.tokens < sum(read) <= plan.tokens
    language.save(tmp_path)
    saved = load_file(tmp_path / "model.safetensors")
    assert plan.parameters == sum(weight.numel() for weight in saved.values())
    assert plan.weights == sum(weight.numel() * weight.element_size() for weight in saved.values())


def test_more_passes_and_more_workers_take_less_memory_each(supervised: SupervisedParams) -> None:
    def kept(accumulate: int, workers: int) -> int:
        params = replace(supervised, tokens=512, accumulate=accumulate, workers=workers)
        return planning.supervised("train_base", SMALL, 16, params).activations

    assert kept(2, 1) == kept(1, 2) < 0.7 * kept(1, 1)


def test_hours_are_those_of_all_tokens_shared_by_the_workers(supervised: SupervisedParams) -> None:
    plan = planning.supervised("train_base", SMALL, 16, replace(supervised, steps=3600, tokens=1000))
    assert plan.hours(1000.0, 1) == 1.0
    assert plan.hours(1000.0, 4) == 0.25
