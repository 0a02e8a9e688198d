"""Quaternions against what they stand for."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from irg_core.motion import rotations

DIRECTIONS = arrays(np.float64, 3, elements=st.floats(-1, 1)).filter(lambda v: np.linalg.norm(v) > 0.1)
ROTATIONS = arrays(np.float64, 4, elements=st.floats(-1, 1)).filter(lambda q: np.linalg.norm(q) > 0.1)


@given(a=DIRECTIONS, b=DIRECTIONS)
def test_between_turns_one_direction_to_the_other(a: np.ndarray, b: np.ndarray) -> None:
    a, b = rotations.normalise(a), rotations.normalise(b)
    assert np.abs(rotations.rotate(rotations.between(a, b), a) - b).max() < 1e-4


@given(a=DIRECTIONS)
def test_between_opposite_directions_is_half_a_turn(a: np.ndarray) -> None:
    a = rotations.normalise(a)
    turned = rotations.rotate(rotations.between(a, -a), a)
    assert np.abs(turned + a).max() < 1e-9


@given(p=ROTATIONS, q=ROTATIONS, v=DIRECTIONS)
def test_a_product_turns_by_the_second_and_then_by_the_first(p: np.ndarray, q: np.ndarray, v: np.ndarray) -> None:
    p, q = rotations.normalise(p), rotations.normalise(q)
    together = rotations.rotate(rotations.multiply(p, q), v)
    assert np.abs(together - rotations.rotate(p, rotations.rotate(q, v))).max() < 1e-9
    assert np.abs(rotations.rotate(rotations.inverse(q), rotations.rotate(q, v)) - v).max() < 1e-9


@given(q=ROTATIONS, v=DIRECTIONS)
def test_the_matrix_and_its_six_numbers_are_the_same_rotation(q: np.ndarray, v: np.ndarray) -> None:
    q = rotations.normalise(q)
    matrix = rotations.matrix(q)
    assert np.abs(matrix @ v - rotations.rotate(q, v)).max() < 1e-9
    assert np.abs(rotations.six_numbers(q) - np.concatenate([matrix[:, 0], matrix[:, 1]])).max() < 1e-12


def test_the_cross_product_is_numpys() -> None:
    a, b = np.random.Generator(np.random.PCG64(1)).normal(size=(2, 5, 4, 3))
    assert np.abs(rotations.cross(a, b) - np.cross(a, b)).max() < 1e-12


def test_a_turn_about_y_takes_ahead_to_the_left() -> None:
    assert np.abs(rotations.rotate(rotations.about("y", np.pi / 2), np.array([0.0, 0, 1])) - (1, 0, 0)).max() < 1e-12


def test_nothing_normalised_stays_nothing() -> None:
    assert not rotations.normalise(np.zeros((2, 4))).any()
