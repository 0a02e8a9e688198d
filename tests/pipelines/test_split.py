"""split end to end: only named corpora are read, and one corpus's splits do not depend on another's."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from irg_core.errors import TableError
from irg_core.files import read_json
from irg_core.records.motion import Clip, SourceCaption, Split
from irg_core.tables import commit, read
from pipelines import split

CLIPS, SPLITS, STATS = Path("data/clips"), Path("data/splits.parquet"), Path("data/stats.json")
TWINS = Path("data/twins.parquet")
AUDIT = yaml.safe_load((Path(__file__).parents[2] / "params.yaml").read_text())["audit"]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for seed, corpus in enumerate(("first", "second")):
        source = np.random.Generator(np.random.PCG64(seed))
        clips = []
        for number in range(40):
            name = f"{corpus}/{number:02d}"
            captions = [SourceCaption("it moves", f"template{number % 5}"), SourceCaption("it does move", "other")]
            rows = source.normal(seed, 1.0, (30, 263)).astype(np.float32)
            clips.append(Clip(name, corpus, name, f"cell{number % 8}", rows, captions, ""))
        commit(CLIPS / f"{corpus}.parquet", clips, Clip)
    return tmp_path


def run(*corpora: str) -> list[Split]:
    shares = {"seed": 1, "unseen_cells": 0.15, "heldout_templates": 0.2, "val": 0.1, "test": 0.1}
    values = {"corpora": {corpus: {"format": "x", "root": "x"} for corpus in corpora}, "split": shares}
    values["audit"] = AUDIT
    Path("params.yaml").write_text(yaml.safe_dump(values))
    split.main(CLIPS, SPLITS, STATS, TWINS)
    return read(SPLITS, Split)


def test_another_corpus_changes_nothing_for_the_first() -> None:
    alone = run("first")
    together = run("first", "second")
    assert alone == [row for row in together if row.corpus == "first"]
    assert len(together) == 80


def test_a_corpus_that_is_no_longer_named_leaves_no_row_although_its_table_lies_there() -> None:
    run("first", "second")
    assert {row.corpus for row in run("first")} == {"first"}


def test_statistics_are_taken_over_train_only() -> None:
    train = {row.clip_id for row in run("first", "second") if row.split == "train"}
    clips = [clip for corpus in ("first", "second") for clip in read(CLIPS / f"{corpus}.parquet", Clip)]
    rows = np.concatenate([clip.features for clip in clips if clip.clip_id in train])
    found = read_json(STATS)
    assert found["frames"] == len(rows)
    assert np.abs(np.array(found["mean"]) - rows.mean(axis=0)).max() < 1e-5


def test_the_same_clips_give_the_same_bytes() -> None:
    run("first", "second")
    before = SPLITS.read_bytes(), STATS.read_bytes()
    run("first", "second")
    assert before == (SPLITS.read_bytes(), STATS.read_bytes())


def test_a_table_that_is_missing_is_named() -> None:
    with pytest.raises(TableError, match=r"third\.parquet is missing"):
        run("first", "third")
