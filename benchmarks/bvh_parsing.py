"""How fast BVH files are read, beside the readers that the package registry has.

`python -m benchmarks.bvh_parsing` writes benchmarks/results/bvh_parsing.md. A reader that is not installed has no row
(`pip install bvh bvhio bvhsdk bvhtoolbox bvhTools pybvh upc-pymotion` into an environment of its own brings all that
were found). One thread, seconds of the processor, the best of several turns that take it in turns, so that a busy
machine slows all of them alike.
"""

import contextlib
import importlib
import io
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from irg_core.exports.bvh import text
from irg_core.files import write_text
from irg_core.motion import bvh
from irg_core.motion.skeleton import OFFSETS, PARENTS

RESULT = Path("benchmarks/results/bvh_parsing.md")
FRAMES = 3000
TURNS = 7


def sample() -> str:
    """A body of 22 joints that sways through 3000 frames at 120 a second, as we export it."""
    body = np.zeros((22, 3))
    for joint, parent in enumerate(PARENTS):
        body[joint] = OFFSETS[joint] + (body[parent] if parent >= 0 else (0.0, 0.95, 0.0))
    seconds = np.arange(FRAMES)[:, None, None] / 120
    return text(body + 0.05 * np.sin(seconds * (1 + np.arange(22)[:, None]) + np.arange(3)), 120.0)


def ours(path: Path) -> Any:
    return bvh.parse(path.read_bytes())


def by(module: str, read: Callable[[Any, Path], Any]) -> Callable[[Path], Any] | None:
    """A reader of another package, `None` where it is not installed."""
    try:
        package = importlib.import_module(module)
    except ImportError:
        return None
    return lambda path: read(package, path)


def _load(package: Any, path: Path) -> Any:
    file = package.BVH()
    file.load(str(path))
    return file


def readers() -> dict[str, Callable[[Path], Any]]:
    others = {
        "pybvh": by("pybvh", lambda package, path: package.read_bvh_file(str(path))),
        "bvhTools": by("bvhTools.bvhIO", lambda package, path: package.readBvh(str(path))),
        "bvhsdk": by("bvhsdk", lambda package, path: package.ReadFile(str(path))),
        "upc-pymotion": by("pymotion.io.bvh", _load),
        "bvhtoolbox": by("bvhtoolbox", lambda package, path: package.BvhTree(path.read_text())),
        "bvh": by("bvh", lambda package, path: package.Bvh(path.read_text())),
        "bvhio": by("bvhio", lambda package, path: package.readAsBvh(str(path))),
    }
    return {"ours": ours} | {name: read for name, read in others.items() if read}


def best(readers: dict[str, Callable[[Path], Any]], path: Path) -> dict[str, float]:
    """Milliseconds of the processor for each reader, its best of several turns."""
    seconds = dict.fromkeys(readers, float("inf"))
    for _ in range(TURNS):
        for name, read in readers.items():
            with contextlib.redirect_stdout(io.StringIO()):
                began = time.process_time()
                read(path)
                seconds[name] = min(seconds[name], time.process_time() - began)
    return {name: 1000 * spent for name, spent in seconds.items()}


def posed(path: Path) -> tuple[float, float | None]:
    """Milliseconds from numbers to all joints' places, and the greatest difference to pybvh's in centimetres."""
    parsed = bvh.parse(path.read_bytes())
    spent = best({"pose": lambda _: bvh.pose(parsed)}, path)["pose"]
    reader = by("pybvh", lambda package, file: package.read_bvh_file(str(file)).node_positions())
    return spent, None if reader is None else float(np.abs(reader(path) - bvh.pose(parsed)[0]).max())


def table(spent: dict[str, float], pose: float, apart: float | None, size: int) -> str:
    rows = [
        f"| {name} | {milliseconds:.1f} | {milliseconds / spent['ours']:.1f} |"
        for name, milliseconds in sorted(spent.items(), key=lambda pair: pair[1])
    ]
    agreement = "" if apart is None else f" The places agree with pybvh's to {apart:.0e} cm."
    return "\n".join(
        [
            "| reader | ms a file | times ours |", "|---|--:|--:|", *rows, "",
            f"A file of {FRAMES} frames, {size / 1e6:.1f} MB, read into its skeleton and its numbers; one thread. "
            f"All joints' places and rotations from these take us another {pose:.1f} ms.{agreement}", "",
        ]
    )  # fmt: skip


if __name__ == "__main__":
    with TemporaryDirectory() as place:
        file = Path(place) / "sample.bvh"
        file.write_text(sample())
        found = readers()
        result = table(best(found, file), *posed(file), file.stat().st_size)
    write_text(RESULT, result)
    print(result)
    if len(found) == 1:
        sys.exit("no other reader is installed; the table has only ours")
