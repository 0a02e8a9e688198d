"""The files of a folder that nobody has vetted: no loops, no pipes, no endless files."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from irg_core.records.annotation import Rejection
from irg_core.sources.names import safe_name, shown

MISPLACED = "not a plain file"
LINKED_FOLDER = "folder behind a link"
TOO_LARGE = "file too large"

MOST_BYTES = 64 * 2**20
"""A longer file is no single take."""
LONG = {".bvh": 512 * 2**20, ".npy": 160 * 2**20}
"""The same where half an hour at 120 frames a second needs more: of 40 joints in BVH, of 22 in NumPy's numbers."""


@dataclass(frozen=True, slots=True)
class Found:
    """A file of a corpus that may be opened."""

    path: Path
    relative: str  # to the corpus's root, with "/" on every system

    @property
    def name(self) -> str:
        return safe_name(self.relative)

    @property
    def source(self) -> str:
        """Its path for a table or a page: as it is, save for signs that neither can show."""
        return shown(self.relative, 4096)


def walk(root: Path, suffixes: tuple[str, ...]) -> Iterator[Found | Rejection]:
    """The files below `root` that end in one of `suffixes` (lower case), in the order of their names.

    Names that begin with a dot are passed over, as everywhere. A folder named like a file, a pipe, a link that leads
    nowhere, and a file of absurd size are rejections. Links to files are followed (a cache may hold the files
    themselves), links to folders are not: they may lead in circles, or out of the corpus.
    """
    pending = [""]
    while pending:
        folder = pending.pop()
        deeper = []
        for name in sorted(_listed(root / folder)):
            relative = f"{folder}/{name}" if folder else name
            path = root / relative
            if name.startswith("."):
                continue
            if name.lower().endswith(suffixes):
                fault = _fault(path)
                yield rejection(relative, *fault) if fault else Found(path, relative)
            elif path.is_dir():
                if path.is_symlink():
                    yield rejection(relative, LINKED_FOLDER, "copy it in, or make it a corpus of its own")
                else:
                    deeper.append(relative)
        pending += reversed(deeper)


def rejection(relative: str, reason: str, detail: object) -> Rejection:
    """A file's refusal; neither its name nor its content can do harm where this is printed."""
    return Rejection(safe_name(relative), "ingest", reason, f"{shown(relative)}: {shown(detail)}")


def _listed(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208  # names only: a Path would have to be taken apart again
    except OSError:
        return []


def _fault(path: Path) -> tuple[str, str] | None:
    """Why a file must not even be opened: opening a pipe, for one, waits for ever."""
    try:
        status = path.stat()
    except OSError as error:
        return MISPLACED, error.strerror or "cannot be looked at"
    if not stat.S_ISREG(status.st_mode):
        return MISPLACED, "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe or a device"
    most = LONG.get(path.suffix.lower(), MOST_BYTES)
    if status.st_size > most:
        return TOO_LARGE, f"{status.st_size} bytes; of this kind at most {most} are read: cut it into shorter takes"
    return None
