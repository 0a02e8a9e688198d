"""Records in Parquet: one dataclass, one table.

Equal rows give equal bytes (sorted by the record's first field, fixed row groups, compression and writer), so that DVC
can stop a cascade where nothing changed. The Arrow schema is derived from the record's annotations.

A table may be larger than memory: rows are sorted in runs that wait on disk, beside the table that they will be.
"""

import bisect
import dataclasses
import heapq
import itertools
import shutil
import types
import typing
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from irg_core.errors import TableError
from irg_core.files import whole_file

Record = TypeVar("Record")

ROWS_PER_GROUP = 512
"""Rows that are compressed and found together, where they hold frames."""
LIGHT_ROWS_PER_GROUP = 4096
"""The same, without frames. Fewer make one row quicker to read, and the list of groups that finds it longer: at a
million rows, opening a table then takes longer than reading the group."""
GROUPS_KEPT = 4
"""Groups that a `Keyed` table holds decoded."""
ROWS_AT_A_TIME = 64
"""Rows that a scan decodes together."""
ROWS_OF_COLUMNS = 2**17
"""Rows of a batch of columns."""
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
    with Draft(path, record) as draft:
        for row in rows:
            draft.add(row)
        return draft.commit()


class Draft(Generic[Record]):
    """A table in the making, for rows that come one by one among those of other tables; gone unless committed.

    A run is a chain of files. Rows that come in order, as they mostly do, make a single one.
    """

    def __init__(self, path: Path, record: type[Record]) -> None:
        self._path = path
        self._record = record
        self._key = _key(record)
        self._scratch = path.with_name(f".{path.name}.runs.part")  # hidden from DVC, where a kill leaves it
        self._spills = (self._scratch / f"{number}.parquet" for number in itertools.count())
        self._held: list[Record] = []
        self._weight = 0
        self._runs: list[list[Path]] = []
        self._last = ""

    def __enter__(self) -> typing.Self:
        shutil.rmtree(self._scratch, ignore_errors=True)
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._scratch, ignore_errors=True)

    def add(self, row: Record) -> None:
        if self._weight >= RUN_BYTES or len(self._held) >= RUN_ROWS:
            self._set_down()
        self._held.append(row)
        self._weight += _weight(row)

    def commit(self) -> int:
        """Put the table in its place; return how many rows it has. Raises `TableError` for a key that occurs twice."""
        with whole_file(self._path) as aside:
            unique = _unique(self._ordered(), self._path, schema(self._record).names[0], self._record)
            shape, ordered = _with_schema(unique, self._record)
            with pq.ParquetWriter(aside, shape, compression="zstd", version="2.6") as writer:
                return sum(_write(writer, group, shape) for group in _groups(ordered, _group_size(self._record)))

    def _ordered(self) -> Iterator[Record]:
        """Rows in the order of their keys: as they are where they fit into memory, else merged from runs on disk."""
        if not self._runs:
            return iter(sorted(self._held, key=self._key))
        self._set_down()
        runs = self._runs
        while len(runs) > FAN:
            merged = _spill(_merged(runs[:FAN], self._record), self._record, next(self._spills))
            for path in itertools.chain.from_iterable(runs[:FAN]):
                path.unlink()
            runs = [*runs[FAN:], [merged]]
        return _merged(runs, self._record)

    def _set_down(self) -> None:
        held, self._held, self._weight = sorted(self._held, key=self._key), [], 0
        if not self._runs or self._key(held[0]) < self._last:
            self._runs.append([])
            self._scratch.mkdir(parents=True, exist_ok=True)
        self._last = self._key(held[-1])
        self._runs[-1].append(_spill(held, self._record, next(self._spills)))


def read(path: Path, record: type[Record]) -> list[Record]:
    """All rows of a table. Raises `TableError` where the file is missing or has other columns than the record."""
    return list(scan(path, record))


def scan(path: Path, record: type[Record]) -> Iterator[Record]:
    """The rows of a table in order, of which only a few are in memory at a time. Raises `TableError` as `read` does."""
    with _opened(path) as file:
        names, shape = file.schema_arrow.names, schema(record)
        if names != shape.names:
            raise TableError(f"{path} has columns {names}, a {record.__name__} has {shape.names}; run `dvc repro`")
        for batch in file.iter_batches(batch_size=ROWS_AT_A_TIME, use_threads=False):
            yield from _records(pa.Table.from_batches([batch]), record)


def glance(path: Path, record: type[Record]) -> Iterator[Record]:
    """The rows as `scan` has them, with the fields of a record that has fewer: what is not named is not read."""
    with _opened(path) as file:
        wanted = _columns_of(file, path, record)
        for batch in file.iter_batches(batch_size=ROWS_AT_A_TIME, columns=wanted, use_threads=False):
            yield from _records(pa.Table.from_batches([batch]), record)


@contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    if not path.exists():
        raise TableError(f"{path} is missing; `dvc repro` makes it")
    try:
        with pq.ParquetFile(path) as file:
            yield file
    except pa.ArrowInvalid as error:
        raise TableError(f"{path} is not a readable Parquet file ({error}); delete it and run `dvc repro`") from error


def has_columns(path: Path, record: type) -> bool:
    """Whether a table is one of this record, and not of an earlier or later version of it."""
    with _opened(path) as file:
        return bool(file.schema_arrow.names == schema(record).names)


def count(path: Path) -> int:
    """How many rows a table has."""
    with _opened(path) as file:
        return int(file.metadata.num_rows)


def keys(path: Path) -> Iterator[str]:
    """The keys of a table, in order."""
    with _opened(path) as file:
        for batch in file.iter_batches(columns=file.schema_arrow.names[:1], use_threads=False):
            yield from batch.column(0).to_pylist()


def column_batches(path: Path, record: type) -> Iterator[pa.Table]:
    """As `columns`, some rows at a time: texts of a large table are more than one column of Arrow's can hold."""
    with _opened(path) as file:
        names = _columns_of(file, path, record)
        for batch in file.iter_batches(batch_size=ROWS_OF_COLUMNS, columns=names, use_threads=False):
            yield pa.Table.from_batches([batch]).combine_chunks()


def columns(path: Path, record: type) -> pa.Table:
    """The columns of a table that a record names, in Arrow's form; a record of fewer fields than the table reads less.

    For what looks at all rows at once: a million of them are seconds as columns, and minutes as records.
    """
    with _opened(path) as file:
        return file.read(columns=_columns_of(file, path, record), use_threads=False)


def find(path: Path, record: type[Record], key: str) -> Record | None:
    """The row with this key, read without most others; None where there is none. Fields as for `columns`."""
    return find_all(path, record, [key]).get(key)


def find_all(path: Path, record: type[Record], keys: Iterable[str]) -> dict[str, Record]:
    """The rows with these keys, as far as there are any. Fields as for `columns`.

    Rows are sorted by their key and groups know their last ones, so that only the groups that hold them are read.
    """
    found: dict[str, Record] = {}
    with _opened(path) as file:
        for group in _groups_with(file, keys, _columns_of(file, path, record)):
            found |= zip(group.column(0).to_pylist(), _records(group, record), strict=True)
    return found


def find_rows(path: Path, keys: Iterable[str], without: Collection[str] = ()) -> dict[str, dict[str, Any]]:
    """As `find_all`, of a table of whatever columns: the rows as mappings, without the columns named."""
    found: dict[str, dict[str, Any]] = {}
    with _opened(path) as file:
        names = [name for name in file.schema_arrow.names if name not in without]
        for group in _groups_with(file, keys, names):
            found |= zip(group.column(0).to_pylist(), group.to_pylist(), strict=True)
    return found


def _groups_with(file: pq.ParquetFile, keys: Iterable[str], names: list[str]) -> Iterator[pa.Table]:
    """The rows with these keys, those of one group together."""
    placed = [(_group_of(file, key), key) for key in sorted(set(keys))]
    wanted = [(number, key) for number, key in placed if number < file.num_row_groups and _first(file, number) <= key]
    for number, among in itertools.groupby(wanted, key=lambda pair: pair[0]):
        group = file.read_row_group(number, columns=names, use_threads=False)
        there = group.column(0).to_pylist()
        places = [(key, bisect.bisect_left(there, key)) for _, key in among]
        yield group.take(pa.array([place for key, place in places if there[place] == key], type=pa.int64()))


def keys_near(path: Path, key: str, count: int) -> list[str]:
    """The keys between which this key would stand, up to `count` on either side in its group of rows."""
    with _opened(path) as file:
        if not file.num_row_groups:
            return []
        group = min(_group_of(file, key), file.num_row_groups - 1)
        names = file.schema_arrow.names[:1]
        there = file.read_row_group(group, columns=names, use_threads=False).column(0).to_pylist()
        place = bisect.bisect_left(there, key)
        return there[max(0, place - count) : place + count]


def _columns_of(file: pq.ParquetFile, path: Path, record: type) -> list[str]:
    """The columns that a record names, its key first. Raises `TableError` where the table lacks one of them."""
    there, wanted = file.schema_arrow.names, [field.name for field in dataclasses.fields(record)]
    if missing := [name for name in wanted if name not in there]:
        raise TableError(f"{path} has no column {', '.join(missing)}; run `dvc repro`")
    return wanted


def _group_of(file: pq.ParquetFile, key: str) -> int:
    """The only group that can hold a key; the number of groups where the key is beyond all of them."""

    def last(group: int) -> str:
        return str(file.metadata.row_group(group).column(0).statistics.max)

    return bisect.bisect_left(range(file.num_row_groups), key, key=last)


def _first(file: pq.ParquetFile, group: int) -> str:
    """The first key of a group: what comes before it, and after the group before, is nowhere."""
    return str(file.metadata.row_group(group).column(0).statistics.min)


class Keyed(Generic[Record]):
    """A table that is asked for row after row by key: fast where the keys come nearly in order, right in any order.

    A few groups of rows are in memory, whatever the size of the table. Close it, or use it as a context.
    """

    def __init__(self, path: Path, record: type[Record]) -> None:
        with _opened(path) as file:
            self._names = _columns_of(file, path, record)
        self._file = pq.ParquetFile(path)
        self._record = record
        groups = (self._file.metadata.row_group(number).column(0) for number in range(self._file.num_row_groups))
        self._last = [str(group.statistics.max) for group in groups]
        self._held: OrderedDict[int, tuple[list[str], list[Record]]] = OrderedDict()

    def __enter__(self) -> typing.Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def find(self, key: str) -> Record | None:
        """The row with this key, or None."""
        if (group := bisect.bisect_left(self._last, key)) == len(self._last):
            return None
        keys, rows = self._group(group)
        place = bisect.bisect_left(keys, key)
        return rows[place] if keys[place] == key else None

    def starting(self, prefix: str) -> Iterator[Record]:
        """The rows whose keys start with `prefix`, in order."""
        for group in range(bisect.bisect_left(self._last, prefix), len(self._last)):
            keys, rows = self._group(group)
            for place in range(bisect.bisect_left(keys, prefix), len(keys)):
                if not keys[place].startswith(prefix):
                    return
                yield rows[place]

    def _group(self, number: int) -> tuple[list[str], list[Record]]:
        if number not in self._held:
            table = self._file.read_row_group(number, columns=self._names, use_threads=False)
            self._held[number] = table.column(0).to_pylist(), list(_records(table, self._record))
            if len(self._held) > GROUPS_KEPT:
                self._held.popitem(last=False)
        self._held.move_to_end(number)
        return self._held[number]


def read_all(folder: Path, names: Sequence[str], record: type[Record]) -> list[Record]:
    """The rows of `<folder>/<name>.parquet` for the names given, and of no other file that lies there."""
    return [row for name in names for row in read(folder / f"{name}.parquet", record)]


def _records(table: pa.Table, record: type[Record]) -> Iterator[Record]:
    hints = typing.get_type_hints(record, include_extras=True)
    columns = [_values(table.column(name), hint) for name, hint in hints.items()]
    return itertools.starmap(record, zip(*columns, strict=True))


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


def _group_size(record: type) -> int:
    hints = typing.get_type_hints(record, include_extras=True).values()
    has_frames = any(typing.get_origin(hint) is typing.Annotated for hint in hints)
    return ROWS_PER_GROUP if has_frames else LIGHT_ROWS_PER_GROUP


def _groups(rows: Iterator[Record], size: int) -> Iterator[list[Record]]:
    while group := list(itertools.islice(rows, size)):
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
