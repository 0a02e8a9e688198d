"""FID against its symmetric form by eigenvalues, in float64, and against cases whose answer is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irg_core.metrics import fid
from irg_core.seeds import rng
from tests.metrics.conftest import PROTOCOL, Draw, Make


def oracle(one: np.ndarray, two: np.ndarray) -> float:
    """|m1 - m2|^2 + tr C1 + tr C2 - 2 tr sqrt(sqrt(C1) C2 sqrt(C1)), roots by eigenvalues, those of noise cut off."""
    one, two = one.astype(np.float64), two.astype(np.float64)
    a, b = (np.atleast_2d(np.cov(points, rowvar=False)) for points in (one, two))
    values, vectors = np.linalg.eigh(a)
    root = vectors * np.sqrt(_without_noise(values)) @ vectors.T
    shared = np.sqrt(_without_noise(np.linalg.eigvalsh(root @ b @ root))).sum()
    return float(np.square(one.mean(0) - two.mean(0)).sum() + np.trace(a) + np.trace(b) - 2.0 * shared)


def _without_noise(eigenvalues: np.ndarray) -> np.ndarray:
    return np.where(eigenvalues > 1e-12 * eigenvalues.max(), eigenvalues, 0.0)


@pytest.mark.parametrize(
    ("clips", "width"), [(300, 8), (300, 64), (65, 64), (64, 64), (40, 64), (33, 512)], ids=lambda value: str(value)
)
def test_fid_is_that_of_the_symmetric_form(clips: int, width: int, points: Draw) -> None:
    one, two = points(clips, width), 1.5 * points(clips, width, seed=1) + 0.3
    assert fid.frechet(one, two) == pytest.approx(oracle(one, two), rel=1e-6)


def _degenerate(clips: int, width: int, rank: int, seed: int) -> np.ndarray:
    draw = np.random.default_rng(seed)
    return draw.standard_normal((clips, rank)) @ draw.standard_normal((rank, width)) + 0.5


@pytest.mark.parametrize("rank", [1, 5, 20, 63])
def test_fid_stands_degenerate_covariances(rank: int, points: Draw) -> None:
    """Points on a line, a plane, and one dimension short; duplicates; and a constant feature."""
    one, two = _degenerate(300, 64, rank, 0), _degenerate(300, 64, rank, 1)
    assert fid.frechet(one, two) == pytest.approx(oracle(one, two), rel=1e-6)
    full = points(300, 64, seed=2).astype(np.float64)
    assert fid.frechet(one, full) == pytest.approx(oracle(one, full), rel=1e-6)
    twice = np.concatenate([full[:30]] * 10)
    assert fid.frechet(twice, full) == pytest.approx(oracle(twice, full), rel=1e-6)
    constant = full.copy()
    constant[:, 7] = 2.0
    assert fid.frechet(constant, one) == pytest.approx(oracle(constant, one), rel=1e-6)


def test_a_model_that_always_answers_alike_is_as_far_as_the_spread_of_the_real(points: Draw) -> None:
    real = points(40, width=64)
    always = np.tile(real[:1], (40, 1))
    expected = np.square(real[0] - real.mean(0)).sum() + np.trace(np.cov(real.astype(np.float64), rowvar=False))
    assert fid.frechet(always, real) == pytest.approx(expected, rel=1e-6)
    assert fid.frechet(real, real) == pytest.approx(0.0, abs=1e-9)


@settings(max_examples=25)
@given(st.lists(st.floats(-3, 3), min_size=4, max_size=4), st.floats(0.2, 4))
def test_fid_of_a_shifted_and_scaled_copy_is_known(points: Draw, shift: list[float], scale: float) -> None:
    """Same axes: |shift|^2 + tr C (scale - 1)^2, around the mean of the first."""
    one = points(200, width=4).astype(np.float64)
    one -= one.mean(0)
    expected = np.square(shift).sum() + (scale - 1) ** 2 * np.trace(np.cov(one, rowvar=False))
    assert fid.frechet(one, scale * one + np.array(shift)) == pytest.approx(expected, rel=1e-7, abs=1e-9)


@settings(max_examples=20)
@given(st.integers(5, 90), st.integers(1, 30), st.integers(0, 999), st.floats(0.1, 10))
def test_fid_is_symmetric_and_follows_the_space(points: Draw, clips: int, width: int, seed: int, scale: float) -> None:
    """Order and rotation change nothing; a scale comes out squared."""
    one, two = points(clips, width, seed).astype(np.float64), points(clips, width, seed + 1).astype(np.float64) + 1.0
    found = fid.frechet(one, two)
    assert fid.frechet(two, one) == pytest.approx(found, rel=1e-7)
    assert fid.frechet(one[::-1], two) == pytest.approx(found, rel=1e-7)
    turn, _ = np.linalg.qr(points(width, width, seed + 2).astype(np.float64))
    assert fid.frechet(one @ turn, two @ turn) == pytest.approx(found, rel=1e-6)
    assert fid.frechet(scale * one, scale * two) == pytest.approx(scale**2 * found, rel=1e-6)


def test_fid_says_nothing_of_a_handful_of_clips(points: Draw, samples: Make) -> None:
    assert fid.compute(samples(points(31), points(31))) == []


def test_the_interval_of_halves_is_the_scatter_of_new_clips(points: Draw, samples: Make) -> None:
    """Whether drawn halves tell what another draw of test clips would have given, can be tried: by drawing others."""
    truth = [fid.frechet(points(200, 4, seed), 1.3 * points(200, 4, seed + 5000) + 0.4) for seed in range(0, 2000, 10)]
    told = [
        fid.compute(samples(one, one, 1.3 * points(200, 4, seed + 5000) + 0.4))[0].interval
        for seed in range(0, 300, 10)
        for one in [points(200, 4, seed)]
    ]
    assert np.mean(told) == pytest.approx(1.96 * np.std(truth), rel=0.2)


def test_fid_is_biased_for_few_clips_and_its_limit_much_less(points: Draw, samples: Make) -> None:
    """Both sets come from one distribution, so the truth is 0."""
    found = [
        {m.metric: m.mean for m in fid.compute(samples(one, one, points(300, 24, seed + 1)))}
        for seed in range(0, 40, 2)
        for one in [points(300, 24, seed)]
    ]
    biased, limit = (np.mean([row[name] for row in found]) for name in ("fid", "fid_inf"))
    assert biased > 0.5
    assert abs(limit) < 0.25 * biased


@pytest.mark.parametrize(("clips", "width"), [(64, 3), (200, 24), (300, 8)])
def test_the_limit_is_where_a_line_through_the_whole_and_its_halves_meets_infinitely_many_clips(
    clips: int, width: int, points: Draw, samples: Make
) -> None:
    """By another FID and by least squares over 1/n, each half a point of its own, on the halves of the protocol."""
    one, two = points(clips, width), 1.3 * points(clips, width, seed=1) + 0.2
    drawn = samples(one, one, two)
    halves = [rng(PROTOCOL.seed, "halves", draw).permutation(clips)[: clips // 2] for draw in range(PROTOCOL.redraws)]
    at_halves = [oracle(one[rows], two[rows]) for rows in halves]
    # The line goes through the whole: it counts as often as all halves together, and so often that it weighs alone.
    x = np.array([1.0 / clips, *[2.0 / clips] * len(halves)])
    weights = np.array([1e6, *[1.0] * len(halves)])
    _, expected = np.polyfit(x, np.array([oracle(one, two), *at_halves]), deg=1, w=weights)
    whole, limit = fid.compute(drawn)
    assert limit.mean == pytest.approx(expected, rel=1e-6)
    assert limit.mean < whole.mean
    assert np.mean(limit.values) == pytest.approx(limit.mean, rel=1e-9)
    assert limit.interval == pytest.approx(1.96 * np.std(at_halves, ddof=1), rel=1e-5)


@pytest.mark.parametrize(
    ("clips", "width", "scale", "most"), [(200, 4, 1.3, 1.3), (240, 16, 1.2, 1.3), (240, 16, 1.0, np.sqrt(3))]
)
def test_the_interval_of_the_limit_and_of_a_difference_is_the_scatter_of_new_clips(
    clips: int, width: int, scale: float, most: float, points: Draw, samples: Make
) -> None:
    """Tried by drawing other clips. It is too wide, by sqrt(3) at most, where a row is as good as real motions."""
    limits, told, apart, told_apart = [], [], [], []
    for seed in range(0, 800, 10):
        one, real = points(clips, width, seed), scale * points(clips, width, seed + 5000) + (scale - 1.0)
        two = one + 0.3 * points(clips, width, seed + 1)
        found, other = (fid.compute(samples(row, row, real))[1] for row in (one, two))
        limits.append(found.mean)
        told.append(found.interval)
        apart.append(found.mean - other.mean)
        told_apart.append(1.96 * np.std(np.array(found.values) - np.array(other.values), ddof=1))
    for of_new_clips, intervals in ((limits, told), (apart, told_apart)):
        assert 0.8 < np.mean(intervals) / (1.96 * np.std(of_new_clips)) < most


def test_a_limit_is_given_only_where_halves_have_more_clips_than_dimensions(points: Draw, samples: Make) -> None:
    assert [m.metric for m in fid.compute(samples(points(40, 8), points(40, 8)))] == ["fid", "fid_inf"]
    assert [m.metric for m in fid.compute(samples(points(40, 20), points(40, 20)))] == ["fid"]
