"""A chat endpoint on the loopback that does as its script says, and remembers every request."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Response:
    """What goes over the wire."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0  # before anything is answered
    is_cut: bool = False  # the connection ends in the middle of the body


Script = Callable[[dict[str, Any]], Response]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, *_: object) -> None:
        """Clients that go away in the middle are what is tested here."""


class Endpoint:
    """`url` is the base URL; `requests` are the bodies that came, `keys` what they were authorised with."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.most_under_way = 0
        self._under_way = 0
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:  # the name that the library looks for
                length = int(self.headers["Content-Length"])
                endpoint._serve(self, json.loads(self.rfile.read(length)))

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler

    def _serve(self, handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        with self._lock:
            self.requests.append(body)
            self.keys.append(handler.headers.get("Authorization", ""))
            self._under_way += 1
            self.most_under_way = max(self.most_under_way, self._under_way)
        try:
            known = handler.path == "/v1/chat/completions"
            response = self.script(body) if known else Response(b'{"error": {"message": "no such path"}}', 404)
            self._closing.wait(response.seconds)
        finally:
            with self._lock:
                self._under_way -= 1
        handler.send_response(response.status)
        for name, value in {"Content-Type": "application/json", **response.headers}.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(response.body) + response.is_cut))
        handler.end_headers()
        handler.wfile.write(response.body)
        handler.close_connection = handler.close_connection or response.is_cut


@contextmanager
def endpoint(script: Script) -> Iterator[Endpoint]:
    served = Endpoint(script)
    try:
        yield served
    finally:
        served.close()


def said(text: str, **message: object) -> Response:
    """A chat completion with this text."""
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text, **message}}
    return Response(json.dumps({"id": "1", "object": "chat.completion", "choices": [choice]}).encode())


def failed(status: int, message: str, code: str | None = None, **headers: str) -> Response:
    """An error as such endpoints word it."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(json.dumps({"error": {"message": message, "code": code}}).encode(), status, named)
