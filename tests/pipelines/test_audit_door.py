"""The twelve defects of the field, planted in a folder of files: each is caught at the door, and nothing else is."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml

from irg_core.corpora import procedural
from irg_core.motion.resampling import resample
from irg_core.motion.skeleton import FPS, JOINTS, MIRROR
from irg_core.records.annotation import Rejection
from irg_core.records.audit import Finding
from irg_core.records.motion import Clip, Split, Take
from irg_core.tables import read
from pipelines import audit, ingest, split

ROOT = Path(__file__).parents[2]
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())
SOURCE = Path("source")
CLIPS, SPLITS, STATS, TWINS = (
    Path("data/clips"),
    Path("data/splits.parquet"),
    Path("data/stats.json"),
    Path("t.parquet"),
)
REJECTIONS, FINDINGS, PAGE = Path("data/rejections.parquet"), Path("data/findings.parquet"), Path("data/page.html")


@pytest.fixture(scope="module")
def takes() -> dict[str, Take]:
    """Clean takes of the synthesiser by number; of each kind of motion the first ones."""
    grammar = ROOT / "irg_core/corpora/procedural.yaml"
    return {take.name: take for take in procedural.read(grammar, clips=60, seed=7)}


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    SOURCE.mkdir()
    corpora = {"mine": {"format": "joints", "root": "source"}}
    sections = {name: PARAMS[name] for name in ("ingest", "split", "audit", "skeleton", "features")}
    Path("params.yaml").write_text(yaml.safe_dump({"corpora": corpora, **sections}))
    return tmp_path


def put(take: Take, name: str = "", fps: float = FPS, captions: tuple[str, ...] | None = None) -> None:
    texts = [caption.text for caption in take.captions] if captions is None else list(captions)
    np.savez(SOURCE / f"{name or take.name}.npz", joints=take.joints, names=JOINTS, fps=fps, captions=texts)


def moved(take: Take, joints: np.ndarray) -> Take:
    return Take(take.name, joints, take.fps, take.captions, take.cell, take.truth)


def by_cell(takes: dict[str, Take], *starts: str) -> Iterator[Take]:
    return (take for take in takes.values() if take.cell.startswith(starts) and ">" not in take.cell)


def through_the_door() -> list[Finding]:
    ingest.main("mine", SOURCE, CLIPS / "mine.parquet", REJECTIONS, FINDINGS)
    split.main(CLIPS, SPLITS, STATS, TWINS)
    audit.main("mine", CLIPS / "mine.parquet", REJECTIONS, FINDINGS, SPLITS, TWINS, PAGE)
    return [*read(FINDINGS, Finding), *read(TWINS, Finding)]


def test_a_clean_corpus_raises_no_alarm(takes: dict[str, Take]) -> None:
    for take in takes.values():
        put(take)
    assert through_the_door() == []
    assert read(REJECTIONS, Rejection) == []
    assert "Nothing was found" in PAGE.read_text()


def test_twelve_planted_defects_are_twelve_findings(takes: dict[str, Take]) -> None:
    walks, jumps = by_cell(takes, "run forward"), by_cell(takes, "jump")
    for take in takes.values():
        put(take)
    planted = {}

    jump = next(jumps)
    put(jump, "wrong_fps", fps=2 * FPS)
    planted["wrong_fps"] = {"falls too fast"}
    walk = next(walks)
    turned = walk.joints[:, :1] + (walk.joints - walk.joints[:, :1])[..., [2, 1, 0]] * (1.0, 1.0, -1.0)
    put(moved(walk, turned), "z_facing", captions=("a person runs.",))
    planted["z_facing"] = {"wrong facing"}
    put(moved(walk, walk.joints[:, MIRROR]), "sides_swapped", captions=("a person runs.",))
    planted["sides_swapped"] = {"left and right", "left-handed axes mirrored"}
    kick = next(by_cell(takes, "kick"))
    put(moved(kick, resample(kick.joints, 20, 23) * 1000), "millimetres", fps=20)
    planted["millimetres"] = {"unit", "wrong size"}
    broken = walk.joints.copy()
    broken[17, 3] = np.nan
    put(moved(walk, broken), "nan")
    planted["nan"] = {"numbers that are not finite"}
    put(moved(walk, walk.joints[:1]), "one_frame")
    planted["one_frame"] = {"fewer than two frames"}
    bow = next(by_cell(takes, "bow"))
    put(moved(bow, resample(bow.joints, 20, 60)), "z_copy", fps=60)
    planted["z_copy"] = {"duplicate"}
    wave = next(by_cell(takes, "wave"))
    put(moved(wave, (wave.joints * (-1, 1, 1))[:, MIRROR]), "z_mirrored", captions=("a person waves.",))
    planted["z_mirrored"] = {"mirrored twin"}
    squat = next(by_cell(takes, "squat"))
    put(moved(squat, resample(squat.joints, 20, 25)), "no_text", fps=20, captions=())
    planted["no_text"] = {"no caption"}
    (SOURCE / "LICENSE.npy").write_text("Permission is hereby granted, free of charge")
    planted["LICENSE"] = {"unreadable motion file"}
    put(walk, "truncated")
    whole = (SOURCE / "truncated.npz").read_bytes()
    (SOURCE / "truncated.npz").write_bytes(whole[: len(whole) // 2])
    planted["truncated"] = {"unreadable motion file"}
    put(moved(walk, walk.joints[:, ::-1]), "wrong_order")
    planted["wrong_order"] = {"wrong joint order", "stretching bones"}

    found: dict[str, set[str]] = {}
    for finding in through_the_door():
        found.setdefault(finding.name.removeprefix("mine/"), set()).add(finding.kind)
    found = {name.removesuffix(".npy").removesuffix(".npz"): kinds for name, kinds in found.items()}
    assert sorted(found) == sorted(planted)
    for name, kinds in planted.items():
        assert found[name] & kinds, (name, found[name])
    splits = {row.clip_id: row.split for row in read(SPLITS, Split)}
    assert splits["mine/z_mirrored"] == splits[f"mine/{wave.name}"]
    clips = {clip.clip_id for clip in read(CLIPS / "mine.parquet", Clip)}
    assert clips & {f"mine/{name}" for name in planted} <= {
        f"mine/{n}" for n in ("sides_swapped", "millimetres", "z_mirrored", "no_text")
    }
