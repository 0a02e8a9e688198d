"""What half-done work is made from, piece by piece and as a name: work of another question is never gone on with."""

import ast
import dataclasses
import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from irg_core.files import write_text

LIBRARIES = ("numpy", "torch", "transformers")
"""Whose versions change the bytes of weights."""
WATCHING = "flows"
OURS = frozenset({"irg_core", "pipelines", WATCHING})
SHOWN = 4
"""Files that are named when more have changed."""
ABSENT = "absent"
SUMS = "SHA256SUMS"

Origin = dict[str, dict[str, Any]]
"""`params` by dotted key; `inputs` by path, `code` by module, each with its hash; `libraries` with their versions."""


def origin(params: Any, inputs: Sequence[Path]) -> Origin:
    """A params dataclass, the content of files and folders, and the source of all loaded project code."""
    return {
        "params": _flat(dataclasses.asdict(params)),
        "inputs": {file.as_posix(): of_file(file) for path in inputs for file in _files(path)},
        "code": {module: of_file(source) for module, source in _sources().items()},
        "libraries": {library: version(library) for library in LIBRARIES},
    }


def name_of(made_from: Origin) -> str:
    return hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()[:16]


def fingerprint(params: Any, inputs: Sequence[Path]) -> str:
    """The name of what work is made from."""
    return name_of(origin(params, inputs))


def of_inputs(inputs: Sequence[Path]) -> str:
    """The name of the content of files and folders, without params and code."""
    return name_of({"inputs": {file.as_posix(): of_file(file) for path in inputs for file in _files(path)}})


def differences(before: Origin, now: Origin, section: str) -> str:
    """In what two origins differ, for people: params by key with both values, the rest by name."""
    told = [f"{section}.{key} {was} → {is_}" for key, was, is_ in _changes(before, now, "params")]
    for kind in ("inputs", "code"):
        if changed := [key for key, _, _ in _changes(before, now, kind)]:
            more = f" and {len(changed) - SHOWN} more" if len(changed) > SHOWN else ""
            told.append(f"{kind} ({', '.join(changed[:SHOWN])}{more})")
    told += [f"{library} {was} → {is_}" for library, was, is_ in _changes(before, now, "libraries")]
    return ", ".join(told) or "nothing that was written down"


def of_file(path: Path) -> str:
    """SHA-256 of a file's content."""
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def seal(folder: Path) -> None:
    """Write down the hash of every file of a folder, as `sha256sum -c` reads it."""
    files = [file for file in folder.iterdir() if file.is_file() and file.name != SUMS]
    write_text(folder / SUMS, _sums({file.name: of_file(file) for file in files}))


def unlike(folder: Path) -> str:
    """Which files are not as they were when the folder was sealed; empty where all are. Files that came later may be.

    The list itself is held against the form in which it was written, for nothing says what its bytes should be.
    """
    try:
        said = (folder / SUMS).read_text(encoding="utf-8")
        listed = {name: known for known, name in (line.split("  ") for line in said.splitlines())}
    except FileNotFoundError:
        return f"{SUMS} is missing"
    except ValueError:
        return f"{SUMS} cannot be read"
    if _sums(listed) != said or not listed:
        return f"{SUMS} is not as it was written"
    missing = [f"{name} is missing" for name in listed if not (folder / name).is_file()]
    there = {name: known for name, known in listed.items() if (folder / name).is_file()}
    return "; ".join(
        missing + [f"{name} differs from its hash" for name in there if of_file(folder / name) != there[name]]
    )


def _sums(hashes: Mapping[str, str]) -> str:
    return "".join(f"{hashes[name]}  {name}\n" for name in sorted(hashes))


def _changes(before: Origin, now: Origin, kind: str) -> list[tuple[str, Any, Any]]:
    was, is_ = before.get(kind, {}), now.get(kind, {})
    pairs = [(key, was.get(key, ABSENT), is_.get(key, ABSENT)) for key in sorted(was.keys() | is_.keys())]
    return [(key, one, other) for key, one, other in pairs if one != other]


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, by dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat


def _files(path: Path) -> list[Path]:
    return [file for file in (sorted(path.rglob("*")) if path.is_dir() else [path]) if file.is_file()]


def _sources() -> dict[str, Path]:
    """The file of every project module that is loaded: more than a stage needs at times, never less.

    How the stage was started is no part of it: what only those who watch have loaded is left out.
    """
    files = {name: module.__file__ for name, module in list(sys.modules.items()) if name.split(".")[0] in OURS}
    loaded = {name: Path(file) for name, file in sorted(files.items()) if file and name != "pipelines.__main__"}
    watching = [name for name in loaded if name.split(".")[0] == WATCHING]
    working = [name for name in loaded if name.split(".")[0] == "pipelines"]
    apart = _reached(watching, loaded) - _reached(working, loaded) if watching else set()
    return {name: file for name, file in loaded.items() if name not in apart}


def _reached(starts: Sequence[str], loaded: Mapping[str, Path]) -> set[str]:
    """The loaded modules that these import, and so on, themselves included; plug-ins are nobody's imports."""
    found, left = set[str](), list(starts)
    while left:
        if (name := left.pop()) in loaded and name not in found:
            found.add(name)
            left += _imported(loaded[name])
            left += [name.rpartition(".")[0]]
    return found


def _imported(source: Path) -> list[str]:
    """What a file imports, anywhere in it: a module, or perhaps a name in one."""
    names = []
    for node in ast.walk(ast.parse(source.read_bytes())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return names
