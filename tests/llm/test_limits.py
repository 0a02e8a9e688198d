"""Limits a minute that are kept before anybody complains."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from irg_core.llm.limits import EVENLY, MINUTE, Allowance, Limits, Quota, Taken


def sent(limits: Limits, sizes: list[int]) -> list[float]:
    """When requests of these sizes go, one after the other, each as early as it may."""
    allowance, now, times = Allowance(limits), 0.0, []
    for size in sizes:
        now = allowance.opens_at(now, size)
        allowance.take(now, size)
        times.append(now)
    return times


@given(st.integers(1, 200), st.lists(st.integers(1, 50), min_size=1, max_size=300))
def test_no_minute_has_more_requests_than_its_limit(limit: int, sizes: list[int]) -> None:
    times = sent(Limits(limit, 0), sizes)
    assert all(after - at >= MINUTE - 1e-6 for at, after in zip(times, times[limit:], strict=False))
    assert times[-1] <= MINUTE * (len(times) - 1) / limit + MINUTE, "and no time is wasted"


@given(st.integers(50, 500), st.lists(st.integers(1, 50), min_size=1, max_size=200))
def test_no_minute_has_more_tokens_than_its_limit(limit: int, sizes: list[int]) -> None:
    times = sent(Limits(0, limit), sizes)
    for start in range(len(times)):
        inside = [
            size for at, size in zip(times, sizes, strict=True) if times[start] <= at < times[start] + MINUTE - 1e-6
        ]
        assert sum(inside) <= limit


def test_requests_are_spread_over_the_minute() -> None:
    times = sent(Limits(60, 0), [1] * 60)
    assert max(after - at for at, after in pairwise(times)) <= MINUTE / EVENLY + 1e-6
    assert times[-1] > 0.8 * MINUTE


def test_what_alone_is_too_large_goes_alone() -> None:
    assert sent(Limits(0, 10), [50, 50]) == [0.0, MINUTE]


def test_what_took_less_than_thought_leaves_room() -> None:
    allowance = Allowance(Limits(0, 1000))
    taken = allowance.take(0.0, 1000)
    assert allowance.opens_at(0.0, 90) == MINUTE
    allowance.correct(taken, 10, 1.0)
    assert allowance.opens_at(1.0, 90) == 1.0


def test_a_correction_that_comes_after_the_minute_changes_nothing() -> None:
    quota, taken = Quota(10, MINUTE), Taken(0.0, 10)
    quota.take(taken)
    quota.correct(taken, -5, MINUTE + 1)
    assert quota.opens_at(MINUTE + 1, 10) == MINUTE + 1
    assert quota._sum == 0


def test_no_limit_is_no_limit() -> None:
    assert set(sent(Limits(0, 0), [10**9] * 100)) == {0.0}


def test_a_negative_limit_is_a_slip() -> None:
    with pytest.raises(ValueError, match="or 0 for none"):
        Limits(-1, 0)
