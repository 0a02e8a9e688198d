"""A byte that a disk or a copy got wrong is found before a model says anything."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from irg_core.errors import ModelError
from irg_core.models.evaluator import Evaluator
from irg_core.models.language import Language, LanguageConfig
from irg_core.models.vocabulary import Vocabulary
from irg_core.models.vqvae import MotionTokenizer, VqConfig, VqVae

STATS = {"mean": [0.0] * 263, "std": [0.1] * 263}


def language(folder: Path) -> None:
    vocabulary = Vocabulary.learn(["a person walks."], size=300, codes=16)
    Language.create(LanguageConfig(layers=1, width=16, heads=2, feed_forward=16, positions=64), vocabulary, 1).save(
        folder
    )


def tokenizer(folder: Path) -> None:
    config = VqConfig(width=8, depth=1, codes=16, code_width=4)
    MotionTokenizer(VqVae(config, 263), config).save(folder)


def evaluator(folder: Path) -> None:
    Evaluator.create("guo", 8, 1, 8, ["a person walks."], STATS).save(folder)


KINDS: dict[str, tuple[Callable[[Path], None], Callable[[Path], object], str]] = {
    "language": (language, Language.load, "model.safetensors"),
    "tokenizer": (tokenizer, MotionTokenizer.load, "model.safetensors"),
    "evaluator": (evaluator, Evaluator.load, "weights.safetensors"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_flipped_bit_and_a_lost_file_of_a_model_are_named(kind: str, tmp_path: Path) -> None:
    save, load, weights = KINDS[kind]
    torch.manual_seed(1)
    save(tmp_path)
    (tmp_path / "training.parquet").write_text("what a stage adds later")
    load(tmp_path)
    file = tmp_path / weights
    whole = file.read_bytes()
    file.write_bytes(whole[:-5] + bytes([whole[-5] ^ 1]) + whole[-4:])
    with pytest.raises(ModelError, match=rf"is damaged: {weights} differs from its hash; run `dvc repro"):
        load(tmp_path)
    file.write_bytes(whole)
    load(tmp_path)
    (tmp_path / "config.json").unlink()
    with pytest.raises(ModelError, match=r"config\.json"):
        load(tmp_path)


def test_the_hashes_are_those_that_sha256sum_checks(tmp_path: Path) -> None:
    tokenizer(tmp_path)
    done = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "model.safetensors: OK" in done.stdout


@pytest.mark.parametrize("file", ["provenance.json", "tokenizer.json", "config.json"])
def test_a_file_that_was_cut_short_is_one_sentence(file: str, tmp_path: Path) -> None:
    """Also in a folder from elsewhere, which has no hashes to be held against."""
    language(tmp_path)
    (tmp_path / "SHA256SUMS").unlink()
    if file == "tokenizer.json":
        (tmp_path / "provenance.json").unlink()
    text = (tmp_path / file).read_text()
    (tmp_path / file).write_text(text[: len(text) // 2])
    with pytest.raises(ModelError):
        Language.load(tmp_path)


def test_an_index_of_weights_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    language(tmp_path)
    (tmp_path / "SHA256SUMS").unlink()
    (tmp_path / "model.safetensors.index.json").write_text('{"weight_map": ')
    with pytest.raises(ModelError, match=r"index\.json cannot be read"):
        Language.load(tmp_path)


def test_code_that_comes_with_a_model_is_neither_run_nor_asked_about(tmp_path: Path) -> None:
    language(tmp_path)
    (tmp_path / "SHA256SUMS").unlink()
    (tmp_path / "own.py").write_text(f"open({str(tmp_path / 'was_run')!r}, 'w')\nclass Own: pass\n")
    config = json.loads((tmp_path / "config.json").read_text())
    config |= {"model_type": "own", "auto_map": {"AutoConfig": "own.Own", "AutoModelForCausalLM": "own.Own"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="holds no language model"):
        Language.load(tmp_path)
    assert not (tmp_path / "was_run").exists()
