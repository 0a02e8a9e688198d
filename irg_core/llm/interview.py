"""All questions of a stage in one stream: asked, kept, read, and asked once more where a reply cannot be read.

The stream runs in an event loop of its own thread and is bounded by the questions under way. Batches of consecutive
questions are only what a watcher sees: showing one means waiting for its replies.
"""

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from irg_core.llm.chat import ChatRequest, Halted, Line, Provider, Refused, Repair, fingerprint
from irg_core.llm.transcripts import Ledger
from irg_core.records.annotation import Rejection, Transcript

Record = TypeVar("Record")
Read = Callable[[ChatRequest, str], Record | Rejection]

MOST_BATCHES = 500
SMALLEST_BATCH = 16
"""Questions in a batch: enough that a watcher is shown hundreds of batches, never one a question."""
GRACE = 5.0
"""Seconds that questions under way are waited for when the stage stops: their replies may have been paid for."""


@dataclass(frozen=True, slots=True)
class Answers(Generic[Record]):
    """What an interview brought: the records read from replies, the rows given up, and every transcript."""

    records: list[Record]
    rejections: list[Rejection]
    transcripts: list[Transcript]
    progress: dict[str, int]  # requests sent, sent again, for repair, and replies that were in the ledger


def interview(
    provider: Provider,
    requests: Iterable[ChatRequest],
    read: Read[Record],
    ledger: Ledger,
    concurrency: int,
    attempts: int,
    show_batches: Callable[..., Any] = map,
) -> Answers[Record]:
    """Ask until each reply can be read, at most `attempts` times; what then still cannot be read is rejected.

    At most `concurrency` questions are under way at one time. `show_batches` is a `map` of this process (the builtin,
    or one with threads). An error that stops the stage is raised here, after the replies under way were kept.
    """
    batches: list[Batch[Record]] = in_batches(list(requests))
    interviewer = Interviewer(provider, read, ledger, attempts)
    with Stream(interviewer, batches, concurrency) as stream:
        try:
            told = [one for batch in show_batches(replies, batches) for one in batch]
        except Exception:
            # Whoever shows the batches may wrap what they raise: what the stream stopped for comes first.
            if stream.failure is None:
                raise
            raise stream.failure from None
    interviewer.check_that_any_was_answered()
    results = [one.result for one in told]
    return Answers(
        [result for result in results if not isinstance(result, Rejection)],
        [result for result in results if isinstance(result, Rejection)],
        [transcript for one in told for transcript in one.transcripts],
        interviewer.progress,
    )


@dataclass(frozen=True, slots=True)
class Told(Generic[Record]):
    """What became of one row, and every reply that it took."""

    result: Record | Rejection
    transcripts: list[Transcript]


class Interviewer(Generic[Record]):
    """Talks about each row of a stage until it is settled."""

    def __init__(self, provider: Provider, read: Read[Record], ledger: Ledger, attempts: int) -> None:
        self.line = Line(provider)
        self._provider = provider
        self._read = read
        self._ledger = ledger
        self._attempts = attempts
        self._counts = Counter(from_ledger=0, repairs=0)
        self._refusal: Refused | None = None
        self._kept = 0

    @property
    def progress(self) -> dict[str, int]:
        return {**self.line.counts, **self._counts}

    async def talk(self, request: ChatRequest) -> Told[Record]:
        """Ask and read, and ask again with the fault named; the last fault is the reason of the rejection."""
        transcripts: list[Transcript] = []
        while True:
            try:
                transcripts.append(await self._ask(request))
            except Refused as fault:
                self._refusal = fault
                return Told(Rejection(request.key, request.kind, fault.reason, fault.detail), transcripts)
            reply = transcripts[-1].reply
            result = self._read(request, reply)
            if not isinstance(result, Rejection):
                return Told(result, transcripts)
            if len(transcripts) == self._attempts:
                return Told(replace(result, detail=f"{result.detail}; reply: {reply}"), transcripts)
            self._counts["repairs"] += 1
            repair = Repair(reply, f"{result.reason} ({result.detail})")
            request = replace(request, repairs=(*request.repairs, repair))

    async def _ask(self, request: ChatRequest) -> Transcript:
        """The reply from the ledger, else from the provider, and then in the ledger before anybody uses it."""
        name = fingerprint(self._provider, request)
        if (known := self._ledger.find(name)) is not None:
            self._counts["from_ledger"] += 1
            self.line.is_proven = True
            await asyncio.sleep(0)  # a long replay must not hold up replies that are under way
            return known
        reply = await self.line.ask(request)
        question = "\n\n".join(message["content"] for message in request.messages)
        transcript = Transcript(name, request.key, self._provider.identity, question, reply)
        await self._ledger.append(transcript)
        self._kept += 1
        return transcript

    def check_that_any_was_answered(self) -> None:
        """Raise `EndpointError` where every single request was refused: then not the requests are at fault."""
        if self._refusal is not None and not self._kept and not self._counts["from_ledger"]:
            raise self.line.set_up_error(self._refusal)

    async def close(self) -> None:
        await self._provider.close()


class Batch(Generic[Record]):
    """Consecutive questions; `told` waits until each of them is settled."""

    def __init__(self, requests: Sequence[ChatRequest]) -> None:
        self.requests = requests
        self._told: dict[int, Told[Record]] = {}
        self._settled: Future[list[Told[Record]]] = Future()

    def __len__(self) -> int:
        return len(self.requests)

    def told(self) -> list[Told[Record]]:
        """What became of the rows, in their order. Raises what the stream stopped for."""
        return self._settled.result()

    def settle(self, place: int, told: Told[Record]) -> None:
        self._told[place] = told
        if len(self._told) == len(self.requests):
            self._settled.set_result([self._told[place] for place in range(len(self.requests))])

    def fail(self, error: BaseException) -> None:
        if not self._settled.done():
            self._settled.set_exception(error)


def replies(batch: Batch[Record]) -> list[Told[Record]]:
    """What a watcher sees as one piece of work: the replies to a batch come in and are read."""
    return batch.told()


def in_batches(requests: Sequence[ChatRequest]) -> list[Batch[Any]]:
    size = max(SMALLEST_BATCH, -(-len(requests) // MOST_BATCHES))
    return [Batch(requests[start : start + size]) for start in range(0, len(requests), size)]


class Stream(Generic[Record]):
    """A thread in which an event loop talks about every row of every batch, in their order."""

    def __init__(self, interviewer: Interviewer[Record], batches: Sequence[Batch[Record]], concurrency: int) -> None:
        self.failure: Exception | None = None
        self._interviewer = interviewer
        self._batches = batches
        self._concurrency = concurrency
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="interview", daemon=True)

    def __enter__(self) -> "Stream[Record]":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop, wherever the stream is; no reply that is under way is given up before its grace is over."""
        self._loop.call_soon_threadsafe(self._stop)
        self._thread.join()
        self._loop.close()

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._talk_of_all())
        finally:
            for batch in self._batches:
                batch.fail(self.failure or Halted())

    async def _talk_of_all(self) -> None:
        rows = ((batch, place) for batch in self._batches for place in range(len(batch)))
        most = min(self._concurrency, sum(map(len, self._batches)))
        self._workers = [asyncio.create_task(self._work(rows)) for _ in range(most)]
        await asyncio.gather(*self._workers, return_exceptions=True)
        await self._interviewer.close()

    async def _work(self, rows: Iterator[tuple[Batch[Record], int]]) -> None:
        for batch, place in rows:  # shared by all workers: whoever is free takes the next one
            if self._interviewer.line.is_halted:
                return
            try:
                batch.settle(place, await self._interviewer.talk(batch.requests[place]))
            except Halted:
                return
            except Exception as error:  # handed to the thread that waits for the batches
                self.failure = self.failure or error
                self._stop()
                return

    def _stop(self) -> None:
        if not self._interviewer.line.is_halted:
            self._interviewer.line.halt()
            self._loop.call_later(GRACE, self._cancel)

    def _cancel(self) -> None:
        for worker in self._workers:
            worker.cancel()
