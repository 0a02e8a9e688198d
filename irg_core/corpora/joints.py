"""Joint positions in npy, npz or Parquet files, in an order that is named or spelled out.

An npy or npz file is one take, [frames, joints, 3]; an npz may bring `names`, `fps` and `captions` along, as those that
we export do. In a Parquet file each row is a take: a column of nested lists (`joints` or `positions`), and if they are
there a name, a rate and captions.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from irg_core.errors import SourceError
from irg_core.motion import hierarchies, orders
from irg_core.motion.orders import Order
from irg_core.records.annotation import Rejection
from irg_core.records.motion import SourceCaption, Take
from irg_core.sources import arrays, folders
from irg_core.sources.captions import CLIP_COLUMNS, TEXT_COLUMNS, Captions
from irg_core.sources.captions import captions as open_captions
from irg_core.sources.entry import Entry, entry
from irg_core.sources.names import safe_name, shown
from irg_core.sources.walking import Found, rejection, walk

SUFFIXES = (".npy", ".npz", ".parquet")
ARRAYS = ("joints", "positions")
RATES = ("fps", "framerate", "frame_rate")
_TEXTS = (*TEXT_COLUMNS, *(f"{name}s" for name in TEXT_COLUMNS))


def read(
    root: Path, *, order: Any = None,
    captions: Any = None, fps: Any = None, up: Any = None, unit: Any = None, joints: Any = None,
) -> Iterator[Take | Rejection]:  # fmt: skip
    """One take for each npy or npz file and each Parquet row, in the order of their names.

    `order` names the joints as stored: t2m, smpl, smplh or kit, a list of their joints, or a mapping of joints to
    parents. Files that bring `names` need none.
    """
    options = entry(fps=fps, up=up, unit=unit, joints=joints)
    said = open_captions(root, captions)
    told = None if order is None else _order(order)
    empty = True
    for found in walk(root, SUFFIXES):
        empty = False
        if isinstance(found, Rejection):
            yield found
        elif found.relative.lower().endswith(".parquet"):
            yield from _rows(found, told, said, options)
        else:
            yield folders.take(found, partial(_motion, told=told), said, options)
    if empty:
        raise SourceError(f"{shown(root)} holds no joint positions; *.npy, *.npz and *.parquet are looked for")


def _order(option: Any) -> Order:
    try:
        match option:
            case str() if option in orders.TREES:
                return orders.known(option)
            case [*names] if all(isinstance(name, str) for name in names):
                return orders.listed(names)
            case dict() if all(isinstance(name, str) for pair in option.items() for name in pair):
                return orders.spelled_out(option)
    except ValueError as error:
        raise SourceError(f"corpora: 'order' has {error}") from error
    raise SourceError(
        f"corpora: 'order' is {shown(option)}; it takes {', '.join(orders.TREES)}, a list of their joints in your "
        "order, or a mapping of your joints to their parents, '' for the root"
    )


def _motion(found: Found, told: Order | None) -> Take:
    """The bare take of an npy or npz file. Raises `ValueError`."""
    if found.relative.lower().endswith(".npy"):
        return _take(arrays.numeric(arrays.npy(found.path)), told, None)
    content = arrays.npz(found.path, (*ARRAYS, *RATES, "names", *_TEXTS))
    stored = _first(content, ARRAYS)
    if stored is None:
        raise ValueError(f"no array named {' or '.join(ARRAYS)} in it")
    if told is None and "names" in content:
        told = orders.listed([str(name) for name in content["names"].reshape(-1)])
    rate, texts = _first(content, RATES), _first(content, _TEXTS)
    said = [] if texts is None or texts.dtype.kind != "U" else texts.reshape(-1).tolist()
    return _take(arrays.numeric(stored), told, None if rate is None else arrays.numeric(rate).reshape(-1)[0], said)


def _take(stored: np.ndarray, told: Order | None, fps: float | None, said: list[str] | None = None) -> Take:
    if told is None:
        raise ValueError("no order of joints; give the corpus's entry an 'order'")
    joints, hierarchy = told.body(stored)
    captions = tuple(SourceCaption(" ".join(text.split()), "") for text in said or () if text.strip())
    return Take("", joints, float("nan") if fps is None else float(fps), captions, "", "", hierarchy=hierarchy)


def _first(content: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((content[name] for name in names if content.get(name) is not None), None)


# --- Parquet --------------------------------------------------------------------------------------------------------


def _rows(found: Found, told: Order | None, said: Captions, options: Entry) -> Iterator[Take | Rejection]:
    """The takes of a Parquet file, or one rejection where it is none."""
    try:
        with pq.ParquetFile(found.path) as file:
            wanted = _columns(file)
            batches = file.iter_batches(batch_size=1, columns=wanted, use_threads=False)
            for number, batch in enumerate(batches):
                yield _row(found, number, batch, told, said, options)
    except (ValueError, OSError, pa.ArrowException) as error:
        yield rejection(found.relative, folders.UNREADABLE, error)


def _columns(file: pq.ParquetFile) -> list[str]:
    """The columns that are read; nothing is unpacked that would not fit. Raises `ValueError`."""
    names = file.schema_arrow.names
    wanted = [name for name in names if name in (*ARRAYS, *RATES, *CLIP_COLUMNS, *_TEXTS)]
    if not set(ARRAYS) & set(wanted):
        raise ValueError(f"no column named {' or '.join(ARRAYS)}; it has: {', '.join(names)}")
    for group in range(file.num_row_groups):
        values = max(
            file.metadata.row_group(group).column(place).num_values for place in range(file.metadata.num_columns)
        )
        if values > 3 * hierarchies.MOST:
            raise ValueError(f"a row group of {values} numbers; at most {3 * hierarchies.MOST} are read")
    return wanted


def _row(
    found: Found, number: int, batch: pa.RecordBatch, told: Order | None, said: Captions, options: Entry
) -> Take | Rejection:
    row = {name: batch.column(name)[0] for name in batch.schema.names}
    clip = _first({name: value.as_py() for name, value in row.items() if name in CLIP_COLUMNS}, CLIP_COLUMNS)
    name = safe_name(f"{clip}.x") if isinstance(clip, str) and clip else f"{found.name}__{number:06d}"
    rate = _first({column: value.as_py() for column, value in row.items() if column in RATES}, RATES)
    texts = _first({column: value.as_py() for column, value in row.items() if column in _TEXTS}, _TEXTS)
    listed = [texts] if isinstance(texts, str) else [text for text in texts or () if isinstance(text, str)]

    def motion(one: Found) -> Take:
        joints = _nested(_first(row, ARRAYS), len(told.names) if told else 0)
        return replace(_take(joints, told, rate, listed), name=name)

    result = folders.take(Found(found.path, f"{name}.parquet"), motion, said, options)
    return replace(result, source=found.source) if isinstance(result, Take) else result


def _nested(cell: pa.Scalar, joints: int) -> np.ndarray:
    """Nested lists [T][J][3], or one flat list, as an array [T, J, 3]. Raises `ValueError` where they are ragged."""
    values, shape = cell.values if isinstance(cell, pa.ListScalar) else None, [-1]
    while values is not None and pa.types.is_list(values.type):
        lengths = np.unique(values.value_lengths().to_numpy(zero_copy_only=False))
        if len(lengths) != 1:
            raise ValueError("joints in lists of unequal length")
        shape.append(int(lengths[0]))
        values = values.flatten()
    if (
        values is None
        or values.null_count
        or not (pa.types.is_floating(values.type) or pa.types.is_integer(values.type))
    ):
        raise ValueError("joints that are no lists of numbers")
    flat = values.to_numpy(zero_copy_only=False).astype(np.float64)
    return flat.reshape(shape if len(shape) == 3 else [-1, joints, 3])
