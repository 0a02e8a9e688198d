"""Where batches run: here, in a pool of processes, or on Ray. The seam is the signature of the builtin `map`.

Whatever runs them, results come in the order of the inputs, and only a few batches a worker are under way at a time:
a stream of inputs is never held whole.
"""

import contextlib
import multiprocessing
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from irg_core.errors import ClusterError
from irg_core.params import section
from pipelines.lifetime import die_with_parent

MapBatches = Callable[..., Any]
Handle = Any
"""A batch under way: the future of a pool, or a reference of Ray."""

ROOT = Path(__file__).parents[1]
AHEAD = 2
"""Batches under way for each worker: one in work, one that waits for it."""
RETRIES = 3
"""How often Ray runs a batch again whose worker died."""
STORE_BYTES = 512 * 2**20
"""Of a Ray of our own, for batches on their way; what does not fit is spilled to the disk."""
PATIENCE = 20.0
"""Seconds that a cluster has for its answer."""


@dataclass(frozen=True)
class RuntimeParams:
    """How the work is done; nothing here changes a byte of any output, so no stage depends on it."""

    executor: Literal["local", "process", "ray"]
    workers: int
    """Batches in work at one time: processes of `process`, processors of the cluster for `ray`."""
    ray_address: str
    """host:port of a Ray cluster that this machine is part of. Empty: a Ray of the stage's own, on this machine."""
    concurrency: int
    """Most questions under way to an annotator at one time; how many of them are in flight is found out by asking."""
    budget_usd: float | None
    """What replies may cost, all stages and runs of this checkout together; then a stage stops, to be gone on with."""
    max_requests: int | None
    """How many replies may be paid for in the same sense."""

    def __post_init__(self) -> None:
        if self.workers < 1 or self.concurrency < 1:
            raise ValueError("runtime: workers and concurrency must be at least 1")


@contextmanager
def executor(runtime: RuntimeParams) -> Iterator[MapBatches]:
    """A `map` that keeps the order of its inputs, whatever runs them."""
    if runtime.executor == "ray":
        with ExitStack() as stack:
            ray = LateRay(runtime, stack)
            yield partial(_in_order, ray.submit, ray.result, AHEAD * runtime.workers)
    elif runtime.executor == "process" and runtime.workers > 1:
        # Spawned, not forked: a fork of a process with running threads (torch, arrow) can deadlock.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(runtime.workers, mp_context=context, initializer=die_with_parent) as pool:
            yield partial(_in_order, pool.submit, Future.result, AHEAD * runtime.workers)
    else:
        yield map


def _in_order(
    submit: Callable[..., Handle], result: Callable[[Handle], Any], ahead: int, work: Callable[..., Any], *inputs: Any
) -> Iterator[Any]:
    waiting: deque[Handle] = deque()
    for arguments in zip(*inputs, strict=False):
        waiting.append(submit(work, *arguments))
        if len(waiting) == ahead:
            yield result(waiting.popleft())
    while waiting:
        yield result(waiting.popleft())


# ---- Ray -------------------------------------------------------------------------------------------------------------


class LateRay:
    """Batches as tasks of a Ray that is joined when the first one comes: most stages have none."""

    def __init__(self, runtime: RuntimeParams, stack: ExitStack) -> None:
        self._runtime = runtime
        self._stack = stack
        # A thread as old as the stage starts Ray, for its processes die with the thread that started them, and whoever
        # watches the stage may run each batch in a thread that ends with it.
        self._thread = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="ray"))
        self._lock = threading.Lock()
        self._task: Any = None

    def submit(self, work: Callable[..., Any], *arguments: Any) -> Handle:
        with self._lock:
            if self._task is None:
                self._task = self._thread.submit(self._joined).result()
        from ray import cloudpickle

        # Packed by us: what Ray unpacks itself are views into its store, which they pin and cannot write to.
        return self._task.remote(cloudpickle.dumps((work, arguments)), str(Path.cwd()))

    def result(self, handle: Handle) -> Any:
        """What a batch gave. Its own exception comes back as it was; `ClusterError` if its workers died."""
        import ray
        from ray import cloudpickle
        from ray.exceptions import RayError, RayTaskError

        try:
            return cloudpickle.loads(ray.get(handle))
        except RayTaskError as error:
            raise error.cause from error
        except RayError as error:
            raise ClusterError(
                f"Ray lost a batch {1 + RETRIES} times, or its cluster ({_first_line(error)}); "
                "look for too little memory on its machines, or set runtime.executor: local"
            ) from error

    def _joined(self) -> Any:
        self._stack.enter_context(ray_of(self._runtime, self._runtime.workers))
        import ray

        return ray.remote(max_retries=RETRIES)(_there)


def _there(packed: bytes, place: str) -> bytes:
    """One batch, on whatever machine: in the folder of the stage, which all machines must see."""
    from ray import cloudpickle

    os.chdir(place)
    work, arguments = cloudpickle.loads(packed)
    return cloudpickle.dumps(work(*arguments))


@contextmanager
def team_of(workers: int) -> Iterator[None]:
    """What a training on so many workers needs for the time of a block: nothing, or Ray for more than one."""
    with ray_of(section("runtime", RuntimeParams), workers) if workers > 1 else nullcontext():
        yield


@contextmanager
def ray_of(runtime: RuntimeParams, workers: int) -> Iterator[None]:
    """Ray for the time of a block: one that runs already in this process, the cluster of `ray_address`, or our own."""
    if not runtime.ray_address:
        # Our own listens on every interface, so it asks for a token. Kept in the environment, it is in no file; Ray
        # reads it when it is imported, and never again.
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
        os.environ |= {"RAY_AUTH_MODE": "token", "RAY_USAGE_STATS_ENABLED": "0"}
    # Once a batch has failed, what came of those behind it is of no interest.
    os.environ["RAY_IGNORE_UNHANDLED_ERRORS"] = "1"
    import ray

    if ray.is_initialized():
        yield
        return
    with ExitStack() as stack:
        if runtime.ray_address:
            _join(runtime.ray_address)
        else:
            _start(workers, stack)
        stack.callback(ray.shutdown)
        yield


def _join(address: str) -> None:
    """Raises `ClusterError` within half a minute; Ray alone would try for two, then end the process."""
    import ray

    way_out = "start it with `ray start`, on this machine too, or leave runtime.ray_address empty"
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise ClusterError(f"runtime.ray_address: '{address}' is not host:port; {way_out}")
    try:
        socket.create_connection((host, int(port)), PATIENCE / 4).close()
        # First in a process that can be ended: once Ray's client waits, nothing stops it.
        trial = [sys.executable, "-c", "import ray, sys; ray.init(address=sys.argv[1])", address]
        subprocess.run(trial, capture_output=True, text=True, timeout=PATIENCE, check=True)
    except subprocess.CalledProcessError as error:
        reason = (error.stderr.strip().splitlines() or [f"status {error.returncode}"])[-1]
        raise ClusterError(f"runtime.ray_address: cannot join {address} ({reason}); {way_out}") from error
    except (OSError, OverflowError, subprocess.TimeoutExpired) as error:
        raise ClusterError(f"runtime.ray_address: no Ray cluster answers at {address}; {way_out}") from error
    ray.init(address=address, **_manner())


def _start(workers: int, stack: ExitStack) -> None:
    """A Ray of our own: no dashboard, nothing sent out, nothing left behind."""
    import ray

    # Sockets lie some 65 characters below it, and their paths may have about 105.
    folder = tempfile.mkdtemp(prefix="irg-ray-", dir=None if len(tempfile.gettempdir()) < 30 else "/tmp")
    # Should this process be killed, Ray's servers end with it, but not its agents, nor workers that have just begun.
    reaper = [sys.executable, "-P", __file__, folder]
    stack.enter_context(subprocess.Popen(reaper, stdin=subprocess.PIPE, start_new_session=True))
    ray.init(
        address="local",
        num_cpus=workers,
        include_dashboard=False,
        object_store_memory=STORE_BYTES,
        _temp_dir=folder,
        **_manner(),
    )


def _manner() -> dict[str, Any]:
    """Quiet, and with what workers need to run our code as we do."""
    import ray

    variables = {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": os.environ.get("OPENBLAS_NUM_THREADS", "1")}
    return {
        "logging_level": "error",
        "logging_config": ray.LoggingConfig(log_level="ERROR"),
        "runtime_env": {"env_vars": variables},
    }


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def _reap(folder: Path) -> None:
    """Wait for the end of the process that holds our standard input; end and remove what is left of its Ray."""
    spared = {os.getpid(), os.getppid()}
    sys.stdin.read()
    for _ in range(40):
        if not (left := _users(folder, spared)):
            break
        for process in left:
            process.kill()
        time.sleep(0.5)
    shutil.rmtree(folder, ignore_errors=True)


def _users(folder: Path, spared: set[int]) -> list[Any]:
    """The processes that were started with this folder, or have a file in it open: Ray's agents change their names."""
    import psutil

    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            used = [*process.cmdline(), *(file.path for file in process.open_files())]
            if process.pid not in spared and any(str(folder) in text for text in used):
                found.append(process)
    return found


if __name__ == "__main__":
    _reap(Path(sys.argv[1]))
