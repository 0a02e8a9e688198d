"""Tells Prefect in the background of what happens, as long as it takes: nothing that works ever waits for a server."""

import logging
import queue
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from flows import server
from flows.prefect_api import Api, Refused, Silent
from flows.reporter import retell
from flows.stage import masked
from irg_core.files import read_json, write_json

Told = Callable[[Api], object]
PAUSE = 0.5
"""Seconds between two attempts to reach a server."""
PATIENCE = 60.0
"""Seconds after the work, until a run waits no longer for a server; its outcome is kept for the worker to tell."""
UNTOLD = server.HOME / "untold"
"""Outcomes that no server has heard yet, a file a run."""
MOST_LINES = 100
"""Log lines of one request."""


class Teller:
    """Requests of one run, made in their order, each again and again until a server answers."""

    def __init__(self, run: str) -> None:
        self.run = run
        self._asked: queue.SimpleQueue[Told | tuple[int, str] | None] = queue.SimpleQueue()
        self._over = threading.Event()
        self._over_at = 0.0
        self._thread = threading.Thread(target=self._work, name="teller", daemon=True)
        self._thread.start()

    def tell(self, told: Told) -> None:
        self._asked.put(told)

    def log(self, line: str, level: int = logging.INFO) -> None:
        print(line, flush=True)
        self._asked.put((level, masked(line)))

    def end(self, outcome: dict[str, str]) -> None:
        """The last word. Returns when all is told, or when nobody was there for long enough; then the word is kept."""
        kept = UNTOLD / f"{self.run}.json"
        write_json(kept, outcome)
        self.tell(lambda api: _close(self.run, outcome, kept, api))
        self._over_at = time.monotonic()
        self._over.set()
        self._asked.put(None)
        self._thread.join()

    def _work(self) -> None:
        lines: list[tuple[int, str]] = []
        while True:
            try:
                # Lines that come together are told together.
                asked = self._asked.get(timeout=0.3) if lines else self._asked.get()
            except queue.Empty:
                self._flush(lines)
                continue
            if isinstance(asked, tuple):
                lines.append(asked)
                if len(lines) < MOST_LINES:
                    continue
            self._flush(lines)
            if asked is None:
                return
            if not isinstance(asked, tuple):
                self._insist(asked)

    def _flush(self, lines: list[tuple[int, str]]) -> None:
        for level in sorted({level for level, _ in lines}):
            self._insist(partial(_log, self.run, level, [line for of, line in lines if of == level]))
        lines.clear()

    def _insist(self, told: Told) -> None:
        while not self._over.is_set() or time.monotonic() - self._over_at < PATIENCE:
            try:
                if address := server.address():
                    with Api(address, seconds=10) as api:
                        told(api)
                    return
            except Refused as error:
                print(f"Prefect refuses what it is told: {error}", file=sys.stderr, flush=True)
                return
            except Silent:
                pass
            time.sleep(PAUSE)


def catch_up(api: Api) -> list[str]:
    """Tell how stages and runs ended that found no server to hear it; returns these runs."""
    retell(api)
    told = []
    for kept in sorted(UNTOLD.glob("*.json")):
        try:
            _close(kept.stem, read_json(kept), kept, api)
            told.append(kept.stem)
        except FileNotFoundError:  # the run itself was faster
            continue
        except Refused as error:
            if str(error).startswith("404"):  # the server knows no such run any more
                kept.unlink(missing_ok=True)
    return told


def _close(run: str, outcome: dict[str, str], kept: Path, api: Api) -> None:
    api.set_state(run, outcome)
    kept.unlink(missing_ok=True)


def _log(run: str, level: int, lines: list[str], api: Api) -> None:
    api.log(run, level, lines)
