"""`python -m pipelines <stage> <arguments…>`: run one stage, plain.

The arguments are those of the stage's `main`, in order, as written in dvc.yaml. What a user can mend ends in one
sentence and exit status 2, or 3 where the budget is spent; a bug keeps its traceback. `python -m flows` runs the same
`main` with someone looking on.
"""

import errno
import inspect
import json
import os
import re
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from irg_core import plugins
from irg_core.errors import FactoryError
from irg_core.params import section
from pipelines.executor import MapBatches, RuntimeParams, executor
from pipelines.lifetime import die_with_parent

OF_THE_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS})
"""What a disk can say that is no bug of ours."""


@dataclass(frozen=True)
class Call:
    """A stage and its arguments, as dvc.yaml writes them."""

    stage: str
    values: list[str]

    @property
    def item(self) -> str:
        """What the stage runs for: a corpus, a model, an evaluator; empty where one run is for all."""
        return self.values[0] if self.values and "/" not in self.values[0] else ""


Shown = Callable[[MapBatches], MapBatches]
"""A map to the same map, whose batches someone looks at: equal results in equal order."""

Watching = Callable[[Call], AbstractContextManager[Shown]]
"""Lies around a stage run from its first import to its end, and lets every error through."""


@contextmanager
def unwatched(_: Call) -> Iterator[Shown]:
    yield lambda map_batches: map_batches


def main(arguments: list[str], watching: Watching = unwatched) -> int:
    if not arguments:
        print(f"usage: python -m pipelines <stage> <arguments…>; stages: {', '.join(stages())}", file=sys.stderr)
        return 2
    call = Call(arguments[0], arguments[1:])
    # NumPy's BLAS reads this once, when it is loaded. On matrices as small as ours its threads round differently in
    # number, and spin against each other: a hundred times slower on a busy machine. Torch has threads of its own.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    die_with_parent()
    try:
        if call.stage not in stages():
            raise FactoryError(f"no stage '{call.stage}' in pipelines; it has: {', '.join(stages())}")
        with watching(call) as shown:
            started = time.monotonic()
            run(call, shown)
            note_cost(call, time.monotonic() - started)
    except FactoryError as error:
        print(f"{call.stage}: {error}", file=sys.stderr, flush=True)
        return error.status
    except Exception as error:
        if (refusal := disk_refusal(error, call)) is None:
            raise
        print(f"{call.stage}: {refusal}", file=sys.stderr, flush=True)
        return FactoryError.status
    return 0


def disk_refusal(error: Exception, call: Call) -> str | None:
    """What the user of a full or broken disk is to hear; None where the error is of another kind.

    safetensors, which writes the weights of models, has an error of its own, with the system's number in its text.
    """
    if isinstance(error, OSError):
        number, place = error.errno, f" at {error.filename}" if error.filename else ""
    else:
        from safetensors import SafetensorError

        said = re.search(r"os error (\d+)", str(error)) if isinstance(error, SafetensorError) else None
        # Stages that write weights name the model's folder last.
        number, place = int(said[1]) if said else None, f" the weights of {call.values[-1]}" if call.values else ""
    if number not in OF_THE_DISK:
        return None
    return (
        f"the disk refused to write{place} ({os.strerror(number)}); tables and models are as they were. See `df -h .`,"
        " make room, and run it again"
    )


def run(call: Call, shown: Shown) -> None:
    """The stage's `main` with its arguments as paths and words, and with the maps it asks for."""
    runtime = section("runtime", RuntimeParams)
    stage = plugins.load("pipelines", call.stage).main
    parameters = inspect.signature(stage).parameters
    arguments = converted(call, list(parameters.values()))
    with executor(runtime) as map_batches:
        # Batches that only wait for replies are read here, one after the other, whatever else runs elsewhere.
        maps: dict[str, MapBatches] = {"map_batches": map_batches, "show_batches": map}
        stage(*arguments, **{name: shown(given) for name, given in maps.items() if name in parameters})


def converted(call: Call, parameters: list[inspect.Parameter]) -> list[Any]:
    """The words of a command line as the positional parameters want them; a wrong number raises `FactoryError`."""
    wanted = [parameter for parameter in parameters if parameter.kind is not parameter.KEYWORD_ONLY]
    if len(wanted) != len(call.values):
        takes = ", ".join(parameter.name for parameter in wanted)
        raise FactoryError(f"{call.stage} takes {len(wanted)} arguments ({takes}), not {len(call.values)}")
    return [Path(v) if p.annotation is Path else v for p, v in zip(wanted, call.values, strict=True)]


def stages() -> list[str]:
    return [name for name in plugins.names("pipelines") if name not in {"__main__", "executor", "lifetime"}]


def note_cost(call: Call, seconds: float) -> None:
    """Append time and peak memory to runs/costs.jsonl: no out holds anything measured in seconds.

    Memory is that of the largest process, the stage's own or one of its workers.
    """
    used = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    peak = max(used) // (2**20 if sys.platform == "darwin" else 2**10)  # macOS counts bytes, Linux KiB
    path = Path("runs/costs.jsonl")
    path.parent.mkdir(exist_ok=True)
    row = {"stage": call.stage, "item": call.item, "seconds": round(seconds, 2), "peak_mib": peak}
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
