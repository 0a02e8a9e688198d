"""The six stages that make and use models, one after the other, on a toy corpus in a folder of its own."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from irg_core import dialogue
from irg_core.errors import ModelError
from irg_core.models.evaluator import Evaluator
from irg_core.models.language import Language
from irg_core.models.vocabulary import Vocabulary
from irg_core.models.vqvae import MotionTokenizer
from irg_core.params import mapping
from irg_core.records.annotation import Caption
from irg_core.records.motion import Clip, MotionTokens, SourceCaption, Split
from irg_core.records.training import Earned, Example, Goal, LogRow, Segment
from irg_core.seeds import rng
from irg_core.tables import commit, read
from pipelines import encode, train_base, train_stage1, train_stage2, train_stage3, train_tokenizer

SUPERVISED = {
    "seed": 1, "workers": 1, "sharding": "none", "threads": 1, "precision": "float32", "steps": 3, "tokens": 256,
    "accumulate": 1, "packing": True, "longest": 400, "learning_rate": 0.01, "schedule": "cosine", "warmup": 1,
    "weight_decay": 0.0, "corrupted": 0.1, "lora": None, "log_every": 1, "measure_every": 2, "measured": 4,
    "generated": 2, "patience": 0, "checkpoint_every": 2,
}  # fmt: skip
PARAMS: dict[str, Any] = {
    "corpora": {"toy": {}},
    "encode": {"threads": 1},
    "train_tokenizer": {
        "seed": 1, "threads": 1, "precision": "float32", "steps": 4, "batch": 4, "window": 16, "learning_rate": 0.001,
        "net": {"width": 8, "depth": 1, "codes": 16, "code_width": 4}, "warmup": 1, "decay": 0.9, "commitment": 0.02,
        "velocity": 0.5, "world": 2.0, "pace": 5.0, "log_every": 2, "measure_every": 2, "measured": 4, "patience": 0,
        "checkpoint_every": 2,
        "weights": {"root": 1.0, "positions": 1.0, "rotations": 1.0, "velocities": 1.0, "contacts": 1.0},
    },
    "backbones": {
        "tiny": {"pieces": 600, "net": {"layers": 1, "width": 16, "heads": 2, "feed_forward": 16, "positions": 512}},
    },
    "train_base": {"backbone": "tiny", "training": SUPERVISED},
    "train_stage1": SUPERVISED,
    "train_stage2": SUPERVISED,
    "train_stage3": {
        "seed": 1, "workers": 1, "threads": 1, "precision": "float32", "steps": 2, "goals": 2, "group": 2, "updates": 2,
        "answers_at_once": 2, "lora": None, "learning_rate": 0.001, "warmup": 1, "loss": "grpo",
        "scale_rewards": "group", "beta": 0.01, "kl": "k3", "clip": {"low": 0.2, "high": 0.2},
        "mask_truncated": False, "temperature": 1.0, "top_p": 1.0, "max_tokens": 20, "max_codes": 5, "max_rounds": 2,
        "rewards": {"wellformed": 1.0, "text_alignment": 0.5, "goal_alignment": 0.5}, "log_every": 1,
        "checkpoint_every": 1,
    },
    "kinematics": mapping("kinematics"),
}  # fmt: skip


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which all six stages have run."""
    place = tmp_path_factory.mktemp("stages")
    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        _write_tables(place)
        verdict = place / "stats.json"
        train_tokenizer.main(
            place / "clips", place / "splits.parquet", place / "stats.json", verdict, place / "tokenizer"
        )
        encode.main("toy", place / "clips/toy.parquet", place / "tokenizer", place / "tokens/toy.parquet")
        train_base.main(
            place / "tokens", place / "captions", place / "splits.parquet", place / "tokenizer", verdict, place / "base"
        )
        _write_examples(place)
        train_stage1.main(place / "base", place / "stage1.parquet", verdict, place / "stage1")
        train_stage2.main(place / "stage1", place / "stage2.parquet", verdict, place / "stage2")
        train_stage3.main(
            place / "stage2",
            place / "goals.parquet",
            place / "tokenizer",
            place / "evaluator",
            verdict,
            place / "stage3",
        )
    torch.set_num_threads(threads)
    return place


def test_every_model_loads_and_keeps_its_curve(built: Path) -> None:
    for name in ("base", "stage1", "stage2", "stage3"):
        Language.load(built / name)
        assert read(built / name / "training.parquet", LogRow)
    assert len(read(built / "stage3/rollouts.parquet", Earned)) == 2 * 2 * 2
    assert MotionTokenizer.load(built / "tokenizer").codes == 16


def test_each_stage_starts_from_the_one_before(built: Path) -> None:
    vocabularies = [(built / name / "tokenizer.json").read_bytes() for name in ("base", "stage1", "stage2", "stage3")]
    assert len(set(vocabularies)) == 1
    weights = {
        name: Language.load(built / name).model.lm_head.weight for name in ("base", "stage1", "stage2", "stage3")
    }
    assert not torch.equal(weights["base"], weights["stage1"])
    assert not torch.equal(weights["stage1"], weights["stage2"])
    # No answer of so small a model is well-formed: without a reward that tells siblings apart nothing moves.
    assert torch.equal(weights["stage2"], weights["stage3"])


def test_test_clips_are_encoded_and_their_captions_never_learned_from(built: Path) -> None:
    rows = read(built / "tokens/toy.parquet", MotionTokens)
    assert [len(row.tokens) for row in rows] == [10] * 12
    vocabulary = Vocabulary.load(built / "base")
    assert len(vocabulary.encode(" walks")) == 1
    assert len(vocabulary.encode(" cartwheels")) > 1, "a word of the test split is in the vocabulary"


def test_nothing_is_left_of_finished_trainings(built: Path) -> None:
    assert not list((built / "runs").glob("*/*/step-*"))


def test_a_stage_without_the_model_before_it_says_so(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(built)
    with pytest.raises(ModelError, match="nowhere"):
        train_stage1.main(built / "nowhere", built / "stage1.parquet", built / "stats.json", built / "out")
    assert not (built / "out").exists()


def _write_tables(place: Path) -> None:
    (place / "params.yaml").write_text(yaml.safe_dump(PARAMS))
    clips, splits, captions = [], [], []
    for index in range(12):
        name, split = f"toy/{index:02d}", "test" if index > 9 else "val" if index > 7 else "train"
        text = "someone cartwheels." if split == "test" else "a person walks."
        features = rng(index, "clip").normal(0, 0.1, size=(42, 263)).astype(np.float32)
        clips.append(Clip(name, "toy", name, "", features, [SourceCaption(text, "")], ""))
        splits.append(Split(name, "toy", split, False, [0]))
        captions.append(Caption(f"{name}/0", name, 0, text, "", "source"))
    commit(place / "clips/toy.parquet", clips, Clip)
    commit(place / "splits.parquet", splits, Split)
    commit(place / "captions/toy.parquet", captions, Caption)
    stats = {"mean": [0.0] * 263, "std": [0.1] * 263}
    (place / "stats.json").write_text(json.dumps(stats))
    (place / "evaluator").mkdir()
    Evaluator.create("guo", 8, 1, 8, ["a person walks."], stats).save(place / "evaluator")


def _write_examples(place: Path) -> None:
    trace = dialogue.Trace("walk", (dialogue.Round((1, 2), "it fits", dialogue.SENTINEL),))
    tasks, traces, goals = [], [], []
    for index in range(8):
        key, split = f"{index}", "val" if index > 5 else "train"
        task = ("caption", "generate")[index % 2]
        tasks.append(Example(key, task, split, dialogue.motion([1]), [Segment("a person walks.", True)], []))
        traces.append(Example(key, "trace", split, dialogue.prompt("walk"), dialogue.segments(trace), []))
        goals.append(Goal(key, key, split, "a person walks.", dialogue.prompt("walk"), [1, 2, 3]))
    commit(place / "stage1.parquet", tasks, Example)
    commit(place / "stage2.parquet", traces, Example)
    commit(place / "goals.parquet", goals, Goal)
