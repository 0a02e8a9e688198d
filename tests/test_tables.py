"""Tables: what goes in comes out, equal rows give equal bytes, and a reader never sees half a file."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irg_core import tables
from irg_core.errors import TableError
from irg_core.records.annotation import Analysis, Caption, Rejection
from irg_core.records.motion import FEATURES, Clip, Facts, Phase, SourceCaption

NAN = float("nan")


def clip(name: str, frames: int) -> Clip:
    features = np.arange(frames * FEATURES, dtype=np.float32).reshape(frames, FEATURES)
    return Clip(f"c/{name}", "c", f"c/{name}", "walk", features, [SourceCaption("a person walks", "plain")], "")


def rejection(key: str) -> Rejection:
    return Rejection(key, "ingest", "too short", "1 frame")


def test_frames_of_different_lengths_come_back_row_by_row(tmp_path: Path) -> None:
    clips = [clip("b", 3), clip("a", 7), clip("c", 0)]
    assert tables.commit(tmp_path / "clips.parquet", clips, Clip) == 3
    back = {row.clip_id: row for row in tables.read(tmp_path / "clips.parquet", Clip)}
    for row in clips:
        assert np.array_equal(back[row.clip_id].features, row.features)
        assert back[row.clip_id].captions == row.captions


def test_frames_are_as_wide_as_those_of_the_rows_and_all_alike(tmp_path: Path) -> None:
    kit = [replace(clip(name, size), features=np.ones((size, 251), np.float32)) for name, size in (("b", 3), ("a", 9))]
    tables.commit(tmp_path / "kit.parquet", kit, Clip)
    assert [row.features.shape for row in tables.read(tmp_path / "kit.parquet", Clip)] == [(9, 251), (3, 251)]
    with pytest.raises(TableError, match="one skeleton"):
        tables.commit(tmp_path / "both.parquet", [*kit, clip("c", 4)], Clip)
    assert not (tmp_path / "both.parquet").exists()


def test_nested_records_come_back_as_records(tmp_path: Path) -> None:
    phase = Phase("walk", 0.0, 1.5, "", "forward", 90.0, 2, "fast", "", 1.25)
    tables.commit(tmp_path / "facts.parquet", [Facts("c/a", 1.5, [phase])], Facts)
    assert tables.read(tmp_path / "facts.parquet", Facts)[0].phases == [phase]
    analysis = Analysis("c/a/0", "c/a", [phase], "It walks.", ["p", "q", "r"], "d")
    tables.commit(tmp_path / "analyses.parquet", [analysis], Analysis)
    assert tables.read(tmp_path / "analyses.parquet", Analysis) == [analysis]


@given(order=st.permutations(range(20)))
def test_the_order_of_rows_does_not_change_a_byte(order: list[int], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("order")
    rows = [Caption(f"c/{n}/0", f"c/{n}", 0, f"text {n}", "", "source") for n in range(20)]
    tables.commit(folder / "one.parquet", rows, Caption)
    tables.commit(folder / "two.parquet", [rows[n] for n in order], Caption)
    assert (folder / "one.parquet").read_bytes() == (folder / "two.parquet").read_bytes()


def test_a_duplicate_key_is_refused_and_leaves_the_old_table(tmp_path: Path) -> None:
    path = tmp_path / "rejections.parquet"
    tables.commit(path, [rejection("a")], Rejection)
    before = path.read_bytes()
    with pytest.raises(TableError, match="'b' occurs twice"):
        tables.commit(path, [rejection("b"), rejection("b")], Rejection)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["rejections.parquet"]


def test_an_empty_table_is_a_table(tmp_path: Path) -> None:
    assert tables.commit(tmp_path / "clips.parquet", [], Clip) == 0
    assert tables.read(tmp_path / "clips.parquet", Clip) == []


def test_reading_names_the_file_and_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"missing\.parquet is missing; `dvc repro` makes it"):
        tables.read(tmp_path / "missing.parquet", Clip)
    (tmp_path / "torn.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(TableError, match="not a readable Parquet file"):
        tables.read(tmp_path / "torn.parquet", Clip)
    tables.commit(tmp_path / "other.parquet", [rejection("a")], Rejection)
    with pytest.raises(TableError, match="has columns"):
        tables.read(tmp_path / "other.parquet", Clip)


def test_only_the_files_named_are_read(tmp_path: Path) -> None:
    for name in ("kept", "removed"):
        tables.commit(tmp_path / f"{name}.parquet", [rejection(name)], Rejection)
    assert [row.key for row in tables.read_all(tmp_path, ["kept"], Rejection)] == ["kept"]


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hardly any memory: a few rows a run, two rows a page, three runs at a time."""
    monkeypatch.setattr(tables, "RUN_ROWS", 7)
    monkeypatch.setattr(tables, "PAGE_BYTES", 2 * 4 * FEATURES * 4)
    monkeypatch.setattr(tables, "FAN", 3)


@given(order=st.permutations(range(60)))
@settings(max_examples=20, deadline=None)
def test_a_table_larger_than_memory_has_the_same_bytes(
    order: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("narrow")
    rows = [clip(f"{n:03d}", n % 9) for n in range(60)]
    tables.commit(folder / "wide.parquet", rows, Clip)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "RUN_ROWS", 7)
        patch.setattr(tables, "PAGE_BYTES", 2 * 4 * FEATURES * 4)
        patch.setattr(tables, "FAN", 3)
        assert tables.commit(folder / "narrow.parquet", (rows[n] for n in order), Clip) == 60
    assert (folder / "narrow.parquet").read_bytes() == (folder / "wide.parquet").read_bytes()
    assert sorted(file.name for file in folder.iterdir()) == ["narrow.parquet", "wide.parquet"]


@pytest.mark.usefixtures("narrow")
def test_equal_keys_far_apart_are_refused_and_leave_the_old_table(tmp_path: Path) -> None:
    path = tmp_path / "rejections.parquet"
    tables.commit(path, [rejection("a")], Rejection)
    before = path.read_bytes()
    with pytest.raises(TableError, match="'04' occurs twice"):
        tables.commit(path, (rejection(f"{n if n < 40 else 4:02d}") for n in range(41)), Rejection)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["rejections.parquet"]


@pytest.mark.usefixtures("narrow")
def test_rows_that_fail_half_way_leave_nothing(tmp_path: Path) -> None:
    def rows() -> Iterator[Rejection]:
        yield from (rejection(f"{n:02d}") for n in range(30))
        raise OSError("the source is gone")

    with pytest.raises(OSError, match="the source is gone"):
        tables.commit(tmp_path / "rejections.parquet", rows(), Rejection)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("narrow")
def test_what_a_kill_leaves_is_hidden_from_dvc_and_replaced(tmp_path: Path) -> None:
    """A process that dies while it merges; the next commit finds its runs."""
    path = tmp_path / "rejections.parquet"
    script = f"""
import os, itertools
from irg_core import tables
from irg_core.records.annotation import Rejection
tables.RUN_ROWS = 7
tables._unique = lambda ordered, *_: (os._exit(9) for _ in ordered)
from pathlib import Path
tables.commit(Path({str(path)!r}), (Rejection(f"{{n:02d}}", "s", "r", "d") for n in range(30)), Rejection)
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 9
    left = [file.name for file in tmp_path.iterdir()]
    assert left
    assert all(fnmatch(name, ".*.part") for name in left)
    assert ".*.part" in Path(".dvcignore").read_text().split()
    assert tables.commit(path, [rejection("a")], Rejection) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["rejections.parquet"]


def test_a_scan_reads_row_by_row_what_read_reads_at_once(tmp_path: Path) -> None:
    rows = [clip(f"{n:03d}", 3) for n in range(150)]
    tables.commit(tmp_path / "clips.parquet", rows, Clip)
    scanned = tables.scan(tmp_path / "clips.parquet", Clip)
    assert next(scanned).clip_id == "c/000"
    for row, back in zip(rows[1:], scanned, strict=True):
        assert np.array_equal(row.features, back.features)


@dataclass(frozen=True, slots=True)
class Said:
    """Of a caption, what this test looks at."""

    caption_id: str
    text: str


def captions(count: int) -> list[Caption]:
    return [Caption(f"c/{n:04d}/0", f"c/{n:04d}", 0, f"text {n}", "", "source") for n in range(count)]


@pytest.mark.parametrize("size", [1, 7, 64, 1000])
def test_each_row_is_found_by_its_key_and_no_other(size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "LIGHT_ROWS_PER_GROUP", size)
    path, rows = tmp_path / "captions.parquet", captions(200)
    tables.commit(path, rows, Caption)
    with tables.Keyed(path, Said) as keyed:
        for row in (*rows, *reversed(rows)):
            assert keyed.find(row.caption_id) == Said(row.caption_id, row.text)
        for row in rows[::17]:
            assert tables.find(path, Caption, row.caption_id) == row
        some = {row.caption_id: Said(row.caption_id, row.text) for row in rows[::9]}
        assert tables.find_all(path, Said, [*some, "c/0004/1"]) == some
        left = tables.find_rows(path, [*some, ""], without=["clip_id", "index", "template", "source", "origin"])
        assert {key: Said(**row) for key, row in left.items()} == some
        for key in ("", "c/0000/", "c/0004/1", "c/0199/00", "z"):
            assert tables.find(path, Caption, key) is None
            assert keyed.find(key) is None


def test_rows_are_found_by_the_start_of_their_keys_across_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "LIGHT_ROWS_PER_GROUP", 3)
    path, rows = tmp_path / "captions.parquet", captions(200)
    tables.commit(path, rows, Caption)
    with tables.Keyed(path, Caption) as keyed:
        for prefix in ("c/01", "c/0004", "", "b", "d"):
            assert list(keyed.starting(prefix)) == [row for row in rows if row.caption_id.startswith(prefix)]


def test_a_look_up_reads_one_group_of_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "LIGHT_ROWS_PER_GROUP", 10)
    path = tmp_path / "captions.parquet"
    tables.commit(path, captions(500), Caption)
    asked = set[int]()
    read_row_group = pq.ParquetFile.read_row_group

    def watched(file: pq.ParquetFile, number: int, **options: object) -> object:
        asked.add(number)
        return read_row_group(file, number, **options)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", watched)
    assert tables.find(path, Caption, "c/0123/0")
    assert asked == {12}
    # Before the table, between two of its groups, and beyond it.
    assert tables.find_all(path, Caption, ["a", "c/0129/1", "z"]) == {}
    assert asked == {12}, "a key that no group can hold reads none"


def test_neighbours_of_a_missing_key_and_an_empty_table(tmp_path: Path) -> None:
    path = tmp_path / "captions.parquet"
    tables.commit(path, [], Caption)
    assert tables.find(path, Caption, "c/0000/0") is None
    assert tables.keys_near(path, "c/0000/0", 2) == []
    tables.commit(path, captions(20), Caption)
    assert tables.keys_near(path, "zz", 1) == ["c/0019/0"]
    assert tables.keys_near(path, "c/0003/1", 2) == ["c/0002/0", "c/0003/0", "c/0004/0", "c/0005/0"]


def test_columns_are_those_that_the_record_names(tmp_path: Path) -> None:
    path = tmp_path / "captions.parquet"
    tables.commit(path, captions(3), Caption)
    assert tables.columns(path, Said).to_pydict() == {
        "caption_id": ["c/0000/0", "c/0001/0", "c/0002/0"],
        "text": ["text 0", "text 1", "text 2"],
    }
    with pytest.raises(TableError, match="has no column key, stage"):
        tables.columns(path, Rejection)
