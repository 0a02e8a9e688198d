"""Records in Parquet: one dataclass, one table.

Equal rows give equal bytes (sorted by the record's first field, fixed row groups, compression and writer), so that DVC
can stop a cascade where nothing changed. The Arrow schema is derived from the record's annotations.
"""

import dataclasses
import types
import typing
from collections.abc import Iterable, Sequence
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
_SCALARS: dict[Any, pa.DataType] = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}


def schema(record: type) -> pa.Schema:
    """The Arrow schema of a record: scalars, lists, nested records, and frames as `Annotated[np.ndarray, width]`."""
    hints = typing.get_type_hints(record, include_extras=True)
    return pa.schema([pa.field(name, _arrow(hint), nullable=False) for name, hint in hints.items()])


def commit(path: Path, rows: Iterable[Record], record: type[Record]) -> int:
    """Write rows sorted by their first field, whole or not at all; return how many. A duplicate key is refused."""
    shape = schema(record)
    key = shape.names[0]
    ordered = sorted(rows, key=lambda row: str(getattr(row, key)))
    keys = [getattr(row, key) for row in ordered]
    for earlier, later in pairwise(keys):
        if earlier == later:
            raise TableError(f"{path}: {key} '{later}' occurs twice; keys must be unique in a {record.__name__} table")
    with whole_file(path) as aside, pq.ParquetWriter(aside, shape, compression="zstd", version="2.6") as writer:
        for start in range(0, len(ordered), ROWS_PER_GROUP):
            writer.write_table(_table(ordered[start : start + ROWS_PER_GROUP], shape))
    return len(ordered)


def read(path: Path, record: type[Record]) -> list[Record]:
    """All rows of a table. Raises `TableError` where the file is missing or has other columns than the record."""
    if not path.exists():
        raise TableError(f"{path} is missing; `dvc repro` makes it")
    try:
        table = pq.read_table(path, partitioning=None)
    except pa.ArrowInvalid as error:
        raise TableError(f"{path} is not a readable Parquet file ({error}); delete it and run `dvc repro`") from error
    shape = schema(record)
    if table.schema.names != shape.names:
        raise TableError(
            f"{path} has columns {table.schema.names}, a {record.__name__} has {shape.names}; run `dvc repro`"
        )
    hints = typing.get_type_hints(record, include_extras=True)
    columns = [_values(table.column(name), hint) for name, hint in hints.items()]
    return [record(*row) for row in zip(*columns, strict=True)]


def read_all(folder: Path, names: Sequence[str], record: type[Record]) -> list[Record]:
    """The rows of `<folder>/<name>.parquet` for the names given, and of no other file that lies there."""
    return [row for name in names for row in read(folder / f"{name}.parquet", record)]


def _arrow(hint: Any) -> pa.DataType:
    if hint in _SCALARS:
        return _SCALARS[hint]
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated and arguments[0] is np.ndarray:
        return pa.list_(pa.list_(pa.field("element", pa.float32(), nullable=False), arguments[1]))
    if origin is list:
        return pa.list_(pa.field("element", _arrow(arguments[0]), nullable=False))
    if dataclasses.is_dataclass(hint):
        return pa.struct(list(schema(typing.cast(type, hint))))
    raise TypeError(f"no Arrow type for {hint!r}")


def _table(rows: Sequence[Any], shape: pa.Schema) -> pa.Table:
    columns = [_column([getattr(row, field.name) for row in rows], field.type) for field in shape]
    return pa.Table.from_arrays(columns, schema=shape)


def _column(values: list[Any], kind: pa.DataType) -> pa.Array:
    if values and isinstance(values[0], np.ndarray):
        offsets = np.cumsum([0, *(len(value) for value in values)], dtype=np.int32)
        flat = pa.array(np.concatenate(values).astype(np.float32).ravel())
        width = kind.value_type.list_size
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
        return [frames for chunk in column.chunks for frames in _frames(chunk, typing.get_args(hint)[1])]
    return [_typed(value, hint) for value in column.to_pylist()]


def _frames(chunk: pa.ListArray, width: int) -> list[np.ndarray]:
    offsets = chunk.offsets.to_numpy()
    numbers = chunk.values.values.to_numpy().reshape(-1, width)
    return [numbers[start:end] for start, end in pairwise(offsets)]


def _typed(value: Any, hint: Any) -> Any:
    if isinstance(hint, types.GenericAlias) and hint.__origin__ is list:
        (item,) = hint.__args__
        return [_typed(element, item) for element in value] if dataclasses.is_dataclass(item) else value
    if dataclasses.is_dataclass(hint):
        hints = typing.get_type_hints(hint)
        return typing.cast(Any, hint)(**{name: _typed(value[name], hints[name]) for name in hints})
    return value
