"""The endpoints for files and batches on the loopback: what is uploaded is answered after so many looks."""

import email
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from tests.llm.endpoint import Response


@dataclass
class Stored:
    name: str
    purpose: str
    content: bytes


@dataclass
class Running:
    file: str
    metadata: dict[str, str]
    looks: int = 0
    output: str | None = None
    errors: str | None = None
    is_over: bool = False


@dataclass
class Batches:
    """`judge` answers a chat request; `fate` says how a batch ends, given how many ended before it.

    A fate is a status, and for "expired" a share of its questions that were answered in time. `cut` holds the paths
    whose next answer is lost on its way back although the work was done.
    """

    judge: Callable[[dict[str, Any]], Response]
    fate: Callable[[int], tuple[str, float]] = lambda _: ("completed", 1.0)
    looks: int = 2
    cut: list[str] = field(default_factory=list)
    files: dict[str, Stored] = field(default_factory=dict)
    batches: dict[str, Running] = field(default_factory=dict)
    asked: list[dict[str, Any]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    url: str = ""
    looked_at: threading.Event = field(default_factory=threading.Event)

    @property
    def uploads(self) -> list[Stored]:
        return [file for file in self.files.values() if file.purpose == "batch"]

    def post(self, path: str, kind: str, body: bytes) -> tuple[int, Any]:
        if path == "/v1/files":
            name, content = _uploaded(kind, body)
            return 200, self._file(self._store(name, "batch", content))
        if path == "/v1/batches":
            said = json.loads(body)
            batch = f"batch_{len(self.batches)}"
            self.batches[batch] = Running(said["input_file_id"], said.get("metadata") or {})
            return 200, self._batch(batch)
        return 404, {"error": {"message": "no such path"}}

    def get(self, path: str) -> tuple[int, Any]:
        match path.split("/")[2:]:
            case ["files"]:
                return 200, {"object": "list", "data": [self._file(one) for one in reversed(self.files)]}
            case ["files", name, "content"]:
                return 200, self.files[name].content
            case ["batches"]:
                return 200, {"object": "list", "data": [self._batch(one) for one in reversed(self.batches)]}
            case ["batches", name]:
                batch = self.batches[name]
                batch.looks += 1
                self.looked_at.set()
                if batch.looks >= self.looks and not batch.is_over:
                    self._work_off(batch)
                return 200, self._batch(name)
        return 404, {"error": {"message": "no such path"}}

    def _store(self, name: str, purpose: str, content: bytes) -> str:
        file = f"file-{len(self.files)}"
        self.files[file] = Stored(name, purpose, content)
        return file

    def _work_off(self, batch: Running) -> None:
        status, share = self.fate(sum(one.is_over for one in self.batches.values()))
        lines = [json.loads(line) for line in self.files[batch.file].content.splitlines()]
        answered: list[Any] = []
        failed: list[Any] = []
        for number, line in enumerate(lines):
            if status == "failed":
                break
            if number >= share * len(lines):
                late = {"code": "batch_expired", "message": "This request could not be executed in time."}
                failed.append({"custom_id": line["custom_id"], "response": None, "error": late})
                continue
            self.asked.append(line["body"])
            response = self.judge(line["body"])
            said = {"status_code": response.status, "request_id": "r", "body": json.loads(response.body)}
            row = {"custom_id": line["custom_id"], "response": said, "error": None}
            (answered if response.status == 200 else failed).append(row)
        batch.output = self._store("out.jsonl", "batch_output", _lines(reversed(answered))) if answered else None
        batch.errors = self._store("err.jsonl", "batch_output", _lines(failed)) if failed else None
        batch.is_over, batch.metadata["status"] = True, status

    def _file(self, name: str) -> dict[str, Any]:
        file = self.files[name]
        return {
            "id": name, "object": "file", "bytes": len(file.content), "created_at": 0, "filename": file.name,
            "purpose": file.purpose, "status": "processed",
        }  # fmt: skip

    def _batch(self, name: str) -> dict[str, Any]:
        batch = self.batches[name]
        ours = {key: value for key, value in batch.metadata.items() if key != "status"}
        status = batch.metadata.get("status", "in_progress")
        errors = {"object": "list", "data": [{"code": "bad", "message": "the file has no such model"}]}
        return {
            "id": name, "object": "batch", "endpoint": "/v1/chat/completions", "input_file_id": batch.file,
            "completion_window": "24h", "created_at": 0, "status": status, "metadata": ours,
            "output_file_id": batch.output, "error_file_id": batch.errors,
            "errors": errors if status == "failed" else None,
        }  # fmt: skip


def _uploaded(kind: str, body: bytes) -> tuple[str, bytes]:
    """Name and content of the file in a form."""
    form = email.message_from_bytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body)
    for part in form.walk():
        content = part.get_payload(decode=True)
        if (name := part.get_filename()) is not None and isinstance(content, bytes):
            return name, content
    raise ValueError("a form without a file")


def _lines(rows: Any) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


@contextmanager
def served(batches: Batches) -> Iterator[Batches]:
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self._answer("POST", lambda path: batches.post(path, self.headers["Content-Type"], body))

        def do_GET(self) -> None:
            self._answer("GET", batches.get)

        def _answer(self, verb: str, work: Callable[[str], tuple[int, Any]]) -> None:
            path = urlsplit(self.path).path
            with lock:
                batches.calls.append(f"{verb} {path}")
                status, said = work(path)
                if path in batches.cut:
                    batches.cut.remove(path)
                    self.close_connection = True
                    return
            content = said if isinstance(said, bytes) else json.dumps(said).encode()
            self.send_response(status)
            kind = "application/octet-stream" if isinstance(said, bytes) else "application/json"
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    batches.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield batches
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
