"""Many words or decimal numbers out of text at once; each number is rounded correctly."""

import re
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc

_ONE_A_LINE = bytes.maketrans(b" \t\r,;", b"\n\n\n\n\n")
PORTION = 8 * 2**20
"""Bytes of text that are taken apart together; they need some ten times their size for a moment."""
LONGEST = 1000
"""Signs that a number may have."""
_PLUS = re.compile(rb"(?<![^\n])\+")


def numbers(text: bytes) -> np.ndarray:
    """The numbers [n] of a text, separated by blanks, commas or ends of lines. Raises `ValueError` at anything else."""
    column = text.translate(_ONE_A_LINE)
    if b"+" in column:
        column = _PLUS.sub(b"", column)  # "+1.5" is a number too, though not to Arrow
    return np.asarray(_column(column, pa.float64()).to_numpy())


def stream(file: BinaryIO, announced: int) -> np.ndarray:
    """The numbers [announced] from a file's position to its end, without ever holding its text.

    Raises `ValueError` at anything else, and at any other number of them.
    """
    start = file.tell()
    size = file.seek(0, 2) - start
    file.seek(start)
    # A number and what parts it from the next take two bytes at least: nothing is set aside for what cannot be there.
    found = np.empty(announced if 2 * announced <= size + 1 else 0)
    count, rest, part = 0, b"", b"\n"
    while part:
        part = file.read(PORTION)
        whole, rest = _ended(rest + part, is_last=not part)
        values = numbers(whole)
        if count + len(values) <= len(found):
            found[count : count + len(values)] = values
        count += len(values)
    if count != announced:
        raise ValueError(f"{count} numbers in place of {announced}")
    return found


def _ended(text: bytes, is_last: bool) -> tuple[bytes, bytes]:
    """A text up to the last blank, and what comes after; nothing comes after the last one."""
    end = len(text) if is_last else max(text.rfind(blank) for blank in b" \n\t\r,;") + 1
    if not end and len(text) > LONGEST:
        raise ValueError(f"'{text[:40].decode('ascii', 'replace')}' stands where a number should")
    return text[:end], text[end:]


def words(text: bytes) -> pa.Array:
    """The words [n] of a text as an Arrow array of strings: a tenth of the memory of a list of them."""
    return _column(text.translate(_ONE_A_LINE), pa.string())


def as_numbers(found: pa.Array) -> np.ndarray:
    """Words that are numbers. Raises `ValueError` where one is not."""
    try:
        return np.asarray(found.cast(pa.float64()).to_numpy())
    except pa.ArrowInvalid as error:
        raise _no_number(error) from error


def _column(lines: bytes, kind: pa.DataType) -> pa.Array:
    """Lines as a table of one column: Arrow reads it several times faster than NumPy splits and converts words."""
    if not lines or lines.isspace():
        return pa.array([], kind)
    read = pc.ReadOptions(use_threads=False, column_names=["value"], block_size=len(lines) + 1)
    parse = pc.ParseOptions(quote_char=False)
    convert = pc.ConvertOptions(column_types={"value": kind}, null_values=[], strings_can_be_null=False)
    try:
        table = pc.read_csv(pa.BufferReader(lines), read_options=read, parse_options=parse, convert_options=convert)
    except pa.ArrowInvalid as error:
        raise _no_number(error) from error
    return table.column(0).chunk(0) if table.column(0).num_chunks == 1 else table.column(0).combine_chunks()


def _no_number(error: pa.ArrowInvalid) -> ValueError:
    # Arrow names the row of our one column, which is no line of the file; the value is what helps.
    return ValueError(f"{str(error).rpartition('value ')[2]} stands where a number should")
