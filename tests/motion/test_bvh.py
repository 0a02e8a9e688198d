"""BVH in its dialects: every channel where it says, every number at its word."""

import itertools

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from irg_core.motion import bvh, numbers
from tests import motion_files
from tests.checkouts import ROOT

FORMATS = ROOT.parent / "shared/data/formats"


def arm(channels: str, row: str, frame_time: str = "0.05") -> bvh.Bvh:
    """A shoulder at the origin with one bone along x."""
    count = len(channels.split())
    return bvh.parse(
        f"HIERARCHY\nROOT shoulder\n{{\nOFFSET 0 0 0\nCHANNELS {count} {channels}\nEnd Site\n{{\nOFFSET 2 0 0\n}}\n}}\n"
        f"MOTION\nFrames: 2\nFrame Time: {frame_time}\n{row}\n{row}\n".encode()
    )


@pytest.mark.parametrize("axes", ["".join(order) for order in itertools.permutations("XYZ")] + ["ZXZ", "XY", "Y"])
def test_angles_turn_in_the_order_in_which_they_are_listed(axes: str) -> None:
    angles = [20.0, -50.0, 115.0][: len(axes)]
    file = arm(" ".join(f"{axis}rotation" for axis in axes), " ".join(map(str, angles)))
    joints, turned = bvh.pose(file)
    expected = Rotation.from_euler(axes, angles, degrees=True)  # capitals: about axes that turn along
    np.testing.assert_allclose(joints[1, 1], expected.apply([2.0, 0.0, 0.0]), atol=1e-12)
    quaternion = expected.as_quat(scalar_first=True)
    np.testing.assert_allclose(turned[0, 0] * np.sign(turned[0, 0, 0]), quaternion * np.sign(quaternion[0]), atol=1e-12)


def test_a_position_channel_replaces_its_part_of_the_offset_at_any_joint() -> None:
    body = (
        "HIERARCHY\nROOT a\n{\nOFFSET 1 2 3\nCHANNELS 1 Yposition\nJOINT b\n{\nOFFSET 10 20 30\n"
        "CHANNELS 2 Zposition Xrotation\nEnd Site\n{\nOFFSET 0 1 0\n}\n}\n}\nMOTION\nFrames: 1\nFrame Time: 1\n5 6 90\n"
    )
    joints, _ = bvh.pose(bvh.parse(body.encode()))
    np.testing.assert_allclose(joints[0], [[1, 5, 3], [11, 25, 9], [11, 25, 10]], atol=1e-12)


def test_end_sites_are_leaves_named_after_their_parents() -> None:
    file = bvh.parse(motion_files.bvh().encode())
    assert file.hierarchy.names == ("hips", "left leg", "left leg_end", "rig:right_leg", "rig:right_leg_end")
    assert file.hierarchy.parents == (-1, 0, 1, 0, 3)


@pytest.mark.parametrize(
    "spoilt",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", "\n\n"),
        lambda text: text.replace("  ", "\t").replace("OFFSET ", "OFFSET\t"),
        lambda text: text.replace("\n{", " {"),
        lambda text: "\ufeff" + text,
        lambda text: text.replace(": ", ":\t").replace("HIERARCHY", "  hierarchy").replace("rotation", "ROTATION"),
        lambda text: text.rstrip(),
        lambda text: text.replace("\n", " \n"),
    ],
    ids=["crlf", "blank lines", "tabs", "braces on the line", "byte order mark", "case", "no last newline", "blanks"],
)
def test_the_layout_of_the_text_does_not_matter(spoilt: object) -> None:
    plain, other = (bvh.parse(text.encode()) for text in (motion_files.bvh(), spoilt(motion_files.bvh())))  # type: ignore[operator]
    assert other.hierarchy.names == plain.hierarchy.names
    assert other.channels == plain.channels
    np.testing.assert_array_equal(other.values, plain.values)


def test_numbers_are_rounded_correctly_however_they_are_written() -> None:
    written = ["1e-5", "-.5", "+3.25", "7.", "1.95309e-014", "0.1", "-0", "123456789.123456789"]
    file = arm(" ".join(f"{axis}rotation" for axis in "XYZXYZXY"), " ".join(written))
    assert file.values[0].tolist() == [float(text) for text in written]


@pytest.mark.parametrize(
    ("frame_time", "fps"),
    [(".0083333", 120), ("0.00833333", 120), ("0.016667", 60), ("0.0166666", 60), ("0.0333333", 30), ("0.05", 20),
     ("0.0500010", 20), ("0.0499998", 20), ("0.03337", 1 / 0.03337), ("1", 1), ("5.0e-2", 20)],
)  # fmt: skip
def test_a_rounded_frame_time_is_the_whole_rate_that_was_meant(frame_time: str, fps: float) -> None:
    assert bvh.rate(frame_time) == pytest.approx(fps, rel=1e-12)


@pytest.mark.parametrize("frame_time", ["0", "-0.1", "nan", "inf", "soon"])
def test_a_frame_time_of_no_sense_is_no_rate(frame_time: str) -> None:
    assert np.isnan(arm("Xrotation", "1", frame_time).fps)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("MOTION", "EMOTION", "no MOTION"),
        ("Frames:", "Pictures:", "no 'Frames:'"),
        ("Frames: 24", "Frames: 25", "25 frames of 15 channels are announced"),
        ("Frames: 24", "Frames: 1000000000000", "at most"),
        ("CHANNELS 3 Z", "CHANNELS 2 Z", "another number of channels"),
        ("CHANNELS 3 Zrotation", "CHANNELS 3 Wrotation", "unknown channel"),
        ("JOINT left leg", "ROOT left leg", "inside a joint"),
        ("rig:right_leg", "left leg", "two joints of one name"),
        ("OFFSET 0.1 -0.1 0", "OFFSET 0.1 -0.1", "no OFFSET"),
        ("OFFSET 0.1 -0.1 0", "OFFSET nan 0 0", "no OFFSET"),
        ("OFFSET 0.1 -0.1 0", "SCALE 2", "does not belong"),
        ("ROOT hips\n{", "ROOT hips\n{\n{", "does not belong"),
        ("\n}\nMOTION", "\nMOTION", "ends inside joint"),
        ("\n}\nMOTION", "\n}\nROOT more\n{\nOFFSET 0 0 0\n}\nMOTION", "second root"),
        ("Frame Time: 0.05\n", "Frame Time: 0.05\n1O.5 ", "'1O.5' stands where a number should"),
    ],
)
def test_what_does_not_fit_together_is_refused(old: str, new: str, said: str) -> None:
    text = motion_files.bvh()
    assert old in text
    with pytest.raises(ValueError, match=said):
        bvh.parse(text.replace(old, new, 1).encode())


def test_many_frames_are_posed_as_few_are() -> None:
    # Frames are posed in blocks; a block's edge must not show.
    file = bvh.parse(motion_files.bvh(frames=2500).encode())
    joints, turned = bvh.pose(file)
    for frame in (0, 1023, 1024, 2499):
        alone = bvh.Bvh(file.hierarchy, file.channels, file.values[frame : frame + 1], file.fps)
        np.testing.assert_array_equal(bvh.pose(alone)[0][0], joints[frame])
        np.testing.assert_array_equal(bvh.pose(alone)[1][0], turned[frame])


@pytest.mark.skipif(not FORMATS.exists(), reason="../shared/data is not there")
@pytest.mark.parametrize("name", ["02_01", "daz_60_10", "iclone_002_01", "scaled_131_01"])
def test_real_files_of_four_families_keep_their_bones(name: str) -> None:
    file = bvh.parse((FORMATS / f"{name}.bvh").read_bytes())
    joints, turned = bvh.pose(file)
    parents = list(file.hierarchy.parents)
    bones = np.linalg.norm(joints[:, 1:] - joints[:, parents[1:]], axis=-1)
    fixed = [not any("position" in channel for channel in channels) for channels in file.channels[1:]]
    np.testing.assert_allclose(
        bones[:, fixed], np.broadcast_to(np.linalg.norm(file.hierarchy.offsets[1:], axis=-1), bones.shape)[:, fixed],
        atol=1e-9,
    )  # fmt: skip
    np.testing.assert_allclose(np.linalg.norm(turned, axis=-1), 1.0, atol=1e-12)


def test_a_long_file_is_read_in_portions_and_gives_the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    text = motion_files.bvh(frames=400).encode()
    whole = bvh.parse(text)
    for portion in (997, 4096, len(text)):
        monkeypatch.setattr(numbers, "PORTION", portion)
        for ending in (b"", b"\n", b"\n\n \n"):
            np.testing.assert_array_equal(bvh.parse(text.rstrip() + ending).values, whole.values)


def test_nothing_is_set_aside_for_numbers_that_cannot_be_there() -> None:
    text = motion_files.bvh().replace("Frames: 24", "Frames: 1999999")
    with pytest.raises(ValueError, match="360 numbers in place of 29999985; 1999999 frames of 15 channels"):
        bvh.parse(text.encode())
    with pytest.raises(ValueError, match="at most 2000000 such frames are read"):
        bvh.parse(motion_files.bvh().replace("Frames: 24", "Frames: 2000001").encode())


def test_a_word_without_an_end_is_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numbers, "PORTION", 2000)
    with pytest.raises(ValueError, match="stands where a number should"):
        bvh.parse((motion_files.bvh() + "7" * 9000).encode())
