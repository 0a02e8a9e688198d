"""`python -m flows.watch start | stop`: a Prefect server, its deployments and a worker for this checkout."""

import os
import sys
import time

from flows import server, worker
from flows.deployments import register
from flows.prefect_api import Api, Refused, Silent
from irg_core.errors import FactoryError

PATIENCE = 60.0
"""Seconds until a server that is busy has to take the deployments."""
KEPT = "the worker was there already and knows the keys that it was started with; for others say make stop first"


def start() -> str:
    """All of it, whatever of it is there already; what runs other code than today's is started anew."""
    server.HOME.mkdir(exist_ok=True)
    worker.retire()
    address = server.address() if os.environ.get("PREFECT_API_URL") else _server().api
    assert address is not None
    _register(address)
    said = f"start and watch runs at {address.removesuffix('/api')}/deployments (make stop ends it all)"
    return f"{said}\n{KEPT}" if worker.start() else said


def _server() -> server.Server:
    if (old := server.running()) and old.source != server.source():
        server.stop()
    return server.start()


def _register(address: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            with Api(address, seconds=20) as api:
                register(api)
            return
        except (Silent, Refused) as error:
            if isinstance(error, Refused) or time.monotonic() > deadline:
                raise server.ServerError(f"the Prefect server at {address} takes no deployments ({error})") from error
            time.sleep(0.5)


def stop() -> str:
    """End the run that is under way, the worker and the server, whatever of it there is."""
    had_worker = worker.stop()
    if ended := server.stop():
        return f"the Prefect server on port {ended.port}{' and its worker are' if had_worker else ' is'} stopped"
    return "the worker is stopped" if had_worker else "no Prefect server of this checkout runs"


def main(arguments: list[str]) -> int:
    if arguments not in (["start"], ["stop"]):
        print("usage: python -m flows.watch start | stop", file=sys.stderr)
        return 2
    try:
        print(start() if arguments == ["start"] else stop(), flush=True)
    except FactoryError as error:
        print(error, file=sys.stderr, flush=True)
        return error.status
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
