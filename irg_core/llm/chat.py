"""What is asked of an annotator, and who answers.

A provider is a file in this room with `Settings` (its entry under `llm:` in params.yaml) and a `Provider`. What it
raises is one of three things: `Busy` is tried again, in `line` and at no other level; `Refused` costs its row; a
`FactoryError` stops the stage.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Protocol

from irg_core import plugins
from irg_core.llm.limits import Limits
from irg_core.params import mapping, section
from irg_core.records.annotation import UNWRITTEN, Origin

NO_ANSWER = "endpoint gave no answer"
REFUSED = "endpoint refused the request"
LARGEST_REPLY = 1 << 20
"""Bytes of a reply, head excluded, of which more are not read: the longest honest ones have some thousands."""


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
    origin: Origin = UNWRITTEN  # of the texts in the reply, as far as it is known when the question is written

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


@dataclass(frozen=True, slots=True)
class Reply:
    """What was answered, and what it took: tokens read and written as the endpoint counts them, 0 if it does not."""

    text: str
    tokens_in: int
    tokens_out: int


class Busy(Exception):
    """No answer this time; another try may bring one."""

    def __init__(
        self, detail: str, *, rest: float = 0.0, is_limit: bool = False, is_overload: bool = False,
        was_reached: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(detail)
        self.rest = rest  # seconds for which the endpoint asks to be left alone; 0 where it does not say
        self.is_limit = is_limit  # turned away as one too many, rather than something broken
        self.is_overload = is_overload  # fewer at once might have been answered
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
    sampling: dict[str, Any]
    """How the answer is drawn, for the records of origin; part of the identity."""
    limits: Limits
    """What may be asked of it in a minute."""

    @property
    def notes(self) -> dict[str, str]:
        """What a report should tell of how it was asked; empty where all went as it was set up."""

    @property
    def identity(self) -> str:
        """Everything but the request that decides the answer; a local provider's includes its source."""

    async def complete(self, request: ChatRequest) -> Reply:
        """The reply, with a JSON object as its text. Raises `Busy`, `Refused` or a `FactoryError`."""

    async def close(self) -> None:
        """Let go of open connections."""


def provider(name: str, model: str) -> Provider:
    """The provider that a stage names, set up by its entry `llm.<name>` in params.yaml."""
    mapping(f"llm.{name}")  # an unknown name is told the entries of `llm:`, not every file of this room
    module = plugins.load("irg_core.llm", name)
    made: Provider = module.Provider(model, section(f"llm.{name}", module.Settings))
    return made


def trust(asked: Provider) -> None:
    """Tell a provider that it was answered before, where it wants to know: then its set-up is right."""
    if (told := getattr(asked, "trust", None)) is not None:
        told()


def fingerprint(asked: Provider, request: ChatRequest) -> str:
    """The name under which an answer is remembered: it changes with anything that could change the answer."""
    payload = request.payload if asked.reads_payload else None
    facts = [asked.identity, request.kind, request.messages, request.schema, payload, request.seed, request.attempt]
    facts.append(request.origin.prompt_version)
    return hashlib.sha256(json.dumps(facts, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
