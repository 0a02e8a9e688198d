"""Records in Parquet: one dataclass, one table.

Equal rows give equal bytes (sorted by the record's first field, fixed row groups, compression and writer), so that DVC
can stop a cascade where nothing changed. The Arrow schema is derived from the record's annotations.

A table may be larger than memory: rows are sorted in runs that wait on disk, beside the table that they will be.
"""

import dataclasses
import heapq
import itertools
import shutil
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from irg_core.errors import TableError
from irg_core.files import whole_file

Record = TypeVar("Record")

ROWS_PER_GROUP = 512
ROWS_AT_A_TIME = 64
"""Rows that a scan decodes together."""
RUN_ROWS, RUN_BYTES = 16384, 32 * 2**20
"""Rows, or bytes of frames, that are held to be sorted at one time; the frames are what makes a row large."""
PAGE_BYTES = 2**20
"""Bytes of frames that are read from one run at a time."""
FAN = 32
"""Runs that are merged at one time."""
_SCALARS: dict[Any, pa.DataType] = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}


def schema(record: type, first: Any = None) -> pa.Schema:
    """The Arrow schema of a record: scalars, lists, nested records, and frames as `Annotated[np.ndarray, width]`.

    Frames are as wide as those of the first row, where there is one: a build may have another skeleton.
    """
    hints = typing.get_type_hints(record, include_extras=True)
    kinds = {
        name: _frames_of(value.shape[1])
        if isinstance(value := getattr(first, name, None), np.ndarray)
        else _arrow(hint)
        for name, hint in hints.items()
    }
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in kinds.items()])


def _with_schema(rows: Iterable[Record], record: type[Record]) -> tuple[pa.Schema, Iterator[Record]]:
    """The schema of rows, and the same rows."""
    remaining = iter(rows)
    head = list(itertools.islice(remaining, 1))
    return schema(record, *head), itertools.chain(head, remaining)


def commit(path: Path, rows: Iterable[Record], record: type[Record]) -> int:
    """Write rows sorted by their first field, whole or not at all; return how many. A duplicate key is refused.

    Rows are taken one by one, and never all held: what does not fit is sorted in runs beside `path` and merged.
    """
    key = schema(record).names[0]
    with _scratch(path) as scratch, whole_file(path) as aside:
        shape, ordered = _with_schema(_unique(_sorted(iter(rows), record, scratch), path, key, record), record)
        with pq.ParquetWriter(aside, shape, compression="zstd", version="2.6") as writer:
            return sum(_write(writer, group, shape) for group in _groups(ordered))


def read(path: Path, record: type[Record]) -> list[Record]:
    """All rows of a table. Raises `TableError` where the file is missing or has other columns than the record."""
    return list(scan(path, record))


def scan(path: Path, record: type[Record]) -> Iterator[Record]:
    """The rows of a table in order, of which only a few are in memory at a time. Raises `TableError` as `read` does."""
    if not path.exists():
        raise TableError(f"{path} is missing; `dvc repro` makes it")
    shape = schema(record)
    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            if names != shape.names:
                raise TableError(f"{path} has columns {names}, a {record.__name__} has {shape.names}; run `dvc repro`")
            for batch in file.iter_batches(batch_size=ROWS_AT_A_TIME, use_threads=False):
                yield from _records(pa.Table.from_batches([batch]), record)
    except pa.ArrowInvalid as error:
        raise TableError(f"{path} is not a readable Parquet file ({error}); delete it and run `dvc repro`") from error


def read_all(folder: Path, names: Sequence[str], record: type[Record]) -> list[Record]:
    """The rows of `<folder>/<name>.parquet` for the names given, and of no other file that lies there."""
    return [row for name in names for row in read(folder / f"{name}.parquet", record)]


@contextmanager
def _scratch(path: Path) -> Iterator[Path]:
    """An empty folder beside `path`, gone afterwards; what a kill leaves is hidden from DVC and replaced here."""
    folder = path.with_name(f".{path.name}.runs.part")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _records(table: pa.Table, record: type[Record]) -> Iterator[Record]:
    hints = typing.get_type_hints(record, include_extras=True)
    columns = [_values(table.column(name), hint) for name, hint in hints.items()]
    return itertools.starmap(record, zip(*columns, strict=True))


def _sorted(rows: Iterator[Record], record: type[Record], scratch: Path) -> Iterator[Record]:
    """Rows in the order of their keys: as they are where they fit into memory, else merged from runs on disk."""
    key = _key(record)
    held = _run_of(rows, record)
    following = _run_of(rows, record)
    if not following:
        return iter(held)
    paths = (scratch / f"{number}.parquet" for number in itertools.count())
    # A run is a chain of files. Rows that come in order, as they mostly do, make a single one.
    runs: list[list[Path]] = []
    last = ""
    while held:
        if not runs or key(held[0]) < last:
            runs.append([])
        last = key(held[-1])
        runs[-1].append(_spill(held, record, next(paths)))
        held, following = following, _run_of(rows, record)
    while len(runs) > FAN:
        merged = _spill(_merged(runs[:FAN], record), record, next(paths))
        for path in itertools.chain.from_iterable(runs[:FAN]):
            path.unlink()
        runs = [*runs[FAN:], [merged]]
    return _merged(runs, record)


def _run_of(rows: Iterator[Record], record: type[Record]) -> list[Record]:
    """The next rows that fit into memory, sorted."""
    held: list[Record] = []
    weight = 0
    for row in rows:
        held.append(row)
        weight += _weight(row)
        if weight >= RUN_BYTES or len(held) >= RUN_ROWS:
            break
    return sorted(held, key=_key(record))


def _weight(row: Any) -> int:
    """Bytes of the frames of a row."""
    values = (getattr(row, field.name) for field in dataclasses.fields(row))
    return sum(value.nbytes for value in values if isinstance(value, np.ndarray))


def _key(record: type) -> Callable[[Any], str]:
    name = dataclasses.fields(record)[0].name
    return lambda row: str(getattr(row, name))


def _spill(ordered: Iterable[Record], record: type[Record], path: Path) -> Path:
    """A run on disk, in pages that are small enough for many runs to be read side by side."""
    shape, ordered = _with_schema(ordered, record)
    with pq.ParquetWriter(path, shape, compression="lz4", version="2.6", use_dictionary=False) as writer:
        page: list[Record] = []
        weight = 0
        for row in ordered:
            page.append(row)
            weight += _weight(row)
            if weight >= PAGE_BYTES or len(page) >= ROWS_PER_GROUP:
                _write(writer, page, shape)
                page, weight = [], 0
        if page:
            _write(writer, page, shape)
    return path


def _merged(runs: Sequence[Sequence[Path]], record: type[Record]) -> Iterator[Record]:
    return heapq.merge(*(_paged(run, record) for run in runs), key=_key(record))


def _paged(run: Sequence[Path], record: type[Record]) -> Iterator[Record]:
    """The rows of a run, one page in memory at a time."""
    for path in run:
        with pq.ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                yield from _records(file.read_row_group(group, use_threads=False), record)


def _unique(ordered: Iterable[Record], path: Path, key: str, record: type) -> Iterator[Record]:
    last = None
    for row in ordered:
        if (name := getattr(row, key)) == last:
            raise TableError(f"{path}: {key} '{name}' occurs twice; keys must be unique in a {record.__name__} table")
        last = name
        yield row


def _groups(rows: Iterator[Record]) -> Iterator[list[Record]]:
    while group := list(itertools.islice(rows, ROWS_PER_GROUP)):
        yield group


def _write(writer: pq.ParquetWriter, rows: Sequence[Any], shape: pa.Schema) -> int:
    writer.write_table(_table(rows, shape))
    return len(rows)


def _arrow(hint: Any) -> pa.DataType:
    if hint in _SCALARS:
        return _SCALARS[hint]
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated and arguments[0] is np.ndarray:
        return _frames_of(arguments[1])
    if origin is list:
        return pa.list_(pa.field("element", _arrow(arguments[0]), nullable=False))
    if dataclasses.is_dataclass(hint):
        return pa.struct(list(schema(typing.cast(type, hint))))
    raise TypeError(f"no Arrow type for {hint!r}")


def _frames_of(width: int) -> pa.DataType:
    return pa.list_(pa.list_(pa.field("element", pa.float32(), nullable=False), width))


def _table(rows: Sequence[Any], shape: pa.Schema) -> pa.Table:
    columns = [_column([getattr(row, field.name) for row in rows], field.type) for field in shape]
    return pa.Table.from_arrays(columns, schema=shape)


def _column(values: list[Any], kind: pa.DataType) -> pa.Array:
    if values and isinstance(values[0], np.ndarray):
        width = kind.value_type.list_size
        if others := sorted({value.shape[1] for value in values} - {width}):
            raise TableError(f"frames of {others[0]} numbers among frames of {width}; one table has one skeleton")
        offsets = np.cumsum([0, *(len(value) for value in values)], dtype=np.int32)
        flat = pa.array(np.concatenate(values).astype(np.float32).ravel())
        inner = pa.FixedSizeListArray.from_arrays(flat, type=pa.list_(kind.value_type.value_field, width))
        return pa.ListArray.from_arrays(offsets, inner, type=kind)
    return pa.array([_plain(value) for value in values], type=kind)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _values(column: pa.ChunkedArray, hint: Any) -> list[Any]:
    if typing.get_origin(hint) is typing.Annotated:
        return [frames for chunk in column.chunks for frames in _frames(chunk)]
    return [_typed(value, hint) for value in column.to_pylist()]


def _frames(chunk: pa.ListArray) -> list[np.ndarray]:
    offsets = chunk.offsets.to_numpy()
    numbers = chunk.values.values.to_numpy().reshape(-1, chunk.values.type.list_size)
    return [numbers[start:end] for start, end in pairwise(offsets)]


def _typed(value: Any, hint: Any) -> Any:
    if isinstance(hint, types.GenericAlias) and hint.__origin__ is list:
        (item,) = hint.__args__
        return [_typed(element, item) for element in value] if dataclasses.is_dataclass(item) else value
    if dataclasses.is_dataclass(hint):
        hints = typing.get_type_hints(hint)
        return typing.cast(Any, hint)(**{name: _typed(value[name], hints[name]) for name in hints})
    return value
