"""Requests and tokens per minute, as a contract with an endpoint promises them: kept before the endpoint complains."""

from collections import deque
from dataclasses import dataclass, field

MINUTE = 60.0
EVENLY = 10
"""Parts of a minute, in each of which that part of its limit may go: endpoints look at less than whole minutes."""


@dataclass(frozen=True)
class Limits:
    """What may be asked in a minute; 0 is no limit."""

    requests_per_minute: int
    """Requests, those that are turned away included."""
    tokens_per_minute: int
    """Tokens read and written together."""

    def __post_init__(self) -> None:
        if min(self.requests_per_minute, self.tokens_per_minute) < 0:
            raise ValueError("limits are requests and tokens per minute, or 0 for none")


NO_LIMITS = Limits(0, 0)


@dataclass(slots=True)
class Taken:
    """A part of a quota, and since when it is taken."""

    at: float
    amount: int


@dataclass
class Quota:
    """At most so much within any span of so many seconds; what alone is too much goes alone."""

    most: int
    seconds: float
    _taken: deque[Taken] = field(default_factory=deque)
    _sum: int = 0

    def opens_at(self, now: float, amount: int) -> float:
        self._forget(now)
        free, at = self.most - self._sum, now
        for taken in self._taken:
            if free >= amount:
                break
            free += taken.amount
            at = taken.at + self.seconds
        return at

    def take(self, taken: Taken) -> None:
        self._taken.append(taken)
        self._sum += taken.amount

    def correct(self, taken: Taken, by: int, now: float) -> None:
        """Less or more was used than `taken` says, which its owner will correct after all quotas know."""
        self._forget(now)
        if self._taken and taken.at >= self._taken[0].at:
            self._sum += by

    def _forget(self, now: float) -> None:
        while self._taken and self._taken[0].at + self.seconds <= now:
            self._sum -= self._taken.popleft().amount


class Allowance:
    """What may still go in this minute. All times are seconds of one monotonic clock."""

    def __init__(self, limits: Limits) -> None:
        self._requests = _quotas(limits.requests_per_minute)
        self._tokens = _quotas(limits.tokens_per_minute)

    @property
    def counts_tokens(self) -> bool:
        return bool(self._tokens)

    def opens_at(self, now: float, tokens: int) -> float:
        waits = [quota.opens_at(now, 1) for quota in self._requests]
        return max([now, *waits, *(quota.opens_at(now, tokens) for quota in self._tokens)])

    def take(self, now: float, tokens: int) -> Taken:
        for quota in self._requests:
            quota.take(Taken(now, 1))
        taken = Taken(now, tokens)
        for quota in self._tokens:
            quota.take(taken)
        return taken

    def correct(self, taken: Taken, tokens: int, now: float) -> None:
        """What was thought to take `taken` took so many tokens in truth."""
        for quota in self._tokens:
            quota.correct(taken, tokens - taken.amount, now)
        taken.amount = tokens


def _quotas(per_minute: int) -> list[Quota]:
    if not per_minute:
        return []
    return [Quota(per_minute, MINUTE), Quota(-(-per_minute // EVENLY), MINUTE / EVENLY)]
