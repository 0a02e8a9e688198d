"""Plausibility and the tokenizer's numbers on motions whose faults are known because they were put in."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irg_core.metrics import plausibility, tokenizer
from irg_core.motion.skeleton import FPS, INDEX, OFFSETS, PARENTS
from irg_core.records.evaluation import Measure
from tests.metrics.conftest import Draw, Make


@pytest.fixture
def standing() -> np.ndarray:
    """Two seconds of the reference pose on the floor, joints [40, 22, 3]."""
    pose = np.zeros((len(PARENTS), 3))
    for joint, parent in enumerate(PARENTS):
        pose[joint] = OFFSETS[joint] + (pose[parent] if parent >= 0 else 0.0)
    pose[:, 1] -= pose[:, 1].min()
    return np.tile(pose, (40, 1, 1))


def found(measures: list[Measure]) -> dict[str, float]:
    return {measure.metric: measure.mean for measure in measures}


def test_a_standing_body_is_a_plausible_one(standing: np.ndarray) -> None:
    for measure in (plausibility.foot_skate, plausibility.penetration, plausibility.jerk, plausibility.bone_drift):
        assert measure(standing) == pytest.approx(0.0, abs=1e-10)


def test_a_body_that_slides_skates_as_fast_as_it_slides(standing: np.ndarray) -> None:
    sliding = standing.copy()
    sliding[:, :, 0] += 0.3 * np.arange(40)[:, None] / FPS
    assert plausibility.foot_skate(sliding) == pytest.approx(30.0)
    sliding[:, :, 1] += 0.5  # in the air nobody skates
    assert plausibility.foot_skate(sliding) == 0.0


def test_a_body_below_the_floor_is_as_deep_as_it_is(standing: np.ndarray) -> None:
    sunk = standing.copy()
    sunk[:20, :, 1] -= 0.04
    assert plausibility.penetration(sunk) == pytest.approx(20.0)


def test_jerk_is_the_third_derivative(standing: np.ndarray) -> None:
    """A joint that moves as c t^3 has the jerk 6 c, also from differences."""
    moving = standing.copy()
    seconds = np.arange(40) / FPS
    moving[:, :, 2] += 2.0 * seconds[:, None] ** 3
    assert plausibility.jerk(moving) == pytest.approx(12.0)
    assert plausibility.jerk(moving[:3]) == 0.0


def test_bones_that_breathe_drift(standing: np.ndarray) -> None:
    breathing = standing.copy()
    wrist, elbow = INDEX["left_wrist"], INDEX["left_elbow"]
    breathing[::2, wrist] += 0.1 * (breathing[::2, wrist] - breathing[::2, elbow])
    lengths = np.linalg.norm(breathing[:, wrist] - breathing[:, elbow], axis=1)
    expected = 100.0 * lengths.std() / lengths.mean() / (len(PARENTS) - 1)
    assert plausibility.bone_drift(breathing) == pytest.approx(expected, rel=1e-6)


@settings(max_examples=15)
@given(st.floats(0, 6.2), st.floats(-5, 5), st.integers(0, 99))
def test_where_a_body_stands_and_faces_is_no_matter(angle: float, way: float, seed: int) -> None:
    joints = 0.3 * np.random.default_rng(seed).standard_normal((12, len(PARENTS), 3))
    turned = joints.copy()
    turned[..., 0] = np.cos(angle) * joints[..., 0] + np.sin(angle) * joints[..., 2] + way
    turned[..., 2] = np.cos(angle) * joints[..., 2] - np.sin(angle) * joints[..., 0]
    for measure in (plausibility.foot_skate, plausibility.penetration, plausibility.jerk, plausibility.bone_drift):
        assert measure(turned) == pytest.approx(measure(joints), rel=1e-9, abs=1e-9)


def test_a_tokenizer_that_moves_every_joint_by_a_centimetre_is_off_by_ten_millimetres(
    points: Draw, samples: Make, standing: np.ndarray
) -> None:
    shifted = standing + np.array([0.0, 0.0, 0.01])
    drawn = samples(
        points(2), points(2), joints=[shifted[:36]] * 2, real_joints=[standing] * 2, codes=[[1, 1, 2], [3, 4, 2]]
    )
    measured = found(tokenizer.compute(drawn))
    assert measured["mpjpe"] == pytest.approx(10.0)
    assert measured["mpjpe_root"] == pytest.approx(0.0, abs=1e-9)
    assert measured["codes_used"] == 4
    shares = np.array([2, 2, 1, 1]) / 6
    assert measured["code_perplexity"] == pytest.approx(np.prod(shares**-shares))


@settings(max_examples=25)
@given(st.lists(st.integers(1, 50), min_size=1, max_size=30))
def test_perplexity_is_between_one_and_the_number_of_codes(counts: list[int]) -> None:
    value = tokenizer.perplexity(np.array(counts, dtype=np.float64))
    assert 1.0 - 1e-9 <= value <= len(counts) + 1e-9
    assert tokenizer.perplexity(np.full(len(counts), 7.0)) == pytest.approx(len(counts))
