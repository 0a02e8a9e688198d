"""The same questions as files that an endpoint works off within a day, for half the price.

What is under way stands in a folder beside the ledgers: the file of questions, whom each is about, and the batch's id,
so that a run that was killed goes on with what it had sent, and never sends it twice. All replies go into the ledger,
from which the stage then reads them as if they had been given one by one.
"""

import itertools
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol, TypeVar

from irg_core.errors import EndpointError
from irg_core.files import read_json, whole_file, write_json
from irg_core.llm import tokens
from irg_core.llm.budget import BATCHED, Budget
from irg_core.llm.chat import (
    LARGEST_REPLY,
    NO_ANSWER,
    REFUSED,
    Busy,
    ChatRequest,
    Provider,
    Refused,
    Reply,
    fingerprint,
)
from irg_core.llm.interview import Inquiry, read_signed, repaired, transcript_of
from irg_core.llm.limits import Limits
from irg_core.llm.line import MOST_LOST
from irg_core.llm.transcripts import Ledger
from irg_core.records.annotation import Transcript

FOLDER = Path("runs/ledger/batches")  # beside what is paid for: it holds what will be
MOST_REQUESTS, MOST_BYTES = 50_000, 190 * 10**6
"""Of one file: what its documentation allows, and of 200 MB so much that the last question may go beyond."""
FIRST_LOOK, LONGEST_LOOK = 1.0, 60.0
"""Seconds between two looks at a batch; each is twice the one before."""
FIRST_BACKOFF = 1.0
"""Seconds before the second try of a call, twice as many before the third, …"""
AT_A_TIME = 512
"""Replies that are put into the ledger with one fsync."""

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a batch is."""

    status: str
    answered: int
    asked: int
    is_over: bool
    files: tuple[str, ...]  # ids of what it brought: replies, errors
    fault: str  # why the whole batch was refused


class Wire(Protocol):
    """The calls that an endpoint has for batches. Each raises `Busy`, `Refused` or a `FactoryError`."""

    def line(self, name: str, request: ChatRequest) -> bytes:
        """A question as a line of a file, under a name."""

    def upload(self, path: Path) -> str:
        """The id of the uploaded file."""

    def find_file(self, path: Path) -> str | None:
        """The id of a file that was uploaded under this name before."""

    def create(self, name: str, file: str) -> str:
        """The id of a new batch of the questions in an uploaded file."""

    def find_batch(self, name: str) -> str | None:
        """The id of a batch that was created under this name before."""

    def progress(self, batch: str) -> Progress: ...

    def fetch(self, file: str, to: Path) -> None: ...

    def outcome(self, line: bytes) -> tuple[str, Reply | Refused | Busy]:
        """The name of a question, and what came of it."""


def wire_of(provider: Provider) -> Wire | None:
    """The calls for batches, where the provider knows them and is set up to be asked so."""
    found: Wire | None = getattr(provider, "wire", None)
    return found


class Delivered:
    """Stands for a provider that was asked in batches: what it has answered is in the ledger, the rest it refused."""

    reads_payload = False
    tries = 1

    def __init__(self, provider: Provider, refused: dict[str, Refused]) -> None:
        self.identity, self.sampling, self.notes = provider.identity, provider.sampling, provider.notes
        self.limits = Limits(0, 0)
        self._refused = refused

    async def complete(self, request: ChatRequest) -> Reply:
        raise self._refused.get(fingerprint(self, request), Refused(NO_ANSWER, "no batch has an answer"))

    async def close(self) -> None:
        """Nothing is held open."""


def is_pending(folder: Path) -> bool:
    """Whether batches were sent whose replies are not fetched yet."""
    return any(_state(path).exists() for path in _pending(folder))


def _pending(folder: Path) -> Iterator[Path]:
    """Files of questions, sent or not."""
    return (path for path in sorted(folder.glob("*.jsonl")) if not path.name.endswith(".asked.jsonl"))


class Office:
    """Sends the questions of a stage in batches and keeps what comes back."""

    def __init__(self, inquiry: Inquiry[Any], wire: Wire, ledger: Ledger, purse: Budget, folder: Path) -> None:
        self._inquiry = inquiry
        self._wire = wire
        self._ledger = ledger
        self._purse = purse
        self._folder = folder
        self._refused: dict[str, Refused] = {}
        self._lost: Counter[str] = Counter()  # how often a question came back without an answer
        self._settled = 0  # questions answered or refused
        self._asked_in_round = 0
        self._refusals: list[Transcript] = []  # not in the ledger yet: if nothing was answered all may be wrong
        self._is_answered = False

    def answer_all(self) -> dict[str, Refused]:
        """Have all questions answered that can be; return the others by name.

        Raises `BudgetSpent`, and `EndpointError` where batches bring nothing.
        """
        self._drop_unsent()
        self._finish(list(_pending(self._folder)))
        while files := self._write():
            before = self._settled
            self._finish(files)
            # A few rows that fail each time are given up after their tries; they must not hold up all others.
            if self._settled == before and self._asked_in_round >= MOST_LOST:
                raise EndpointError("the endpoint answered nothing of what it took in batches; run again to go on")
        return self._refused

    def _drop_unsent(self) -> None:
        """A run that died may have left files that nobody has sent: prompts and budget may be others by now."""
        for path in list(_pending(self._folder)):
            if not _state(path).exists():
                _forget(path)

    def _unanswered(self) -> Iterator[tuple[str, ChatRequest]]:
        """The next question about each row that is not settled, under its name."""
        for first in self._inquiry.questions:
            request: ChatRequest | None = first
            while request is not None:
                name = fingerprint(self._inquiry.provider, request)
                if name in self._refused:
                    break
                if (known := self._ledger.find(name)) is None:
                    yield name, request
                    break
                self._is_answered = True
                if known.refusal:
                    break
                request = repaired(self._inquiry, request, known.reply, read_signed(self._inquiry, request, known))

    def _write(self) -> list[Path]:
        """Files of the questions of a round, as far as the budget reaches; none where all are settled."""
        self._folder.mkdir(parents=True, exist_ok=True)
        questions, files = self._affordable(), []
        while (path := self._write_one(questions)) is not None:
            files.append(path)
        return files

    def _affordable(self) -> Iterator[tuple[str, ChatRequest]]:
        usd, self._asked_in_round = 0.0, 0
        for number, (name, request) in enumerate(self._unanswered(), start=1):
            most = self._purse.most(request)
            if not self._purse.has_room(usd + most, number):
                if number == 1:
                    raise self._purse.all_spent(most)
                return
            usd += most
            self._asked_in_round = number
            yield name, request

    def _write_one(self, questions: Iterator[tuple[str, ChatRequest]]) -> Path | None:
        """The next file, as large as it may be. It is named after what it asks, so that it can be found again."""
        whole, size, count = sha256(), 0, 0
        draft = self._folder / ".next"
        with (
            whole_file(_asked(draft)) as asked_part, whole_file(draft) as part,
            asked_part.open("wb") as asked, part.open("wb") as file,
        ):  # fmt: skip
            for name, request in questions:
                line = self._wire.line(name, request)
                by_rule = Reply("", tokens.of_request(request), 0)
                unanswered = transcript_of(self._inquiry.provider, name, request, by_rule)
                asked.write(json.dumps(asdict(unanswered), ensure_ascii=False).encode() + b"\n")
                file.write(line)
                whole.update(name.encode())
                size, count = size + len(line), count + 1
                if count == MOST_REQUESTS or size > MOST_BYTES:
                    break
        path = self._folder / f"{whole.hexdigest()[:32]}.jsonl"
        _asked(draft).replace(_asked(path))
        draft.replace(path)  # last: where it is, the other one is
        if not count:
            _forget(path)
            return None
        return path

    def _finish(self, files: list[Path]) -> None:
        batches = [(path, self._sent(path)) for path in files]
        for path, batch in batches:
            self._fetch(path, self._wait(batch))
            _forget(path)

    def _sent(self, path: Path) -> str:
        """The id of the batch of a file: as it is known, or found, or new."""
        state = _state(path)
        known: dict[str, str] = read_json(state) if state.exists() else {}
        if "file" not in known:
            known["file"] = self._once(
                state, known, "upload", lambda: self._wire.find_file(path), lambda: self._wire.upload(path)
            )
            write_json(state, known)
        if "batch" not in known:
            name = path.stem
            known["batch"] = self._once(
                state, known, "create", lambda: self._wire.find_batch(name),
                lambda: self._wire.create(name, known["file"]),
            )  # fmt: skip
            write_json(state, known)
            print(f"batch {known['batch']}: sent", flush=True)
        return known["batch"]

    def _once(
        self, state: Path, known: dict[str, str], step: str, find: Callable[[], str | None], make: Callable[[], str]
    ) -> str:
        """Do a step that must not be done twice: what may have been done before is looked for first."""
        was_tried = known.get("step") == step
        known["step"] = step
        write_json(state, known)

        def found_or_made() -> str:
            nonlocal was_tried
            if was_tried and (found := find()) is not None:
                return found
            was_tried = True
            return make()

        return self._tried(found_or_made)

    def _tried(self, call: Callable[[], Value]) -> Value:
        for tries in itertools.count(1):
            try:
                return call()
            except Refused as fault:
                raise EndpointError(fault.detail) from None
            except Busy as fault:
                if tries >= self._inquiry.provider.tries:
                    raise EndpointError(f"{fault}; what was sent is kept: run again to go on") from None
                time.sleep(max(fault.rest, FIRST_BACKOFF * 2 ** (tries - 1)))
        raise AssertionError("unreachable")

    def _wait(self, batch: str) -> Progress:
        """Look at a batch until it is over."""
        pause, last = FIRST_LOOK, ""
        while True:
            now = self._tried(lambda: self._wire.progress(batch))
            said = f"batch {batch}: {now.status}, {now.answered} of {now.asked} answered"
            if said != last:
                print(said, flush=True)
            if now.is_over:
                return now
            time.sleep(pause)
            pause, last = min(LONGEST_LOOK, 2 * pause), said

    def _fetch(self, path: Path, brought: Progress) -> None:
        """Keep every reply of a batch that is over; note what it has refused, and what it has left unanswered."""
        if brought.fault:
            _forget(path)
            raise EndpointError(f"the endpoint refuses the batch: {brought.fault}")
        places = _places(_asked(path))
        kept: list[Transcript] = []
        with _asked(path).open("rb") as asked:
            for name, outcome in self._outcomes(path, brought.files):
                if (place := places.pop(name, None)) is None:
                    continue  # nothing that we have asked here
                asked.seek(place)
                if isinstance(outcome, Reply):
                    transcript = _answered(asked.readline(), outcome)
                    kept.append(transcript)
                    if name not in self._ledger:  # which was read before: a run that died may have fetched it
                        self._purse.spend(Reply("", transcript.tokens_in, transcript.tokens_out))
                else:
                    if isinstance(outcome, Refused) and outcome.reason == REFUSED:
                        self._refusals.append(_refused(asked.readline(), outcome))
                    self._unheard(name, outcome)
                if len(kept) == AT_A_TIME:
                    self._keep(kept)
        self._keep(kept)
        for name in places:
            self._unheard(name, Busy(f"the batch is {brought.status} and has no answer"))

    def _keep(self, transcripts: list[Transcript]) -> None:
        self._ledger.keep(transcripts, BATCHED)
        self._settled += len(transcripts)
        self._is_answered = self._is_answered or bool(transcripts)
        transcripts.clear()
        if self._is_answered:
            self._ledger.keep(self._refusals, share=0)
            self._refusals.clear()

    def _unheard(self, name: str, outcome: Refused | Busy) -> None:
        """A question without a reply is sent again in the next round, unless it is refused, or was lost too often."""
        self._lost[name] += 1
        if isinstance(outcome, Busy) and self._lost[name] < self._inquiry.provider.tries:
            return
        lost = Refused(NO_ANSWER, f"{outcome}; sent in {self._lost[name]} batches")
        self._refused[name] = outcome if isinstance(outcome, Refused) else lost
        self._settled += 1

    def _outcomes(self, path: Path, files: tuple[str, ...]) -> Iterator[tuple[str, Reply | Refused | Busy]]:
        brought = path.with_suffix(".brought")
        for file in files:
            self._tried(lambda file=file: self._wire.fetch(file, brought))  # type: ignore[misc]
            yield from map(self._wire.outcome, _honest_lines(brought))


def _asked(path: Path) -> Path:
    return path.with_name(f"{path.name.removesuffix('.jsonl')}.asked.jsonl")


def _state(path: Path) -> Path:
    return path.with_suffix(".json")


def _forget(path: Path) -> None:
    """Remove all of a batch, its questions first: where they are gone, nothing is pending."""
    for file in (path, _asked(path), _state(path), path.with_suffix(".brought")):
        with suppress(FileNotFoundError):
            file.unlink()


def _places(path: Path) -> dict[str, int]:
    """Where the line of each question begins."""
    places, place = {}, 0
    with path.open("rb") as file:
        for line in file:
            places[json.loads(line)["request"]] = place
            place += len(line)
    return places


def _honest_lines(path: Path) -> Iterator[bytes]:
    """The lines of a file, but those that are longer than any honest one: their questions are without an answer."""
    with path.open("rb") as file:
        is_whole = True
        while line := file.readline(LARGEST_REPLY):
            starts, is_whole = is_whole, line.endswith(b"\n") or len(line) < LARGEST_REPLY
            if starts and is_whole:
                yield line


def _answered(line: bytes, reply: Reply) -> Transcript:
    """The question with its reply; where the endpoint does not count tokens, ours stand."""
    asked = json.loads(line)
    read, written = reply.tokens_in or asked["tokens_in"], reply.tokens_out or tokens.count(reply.text)
    return Transcript(**{**asked, "reply": reply.text, "tokens_in": read, "tokens_out": written})


def _refused(line: bytes, fault: Refused) -> Transcript:
    return Transcript(**{**json.loads(line), "tokens_in": 0, "refusal": fault.detail})
