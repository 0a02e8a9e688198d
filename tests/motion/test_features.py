"""HumanML3D's features: equal to the reference, back to joints, and calm where geometry degenerates."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irg_core.corpora import procedural
from irg_core.motion import features, rotations
from irg_core.motion.skeleton import INDEX, KIT, LENGTHS, OFFSETS, PARENTS, T2M, forward_kinematics
from irg_core.records.motion import Take

HERE = Path(__file__).parents[2]
REFERENCE = HERE / "../shared/data/humanml3d_reference"


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


# --- many clips, two bodies, two modes --------------------------------------------------------------------------------


KITS = (
    "pelvis spine2 spine3 neck head left_shoulder left_elbow left_wrist right_shoulder right_elbow right_wrist "
    "left_hip left_knee left_ankle left_ankle left_foot right_hip right_knee right_ankle right_ankle right_foot"
)


def kit_of(joints: np.ndarray) -> np.ndarray:
    """Our joints [T, 22, 3] as KIT's 21 in millimetres, left-handed axes and all."""
    kit = joints[:, [INDEX[name] for name in KITS.split()]] * (-1000.0, 1000.0, 1000.0)
    kit[:, [14, 19]] = 0.5 * (kit[:, [13, 18]] + kit[:, [15, 20]])
    return kit


def test_many_clips_at_once_give_the_very_same_numbers() -> None:
    clips = [motion(seed, frames) for seed, frames in enumerate((60, 2, 200, 700, 33, 90, 5))]
    for clip, rows in zip(clips, features.extract_all(clips), strict=True):
        assert rows.tobytes() == features.extract(clip).tobytes()
    turned = [
        np.broadcast_to(rotations.about("y", np.arange(len(clip)) * 0.1)[:, None], (len(clip), 22, 4)) for clip in clips
    ]
    for clip, turns, rows in zip(clips, turned, features.extract_all(clips, turned), strict=True):
        assert rows.tobytes() == features.extract(clip, turns).tobytes()
    assert features.extract_all([]) == []


@given(seed=st.integers(0, 999), turn=st.floats(-900, 900))
@settings(max_examples=20, deadline=None)
def test_rotations_alone_give_the_joints_back_too(seed: int, turn: float) -> None:
    joints = motion(seed, turn=turn)
    rows = features.extract(joints)
    wanted = features.normalise(joints)[:-1]
    assert np.abs(features.to_joints_by_rotations(rows, LENGTHS, exact=False) - wanted).max() < 1e-5


def test_kits_251_numbers_go_there_and_back() -> None:
    joints = kit_of(motion(4, frames=150, turn=200))
    rows = features.extract(joints)
    assert rows.shape == (149, 251)
    wanted = features.normalise(joints)[:-1]
    assert np.abs(features.to_joints(rows) - wanted).max() < 0.1  # of millimetres
    lengths = np.concatenate([[0.0], np.linalg.norm(joints[0, 1:] - joints[0, KIT.parents[1:]], axis=-1)])
    # Here toes and upper spine are laid in, so those bones are not rigid.
    rigid = [0, 11, 12, 13, 16, 17, 18]
    back = features.to_joints_by_rotations(rows, lengths, exact=False)
    assert np.abs(back - wanted)[:, rigid].max() < 0.1
    still = features.extract(np.repeat(joints[:1], 30, axis=0))
    assert still[:, -4:].all()
    creeping = joints[:1] + np.arange(30)[:, None, None] * np.array([0.0, 0.0, 0.3])
    assert not features.extract(creeping)[:, -4:].any()


def test_kits_front_is_where_its_toes_are() -> None:
    rows = features.extract(kit_of(np.repeat(stand()[None], 20, axis=0)))
    positions = rows[:, 4:64].reshape(-1, 20, 3)
    assert (positions[:, 14, 2] > positions[:, 12, 2]).all()
    assert (positions[:, 10, 0] < 0).all()


def stand() -> np.ndarray:
    """Our joints [22, 3] in the reference pose."""
    still = np.zeros((1, 22, 4))
    still[..., 0] = 1.0
    return forward_kinematics(np.zeros((1, 3)), still)[0]


def test_exact_features_keep_twist_and_do_not_depend_on_the_heading() -> None:
    joints = np.repeat(stand()[None], 120, axis=0)
    own = np.zeros((120, 22, 4))
    own[..., 0] = 1.0
    twisted = own.copy()
    twisted[:, INDEX["left_elbow"]] = rotations.about("y", np.linspace(0, 1, 120))
    plain, twist = features.extract(joints, own), features.extract(joints, twisted)
    forearm = features.ROTATIONS.start + 6 * (INDEX["left_wrist"] - 1)
    assert np.abs(plain - twist)[:, forearm : forearm + 6].max() > 0.5
    turn = rotations.about("y", np.linspace(0, 2, 120))[:, None]
    turning = rotations.rotate(turn, joints)
    rows = features.extract(turning, rotations.multiply(np.broadcast_to(turn, own.shape), own))
    assert np.abs(rows - plain)[:, features.ROTATIONS].max() < 1e-5
    assert np.abs(rows - plain)[:, features.POSITIONS].max() < 1e-5
    assert rows[:, 0] == pytest.approx(np.full(119, -1 / 119), abs=1e-6)
    # HumanML3D's own numbers do depend on it.
    assert np.abs(features.extract(turning) - features.extract(joints))[:, features.ROTATIONS].max() > 0.5


def corpora() -> list[np.ndarray]:
    made = procedural.read(HERE / "irg_core/corpora/procedural.yaml", clips=24, seed=11)
    clips = [features.retarget(take.joints) for take in made if isinstance(take, Take)]
    return clips + ([np.load(REFERENCE / "new_joints/012314.npy")] if REFERENCE.exists() else [])


def test_features_to_joints_and_back_is_stable_on_whole_corpora() -> None:
    clips = corpora()
    assert len(clips) >= 24
    for rows in features.extract_all(clips):
        once = features.to_joints(rows)
        twice = features.to_joints(features.extract(once))
        assert np.abs(twice - features.normalise(once)[:-1]).max() < 1e-5


def test_rows_of_no_known_width_are_refused() -> None:
    with pytest.raises(ValueError, match="263 or 251"):
        features.to_joints(np.zeros((3, 262)))
    assert T2M.feet == tuple(INDEX[name] for name in ("left_ankle", "left_foot", "right_ankle", "right_foot"))
