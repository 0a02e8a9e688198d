"""What is said about a folder's motions: in a table, beside the files, or in their names."""

import json
from pathlib import Path
from typing import Any

import pytest

from irg_core.errors import SourceError
from irg_core.sources.captions import NoCaption, captions
from irg_core.sources.walking import Found


def said(root: Path, option: Any, relative: str = "walk_fast_01.bvh") -> list[str]:
    return [caption.text for caption in captions(root, option).of(Found(root / relative, relative))]


def table(root: Path, text: str, name: str = "captions.csv") -> str:
    (root / name).write_text(text, encoding="utf-8")
    return name


def test_without_the_option_nothing_is_promised(tmp_path: Path) -> None:
    assert said(tmp_path, None) == []


@pytest.mark.parametrize("clip", ["walk_fast_01", "walk_fast_01.bvh", "./walk_fast_01.bvh", " walk_fast_01 "])
@pytest.mark.parametrize("header", ["clip,caption", "caption,file", "fps,clip_id,cmu_description,caption", "ID,Text"])
def test_columns_are_found_by_name_and_clips_with_or_without_suffix(clip: str, header: str, tmp_path: Path) -> None:
    columns = header.split(",")
    clip_column = next(name for name in columns if name.lower() in ("clip", "file", "clip_id", "id"))
    text_column = next(name for name in columns if name.lower() in ("caption", "text"))
    row = dict.fromkeys(columns, "20") | {clip_column: clip, text_column: '"a man, walking"'}
    rows = header + "\n" + ",".join(row[name] for name in columns) + "\n"
    assert said(tmp_path, table(tmp_path, rows)) == ["a man, walking"]


def test_several_rows_are_several_captions_in_their_order(tmp_path: Path) -> None:
    rows = "clip,text\nwalk_fast_01,b\nother,x\nwalk_fast_01,  a  c \nwalk_fast_01,\n"
    assert said(tmp_path, table(tmp_path, rows)) == ["b", "a c"]


def test_a_path_wins_over_a_bare_name(tmp_path: Path) -> None:
    name = table(tmp_path, "clip,text\nday1/a.bvh,one\nday2\\a,two\na,three\n")
    assert said(tmp_path, name, "day1/a.bvh") == ["one"]
    assert said(tmp_path, name, "day2/a.bvh") == ["two"]
    assert said(tmp_path, name, "day3/a.bvh") == ["three"]


def test_dots_in_names_are_no_suffixes(tmp_path: Path) -> None:
    assert said(tmp_path, table(tmp_path, "clip,text\nsub.01,x\n"), "sub.01.bvh") == ["x"]


def test_tabs_json_lines_and_an_index_are_tables_too(tmp_path: Path) -> None:
    assert said(tmp_path, table(tmp_path, "clip\ttext\nwalk_fast_01\ta, b\n", "c.tsv")) == ["a, b"]
    lines = "\n".join(json.dumps(row) for row in [{"id": "walk_fast_01", "captions": ["a", "b"]}, {"id": "x"}])
    assert said(tmp_path, table(tmp_path, lines, "c.jsonl")) == ["a", "b"]
    index = "Subject #1 (walks)\n\nwalk_fast_01\tplayground - climb\n"
    assert said(tmp_path, table(tmp_path, index, "c.txt")) == ["playground - climb"]


def test_columns_can_be_named(tmp_path: Path) -> None:
    name = table(tmp_path, "a,b,text\nwalk_fast_01,this,that\n")
    assert said(tmp_path, {"file": name, "clip": "a", "text": "b"}) == ["this"]


@pytest.mark.parametrize(
    ("content", "said_"),
    [
        ("name,size\na,1\n", "no column 'text' for the text; it has: size"),
        ("x,y\n1,2\n", "no column 'clip' for the clip; it has: x, y"),
        ("", "it has: none"),
    ],
)
def test_a_missing_column_is_a_clear_error_that_lists_those_found(content: str, said_: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=said_):
        captions(tmp_path, table(tmp_path, content))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("c.csv", b"clip,text\n\xff\xfe,\x80\n"),
        ("c.csv", "clip,text\na,b\n".encode("utf-16")),
        ("c.csv", b'clip,text\n"never closed,b\n'),
        ("c.csv", b"clip,text\na," + b"x" * 200_000 + b"\n"),
        ("c.jsonl", b"{not json}\n"),
        ("c.jsonl", b"[1, 2]\n"),
        ("c.jsonl", b"[" * 100_000 + b"\n"),
    ],
)
def test_an_unreadable_table_is_a_clear_error(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=r"c\.\w+ cannot be read as a table of captions"):
        captions(tmp_path, name)


@pytest.mark.parametrize("name", ["missing.csv", "../outside.csv", "/etc/passwd", "."])
def test_a_table_that_is_not_in_the_folder_is_a_clear_error(name: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"captions|no table"):
        captions(tmp_path, name)


def test_a_clip_that_no_row_speaks_of_has_no_caption(tmp_path: Path) -> None:
    with pytest.raises(NoCaption, match="no caption"):
        said(tmp_path, table(tmp_path, "clip,text\nother,x\n"))


def test_lines_beside_the_file_are_its_captions(tmp_path: Path) -> None:
    (tmp_path / "a.v2.txt").write_text("one\n\n  two  words \n")
    assert said(tmp_path, {"sidecar": ".txt"}, "a.v2.bvh") == ["one", "two words"]
    with pytest.raises(NoCaption):
        said(tmp_path, {"sidecar": ".txt"}, "b.bvh")
    (tmp_path / "b.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(NoCaption, match="unreadable captions"):
        said(tmp_path, {"sidecar": ".txt"}, "b.bvh")


def test_names_spell_sentences(tmp_path: Path) -> None:
    spelled = {"pattern": "{action}_{style}_{take}", "say": "a person {action}s, {style}"}
    assert said(tmp_path, spelled) == ["a person walks, fast"]
    assert said(tmp_path, spelled, "any/folder/Jump-high_veryTired_1_2.bvh") == ["a person jump highs, verytired"]
    with pytest.raises(NoCaption, match="not of the pattern"):
        said(tmp_path, spelled, "walk.bvh")
    folders = {"pattern": "{style}/{action}_{take}", "say": "{style} {action}"}
    assert said(tmp_path, folders, "happy/run_3.bvh") == ["happy run"]


@pytest.mark.parametrize(
    ("pattern", "say", "message"),
    [("walks", "x", "needs fields"), ("{a}_{a}", "x", "each once"), ("{a}", "{b}", "'say' speaks of b")],
)
def test_a_pattern_of_no_sense_is_a_clear_error(pattern: str, say: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=message):
        captions(tmp_path, {"pattern": pattern, "say": say})


def test_braces_in_names_are_only_text(tmp_path: Path) -> None:
    spelled = {"pattern": "{action}_{take}", "say": "{action} {action.__class__}"}
    assert said(tmp_path, spelled, "{take}_1.bvh") == ["take {action.__class__}"]


def test_a_name_made_to_confuse_patterns_takes_no_time(tmp_path: Path) -> None:
    spelled = {"pattern": "{a}_{b}_{c}_{d}_{e}!", "say": "{a}"}
    with pytest.raises(NoCaption):
        said(tmp_path, spelled, "_x" * 20_000 + ".bvh")
