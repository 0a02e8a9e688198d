"""AMASS: SMPL's poses stand up, move as they should, and need no licensed body."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from irg_core.corpora import amass
from irg_core.motion.skeleton import INDEX
from irg_core.records.annotation import Rejection
from irg_core.records.motion import Take

UPRIGHT = np.pi / 2  # about x, from SMPL's y up to AMASS's z up


def save(place: Path, poses: np.ndarray, **content: Any) -> Path:
    place.mkdir(exist_ok=True)
    standing = {"trans": np.tile([0.0, 0.0, 0.9], (len(poses), 1)), "mocap_framerate": np.array(120.0)}
    np.savez(place / "take_poses.npz", poses=poses, **(standing | content))
    return place


def one(place: Path) -> Take:
    (take,) = amass.read(place)
    assert isinstance(take, Take)
    return take


def standing(frames: int = 3, width: int = 156) -> np.ndarray:
    poses = np.zeros((frames, width))
    poses[:, 0] = UPRIGHT
    return poses


def test_a_standing_body_is_upright_along_z_with_its_left_at_plus_x(tmp_path: Path) -> None:
    take = one(save(tmp_path, standing()))
    joints = take.joints[0]
    assert take.conventions.up == "z"
    assert take.conventions.unit == 1.0
    heights = [joints[INDEX[name], 2] for name in ("head", "neck", "spine3", "pelvis", "left_knee", "left_ankle")]
    assert heights == sorted(heights, reverse=True)
    assert 1.4 < joints[INDEX["head"], 2] - joints[INDEX["left_foot"], 2] < 1.8
    assert joints[INDEX["left_wrist"], 0] > 0.5 > -0.5 > joints[INDEX["right_wrist"], 0]
    assert joints[INDEX["left_foot"], 1] < joints[INDEX["left_ankle"], 1]  # toes ahead: it faces -y


def test_rotation_vectors_chain_from_parent_to_child(tmp_path: Path) -> None:
    poses = standing()
    poses[:, 3 * INDEX["left_shoulder"] : 3 * INDEX["left_shoulder"] + 3] = (0.3, -0.2, -1.1)
    poses[:, 3 * INDEX["left_elbow"] : 3 * INDEX["left_elbow"] + 3] = (0.0, -2.0, 0.4)
    rest, bent = one(save(tmp_path / "rest", standing())).joints[0], one(save(tmp_path / "bent", poses)).joints[0]
    root = Rotation.from_rotvec([UPRIGHT, 0, 0])
    forearm = root.inv().apply(rest[INDEX["left_wrist"]] - rest[INDEX["left_elbow"]])
    turned = root * Rotation.from_rotvec([0.3, -0.2, -1.1]) * Rotation.from_rotvec([0.0, -2.0, 0.4])
    np.testing.assert_allclose(bent[INDEX["left_wrist"]] - bent[INDEX["left_elbow"]], turned.apply(forearm), atol=1e-12)


@pytest.mark.parametrize("width", [72, 156, 165])
def test_smpl_smplh_and_smplx_give_the_same_body(width: int, tmp_path: Path) -> None:
    poses = standing(width=width)
    poses[:, 66:] = 0.7  # hands and faces
    np.testing.assert_array_equal(one(save(tmp_path / "a", poses)).joints, one(save(tmp_path / "b", standing())).joints)


def test_joints_by_three_numbers_and_both_names_of_the_rate_are_read(tmp_path: Path) -> None:
    place = save(tmp_path / "a", standing().reshape(3, 52, 3), mocap_framerate=np.array([100.0]))
    assert one(place).fps == 100
    content = dict(np.load(place / "take_poses.npz"))
    content["mocap_frame_rate"] = content.pop("mocap_framerate") + 20
    np.savez(place / "take_poses.npz", **content)
    assert one(place).fps == 120


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"poses": np.zeros((3, 100))}, r"shape \(3, 100\)"),
        ({"trans": np.zeros((2, 3))}, r"places of shape \(2, 3\)"),
        ({"poses": np.full((3, 156), "a")}, "where numbers belong"),
        ({"poses": np.array([{"a": 1}], dtype=object)}, "pickle"),
        ({"mocap_framerate": np.zeros(0)}, "no frame rate|frames a second"),
    ],
)
def test_what_is_no_motion_is_refused(content: dict[str, Any], said: str, tmp_path: Path) -> None:
    whole = {"poses": standing(), "trans": np.zeros((3, 3)), "mocap_framerate": np.array(60.0)} | content
    np.savez(tmp_path / "take.npz", **whole)
    (refused,) = amass.read(tmp_path)
    assert isinstance(refused, Rejection)
    assert re.search(said, refused.detail)


def test_a_file_of_a_body_shape_alone_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "shape.npz", betas=np.zeros(16))
    (refused,) = amass.read(tmp_path)
    assert isinstance(refused, Rejection)
    assert "no 'poses' in it" in refused.detail
