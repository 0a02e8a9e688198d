"""Prefect's server with a door before it: `python -m flows.app <port>`.

Forms that cannot work are refused when they are sent, in the words of the shell. Neither other hosts' names nor other
origins are answered, so that no page of the web can speak to it. A request that meets a locked database is put again.
And /reports/ shows the pages of data/reports, which browsers would not open from the disk; in a sandbox: they reach
neither Prefect nor each other.
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
NEAR = ("127.0.0.1", "localhost", "[::1]")
CLOSED = {"type": "websocket.close", "code": 1008}
"""To a WebSocket that is not let in."""
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
        elif complaint := _stranger(scope):
            await (_answer(send, *complaint) if scope["type"] == "http" else send(CLOSED))
        elif scope["path"].startswith("/reports/") and scope["type"] == "http":
            await self.pages({**scope, "path": scope["path"].removeprefix("/reports")}, receive, _sandboxed(send))
        elif scope["path"].startswith("/api/") and scope["type"] == "http":
            await self._api(scope, receive, send)
        else:
            await self.prefect(scope, receive, send)

    async def _api(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = await _body(receive)
        asked = _SUBMISSION.fullmatch(scope["path"]) if scope["method"] == "POST" else None
        if asked and (complaint := await asyncio.to_thread(refusal, asked[1], body)):
            await _answer(send, 409, complaint)
            return
        attempts = 1 if more else ATTEMPTS
        for attempt in range(attempts):
            held = Held(send, is_last=attempt == attempts - 1)
            try:
                await self.prefect(dict(scope), _again(body, more, receive), held)
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
        title = read_json(DEPLOYMENTS).get(deployment)
        for parameters in _sent(body) if title in FORMS else []:
            work_of(title, parameters)
    except FactoryError as error:
        return str(error)
    except OSError:
        return ""  # no deployment of ours
    return ""


def _sent(body: bytes) -> list[dict[str, Any]]:
    """The parameters of each form; of none where the body is nothing that Prefect would take.

    The UI wraps what was typed as JSON; this is what Prefect makes of it.
    """
    from prefect.utilities.schema_tools.hydration import HydrationContext, HydrationError, hydrate

    try:
        sent = json.loads(body or b"{}")
        forms = sent if isinstance(sent, list) else [sent]
        context = HydrationContext(raise_on_error=True)
        return [dict(hydrate(form.get("parameters") or {}, context)) for form in forms]
    except (HydrationError, ValueError, TypeError, AttributeError, RecursionError):
        return []


def _stranger(scope: Any) -> tuple[int, str] | None:
    """Code and sentence for one who uses another host's name, or asks from another's page, as browsers tell."""
    hosts, origins = _header(scope, b"host"), _header(scope, b"origin")
    if not all(re.sub(r":\d+$", "", host) in NEAR for host in hosts):
        return 421, "this server answers to 127.0.0.1 and localhost alone"
    # A page that was opened under one of our names asks the API under another.
    own = {f"http://{name}:{host.rpartition(':')[2]}" for name in NEAR for host in hosts}
    return None if own.issuperset(origins) else (403, "this server answers to its own pages alone")


def _header(scope: Any, wanted: bytes) -> list[str]:
    return [value.decode("latin-1") for name, value in scope["headers"] if name == wanted]


async def _body(receive: Any) -> tuple[bytes, bool]:
    """What came of a body, and whether there is more of it."""
    content, more = b"", True
    while more and len(content) < _LONGEST:
        message = await receive()
        content += message.get("body", b"")
        more = message.get("more_body", False)
    return content, more


def _again(body: bytes, more: bool, receive: Any) -> Any:
    """A `receive` that gives the body once more."""
    given = [{"type": "http.request", "body": body, "more_body": more}]

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


def pages() -> Any:
    """The application that shows data/reports; what is not there is a 404."""
    from starlette.applications import Starlette
    from starlette.routing import Mount
    from starlette.staticfiles import StaticFiles

    REPORTS.mkdir(parents=True, exist_ok=True)
    # DVC may have put links into its cache in place of the pages.
    return Starlette(routes=[Mount("/", StaticFiles(directory=REPORTS, follow_symlink=True))])


def main(port: int) -> None:
    import uvicorn
    from prefect.server.api.server import create_app

    door = Door(create_app(final=True), pages())
    uvicorn.run(door, host="127.0.0.1", port=port, timeout_keep_alive=5, log_level="warning")


if __name__ == "__main__":
    main(int(sys.argv[1]))
