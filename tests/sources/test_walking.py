"""The files of a folder that nobody has vetted, and what they are called."""

from pathlib import Path

import pytest

from irg_core.records.annotation import Rejection
from irg_core.sources.names import safe_name, shown
from irg_core.sources.walking import Found, walk


def found(root: Path) -> list[str]:
    return [
        file.relative if isinstance(file, Found) else f"{file.key}: {file.reason}" for file in walk(root, (".bvh",))
    ]


def test_files_come_in_the_order_of_names_folders_after_their_files(tmp_path: Path) -> None:
    for name in ("b/2.bvh", "b/1.BVH", "a/x.bvh", "z.bvh", "LICENSE", "b/notes.txt", ".hidden/1.bvh", "b/._1.bvh"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert found(tmp_path) == ["z.bvh", "a/x.bvh", "b/1.BVH", "b/2.bvh"]


def test_links_to_files_are_followed_and_links_to_folders_are_not(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache/1f").write_text("motion")
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus/a.bvh").symlink_to("../cache/1f")
    (tmp_path / "corpus/more").symlink_to(tmp_path)
    assert found(tmp_path / "corpus") == ["a.bvh", "more: folder behind a link"]


def test_a_refusal_shows_any_name_on_one_printable_line(tmp_path: Path) -> None:
    (tmp_path / "a\n\x1b[2J.bvh").mkdir()
    (refused,) = walk(tmp_path, (".bvh",))
    assert isinstance(refused, Rejection)
    assert refused.key == "a_2J"
    assert refused.detail == "a\\x0a\\x1b[2J.bvh: a folder"


@pytest.mark.parametrize(
    ("relative", "name"),
    [
        ("walk.bvh", "walk"), ("day 1/walk.v2.bvh", "day_1__walk.v2"), ("..bvh", "_"), ("a/../b.bvh", "a__..__b"),
        ("e\u0301te\u0301.bvh", "\u00e9t\u00e9"), ("a#b|c~d.bvh", "a_b_c_d"), ("-x.bvh", "-x"),
        ("no suffix", "no_suffix"),
    ],
)  # fmt: skip
def test_names_keep_letters_digits_and_a_few_signs(relative: str, name: str) -> None:
    assert safe_name(relative) == name


def test_long_texts_are_cut() -> None:
    assert shown("x" * 1000) == "x" * 199 + "…"


def test_a_file_may_be_as_long_as_half_an_hour_of_its_kind_needs(tmp_path: Path) -> None:
    for name, size in (("a.bvh", 512 * 2**20), ("b.bvh", 512 * 2**20 + 1), ("c.amc", 64 * 2**20 + 1)):
        with (tmp_path / name).open("wb") as file:
            file.truncate(size)
    first, second, third = walk(tmp_path, (".bvh", ".amc"))
    assert isinstance(first, Found)
    for refused in (second, third):
        assert isinstance(refused, Rejection)
        assert refused.reason == "file too large"
        assert "cut it into shorter takes" in refused.detail
