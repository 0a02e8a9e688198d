"""Prefect's server with a door before it: `python -m flows.app <port>`.

Forms that cannot work are refused when they are sent, in the words of the shell. Other hosts' names are not answered,
so that no page of the web can speak to it. A request that meets a locked database is put again. And /reports/ shows
the pages of data/reports, which browsers would not open from the disk; in a sandbox: they reach neither Prefect nor
each other.
"""

import asyncio
import json
import re
import sys
from pathlib import Path
from typing import Any

from irg_core.errors import FactoryError
from irg_core.files import read_json

REPORTS = Path("data/reports")
DEPLOYMENTS = Path(".prefect/deployments.json")
"""Ids that the server gave to our deployments, with their names."""
NEAR = {"127.0.0.1", "localhost", "[::1]"}
SANDBOX = (b"content-security-policy", b"sandbox allow-scripts allow-downloads allow-popups")
_SUBMISSION = re.compile(r"/api/deployments/([0-9a-f-]{36})/create_flow_run(/bulk)?/?")
_LONGEST = 2**20
"""Bytes of a request that are held to be asked again."""
ATTEMPTS = 20
"""How often a request is put to Prefect while its database is locked; such a one was rolled back."""


class Door:
    """What stands between a browser and Prefect's application."""

    def __init__(self, prefect: Any, pages: Any) -> None:
        self.prefect, self.pages = prefect, pages

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self.prefect(scope, receive, send)
        elif not _is_near(scope):
            if scope["type"] == "http":
                await _answer(send, 421, "this server answers to 127.0.0.1 and localhost alone")
        elif scope["path"].startswith("/reports/"):
            await self.pages({**scope, "path": scope["path"].removeprefix("/reports")}, receive, _sandboxed(send))
        elif scope["path"].startswith("/api/") and scope["type"] == "http":
            await self._api(scope, receive, send)
        else:
            await self.prefect(scope, receive, send)

    async def _api(self, scope: Any, receive: Any, send: Any) -> None:
        body = await _body(receive)
        asked = _SUBMISSION.fullmatch(scope["path"]) if scope["method"] == "POST" else None
        if asked and (complaint := await asyncio.to_thread(refusal, asked[1], body)):
            await _answer(send, 409, complaint)
            return
        attempts = ATTEMPTS if len(body) < _LONGEST else 1
        for attempt in range(attempts):
            held = Held(send, is_last=attempt == attempts - 1)
            try:
                await self.prefect(dict(scope), _again(body, receive), held)
            except Exception:
                if not held.is_busy:
                    raise
            if not held.is_busy:
                return
            await asyncio.sleep(min(0.05 * 2**attempt, 1.0))


class Held:
    """Passes an answer on, unless it says that the database had another writer just then."""

    def __init__(self, send: Any, is_last: bool) -> None:
        self._send, self._is_last = send, is_last
        self.is_busy = False

    async def __call__(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.is_busy = message["status"] == 503 and not self._is_last
        if not self.is_busy:
            await self._send(message)


def refusal(deployment: str, body: bytes) -> str:
    """Why this form cannot work; empty if it can, or if the deployment is none of ours."""
    from flows.forms import FORMS, work_of

    try:
        title, sent = read_json(DEPLOYMENTS).get(deployment), json.loads(body or b"{}")
        forms = sent if isinstance(sent, list) else [sent]
        for form in forms if title in FORMS else []:
            work_of(title, _written_out(form.get("parameters") or {}))
    except FactoryError as error:
        return str(error)
    except (OSError, ValueError, AttributeError):
        return ""  # no deployment of ours, or nothing that Prefect would take
    return ""


def _written_out(parameters: dict[str, Any]) -> dict[str, Any]:
    """The UI wraps what was typed as JSON; this is what Prefect makes of it. Raises `ValueError` where it is none."""
    from prefect.utilities.schema_tools.hydration import HydrationContext, HydrationError, hydrate

    try:
        return dict(hydrate(parameters, HydrationContext(raise_on_error=True)))
    except HydrationError as error:
        raise ValueError(str(error)) from error


def _is_near(scope: Any) -> bool:
    hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
    return all(re.sub(r":\d+$", "", host) in NEAR for host in hosts)


async def _body(receive: Any) -> bytes:
    content, more = b"", True
    while more and len(content) < _LONGEST:
        message = await receive()
        content += message.get("body", b"")
        more = message.get("more_body", False)
    return content


def _again(body: bytes, receive: Any) -> Any:
    """A `receive` that gives the body once more."""
    given = [{"type": "http.request", "body": body, "more_body": len(body) >= _LONGEST}]

    async def once() -> Any:
        return given.pop() if given else await receive()

    return once


def _sandboxed(send: Any) -> Any:
    async def passed(message: Any) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], SANDBOX, (b"cache-control", b"no-cache")]}
        await send(message)

    return passed


async def _answer(send: Any, code: int, detail: str) -> None:
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": code, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps({"detail": detail}).encode()})


def main(port: int) -> None:
    import uvicorn
    from prefect.server.api.server import create_app
    from starlette.staticfiles import StaticFiles

    # DVC may have put links into its cache in place of the pages.
    pages = StaticFiles(directory=REPORTS, check_dir=False, follow_symlink=True)
    door = Door(create_app(final=True), pages)
    uvicorn.run(door, host="127.0.0.1", port=port, timeout_keep_alive=5, log_level="warning")


if __name__ == "__main__":
    main(int(sys.argv[1]))
