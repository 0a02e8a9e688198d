"""How the shape of a reply is demanded: by its schema, else as any JSON object, else by the words of the prompt alone.

Not every endpoint knows the first two. Which one it knows is found out with the first requests and kept for the run.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, Literal

Structure = Literal["json_schema", "json_object", "text"]
FALLBACKS: tuple[Structure, ...] = ("json_schema", "json_object", "text")

COMPLAINTS = re.compile(
    r"response.?format|json.?schema|json.?object|json.?mode|structured.?output|guided|requested parameters",
    re.IGNORECASE,
)
"""What endpoints say that know no such field, or not this value of it."""
MOST_STARTS = 200
"""Opening braces of a text at which an object is looked for: hostile text may hold a million of them."""


def of_request(structure: Structure, kind: str, schema: dict[str, Any]) -> dict[str, Any]:
    """The fields of a request that demand it."""
    match structure:
        case "json_schema":
            shape = {"name": kind, "strict": True, "schema": _strict(schema)}
            return {"response_format": {"type": "json_schema", "json_schema": shape}}
        case "json_object":
            return {"response_format": {"type": "json_object"}}
        case "text":
            return {}


class Fallbacks:
    """Which structure an endpoint is asked for, and what it was set up to be asked for."""

    def __init__(self, wanted: Structure) -> None:
        self.wanted = self.known = wanted
        self._answered: set[Structure] = set()

    def to_try(self) -> tuple[Structure, ...]:
        """The one that is known to work, or is tried first; then those that demand less."""
        return FALLBACKS[FALLBACKS.index(self.known) :]

    def settle(self, structure: Structure) -> None:
        """It was answered. What was ever answered works: another question that did without it lowers nothing."""
        self._answered.add(structure)
        self.known = min(self._answered, key=FALLBACKS.index)

    def may_be_at_fault(self, status: int, said: str) -> bool:
        """Whether a refusal may be about the structure: it says so, or nothing was answered yet and it says nothing."""
        if COMPLAINTS.search(said):
            return status in (400, 404, 415, 422, 501)
        return status in (404, 422) and not self._answered


def objects(text: str) -> Iterator[str]:
    """The JSON objects that stand in a text, outermost ones only, with whatever words or fences around them."""
    decoder, start = json.JSONDecoder(), 0
    for _ in range(MOST_STARTS):
        if (start := text.find("{", start)) < 0:
            return
        try:
            _, end = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            start += 1
        else:
            yield text[start:end]
            start = end


def _strict(schema: Any) -> Any:
    """The schema without what strict endpoints refuse; whoever reads the reply holds it against all of it."""
    if isinstance(schema, dict):
        return {name: _strict(value) for name, value in schema.items() if name != "minLength"}
    return schema
