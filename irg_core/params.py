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
    values = yaml.safe_load(PATH.read_text(encoding="utf-8"))
    for position, part in enumerate(parts := name.split(".")):
        if not isinstance(values, dict) or part not in values:
            there = ".".join(parts[:position]) or "the top level"
            known = ", ".join(values) if isinstance(values, dict) else "nothing"
            raise ParamsError(f"{PATH}: section '{name}' is missing; {there} has: {known}")
        values = values[part]
    return values


def _forbid_unknown_keys(shape: Any) -> None:
    """Ask pydantic, for a dataclass and those inside it, to refuse unknown keys: a typo must not be ignored."""
    shape.__pydantic_config__ = ConfigDict(extra="forbid")
    for hint in typing.get_type_hints(shape).values():
        for inner in (hint, *typing.get_args(hint)):
            if dataclasses.is_dataclass(inner):
                _forbid_unknown_keys(inner)


def apply_profile(profile: Path) -> str:
    """Write the profile's values into params.yaml, comments kept, and return the difference as text."""
    from ruamel.yaml import YAML  # keeps comments; only this command pays for it

    editor = YAML()
    editor.width = 120
    before = PATH.read_text(encoding="utf-8")
    values = editor.load(before)
    _overlay(values, editor.load(profile.read_text(encoding="utf-8")), str(profile))
    from io import StringIO

    stream = StringIO()
    editor.dump(values, stream)
    write_text(PATH, stream.getvalue())
    lines = difflib.unified_diff(
        before.splitlines(), stream.getvalue().splitlines(), "params.yaml", str(profile), lineterm="", n=1
    )
    return "\n".join(lines)


def _overlay(values: Any, changes: Any, place: str) -> None:
    for key, change in changes.items():
        if key not in values:
            raise ParamsError(f"{place}: '{key}' is not in {PATH}; a profile changes values and adds none")
        if isinstance(change, dict) and isinstance(values[key], dict):
            _overlay(values[key], change, f"{place}: {key}")
        else:
            values[key] = change


if __name__ == "__main__":
    if len(sys.argv) != 2 or not Path(sys.argv[1]).exists():
        sys.exit("usage: python -m irg_core.params profiles/<name>.yaml")
    print(apply_profile(Path(sys.argv[1])))
