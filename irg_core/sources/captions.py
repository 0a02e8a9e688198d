"""What is said about the motions of a folder: in one table, in a text beside each file, or in the files' names.

A corpus may also have no captions at all; then only the describe stage speaks of its motions. But where captions are
promised, a motion without one is refused.
"""

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from irg_core.errors import SourceError
from irg_core.records.motion import SourceCaption
from irg_core.sources.names import shown
from irg_core.sources.walking import MOST_BYTES, Found

NO_CAPTION = "no caption"
UNREADABLE_CAPTIONS = "unreadable captions"

CLIP_COLUMNS = ("clip", "clip_id", "id", "file", "filename", "file_name", "path", "name", "motion", "motion_id")
TEXT_COLUMNS = ("caption", "text", "description", "annotation", "sentence", "label")
FORMS = "a file name, {file, clip, text}, {sidecar: .txt} or {pattern, say}"

_FIELD = re.compile(r"\{(\w+)\}")


class NoCaption(Exception):
    """A motion without the caption that was promised; `args` are a fixed reason and the detail."""


class Captions:
    """Looks up what is said about a file."""

    def __init__(self, find: Callable[[Found], Iterable[str]] | None) -> None:
        self._find = find

    def of(self, found: Found) -> tuple[SourceCaption, ...]:
        """Its captions, blanks made one; none at all where the corpus promises none. Raises `NoCaption`."""
        if self._find is None:
            return ()
        texts = [" ".join(text.split()) for text in self._find(found)]
        if not any(texts):
            raise NoCaption(NO_CAPTION, "the corpus's entry names captions, but none speaks of this file")
        return tuple(SourceCaption(text, "") for text in texts if text)


def captions(root: Path, option: Any) -> Captions:
    """What the option `captions` of a corpus's entry points to. Raises `SourceError` where that cannot be had."""
    match option:
        case None:
            return Captions(None)
        case str():
            return Captions(_table(root, option, None, None))
        case {"file": str(file), "clip": str(clip), "text": str(text), **rest} if not rest:
            return Captions(_table(root, file, clip, text))
        case {"sidecar": str(suffix), **rest} if not rest:
            return Captions(lambda found: _beside(found, suffix))
        case {"pattern": str(pattern), "say": str(say), **rest} if not rest:
            return Captions(_spelled(pattern, say))
    raise SourceError(f"corpora: 'captions' is {shown(option)}; it takes {FORMS}")


# --- a table --------------------------------------------------------------------------------------------------------


def _table(root: Path, file: str, clip: str | None, text: str | None) -> Callable[[Found], Iterable[str]]:
    said: dict[str, list[str]] = {}
    rows = _rows(root, file)
    columns = list(dict.fromkeys(name for row in rows for name in row))
    clip_column = _column(clip, CLIP_COLUMNS, columns, file, "clip")
    text_column = _column(text, TEXT_COLUMNS, [name for name in columns if name != clip_column], file, "text")
    for row in rows:
        said.setdefault(_key(str(row.get(clip_column) or "")), []).extend(_texts(row.get(text_column)))

    # A table may name files from another folder on; where a name occurs once in it, the name alone will do.
    names = Counter(PurePosixPath(key).name for key in said)
    by_name = {name: said[key] for key in said if names[name := PurePosixPath(key).name] == 1}

    def find(found: Found) -> Iterable[str]:
        keys = [found.relative, _key(found.relative), PurePosixPath(found.relative).name, _stem(found.relative)]
        return next((said[key] for key in keys if key in said), by_name.get(_stem(found.relative), ()))

    return find


def _rows(root: Path, file: str) -> list[dict[str, Any]]:
    """The rows of a table (CSV, TSV, JSON lines or an index) inside the corpus's folder, as column to value."""
    path = root / file
    if PurePosixPath(file).is_absolute() or ".." in PurePosixPath(file).parts:
        raise SourceError(f"corpora: the captions {shown(file)} must lie inside the corpus's root, {shown(root)}")
    try:
        if path.stat().st_size > MOST_BYTES or not path.is_file():
            raise SourceError(f"{shown(path)} is no table of captions: not a file, or more than {MOST_BYTES} bytes")
        text = path.read_bytes().decode("utf-8-sig")
        return _READERS.get(path.suffix.lower(), _separated)(text)
    except (OSError, ValueError, csv.Error, RecursionError) as error:
        raise SourceError(f"{shown(path)} cannot be read as a table of captions ({shown(error)})") from error


def _json_lines(text: str) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in text.splitlines() if line.strip()]
    if not all(isinstance(row, dict) for row in rows):
        raise ValueError("each line must be an object")
    return rows


def _separated(text: str, delimiter: str = ",") -> list[dict[str, Any]]:
    # A row that is longer than the header keeps its surplus under None, which is no column.
    return [
        {name: value for name, value in row.items() if name is not None}
        for row in csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    ]


def _index(text: str) -> list[dict[str, Any]]:
    """Lines of a clip, a blank and what is said of it, as in the index that goes round with CMU's files."""
    parts = [line.split(maxsplit=1) for line in text.splitlines()]
    return [{"clip": part[0], "text": part[1]} for part in parts if len(part) == 2]


_READERS: dict[str, Callable[[str], list[dict[str, Any]]]] = {
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".tsv": partial(_separated, delimiter="\t"),
    ".txt": _index,
}
"""By suffix; anything else is taken for CSV."""


def _column(given: str | None, usual: tuple[str, ...], columns: list[str], file: str, role: str) -> str:
    """The column of a role: the one given, else one of a usual name, else the first whose name contains one."""
    if given is not None:
        candidates = [name for name in columns if name == given]
    else:
        candidates = [name for wanted in usual for name in columns if name.strip().lower() == wanted]
        candidates += [name for wanted in usual for name in columns if wanted in name.lower()]
    if not candidates:
        raise SourceError(
            f"{shown(file)} has no column '{shown(given or role)}' for the {role}; it has: "
            f"{shown(', '.join(columns) or 'none')}; name it: captions: {{file: …, clip: …, text: …}}"
        )
    return candidates[0]


def _key(clip: str) -> str:
    """A clip as a table may name it, without suffix and in one form."""
    path = clip.strip().replace("\\", "/").removeprefix("./")
    folder, slash, name = path.rpartition("/")
    stem, dot, suffix = name.rpartition(".")
    return folder + slash + (stem if dot and suffix.isalnum() and not suffix.isdigit() else name)


def _stem(relative: str) -> str:
    return _key(PurePosixPath(relative).name)


def _texts(value: Any) -> list[str]:
    if isinstance(value, list):
        return [text for text in value if isinstance(text, str)]
    return [value] if isinstance(value, str) else []


# --- a text beside each file ----------------------------------------------------------------------------------------


def _beside(found: Found, suffix: str) -> list[str]:
    """The lines of the file with the same name and another suffix."""
    path = found.path.with_name(_stem(found.path.name) + suffix)
    try:
        if not path.is_file():
            return []
        if path.stat().st_size > MOST_BYTES:
            raise NoCaption(UNREADABLE_CAPTIONS, f"{path.name} has more than {MOST_BYTES} bytes")
        return path.read_bytes().decode("utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise NoCaption(UNREADABLE_CAPTIONS, f"{path.name}: {error}") from error


# --- the file's name ------------------------------------------------------------------------------------------------


def _spelled(pattern: str, say: str) -> Callable[[Found], list[str]]:
    """Sentences spelled by file names: `walk_tired_1` by `{action}_{style}_{take}`, said as `a {style} {action}`."""
    named = _FIELD.findall(pattern)
    if not named or len(set(named)) < len(named):
        raise SourceError(f"corpora: the pattern {shown(pattern)!r} needs fields in braces, each once")
    if unknown := sorted(set(_FIELD.findall(say)) - set(named)):
        raise SourceError(f"corpora: 'say' speaks of {', '.join(unknown)}; the pattern has: {', '.join(named)}")
    expression = _expression(pattern)

    def find(found: Found) -> list[str]:
        matched = expression.fullmatch(_key(found.relative) if "/" in pattern else _stem(found.relative))
        if not matched:
            raise NoCaption(NO_CAPTION, f"its name is not of the pattern {pattern}")
        words = {field: " ".join(re.split(r"[\W_]+", value)).lower() for field, value in matched.groupdict().items()}
        return [_FIELD.sub(lambda field: words[field[1]], say)]

    return find


def _expression(pattern: str) -> re.Pattern[str]:
    """Each field reaches up to what follows it in the pattern, where it ends: giving back never helps.

    (Possessive quantifiers would say so, but are broken in the first releases of Python 3.11.)
    """
    parts = _FIELD.split(pattern)
    expression = re.escape(parts[0])
    for field, literal in zip(parts[1::2], parts[2::2], strict=True):
        until = f"(?!{re.escape(literal)})" if literal else ""
        expression += f"(?P<{field}>(?:{until}[^/])+){re.escape(literal)}"
    return re.compile(expression)
