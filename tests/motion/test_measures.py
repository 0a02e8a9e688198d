"""Measures: what is measured beyond phases, in bodies that are posed for it, and told in lines."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from irg_core.corpora import procedural
from irg_core.motion import features, kinematics, rotations
from irg_core.motion.acts import perform
from irg_core.motion.lines import of_measures
from irg_core.motion.skeleton import INDEX, MIRROR, forward_kinematics
from irg_core.motion.synthesis import OFFSETS, Act
from irg_core.motion.thresholds import KinematicsParams
from irg_core.params import section
from irg_core.records.motion import Measure, Phase
from irg_core.seeds import rng

LIMITS = section("kinematics", KinematicsParams)
GRAMMAR = Path(procedural.__file__).with_suffix(".yaml")
Angles = dict[str, tuple[str, float]]


def posed(angles: Angles) -> np.ndarray:
    """Joints [22, 3] of a stand with some joints turned about an axis by degrees, on the floor."""
    local = np.zeros((1, 22, 4))
    local[..., 0] = 1.0
    for name, (axis, degrees) in angles.items():
        local[0, INDEX[name]] = rotations.about(axis, np.radians(np.array([degrees])))[0]
    joints = forward_kinematics(np.zeros((1, 3)), local, OFFSETS)[0]
    return joints - (0.0, joints[:, 1].min(), 0.0)


def going(*poses: np.ndarray, hold: int = 36, move: int = 14) -> np.ndarray:
    """A motion that holds each pose and moves from one to the next."""
    frames = [np.repeat(poses[0][None], hold, axis=0)]
    for one, other in pairwise(poses):
        share = np.linspace(0, 1, move + 2)[1:-1, None, None]
        share = share * share * (3 - 2 * share)
        frames += [one + share * (other - one), np.repeat(other[None], hold, axis=0)]
    return np.concatenate(frames)


STAND = posed({})
CHAIR = posed({"left_hip": ("x", -88), "right_hip": ("x", -88), "left_knee": ("x", 88), "right_knee": ("x", 88)})
FLOOR = posed({"left_hip": ("x", -88), "right_hip": ("x", -88)})
TOES = {"left_ankle": ("x", 60.0), "right_ankle": ("x", 60.0)}
KNEES = posed(TOES | {"left_knee": ("x", 88), "right_knee": ("x", 88)})
KNEE = posed({"right_knee": ("x", 88), "right_ankle": ("x", 60), "left_hip": ("x", -88), "left_knee": ("x", 88)})
BACK, BELLY = posed({"pelvis": ("x", -90)}), posed({"pelvis": ("x", 90)})


def told(joints: np.ndarray) -> tuple[list[Phase], list[Measure]]:
    return kinematics.facts(joints, LIMITS)


def measured(joints: np.ndarray, kind: str) -> list[Measure]:
    return [one for one in told(joints)[1] if one.kind == kind]


def mirrored(joints: np.ndarray) -> np.ndarray:
    return joints[:, MIRROR] * (-1.0, 1.0, 1.0)


def done(*acts: Act, seed: int = 1) -> np.ndarray:
    return perform(acts, rng(seed, *acts)).joints


@pytest.mark.parametrize(
    ("pose", "action", "side", "manner"),
    [
        (CHAIR, "sit", "", ""),
        (FLOOR, "sit", "", ""),
        (KNEES, "kneel", "both", ""),
        (KNEE, "kneel", "right", ""),
        (BACK, "lie", "", "face up"),
        (BELLY, "lie", "", "face down"),
    ],
)
def test_postures_are_told_apart_and_timed(pose: np.ndarray, action: str, side: str, manner: str) -> None:
    phases, measures = told(going(STAND, pose, STAND))
    assert [(p.action, p.side) for p in phases if p.action not in ("stand", "other")] == [(action, side)]
    (found,) = [one for one in measures if one.kind == action]
    assert (found.side, found.manner, found.unit) == (side, manner, "s")
    assert found.start == pytest.approx(2.3, abs=0.4)
    assert found.amount == pytest.approx(2.0, abs=0.7)


def test_a_deep_squat_is_no_seat() -> None:
    for joints in (done(Act("squat", count=1, speed="slow", amplitude="large"), seed=seed) for seed in range(8)):
        assert [phase.action for phase in told(joints)[0]] == ["squat"]


def test_a_mirrored_motion_has_mirrored_measures() -> None:
    other = {"left": "right", "right": "left"}
    for take in procedural.read(GRAMMAR, clips=40, seed=31):
        plain, swapped = told(take.joints)[1], told(mirrored(take.joints))[1]
        expected = sorted(
            (m.kind, m.part, other.get(m.side, m.side), other.get(m.direction, m.direction), m.manner) for m in plain
        )
        assert sorted((m.kind, m.part, m.side, m.direction, m.manner) for m in swapped) == expected, take.cell


def with_arm(side: str, elbow: Sequence[float], wrist: Sequence[float]) -> np.ndarray:
    """A stand with one arm placed elsewhere; left is +x."""
    pose = STAND.copy()
    pose[INDEX[f"{side}_elbow"]], pose[INDEX[f"{side}_wrist"]] = elbow, wrist
    return pose


def test_a_hand_held_out_reaches_in_its_direction_and_at_its_height() -> None:
    x, y, z = STAND[INDEX["left_shoulder"]]
    ahead = with_arm("left", (x, y - 0.05, z + 0.26), (x, y - 0.1, z + 0.52))
    aside = with_arm("left", (x + 0.26, y, z), (x + 0.52, y + 0.02, z))
    for pose, direction in ((ahead, "forward"), (aside, "left")):
        (found,) = measured(going(STAND, pose, STAND), "reach")
        assert (found.side, found.direction, found.manner) == ("left", direction, "chest")
    (found,) = measured(mirrored(going(STAND, aside, STAND)), "reach")
    assert (found.side, found.direction) == ("right", "right")


def test_folded_arms_are_crossed_and_folded_hands_are_not() -> None:
    folded, clasped = STAND.copy(), STAND.copy()
    for side, sign in (("left", 1.0), ("right", -1.0)):
        folded[INDEX[f"{side}_elbow"]] = clasped[INDEX[f"{side}_elbow"]] = (0.24 * sign, 1.1, 0.08)
        folded[INDEX[f"{side}_wrist"]], clasped[INDEX[f"{side}_wrist"]] = (
            (-0.12 * sign, 1.2, 0.2),
            (0.02 * sign, 1.1, 0.2),
        )
    assert [one.side for one in measured(going(STAND, folded, STAND), "crossed")] == ["both"]
    assert measured(going(STAND, clasped, STAND), "crossed") == []


def test_shoulders_turned_over_hips_that_stay_are_a_twist_and_no_turn() -> None:
    turned = posed({"spine1": ("y", 50)})
    phases, measures = told(going(STAND, turned, STAND, hold=20, move=12))
    (twist,) = [one for one in measures if one.kind == "twist"]
    assert (twist.direction, twist.part) == ("left", "torso")
    assert twist.amount == pytest.approx(50, abs=5)
    assert "turn" not in [phase.action for phase in phases]


def test_a_bend_has_its_angle_and_its_side() -> None:
    for axis, degrees, direction in (("x", 40, "forward"), ("x", -30, "backward"), ("z", -35, "left")):
        (bend,) = measured(going(STAND, posed({"spine1": (axis, degrees)}), STAND), "bend")
        assert bend.direction == direction
        assert bend.amount == pytest.approx(abs(degrees), abs=12)


def test_a_walk_there_and_back_is_two_ways() -> None:
    ahead = done(Act("walk", direction="forward", speed="normal"))
    both = np.concatenate([ahead, ahead[::-1]])
    assert [one.amount for one in measured(both, "path") if one.manner == "back and forth"] == [2]


def test_what_recurs_without_a_name_is_counted_with_its_period() -> None:
    swung = [
        STAND,
        with_arm("left", (0.4, 1.1, -0.1), (0.45, 0.95, -0.2)),
        with_arm("right", (-0.4, 1.1, 0.1), (-0.5, 1.0, 0.2)),
    ]
    dance = going(*(swung * 4), hold=4, move=6)
    (times,), (period,) = measured(dance, "repetition"), measured(dance, "period")
    assert (times.amount, times.manner) == (4, "")
    assert period.amount == pytest.approx(1.5, abs=0.1)


def test_broken_off_and_tiny_motions_measure_to_nothing() -> None:
    assert told(STAND[None].repeat(5, axis=0)) == ([], [])


def test_measures_lie_within_the_clip_and_keep_the_order_of_time() -> None:
    for take in procedural.read(GRAMMAR, clips=40, seed=9):
        joints = features.to_joints(features.extract(take.joints))
        measures = told(joints)[1]
        assert [one.start for one in measures] == sorted(one.start for one in measures)
        assert all(0 <= one.start <= one.end <= len(joints) / 20 for one in measures)


def test_the_most_telling_measures_are_told_in_the_order_of_time_and_equal_ones_once() -> None:
    def kick(start: float, amount: float) -> Measure:
        return Measure("kick", "leg", "right", "forward", "chest", amount, "m", start, start + 0.5)

    still = Measure("stillness", "body", "", "", "", 1.2, "s", 0.0, 1.2)
    steps = Measure("steps", "feet", "left", "", "", 7.0, "steps", 4.0, 8.0)
    assert of_measures([still, kick(1.5, 1.1), kick(2.5, 1.2), steps], most=2) == [
        "right leg: kick forward to chest height, 1.20 m (2 times, 1.5-3.0 s)",
        "7 steps, left foot first (4.0-8.0 s)",
    ]


def test_every_measure_of_a_motion_can_be_told() -> None:
    for take in procedural.read(GRAMMAR, clips=30, seed=2):
        measures = told(take.joints)[1]
        lines = of_measures(measures, most=100)
        assert 0 < len(lines) <= len(measures)
        assert all("nan" not in line and "{" not in line and "  " not in line for line in lines)
