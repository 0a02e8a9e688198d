"""What a client learns about an endpoint that it asks, over minutes that pass in a moment."""

import math
import random
from statistics import mean

import pytest

from irg_core.llm.pacing import FAULTS_TO_BREAK, START, Outcome, Pacing, Ticket
from tests.llm.simulated import Served, Server, nine_in_ten, per_second, places, prompt, run, uneven


def send(pacing: Pacing, number: int, now: float) -> list[Ticket]:
    return [pacing.send(now) for _ in range(number)]


def end(pacing: Pacing, tickets: list[Ticket], outcome: Outcome, now: float) -> None:
    for ticket in tickets:
        pacing.end(ticket, outcome, now)


@pytest.mark.parametrize("server", [prompt(1.0), uneven(1.0)])
def test_an_endpoint_that_serves_everybody_is_soon_asked_as_much_as_allowed(server: Server) -> None:
    told = run(server, most=256, seconds=40)
    assert told.most_in_flight == 256
    assert told.pacing.limit == 256
    late = [at for at in told.answered if at > 10]
    assert len(late) > 0.9 * 256 * 30


@pytest.mark.parametrize("latency", [0.1, 1.0])
def test_the_window_doubles_with_each_round_trip_while_that_brings_more(latency: float) -> None:
    ready = run(prompt(latency), most=256, seconds=6 * latency)
    assert ready.pacing.limit == 256, f"{START} and three times twice as many, and replies take up to 1.3 of the usual"


def test_one_stall_leaves_the_window_as_it_was() -> None:
    """Replies that come while the client looks away are all seen at its end."""

    def stalling(now: float, draw: random.Random) -> Served:
        ends = now + 0.1 * draw.uniform(0.8, 1.2)
        return "answered", (11.5 if 10 <= ends < 11.5 else ends) - now

    told = run(stalling, most=60, seconds=30)
    assert sum(1 for at in told.answered if at >= 12) > 0.95 * 60 * 18 / 0.1
    assert told.pacing.limit == 60


@pytest.mark.parametrize("most", [1, 3, 8])
def test_no_more_are_in_flight_than_allowed(most: int) -> None:
    assert run(prompt(0.1), most, seconds=10).most_in_flight == most


@pytest.mark.parametrize(
    ("rate", "burst", "latency"), [(10, 10, 0.1), (10, 10, 1.0), (2, 2, 0.1), (100, 100, 1.0), (100, 10, 0.1)]
)
def test_a_limit_on_requests_a_second_is_used_and_hardly_overrun(rate: int, burst: int, latency: float) -> None:
    told = run(per_second(rate, burst, latency), most=256, seconds=60)
    assert len(told.answered) >= 0.9 * (60 * rate + burst)
    assert told.turned_away < max(0.2 * len(told.answered), 60 * 5), "five knocks a second where less is admitted"


@pytest.mark.parametrize(("number", "latency"), [(1, 0.1), (8, 0.1), (4, 1.0), (100, 1.0)])
def test_a_limit_on_requests_at_once_is_used(number: int, latency: float) -> None:
    told = run(places(number, latency, waits=False), most=256, seconds=60)
    assert len(told.answered) >= 0.9 * 60 * number / latency


@pytest.mark.parametrize("number", [2, 8, 40])
def test_where_more_requests_only_make_a_longer_queue_fewer_are_sent(number: int) -> None:
    told = run(places(number, 0.1, waits=True), most=512, seconds=60)
    assert len(told.answered) >= 0.95 * 60 * number / 0.1
    assert told.pacing.limit <= 4 * number
    assert mean(told.latencies[-500:]) < 0.4, "of 0.1 s at least, and 512 in flight would wait long"


def test_an_endpoint_that_grows_is_asked_more() -> None:
    small, large = per_second(5, 5, 0.2), per_second(50, 50, 0.2)
    told = run(lambda now, draw: (small if now < 60 else large)(now, draw), most=64, seconds=120)
    assert sum(1 for at in told.answered if at > 80) > 0.9 * 50 * 40


@pytest.mark.parametrize("rest", [0.0, 1.0])
def test_under_sustained_refusals_the_first_row_comes_within_seconds(rest: float) -> None:
    first = [min(run(nine_in_ten(0.1), 64, 60, seed, rest).answered) for seed in range(100)]
    assert sorted(first)[97] < 10
    assert mean(first) < 3


def test_nobody_is_asked_while_a_rest_lasts() -> None:
    told = run(nine_in_ten(0.1), most=64, seconds=60, rest=1.0)
    assert len(told.rests) > 30
    assert [(begin, at) for begin, until in told.rests for at in told.sent if begin <= at < until] == []


def test_refusals_of_requests_that_were_sent_together_are_one_congestion() -> None:
    paces = []
    for refused in (1, 10):
        pacing = Pacing(64, 0.0)
        tickets = send(pacing, 16, 0.0)
        end(pacing, tickets[:refused], "limited", 0.01)
        paces.append(pacing.opens_at(0.01))
    assert paces[0] == paces[1] > 0.01


def test_when_nobody_is_answered_one_probe_at_a_time_is_sent_and_a_reply_lets_all_in_again() -> None:
    pacing = Pacing(64, 0.0)
    end(pacing, send(pacing, FAULTS_TO_BREAK, 0.0), "failed", 1.0)
    assert pacing.is_broken
    (probe,) = send(pacing, 1, 1.0)
    assert math.isinf(pacing.opens_at(1.0))
    pacing.end(probe, "answered", 2.0)
    assert not pacing.is_broken
    assert pacing.limit >= START


def test_one_reply_among_faults_keeps_the_way_open() -> None:
    pacing = Pacing(64, 0.0)
    for outcome in ("failed", "late", "failed", "refused") * FAULTS_TO_BREAK:
        (ticket,) = send(pacing, 1, 0.0)
        pacing.end(ticket, outcome, 0.1)
        assert not pacing.is_broken


def test_replies_that_come_too_late_narrow_the_window_once() -> None:
    pacing = Pacing(64, 0.0)
    end(pacing, send(pacing, 7, 0.0), "late", 20.0)
    assert pacing.limit == int(0.7 * START)
    pacing.end(pacing.send(21.0), "answered", 22.0)
    assert pacing.limit >= int(0.7 * START)
