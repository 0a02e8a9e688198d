"""From a prompt file to a question, from a reply to its shape.

A prompt is Markdown with a version line, a `# System` and a `# Question` section; `$name` stands for a value. Its
text and its version are part of a request's fingerprint: a changed prompt is asked anew and an unchanged one never.
What other people wrote stands in it quoted, in quotation marks that it cannot leave.
"""

import hashlib
import json
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from string import Template
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from irg_core.errors import ParamsError
from irg_core.llm.chat import ChatRequest
from irg_core.llm.structure import objects
from irg_core.records.annotation import Origin, Rejection
from irg_core.records.motion import Measure, Phase
from irg_core.seeds import derive

PROMPTS = Path(__file__).parent / "prompts"
REPEATED = 6
"""Words of a model's orders in a row that nobody says by chance."""
WORDS = re.compile(r"[a-z]+|\|")
QUOTED = re.compile(r'"[^"]*"')


class Reply(BaseModel):
    """A JSON object with exactly the fields of its subclass."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True, str_min_length=1)


Shape = TypeVar("Shape", bound=Reply)


class Annotator(Protocol):
    """The part of a stage's params that says who writes."""

    @property
    def provider(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def seed(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Subject:
    """What a question is about."""

    kind: str  # the stage that asks
    key: str  # the row that is asked for
    clip_id: str
    facts: str  # version of the facts shown, "" where none are


def question(
    subject: Subject, asker: Annotator, prompt: str, words: dict[str, str], payload: dict[str, Any], shape: type[Reply]
) -> ChatRequest:
    """The request of one row: `words` fill the prompt file, `payload` holds the facts behind them."""
    written = _prompt(prompt)
    return ChatRequest(
        key=subject.key,
        kind=subject.kind,
        system=written.system.substitute(words),
        prompt=written.question.substitute(words),
        schema=_schema(shape),
        payload=payload,
        seed=derive(asker.seed, subject.kind, subject.key),
        repairs=(),
        origin=Origin(
            subject.clip_id, subject.facts, prompt, written.version, written.sha256, asker.provider, asker.model,
            sampling="", seed=asker.seed, request="",
        ),
    )  # fmt: skip


def read_reply(shape: type[Shape], request: ChatRequest, text: str) -> Shape | Rejection:
    """The reply in its shape; text that holds no such JSON object becomes a rejection that says what is wrong with it.

    Models that were not made to keep a schema put words or a fence of backticks around their object: these are cut off.
    Who gives two different answers gave none: one of them may be somebody's words in the question.
    """
    found = [_validated(shape, request, one) for one in list(objects(text)) or [text]]
    good = [reply for reply in found if not isinstance(reply, Rejection)]
    if not good:
        return found[0]
    if any(reply != good[0] for reply in good):
        return Rejection(request.key, request.kind, "reply holds several answers", f"{len(good)} objects")
    if said := _repeated(request.system, good[0].model_dump_json()):
        return Rejection(request.key, request.kind, "reply repeats its orders", f"do not repeat '{said}'")
    return good[0]


def _validated(shape: type[Shape], request: ChatRequest, text: str) -> Shape | Rejection:
    try:
        return shape.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        reason = "reply is no JSON object" if first["type"] == "json_invalid" else "reply breaks its schema"
        place = ".".join(map(str, first["loc"])) or "the whole"
        return Rejection(request.key, request.kind, reason, f"{place}: {first['msg']}")


def _repeated(orders: str, text: str) -> str:
    """Words of the orders that a text repeats in a row; examples and quotations in them may be repeated."""
    words = WORDS.findall(text.lower())
    runs = (" ".join(words[start : start + REPEATED]) for start in range(len(words) - REPEATED + 1))
    return next((run for run in runs if run in _runs(orders)), "")


@cache
def _runs(orders: str) -> frozenset[str]:
    words = WORDS.findall(QUOTED.sub("|", orders.partition("Example.")[0].lower()))
    return frozenset(" ".join(words[start : start + REPEATED]) for start in range(len(words) - REPEATED + 1))


def plain(told: Sequence[Phase] | Sequence[Measure]) -> list[dict[str, Any]]:
    """Facts as JSON, which knows no NaN: an unknown number is null."""
    return [{name: _known(value) for name, value in asdict(one).items()} for one in told]


def quoted(text: str) -> str:
    """Somebody's words in one line and in quotation marks that they cannot leave: they are data, whatever they say."""
    return json.dumps(" ".join(text.split()), ensure_ascii=False)


def bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines) or "- nothing"


def _known(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value


@cache
def _schema(shape: type[Reply]) -> dict[str, Any]:
    return shape.model_json_schema()


@dataclass(frozen=True, slots=True)
class _Prompt:
    system: Template
    question: Template
    version: int
    sha256: str  # of the whole file; 16 digits of it


@cache
def _prompt(name: str) -> _Prompt:
    text = (PROMPTS / name).read_text(encoding="utf-8")
    parts = re.split(r"^# (System|Question)\n", text, flags=re.MULTILINE)
    version = re.match(r"version: (\d+)\n", text)
    if version is None or parts[1::2] != ["System", "Question"]:
        raise ParamsError(f"{PROMPTS / name}: a prompt has a first line `version: 1`, then # System and # Question")
    sha256 = hashlib.sha256(text.encode()).hexdigest()[:16]
    return _Prompt(Template(parts[2].strip()), Template(parts[4].strip()), int(version[1]), sha256)
