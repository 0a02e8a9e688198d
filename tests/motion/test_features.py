"""HumanML3D's features: equal to the reference, back to joints, and calm where geometry degenerates."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irg_core.motion import features, rotations
from irg_core.motion.skeleton import INDEX, LENGTHS, OFFSETS, PARENTS, forward_kinematics

REFERENCE = Path(__file__).parents[2] / "../shared/data/humanml3d_reference"


def motion(seed: int, frames: int = 60, turn: float = 0.0) -> np.ndarray:
    """Someone who sways, travels and turns left by `turn` degrees."""
    source = np.random.Generator(np.random.PCG64(seed))
    t = np.linspace(0.0, 1.0, frames)[:, None]
    wave = sum(source.normal(0, 0.4, (22, 3)).reshape(1, -1) * np.sin((k + 1) * 3 * t + k) for k in range(3))
    local = rotations.multiply(
        rotations.about("x", np.reshape(wave, (frames, 22, 3))[..., 0] * 0.5),
        rotations.about("z", np.reshape(wave, (frames, 22, 3))[..., 1] * 0.5),
    )
    local[:, 0] = rotations.about("y", np.radians(turn) * t[:, 0])
    root = np.concatenate([t * 2, 0.9 + 0.05 * np.sin(9 * t), t**2], axis=1)
    return forward_kinematics(root, local)


@pytest.mark.skipif(not REFERENCE.exists(), reason="needs the HumanML3D reference pair, which may not be distributed")
def test_rows_equal_those_of_humanml3d() -> None:
    joints = np.load(REFERENCE / "new_joints/012314.npy")
    expected = np.load(REFERENCE / "new_joint_vecs/012314.npy")
    made = features.extract(joints)
    assert made.shape == (len(joints) - 1, 263)
    # The stored joints lack their last frame, and the smoothed heading looks 80 frames ahead.
    assert np.abs(made[:85] - expected[:85]).max() < 1e-5


@pytest.mark.skipif(not REFERENCE.exists(), reason="needs the HumanML3D reference pair, which may not be distributed")
def test_joints_come_back_from_the_features_of_humanml3d() -> None:
    joints = np.load(REFERENCE / "new_joints/012314.npy")
    back = features.to_joints(np.load(REFERENCE / "new_joint_vecs/012314.npy"))
    assert np.abs(back - joints).max() < 1e-5


@given(seed=st.integers(0, 999), turn=st.floats(-900, 900))
@settings(max_examples=30, deadline=None)
def test_joints_survive_the_way_to_features_and_back(seed: int, turn: float) -> None:
    joints = motion(seed, turn=turn)
    back = features.to_joints(features.extract(joints))
    assert np.abs(back - features.normalise(joints)[:-1]).max() < 1e-4


@given(angle=st.floats(-180, 180), x=st.floats(-9, 9), y=st.floats(-1, 1), z=st.floats(-9, 9))
@settings(max_examples=30, deadline=None)
def test_where_a_motion_happens_does_not_matter(angle: float, x: float, y: float, z: float) -> None:
    joints = motion(3, turn=120)
    moved = rotations.rotate(rotations.about("y", np.radians(angle)), joints) + np.array([x, y, z])
    assert np.abs(features.extract(moved) - features.extract(joints)).max() < 1e-4


def test_a_normalised_motion_stands_on_the_floor_at_the_origin_and_faces_ahead() -> None:
    joints = features.normalise(motion(5, turn=90) + np.array([3.0, 2.0, 1.0]))
    assert joints[..., 1].min() == 0
    assert np.abs(joints[0, 0, [0, 2]]).max() == 0
    left = joints[0, INDEX["left_hip"]] - joints[0, INDEX["right_hip"]]
    left = left + joints[0, INDEX["left_shoulder"]] - joints[0, INDEX["right_shoulder"]]
    assert left[0] > 0
    assert abs(left[2]) < 1e-9


def test_turning_left_makes_a_negative_yaw_of_half_the_angle() -> None:
    still = np.broadcast_to(np.array([1.0, 0, 0, 0]), (200, 22, 4)).copy()
    still[:, 0] = rotations.about("y", np.radians(np.arange(200) * 1.0))
    rows = features.extract(forward_kinematics(np.zeros((200, 3)), still))
    assert rows[90:110, 0] == pytest.approx(-np.radians(0.5), rel=1e-3)


def test_half_a_turn_is_taken_the_short_way() -> None:
    # The first row also bridges the gap between frame 0, which faces ahead by decree, and the smoothed heading.
    yaw = features.extract(motion(7, frames=200, turn=400))[1:, 0]
    assert yaw.max() < 0
    assert yaw.min() > -np.radians(2)


def test_a_foot_that_stands_is_in_contact_and_one_that_swings_is_not() -> None:
    still = np.broadcast_to(OFFSETS.cumsum(0), (40, 22, 3)).copy()
    still[:, INDEX["right_foot"], 2] += np.arange(40) * 0.06
    contacts = features.extract(still)[:, features.CONTACTS]
    assert contacts[:, 1].all()
    assert not contacts[:, 3].any()


def test_another_body_takes_our_bone_lengths_and_keeps_its_pose() -> None:
    joints = motion(11)
    taller = joints * 1.3
    taller[:, INDEX["head"]] += 0.1 * (joints[:, INDEX["head"]] - joints[:, INDEX["neck"]])
    fitted = features.retarget(taller)
    lengths = np.linalg.norm(fitted[:, 1:] - fitted[:, PARENTS[1:]], axis=-1)
    assert np.abs(lengths - LENGTHS[1:]).max() < 1e-9
    assert np.abs(fitted - features.retarget(joints)).max() < 1e-9
    assert np.abs(features.retarget(joints) - joints).max() < 1e-9


def test_bones_of_no_length_and_arms_straight_up_stay_finite() -> None:
    joints = motion(13)
    joints[:, INDEX["left_collar"]] = joints[:, INDEX["spine3"]]
    for bone in ("shoulder", "elbow", "wrist"):
        joints[:, INDEX[f"right_{bone}"]] = joints[:, PARENTS[INDEX[f"right_{bone}"]]] + (0.0, 0.25, 0.0)
    rows = features.extract(features.retarget(joints))
    assert np.isfinite(rows).all()
    six = rows[:, features.ROTATIONS].reshape(len(rows), 21, 2, 3)
    assert np.abs(np.linalg.norm(six, axis=-1) - 1).max() < 1e-5
    assert np.abs((six[..., 0, :] * six[..., 1, :]).sum(-1)).max() < 1e-5
