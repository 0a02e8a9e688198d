"""A server that breaks every promise of the protocol: no call hangs, swells, tells the key, or ends in a surprise."""

import asyncio
import gzip
import json
import logging
import socket
import socketserver
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from irg_core.errors import EndpointError
from irg_core.llm import line
from irg_core.llm.chat import Busy, Refused, Reply
from irg_core.llm.openai import LARGEST_REPLY, Provider
from tests.llm.endpoint import said
from tests.llm.test_openai import KEY, Analysed, interviewed, key, request, settings

__all__ = ["key"]  # a fixture

GOOD = '{"analysis": "1. jump.", "paraphrases": ["a", "b", "c"], "detailed": "d"}'
Speaker = Callable[[socket.socket], None]


class Server:
    """Reads a request, and then the script has the connection; what came is in `requests`."""

    def __init__(self, speak: Speaker) -> None:
        self.requests: list[bytes] = []
        self.sent = 0
        server = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with suppress(OSError):
                    server.requests.append(_request(self.request))
                    speak(self.request)

        class Listener(socketserver.ThreadingTCPServer):
            daemon_threads = True
            request_queue_size = 64

        self._listener = Listener(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._listener.server_address[1]}/v1"
        self._thread = threading.Thread(target=self._listener.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._listener.shutdown()
        self._listener.server_close()
        self._thread.join()


def _request(connection: socket.socket) -> bytes:
    got = b""
    while b"\r\n\r\n" not in got:
        got += connection.recv(65536)
    head, _, body = got.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


@contextmanager
def server(speak: Speaker) -> Iterator[Server]:
    made = Server(speak)
    try:
        yield made
    finally:
        made.close()


def spoken(*parts: bytes) -> Speaker:
    return lambda connection: connection.sendall(b"".join(parts))


def response(body: bytes, status: str = "200 OK", *headers: str, kind: str = "application/json") -> bytes:
    head = [
        f"HTTP/1.1 {status}",
        f"Content-Type: {kind}",
        f"Content-Length: {len(body)}",
        "Connection: close",
        *headers,
    ]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def outcome(url: str, **changed: object) -> Reply | Exception:
    """What one call comes to. Anything but a reply and the three kinds of fault goes through."""

    async def once() -> Reply | Exception:
        provider = Provider("m", settings(url, **{"timeout": 2.0, **changed}))
        try:
            return await provider.complete(request())
        except (Busy, Refused, EndpointError) as fault:
            return fault
        finally:
            await provider.close()

    return asyncio.run(once())


def fault_of(url: str, **changed: object) -> Exception:
    found = outcome(url, **changed)
    assert isinstance(found, Exception), found
    assert KEY not in str(found) + repr(found.__cause__) + repr(found.__context__ if found.__cause__ else "")
    return found


def test_every_status_is_an_answer_a_busy_a_refusal_or_a_wrong_set_up() -> None:
    status = 0

    def speak(connection: socket.socket) -> None:
        connection.sendall(response(f'{{"error": "{KEY}"}}'.encode(), f"{status} Whatever"))

    async def meet_all() -> dict[int, type[BaseException]]:
        nonlocal status
        met: dict[int, type[BaseException]] = {}
        provider = Provider("m", settings(served.url, timeout=0.5, structure="text"))
        for status in range(100, 600):
            with pytest.raises((Busy, Refused, EndpointError)) as caught:
                await provider.complete(request())
            assert KEY not in str(caught.value)
            met[status] = caught.type
        await provider.close()
        return met

    with server(speak) as served:
        kinds = asyncio.run(meet_all())
    assert {number for number, kind in kinds.items() if kind is EndpointError} == {401, 402, 403, 404}
    assert all(kinds[number] is Busy for number in [*range(100, 400), 408, 409, 425, 429, *range(500, 600)])
    assert all(kinds[number] is Refused for number in (400, 405, 410, 411, 413, 415, 418, 422, 431, 451))


def test_after_a_reply_a_status_that_tells_of_the_set_up_costs_no_more_than_its_row(tmp_path: Path) -> None:
    replies = iter([response(said(GOOD).body), response(b"forbidden words", "403 Forbidden")] * 2)
    with server(lambda connection: connection.sendall(next(replies, response(said(GOOD).body)))) as served:
        got = interviewed(served, tmp_path, rows=12)  # type: ignore[arg-type]
    assert len(got.records) == 12
    assert got.progress["retries"] == 2


def flood(head: bytes, sent: list[int]) -> Speaker:
    def speak(connection: socket.socket) -> None:
        connection.sendall(head)
        for _ in range(50):
            sent.append(connection.send(b" " * (1 << 20)))

    return speak


@pytest.mark.parametrize("status", ["200 OK", "500 Oops", "429 Too Many"])
@pytest.mark.parametrize("length", [f"Content-Length: {50 << 20}", "Connection: close"])
def test_a_body_without_end_is_not_read_to_its_end(status: str, length: str) -> None:
    sent: list[int] = []
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{length}\r\n\r\n".encode()
    with server(flood(head, sent)) as served:
        fault = fault_of(served.url)
    assert isinstance(fault, Busy)
    assert "more than 1 MiB" in str(fault)
    assert sum(sent) < 20 * LARGEST_REPLY, "what the sockets between us hold, and no more"


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd", "deflate", "gzip, gzip", "x-unknown"])
def test_a_compressed_body_is_not_unpacked(encoding: str) -> None:
    bomb = gzip.compress(b" " * (64 << 20))
    with server(spoken(response(bomb, "200 OK", f"Content-Encoding: {encoding}"))) as served:
        began = time.monotonic()
        assert "compresses its replies" in str(fault_of(served.url))
        assert time.monotonic() - began < 1.0
    assert b"accept-encoding: identity" in served.requests[0].lower()


def drip(head: bytes) -> Speaker:
    def speak(connection: socket.socket) -> None:
        for byte in head * 50:
            connection.sendall(bytes([byte]))
            time.sleep(0.01)

    return speak


@pytest.mark.parametrize("head", [response(b" " * 999)[:120], b"H", b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200])
def test_who_drips_is_left_when_the_time_is_over(head: bytes) -> None:
    with server(drip(head)) as served:
        began = time.monotonic()
        assert "no reply within 0.3 s" in str(fault_of(served.url, timeout=0.3))
        assert time.monotonic() - began < 1.5


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def reset_half_way(connection: socket.socket) -> None:
    connection.sendall(response(b"x" * 100)[:-50])
    reset(connection)


NESTED = b'{"choices": ' + b"[" * 100_000
NUMBERS = b'{"choices": ' + b"9" * 100_000 + b"}"
BROKEN: dict[str, Speaker] = {
    "reset": reset,
    "reset half-way": reset_half_way,
    "closed": lambda connection: connection.close(),
    "no protocol": spoken(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "nothing but zeros": spoken(bytes(4096)),
    "endless head": spoken(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1_000_000),
    "a head as large as a book": spoken(b"HTTP/1.1 200 OK\r\nX: " + b"y" * (1 << 20) + b"\r\n\r\n"),
    "negative length": spoken(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n{}"),
    "two lengths": spoken(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 9\r\n\r\n{}"),
    "broken chunks": spoken(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n"),
    "shorter than promised": spoken(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{}"),
    "wrong status line": spoken(b"HTTP/1.1 2000000 OK\r\n\r\n"),
    "invalid UTF-8": spoken(response(b'{"choices": [{"message": {"content": "\xff\xfe"}}]}')),
    "zeros for text": spoken(response(bytes(100))),
    "deep nesting": spoken(response(NESTED)),
    "a number of 100,000 digits": spoken(response(NUMBERS)),
    "a list": spoken(response(b"[1]")),
    "a string": spoken(response(b'"choices"')),
    "message as a list": spoken(response(b'{"choices": [{"message": ["content"]}]}')),
    "content as a number": spoken(response(b'{"choices": [{"message": {"content": 3}}]}')),
    "choices as an object": spoken(response(b'{"choices": {"0": {"message": {"content": "x"}}}}')),
    "an event stream": spoken(response(b"data: {}\n\ndata: [DONE]\n\n", kind="text/event-stream")),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_reply_is_worth_another_try(how: str) -> None:
    with server(BROKEN[how]) as served:
        assert isinstance(fault_of(served.url), Busy)


@pytest.mark.parametrize("kind", ["text/html", "application/octet-stream", "image/png", "text/plain; charset=utf-16"])
def test_a_good_reply_under_a_wrong_name_is_a_good_reply(kind: str) -> None:
    with server(spoken(response(said(GOOD).body, kind=kind))) as served:
        assert outcome(served.url) == Reply(GOOD, 0, 0)


@pytest.mark.parametrize(
    "usage", [None, 7, [], {}, {"prompt_tokens": "7"}, {"prompt_tokens": -7, "completion_tokens": 1e300}, {"a": 10**30}]
)
def test_a_wrong_count_of_tokens_is_none(usage: object) -> None:
    body = json.dumps(json.loads(said(GOOD).body) | {"usage": usage}).encode()
    with server(spoken(response(body))) as served:
        assert outcome(served.url) == Reply(GOOD, 0, 0)


@pytest.mark.parametrize("status", ["301", "302", "303", "307", "308"])
def test_nobody_is_followed_elsewhere(status: str) -> None:
    with server(spoken(response(said(GOOD).body))) as elsewhere:
        away = f"Location: {elsewhere.url}/chat/completions"
        with server(spoken(response(b"", f"{status} Gone", away))) as served:
            fault = fault_of(served.url)
        assert "sends us elsewhere" in str(fault)
        assert elsewhere.url not in str(fault)
    assert elsewhere.requests == []


def test_a_stage_survives_them_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line, "FIRST_BACKOFF", 0.001)
    speakers = iter([speaker for speaker in BROKEN.values() for _ in range(2)])
    good = spoken(response(said(GOOD).body))
    turn = iter(range(10**6))

    def speak(connection: socket.socket) -> None:
        (next(speakers, good) if next(turn) % 2 else good)(connection)

    with server(speak) as served:
        got = interviewed(served, tmp_path, rows=60, tries=30, timeout=2.0)  # type: ignore[arg-type]
    assert all(isinstance(record, Analysed) for record in got.records)
    assert len(got.records) == 60, got.rejections
    assert KEY not in str(got) + (tmp_path / "log").read_text()


def test_at_the_most_talkative_no_log_tells_the_key(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from openai._utils._logs import setup_logging

    monkeypatch.setenv("OPENAI_LOG", "debug")
    before = {name: logging.getLogger(name).level for name in ("openai", "httpx", "httpx2")}
    setup_logging()
    caplog.set_level(logging.DEBUG)
    echo = response(said(GOOD).body, "200 OK", f"X-Echo: Bearer {KEY}")
    try:
        with server(spoken(echo)) as served:
            assert isinstance(outcome(served.url), Reply)
        with server(spoken(response(b'{"error": {"message": "no"}}', "400 Bad", f"X-Echo: {KEY}"))) as refusing:
            assert isinstance(outcome(refusing.url), Refused)
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)
    told = capfd.readouterr()
    assert "openai" in caplog.text
    assert KEY.encode() in served.requests[0], "the key was in play"
    assert KEY not in caplog.text + told.out + told.err
