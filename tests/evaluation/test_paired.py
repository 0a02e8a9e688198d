"""Comparing two rows: differences that are there are found, and those that are not seldom."""

import numpy as np
import pytest
from scipy import stats

from irg_core.errors import TableError
from irg_core.evaluation.paired import Difference, bootstrap, difference, differences, holm, permutation
from irg_core.records.evaluation import Values


def values(numbers: np.ndarray, row: str = "one", over: str = "clips", metric: str = "r3") -> Values:
    place = (row, "final", "report", "synthetic", metric)
    return Values("|".join(place), *place, over, float(numbers.sum()) / max(1, len(numbers)), numbers.tolist())


def draws(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(count)


def test_a_small_gain_on_every_clip_is_found_where_the_two_intervals_overlap() -> None:
    hard = 5.0 * draws(300, 0)
    one, two = values(hard + 0.3 + 0.5 * draws(300, 1)), values(hard, "two")
    found = difference(one, two, seed=1)
    assert found.low < 0.3 < found.high
    assert found.p < 0.001
    assert found.high - found.low < 0.1 * 1.96 * hard.std()
    assert (found.one, found.two, found.n) == ("one|final", "two|final", 300)


def test_the_p_value_is_that_of_enumerating_all_signs() -> None:
    apart = np.array([0.5, 1.0, -0.2, 0.7, 0.1, 0.0, 0.4, 0.3])
    signs = np.array(np.meshgrid(*[[-1, 1]] * 7)).reshape(7, -1).T
    sums = np.abs(signs @ apart[apart != 0])
    exact = np.mean(sums >= abs(apart.sum()) - 1e-12)
    assert permutation(apart, np.random.default_rng(1)) == pytest.approx(exact, abs=0.005)


def test_the_interval_is_that_of_another_bootstrap() -> None:
    apart = draws(200, 2) ** 2
    expected = stats.bootstrap(
        (apart,), np.mean, n_resamples=10_000, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    low, high = bootstrap(apart, np.random.default_rng(3))
    assert (low, high) == pytest.approx((expected.low, expected.high), rel=0.02)


def test_equal_rows_do_not_differ() -> None:
    numbers = draws(50, 4)
    found = difference(values(numbers), values(numbers, "two"), seed=1)
    assert (found.mean, found.low, found.high, found.p) == (0.0, 0.0, 0.0, 1.0)
    halves = difference(values(numbers[:20], over="halves"), values(numbers[:20], "two", "halves"), seed=1)
    assert (halves.mean, halves.p) == (0.0, 1.0)


def test_a_difference_by_chance_is_called_one_about_as_often_as_promised() -> None:
    p = [permutation(draws(40, seed), np.random.default_rng(seed)) for seed in range(300)]
    assert np.mean(np.array(p) < 0.05) == pytest.approx(0.05, abs=0.03)


def test_parts_that_scatter_together_compare_more_sharply_than_apart() -> None:
    common = draws(20, 5)
    one, two = values(common + 0.2 + 0.02 * draws(20, 6), over="halves"), values(common, "two", "halves")
    found = difference(one, two, seed=1)
    assert found.low > 0.1
    assert found.p < 0.001
    assert found.high - found.low < 0.1 * common.std()


def test_rows_of_other_clips_are_not_compared() -> None:
    with pytest.raises(TableError, match="not of the same clips: 40 clips against 30 clips"):
        difference(values(draws(40, 0)), values(draws(30, 0), "two"), seed=1)


def test_only_what_both_rows_have_is_compared() -> None:
    ones = [values(draws(40, 0)), values(draws(40, 1), metric="r1"), values(draws(0, 1), metric="codes_used")]
    twos = [values(draws(40, 2), "two"), values(draws(0, 2), "two", metric="codes_used")]
    assert [found.metric for found in differences(ones, twos, seed=1)] == ["r3"]


def test_many_questions_raise_the_price_of_each_answer() -> None:
    found = [Difference("a", "b", "e", "s", "m", 1.0, 0.5, 1.5, p, 10) for p in (0.01, 0.04, 0.03, 0.5)]
    assert holm(found) == pytest.approx([0.04, 0.09, 0.09, 0.5])
