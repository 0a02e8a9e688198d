"""How fast and how wide an endpoint may be asked: found out by asking, because none says it and none keeps it.

Three things are learned apart. The *rate* falls when requests are turned away as too many and rises while none are; it
finds limits per minute as well as places that are all taken. The *window*, how many are in flight, doubles while that
brings more replies and shrinks when it only makes a longer queue. The *breaker* lets single probes through while nobody
is answered. Nothing here waits or reads a clock, so that a test can run an hour in a moment.
"""

import math
from collections import deque
from dataclasses import dataclass
from typing import Literal

Outcome = Literal["answered", "refused", "limited", "late", "failed"]
"""How a request ended: with a reply, with a no to this one row, turned away as one too many, out of time or told that
the endpoint is overloaded, or with any other fault."""

SLOWER = 0.9
"""What a congestion leaves of the rate; all refusals of requests that were sent before it belong to the same one."""
FASTER = 0.01
STREAK = 12
FREE = 256
"""Share of itself by which each reply raises the rate, twice as much after each `STREAK` replies without a refusal. So
about one request in ten is turned away, which is how the limit is known; after `FREE` replies there is none."""
SLOWEST = 1.0
"""Requests a second below which the rate does not fall, or it would take minutes to rise again after bad ones."""
SOON = 0.5
"""Share of the usual time between two requests after which one follows a refusal: room comes unasked."""
RELAYS = 16
RELAYED = 0.9
FORGIVEN = 1 / 256
"""A request may take the place of one that was just answered, whatever the rate, while of the last `RELAYS` such ones
this share was served: so it is where places are limited, and not where time between requests is. Each reply makes up
for a little of what went wrong, so that it is tried again."""
KNOCKS = 5.0
"""Requests a second that are tried at the least while nothing is in flight, …"""
PATIENCE = 0.05
"""… but as time without a reply goes on, no more often than once in this share of it."""
BURST = 4
"""Requests that go at once after a rest for which the endpoint asked, if nobody was answered since the rest before."""

START = 32
"""Requests in flight at the start: few for who serves many, and not so few that finding out takes long."""
STEP = 0.1
"""Share of itself by which the window grows in a round trip once it no longer doubles, and at least by one request."""
CUT = 0.7
"""What a reply that came too late, or word of an overload, leaves of the window."""
LEAST_GAIN = 1.05
"""What twice as many requests in flight must bring in replies a second; less is only a longer queue."""
SAMPLES = 32
"""Replies on either side of such a comparison: short and long replies differ in latency, too."""
ROUND_TRIPS = 4
MOST_SLOWER = 2.0
"""Replies of so many round trips are averaged, and none counts as more than so many times the usual latency."""
CLEARLY = 1.5
"""How many times as many in flight are compared at the least: what a few more bring is lost in the noise."""
MEMORY = 60.0
"""Seconds for which a window that brought nothing is not tried again: endpoints grow and shrink."""

FAULTS_TO_BREAK = 8
"""Requests that fail one after the other, and none answered, after which only one at a time is sent, as a probe."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """A request in flight."""

    sent: float
    in_flight: int  # with it
    is_full: bool  # whether the window held back a further one when it was sent
    is_relay: bool  # whether it took the place of one that was answered, ahead of its time


class Pacing:
    """When the next request may go to an endpoint that is asked at most `most` at once.

    All times are seconds of one monotonic clock.
    """

    def __init__(self, most: int, now: float) -> None:
        self.in_flight = 0
        self._rests_until = now
        self._rate = Rate(now)
        self._window = Window(most, now)
        self._faults = 0

    @property
    def limit(self) -> int:
        """Requests that may be in flight."""
        return 1 if self.is_broken else self._window.limit

    @property
    def is_broken(self) -> bool:
        """Whether nobody is answered any more, so that one probe at a time is all that is sent."""
        return self._faults >= FAULTS_TO_BREAK

    def opens_at(self, now: float) -> float:
        """When the next request may be sent; infinite where one must come back first."""
        if self.in_flight >= self.limit:
            return math.inf
        return max(self._rests_until, self._rate.opens_at(now, self.in_flight == 0))

    def send(self, now: float) -> Ticket:
        self.in_flight += 1
        return Ticket(now, self.in_flight, self.in_flight >= self._window.limit, self._rate.sent(now))

    def end(self, ticket: Ticket, outcome: Outcome, now: float, rest: float = 0.0) -> None:
        """Learn from how a request ended; `rest` is for how long the endpoint asks to be left alone."""
        beside = (ticket.in_flight + self.in_flight) / 2
        # Of a window that was just widened the last ones fill it, and the first ones' replies count as well.
        is_full = ticket.is_full or self.in_flight >= self._window.limit
        self.in_flight -= 1
        if rest:
            self.rest(now + rest)
            self._rate.rested(self._rests_until, now)
        match outcome:
            case "answered":
                if self.is_broken:
                    self._window.begin_again()
                self._rate.answered(ticket, now)
                self._window.answered(ticket, beside, now, is_full)
            case "limited":
                self._rate.limited(ticket, now)
            case "late":
                self._window.late(ticket, now)
        self._faults = self._faults + 1 if outcome in ("late", "failed") else 0

    def rest(self, until: float) -> None:
        """Send nothing before."""
        self._rests_until = max(self._rests_until, until)

    def leave(self) -> None:
        """A request was given up by its sender: nothing is learned from it."""
        self.in_flight -= 1


class Rate:
    """Requests a second; there is no bound before the first refusal."""

    def __init__(self, now: float) -> None:
        self._rate = math.inf
        self._next_at = self._cut_at = self._answered_at = now
        self._sent_at = self._rested_at = -math.inf
        self._streak = 0  # replies since the last refusal
        self._served_relays = 1.0  # share of them, the later ones weigh more
        self._relays = 0  # places that replies have left and nobody took yet
        self._burst = 0  # requests that may still go at once because a rest is over
        self._lately: deque[float] = deque()  # when those of the last second were sent that were not turned away

    def opens_at(self, now: float, is_idle: bool) -> float:
        if self._relays or self._burst:
            return now
        if not is_idle:
            return self._next_at
        return min(self._next_at, self._sent_at + max(1 / KNOCKS, PATIENCE * (now - self._answered_at)))

    def sent(self, now: float) -> bool:
        """Count a request in; whether it went as a relay."""
        self._sent_at = now
        self._lately.append(now)
        while self._lately[0] < now - 1:
            self._lately.popleft()
        if self._next_at <= now:
            self._next_at = now + 1 / self._rate
        elif self._burst:
            self._burst -= 1
        elif self._relays:
            self._relays = 0
            return True
        return False

    def rested(self, until: float, now: float) -> None:
        is_silent, self._rested_at = self._answered_at < self._rested_at, now
        self._next_at, self._burst = until, BURST - 1 if is_silent else 0

    def answered(self, ticket: Ticket, now: float) -> None:
        self._answered_at = now
        self._streak += 1
        self._rate = self._rate * (1 + FASTER * 2 ** (self._streak // STREAK)) if self._streak < FREE else math.inf
        self._served_relays += (1 - self._served_relays) * (1 / RELAYS if ticket.is_relay else FORGIVEN)
        self._relays = 1 if self._served_relays >= RELAYED else 0

    def limited(self, ticket: Ticket, now: float) -> None:
        if self._lately:
            self._lately.pop()
        if ticket.is_relay:
            self._served_relays -= self._served_relays / RELAYS
        if ticket.sent < self._cut_at:
            return
        self._streak = 0
        self._cut_at = now
        # The rate may have risen far beyond what was ever sent: then it is that which was too much.
        self._rate = max(SLOWEST, SLOWER * min(self._rate, 1.5 * max(START, len(self._lately))))
        self._next_at = now + SOON / self._rate


@dataclass(slots=True)
class Level:
    """What replies took while about equally many requests were in flight; later ones weigh more."""

    samples: int = 0
    in_flight: float = 0.0
    seconds: float = 0.0
    heard: float = -math.inf

    def add(self, in_flight: float, seconds: float, now: float) -> None:
        if now - self.heard > MEMORY:
            self.samples = 0
        self.samples += 1
        self.heard = now
        if self.samples > SAMPLES:
            # All that waited out one stall, of the endpoint or of ours, tell of the same one.
            seconds = min(seconds, MOST_SLOWER * self.seconds)
        weight = 1 / min(self.samples, max(SAMPLES, ROUND_TRIPS * in_flight))
        self.in_flight += weight * (in_flight - self.in_flight)
        self.seconds += weight * (seconds - self.seconds)

    def is_in_vain_above(self, lower: "Level") -> bool:
        """Whether no more replies a second (by Little's law) come than with clearly fewer requests in flight."""
        more = self.in_flight / lower.in_flight
        gain = more * lower.seconds / max(self.seconds, 1e-9)
        return more >= CLEARLY and gain <= LEAST_GAIN ** math.log2(more)


class Window:
    """Requests in flight. What more of them would bring is judged in levels, each twice the one below."""

    def __init__(self, most: int, now: float) -> None:
        self._most = most
        self._size = float(min(START, most))
        self._is_doubling = True
        self._cut_at = now
        self._levels: dict[int, Level] = {}

    @property
    def limit(self) -> int:
        return int(self._size)

    def begin_again(self) -> None:
        self._size, self._is_doubling = min(START, self._size), True

    def answered(self, ticket: Ticket, beside: float, now: float, is_full: bool) -> None:
        """A reply came; on the way there were `beside` requests in flight, on average, and whether `is_full`."""
        self._levels.setdefault(_level(beside), Level()).add(beside, now - ticket.sent, now)
        if is_full and ticket.sent >= self._cut_at:
            self._judge(_level(self._size), now)

    def late(self, ticket: Ticket, now: float) -> None:
        if ticket.sent >= self._cut_at:
            self._narrow(CUT * self._size, now)

    def _judge(self, level: int, now: float) -> None:
        below, here, above = (self._known(place, now) for place in (level - 1, level, level + 1))
        if here and below and here.is_in_vain_above(below):
            self._narrow(below.in_flight, now)
        elif here and above and above.is_in_vain_above(here):
            if below or not level:
                self._widen(2.0 ** (level + 1) - 1)
            else:
                self._narrow(0.75 * 2**level, now)  # perhaps even fewer bring as many
        else:
            self._widen(self._most)

    def _widen(self, most: float) -> None:
        step = 1.0 if self._is_doubling else max(1 / self._size, STEP)
        self._size = max(self._size, min(self._most, most, self._size + step))

    def _narrow(self, size: float, now: float) -> None:
        self._size, self._is_doubling, self._cut_at = max(1.0, size), False, now

    def _known(self, level: int, now: float) -> Level | None:
        known = self._levels.get(level)
        return known if known and known.samples >= SAMPLES and now - known.heard <= MEMORY else None


def _level(in_flight: float) -> int:
    """Level n holds from 2^n requests in flight up to the next one's."""
    return int(math.log2(max(1.0, in_flight)))
