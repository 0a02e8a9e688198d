"""validate_clips: a planted defect stops the stage with a sentence that names it, and leaves no verdict."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from irg_core import tables
from irg_core.corpora import procedural
from irg_core.errors import ValidationFailed
from irg_core.motion.features import extract
from irg_core.motion.skeleton import MIRROR
from irg_core.records.audit import Finding
from irg_core.records.motion import Clip, Facts, Phase, SourceCaption, Split, Take
from irg_core.seeds import rng
from pipelines import validate_clips

ROOT = Path(__file__).parents[2]


def clip(index: int, take: str | None = None) -> Clip:
    frames = (0.1 * rng(0, "clip", index).standard_normal((60, 263))).astype(np.float32)
    name = f"made/{index:02d}"
    return Clip(name, "made", take or name, f"cell {index}", frames, [SourceCaption("a person moves", "")], "")


def facts(clip_id: str) -> Facts:
    phase = Phase("walk", 0.0, 2.5, "", "forward", float("nan"), 0, "", "", 1.0)
    return Facts(clip_id, 3.0, [phase])


class Build:
    """The tables that the stage reads, in a folder of their own; tests change one thing and run it."""

    def __init__(self) -> None:
        self.clips = [clip(index) for index in range(8)]
        parts = ["train"] * 5 + ["val"] + ["test"] * 2
        self.splits = [Split(c.clip_id, "made", part, False, [0]) for c, part in zip(self.clips, parts, strict=True)]
        self.facts = [facts(c.clip_id) for c in self.clips]
        self.twins: list[Finding] = []

    def run(self) -> Path:
        tables.commit(Path("clips/made.parquet"), self.clips, Clip)
        tables.commit(Path("splits.parquet"), self.splits, Split)
        tables.commit(Path("facts/made.parquet"), self.facts, Facts)
        tables.commit(Path("twins.parquet"), self.twins, Finding)
        return self.validate()

    def validate(self) -> Path:
        verdict = Path("reports/clips.json")
        validate_clips.main(
            Path("clips"), Path("splits.parquet"), Path("twins.parquet"), Path("facts"), verdict,
            Path("reports/clips.html"),
        )  # fmt: skip
        return verdict


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Build:
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    values["corpora"] = {"made": {"format": "procedural", "root": "nowhere"}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(values))
    monkeypatch.chdir(tmp_path)
    return Build()


def test_sound_tables_pass_and_say_the_same_twice(build: Build) -> None:
    first = build.run().read_bytes()
    assert build.run().read_bytes() == first
    assert b'"holds": true' in first
    assert "expectations hold" in Path("reports/clips.html").read_text()


def plant_nan(build: Build) -> None:
    build.clips[3].features[7, 5] = np.nan


def plant_a_leaked_take(build: Build) -> None:
    build.clips[0] = dataclasses.replace(build.clips[0], take=build.clips[6].take)


def plant_the_same_motion_in_test(build: Build) -> None:
    build.clips[6] = dataclasses.replace(build.clips[6], features=build.clips[0].features + np.float32(1e-4))


def plant_a_mirrored_motion_in_val(build: Build) -> None:
    takes = procedural.read(Path(procedural.__file__).with_suffix(".yaml"), clips=3, seed=5)
    joints = next(take.joints for take in takes if isinstance(take, Take))
    for place, motion in ((0, joints), (5, joints[:, MIRROR] * (-1.0, 1.0, 1.0))):
        build.clips[place] = dataclasses.replace(build.clips[place], features=extract(motion))


def twin(name: str, other: str, outcome: str) -> Finding:
    nothing = np.zeros((0, 66), np.float32)
    detail = f"the same motion as {other}"
    return Finding(f"{name}|twin", "made", name, "twin", 0.004, "m", 0.01, outcome, detail, nothing, nothing, other)


def plant_a_test_twin_in_train(build: Build) -> None:
    build.twins.append(twin("made/06", "made/01", "repaired"))


def plant_an_unseen_cell_in_training(build: Build) -> None:
    build.splits[7] = dataclasses.replace(build.splits[7], unseen=True)
    build.clips[1] = dataclasses.replace(build.clips[1], cell=build.clips[7].cell)


def plant_a_clip_without_split(build: Build) -> None:
    del build.splits[2]


def plant_a_split_without_clip(build: Build) -> None:
    build.splits.append(Split("made/ghost", "made", "train", False, []))


def plant_a_short_clip(build: Build) -> None:
    build.clips[4] = dataclasses.replace(build.clips[4], features=build.clips[4].features[:3])


def plant_millimetres(build: Build) -> None:
    build.clips[4].features[:, 1] = 1.4


def plant_an_empty_caption(build: Build) -> None:
    build.clips[4] = dataclasses.replace(build.clips[4], captions=[SourceCaption("  ", "")])


def plant_a_phase_after_the_end(build: Build) -> None:
    late = dataclasses.replace(build.facts[4].phases[0], end=9.0)
    build.facts[4] = dataclasses.replace(build.facts[4], phases=[late])


@pytest.mark.parametrize(
    ("plant", "table", "sentence", "row"),
    [
        (plant_nan, "clips", "every number of a clip is finite", "made/03"),
        (plant_a_leaked_take, "takes", "all cuts of a take are in one split", "made/06"),
        (plant_the_same_motion_in_test, "splits", "no motion is in two splits, mirrored or not", "made/06 (made/00)"),
        (plant_a_mirrored_motion_in_val, "splits", "no motion is in two splits, mirrored or not", "made/05 (made/00)"),
        (plant_a_test_twin_in_train, "splits", "twins are in one split", "made/06 (made/01)"),
        (plant_an_unseen_cell_in_training, "takes", "a cell called unseen occurs in no training", "made/0"),
        (plant_a_clip_without_split, "clips", "a clip has a split", "made/02"),
        (plant_a_split_without_clip, "splits", "a split row belongs to a clip", "made/ghost"),
        (plant_a_short_clip, "clips", "a clip lasts as long as ingest allows", "made/04 (3)"),
        (plant_millimetres, "clips", "no root moves faster than a person can", "made/04 (28"),
        (plant_an_empty_caption, "clips", "no caption is empty", "made/04"),
        (plant_a_phase_after_the_end, "facts", "phases lie inside of their clip", "made/04"),
    ],
)
def test_a_planted_defect_stops_the_stage(
    build: Build, plant: Callable[[Build], None], table: str, sentence: str, row: str
) -> None:
    plant(build)
    with pytest.raises(ValidationFailed) as failure:
        build.run()
    (line,) = [line for line in str(failure.value).splitlines() if sentence in line]
    assert f"table '{table}'" in line
    assert row in line
    assert not Path("reports/clips.json").exists(), "no verdict is left"
    assert "are broken" in Path("reports/clips.html").read_text(), "the page tells which rows"


def test_a_duplicate_id_stops_the_stage(build: Build) -> None:
    """Our own writer refuses a duplicate key, so the table is doubled behind its back."""
    build.run()
    Path("reports/clips.json").unlink()
    table = pq.read_table("clips/made.parquet")
    pq.write_table(table.take([0, *range(len(table))]), "clips/made.parquet")
    with pytest.raises(ValidationFailed, match=r"'a clip id occurs once'.*made/00"):
        build.validate()
    assert not Path("reports/clips.json").exists()


def test_twins_that_the_rules_accept_and_twins_within_a_split_do_no_harm(build: Build) -> None:
    build.twins = [twin("made/06", "made/01", "accepted"), twin("made/02", "made/01", "repaired")]
    build.clips[6] = dataclasses.replace(build.clips[6], features=build.clips[1].features)
    build.clips[2] = dataclasses.replace(build.clips[2], features=build.clips[0].features)
    assert build.run().exists()
