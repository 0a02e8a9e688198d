"""What half-done work is made from, as a name: work of another question is never gone on with."""

import dataclasses
import hashlib
import json
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any


def fingerprint(params: Any, inputs: Sequence[Path]) -> str:
    """A hash over a params dataclass, the content of files and folders, and the source of all loaded project code."""
    digest = hashlib.sha256(json.dumps(dataclasses.asdict(params), sort_keys=True).encode())
    digest.update(version("torch").encode())
    for path in inputs:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                digest.update(f"{file.name}\0{of_file(file)}\0".encode())
    for source in _sources():
        digest.update(f"{source.name}\0{of_file(source)}\0".encode())
    return digest.hexdigest()[:16]


def of_file(path: Path) -> str:
    """SHA-256 of a file's content."""
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _sources() -> list[Path]:
    """The files of every project module that is loaded: more than a stage needs at times, never less.

    How the stage was started, watched or not, is no part of it.
    """
    names = (name for name in sorted(sys.modules) if name.split(".")[0] in {"irg_core", "pipelines"})
    ours = [sys.modules[name] for name in names if name != "pipelines.__main__"]
    return [Path(module.__file__) for module in ours if module.__file__]
