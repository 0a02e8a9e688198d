"""Where batches run: here, or in a pool of processes. The seam is the signature of the builtin `map`."""

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

MapBatches = Callable[..., Any]


@dataclass(frozen=True)
class RuntimeParams:
    """How the work is done; nothing here changes a byte of any output, so no stage depends on it."""

    executor: Literal["local", "process"]
    workers: int
    """Processes for `executor: process`."""
    concurrency: int
    """Questions under way to an annotator at one time."""


@contextmanager
def executor(runtime: RuntimeParams) -> Iterator[MapBatches]:
    """A `map` that keeps the order of its inputs, whatever runs them."""
    if runtime.executor == "local" or runtime.workers == 1:
        yield map
        return
    # Spawned, not forked: a fork of a process with running threads (torch, arrow) can deadlock.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(runtime.workers, mp_context=context, initializer=_die_with_stage) as pool:
        yield pool.map


def _die_with_stage() -> None:
    from pipelines.__main__ import die_with_parent

    die_with_parent()
