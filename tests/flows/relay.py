"""A way to a server that breaks at a chosen request: as if the server were killed, or as if it hung."""

import re
import socket
import threading
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit


class Relay:
    """Passes bytes on until the client's match `last`; that request gets no answer, and none after it."""

    def __init__(self, api: str, last: bytes, hangs: bool) -> None:
        url = urlsplit(api)
        self.target = (url.hostname, url.port)
        self.last, self.hangs = re.compile(last), hangs
        self.broken = threading.Event()
        self.asked_in_vain = 0
        self.door = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self.door.getsockname()[1]}{url.path}"
        self.open: list[socket.socket] = []

    def __enter__(self) -> Self:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for connection in [self.door, *self.open]:
            connection.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self.door.accept()
            except OSError:
                return
            self.open.append(client)
            if self.broken.is_set():
                self.asked_in_vain += 1
                continue
            upstream = socket.create_connection(self.target)
            self.open.append(upstream)
            threading.Thread(target=self._forth, args=(client, upstream), daemon=True).start()
            threading.Thread(target=self._back, args=(upstream, client), daemon=True).start()

    def _forth(self, client: socket.socket, upstream: socket.socket) -> None:
        try:
            while content := client.recv(65536):
                if self.broken.is_set() or self.last.search(content):
                    self._break()
                    return
                upstream.sendall(content)
        except OSError:
            return

    def _back(self, upstream: socket.socket, client: socket.socket) -> None:
        try:
            while content := upstream.recv(65536):
                client.sendall(content)
        except OSError:
            return

    def _break(self) -> None:
        self.broken.set()
        if not self.hangs:
            self.door.shutdown(socket.SHUT_RDWR)
            for connection in [self.door, *self.open]:
                connection.close()
