"""A language model behind any endpoint that speaks OpenAI's chat completions.

The key comes from the environment, is held by the client alone, and is taken out of every text that comes back, so
that no ledger, table, log or error can carry it.
"""

import asyncio
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any, Literal
from urllib.parse import urlsplit

import openai

from irg_core.errors import EndpointError, ParamsError
from irg_core.llm.chat import REFUSED, Busy, ChatRequest, Refused

SECONDS_TO_CONNECT = 5.0
LONGEST_DETAIL = 300
"""Characters of an endpoint's own words that an error or a rejection quotes."""
NO_KEY = "none"  # the client insists on some key; an endpoint without one ignores it
PASSING = frozenset({408, 409, 425, 429})
"""Statuses below 500 that another try may turn into an answer."""


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
    structure: Literal["json_schema", "json_object", "text"]
    """How the shape of a reply is demanded: by its schema, as any JSON object, or by the words of the prompt alone."""
    timeout: float
    """Seconds that a reply may take, from the request to its last byte."""
    tries: int
    """How often a request is sent while the endpoint is busy or out of reach; more survives longer outages."""


class Provider:
    """Asks one model of one endpoint."""

    reads_payload = False

    def __init__(self, model: str, settings: Settings) -> None:
        check_address(settings.base_url)
        self.tries = settings.tries
        self._model = model
        self._settings = settings

    @cached_property
    def _key(self) -> str:
        """Read when the first question is sent: where the ledger knows every answer, no key is needed."""
        return key_of(self._settings.key_variable)

    @cached_property
    def _client(self) -> openai.AsyncOpenAI:
        return openai.AsyncOpenAI(
            api_key=self._key or NO_KEY,
            base_url=self._settings.base_url,
            timeout=openai.Timeout(self._settings.timeout, connect=SECONDS_TO_CONNECT),
            max_retries=0,  # tries are counted at one level, in `chat`
        )

    @property
    def identity(self) -> str:
        """The model and how it is sampled, but not where: a reply stays paid for when an address changes.

        Whoever serves other weights must therefore serve them under another name.
        """
        names = ("sampling", "seeded", "structure")
        said = {name: getattr(self._settings, name) for name in names}
        return f"openai/{self._model} {json.dumps(said, sort_keys=True)}"

    async def complete(self, request: ChatRequest) -> str:
        client, body = self._client, self._body(request)
        with self._faults_in_our_words():
            async with asyncio.timeout(self._settings.timeout):
                answer = await client.chat.completions.create(**body)
            return self._without_key(_text(answer))

    async def close(self) -> None:
        if "_client" in vars(self):
            await self._client.close()

    def _body(self, request: ChatRequest) -> dict[str, Any]:
        fields = dict(self._settings.sampling)
        if self._settings.seeded:
            fields["seed"] = request.seed % 2**31  # some endpoints hold seeds in 32 bits
        # As extra fields, or the client would refuse those that it does not know.
        body: dict[str, Any] = {"model": self._model, "messages": request.messages, "extra_body": fields}
        match self._settings.structure:
            case "json_schema":
                shape = {"name": request.kind, "strict": True, "schema": _strict(request.schema)}
                body["response_format"] = {"type": "json_schema", "json_schema": shape}
            case "json_object":
                body["response_format"] = {"type": "json_object"}
        return body

    @contextmanager
    def _faults_in_our_words(self) -> Iterator[None]:
        """What goes wrong with the wire, as `Busy`, `Refused` or an `EndpointError`; without its cause.

        The client's exceptions hold the request, and so the key: they are not chained.
        """
        where = f"the endpoint {self._settings.base_url}"
        try:
            yield
        except openai.APIStatusError as error:
            raise self._of_status(error, where) from None
        except (openai.APITimeoutError, TimeoutError):
            slow = f"{where} gave no reply within {self._settings.timeout:g} s"
            raise Busy(f"{slow}; check llm.openai.base_url, or raise llm.openai.timeout for a slow model") from None
        except openai.APIConnectionError as error:
            cause = self._without_key(str(error.__cause__ or error))[:LONGEST_DETAIL]
            unreached = f"{where} cannot be reached ({cause}); check llm.openai.base_url"
            raise Busy(unreached, was_reached=False) from None
        except (openai.OpenAIError, ValueError, TypeError, AttributeError, LookupError, RecursionError):
            nonsense = f"{where} answers with something other than a chat completion"
            raise Busy(f"{nonsense}; check that llm.openai.base_url ends where /chat/completions begins") from None

    def _of_status(self, error: openai.APIStatusError, where: str) -> Exception:
        status = error.status_code
        said = f"{status} {self._without_key(_message(error))[:LONGEST_DETAIL]}".rstrip()
        match status:
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
            case 429:
                return Busy(f"{where} turns away too many requests: {said}", rest=_rest(error), is_limit=True)
            case _ if status in PASSING or status >= 500:
                return Busy(f"{where} fails: {said}", rest=_rest(error))
            case _:
                return Refused(REFUSED, f"{where} refuses: {said}")

    def _without_key(self, text: str) -> str:
        """Text from outside as it may be kept: without the key, and writable (a lone surrogate is not)."""
        text = text.encode("utf-8", "replace").decode()
        return text.replace(self._key, "[key]") if self._key else text


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


def _text(answer: Any) -> str:
    """What the model said; a refusal is what it said, too. Raises for anything but a chat completion."""
    message = answer.choices[0].message
    text = message.content or getattr(message, "refusal", None) or ""
    if not isinstance(text, str):
        raise TypeError("the content of a message is text")
    return text


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


def _strict(schema: Any) -> Any:
    """The schema without what strict endpoints refuse; `read_reply` holds the reply against all of it."""
    if isinstance(schema, dict):
        return {name: _strict(value) for name, value in schema.items() if name != "minLength"}
    return schema
