"""Rows of either skeleton: what they are, and what our joints are after a way through KIT's."""

import numpy as np
import pytest

from irg_core.corpora import procedural
from irg_core.motion import features, kinematics, representation
from irg_core.motion.representation import KIT, KIT_LENGTHS, T2M
from irg_core.motion.skeleton import FPS, INDEX, LENGTHS, MIRROR, PARENTS
from irg_core.motion.thresholds import KinematicsParams
from irg_core.motion.twins import poses_of
from irg_core.params import section
from tests.checkouts import ROOT

TAKES = list(procedural.read(ROOT / "irg_core/corpora/procedural.yaml", clips=16, seed=5))
MOTIONS = [features.normalise(features.retarget(take.joints)) for take in TAKES]
LIMITS = section("kinematics", KinematicsParams)


def millimetres(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """How far the joints of frames that both have are apart [T, 22]."""
    frames = min(len(some), len(others))
    return 1000 * np.linalg.norm(some[:frames] - others[:frames], axis=-1)


def test_a_row_of_kits_skeleton_has_251_numbers_and_one_of_ours_263() -> None:
    assert (T2M.width, KIT.width) == (263, 251)
    for kind in (T2M, KIT):
        assert representation.of(kind.width) is kind
        assert [row for group in kind.groups for row in range(kind.width)[group]] == list(range(kind.width))
    with pytest.raises(ValueError, match="263 or 251"):
        representation.of(262)


def test_our_own_rows_are_those_of_the_converter() -> None:
    for joints in MOTIONS:
        rows = T2M.rows(joints, FPS)
        assert rows.tobytes() == features.extract(joints).tobytes()
        assert representation.to_joints(rows).tobytes() == features.to_joints(rows).tobytes()
        assert T2M.in_metres(rows) is rows


def test_kits_bones_are_as_long_as_those_of_ours_end_to_end() -> None:
    thorax, hip, toes = 2, 11, (14, 15)
    assert KIT_LENGTHS[thorax] == pytest.approx(LENGTHS[INDEX["spine2"]] + LENGTHS[INDEX["spine3"]])
    assert KIT_LENGTHS[hip] == LENGTHS[INDEX["left_hip"]]
    assert KIT_LENGTHS[list(toes)].sum() == pytest.approx(LENGTHS[INDEX["left_foot"]])
    for joints in MOTIONS:
        kit = representation.to_kit(joints)
        bones = np.linalg.norm(kit[:, 1:] - kit[:, KIT.body.parents[1:]], axis=-1)
        assert np.abs(bones - 1000 * KIT_LENGTHS[1:]).max() < 1e-6


def test_kits_left_lies_at_minus_x_as_in_the_fields_files() -> None:
    kit = features.normalise(representation.to_kit(MOTIONS[0]))
    hip, toes, ankle = kit[0, 11], kit[0, 15], kit[0, 13]
    assert hip[0] < 0
    assert toes[2] > ankle[2]


def test_our_joints_come_back_from_kits_within_a_centimetre() -> None:
    exact = [INDEX[name] for name in INDEX if name.endswith(("hip", "knee", "ankle", "foot")) or name == "pelvis"]
    for joints in MOTIONS:
        back = representation.from_kit(representation.to_kit(joints))
        gaps = millimetres(back, joints)
        assert gaps[:, exact].max() < 1e-6
        assert gaps.mean() < 6.0
        assert gaps.max() < 60.0


def test_our_joints_come_back_from_kits_rows_with_bones_as_they_were() -> None:
    means = []
    for joints in MOTIONS:
        rows = KIT.rows(joints, FPS)
        assert abs(KIT.seconds(rows) - (len(joints) - 1) / FPS) <= 1 / KIT.fps
        back = representation.to_joints(rows)
        assert abs(len(back) - len(joints)) <= 3
        bones = np.linalg.norm(back[:, 1:] - back[:, PARENTS[1:]], axis=-1)
        assert np.abs(bones - LENGTHS[1:]).max() < 1e-9
        means.append(millimetres(back, joints).mean())
    # What 12.5 frames a second cannot carry is gone from the quickest strikes.
    assert np.mean(means) < 10.0


def test_a_second_way_through_kits_rows_changes_little() -> None:
    once = [representation.to_joints(KIT.rows(joints, FPS)) for joints in MOTIONS]
    twice = [representation.to_joints(KIT.rows(joints, FPS)) for joints in once]
    assert np.mean([millimetres(b, a).mean() for a, b in zip(once, twice, strict=True)]) < 8.0


def test_left_is_left_in_either_skeleton() -> None:
    seen: set[tuple[str, str, float]] = set()
    twins = [features.retarget(joints[:, MIRROR] * (-1.0, 1.0, 1.0)) for joints in MOTIONS[-6:]]
    for joints in [*MOTIONS, *twins]:
        ours, kits = (sides(representation.to_joints(kind.rows(joints, FPS))) for kind in (T2M, KIT))
        assert ours == kits
        seen.update(ours)
    assert {"left", "right"} <= {side for side, _, _ in seen} & {way for _, way, _ in seen}
    assert {-1.0, 1.0} <= {turn for _, _, turn in seen}


def sides(joints: np.ndarray) -> list[tuple[str, str, float]]:
    """Side, direction and sign of the turn, 0 without one, of each phase."""
    found = kinematics.phases(joints, LIMITS)
    return [(phase.side, phase.direction, float(np.sign(np.nan_to_num(phase.turn)))) for phase in found]


def test_lengths_of_kits_rows_can_be_read_in_metres() -> None:
    joints = MOTIONS[0]
    ours, kit = T2M.rows(joints, FPS), KIT.in_metres(KIT.rows(joints, FPS))
    assert kit[:, 3].mean() == pytest.approx(ours[:, 3].mean(), abs=0.01)
    speeds = [np.hypot(rows[:, 1], rows[:, 2]).mean() * kind.fps for rows, kind in ((ours, T2M), (kit, KIT))]
    assert speeds[1] == pytest.approx(speeds[0], rel=0.1, abs=0.02)
    rotations = slice(KIT.positions.stop, KIT.positions.stop + KIT.parts[2])
    assert np.array_equal(kit[:, rotations], KIT.rows(joints, FPS)[:, rotations])


def test_copies_are_found_at_our_rate_whatever_the_rows() -> None:
    for joints in MOTIONS:
        ours, kit = poses_of(T2M.rows(joints, FPS)), poses_of(KIT.rows(joints, FPS))
        assert abs(len(ours) - len(kit)) <= 3
        frames = min(len(ours), len(kit))
        assert np.linalg.norm(ours[:frames] - kit[:frames], axis=-1).mean() < 0.02


def test_few_and_broken_frames_break_nothing() -> None:
    rows = KIT.rows(MOTIONS[0], FPS)
    assert representation.to_joints(rows[:0]).shape == (0, 22, 3)
    assert representation.to_joints(rows[:1]).shape == (1, 22, 3)
    rows[3, 7] = np.nan
    assert np.isfinite(poses_of(rows)).all()
