"""`python -m flows.server start | stop | address`: a Prefect server that belongs to this checkout alone.

It listens on a free port of the loopback and keeps everything under .prefect/. Any other server, such as one on the
usual port, is left alone; stages report to it if PREFECT_API_URL names it.
"""

import fcntl
import hashlib
import http.client
import ipaddress
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from irg_core.errors import FactoryError
from irg_core.files import read_json, write_json

HOME = Path(".prefect")
STATE = HOME / "server.json"
LAST = HOME / "last-server.json"
"""The one before, once it was stopped: the next takes its port if it is free."""
LOG = HOME / "server.log"
PATIENCE = 120.0
"""Seconds until a new server has to answer; the first start builds its database, about 12 s on an idle machine."""

QUIET = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    "PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY": "false",
    "PREFECT_TELEMETRY_ENABLE_RESOURCE_METRICS": "false",
}
NEEDED = {
    *("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "VIRTUAL_ENV", "SSL_CERT_FILE", "SSL_CERT_DIR"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy"),
}

ROOMS = ("flows", "pipelines", "irg_core")
"""Folders of the code that server and worker run: forms are checked by what reads a corpus."""


class ServerError(FactoryError):
    """Our Prefect server does not come up, or there is none to speak of."""


@dataclass(frozen=True)
class Server:
    """A server started by this checkout."""

    pid: int
    port: int
    source: str = ""
    """Of the code that it runs (`source`); servers that are older than this field say none."""

    @property
    def page(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def api(self) -> str:
        return f"{self.page}/api"


def environment(*more: str) -> dict[str, str]:
    """What a process that deals with Prefect gets to see of our environment: it can tell no key that it never knew."""
    kept = {name: value for name, value in os.environ.items() if name in {*NEEDED, *more} or name.startswith("PYTHON")}
    near = ",".join(filter(None, [kept.get("NO_PROXY"), "127.0.0.1", "localhost"]))
    return {**kept, "NO_PROXY": near}


def source() -> str:
    """Names the state of our code, as a process that starts now would run it."""
    told = hashlib.sha256()
    for room in ROOMS:
        for path in sorted(Path(__file__).parents[1].joinpath(room).rglob("*.py")):
            told.update(path.as_posix().encode() + b"\0" + path.read_bytes())
    return told.hexdigest()[:16]


def is_near(api: str) -> bool:
    """Whether an address is one of this machine's own, to which no proxy leads."""
    with suppress(ValueError):
        host = urllib.parse.urlsplit(api).hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    return False


def address() -> str | None:
    """The API that stages report to: the one that PREFECT_API_URL names, else our own server, else none."""
    if named := os.environ.get("PREFECT_API_URL"):
        return named.rstrip("/")
    own = running()
    return own.api if own else None


def running() -> Server | None:
    """The server of this checkout, if its process lives; a number that now belongs to another process is none."""
    import psutil

    try:
        server = Server(**read_json(STATE))
        process = psutil.Process(server.pid)
        is_ours = str(server.port) in process.cmdline() and Path(process.cwd()) == Path.cwd()
    except (OSError, ValueError, TypeError, psutil.Error):
        return None
    return server if is_ours and process.status() != psutil.STATUS_ZOMBIE else None


def last() -> str | None:
    """The API of the server before, whose port the next one takes; None if there was none."""
    with suppress(OSError, ValueError, TypeError):
        return Server(**read_json(LAST)).api
    return None


def start() -> Server:
    """Find our server or start one, and wait until it answers. Raises `ServerError` if it does not."""
    HOME.mkdir(exist_ok=True)
    with _one_at_a_time():
        if server := running():
            _wait(server, None)
            return server
        port, code = _port(), source()
        process = _launch(port)
        server = Server(process.pid, port, code)
        for file in (STATE, LAST):
            write_json(file, asdict(server))
        _wait(server, process)
        return server


def stop() -> Server | None:
    """End our server and what belongs to it; None if there is none."""
    if (server := running()) is None:
        STATE.unlink(missing_ok=True)
        return None
    for ending in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(server.pid, ending)
        except ProcessLookupError:
            break
        if _gone(server.pid, seconds=10):
            break
    STATE.unlink(missing_ok=True)
    return server


def answers(api: str, seconds: float) -> str:
    """Why no Prefect API answers at this address; empty if one does."""
    direct = [urllib.request.ProxyHandler({})] if is_near(api) else []
    try:
        with urllib.request.build_opener(*direct).open(f"{api}/health", timeout=seconds) as reply:
            return "" if reply.read(16).strip() == b"true" else "what answers there is no Prefect API"
    except urllib.error.HTTPError as error:
        # One that wants a key is one: Prefect's client knows the key.
        return "" if error.code in (401, 403) else f"it says {error.code}; the address of an API ends in /api"
    except (OSError, ValueError, http.client.HTTPException) as error:
        return str(getattr(error, "reason", error)) or type(error).__name__


def _launch(port: int) -> subprocess.Popen[bytes]:
    """In a session of its own: neither a closed terminal nor an interrupt meant for the work ends it."""
    # Its home decides over its database and its settings; nothing of the user's own Prefect is read or written.
    own = {
        "PREFECT_HOME": str(HOME.resolve()),
        "PREFECT_UI_API_URL": f"http://127.0.0.1:{port}/api",
        # Its database has one writer at a time; by itself Prefect gives up waiting for it after 5 or 10 s.
        "PREFECT_SERVER_DATABASE_TIMEOUT": "60",
        "PREFECT_SERVER_DATABASE_CONNECTION_TIMEOUT": "60",
        # Pages of the web have no business here; by itself Prefect would answer them all.
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": f"http://127.0.0.1:{port},http://localhost:{port}",
    }
    with LOG.open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "flows.app", str(port)],
            env={**environment(), **QUIET, **own},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _port() -> int:
    """The port of the server before, so that open pages and running stages find the new one; else any that is free."""
    with suppress(OSError, ValueError, TypeError), socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", Server(**read_json(LAST)).port))
        return int(probe.getsockname()[1])
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(server: Server, process: subprocess.Popen[bytes] | None) -> None:
    deadline = time.monotonic() + PATIENCE
    while trouble := answers(server.api, seconds=2):
        ended = process.poll() is not None if process else running() is None
        if ended or time.monotonic() > deadline:
            stop()
            what = "ended" if ended else f"gave no answer in {PATIENCE:.0f} s"
            raise ServerError(
                f"the Prefect server on port {server.port} {what} ({trouble}); its last words: {_last_words()}"
            )
        time.sleep(0.1)


def _last_words() -> str:
    lines = [line for line in LOG.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return f"'{lines[-1].strip()}' (all of them: {LOG})" if lines else "none"


def _gone(pid: int, seconds: float) -> bool:
    """Whether the process ends in time; one that is about to has no command line any more, but is still there."""
    import psutil

    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.05)
    return False


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    with (HOME / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


COMMANDS = ("start", "stop", "address")


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or arguments[0] not in COMMANDS:
        print(f"usage: python -m flows.server {' | '.join(COMMANDS)}", file=sys.stderr)
        return 2
    try:
        print({"start": _start, "stop": _stop, "address": _address}[arguments[0]](), flush=True)
    except ServerError as error:
        print(error, file=sys.stderr, flush=True)
        return 2
    return 0


def _start() -> str:
    if named := os.environ.get("PREFECT_API_URL"):
        return f"PREFECT_API_URL names {named}: stages report there, no server is started"
    return f"watch the stages at {start().page} (make stop ends this server)"


def _stop() -> str:
    server = stop()
    return (
        f"the Prefect server on port {server.port} is stopped" if server else "no Prefect server of this checkout runs"
    )


def _address() -> str:
    if (api := address()) is None:
        raise ServerError("no Prefect server: PREFECT_API_URL is not set and none of this checkout runs")
    return api.removesuffix("/api")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
