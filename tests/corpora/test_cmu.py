"""CMU's recordings: one take whatever it is written in, and what its conversions have lost or mixed up."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from irg_core.corpora import cmu
from irg_core.motion import acclaim, bvh
from irg_core.records.annotation import Rejection
from irg_core.records.motion import Take
from tests import motion_files
from tests.checkouts import ROOT

FORMATS = ROOT.parent / "shared/data/formats"
METRES = 0.0254 / 0.45
real = pytest.mark.skipif(not FORMATS.exists(), reason="../shared/data is not there")


def read(place: Path, *names: str) -> list[Take | Rejection]:
    place.mkdir()
    for name in names:
        shutil.copy(FORMATS / name, place / name)
    return list(cmu.read(place))


def walk(place: Path, *names: str) -> Take:
    return next(take for take in read(place, *names) if isinstance(take, Take) and take.name.startswith("02_01"))


@real
def test_a_take_in_three_formats_is_the_same_within_five_millimetres(tmp_path: Path) -> None:
    recorded = walk(tmp_path / "amc", "02.asf", "02_01.amc")
    converted = walk(tmp_path / "bvh", "02_01.bvh")
    mapped = walk(tmp_path / "map", "02_01_expmap.txt", "02_03.bvh")
    assert recorded.fps == converted.fps == mapped.fps == 120
    for other in (converted, mapped):
        moving = other.joints[1:]  # row 0 is a rest pose that the conversion has added
        assert np.linalg.norm(moving - recorded.joints, axis=-1).max() * METRES < 0.005


@real
def test_the_bones_that_the_conversion_has_lost_are_put_back(tmp_path: Path) -> None:
    for subject, name in (("02", "02_03"), ("05", "05_02")):
        true = acclaim.skeleton((FORMATS / f"{subject}.asf").read_text()).hierarchy.offsets
        lost = bvh.parse((FORMATS / f"{name}.bvh").read_bytes()).hierarchy
        assert np.linalg.norm(lost.offsets - true, axis=-1).max() * METRES > 0.1
        assert np.linalg.norm(cmu.mended(lost).offsets - true, axis=-1).max() * METRES < 0.005


@real
def test_other_skeletons_are_left_as_they_are() -> None:
    for name in ("daz_60_10", "iclone_002_01"):
        hierarchy = bvh.parse((FORMATS / f"{name}.bvh").read_bytes()).hierarchy
        np.testing.assert_array_equal(cmu.mended(hierarchy).offsets, hierarchy.offsets)


@real
def test_of_several_forms_of_a_take_the_one_nearest_to_the_recording_is_read(tmp_path: Path) -> None:
    taken, *others = read(tmp_path / "all", "02.asf", "02_01.amc", "02_01.bvh", "02_01_expmap.txt")
    assert isinstance(taken, Take)
    assert taken.source == "02_01.amc"
    assert [other.reason for other in others if isinstance(other, Rejection)] == ["another form of a take"] * 2


def test_equal_names_in_two_folders_are_two_takes_unless_they_are_cmus_numbers(tmp_path: Path) -> None:
    for place in ("anna", "bert"):
        (tmp_path / place).mkdir()
        for name in ("walk.bvh", "07_01.bvh"):
            (tmp_path / place / name).write_text(motion_files.bvh())
    found = list(cmu.read(tmp_path))
    assert [result.name for result in found if isinstance(result, Take)] == ["anna__07_01", "anna__walk", "bert__walk"]


def test_a_performer_is_found_by_the_beginning_of_the_name_nearest_first(tmp_path: Path) -> None:
    for place, length in (("a", 8), ("b", 80)):
        (tmp_path / place).mkdir()
        asf = motion_files.ASF.replace("length 8", f"length {length}")
        (tmp_path / place / "HDM_bd.asf").write_text(asf)
        (tmp_path / place / f"HDM_bd_01_{place}.amc").write_text(motion_files.amc())
    (tmp_path / "b" / "HDM.asf").write_text("no skeleton at all")
    takes = list(cmu.read(tmp_path))
    lengths = [abs(take.hierarchy.offsets[2, 1]) for take in takes if isinstance(take, Take) and take.hierarchy]
    assert lengths == [8.0, 80.0]


def test_a_motion_without_its_performer_or_with_a_broken_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "07_01.amc").write_text(motion_files.amc())
    (tmp_path / "08_01.amc").write_text(motion_files.amc())
    (tmp_path / "08.asf").write_text(motion_files.ASF.replace(":hierarchy", ":family"))
    (tmp_path / "09_01_expmap.txt").write_text("0,1,2\n")
    details = [refused.detail for refused in cmu.read(tmp_path) if isinstance(refused, Rejection)]
    assert len(details) == 3
    assert "07.asf is looked for" in details[0]
    assert "no :hierarchy section" in details[1]
    assert "09_*.bvh is looked for" in details[2]
