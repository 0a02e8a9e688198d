"""What a stage would ask, and what that would take, before anything is sent.

Nothing is guessed that the ledger knows: how many tokens an endpoint counts where we count one, how long replies are,
how often one cannot be read. Where it knows nothing yet, `REPLY_TOKENS` and our own count stand in.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from irg_core.llm import tokens
from irg_core.llm.budget import Price
from irg_core.llm.chat import ChatRequest, fingerprint
from irg_core.llm.interview import Inquiry, read_signed, repaired
from irg_core.llm.transcripts import Ledger

REPLY_TOKENS = {"describe": 45, "analyse": 170, "assess": 75}
"""Tokens of a reply of each kind where none is known: of texts as long as the prompts want them."""
WELL_KNOWN = 20
"""Replies from which on their own mean counts, and not what stands in for it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is known and what remains to be asked; tokens and dollars are of what remains."""

    rows: int
    known: int  # requests whose replies are in the ledger
    requests: int
    tokens_in: int
    tokens_out: int
    usd: float | None  # None: the model has no price


class Experience:
    """What the replies in a ledger teach about those to come, first questions and repairs apart."""

    def __init__(self) -> None:
        self._totals: Counter[str] = Counter()

    def add(self, request: ChatRequest, tokens_in: int, tokens_out: int, *, was_repaired: bool) -> None:
        kind = "repair" if request.attempt else "first"
        self._totals.update({f"{kind}s": 1, f"{kind} repaired": was_repaired})
        if tokens_in:
            self._totals.update(
                {f"{kind} counted": tokens.of_request(request), f"{kind} in": tokens_in, f"{kind} out": tokens_out,
                 f"{kind} told": 1}
            )  # fmt: skip

    def tokens_in(self, counted: float) -> float:
        """As the endpoint counts them."""
        known = self._totals["first counted"] + self._totals["repair counted"]
        said = self._totals["first in"] + self._totals["repair in"]
        return counted * said / known if self._told() >= WELL_KNOWN else counted

    def tokens_out(self, kind: str, attempt: str) -> float:
        """Of the mean reply to a "first" question or to a "repair"; one that cannot be read is often a short one."""
        if self._totals[f"{attempt} told"] >= WELL_KNOWN:
            return self._totals[f"{attempt} out"] / self._totals[f"{attempt} told"]
        if self._told() >= WELL_KNOWN:
            return (self._totals["first out"] + self._totals["repair out"]) / self._told()
        return REPLY_TOKENS.get(kind, max(REPLY_TOKENS.values()))

    def repairs(self) -> float:
        """How many of a hundred first replies are followed by a repair, as a share."""
        return self._totals["first repaired"] / self._totals["firsts"] if self._totals["firsts"] else 0.0

    def _told(self) -> int:
        return self._totals["first told"] + self._totals["repair told"]


def plan(inquiry: Inquiry[Any], ledger: Ledger, price: Price | None, share: float) -> Plan:
    """Go through the questions as the stage would, as far as the ledger answers them."""
    experience = Experience()
    rows = known = requests = 0
    counted = unknown_first = 0
    kind = ""
    for request in inquiry.questions:
        rows, kind = rows + 1, request.kind
        following: ChatRequest | None = request
        while following is not None:
            asked = following
            transcript = ledger.find(fingerprint(inquiry.provider, asked))
            if transcript is None:
                requests += 1
                unknown_first += not asked.attempt
                counted += tokens.of_request(asked)
                break
            known += 1
            if transcript.refusal:
                break
            following = repaired(inquiry, asked, transcript.reply, read_signed(inquiry, asked, transcript))
            experience.add(asked, transcript.tokens_in, transcript.tokens_out, was_repaired=following is not None)
    if inquiry.provider.reads_payload:  # a program counts no tokens
        return Plan(rows, known, requests, 0, 0, 0.0)
    # A repair repeats its question and the reply.
    firsts_out, repairs_out = experience.tokens_out(kind, "first"), experience.tokens_out(kind, "repair")
    to_come = experience.repairs() * unknown_first if inquiry.attempts > 1 else 0.0
    asked_in = experience.tokens_in(counted)
    tokens_in = asked_in + to_come * (asked_in / max(1, requests) + firsts_out)
    tokens_out = unknown_first * firsts_out + (requests - unknown_first + to_come) * repairs_out
    usd = None if price is None else share * price.of(tokens_in, tokens_out)
    return Plan(rows, known, round(requests + to_come), round(tokens_in), round(tokens_out), usd)
