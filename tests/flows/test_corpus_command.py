"""`irg corpus inspect` on folders as people have them: what it says to paste must go in as it stands."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from irg_core import tables
from irg_core.corpora import procedural
from irg_core.exports import bvh, joints
from irg_core.motion import features
from irg_core.records.exchange import Motion
from irg_core.records.motion import Clip
from tests.checkouts import ROOT, Checkout

CMU = ROOT / "../shared/data/cmu"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three takes as BVH in a sub-folder, and a table that speaks of two of them."""
    place = tmp_path_factory.mktemp("studio")
    takes = procedural.read(ROOT / "irg_core/corpora/procedural.yaml", clips=3, seed=3)
    rows = [(take.name, features.extract(features.retarget(take.joints))) for take in takes]
    bvh.write([Motion(f"day1/{name}", "x", "train", [], [], frames, "") for name, frames in rows], place)
    lines = [f"{name},someone moves about" for name, _ in rows[:2]]
    (place / "index.csv").write_text("\n".join(["file,description", *lines]) + "\n")
    return place


def entry(said: str) -> dict[str, dict[str, object]]:
    """The entry that the command printed last."""
    found = yaml.safe_load(re.split(r"say `irg repro audit@\w+`:\n", said)[1])
    assert isinstance(found, dict)
    return found


def test_a_folder_of_bvh_is_understood_and_its_entry_goes_in(checkout: Checkout, folder: Path) -> None:
    said = checkout.run("irg", "corpus", "inspect", str(folder), "--name", "studio")
    assert "format bvh; files: 3 .bvh, 1 .csv" in said
    assert "0.01 m" in said
    found = entry(said)
    assert found == {"studio": {"format": "bvh", "root": str(folder), "captions": "index.csv"}}
    checkout.edit("params.yaml", "corpora:\n", "corpora:\n" + indented(found))
    assert checkout.repro("ingest@studio") == ["ingest@studio"]
    clips = tables.read(checkout.root / "data/clips/studio.parquet", Clip)
    assert {clip.clip_id.split("__")[0] for clip in clips} == {"studio/day1"}


def indented(found: object) -> str:
    return "".join(f"  {line}\n" for line in yaml.safe_dump(found).splitlines())


def test_a_take_without_its_promised_caption_is_a_problem(checkout: Checkout, folder: Path) -> None:
    said = checkout.run("irg", "corpus", "inspect", str(folder))
    assert "problem (1×): no caption" in " ".join(said.split())


def test_joints_without_a_skeleton_are_told_by_their_number(checkout: Checkout, tmp_path: Path) -> None:
    take = next(procedural.read(ROOT / "irg_core/corpora/procedural.yaml", clips=1, seed=3))
    walk = features.extract(features.retarget(take.joints))
    joints.write([Motion("walk", "x", "train", [], [], walk, "")], tmp_path / "in")
    found = entry(checkout.run("irg", "corpus", "inspect", str(tmp_path / "in")))
    assert found == {"in": {"format": "joints", "root": str(tmp_path / "in")}}


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda place: None, "is no folder"),
        (lambda place: (place.mkdir(), (place / "notes.doc").write_text("no motion")), "is of no known format"),
        (lambda place: (place.mkdir(), (place / "a.bvh").write_text("junk")), "problem (1×): unreadable motion file"),
    ],
    ids=["missing", "no motion", "broken"],
)
def test_what_cannot_go_in_is_said_in_a_sentence(
    checkout: Checkout, tmp_path: Path, make: Callable[[Path], object], sentence: str
) -> None:
    make(tmp_path / "in")
    said = checkout.run("irg", "corpus", "inspect", str(tmp_path / "in"), code=None)
    assert sentence in " ".join(said.split())
    assert "Traceback" not in said


@pytest.mark.skipif(not CMU.exists(), reason="needs the CMU clips, which no checkout carries")
def test_three_families_in_one_folder_are_told_apart(checkout: Checkout) -> None:
    said = checkout.run("irg", "corpus", "inspect", str(CMU.resolve()), "--takes", "8")
    assert all(family in said for family in ("CMU, MotionBuilder names", "Poser / DAZ", "Character Creator"))
    (found,) = entry(said).values()
    assert (found["format"], found["captions"]) == ("cmu", "descriptions.csv")


def test_nothing_to_export_is_said_in_a_sentence(checkout: Checkout, tmp_path: Path) -> None:
    said = checkout.run("irg", "export", "bvh", str(tmp_path / "out"), code=2)
    assert "data/splits.parquet is missing" in said
    assert "Traceback" not in said
    assert not (tmp_path / "out").exists()


def test_a_folder_is_added_and_not_a_letter_beside_it_changes(checkout: Checkout, folder: Path) -> None:
    before = (checkout.root / "params.yaml").read_text()
    dry = checkout.run("irg", "corpus", "add", str(folder), "--name", "studio", "--dry-run")
    assert "would be written" in dry
    assert (checkout.root / "params.yaml").read_text() == before
    checkout.run("irg", "corpus", "add", str(folder), "--name", "studio", "--licence", "CC0: ours")
    after = (checkout.root / "params.yaml").read_text()
    added = [line for line in after.splitlines() if line not in before.splitlines()]
    assert "".join(f"{line}\n" for line in before.splitlines()) == after.replace(
        "".join(f"{one}\n" for one in added), ""
    )
    found = yaml.safe_load(after)["corpora"]["studio"]
    assert found == {"format": "bvh", "root": str(folder), "captions": "index.csv", "licence": "CC0: ours"}
    assert "corpora has 'studio' already" in checkout.run(
        "irg", "corpus", "add", str(folder), "--name", "studio", code=2
    )


def test_corpora_are_listed_with_what_became_of_them(checkout: Checkout, folder: Path) -> None:
    checkout.run("irg", "corpus", "add", str(folder), "--name", "studio")
    assert checkout.repro("ingest@studio") == ["ingest@studio"]
    rows = {row["corpus"]: row for row in json.loads(checkout.run("irg", "corpus", "list", "--json"))}
    assert (rows["studio"]["clips"], rows["studio"]["rejected"]) == (2, {"ingest: no caption": 1})
    assert rows["studio"]["built"]
    assert (rows["procedural"]["clips"], rows["procedural"]["built"]) == (None, None)


def test_an_entry_that_says_too_little_is_listed_with_what_it_lacks(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("corpora: {mocap: {root: /m}, bare: , whole: {format: bvh, root: /w}}")
    rows = json.loads(Checkout(tmp_path).run("irg", "corpus", "list", "--json"))
    assert [(row["format"], row["root"]) for row in rows] == [(None, "/m"), (None, None), ("bvh", "/w")]
    said = Checkout(tmp_path).run("irg", "corpus", "list")
    assert "mocap: params.yaml names no format\n" in said
    assert "bare: params.yaml names no format and no root" in said
    assert "whole: " not in said


def test_commands_that_are_told_can_be_pasted(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "params.yaml").write_text("corpora: {}")
    place = tmp_path / "two words"
    place.symlink_to(folder)
    said = Checkout(tmp_path).run("irg", "corpus", "inspect", "two words", "--name", "studio")
    assert "`irg corpus add 'two words' --name studio`" in said
    (tmp_path / "no motion").mkdir()
    (tmp_path / "no motion/a.bvh").write_text("junk")
    said = Checkout(tmp_path).run("irg", "corpus", "add", "no motion", code=2)
    assert "`irg corpus inspect 'no motion'` tells more" in said


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--name", "Two Words"), "is no name for a corpus"),
        (("--format", "song"), "no 'song' in irg_core/corpora"),
        (("--captions", "{file: ["), "neither a word nor a mapping"),
        (("--captions", "missing.csv"), "missing.csv"),
        (("--unit", "parsec"), "unit"),
    ],
)
def test_what_cannot_be_added_is_refused_before_it_is_written(
    checkout: Checkout, folder: Path, options: tuple[str, ...], sentence: str
) -> None:
    before = (checkout.root / "params.yaml").read_text()
    said = checkout.run("irg", "corpus", "add", str(folder), *options, code=2)
    assert sentence in said
    assert "Traceback" not in said
    assert (checkout.root / "params.yaml").read_text() == before
