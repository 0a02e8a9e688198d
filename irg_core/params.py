"""params.yaml, one section a stage, checked against a dataclass that has no defaults.

`python -m irg_core.params profiles/ci.yaml` writes a profile into params.yaml and shows the difference.
"""

import dataclasses
import difflib
import sys
import typing
from collections.abc import Collection
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ConfigDict, TypeAdapter, ValidationError

from irg_core.errors import ParamsError
from irg_core.files import write_text

Section = TypeVar("Section")
PATH = Path("params.yaml")
_NULL = "tag:yaml.org,2002:null"


def section(name: str, shape: type[Section]) -> Section:
    """The section `name` (dots go deeper) as a dataclass; a missing, unknown or ill-typed key raises `ParamsError`."""
    values = _lookup(name)
    _forbid_unknown_keys(shape)
    try:
        return TypeAdapter(shape).validate_python(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join([name, *map(str, first["loc"])])
        known = ", ".join(field.name for field in dataclasses.fields(typing.cast(Any, shape)))
        raise ParamsError(f"{PATH}: {place}: {first['msg']}; the section '{name}' takes: {known}") from error


def mapping(name: str) -> dict[str, Any]:
    """A mapping of params.yaml as it stands, such as `corpora`."""
    values = _lookup(name)
    if not isinstance(values, dict):
        raise ParamsError(f"{PATH}: '{name}' must be a mapping, not {type(values).__name__}")
    return values


def choice(name: str, among: Collection[str]) -> str:
    """A word of params.yaml such as `skeleton`. Raises `ParamsError` where it is none of those that may stand there."""
    value = _lookup(name)
    if value not in among:
        raise ParamsError(f"{PATH}: {name}: {value!r} is none of {', '.join(among)}")
    return str(value)


def names(name: str) -> list[str]:
    """The keys of a mapping in sorted order, e.g. the corpora of this build."""
    found = sorted(mapping(name))
    if not found:
        raise ParamsError(f"{PATH}: '{name}' is empty; name at least one entry")
    return found


def _lookup(name: str) -> Any:
    if not PATH.exists():
        raise ParamsError(f"{PATH} is missing; run from the root of the checkout")
    values = _read()
    for position, part in enumerate(parts := name.split(".")):
        if not isinstance(values, dict) or part not in values:
            there = ".".join(parts[:position]) or "the top level"
            known = ", ".join(values) if isinstance(values, dict) else "nothing"
            raise ParamsError(f"{PATH}: section '{name}' is missing; {there} has: {known}")
        values = values[part]
    return values


def _read() -> Any:
    try:
        return yaml.safe_load(PATH.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ParamsError(f"{PATH} cannot be read: {' '.join(str(error).split())}; mend it there") from error


def _forbid_unknown_keys(shape: Any) -> None:
    """Ask pydantic, for a dataclass and those inside it, to refuse unknown keys: a typo must not be ignored."""
    shape.__pydantic_config__ = ConfigDict(extra="forbid")
    for hint in typing.get_type_hints(shape).values():
        for inner in (hint, *typing.get_args(hint)):
            if dataclasses.is_dataclass(inner):
                _forbid_unknown_keys(inner)


def apply_profile(profile: Path) -> str:
    """Write the profile's values into params.yaml, comments kept, and return the difference as text."""
    before = PATH.read_text(encoding="utf-8")
    after = overlaid(before, yaml.safe_load(profile.read_text(encoding="utf-8")) or {}, str(profile))
    write_text(PATH, after)
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), "params.yaml", str(profile), lineterm="", n=1)
    return "\n".join(lines)


def overlaid(text: str, changes: dict[str, Any], place: str) -> str:
    """The text of a params.yaml with other values; a key that it does not have raises `ParamsError` naming `place`."""
    from io import StringIO

    from ruamel.yaml import YAML  # keeps comments; only those who change parameters pay for it

    editor = YAML()
    editor.width, editor.preserve_quotes = 4096, True  # what is not changed stays as it is written
    editor.representer.add_representer(type(None), lambda writer, _: writer.represent_scalar(_NULL, "null"))
    values = editor.load(text)
    _overlay(values, changes, place)
    stream = StringIO()
    editor.dump(values, stream)
    return stream.getvalue()


def _overlay(values: Any, changes: Any, place: str, adds: bool = False) -> None:
    for key, change in changes.items():
        # An entry of `corpora` that names its format is whole: it is put in, or takes the place of the one there.
        if adds and isinstance(change, dict) and "format" in change:
            _put_in(values, key, change)
        elif key not in values:
            raise ParamsError(
                f"{place}: '{key}' is not in {PATH}; a profile changes values and adds only whole corpora"
            )
        elif isinstance(change, dict) and isinstance(values[key], dict):
            _overlay(values[key], change, f"{place}: {key}", adds=key == "corpora")
        else:
            values[key] = change


def _put_in(entries: Any, key: str, entry: dict[str, Any]) -> None:
    if key not in entries:
        # First, not last: what follows the last entry is the comment of the next section.
        entries.insert(0, key, entry)
        return
    there = entries[key]
    last = next(reversed(there))
    after = there.ca.items.get(last) if last not in entry else None
    for gone in set(there) - set(entry):
        del there[gone]
    there.update(entry)
    if after and after[2]:
        # What follows an entry belongs to its last key: the lines after it stay, its own remark goes.
        after[2].value = "\n" + after[2].value.partition("\n")[2]
        there.ca.items[next(reversed(there))] = after


if __name__ == "__main__":
    if len(sys.argv) != 2 or not Path(sys.argv[1]).exists():
        sys.exit("usage: python -m irg_core.params profiles/<name>.yaml")
    print(apply_profile(Path(sys.argv[1])))
