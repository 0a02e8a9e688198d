"""All questions of a stage in one stream: asked, kept, read, and asked once more where a reply cannot be read.

The stream runs in an event loop of its own thread and is bounded by the questions under way. Questions are written when
it is their turn, and what is settled is handed on, so that a million rows need no more memory than a thousand. Batches
of consecutive questions are only what a watcher sees: showing one means waiting for its replies.
"""

import asyncio
import itertools
import json
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Generic, Protocol, TypeVar

from irg_core.llm import tokens
from irg_core.llm.budget import UNLIMITED, Budget
from irg_core.llm.chat import REFUSED, ChatRequest, Halted, Provider, Refused, Repair, Reply, fingerprint, trust
from irg_core.llm.line import Line
from irg_core.llm.transcripts import Ledger
from irg_core.records.annotation import Rejection, Transcript

Record = TypeVar("Record")
Read = Callable[[ChatRequest, str], Record | Rejection]

MOST_BATCHES = 500
SMALLEST_BATCH = 16
"""Questions in a batch: enough that a watcher is shown hundreds of batches, never one a question."""
CHUNK = 16
"""Questions that are written together, one chunk ahead of those that are asked."""
ROWS_TALKED_OF = 4
"""For each question under way: the others are being read, or wait for the disk."""
AHEAD = 1 << 15
"""Rows between the first that is not handed on yet and the last that is asked: so long may one row hold up the table,
and so many are in memory."""
GRACE = 5.0
"""Seconds that questions under way are waited for when whoever watches leaves: their replies may be paid for. Where a
row stops the stage there is no such hurry: the provider itself knows how long each reply may take."""


class Questions(Protocol):
    """The questions of a stage, written anew whenever they are gone through: a list, or `Written`."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[ChatRequest]: ...


@dataclass(frozen=True, slots=True)
class Written:
    """Questions that are written from tables when it is their turn."""

    most: int  # rows that are looked at; not of all a question must come
    write: Callable[[], Iterator[ChatRequest]]

    def __len__(self) -> int:
        return self.most

    def __iter__(self) -> Iterator[ChatRequest]:
        return self.write()


@dataclass(frozen=True, slots=True)
class Inquiry(Generic[Record]):
    """What a stage asks, of whom, and how the replies are read: for the stage, and for whoever plans it."""

    provider: Provider
    model: str
    questions: Questions
    read: Read[Record]
    attempts: int  # what then still cannot be read is rejected


class Interview(Generic[Record]):
    """Go through it, and the rows come in the order of their questions: a record, or why there is none.

    At most `concurrency` questions are under way at one time. `show_batches` is a `map` of this process (the builtin,
    or one with threads). An error that stops the stage is raised here, after the replies under way were kept.
    """

    def __init__(
        self, inquiry: Inquiry[Record], ledger: Ledger, concurrency: int, show_batches: Callable[..., Any] = map,
        budget: Budget = UNLIMITED,
    ) -> None:  # fmt: skip
        self._questions = inquiry.questions
        self._concurrency = concurrency
        self._show_batches = show_batches
        self._interviewer = Interviewer(inquiry, ledger, budget, concurrency)

    def __iter__(self) -> Iterator[Record | Rejection]:
        with Stream(self._interviewer, self._questions, self._concurrency) as stream:
            try:
                for batch in self._show_batches(replies, stream.batches):
                    yield from batch
            except Exception:
                # Whoever shows the batches may wrap what they raise: what the stream stopped for comes first.
                if stream.failure is None:
                    raise
                raise stream.failure from None
        self._interviewer.check_that_any_was_answered()

    @property
    def progress(self) -> dict[str, Any]:
        """Requests sent, sent again, for repair, and replies that were in the ledger; and what the provider notes."""
        return self._interviewer.progress

    def trust(self) -> None:
        """The provider is known to answer: however many rows it refuses, they are at fault and not the set-up."""
        self._interviewer.line.is_proven = True

    @property
    def usage(self) -> dict[str, int]:
        """Tokens that were read and written for what was sent."""
        return dict(self._interviewer.usage)


class Interviewer(Generic[Record]):
    """Talks about each row of a stage until it is settled."""

    def __init__(self, inquiry: Inquiry[Record], ledger: Ledger, budget: Budget, concurrency: int) -> None:
        self.line = Line(inquiry.provider, concurrency)
        self._under_way = asyncio.Semaphore(concurrency)
        self.ledger = ledger
        self.usage = Counter(tokens_in=0, tokens_out=0)
        self._inquiry = inquiry
        self._provider = inquiry.provider
        self._budget = budget
        self._counts = Counter(from_ledger=0, repairs=0)
        self._refusal: Refused | None = None
        self._refused: list[Transcript] = []  # not in the ledger yet: as long as nobody was answered all may be wrong
        self._is_answered = False

    @property
    def progress(self) -> dict[str, Any]:
        return {**self.line.counts, **self._counts, **self._provider.notes}

    async def talk(self, request: ChatRequest) -> Record | Rejection:
        """Ask and read, and ask again with the fault named; the last fault is the reason of the rejection."""
        while True:
            try:
                transcript = await self._ask(request)
            except Refused as fault:
                self._refusal = fault
                return Rejection(request.key, request.kind, fault.reason, fault.detail)
            result = read_signed(self._inquiry, request, transcript)
            following = repaired(self._inquiry, request, transcript.reply, result)
            if following is None:
                return result if not isinstance(result, Rejection) else _quoted(result, transcript.reply)
            self._counts["repairs"] += 1
            request = following

    async def _ask(self, request: ChatRequest) -> Transcript:
        """The reply from the ledger, else from the provider, and then in the ledger before anybody uses it."""
        name = fingerprint(self._provider, request)
        if (known := self.ledger.find(name)) is not None:
            self._counts["from_ledger"] += 1
            await asyncio.sleep(0)  # a long replay must not hold up replies that are under way
            return self._known(known)
        # Under way is what a kill may lose, and so until it is written. The disk, too, is waited for by other rows.
        async with self._under_way, self._budget.room(request) as spent:
            try:
                reply = counted(self._provider, request, await self.line.ask(request))
            except Refused as fault:
                await self._keep_refusal(refusal_of(self._provider, name, request, fault))
                raise
            spent(reply)
            transcript = transcript_of(self._provider, name, request, reply)
            kept = await self.ledger.write(transcript, self._budget.share)
        await self.ledger.sync()
        self.usage.update(tokens_in=reply.tokens_in, tokens_out=reply.tokens_out)
        self._is_answered = True
        return answered(kept)

    def _known(self, transcript: Transcript) -> Transcript:
        """What the ledger holds, which is nothing of an endpoint that never answered. Raises `Refused`."""
        if not self._is_answered:
            self._is_answered = self.line.is_proven = True
            trust(self._provider)
        return answered(transcript)

    async def _keep_refusal(self, refusal: Transcript | None) -> None:
        """So that nobody asks again. Nothing was paid for it."""
        if refusal is not None:
            self._refused.append(refusal)
        if self._is_answered:
            refused, self._refused = self._refused, []
            for one in refused:
                await self.ledger.write(one, share=0)

    def check_that_any_was_answered(self) -> None:
        """Raise `EndpointError` where every single request was refused: then not the requests are at fault."""
        if self._refusal is not None and not self._is_answered:
            raise self.line.set_up_error(self._refusal)

    async def close(self) -> None:
        await self._keep_refusal(None)
        await self.ledger.flush()
        await self._provider.close()


def counted(provider: Provider, request: ChatRequest, reply: Reply) -> Reply:
    """The reply with our own count of tokens where the endpoint gives none: it has its price all the same."""
    if provider.reads_payload:
        return reply
    read, written = reply.tokens_in or tokens.of_request(request), reply.tokens_out or tokens.count(reply.text)
    return Reply(reply.text, read, written)


def answered(transcript: Transcript) -> Transcript:
    """Raises `Refused` where the ledger holds the refusal of a question, and no reply."""
    if transcript.refusal:
        raise Refused(REFUSED, transcript.refusal)
    return transcript


def refusal_of(provider: Provider, name: str, request: ChatRequest, fault: Refused) -> Transcript | None:
    """What the ledger keeps of a question that will never be answered; None where another try might bring one."""
    if fault.reason != REFUSED:
        return None
    return replace(transcript_of(provider, name, request, Reply("", 0, 0)), refusal=fault.detail)


def transcript_of(provider: Provider, name: str, request: ChatRequest, reply: Any) -> Transcript:
    """What the ledger keeps of a question and its reply."""
    question = "\n\n".join(message["content"] for message in request.messages)
    return Transcript(
        name, request.origin.model, reply.tokens_in, reply.tokens_out, request.key, request.attempt,
        provider.identity, question, reply.text,
    )  # fmt: skip


def read_signed(inquiry: Inquiry[Record], request: ChatRequest, transcript: Transcript) -> Record | Rejection:
    """The reply as the stage reads it, with the whole origin of what is read from it."""
    sampling = json.dumps(inquiry.provider.sampling, sort_keys=True)
    origin = replace(request.origin, sampling=sampling, request=transcript.request)
    return inquiry.read(replace(request, origin=origin), transcript.reply)


def repaired(
    inquiry: Inquiry[Record], request: ChatRequest, reply: str, result: Record | Rejection
) -> ChatRequest | None:
    """The question that names what is wrong with its reply; None where nothing is, or no attempt is left."""
    if not isinstance(result, Rejection) or request.attempt + 1 >= inquiry.attempts:
        return None
    repair = Repair(reply, f"{result.reason} ({result.detail})")
    return replace(request, repairs=(*request.repairs, repair))


def _quoted(fault: Rejection, reply: str) -> Rejection:
    return replace(fault, detail=f"{fault.detail}; reply: {reply}")


class Batch(Generic[Record]):
    """Consecutive questions; `told` waits until each of them is settled, and hands the rows on."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._told: dict[int, Record | Rejection] = {}
        self._settled: Future[None] = Future()
        self.was_told: Callable[[int], None] = lambda _: None

    def __len__(self) -> int:
        return self._size

    def told(self) -> list[Record | Rejection]:
        """What became of the rows, in their order. Raises what the stream stopped for."""
        self._settled.result()
        told, self._told = self._told, {}
        self.was_told(len(told))
        return [told[place] for place in sorted(told)]

    def settle(self, place: int, told: Record | Rejection) -> None:
        self._told[place] = told
        self.end(self._size)

    def end(self, size: int) -> None:
        """There are so many questions in it, which may be fewer than were thought."""
        self._size = size
        if len(self._told) == size and not self._settled.done():
            self._settled.set_result(None)

    def fail(self, error: BaseException) -> None:
        if not self._settled.done():
            self._settled.set_exception(error)


def replies(batch: Batch[Record]) -> list[Record | Rejection]:
    """What a watcher sees as one piece of work: the replies to a batch come in and are read."""
    return batch.told()


def in_batches(rows: int) -> list[Batch[Any]]:
    size = max(SMALLEST_BATCH, -(-rows // MOST_BATCHES))
    return [Batch(min(size, rows - start)) for start in range(0, rows, size)]


class Stream(Generic[Record]):
    """A thread in which an event loop talks about every row of every batch, in their order."""

    def __init__(self, interviewer: Interviewer[Record], questions: Questions, concurrency: int) -> None:
        self.failure: Exception | None = None
        self.batches: Sequence[Batch[Record]] = in_batches(len(questions))
        self._interviewer = interviewer
        self._questions = enumerate(iter(questions))
        self._size = max(1, len(self.batches[0])) if self.batches else 1
        self._workers_wanted = min(ROWS_TALKED_OF * concurrency, len(questions))
        self._written = 0
        self._room = max(AHEAD, 2 * self._size)  # rows that may still be asked before others are handed on
        self._ready: deque[tuple[int, ChatRequest]] = deque()
        self._coming: asyncio.Task[list[tuple[int, ChatRequest]]] | None = None
        self._workers: list[asyncio.Task[None]] = []
        self._writer = ThreadPoolExecutor(1, "questions")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="interview", daemon=True)
        for batch in self.batches:
            batch.was_told = self._hand_on

    def __enter__(self) -> "Stream[Record]":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop, wherever the stream is; no reply that is under way is given up before its grace is over."""
        with suppress(RuntimeError):  # it has ended by itself
            self._loop.call_soon_threadsafe(self._leave)
        self._thread.join()
        self._writer.shutdown()
        self._loop.close()

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._talk_of_all())
        except Exception as error:
            self.failure = self.failure or error
        finally:
            for batch in self.batches:
                batch.fail(self.failure or Halted())

    async def _talk_of_all(self) -> None:
        self._turn = asyncio.Lock()
        self._has_room = asyncio.Event()
        self._coming = asyncio.create_task(self._write())
        self._workers = [asyncio.create_task(self._work()) for _ in range(self._workers_wanted)]
        await asyncio.gather(*self._workers, return_exceptions=True)
        await self._interviewer.close()

    async def _work(self) -> None:
        while not self._interviewer.line.is_halted:
            try:
                if (taken := await self._next()) is None:
                    return
                number, request = taken
                result = await self._interviewer.talk(request)
                self._batch(number).settle(number % self._size, result)
            except Halted:
                return
            except Exception as error:  # handed to the thread that waits for the batches
                self.failure = self.failure or error
                self._stop()
                return

    async def _next(self) -> tuple[int, ChatRequest] | None:
        """The next question and its number; whoever is free takes it."""
        async with self._turn:
            while not self._ready:
                if self._coming is None or self._interviewer.line.is_halted:
                    return None
                chunk = await self._coming
                self._ready.extend(chunk)
                self._coming = asyncio.create_task(self._write()) if chunk else None
            return self._ready.popleft()

    async def _write(self) -> list[tuple[int, ChatRequest]]:
        """The next questions, written in a thread: replies come in meanwhile."""
        while self._room <= 0:
            self._has_room.clear()
            await self._has_room.wait()
        chunk = await self._loop.run_in_executor(self._writer, lambda: list(itertools.islice(self._questions, CHUNK)))
        self._room -= len(chunk)
        self._written += len(chunk)
        if len(chunk) < CHUNK:
            for number in range(self._written // self._size, len(self.batches)):
                self.batches[number].end(max(0, self._written - number * self._size))
        return chunk

    def _batch(self, number: int) -> Batch[Record]:
        return self.batches[number // self._size]

    def _hand_on(self, rows: int) -> None:
        """Called by whoever shows batches."""
        with suppress(RuntimeError):  # the stream has ended
            self._loop.call_soon_threadsafe(self._add_room, rows)

    def _add_room(self, rows: int) -> None:
        self._room += rows
        self._has_room.set()

    def _stop(self) -> None:
        if not self._interviewer.line.is_halted:
            self._interviewer.line.halt()
            if self._coming is not None:
                self._coming.cancel()

    def _leave(self) -> None:
        self._stop()
        self._loop.call_later(GRACE, self._cancel)

    def _cancel(self) -> None:
        for worker in self._workers:
            worker.cancel()
