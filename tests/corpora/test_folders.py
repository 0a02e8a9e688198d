"""What holds for every format that reads a user's folder: names, sources, options, and broken files among sound."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from irg_core import plugins
from irg_core.errors import SourceError
from irg_core.motion import rotations
from irg_core.records.annotation import Rejection
from irg_core.records.motion import Take
from tests import motion_files
from tests.checkouts import ROOT

CMU = ROOT.parent / "shared/data/cmu"


def results(format_name: str, root: Path, **options: Any) -> list[Take | Rejection]:
    reader = plugins.load("irg_core.corpora", format_name).read
    return list(reader(root, **motion_files.OPTIONS.get(format_name, {}) | options))


def takes(format_name: str, root: Path, **options: Any) -> list[Take]:
    found = results(format_name, root, **options)
    assert [take for take in found if isinstance(take, Rejection)] == []
    return [take for take in found if isinstance(take, Take)]


@pytest.mark.parametrize("format_name", motion_files.FORMATS)
def test_sound_files_become_takes_with_a_rate_a_source_and_finite_joints(format_name: str, tmp_path: Path) -> None:
    root = motion_files.folder(format_name, tmp_path / "corpus")
    found = takes(format_name, root)
    assert len(found) >= 2
    assert len({take.name for take in found}) == len(found)
    for take in found:
        assert take.joints.ndim == 3
        assert np.isfinite(take.joints).all()
        assert take.fps > 0
        assert (root / take.source).is_file()
        if take.hierarchy:
            assert take.joints.shape[1] == len(take.hierarchy.names) == len(take.hierarchy.parents)
            assert all(parent < joint for joint, parent in enumerate(take.hierarchy.parents))
            assert take.hierarchy.parents.count(-1) == 1
            assert take.rotations is None or take.rotations.shape == (*take.joints.shape[:2], 4)
        else:
            assert take.joints.shape[1] == 22


@pytest.mark.parametrize("format_name", motion_files.FORMATS)
def test_world_rotations_turn_the_rest_offsets_into_the_bones(format_name: str, tmp_path: Path) -> None:
    for take in takes(format_name, motion_files.folder(format_name, tmp_path / "corpus")):
        if take.rotations is None or take.hierarchy is None:
            continue
        for joint, parent in enumerate(take.hierarchy.parents):
            if parent >= 0 and take.hierarchy.names[joint] != "rig:right_leg":  # that one moves by channels of its own
                bone = rotations.rotate(take.rotations[:, parent], take.hierarchy.offsets[joint])
                np.testing.assert_allclose(take.joints[:, joint] - take.joints[:, parent], bone, atol=1e-9)


@pytest.mark.parametrize("format_name", motion_files.FORMATS)
def test_an_empty_folder_is_a_clear_error(format_name: str, tmp_path: Path) -> None:
    (tmp_path / "LICENSE").write_text("Permission is hereby granted …")
    with pytest.raises(SourceError, match=r"\*\.|new_joints"):
        results(format_name, tmp_path)


@pytest.mark.parametrize("format_name", ["bvh", "cmu", "amass", "joints"])
def test_what_the_entry_says_wins_over_the_file(format_name: str, tmp_path: Path) -> None:
    root = motion_files.folder(format_name, tmp_path / "corpus")
    for take in takes(format_name, root, fps=50, up="-z", unit="cm", joints={"pelvis": "hips"}):
        assert take.fps == 50
        assert (take.conventions.up, take.conventions.unit) == ("-z", 0.01)
        assert take.conventions.joints == {"pelvis": "hips"}


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ({"fps": "fast"}, "'fps' is 'fast'"),
        ({"fps": 0}, "'fps' is 0"),
        ({"fps": float("nan")}, "'fps' is nan"),
        ({"up": "north"}, "'up' is 'north'.*x, y, z"),
        ({"unit": "ell"}, "'unit' is 'ell'.*inch"),
        ({"unit": -1}, "'unit' is -1"),
        ({"joints": ["Hips"]}, "'joints' maps our joints"),
        ({"captions": 3}, "'captions' is 3"),
        ({"captions": {"sidecar": ".txt", "say": "x"}}, "'captions' is"),
    ],
)
def test_an_option_of_no_sense_is_a_clear_error(option: dict[str, Any], said: str, tmp_path: Path) -> None:
    root = motion_files.folder("bvh", tmp_path / "corpus")
    with pytest.raises(SourceError, match=said):
        results("bvh", root, **option)


def test_folders_become_part_of_the_name_and_unsafe_signs_do_not(tmp_path: Path) -> None:
    (tmp_path / "day 1").mkdir()
    (tmp_path / "day 1" / "a#b|c~d\n.v2.bvh").write_text(motion_files.bvh())
    (take,) = takes("bvh", tmp_path)
    assert take.name == "day_1__a_b_c_d_.v2"
    assert take.source == "day 1/a#b|c~d\\x0a.v2.bvh"


def test_one_broken_file_does_not_keep_the_others_out(tmp_path: Path) -> None:
    root = motion_files.folder("bvh", tmp_path / "corpus")
    (root / "middle.bvh").write_text("HIERARCHY and no more")
    kinds = [type(result) for result in results("bvh", root)]
    assert kinds == [Rejection, Take, Take]


def test_without_a_rate_there_is_no_take_unless_the_entry_has_one(tmp_path: Path) -> None:
    (tmp_path / "a.bvh").write_text(motion_files.bvh(frame_time="0"))
    (refused,) = results("bvh", tmp_path)
    assert isinstance(refused, Rejection)
    assert refused.reason == "no frame rate"
    assert takes("bvh", tmp_path, fps=25)[0].fps == 25


@pytest.mark.skipif(not CMU.exists(), reason="../shared/data is not there")
@pytest.mark.parametrize("format_name", ["bvh", "cmu"])
def test_all_of_a_real_corpus_goes_in_with_its_captions(format_name: str) -> None:
    found = takes(format_name, CMU, captions="descriptions.csv")
    assert len(found) == 158
    assert all(len(take.captions) == 1 and len(take.captions[0].text) > 2 for take in found)
    assert {len(take.hierarchy.names) for take in found if take.hierarchy} == {38, 57, 141}
    assert {take.fps for take in found} == {20.0}
    walk = next(take for take in found if take.source.endswith("02_01.bvh"))
    assert walk.captions[0].text == "walk"
