from pathlib import Path

import pytest
import torch

from irg_core.errors import ModelError
from irg_core.models.language import Language, LanguageConfig
from irg_core.models.vocabulary import Vocabulary


def test_a_saved_model_says_the_same(language: Language, tmp_path: Path) -> None:
    language.save(tmp_path)
    ids = torch.tensor([language.vocabulary.chat("a person walks forward.")])
    with torch.inference_mode():
        assert torch.equal(language.model(ids).logits, Language.load(tmp_path).model(ids).logits)


def test_nothing_is_pickled(language: Language, tmp_path: Path) -> None:
    language.save(tmp_path)
    assert {file.suffix for file in tmp_path.iterdir()} == {"", ".json", ".md", ".safetensors"}


def test_the_seed_decides_the_weights_and_leaves_the_global_randomness_alone(vocabulary: Vocabulary) -> None:
    config = LanguageConfig(layers=1, width=16, heads=2, feed_forward=16, positions=64)
    before = torch.random.get_rng_state()
    one, same, other = (Language.create(config, vocabulary, seed).model.lm_head.weight for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(before, torch.random.get_rng_state())


def test_codes_are_trained_at_both_ends(language: Language) -> None:
    assert language.model.lm_head.weight is language.model.get_input_embeddings().weight


def test_a_folder_without_a_model_is_named(language: Language, tmp_path: Path) -> None:
    language.vocabulary.save(tmp_path)
    with pytest.raises(ModelError, match=str(tmp_path)):
        Language.load(tmp_path)
