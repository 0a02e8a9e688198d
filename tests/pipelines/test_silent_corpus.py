"""A corpus without a single caption: what is measured is said, what is not understood is named, nothing is lost."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from irg_core.annotate import describe as descriptions
from irg_core.corpora import procedural
from irg_core.motion.skeleton import FPS, JOINTS
from irg_core.records.annotation import Analysis, Caption, Rejection, visible_captions
from irg_core.records.audit import Finding
from irg_core.records.motion import Clip, Facts, Phase, Split
from irg_core.tables import read
from pipelines import analyse, describe, ingest, split
from tests.checkouts import copy_of_the_project

DATA = Path("data")


def table(room: str) -> Path:
    return DATA / room / "mute.parquet"


@pytest.fixture(scope="module")
def silent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty takes of the synthesiser without their words, and one that nobody has a word for, up to the analyses."""
    copy = copy_of_the_project(tmp_path_factory.mktemp("silent") / "project")
    values = yaml.safe_load((copy.root / "params.yaml").read_text())
    values["corpora"] = {"mute": {"format": "joints", "root": "mute"}}
    values["runtime"]["executor"] = "local"
    (copy.root / "params.yaml").write_text(yaml.safe_dump(values))
    (copy.root / "mute").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(copy.root)
        takes = list(procedural.read(Path("irg_core/corpora/procedural.yaml"), clips=20, seed=5))
        for take in takes:
            np.savez(f"mute/{take.name}.npz", joints=take.joints, names=JOINTS, fps=FPS)
        np.savez("mute/writhing.npz", joints=writhing(takes[0].joints[0]), names=JOINTS, fps=FPS)
        ingest.main("mute", Path("mute"), table("clips"), table("rejections"), table("findings"))
        split.main(DATA / "clips", DATA / "splits.parquet", DATA / "stats.json", DATA / "twins.parquet")
        describe.main("mute", table("clips"), table("facts"), table("captions"), table("t1"), table("refused"))
        analyse.main("mute", table("captions"), table("analyses"), table("t2"), table("r2"))
    return copy.root


def writhing(pose: np.ndarray) -> np.ndarray:
    """A body that lies down along the floor and turns over and over, for five seconds."""
    angle = np.linspace(0.0, 3 * np.pi, 100)[:, None]
    x, y, z = (pose[:, axis] for axis in range(3))
    lying = np.stack([x * np.cos(angle) - z * np.sin(angle), x * np.sin(angle) + z * np.cos(angle), -y + 0 * angle], -1)
    lying[..., 1] -= lying[..., 1].min()
    return lying


def test_every_clip_goes_in_and_is_remarked_upon(silent: Path) -> None:
    clips = read(silent / table("clips"), Clip)
    assert len(clips) == 21
    assert not any(clip.captions for clip in clips)
    found = [finding for finding in read(silent / table("findings"), Finding) if finding.kind == "no caption"]
    assert len(found) == 21


def test_what_is_understood_gets_a_caption_and_the_rest_is_named(silent: Path) -> None:
    said = {caption.clip_id for caption in read(silent / table("captions"), Caption)}
    assert all(caption.source != "source" for caption in read(silent / table("captions"), Caption))
    refused = {row.key: row for row in read(silent / table("refused"), Rejection)}
    everyone = {clip.clip_id for clip in read(silent / table("clips"), Clip)}
    assert said | set(refused) == everyone
    assert not said & set(refused)
    assert len(said) >= 18
    assert {row.reason for row in refused.values()} <= {descriptions.WORDLESS}


def test_written_captions_may_be_seen_in_every_split_and_are_analysed(silent: Path) -> None:
    captions = read(silent / table("captions"), Caption)
    splits = read(silent / DATA / "splits.parquet", Split)
    visible = visible_captions(captions, splits)
    parts = {split.clip_id: split.split for split in splits}
    assert {parts[clip_id] for clip_id in visible} == {"train", "val", "test"}
    analysed = {row.caption_id for row in read(silent / table("analyses"), Analysis)}
    assert analysed == {caption.caption_id for caption in captions}


def test_nobody_speaks_of_a_clip_that_came_without_words_and_is_not_understood() -> None:
    nan = float("nan")
    known = Phase("walk", 0.0, 2.0, "", "forward", nan, 0, "", "", 1.0)
    strange = Phase("other", 2.0, 4.0, "", "", nan, 0, "", "", nan)
    facts = [Facts("c/a", 4.0, [known]), Facts("c/b", 4.0, [known, strange])]
    clips = [Clip(row.clip_id, "c", row.clip_id, "", np.zeros((8, 263), np.float32), [], "") for row in facts]
    assert [row.key for row in descriptions.wordless(clips, facts)] == ["c/b"]
