"""A headless Chromium that a test drives through its DevTools protocol."""

import base64
import io
import itertools
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self
from urllib.request import urlopen

import numpy as np
from PIL import Image
from websockets.sync.client import connect
from websockets.sync.connection import Connection

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = (
    "--headless", "--disable-gpu", "--enable-unsafe-swiftshader", "--disable-background-networking",
    "--no-first-run", "--remote-debugging-port=0",
)  # fmt: skip
PATIENCE = 60.0
"""Seconds for one answer; software draws slowly on a busy machine."""
ANSWERED = "Network.responseReceived"


def find() -> str | None:
    """The browser of this machine, if it has one."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Page:
    """The one tab of a browser, with all it asked for and complained of since it was opened."""

    def __init__(self, socket: Connection) -> None:
        self.socket = socket
        self.numbers = itertools.count(1)
        self.events: list[dict[str, Any]] = []

    def command(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self.numbers)
        self.socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while (said := self._hear()).get("id") != number:
            self.events.append(said)
        assert "error" not in said, said
        return said["result"]

    def open(self, file: Path | str, width: int = 1200, height: int = 800) -> Self:
        """Show a file, or what is at an address."""
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.command(f"{domain}.enable")
        self.command(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500
        )
        self.events.clear()
        self.command("Page.navigate", url=file if isinstance(file, str) else file.resolve().as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self.events.append(self._hear())
        return self

    def run(self, script: str) -> Any:
        """The value of an expression; a promise is waited for."""
        done = self.command("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    def wait(self, condition: str) -> None:
        """Until the expression is true. Raises `AssertionError`, with what the page says instead."""
        came = self.run(
            "new Promise(done => { const start = Date.now(); (function look() {"
            f"if ({condition}) done(true); else if (Date.now() - start > 40000) done(false);"
            "else setTimeout(look, 20); })() })"
        )
        if not came:
            refused = [event["params"]["response"] for event in self.events if event["method"] == ANSWERED]
            refused = [f"{one['status']} {one['url']}" for one in refused if one["status"] >= 400]
            said = self.run("document.body.innerText")[:3000]
            raise AssertionError(f"waited in vain for {condition}; refused: {refused}; the page says:\n{said}")

    def press(self, key: str) -> None:
        text = {"text": key} if len(key) == 1 else {}
        for kind in ("keyDown", "keyUp"):
            self.command("Input.dispatchKeyEvent", type=kind, key=key, **(text if kind == "keyDown" else {}))

    def picture(self, selector: str) -> np.ndarray:
        """The pixels [height, width, 3] of an element, as they are on the screen."""
        box = self.run(
            f"(r => [r.x + scrollX, r.y + scrollY, r.width, r.height])"
            f"(document.querySelector({selector!r}).getBoundingClientRect())"
        )
        clip = dict(zip(("x", "y", "width", "height"), box, strict=True), scale=1)
        png = base64.b64decode(self.command("Page.captureScreenshot", clip=clip)["data"])
        return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))

    @property
    def requests(self) -> list[str]:
        sent = [event["params"] for event in self.events if event["method"] == "Network.requestWillBeSent"]
        return [event["request"]["url"] for event in sent]

    @property
    def complaints(self) -> list[Any]:
        """Errors and warnings of the console, what was thrown, and what the browser calls an error."""
        # Its warnings are not ours: software drivers warn of their own slowness.
        return [
            event for event in self.events
            if event["method"] == "Runtime.exceptionThrown"
            or event["params"].get("type") in ("error", "warning", "assert")
            or event["params"].get("entry", {}).get("level") == "error"
        ]  # fmt: skip

    def _hear(self) -> dict[str, Any]:
        return json.loads(self.socket.recv(PATIENCE))


@contextmanager
def browser(program: str, home: Path) -> Iterator[Page]:
    """A browser with nothing remembered, its home in `home`; gone when the block ends."""
    sandbox = ["--no-sandbox"] if os.getuid() == 0 else []
    command = [program, *FLAGS, *sandbox, f"--user-data-dir={home}", "about:blank"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        found = next(filter(None, (re.search(r"ws://127\.0\.0\.1:(\d+)/", line) for line in process.stderr)))
        with urlopen(f"http://127.0.0.1:{found[1]}/json", timeout=PATIENCE) as answer:
            tab = next(tab for tab in json.load(answer) if tab["type"] == "page")
        with connect(tab["webSocketDebuggerUrl"], max_size=None) as socket:
            yield Page(socket)
    finally:
        process.terminate()
        process.wait(timeout=20)
