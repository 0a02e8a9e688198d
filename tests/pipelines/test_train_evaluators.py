"""train_evaluators on tables small enough for a test: what it learns, what it reports of itself, and what it takes."""

import hashlib
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from irg_core.errors import ModelError, ParamsError
from irg_core.files import write_json
from irg_core.models.evaluator import Evaluator
from irg_core.records.annotation import Caption
from irg_core.records.motion import Clip, Split
from irg_core.seeds import rng
from irg_core.tables import commit, read
from pipelines import train_evaluators

WORDS = ["walks", "runs", "jumps", "waves", "kicks", "bows"]
TRAINED = {
    "architecture": "essential", "seed": 3, "width": 16, "layers": 1, "embedding": 8, "contrast": 0.1,
    "near_identical": 0.9, "steps": 4, "batch": 8, "learning_rate": 1e-3, "weight_decay": 0.0, "noise": 0.0,
    "dropped_words": 0.0, "threads": 1, "checkpoint_every": 2,
}  # fmt: skip


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Thirty clips of a corpus, of which every fifth is val and every sixth test."""
    clips, captions, splits = [], [], []
    for index in range(30):
        name = f"made/{index:02d}"
        frames = rng(0, index).standard_normal((24, 263)).astype(np.float32)
        clips.append(Clip(name, "made", name, "", frames, [], ""))
        captions.append(Caption(f"{name}/0", name, 0, f"a person {WORDS[index % 6]} {index}", "", "source"))
        splits.append(
            Split(name, "made", "test" if index % 6 == 5 else "val" if index % 5 == 4 else "train", False, [0])
        )
    commit(tmp_path / "clips/made.parquet", clips, Clip)
    commit(tmp_path / "captions/made.parquet", captions, Caption)
    commit(tmp_path / "splits.parquet", splits, Split)
    write_json(tmp_path / "stats.json", {"mean": [0.0] * 263, "std": [1.0] * 263})
    write_json(tmp_path / "verdict.json", {})
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(entry: dict[str, Any], features: str = "compatible") -> Path:
    params = {"corpora": {"made": {}}, "features": features, "train_evaluators": {"judge": entry}}
    Path("params.yaml").write_text(yaml.safe_dump(params))
    clips, captions, splits, stats, verdict = map(
        Path, ("clips", "captions", "splits.parquet", "stats.json", "verdict.json")
    )
    train_evaluators.main("judge", clips, captions, splits, stats, verdict, Path("models/judge"))
    return Path("models/judge")


def test_an_evaluator_tells_its_ceiling_on_val_clips(place: Path) -> None:
    out = run(TRAINED)
    found = json.loads((out / "ceiling.json").read_text())
    assert found["val"]["clips"] == found["train"]["clips"] == 5
    assert {"r1", "r3", "gallery_r3", "mm_dist"} <= found["val"].keys() & found["gap"].keys()
    assert Evaluator.load(out).config.architecture == "essential"


def test_test_clips_have_no_part_in_it(place: Path) -> None:
    before = {file.name: file.read_bytes() for file in run(TRAINED).iterdir()}
    clips = [clip for clip in _clips(place) if int(clip.clip_id[-2:]) % 6 != 5]
    commit(place / "clips/made.parquet", clips, Clip)
    assert {file.name: file.read_bytes() for file in run(TRAINED).iterdir()} == before


def _clips(place: Path) -> list[Clip]:
    return list(read(place / "clips/made.parquet", Clip))


def test_an_unknown_architecture_is_told_which_exist(place: Path) -> None:
    with pytest.raises(ParamsError, match=r"architecture.*'guo', 'tmr', 'essential' or 'sentences'"):
        run({**TRAINED, "architecture": "gou"})


@pytest.fixture
def published(place: Path) -> dict[str, Any]:
    """The entry of a published evaluator, a narrow one, and its files."""
    root = place / "published"
    for folder in ("t2m/text_mot_match/model", "t2m/Comp_v6_KLD01/meta", "glove"):
        (root / folder).mkdir(parents=True)
    movement, motion, text = _state(259, 16), _recurrent(16, 32), _recurrent(300, 16)
    text |= {"pos_emb.weight": torch.randn(300, 15), "pos_emb.bias": torch.randn(300)}
    checkpoint = root / "t2m/text_mot_match/model/finest.tar"
    torch.save({"movement_encoder": movement, "motion_encoder": motion, "text_encoder": text}, checkpoint)
    for name in ("mean", "std"):
        np.save(root / f"t2m/Comp_v6_KLD01/meta/{name}.npy", np.ones(263))
    words = ["sos", "eos", "unk", "a", "person", *WORDS]
    np.save(root / "glove/our_vab_data.npy", np.random.default_rng(0).standard_normal((len(words), 300)))
    (root / "glove/our_vab_idx.pkl").write_bytes(pickle.dumps({word: index for index, word in enumerate(words)}))
    (place / "texts").mkdir()
    lines = [f"a person {WORDS[i % 6]} {i}#a/DET person/NOUN {WORDS[i % 6]}/VERB {i}/NUM#0#0" for i in range(30)]
    (place / "texts/made.txt").write_text("\n".join(lines))
    return {
        "architecture": "published", "root": str(root), "texts": str(place / "texts"), "seed": 1,
        "near_identical": 0.9, "sha256": hashlib.sha256(checkpoint.read_bytes()).hexdigest(),
    }  # fmt: skip


def _state(features: int, width: int) -> dict[str, torch.Tensor]:
    layers = {"main.0": (width, features, 4), "main.3": (width, width, 4), "out_net": (width, width)}
    weights = {f"{name}.weight": torch.randn(*shape) for name, shape in layers.items()}
    return weights | {f"{name}.bias": torch.randn(width) for name in layers}


def _recurrent(inputs: int, width: int) -> dict[str, torch.Tensor]:
    gru = torch.nn.GRU(width, width, bidirectional=True)
    net = torch.nn.Sequential(
        torch.nn.Linear(2 * width, width), torch.nn.LayerNorm(width), torch.nn.LeakyReLU(0.2), torch.nn.Linear(width, 8)
    )
    state = {"hidden": torch.randn(2, 1, width)}
    for name, layer in (("input_emb", torch.nn.Linear(inputs, width)), ("gru", gru), ("output_net", net)):
        state |= {f"{name}.{key}": value for key, value in layer.state_dict().items()}
    return state


def test_a_published_evaluator_is_taken_as_it_is_and_measured_as_ours_are(
    place: Path, published: dict[str, Any], recwarn: pytest.WarningsRecorder
) -> None:
    out = run(published)
    judge = Evaluator.load(out)
    assert judge.config.architecture == "published"
    assert json.loads((out / "ceiling.json").read_text())["val"]["clips"] == 5
    assert judge.embed_texts(["a person walks 0"]).shape == judge.embed_motions([np.zeros((40, 263))]).shape == (1, 8)
    assert not [warning for warning in recwarn if "no tokens" in str(warning.message)]


def test_another_file_than_the_pinned_one_is_not_taken(place: Path, published: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match=r"finest\.tar has sha256 .*; if that is meant, write it to"):
        run({**published, "sha256": "0" * 64})


def test_a_published_evaluator_is_not_shown_rows_that_it_would_misread(place: Path, published: dict[str, Any]) -> None:
    with pytest.raises(ParamsError, match="set features: compatible"):
        run(published, features="exact")
