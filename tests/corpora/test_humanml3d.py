"""HumanML3D's layout, and KIT-ML's: texts, stretches, mirrored twins, splits, and features where joints are missing."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from irg_core.corpora import humanml3d, kitml
from irg_core.errors import SourceError
from irg_core.motion import features
from irg_core.records.annotation import Rejection
from irg_core.records.motion import Take
from tests import motion_files
from tests.checkouts import ROOT

REFERENCE = ROOT.parent / "shared/data/humanml3d_reference"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return motion_files.folder("humanml3d", tmp_path / "corpus")


def takes(root: Path) -> dict[str, Take]:
    return {take.name: take for take in humanml3d.read(root) if isinstance(take, Take)}


def refusals(root: Path) -> list[tuple[str, str]]:
    return [(refused.key, refused.reason) for refused in humanml3d.read(root) if isinstance(refused, Rejection)]


def write(root: Path, *lines: str) -> None:
    (root / "texts/000001.txt").write_text("\n".join(lines))


def test_a_line_for_the_whole_clip_and_one_for_a_stretch_are_two_takes_of_one_recording(root: Path) -> None:
    found = takes(root)
    assert set(found) == {"000001", "000001_1-2.5", "M000002"}
    whole, part = found["000001"], found["000001_1-2.5"]
    assert [caption.text for caption in whole.captions] == ["a person walks."]
    assert [caption.text for caption in part.captions] == ["a person stops"]
    assert whole.recording == part.recording == "000001"
    np.testing.assert_array_equal(part.joints, whole.joints[20:50])


def test_a_mirrored_clip_is_of_the_recording_that_it_mirrors(root: Path) -> None:
    assert takes(root)["M000002"].recording == "000002"


def test_the_lists_say_which_split_an_id_belongs_to(root: Path) -> None:
    found = takes(root)
    assert found["000001"].split == found["000001_1-2.5"].split == "train"
    assert found["M000002"].split == "test"
    (root / "val.txt").write_text("000001\n")
    assert takes(root)["000001"].split == "val"  # an id in two lists is not learnt from


def test_joints_are_read_where_they_are_and_features_where_they_are_not(root: Path) -> None:
    found = takes(root)
    assert found["000001"].source == "new_joints/000001.npy"
    assert found["M000002"].source == "new_joint_vecs/M000002.npy"
    rows = np.load(root / "new_joint_vecs/M000002.npy")
    np.testing.assert_allclose(found["M000002"].joints, features.to_joints(rows))


def test_captions_of_one_stretch_stay_together_and_nan_is_the_whole_clip(root: Path) -> None:
    write(root, "a#a/DET#1.0#2.0", "b#b/X#nan#nan", "c#c/X#1.0#2.0", "d#d/X#0.0#0.0", "", "e")
    said = {name: [caption.text for caption in take.captions] for name, take in takes(root).items()}
    assert said["000001"] == ["b", "d", "e"]
    assert said["000001_1-2"] == ["a", "c"]


@pytest.mark.parametrize("line", ["a#a/X#2.5#1.0", "a#a/X#-1#2", "a#a/X#3.0#9.0", "a#a/X#1.0#inf", "a#a/X#9#10"])
def test_a_stretch_outside_of_the_motion_is_refused(line: str, root: Path) -> None:
    write(root, line)
    assert refusals(root) == [("new_joints__000001", "caption of no stretch of the motion")]


@pytest.mark.parametrize("line", ["a#a/X", "a#b#c#d", "#a/X#0.0#0.0", "a#a/X#0.0#0.0#more"])
def test_a_broken_line_is_refused_and_the_others_are_read(line: str, root: Path) -> None:
    write(root, line, "sound#sound/X#0.0#0.0")
    assert refusals(root) == [("texts__000001", "broken caption line")]
    assert takes(root)["000001"].captions[0].text == "sound"


def test_a_clip_without_a_text_is_refused_unless_there_are_no_texts_at_all(root: Path) -> None:
    (root / "texts/000001.txt").unlink()
    assert refusals(root) == [("new_joints__000001", "no caption")]
    (root / "texts/M000002.txt").unlink()
    (root / "texts").rmdir()
    assert refusals(root) == []
    assert all(take.captions == () for take in takes(root).values())


@pytest.mark.parametrize(("read", "shape"), [(humanml3d.read, (60, 22, 3)), (kitml.read, (60, 21, 3))])
def test_another_number_of_joints_is_refused(
    read: Callable[[Path], object], shape: tuple[int, ...], root: Path
) -> None:
    np.save(root / "new_joints/000001.npy", np.zeros((60, 20, 3)))
    refused = [result for result in read(root) if isinstance(result, Rejection)]  # type: ignore[attr-defined]
    assert str(shape[1:])[1:-1] in refused[0].detail


def test_a_folder_of_another_layout_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "motions").mkdir()
    with pytest.raises(SourceError, match="neither new_joints/ nor new_joint_vecs/"):
        list(humanml3d.read(tmp_path))


def test_kits_takes_say_their_unit_rate_and_names(tmp_path: Path) -> None:
    found = [take for take in kitml.read(motion_files.folder("kitml", tmp_path / "kit")) if isinstance(take, Take)]
    assert len(found) == 3
    for take in found:
        assert take.fps == 12.5
        assert take.conventions.unit == 0.001
        assert take.hierarchy is not None
        assert take.hierarchy.names[4] == "BUN"
    rows = np.load(tmp_path / "kit/new_joint_vecs/M000002.npy")
    np.testing.assert_allclose(found[-1].joints, features.to_joints(rows))


@pytest.mark.skipif(not REFERENCE.exists(), reason="../shared/data is not there")
def test_a_clip_of_the_release_goes_in() -> None:
    (take,) = humanml3d.read(REFERENCE)
    assert isinstance(take, Take)
    assert take.joints.shape == (170, 22, 3)
    assert take.split == "train"
    assert len(take.captions) == 3
    assert take.captions[1].text == "walking sideways and almost falling."
