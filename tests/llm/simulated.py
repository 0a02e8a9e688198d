"""Endpoints that exist on paper, and a client that asks them without end: an hour passes in a moment."""

import heapq
import itertools
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from irg_core.llm.pacing import Outcome, Pacing, Ticket

REFUSAL_TAKES = 0.005
Served = tuple[Outcome, float]
"""How a request ends, and after how many seconds."""
Server = Callable[[float, random.Random], Served]


def varied(latency: float, draw: random.Random) -> float:
    return latency * draw.uniform(0.7, 1.3)


def prompt(latency: float) -> Server:
    """Serves everybody at once."""
    return lambda now, draw: ("answered", varied(latency, draw))


def uneven(latency: float) -> Server:
    """Serves everybody; some replies take ten times as long as others."""
    return lambda now, draw: ("answered", latency * draw.lognormvariate(-0.32, 0.8))


def per_second(rate: float, burst: float, latency: float) -> Server:
    """Admits so many a second, and saves up what nobody asks for."""
    free, filled = burst, 0.0

    def serve(now: float, draw: random.Random) -> Served:
        nonlocal free, filled
        free, filled = min(burst, free + (now - filled) * rate), now
        if free < 1:
            return "limited", REFUSAL_TAKES
        free -= 1
        return "answered", varied(latency, draw)

    return serve


def places(number: int, latency: float, *, waits: bool) -> Server:
    """Serves so many at a time; further ones wait, or are turned away."""
    ends = [0.0] * number

    def serve(now: float, draw: random.Random) -> Served:
        if not waits and ends[0] > now:
            return "limited", REFUSAL_TAKES
        end = max(now, heapq.heappop(ends)) + varied(latency, draw)
        heapq.heappush(ends, end)
        return "answered", end - now

    return serve


def nine_in_ten(latency: float) -> Server:
    """Turns away nine of ten, whoever asks and however often."""
    return lambda now, draw: ("answered", varied(latency, draw)) if draw.random() < 0.1 else ("limited", REFUSAL_TAKES)


@dataclass
class Run:
    """What a client met."""

    pacing: Pacing
    answered: list[float] = field(default_factory=list)  # when each reply came
    latencies: list[float] = field(default_factory=list)
    sent: list[float] = field(default_factory=list)
    rests: list[tuple[float, float]] = field(default_factory=list)  # for which the endpoint asked: from, until
    turned_away: int = 0
    most_in_flight: int = 0


def run(server: Server, most: int, seconds: float, seed: int = 0, rest: float = 0.0) -> Run:
    """Ask for so long, at most `most` at once, by a pace that is learned; refusals ask for a `rest`."""
    draw, told = random.Random(seed), Run(Pacing(most, 0.0))
    coming: list[tuple[float, int, Ticket, Outcome]] = []
    numbers, now = itertools.count(), 0.0
    while now < seconds:
        while told.pacing.opens_at(now) <= now:
            ticket = told.pacing.send(now)
            outcome, takes = server(now, draw)
            heapq.heappush(coming, (now + takes, next(numbers), ticket, outcome))
            told.sent.append(now)
            told.most_in_flight = max(told.most_in_flight, told.pacing.in_flight)
        now = min(coming[0][0] if coming else math.inf, told.pacing.opens_at(now))
        while coming and coming[0][0] <= now:
            _, _, ticket, outcome = heapq.heappop(coming)
            told.pacing.end(ticket, outcome, now, rest if outcome == "limited" else 0.0)
            if rest and outcome == "limited":
                told.rests.append((now, now + rest))
            if outcome == "answered":
                told.answered.append(now)
                told.latencies.append(now - ticket.sent)
            else:
                told.turned_away += 1
    return told
