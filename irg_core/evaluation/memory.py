"""Answers that a killed evaluation had finished: they are not generated again.

A batch is kept by the worker that made it, in a file of its own, before anybody uses it. The folder is named by all
that decides the answers, the code of the stage too; it goes once the stage's outs are committed.
"""

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from irg_core.files import read_json, write_json
from irg_core.fingerprints import Origin, differences, name_of, origin

ORIGIN = "origin.json"


@dataclasses.dataclass(frozen=True)
class Memory:
    """Finished batches under `folder`; of one run of one stage."""

    folder: Path

    def around(self, work: Callable[[Any], dict[str, Any]], record: type) -> Callable[[Any], dict[str, Any]]:
        """`work` on a batch, which gives `record`s by key, as a function that finds what it was already asked for."""
        return partial(_kept, work, self.folder, record)

    def forget(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def memory_of(place: Path, params: Any, inputs: Sequence[Path]) -> Memory:
    """The memory of one evaluation under `place`, which may hold answers that were made by other code, with other
    params or by other weights. These are left alone, and a line says so where none can be gone on from."""
    made_from = origin(params, inputs)
    memory = Memory(place / name_of(made_from))
    others = [folder for folder in place.glob("*") if folder != memory.folder and _batches(folder)]
    if others and not _batches(memory.folder):
        latest = max(others, key=lambda folder: (folder / ORIGIN).stat().st_mtime)
        print(f"evaluate@{place.name}: starts afresh; {_described(latest, made_from)}; they are left alone", flush=True)
    write_json(memory.folder / ORIGIN, made_from)
    return memory


def _batches(folder: Path) -> int:
    """How many are kept in a folder that says what it is made from."""
    return len(list(folder.glob("*.json"))) - 1 if (folder / ORIGIN).exists() else 0


def _described(other: Path, made_from: Origin) -> str:
    try:
        told = differences(read_json(other / ORIGIN), made_from, "evaluate")
    except (OSError, ValueError, AttributeError):
        told = "what cannot be said"
    return f"{_batches(other)} finished batches in {other} differ in {told}"


def _kept(work: Callable[[Any], dict[str, Any]], folder: Path, record: type, batch: Any) -> dict[str, Any]:
    place = folder / f"{_name(work, batch)}.json"
    if (known := _read(place, record)) is not None:
        return known
    found = work(batch)
    write_json(place, {key: dataclasses.asdict(value) for key, value in found.items()})
    return found


def _name(work: Callable[[Any], dict[str, Any]], batch: Any) -> str:
    """Of the batch and of what is done with it; everything else is in the name of the folder."""
    told = work.func.__name__ if isinstance(work, partial) else work.__name__
    return hashlib.sha256(json.dumps([told, batch], ensure_ascii=False).encode()).hexdigest()[:32]


def _read(place: Path, record: type) -> dict[str, Any] | None:
    """A kept batch; None where there is none, or none that can be read: it is then made again.

    JSON gives back the very numbers; the order of keys, which it sorts, means nothing to those who ask.
    """
    try:
        return {key: record(**value) for key, value in read_json(place).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return None
