"""Who is let in to our Prefect server, what is refused there, and what is told to it late."""

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from flows import telling
from flows.app import DEPLOYMENTS, Door, pages, refusal
from flows.prefect_api import Api, state
from irg_core.files import write_json
from tests.checkouts import ROOT

HOST = "127.0.0.1:4321"
OURS, THEIRS = "5b0c1d2e-0000-4000-8000-000000000001", "5b0c1d2e-0000-4000-8000-000000000002"


@pytest.fixture(autouse=True)
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the parameters as committed, before its first build."""
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    write_json(DEPLOYMENTS, {OURS: "Rebuild everything"})
    return tmp_path


async def prefect(scope: Any, receive: Any, send: Any) -> None:
    """Stands for Prefect: reads a body to its end, and says how long it was."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        return
    length, more = 0, True
    while more:
        message = await receive()
        length, more = length + len(message["body"]), message["more_body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(length).encode()})


def asked(path: str, origin: str | None = None, kind: str = "http", chunks: tuple[bytes, ...] = (b"",)) -> list[Any]:
    """What the door sends to one who asks from a page of `origin`."""
    headers = [(b"host", HOST.encode()), *([(b"origin", origin.encode())] if origin else [])]
    scope = {"type": kind, "method": "POST" if chunks != (b"",) else "GET", "path": path, "headers": headers}
    left = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    left[-1]["more_body"] = False
    sent: list[Any] = []

    async def receive() -> Any:
        while not left:
            await asyncio.sleep(3600)  # as a connection does that nobody speaks on
        return left.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    async def ask() -> None:
        await asyncio.wait_for(Door(prefect, pages())({**scope, "query_string": b""}, receive, send), timeout=10)

    asyncio.run(ask())
    return sent


@pytest.mark.parametrize("origin", [None, f"http://{HOST}", "http://localhost:4321"])
def test_a_page_of_ours_is_answered(origin: str | None) -> None:
    assert asked("/api/flows", origin)[0]["status"] == 200
    assert asked("/api/events/in", origin, "websocket") == [{"type": "websocket.accept"}]


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:80", f"https://{HOST}"])
def test_a_page_of_somebody_else_is_not(origin: str) -> None:
    for path in ("/api/flows", "/reports/report.html", "/"):
        assert asked(path, origin)[0]["status"] == 403
    assert asked("/api/events/in", origin, "websocket") == [{"type": "websocket.close", "code": 1008}]


@pytest.mark.parametrize("chunks", [(b"x" * (2**20 - 1), b"yy"), (b"x" * 2**20,), (b"x" * 2**20, b"y" * 2**20, b"z")])
def test_a_body_of_any_length_arrives_whole(chunks: tuple[bytes, ...]) -> None:
    assert asked("/api/logs", chunks=chunks)[-1]["body"] == str(sum(map(len, chunks))).encode()


def test_a_page_that_is_not_there_is_not_found_and_nothing_else_is_shown(checkout: Path) -> None:
    assert not (checkout / "data").exists()
    for path in ("/reports/report.html", "/reports/", "/reports/../../params.yaml", "/reports//etc/passwd"):
        assert asked(path)[0]["status"] == 404
    (checkout / "data/reports/report.html").write_text("<p>done")
    assert asked("/reports/report.html")[0]["status"] == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"corpora": {"procedural": 5}},
        {"corpora": {"procedural": {"root": "x" * 5000}}},
        {"corpora": {"procedural": {"root": str(ROOT / "irg_core/corpora/procedural.yaml"), "clips": "3"}}},
        {"train_stage1": None},
    ],
)
def test_a_form_that_nobody_foresaw_is_refused_in_one_sentence(changes: dict[str, Any]) -> None:
    body = json.dumps({"parameters": {"changes": changes}}).encode()
    answer = asked(f"/api/deployments/{OURS}/create_flow_run", chunks=(body,))
    assert answer[0]["status"] == 409
    assert "\n" not in json.loads(answer[-1]["body"])["detail"]


@pytest.mark.parametrize("body", [b"[5]", b'{"parameters": [1]}', b"{", b"[" * 100_000, b'{"parameters": null}'])
def test_what_is_no_form_is_left_to_prefect(body: bytes) -> None:
    assert refusal(OURS, body) == refusal(THEIRS, body) == ""


@pytest.fixture
def listener() -> Iterator[tuple[str, list[str]]]:
    """An address that says yes to everything, and what was asked of it."""
    heard: list[str] = []

    class Yes(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(f"{self.path} {self.rfile.read(int(self.headers['content-length'])).decode()}")
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Yes)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/api", heard
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_no_proxy_stands_between_us_and_this_machine(
    listener: tuple[str, list[str]], host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(httpx.ConnectError):
        httpx.post(listener[0], json={})
    with Api(listener[0].replace("127.0.0.1", host), seconds=5) as api:
        api.post("/flows/", name="x")
    assert len(listener[1]) == 1


def test_how_a_run_ended_is_kept_until_a_server_hears_it(
    listener: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telling, "PATIENCE", 0.1)
    ended = state("Completed", "2 stages ran")
    telling.Teller("the-run").end(ended)
    (kept,) = telling.UNTOLD.iterdir()
    with Api(listener[0], seconds=5) as api:
        telling.catch_up(api)
        telling.catch_up(api)
    (told,) = listener[1]
    assert told.startswith("/api/flow_runs/the-run/set_state ")
    assert json.loads(told.partition(" ")[2])["state"] == ended
    assert not kept.exists()


def test_a_server_that_is_there_hears_it_at_once(
    listener: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", listener[0])
    telling.Teller("the-run").end(state("Completed", "2 stages ran"))
    assert len(listener[1]) == 1
    assert not list(telling.UNTOLD.iterdir())
