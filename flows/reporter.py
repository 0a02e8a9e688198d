"""The process that tells Prefect about one stage run: `python -m flows.reporter <API>`, its messages on stdin.

While the work goes on nobody waits for it, so it asks a server that went away again and again. Once the work is over
it has a few seconds, and ends; what a stage of a run said is kept until a server has heard its end (`retell`). Of the
stage's environment it sees next to nothing (`flows.server.environment`).
"""

import os
import queue
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar
from uuid import uuid4

from flows.messages import Began, Counted, Ended, Message, line, read
from flows.prefect_api import Api, FlowRun, Refused, Silent
from flows.reports import title
from flows.server import HOME, answers
from irg_core.files import write_text

ATTEMPTS = 3
"""How often a silent server is asked at the start, while there is work."""
LAST_ATTEMPTS = 2
"""How often it is asked once the work is over."""
ANSWER = 2.0
"""Seconds for each answer."""
PAUSE = 0.3
"""Seconds between two attempts."""
CATCH_UP = 3.5
"""Seconds after the work in which batches are still shown; its end must be told in what is left of `GIVE_UP`."""
GIVE_UP = 6.5
"""Seconds after the work when the reporter leaves, whatever it still had to say."""
UNTOLD = HOME / "untold" / "stages"
"""What stages of runs said whose end no server has heard yet, a file each."""
KILLED = "the stage ended without a word: it was killed, or its machine stopped"

Answer = TypeVar("Answer")


class GaveUp(Exception):
    """Prefect does not take what it is told, and more attempts would keep someone waiting."""


class Mailbox:
    """Messages, taken in as they come: the stage never meets a full pipe. The last one is always an `Ended`."""

    def __init__(self) -> None:
        self.key = str(uuid4())
        """Of the stage run."""
        self.kept = UNTOLD / f"{self.key}.jsonl"
        self.over = threading.Event()
        self.over_at = 0.0
        self._messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        threading.Thread(target=self._read, name="mailbox", daemon=True).start()

    def next(self) -> Message:
        return self._messages.get()

    @property
    def is_late(self) -> bool:
        return self.over.is_set() and time.monotonic() - self.over_at > CATCH_UP

    def _read(self) -> None:
        # A line without its end was cut by a kill.
        messages = (read(one) for one in sys.stdin.buffer if one.endswith(b"\n"))
        last: Message = Ended("Crashed", KILLED, [], "")
        said: list[Message] = []
        for message in messages:
            if isinstance(message, Ended):
                last = message
                break
            if not isinstance(message, Counted):
                said.append(message)
            self._messages.put(message)
        self._keep([*said, last])
        self.over_at = time.monotonic()
        self.over.set()
        self._messages.put(last)

    def _keep(self, said: list[Message]) -> None:
        """A stage from a shell has no worker who would tell of it later."""
        if isinstance(said[0], Began) and said[0].parent:
            with suppress(OSError):  # a full disk is the stage's to complain of
                write_text(self.kept, b"".join(map(line, said)).decode())


class Patience:
    """Attempts to reach a server: many while there is work, few when someone waits; said once, whatever happens."""

    def __init__(self, name: str, api: str, mailbox: Mailbox) -> None:
        self.name, self.api, self.mailbox = name, api, mailbox
        self._said = False

    def find_server(self) -> None:
        for _ in range(ATTEMPTS):
            if not (trouble := answers(self.api, ANSWER)):
                return
            if self.mailbox.over.wait(PAUSE):
                break
        raise GaveUp(f"no Prefect server answers at {self.api} ({trouble})")

    def insist(self, ask: Callable[[], Answer]) -> Answer:
        """The answer, from as many attempts as there is time for; a server that says no raises `GaveUp`."""
        left = 1 if self._said else LAST_ATTEMPTS
        while True:
            try:
                return ask()
            except Refused as error:
                raise GaveUp(f"the Prefect server at {self.api} refuses: {error}") from error
            except Silent as error:
                if self.mailbox.over.is_set() and (left := left - 1) == 0:
                    raise GaveUp(f"the Prefect server at {self.api} does not answer ({error})") from error
                if not self.mailbox.over.is_set():
                    self.say(f"the Prefect server at {self.api} went silent ({error}); it is asked again until the end")
                time.sleep(PAUSE)

    def say(self, what: str) -> None:
        if not self._said:
            self._said = True
            print(f"{self.name}: NOT WATCHED, the work goes on: {what}", file=sys.stderr, flush=True)

    def leave(self) -> None:
        """End this process in time, wherever it hangs."""
        self.mailbox.over.wait()
        time.sleep(GIVE_UP)
        self.say(f"the Prefect server at {self.api} takes too long")
        os._exit(1)


def main(api: str) -> int:
    mailbox = Mailbox()
    began = mailbox.next()
    if not isinstance(began, Began):
        return 1
    patience = Patience(title(began.stage, began.item), api, mailbox)
    threading.Thread(target=patience.leave, name="leave", daemon=True).start()
    try:
        if not began.parent:
            patience.find_server()
        tell(began, api, mailbox, patience)
        mailbox.kept.unlink(missing_ok=True)
    except GaveUp as trouble:
        patience.say(str(trouble))
        return 1
    return 0


def tell(began: Began, api: str, mailbox: Mailbox, patience: Patience) -> None:
    """Pass on every message up to the last; batches that come to light too late are left out."""
    with Api(api, ANSWER) as asked:
        run = FlowRun(asked, mailbox.key)
        message: Message = began
        while True:
            if isinstance(message, Began | Ended) or not mailbox.is_late:
                for call in run.calls(message):
                    patience.insist(call)
            if isinstance(message, Began):
                patience.insist(asked.crash_orphans)
            if isinstance(message, Ended):
                return
            message = mailbox.next()


def retell(api: Api) -> None:
    """Tell of the stages whose reporters left before a server heard how they ended."""
    for kept in sorted(UNTOLD.glob("*.jsonl")):
        with suppress(FileNotFoundError):  # the reporter itself was faster
            if time.time() - kept.stat().st_mtime > 2 * GIVE_UP:
                said = list(map(read, kept.read_bytes().splitlines()))
                _retell(FlowRun(api, kept.stem), said)
                kept.unlink()


def _retell(run: FlowRun, said: list[Message]) -> None:
    with suppress(Refused):  # the run that it belongs to was deleted, say; the answer stays
        for message in said:
            for call in run.calls(message):
                call()


if __name__ == "__main__":
    # At once: the mailbox may still wait for a line, and nothing else is worth waiting for.
    os._exit(main(sys.argv[1]))
