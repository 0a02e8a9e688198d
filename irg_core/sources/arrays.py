"""NumPy's npy and npz files from strangers: no pickle, no evaluation, nothing unpacked that is not wanted.

NumPy's own reader evaluates the header as Python text and asks for as much memory as it announces. Here the header must
be literally what writers write, and the size announced must be the size that is there.
"""

import re
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

MOST_BYTES = 256 * 2**20
"""Of one array, unpacked."""
_MOST_DIRECTORY = 2**20
_END, _END64_LOCATOR = b"PK\x05\x06", b"PK\x06\x07"
_HEADER = re.compile(
    rb"\{'descr': '([<>|=][a-zA-Z]\d{0,9})', 'fortran_order': (True|False), 'shape': \(([\d, ]{0,200})\),? *\}\s*"
)


def npy(path: Path) -> np.ndarray:
    """The array of an npy file, numbers or text. Raises `ValueError`."""
    return _array(path.read_bytes())


def npz(path: Path, wanted: Iterable[str]) -> dict[str, np.ndarray]:
    """Those of the wanted arrays that an npz file has. Raises `ValueError`."""
    _check_directory(path)
    try:
        with zipfile.ZipFile(path) as archive:
            there = {info.filename: info for info in archive.infolist()}
            members = {name: there[f"{name}.npy"] for name in wanted if f"{name}.npy" in there}
            return {name: _array(_unpacked(archive, info)) for name, info in members.items()}
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError) as error:
        raise ValueError(f"a broken archive: {error}") from error


def numeric(array: np.ndarray) -> np.ndarray:
    """An array of numbers as float64. Raises `ValueError` where it holds something else."""
    if array.dtype.kind not in "fiu":
        raise ValueError(f"an array of {array.dtype}, where numbers belong")
    if 8 * array.size > MOST_BYTES:
        raise ValueError(f"an array of {array.size} numbers; at most {MOST_BYTES // 8} are read")
    return array.astype(np.float64)


def _array(data: bytes) -> np.ndarray:
    if data[:6] != b"\x93NUMPY":
        raise ValueError("no NumPy array, or one that is pickled; pickles are never opened")
    if len(data) < 12 or data[6] not in (1, 2):
        raise ValueError("an npy file of an unknown version")
    start = 10 if data[6] == 1 else 12
    end = start + int.from_bytes(data[8:start], "little")
    header = _HEADER.fullmatch(data[start : min(end, start + 4096)])
    if not header:
        raise ValueError("an npy file with a broken header")
    kind = header[1].decode()
    if kind[1] == "O":
        raise ValueError("a pickled array; pickles are never opened")
    if kind[1] not in "fiubUS":
        raise ValueError(f"an array of '{kind}'")
    try:
        dtype = np.dtype(kind)
    except TypeError as error:
        raise ValueError(f"an array of '{kind}'") from error
    shape = tuple(int(number[:20]) for number in header[3].decode().replace(",", " ").split())
    count = 1
    for length in shape:
        count *= length
    if len(shape) > 8 or not dtype.itemsize or count * dtype.itemsize != len(data) - end:
        raise ValueError(f"{len(data) - end} bytes of numbers; shape {shape} of {kind} is announced")
    flat = np.frombuffer(data, dtype, count, end)
    return flat.reshape(shape, order="F" if header[2] == b"True" else "C")


def _check_directory(path: Path) -> None:
    """Refuse archives whose table of contents alone would fill the memory, before it is read."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - 42))
        tail = file.read()
    if tail[-22:-18] != _END or tail[-2:] != b"\0\0":
        raise ValueError("no npz archive")
    if tail[:4] == _END64_LOCATOR or int.from_bytes(tail[-10:-6], "little") > _MOST_DIRECTORY:
        raise ValueError("an archive with an endless table of contents")


def _unpacked(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    if info.file_size > MOST_BYTES:
        raise ValueError(f"{info.filename} would unpack to {info.file_size} bytes; at most {MOST_BYTES} are read")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{info.filename} is packed in a way that NumPy does not use")
    with archive.open(info) as member:
        # With a number given, no more than that is unpacked, whatever the archive says or hides.
        data = member.read(info.file_size)
    if len(data) != info.file_size:
        raise ValueError(f"{info.filename} ends early")
    return data
