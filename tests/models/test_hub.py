"""Models of the hub, from a hub of our own on the loopback."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from irg_core.errors import ModelError
from irg_core.models.hub import fetched
from irg_core.models.language import Language, LanguageConfig
from irg_core.models.vocabulary import Vocabulary

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[str]:
    """The address of a hub that has one model, `someone/walker`, with a pickle beside its weights."""
    folder = tmp_path / "walker"
    vocabulary = Vocabulary.learn(["a person walks."], size=300, codes=16)
    shape = LanguageConfig(layers=1, width=32, heads=2, feed_forward=48, positions=64)
    Language.create(shape, vocabulary, 3).save(folder)
    (folder / "pytorch_model.bin").write_bytes(b"never to be read")

    class Hub(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            where = self.path.partition("?")[0]
            if where in ("/api/models/someone/walker", "/api/models/someone/walker/revision/main"):
                files = [{"rfilename": path.name} for path in folder.iterdir()]
                self.answer(json.dumps({"id": "someone/walker", "sha": COMMIT, "siblings": files}).encode())
            elif where == f"/api/models/someone/walker/tree/{COMMIT}":
                tree = [
                    {"type": "file", "path": path.name, "size": path.stat().st_size, "oid": path.name}
                    for path in folder.iterdir()
                ]
                self.answer(json.dumps(tree).encode())
            elif where.startswith(f"/someone/walker/resolve/{COMMIT}/"):
                self.answer((folder / where.rpartition("/")[2]).read_bytes())
            else:
                self.send_response(404)
                self.send_header("X-Error-Code", "RepoNotFound")
                self.send_header("Content-Length", "0")
                self.end_headers()

        def do_HEAD(self) -> None:
            self.do_GET()

        def answer(self, content: bytes) -> None:
            self.send_response(200)
            for name, value in {
                "Content-Length": str(len(content)),
                "ETag": f'"{hashlib.sha1(content).hexdigest()}"',
                "X-Repo-Commit": COMMIT,
                "Content-Type": "application/json",
            }.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def ask(hub: str, name: str, home: Path) -> subprocess.CompletedProcess[str]:
    code = f"from irg_core.models.hub import fetched; print(fetched({name!r}))"
    environment = {**os.environ, "HF_ENDPOINT": hub, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1"}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)


def test_a_model_of_the_hub_is_brought_here_without_its_pickle(hub: str, tmp_path: Path) -> None:
    said = ask(hub, "someone/walker", tmp_path / "home")
    assert said.returncode == 0, said.stderr
    folder = Path(said.stdout.strip().splitlines()[-1])
    assert Language.load(folder).vocabulary.codes == 16
    assert not (folder / "pytorch_model.bin").exists()


def test_what_the_hub_does_not_have_is_one_sentence(hub: str, tmp_path: Path) -> None:
    said = ask(hub, "someone/else", tmp_path / "home")
    assert said.returncode == 1
    assert "ModelError: someone/else is no folder here, and could not be had from the hub" in said.stderr


def test_a_name_that_is_none_of_the_hub_asks_nobody() -> None:
    with pytest.raises(ModelError, match="neither a folder with a model here nor a name of the hub"):
        fetched("nowhere")
