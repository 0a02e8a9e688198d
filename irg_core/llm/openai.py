"""A language model behind any endpoint that speaks OpenAI's chat completions.

The key comes from the environment, is held by the client alone, and is taken out of every text that comes back, so
that no ledger, table, log or error can carry it. Nothing that an endpoint sends is trusted: neither its size, nor its
shape, nor where it would send us.
"""

import asyncio
import itertools
import json
import logging
import os
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import httpx2
import openai

from irg_core.errors import EndpointError, ParamsError
from irg_core.llm import tokens
from irg_core.llm.batch import Progress
from irg_core.llm.budget import longest_reply
from irg_core.llm.chat import LARGEST_REPLY, REFUSED, Busy, ChatRequest, Refused, Reply
from irg_core.llm.limits import Limits
from irg_core.llm.structure import Fallbacks, Structure, of_request

SECONDS_TO_CONNECT = 5.0
LONGEST_DETAIL = 300
"""Characters of an endpoint's own words that an error or a rejection quotes."""
MOST_TOKENS = 1 << 40  # more is no count, and fits no column
SECONDS_FOR_A_FILE = 600.0
"""That a file of 200 MB may take to be sent or fetched."""
MOST_LISTED = 1000
"""Files or batches that are looked through for one of ours; the youngest are listed first."""
OURS = "irg"
"""Where a batch carries the name that we gave it."""
OVER = frozenset({"completed", "failed", "expired", "cancelled"})
NO_KEY = "none"  # the client insists on some key; an endpoint without one ignores it
PASSING = frozenset({408, 409, 425, 429})
"""Statuses below 500 that another try may turn into an answer."""
OVERLOADED = frozenset({503, 504, 529})
TOO_LARGE = re.compile(r"request too large|too large for", re.IGNORECASE)
"""How a limit on tokens per minute turns away a single question that no minute has room for."""
ESCAPED = re.compile(r"\\(?:u([0-9a-fA-F]{4})|([/\\\"]))")
"""A sign as JSON may spell it."""


@dataclass(frozen=True)
class Settings:
    """How the endpoint is reached, and how its model is sampled."""

    base_url: str
    """Where it answers, with the version: the part before /chat/completions."""
    key_variable: str
    """Environment variable that holds the key; empty for an endpoint without one."""
    sampling: dict[str, Any]
    """Fields of the request, sent as they are; which exist, the endpoint's own documentation says."""
    seeded: bool
    """Whether each row's seed is sent along; false for endpoints that refuse the field."""
    structure: Structure
    """How the shape of a reply is demanded: by its schema, as any JSON object, or by the words of the prompt alone. An
    endpoint that turns out not to know the first is asked for the second or third; its replies stay paid for."""
    timeout: float
    """Seconds that a reply may take, from the request to its last byte, and …"""
    seconds_per_token: float
    """… on top of them for each token of the question and each that the reply may have."""
    limits: Limits
    """What may be asked in a minute."""
    tries: int
    """How often a request is sent while the endpoint is busy or out of reach; more survives longer outages."""
    mode: Literal["online", "batch"]
    """Whether questions are asked one by one, or in files that are worked off within a day for half the price."""


class Unbounded(Exception):
    """A reply that is larger than any honest one, or compressed so that nobody knows how large it is."""


class Unstructured(Exception):
    """The endpoint may only not know the structure that was demanded."""

    def __init__(self, otherwise: Exception) -> None:
        super().__init__(str(otherwise))
        self.otherwise = otherwise  # what is at fault if that is not


class _Bounded(httpx2.AsyncByteStream):
    """A body of which no more is read than an honest one has."""

    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for part in self._stream:
            if (size := size + len(part)) > LARGEST_REPLY:
                raise Unbounded(f"sends more than {LARGEST_REPLY >> 20} MiB for a reply")
            yield part

    async def aclose(self) -> None:
        await self._stream.aclose()


async def _bound(response: httpx2.Response) -> None:
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise Unbounded("compresses its replies, which we did not ask for")
    if isinstance(response.stream, httpx2.AsyncByteStream):
        response.stream = _Bounded(response.stream)


class Provider:
    """Asks one model of one endpoint."""

    reads_payload = False

    def __init__(self, model: str, settings: Settings) -> None:
        check_address(settings.base_url)
        self.tries = settings.tries
        self.sampling = settings.sampling
        self.limits = settings.limits
        self._model = model
        self._settings = settings
        self._longest = longest_reply(settings.sampling)
        self._fallbacks = Fallbacks(settings.structure)
        self._has_answered = False  # in this run
        self._is_trusted = False  # it did in an earlier one

    @property
    def notes(self) -> dict[str, str]:
        known, wanted = self._fallbacks.known, self._fallbacks.wanted
        return {} if known == wanted else {"structure": f"{known}, for want of {wanted}"}

    @property
    def wire(self) -> "Wire | None":
        """The calls for batches, where questions are to be asked so."""
        return Wire(self) if self._settings.mode == "batch" else None

    @cached_property
    def _key(self) -> str:
        """Read when the first question is sent: where the ledger knows every answer, no key is needed."""
        return key_of(self._settings.key_variable)

    @cached_property
    def _client(self) -> openai.AsyncOpenAI:
        logging.getLogger("httpcore2").setLevel(logging.INFO)  # below it tells heads, and some endpoints echo the key
        return openai.AsyncOpenAI(
            api_key=self._key or NO_KEY,
            base_url=self._settings.base_url,
            max_retries=0,  # tries are counted at one level, in `line`
            # A redirect would take the question, and perhaps the key, to who knows whom.
            http_client=openai.DefaultAsyncHttpxClient(
                follow_redirects=False, event_hooks={"response": [_bound]}, headers={"Accept-Encoding": "identity"}
            ),
        )

    @property
    def identity(self) -> str:
        """The model and how it is sampled, but not where: a reply stays paid for when an address changes.

        Whoever serves other weights must therefore serve them under another name.
        """
        names = ("sampling", "seeded", "structure")
        said = {name: getattr(self._settings, name) for name in names}
        return f"openai/{self._model} {json.dumps(said, sort_keys=True)}"

    async def complete(self, request: ChatRequest) -> Reply:
        for structure in self._fallbacks.to_try():
            try:
                reply = await self._complete(request, structure)
            except Unstructured as fault:
                last = fault.otherwise
            else:
                self._fallbacks.settle(structure)
                self._has_answered = True
                return reply
        raise last

    async def _complete(self, request: ChatRequest, structure: Structure) -> Reply:
        client, body = self._client, self.body(request, structure)
        seconds = self._seconds(request)
        with self._faults_in_our_words(seconds):
            async with asyncio.timeout(seconds):
                timeout = openai.Timeout(seconds, connect=SECONDS_TO_CONNECT)
                # Past the client's typed calls, which take a third of its time to look through each message.
                answer = await client.post(
                    "/chat/completions", cast_to=httpx2.Response, body=body, options={"timeout": timeout}
                )
            return self.reply_of(json.loads(answer.content))

    def reply_of(self, completion: Any) -> Reply:
        """What a chat completion says. Raises a `ValueError`, `LookupError` or `TypeError` for anything else."""
        return Reply(self._without_key(_text(completion)), *_tokens(completion))

    def _seconds(self, request: ChatRequest) -> float:
        settings = self._settings
        if not settings.seconds_per_token:
            return settings.timeout
        return settings.timeout + settings.seconds_per_token * (tokens.of_request(request) + self._longest)

    def trust(self) -> None:
        """The ledger holds its replies: what it forbids now may be one row."""
        self._is_trusted = True

    async def close(self) -> None:
        if "_client" in vars(self):
            await self._client.close()

    def body(self, request: ChatRequest, structure: Structure) -> dict[str, Any]:
        """What is sent."""
        fields = dict(self._settings.sampling)
        if self._settings.seeded:
            fields["seed"] = request.seed % 2**31  # some endpoints hold seeds in 32 bits
        demanded = of_request(structure, request.kind, request.schema)
        return {"model": self._model, "messages": request.messages, **demanded, **fields}

    @contextmanager
    def _faults_in_our_words(self, seconds: float) -> Iterator[None]:
        """What goes wrong with the wire, as `Busy`, `Refused` or an `EndpointError`; without its cause.

        The client's exceptions hold the request, and so the key: they are not chained.
        """
        where = f"the endpoint {self._settings.base_url}"
        try:
            yield
        except openai.APIStatusError as error:
            raise self._of_status(error, where) from None
        except Unbounded as fault:
            raise Busy(f"{where} {fault}") from None
        except (openai.APITimeoutError, TimeoutError):
            slow = f"{where} gave no reply within {seconds:.3g} s"
            way_out = "check llm.openai.base_url, or raise llm.openai.timeout for a slow model"
            raise Busy(f"{slow}; {way_out}", is_overload=True) from None
        except openai.APIConnectionError as error:
            cause = self._without_key(str(error.__cause__ or error))[:LONGEST_DETAIL]
            unreached = f"{where} cannot be reached ({cause}); check llm.openai.base_url"
            raise Busy(unreached, was_reached=not isinstance(error.__cause__, httpx2.ConnectError)) from None
        except (openai.OpenAIError, ValueError, TypeError, AttributeError, LookupError, RecursionError):
            nonsense = f"{where} answers with something other than a chat completion"
            raise Busy(f"{nonsense}; check that llm.openai.base_url ends where /chat/completions begins") from None

    def _of_status(self, error: openai.APIStatusError, where: str) -> Exception:
        fault = self._sorted(error, where)
        if self._fallbacks.may_be_at_fault(error.status_code, _message(error)):
            return Unstructured(fault)
        return fault

    def _sorted(self, error: openai.APIStatusError, where: str) -> Exception:
        status = error.status_code
        said = f"{status} {self._without_key(_message(error))[:LONGEST_DETAIL]}".rstrip()
        match status:
            case 401 | 403 | 404 if self._has_answered or (self._is_trusted and status != 401):
                # The set-up was right before: a guard at the endpoint's door may dislike the words of one row.
                return Busy(f"{where} fails: {said}")
            case 401 | 403:
                variable = self._settings.key_variable
                key = f"the key in ${variable}" if variable else "a request without a key (llm.openai.key_variable)"
                return EndpointError(f"{where} rejects {key}: {said}")
            case 402:
                return EndpointError(f"{where} wants to be paid first: {said}")
            case 404:
                return EndpointError(f"{where} has no model '{self._model}', or is not the place: {said}")
            case 429 if error.code == "insufficient_quota":
                return EndpointError(f"the quota at {where} is used up: {said}")
            case 429 if TOO_LARGE.search(said):
                return Refused(REFUSED, f"{where} refuses: {said}")
            case 429:
                return Busy(f"{where} turns away too many requests: {said}", rest=_rest(error), is_limit=True)
            case _ if status < 400:
                return Busy(f"{where} sends us elsewhere: {status}; set llm.openai.base_url to where it answers itself")
            case _ if status in PASSING or status >= 500:
                return Busy(f"{where} fails: {said}", rest=_rest(error), is_overload=status in OVERLOADED)
            case _:
                return Refused(REFUSED, f"{where} refuses: {said}")

    def _without_key(self, text: str) -> str:
        """Text from outside as it may be kept: without the key, and writable (a lone surrogate is not)."""
        if self._key and self._key in (plain := ESCAPED.sub(_sign, text)):
            text = plain  # whoever reads a reply as JSON would read the key, however it is spelt
        text = text.encode("utf-8", "replace").decode()
        return text.replace(self._key, "[key]") if self._key else text


class Wire:
    """Files and batches of the endpoint, for `batch`. The names that we give to both find them again."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    @cached_property
    def _client(self) -> openai.OpenAI:
        settings = self._provider._settings
        return openai.OpenAI(
            api_key=self._provider._key or NO_KEY,
            base_url=settings.base_url,
            max_retries=0,  # tries are counted in `batch`
            timeout=openai.Timeout(SECONDS_FOR_A_FILE, connect=SECONDS_TO_CONNECT),
            http_client=openai.DefaultHttpxClient(follow_redirects=False),
        )

    def line(self, name: str, request: ChatRequest) -> bytes:
        body = self._provider.body(request, self._provider._settings.structure)
        said = {"custom_id": name, "method": "POST", "url": "/v1/chat/completions", "body": body}
        return json.dumps(said, ensure_ascii=False).encode() + b"\n"

    def upload(self, path: Path) -> str:
        with self._faults(), path.open("rb") as file:
            return self._client.files.create(file=(path.name, file), purpose="batch").id

    def find_file(self, path: Path) -> str | None:
        with self._faults():
            listed = itertools.islice(self._client.files.list(purpose="batch"), MOST_LISTED)
            return next((file.id for file in listed if file.filename == path.name), None)

    def create(self, name: str, file: str) -> str:
        with self._faults():
            return self._client.batches.create(
                input_file_id=file, endpoint="/v1/chat/completions", completion_window="24h", metadata={OURS: name}
            ).id

    def find_batch(self, name: str) -> str | None:
        with self._faults():
            listed = itertools.islice(self._client.batches.list(), MOST_LISTED)
            return next((batch.id for batch in listed if (batch.metadata or {}).get(OURS) == name), None)

    def progress(self, batch: str) -> Progress:
        with self._faults():
            now = self._client.batches.retrieve(batch)
            counts = now.request_counts
            faults = (now.errors.data if now.errors else None) or []
            said = "; ".join(self._provider._without_key(str(fault.message))[:LONGEST_DETAIL] for fault in faults[:3])
            return Progress(
                now.status, counts.completed if counts else 0, counts.total if counts else 0, now.status in OVER,
                tuple(filter(None, (now.output_file_id, now.error_file_id))),
                (said or "it does not say why") if now.status == "failed" else "",
            )  # fmt: skip

    def fetch(self, file: str, to: Path) -> None:
        with self._faults(), self._client.files.with_streaming_response.content(file) as content:
            content.stream_to_file(to)

    def outcome(self, line: bytes) -> tuple[str, Reply | Refused | Busy]:
        where = f"the endpoint {self._provider._settings.base_url}"
        name = ""
        try:
            said = json.loads(line)
            name = str(said["custom_id"])
            response = said.get("response") or {}
            if response.get("status_code") == 200:
                return name, self._provider.reply_of(response["body"])
            status = response.get("status_code") or 0
            fault = said.get("error") or (response.get("body") or {}).get("error") or {}
            words = self._provider._without_key(f"{fault.get('message') or fault}")[:LONGEST_DETAIL]
        except (ValueError, TypeError, AttributeError, LookupError, RecursionError):
            return name, Busy(f"{where} answers with something other than a chat completion")
        if status < 400 or status >= 500 or status in PASSING:
            return name, Busy(f"{where} fails: {status or ''} {words}")
        return name, Refused(REFUSED, f"{where} refuses: {status} {words}")

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            with self._provider._faults_in_our_words(SECONDS_FOR_A_FILE):
                yield
        except Unstructured as fault:  # no structure is demanded of files
            raise fault.otherwise from None


def key_of(variable: str) -> str:
    """The key in the environment. What is no key is not quoted in the error: it may be one with a slip."""
    if not variable:
        return ""
    key = os.environ.get(variable, "").strip()
    if not key:
        raise EndpointError(
            f"the environment variable {variable} is not set; export {variable}=<your key>, "
            "or set llm.openai.key_variable to '' for an endpoint without a key"
        )
    if not key.isascii() or not key.isprintable() or " " in key:
        raise EndpointError(f"the environment variable {variable} holds signs that no key has; export it again")
    return key


def check_address(base_url: str) -> None:
    """Raise `ParamsError` for what is no address, and for one that carries a secret into params.yaml."""
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ParamsError(f"params.yaml: llm.openai.base_url is '{base_url}'; it must start with http:// or https://")
    if parts.username or parts.query:
        raise ParamsError(
            "params.yaml: llm.openai.base_url holds a user or a query; a key belongs into the environment variable "
            "that llm.openai.key_variable names"
        )


def _text(completion: Any) -> str:
    """What the model said; a refusal is what it said, too. Raises for anything but a chat completion."""
    message = completion["choices"][0]["message"]
    text = message.get("content") or message.get("refusal") or ""
    if not isinstance(text, str):
        raise TypeError("the content of a message is text")
    return text


def _tokens(completion: Any) -> tuple[int, int]:
    """Tokens read and written; 0 and 0 where the endpoint does not say, or says no numbers."""
    usage = completion.get("usage")
    counted = usage if isinstance(usage, dict) else {}
    numbers = [counted.get(name) for name in ("prompt_tokens", "completion_tokens")]
    read, written = (number if type(number) is int and 0 < number < MOST_TOKENS else 0 for number in numbers)
    return read, written


def _sign(escaped: re.Match[str]) -> str:
    number, sign = escaped.groups()
    return chr(int(number, 16)) if number else str(sign)


def _message(error: openai.APIStatusError) -> str:
    """The endpoint's own words, in one line; of a page for people only its status is worth saying."""
    body = error.body
    if isinstance(body, Mapping):
        return " ".join(str(body.get("message") or dict(body)).split())
    return "" if str(body or "").lstrip().startswith("<") else " ".join(str(body or "").split())


def _rest(error: openai.APIStatusError) -> float:
    """Seconds of Retry-After, which is a number or a date; 0 where it is neither."""
    said = error.response.headers.get("retry-after", "")
    try:
        return max(0.0, float(said))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(said) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return 0.0
