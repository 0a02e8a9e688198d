"""Acclaim's skeletons and motions: bones turn about axes of their own, and what does not fit is refused."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from irg_core.motion import acclaim
from tests import motion_files
from tests.checkouts import ROOT

FORMATS = ROOT.parent / "shared/data/formats"


def two_bones(row: str, asf: str = motion_files.ASF) -> tuple[np.ndarray, np.ndarray]:
    """Joints [4, 3] and rotations [4, 4] of one frame: root, thigh, shin, its end."""
    performer = acclaim.skeleton(asf)
    values = acclaim.motion(f":FULLY-SPECIFIED\n:DEGREES\n1\n{row}\n".encode(), performer)
    joints, turned = acclaim.pose(values, performer)
    return joints[0], turned[0]


def test_a_joint_stands_where_its_bone_begins() -> None:
    performer = acclaim.skeleton(motion_files.ASF)
    assert performer.hierarchy.names == ("root", "thigh", "shin", "shin_end")
    assert performer.hierarchy.parents == (-1, 0, 1, 2)
    np.testing.assert_array_equal(performer.hierarchy.offsets, [[0, 0, 0], [0, 0, 0], [0, -8, 0], [0, -7, 0]])


def test_without_any_turn_the_body_is_in_its_rest_pose() -> None:
    joints, turned = two_bones("root 1 2 3 0 0 0\nthigh 0 0 0\nshin 0")
    np.testing.assert_allclose(joints, [[1, 2, 3], [1, 2, 3], [1, -6, 3], [1, -13, 3]], atol=1e-12)
    np.testing.assert_allclose(turned, np.tile([1.0, 0, 0, 0], (4, 1)), atol=1e-12)


def test_a_bone_turns_about_its_own_axes_and_takes_along_what_hangs_on_it() -> None:
    joints, _ = two_bones("root 0 0 0 10 20 30\nthigh 40 50 60\nshin 70")
    # Small letters: about fixed axes, in the order listed.
    root = Rotation.from_euler("xyz", [10, 20, 30], degrees=True)
    axis = Rotation.from_euler("xyz", [0, 0, 20], degrees=True)
    thigh = root * axis * Rotation.from_euler("xyz", [40, 50, 60], degrees=True) * axis.inv()
    shin = thigh * axis * Rotation.from_euler("x", 70, degrees=True) * axis.inv()
    knee = thigh.apply([0.0, -8.0, 0.0])
    np.testing.assert_allclose(joints[2:], [knee, knee + shin.apply([0.0, -7.0, 0.0])], atol=1e-12)


def test_radians_are_radians() -> None:
    performer = acclaim.skeleton(motion_files.ASF)
    degrees = acclaim.motion(b":DEGREES\n1\nroot 0 0 0 0 0 0\nthigh 90 0 0\n", performer)
    radians = acclaim.motion(f":RADIANS\n1\nroot 0 0 0 0 0 0\nthigh {np.pi / 2} 0 0\n".encode(), performer)
    np.testing.assert_allclose(radians, degrees, atol=1e-12)


def test_a_bone_that_is_not_listed_stays_at_rest() -> None:
    _, turned = two_bones("root 0 0 0 0 0 0\nshin 90")
    np.testing.assert_allclose(turned[1], [1, 0, 0, 0], atol=1e-12)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (":hierarchy", ":family", "no :hierarchy"),
        ("root thigh\n", "root thigh\n    shin thigh\n", "child of one"),
        ("root thigh\n    thigh shin", "root\n    thigh shin\n    shin thigh", "in a circle"),
        ("thigh shin", "thigh shin calf", "unknown bone, 'calf'"),
        ("thigh shin", "", "child of one"),
        ("name shin", "name thigh", "two bones named 'thigh'"),
        ("length 7", "", "without length"),
        ("length 7", "length long", "could not convert"),
        ("direction 0 -1 0\n    length 7", "direction 0 -1\n    length 7", "not three numbers"),
        ("dof rx\n", "dof rx wiggle\n", "unknown degree of freedom"),
        ("axis XYZ", "axis XYX", "an axis in the order 'XYX'"),
        ("  end\n:hierarchy", ":hierarchy", "begin without an end"),
    ],
)
def test_a_skeleton_that_does_not_hang_together_is_refused(old: str, new: str, said: str) -> None:
    assert old in motion_files.ASF
    with pytest.raises(ValueError, match=said):
        acclaim.skeleton(motion_files.ASF.replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("\n2\n", "\n3\n", "not numbered"),
        ("\n2\nroot", "\n2\nthigh 0 0 0\nroot", "no whole number of frames"),
        ("thigh", "femur", "'femur', which is no bone"),
        ("\nshin", "\n0.5\nshin", "which is no bone, or a number too many"),
        ("\n3\nroot", "\n3\nRoot", "does not list 'root'"),
        ("\n3\nroot ", "\n3\nroot x", "stands where a number should"),
    ],
)
def test_a_motion_that_does_not_fit_its_skeleton_is_refused(old: str, new: str, said: str) -> None:
    text = motion_files.amc()
    assert old in text
    with pytest.raises(ValueError, match=said):
        acclaim.motion(text.replace(old, new, 1).encode(), acclaim.skeleton(motion_files.ASF))


def test_a_cut_off_motion_is_refused() -> None:
    text = motion_files.amc()
    with pytest.raises(ValueError, match="no whole number of frames"):
        acclaim.motion(text[: len(text) // 2].encode(), acclaim.skeleton(motion_files.ASF))


@pytest.mark.skipif(not FORMATS.exists(), reason="../shared/data is not there")
def test_a_real_performer_walks_upright() -> None:
    performer = acclaim.skeleton((FORMATS / "02.asf").read_text())
    values = acclaim.motion((FORMATS / "02_01.amc").read_bytes(), performer)
    joints, _ = acclaim.pose(values, performer)
    place = {name: joints[:, index] for index, name in enumerate(performer.hierarchy.names)}
    assert joints.shape == (343, 38, 3)
    assert (place["head"][:, 1] > place["root"][:, 1]).all()
    assert (place["root"][:, 1] > np.maximum(place["lfoot"][:, 1], place["rfoot"][:, 1])).all()
    metres = np.linalg.norm(place["root"][-1] - place["root"][0]) * 0.0254 / 0.45
    assert 3.0 < metres < 6.0
