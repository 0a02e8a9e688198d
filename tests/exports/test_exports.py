"""What leaves the factory comes back: through our own readers, and through the libraries that others use."""

import os
from pathlib import Path

import numpy as np
import pytest

from irg_core.corpora import procedural
from irg_core.exports import bvh, dataset, humanml3d, joints
from irg_core.motion import bvh as bvh_files
from irg_core.motion import features
from irg_core.motion.skeleton import JOINTS, LENGTHS
from irg_core.records.exchange import Motion
from tests.checkouts import ROOT

TAKE = next(procedural.read(ROOT / "irg_core/corpora/procedural.yaml", clips=1, seed=3))
WALK = features.extract(features.retarget(TAKE.joints))


def motion(name: str, split: str = "train", captions: list[str] | None = None) -> Motion:
    said = captions if captions is not None else ["a person walks, kicks and turns."]
    return Motion(name, name.split("/")[0], split, said, ["walks"], WALK, "a/b.bvh")


@pytest.fixture
def walk() -> Motion:
    return motion("made/walk")


def test_bvh_comes_back_within_a_millimetre(walk: Motion, tmp_path: Path) -> None:
    assert bvh.write([walk], tmp_path) == 1
    parsed = bvh_files.parse((tmp_path / "made/walk.bvh").read_bytes())
    positions, _ = bvh_files.pose(parsed)
    ours = positions[:, [parsed.hierarchy.names.index(name) for name in JOINTS]] / bvh.CENTIMETRES
    assert parsed.fps == 20
    assert np.abs(ours - features.to_joints(walk.features)).max() < 0.001


def test_bvh_of_a_motion_with_elastic_bones_keeps_their_mean_length(walk: Motion) -> None:
    stretched = features.to_joints(walk.features)
    stretched[:, JOINTS.index("left_wrist")] += 0.02 * np.sin(np.arange(len(stretched)))[:, None]
    hierarchy = bvh_files.parse(bvh.text(stretched).encode()).hierarchy
    bone = np.linalg.norm(hierarchy.offsets[hierarchy.names.index("left_wrist")]) / bvh.CENTIMETRES
    assert bone == pytest.approx(LENGTHS[JOINTS.index("left_wrist")], abs=0.02)
    assert bone != pytest.approx(LENGTHS[JOINTS.index("left_wrist")], abs=1e-6)


def test_bvh_angles_make_no_jumps(walk: Motion) -> None:
    values = bvh_files.parse(bvh.text(features.to_joints(walk.features)).encode()).values
    assert np.abs(np.diff(values[:, 3:], axis=0)).max() < 120


def test_npz_holds_joints_names_rate_and_captions_and_no_pickle(walk: Motion, tmp_path: Path) -> None:
    joints.write([walk], tmp_path)
    with np.load(tmp_path / "made/walk.npz", allow_pickle=False) as found:
        assert found["names"].tolist() == JOINTS
        assert found["fps"] == 20
        assert found["captions"].tolist() == walk.captions
        assert np.abs(found["joints"] - features.to_joints(walk.features)).max() < 1e-6


def test_a_humanml3d_folder_holds_what_the_field_reads(tmp_path: Path) -> None:
    said = ["a person walks #1."]
    count = humanml3d.write(
        [motion("made/a", "train", said), motion("made/b#1", "test"), motion("made/c", "val")], tmp_path
    )
    assert count == 3
    assert (tmp_path / "train.txt").read_text() == "made_a\n"
    assert (tmp_path / "all.txt").read_text().split() == ["made_a", "made_b~1", "made_c"]
    caption, tokens, start, end = (tmp_path / "texts/made_a.txt").read_text().strip().split("#")
    assert (caption, start, end) == ("a person walks  1.", "0.0", "0.0")
    assert tokens.split()[:2] == ["a/OTHER", "person/OTHER"]
    rows = np.load(tmp_path / "new_joint_vecs/made_a.npy", allow_pickle=False)
    mean, std = (np.load(tmp_path / f"{name}.npy", allow_pickle=False) for name in ("Mean", "Std"))
    assert rows.shape[1:] == mean.shape == std.shape == (263,)
    assert np.abs(rows.mean(axis=0) - mean).max() < 1e-4
    assert len({float(value) for value in std[features.POSITIONS]}) == 1
    assert np.load(tmp_path / "new_joints/made_a.npy", allow_pickle=False).shape == (len(rows), 22, 3)


def test_a_dataset_opens_with_its_splits_and_a_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.chdir(ROOT)
    motions = [motion(f"procedural/{n}", split) for n, split in enumerate(["train"] * 70 + ["val", "test"])]
    assert dataset.write(iter(motions), tmp_path / "set") == 72
    import datasets

    opened = datasets.load_dataset(os.fspath(tmp_path / "set"), cache_dir=os.fspath(tmp_path / "cache"))
    assert {name: len(rows) for name, rows in opened.items()} == {"train": 70, "validation": 1, "test": 1}
    row = opened["train"][69]
    assert row["captions"] == motions[69].captions
    assert np.abs(np.array(row["features"], dtype=np.float32) - motions[69].features).max() == 0
    assert np.array(row["joints"]).shape == (len(motions[69].features), 22, 3)
    card = (tmp_path / "set/README.md").read_text()
    assert "| procedural | procedural |" in card
    assert "| 1 | 70 | 1 |" in card
