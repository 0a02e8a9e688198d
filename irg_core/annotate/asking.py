"""From a prompt file to a question, from a reply to its shape.

A prompt is Markdown with a version line, a `# System` and a `# Question` section; `$name` stands for a value. Its
text is part of a request's fingerprint, so that a changed prompt is asked anew and an unchanged one never.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from string import Template
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from irg_core.llm.chat import ChatRequest
from irg_core.records.annotation import Rejection
from irg_core.records.motion import Phase
from irg_core.seeds import derive

PROMPTS = Path(__file__).parent / "prompts"


class Reply(BaseModel):
    """A JSON object with exactly the fields of its subclass."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True, str_min_length=1)


Shape = TypeVar("Shape", bound=Reply)


def question(
    kind: str, key: str, seed: int, payload: dict[str, Any], words: dict[str, str], shape: type[Reply]
) -> ChatRequest:
    """The request of one row: `words` fill the prompt, `payload` holds the facts behind them."""
    system, asked = _prompt(kind)
    return ChatRequest(
        key=key, kind=kind, system=system.substitute(words), prompt=asked.substitute(words),
        schema=_schema(shape), payload=payload, seed=derive(seed, kind, key), repairs=(),
    )  # fmt: skip


def read_reply(shape: type[Shape], request: ChatRequest, text: str) -> Shape | Rejection:
    """The reply in its shape; text that holds no such JSON object becomes a rejection that says what is wrong with it.

    Models that were not made to keep a schema put words or a fence of backticks around their object: these are cut off.
    """
    start, end = text.find("{"), text.rfind("}") + 1
    try:
        return shape.model_validate_json(text[start:end] if 0 <= start < end else text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        reason = "reply is no JSON object" if first["type"] == "json_invalid" else "reply breaks its schema"
        place = ".".join(map(str, first["loc"])) or "the whole"
        return Rejection(request.key, request.kind, reason, f"{place}: {first['msg']}")


def plain(phases: Sequence[Phase]) -> list[dict[str, Any]]:
    """Phases as JSON, which knows no NaN: an unknown number is null."""
    return [{name: _known(value) for name, value in asdict(phase).items()} for phase in phases]


def bullets(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines) or "- nothing"


def _known(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value


@cache
def _schema(shape: type[Reply]) -> dict[str, Any]:
    return shape.model_json_schema()


@cache
def _prompt(kind: str) -> tuple[Template, Template]:
    text = (PROMPTS / f"{kind}.md").read_text(encoding="utf-8")
    parts = re.split(r"^# (System|Question)\n", text, flags=re.MULTILINE)
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    return Template(sections["System"].strip()), Template(sections["Question"].strip())
