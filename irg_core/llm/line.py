"""The way to a provider: who may send now, what is tried again, and when it is time to give up.

Requests are tried again here and at no other level.
"""

import asyncio
import math
import time
from collections import Counter, deque
from dataclasses import dataclass

from irg_core.errors import EndpointError
from irg_core.llm import tokens
from irg_core.llm.budget import longest_reply
from irg_core.llm.chat import NO_ANSWER, Busy, ChatRequest, Halted, Provider, Refused, Reply
from irg_core.llm.limits import Allowance, Taken
from irg_core.llm.pacing import Outcome, Pacing, Ticket
from irg_core.seeds import rng

FIRST_BACKOFF = 0.5
LONGEST_BACKOFF = 30.0
"""Seconds before the second try, and at most before any other; each wait is twice the one before. Whoever was turned
away as one too many does not wait so, but for its turn: how often that comes, all learn together."""
LONGEST_REST = 120.0
"""Seconds that an endpoint may ask to be left alone for; whoever asks for more is better asked in another run."""
FIRST_CONTACT = 20.0
"""Seconds after which a run that nobody has answered yet tries nothing again: most likely the set-up is wrong."""
LONGEST_SILENCE = 60.0
"""Seconds without any reply after which even an endpoint that only turns away too many is given up."""
MOST_REFUSED = 100
"""Requests refused, and none answered, after which not the requests are at fault but the set-up."""
MOST_LOST = 8
"""Rows that fail one after the other at an endpoint that did answer before, after which the run stops."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A request under way."""

    ticket: Ticket
    taken: Taken


class Turnstile:
    """Lets requests through one by one, as early as the pace and the limits allow."""

    def __init__(self, pacing: Pacing, allowance: Allowance) -> None:
        self._pacing = pacing
        self._allowance = allowance
        self._waiting: deque[tuple[asyncio.Future[Sent], int]] = deque()
        self._alarm: asyncio.TimerHandle | None = None
        self._is_closed = False

    @property
    def is_broken(self) -> bool:
        return self._pacing.is_broken

    async def passed(self, size: int, *, is_next: bool) -> Sent:
        """Wait for a turn; `size` is how many tokens it may take. Raises `Halted`."""
        if self._is_closed:
            raise Halted
        turn: asyncio.Future[Sent] = asyncio.get_running_loop().create_future()
        (self._waiting.appendleft if is_next else self._waiting.append)((turn, size))
        self._let_through()
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self.left(turn.result())
            raise

    def back(self, sent: Sent, outcome: Outcome, rest: float = 0.0) -> None:
        self._pacing.end(sent.ticket, outcome, time.monotonic(), rest)
        self._let_through()

    def left(self, sent: Sent) -> None:
        """Its sender gave it up."""
        self._pacing.leave()
        self._let_through()

    def used(self, sent: Sent, reply: Reply) -> None:
        """Set right how many tokens it took, where the endpoint says so."""
        if reply.tokens_in:
            self._allowance.correct(sent.taken, reply.tokens_in + reply.tokens_out, time.monotonic())

    def rest(self, seconds: float) -> None:
        self._pacing.rest(time.monotonic() + seconds)
        self._let_through()

    def close(self) -> None:
        self._is_closed = True
        for turn, _ in self._waiting:
            if not turn.done():
                turn.set_exception(Halted())
        self._waiting.clear()

    def _let_through(self) -> None:
        while self._waiting:
            turn, size = self._waiting[0]
            now = time.monotonic()
            if not turn.done():
                opens_at = max(self._pacing.opens_at(now), self._allowance.opens_at(now, size))
                if opens_at > now:
                    self._wake(opens_at - now)
                    return
                turn.set_result(Sent(self._pacing.send(now), self._allowance.take(now, size)))
            self._waiting.popleft()

    def _wake(self, seconds: float) -> None:
        """Look again in so many seconds; where a request must come back first, that is when one looks again."""
        if self._alarm is not None:
            self._alarm.cancel()
        if seconds < math.inf:
            self._alarm = asyncio.get_running_loop().call_later(seconds, self._let_through)


class Line:
    """The way to a provider, shared by all questions of a stage: what one of them meets, the others know.

    At most `most` requests are in flight.
    """

    def __init__(self, provider: Provider, most: int) -> None:
        self.provider = provider
        self.counts = Counter(sent=0, retries=0)
        self.is_proven = False  # the ledger holds replies of this very provider
        self._answered = 0
        self._refused = 0
        self._lost = 0  # rows given up one after the other, without a reply between
        self._failing: set[str] = set()  # rows that met a fault since the last reply, or a limit in a long silence
        self._asking = 0  # rows that are on their way, or wait for their turn
        self._heard = time.monotonic()  # of the last reply, or when the first row asked after a time without any
        self._halted = asyncio.Event()
        allowance = Allowance(provider.limits)
        self._turnstile = Turnstile(Pacing(most, time.monotonic()), allowance)
        self._longest = longest_reply(provider.sampling) if allowance.counts_tokens else 0

    @property
    def is_halted(self) -> bool:
        return self._halted.is_set()

    @property
    def has_answered(self) -> bool:
        """Whether it is known to answer: then whatever it refuses, the row is at fault and not the set-up."""
        return self._answered > 0 or self.is_proven

    def halt(self) -> None:
        """Send nothing more. What is under way may still come back."""
        self._halted.set()
        self._turnstile.close()

    async def ask(self, request: ChatRequest) -> Reply:
        """The reply, asked for as often as it makes sense. Raises `Refused`, `Halted` or a `FactoryError`."""
        if not self._asking:
            self._heard = time.monotonic()  # what came from the ledger until now was no silence of the endpoint
        self._asking += 1
        try:
            return await self._ask(request)
        finally:
            self._asking -= 1

    async def _ask(self, request: ChatRequest) -> Reply:
        tries, before, met = 0, -1, self._answered
        size = tokens.of_request(request) + self._longest if self._longest else 0
        while True:
            sent = await self._turnstile.passed(size, is_next=tries > 0 and self._turnstile.is_broken)
            self.counts["sent"] += 1
            try:
                reply = await self.provider.complete(request)
            except Refused as fault:
                self._turnstile.back(sent, "refused")
                raise self._refusal(fault) from None
            except Busy as fault:
                self._turnstile.back(sent, _outcome(fault), fault.rest if fault.rest <= LONGEST_REST else 0.0)
                before = self._answered if before < 0 else before
                if fault.is_limit and self._answered > met:
                    # A limit turns away whoever is too many: while others are served it is only a matter of time.
                    met, tries = self._answered, 0
                tries += 1
                if not fault.is_limit or self._silence() >= LONGEST_SILENCE:
                    self._failing.add(request.key)
                if self._is_hopeless(fault, tries):
                    raise self._given_up(fault, tries, before) from None
                await self._before_next_try(request, fault, tries)
            except BaseException:
                self._turnstile.left(sent)
                raise
            else:
                self._hear(sent, reply)
                return reply

    def _hear(self, sent: Sent, reply: Reply) -> None:
        self._turnstile.used(sent, reply)
        self._turnstile.back(sent, "answered")
        self._answered += 1
        self._lost = 0
        self._failing.clear()
        self._heard = time.monotonic()

    def _refusal(self, fault: Refused) -> Exception:
        self._refused += 1
        if not self.has_answered and self._refused >= MOST_REFUSED:
            return self.set_up_error(fault)
        return fault

    def set_up_error(self, fault: Refused) -> EndpointError:
        """For a stage of which nothing at all was answered: one refusal stands for all."""
        return EndpointError(f"{fault.detail}; it refused all of {self._refused} requests so")

    def _silence(self) -> float:
        """Seconds in which somebody was asked all the time, and nobody was answered."""
        return time.monotonic() - self._heard

    def _is_hopeless(self, fault: Busy, tries: int) -> bool:
        silence = self._silence()
        if fault.rest > LONGEST_REST or (not self._answered and not fault.is_limit and silence > FIRST_CONTACT):
            return True
        is_only_full = fault.is_limit and silence < LONGEST_SILENCE
        return tries >= self.provider.tries and not is_only_full

    def _given_up(self, fault: Busy, tries: int, before: int) -> Exception:
        """Where others were answered meanwhile the row is given up, else the run: it would only lose row after row."""
        self._lost += 1
        is_alone = fault.was_reached and self.has_answered and max(self._lost, len(self._failing)) < MOST_LOST
        is_lost = is_alone or (self._answered > before and not fault.is_limit)
        if is_lost and fault.rest <= LONGEST_REST:
            return Refused(NO_ANSWER, f"{fault}; tried {_times(tries)}")
        rest = f" and asks for a rest of {fault.rest:.0f} s" if fault.rest else ""
        kept = f"; what was answered before ({self._answered} replies) is kept: run again to go on"
        return EndpointError(f"{fault}{rest}, tried {_times(tries)}{kept if self._answered else ''}")

    async def _before_next_try(self, request: ChatRequest, fault: Busy, tries: int) -> None:
        self.counts["retries"] += 1
        if fault.is_limit:
            return
        # Half of it is drawn, or all who failed together would come back together.
        backoff = min(LONGEST_BACKOFF, FIRST_BACKOFF * 2 ** (tries - 1))
        seconds = backoff * (1 + rng(request.seed, "retry", tries).random()) / 2
        if self._turnstile.is_broken:
            self._turnstile.rest(seconds)  # nobody is answered: all wait, and this row is the next probe
        else:
            await self._pause(seconds)

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._halted.wait(), seconds)
        except TimeoutError:
            return
        raise Halted


def _outcome(fault: Busy) -> Outcome:
    if fault.is_limit:
        return "limited"
    return "late" if fault.is_overload else "failed"


def _times(tries: int) -> str:
    return "once" if tries == 1 else f"{tries} times"
