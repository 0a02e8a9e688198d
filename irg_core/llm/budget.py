"""What replies cost, and where a run stops before it costs too much.

What was spent is read from the ledgers of this checkout, all stages together: running again never spends more, and
what came with a table of transcripts, or from a program, was not paid for here. They are read once, when a stage
begins: of two that run at the same time neither sees what the other spends meanwhile, and each keeps the limit alone.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from irg_core.errors import BudgetSpent, ParamsError
from irg_core.llm import tokens
from irg_core.llm.chat import ChatRequest, Provider, Reply
from irg_core.llm.transcripts import Kept, kept_in
from irg_core.params import mapping

MILLION = 1e6
BATCHED = 0.5
"""Of the list price, for what is asked in batches."""
LONGEST_REPLY = 1024
"""Tokens that are set aside for a reply where the sampling names no limit."""
LIMITS_OF_REPLY = ("max_completion_tokens", "max_tokens")
CAUTION = 1.15
"""The question may be read as so many times the tokens that we count: the limit is a limit."""


@dataclass(frozen=True, slots=True)
class Price:
    """List price of a model, in US dollars for a million tokens."""

    input: float
    output: float

    def of(self, tokens_in: float, tokens_out: float) -> float:
        return (tokens_in * self.input + tokens_out * self.output) / MILLION


@dataclass(frozen=True, slots=True)
class Ceiling:
    """What all stages of a checkout may spend together; None: no limit."""

    usd: float | None
    requests: int | None


NO_CEILING = Ceiling(None, None)


@dataclass(frozen=True, slots=True)
class Spent:
    """What was paid for so far."""

    usd: float
    requests: int


def prices() -> dict[str, Price]:
    """Model to price, as `llm.prices` has it."""
    listed = mapping("llm.prices")
    try:
        return TypeAdapter(dict[str, Price]).validate_python(listed)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(["llm.prices", *map(str, first["loc"])])
        raise ParamsError(f"params.yaml: {place}: {first['msg']}; a price is {{input: 0.4, output: 1.6}}") from error


def spent(kept: Iterable[Kept], known: dict[str, Price]) -> Spent:
    """What the lines of ledgers took at today's prices. Raises `ParamsError` for a model without a price."""
    usd, requests = 0.0, 0
    for line in kept:
        if line.share:
            requests += 1
            if line.tokens_in or line.tokens_out:
                usd += line.share * price_of(line.model, known).of(line.tokens_in, line.tokens_out)
    return Spent(usd, requests)


def price_of(model: str, known: dict[str, Price]) -> Price:
    if model not in known:
        listed = ", ".join(known) or "no model"
        raise ParamsError(
            f"params.yaml: runtime.budget_usd is set, and llm.prices has no price for '{model}' (it has: {listed}); "
            f"add `'{model}': {{input: …, output: …}}`, dollars for a million tokens"
        )
    return known[model]


class Budget:
    """What may still be spent, shared by all questions of a stage; each reserves the most that it can cost."""

    def __init__(self, ceiling: Ceiling, price: Price, already: Spent, *, share: float, longest: int) -> None:
        self.share = share  # of the list price
        self._ceiling = ceiling
        self._price = price
        self._usd, self._requests = already.usd, already.requests
        self._longest = longest
        self._reserved = 0.0
        self._under_way = 0
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def room(self, request: ChatRequest) -> AsyncIterator[Callable[[Reply], None]]:
        """Room for one question and its reply, which is to be told. Raises `BudgetSpent` where there is none left."""
        if self._ceiling == NO_CEILING:
            yield lambda _: None
            return
        most = self.most(request)
        async with self._changed:
            while not self.has_room(most):
                # What is under way may turn out to cost less than was set aside for it.
                if not self._under_way:
                    raise self.all_spent(most)
                await self._changed.wait()
            self._reserved += most
            self._under_way += 1
        try:
            yield self.spend
        finally:
            async with self._changed:
                self._reserved -= most
                self._under_way -= 1
                self._changed.notify_all()

    def most(self, request: ChatRequest) -> float:
        """Dollars that a question may cost."""
        return self.share * self._price.of(CAUTION * tokens.of_request(request), self._longest)

    def has_room(self, usd: float, requests: int = 1) -> bool:
        ceiling = self._ceiling
        return (ceiling.usd is None or self._usd + self._reserved + usd <= ceiling.usd) and (
            ceiling.requests is None or self._requests + self._under_way + requests <= ceiling.requests
        )

    def all_spent(self, most: float) -> BudgetSpent:
        ceiling = self._ceiling
        way_out = "raise it and run again: what is answered is kept, and not asked twice"
        if ceiling.requests is not None and self._requests + 1 > ceiling.requests:
            return BudgetSpent(f"stopped at the limit: runtime.max_requests {ceiling.requests} is reached; {way_out}")
        return BudgetSpent(
            f"stopped at the limit: ${self._usd:.4f} of runtime.budget_usd {ceiling.usd} are spent, "
            f"and the next request may cost ${most:.4f}; {way_out}"
        )

    def spend(self, reply: Reply) -> None:
        """A reply was paid for."""
        self._requests += 1
        self._usd += self.share * self._price.of(reply.tokens_in, reply.tokens_out)


UNLIMITED = Budget(NO_CEILING, Price(0, 0), Spent(0, 0), share=1, longest=0)


def budget(provider: Provider, model: str, ceiling: Ceiling, ledgers: Path, *, is_batched: bool) -> Budget:
    """What a stage may spend: nothing to think of for a program, which answers for nothing."""
    if provider.reads_payload:
        return Budget(NO_CEILING, Price(0, 0), Spent(0, 0), share=0, longest=0)
    share = BATCHED if is_batched else 1.0
    if ceiling == NO_CEILING:
        return Budget(NO_CEILING, Price(0, 0), Spent(0, 0), share=share, longest=0)
    known = prices()
    price = Price(0, 0) if ceiling.usd is None else price_of(model, known)
    already = spent(kept_in(ledgers), known) if ceiling.usd is not None else Spent(0, sum_requests(ledgers))
    return Budget(ceiling, price, already, share=share, longest=longest_reply(provider.sampling))


def sum_requests(ledgers: Path) -> int:
    return sum(1 for line in kept_in(ledgers) if line.share)


def longest_reply(sampling: dict[str, Any]) -> int:
    """Tokens that a reply can have at most."""
    return next((int(sampling[name]) for name in LIMITS_OF_REPLY if name in sampling), LONGEST_REPLY)
