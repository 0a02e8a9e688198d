"""What a stage tells its reporter: one JSON object a line, short enough for a pipe to take it whole or not at all."""

import dataclasses
import json
from dataclasses import dataclass
from typing import Literal

Outcome = Literal["Completed", "Failed", "Crashed"]
"""Prefect's words. A stage fails on what it says itself, and crashes on what ends it from outside."""


@dataclass(frozen=True)
class Began:
    """A stage run; the first message."""

    stage: str
    item: str
    parameters: dict[str, str]
    """The arguments as dvc.yaml writes them, by the names of their order."""
    tags: list[str]
    parent: str
    """The flow run that this one belongs to, empty if it was started from a shell."""


@dataclass(frozen=True)
class Taken:
    """Batches `first` to `last` are under way; together they are one task run."""

    task: int
    """Counts the task runs of a stage run."""
    work: str
    """Name of the function that is given the batches."""
    first: int
    """Counts the batches of one map, from 1."""
    last: int


@dataclass(frozen=True)
class Done:
    """The results of a task run are there, or the reason why there are none."""

    task: int
    batches: int
    failure: str


@dataclass(frozen=True)
class Counted:
    """How far a map has come."""

    work: str
    rows: int
    rejected: int
    seconds: float


@dataclass(frozen=True)
class Ended:
    """The work is over; the last message. Without it, the stage was killed."""

    outcome: Outcome
    reason: str
    made: list[str]
    """Files and folders among the arguments that this run wrote."""
    summary: str
    """Path of the stage's summary, empty if it wrote none."""


Message = Began | Taken | Done | Counted | Ended
KINDS: dict[str, type[Message]] = {kind.__name__: kind for kind in (Began, Taken, Done, Counted, Ended)}


def line(message: Message) -> bytes:
    content = {type(message).__name__: dataclasses.asdict(message)}
    return json.dumps(content, ensure_ascii=False).encode(errors="replace") + b"\n"


def read(line: bytes) -> Message:
    ((kind, content),) = json.loads(line).items()
    return KINDS[kind](**content)
