"""One stream of requests to an annotator: each answer is in the ledger before it is used, and asked for only once.

A provider is a file in this room with a class `Provider(model)` that has an `identity` and `complete(request)`.
"""

import asyncio
import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Generic, Protocol, TypeVar

from irg_core.errors import FactoryError
from irg_core.llm.transcripts import Ledger
from irg_core.records.annotation import Rejection, Transcript

Record = TypeVar("Record")


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One question. A language model reads `system` and `prompt`; a local provider words the `payload` behind them."""

    key: str  # the row it is asked for
    kind: str  # "describe" | "analyse" | "assess"
    system: str
    prompt: str
    payload: dict[str, Any]  # the facts that the prompt was rendered from, JSON-able
    seed: int  # same request and seed, same words
    attempt: int  # 0, or how often the reply could not be read before


class Provider(Protocol):
    """Who answers: a language model behind a wire, or a program."""

    @property
    def identity(self) -> str:
        """Everything but the request that decides the answer; a local provider's includes its source."""

    async def complete(self, request: ChatRequest) -> str:
        """The reply, a JSON object as text."""


@dataclass(frozen=True, slots=True)
class Answers(Generic[Record]):
    """What an interview brought: the records read from replies, the rows given up, and every transcript."""

    records: list[Record]
    rejections: list[Rejection]
    transcripts: list[Transcript]


def fingerprint(identity: str, request: ChatRequest) -> str:
    """The name under which an answer is remembered: it changes with anything that could change the answer."""
    facts = [identity, request.kind, request.system, request.prompt, request.payload, request.seed, request.attempt]
    return hashlib.sha256(json.dumps(facts, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


async def ask(
    provider: Provider, requests: Iterable[ChatRequest], ledger: Ledger, concurrency: int
) -> list[Transcript]:
    """Ask everything, at most `concurrency` questions under way; answers come back in the order of the requests."""
    answers: dict[int, Transcript] = {}
    stream = enumerate(requests)

    async def work() -> None:
        for position, request in stream:  # shared by all workers: whoever is free takes the next one
            answers[position] = await _answer(provider, request, ledger)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(work())
    except* FactoryError as errors:
        raise errors.exceptions[0] from None
    return [answers[position] for position in sorted(answers)]


async def _answer(provider: Provider, request: ChatRequest, ledger: Ledger) -> Transcript:
    name = fingerprint(provider.identity, request)
    if (known := ledger.find(name)) is not None:
        return known
    reply = await provider.complete(request)
    question = f"{request.system}\n\n{request.prompt}"
    transcript = Transcript(name, request.key, provider.identity, question, reply)
    await ledger.append(transcript)
    return transcript


def interview(
    provider: Provider,
    requests: Iterable[ChatRequest],
    read: Callable[[ChatRequest, str], Record | Rejection],
    ledger: Ledger,
    concurrency: int,
    attempts: int,
) -> Answers[Record]:
    """Ask until each reply can be read, at most `attempts` times; what then still cannot be read is rejected."""
    answers: Answers[Record] = Answers([], [], [])
    waiting = list(requests)
    for attempt in range(attempts):
        transcripts = asyncio.run(ask(provider, waiting, ledger, concurrency))
        answers.transcripts.extend(transcripts)
        refused: list[tuple[ChatRequest, Rejection]] = []
        for request, transcript in zip(waiting, transcripts, strict=True):
            result = read(request, transcript.reply)
            if isinstance(result, Rejection):
                refused.append((request, result))
            else:
                answers.records.append(result)
        waiting = [replace(request, attempt=attempt + 1) for request, _ in refused]
        if not waiting or attempt == attempts - 1:
            answers.rejections.extend(rejection for _, rejection in refused)
            break
    return answers
