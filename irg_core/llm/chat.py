"""What is asked of an annotator, who answers, and with how much patience.

A provider is a file in this room with `Settings` (its entry under `llm:` in params.yaml) and a `Provider`. What it
raises is one of three things: `Busy` is tried again, here and at no other level; `Refused` costs its row; a
`FactoryError` stops the stage.
"""

import asyncio
import hashlib
import json
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any, Protocol

from irg_core import plugins
from irg_core.errors import EndpointError
from irg_core.params import mapping, section
from irg_core.seeds import rng

NO_ANSWER = "endpoint gave no answer"
REFUSED = "endpoint refused the request"

FIRST_BACKOFF = 0.5
LONGEST_BACKOFF = 30.0
"""Seconds before the second try, and at most before any other; each wait is twice the one before."""
LONGEST_REST = 120.0
"""Seconds that an endpoint may ask to be left alone for; whoever asks for more is better asked in another run."""
FIRST_CONTACT = 20.0
"""Seconds after which a run that nobody has answered yet tries nothing again: most likely the set-up is wrong."""
LONGEST_SILENCE = 60.0
"""Seconds without any reply after which even an endpoint that only turns away too many is given up."""
MOST_REFUSED = 100
"""Requests refused, and none answered, after which not the requests are at fault but the set-up."""
MOST_LOST = 8
"""Rows given up one after the other, by an endpoint that did answer before, after which the run stops."""


@dataclass(frozen=True, slots=True)
class Repair:
    """A reply that could not be read, and why."""

    reply: str
    fault: str


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One question. A language model reads `messages`; a local provider words the `payload` behind them."""

    key: str  # the row it is asked for
    kind: str  # "describe" | "analyse" | "assess"
    system: str
    prompt: str
    schema: dict[str, Any]  # JSON schema of the reply
    payload: dict[str, Any]  # the facts that the prompt was rendered from, JSON-able
    seed: int  # same request and seed, same words
    repairs: tuple[Repair, ...]  # what was answered before and could not be read

    @property
    def attempt(self) -> int:
        return len(self.repairs)

    @property
    def messages(self) -> list[dict[str, str]]:
        """The conversation as chat endpoints take it: after each unreadable reply comes what is wrong with it."""
        said = [{"role": "system", "content": self.system}, {"role": "user", "content": self.prompt}]
        for repair in self.repairs:
            mend = f"That cannot be used: {repair.fault}. Answer again, with the corrected JSON object alone."
            said += [{"role": "assistant", "content": repair.reply}, {"role": "user", "content": mend}]
        return said


class Busy(Exception):
    """No answer this time; another try may bring one."""

    def __init__(self, detail: str, *, rest: float = 0.0, is_limit: bool = False, was_reached: bool = True) -> None:
        super().__init__(detail)
        self.rest = rest  # seconds for which the endpoint asks to be left alone; 0 where it does not say
        self.is_limit = is_limit  # too many requests at once, rather than something broken
        self.was_reached = was_reached  # somebody was there, whatever they said


class Refused(Exception):
    """The endpoint will not answer this one question, however often it is asked."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail  # as in Rejection


class Halted(Exception):
    """The stage stops: nothing more is sent."""


class Provider(Protocol):
    """Who answers: a language model behind a wire, or a program."""

    reads_payload: bool
    """Whether an answer depends on more than the words; if not, equal words over another payload are not paid anew."""
    tries: int
    """How often one request is sent while the provider is `Busy`."""

    @property
    def identity(self) -> str:
        """Everything but the request that decides the answer; a local provider's includes its source."""

    async def complete(self, request: ChatRequest) -> str:
        """The reply, a JSON object as text. Raises `Busy`, `Refused` or a `FactoryError`."""

    async def close(self) -> None:
        """Let go of open connections."""


def provider(name: str, model: str) -> Provider:
    """The provider that a stage names, set up by its entry `llm.<name>` in params.yaml."""
    mapping(f"llm.{name}")  # an unknown name is told the entries of `llm:`, not every file of this room
    module = plugins.load("irg_core.llm", name)
    made: Provider = module.Provider(model, section(f"llm.{name}", module.Settings))
    return made


def fingerprint(asked: Provider, request: ChatRequest) -> str:
    """The name under which an answer is remembered: it changes with anything that could change the answer."""
    payload = request.payload if asked.reads_payload else None
    facts = [asked.identity, request.kind, request.messages, request.schema, payload, request.seed, request.attempt]
    return hashlib.sha256(json.dumps(facts, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


class Line:
    """The way to a provider, shared by all questions of a stage: what one of them meets, the others know."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self.counts = Counter(sent=0, retries=0)
        self._answered = 0
        self._refused = 0
        self._lost = 0  # rows given up one after the other, without a reply between
        self.is_proven = False  # the ledger holds replies of this very provider
        self._heard = self._rests_until = time.monotonic()  # of the last reply; of the last wish to be left alone
        self._halted = asyncio.Event()

    @property
    def is_halted(self) -> bool:
        return self._halted.is_set()

    def halt(self) -> None:
        """Send nothing more. What is under way may still come back."""
        self._halted.set()

    async def ask(self, request: ChatRequest) -> str:
        """The reply, asked for as often as it makes sense. Raises `Refused`, `Halted` or a `FactoryError`."""
        before = met = self._answered
        tries = 0
        while True:
            await self._until_rested(request)
            if not self.counts["sent"]:
                self._heard = time.monotonic()  # what came from the ledger until now was no silence of the endpoint
            self.counts["sent"] += 1
            try:
                reply = await self.provider.complete(request)
            except Refused as fault:
                raise self._refusal(fault) from None
            except Busy as fault:
                if fault.is_limit and self._answered > met:
                    # A limit turns away whoever is too many: while others are served it is only a matter of time.
                    met, tries = self._answered, 0
                tries += 1
                if self._is_hopeless(fault, tries):
                    raise self._given_up(fault, tries, before) from None
                await self._before_next_try(request, fault, tries)
            else:
                self._answered += 1
                self._lost = 0
                self._heard = time.monotonic()
                return reply

    def _refusal(self, fault: Refused) -> Exception:
        self._refused += 1
        if not self._answered and self._refused >= MOST_REFUSED:
            return self.set_up_error(fault)
        return fault

    def set_up_error(self, fault: Refused) -> EndpointError:
        """For a stage of which nothing at all was answered: one refusal stands for all."""
        return EndpointError(f"{fault.detail}; it refused all of {self._refused} requests so")

    def _is_hopeless(self, fault: Busy, tries: int) -> bool:
        silence = time.monotonic() - self._heard
        if fault.rest > LONGEST_REST or (not self._answered and silence > FIRST_CONTACT):
            return True
        is_only_full = fault.is_limit and self._answered > 0 and silence < LONGEST_SILENCE
        return tries >= self.provider.tries and not is_only_full

    def _given_up(self, fault: Busy, tries: int, before: int) -> Exception:
        """Where others are answered the row is given up, else the run: it would only lose row after row."""
        self._lost += 1
        is_known_to_answer = fault.was_reached and (self._answered > 0 or self.is_proven)
        others_are_answered = self._answered > before or (is_known_to_answer and self._lost < MOST_LOST)
        if others_are_answered and not fault.is_limit and fault.rest <= LONGEST_REST:
            return Refused(NO_ANSWER, f"{fault}; tried {_times(tries)}")
        rest = f" and asks for a rest of {fault.rest:.0f} s" if fault.rest else ""
        kept = f"; what was answered before ({self._answered} replies) is kept: run again to go on"
        return EndpointError(f"{fault}{rest}, tried {_times(tries)}{kept if self._answered else ''}")

    async def _before_next_try(self, request: ChatRequest, fault: Busy, tries: int) -> None:
        self.counts["retries"] += 1
        self._rests_until = max(self._rests_until, time.monotonic() + fault.rest)
        backoff = min(LONGEST_BACKOFF, FIRST_BACKOFF * 2 ** (tries - 1))
        # Half of it is drawn, or all who were turned away together would come back together.
        await self._pause(backoff * (1 + rng(request.seed, "retry", tries).random()) / 2)

    async def _until_rested(self, request: ChatRequest) -> None:
        """Leave the endpoint alone as long as it has asked for, whomever it told so. Raises `Halted`."""
        while (rest := self._rests_until - time.monotonic()) > 0:
            await self._pause(rest + FIRST_BACKOFF * rng(request.seed, "rest").random())
        if self.is_halted:
            raise Halted

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._halted.wait(), seconds)
        except TimeoutError:
            return
        raise Halted


def _times(tries: int) -> str:
    return "once" if tries == 1 else f"{tries} times"
