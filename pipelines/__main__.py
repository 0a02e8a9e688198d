"""`python -m pipelines <stage> <arguments…>`: run one stage, plain.

The arguments are those of the stage's `main`, in order, as written in dvc.yaml. What a user can mend ends in one
sentence and exit status 2; a bug keeps its traceback.
"""

import inspect
import json
import os
import resource
import sys
import threading
import time
from pathlib import Path

from irg_core import plugins
from irg_core.errors import FactoryError
from irg_core.params import section
from pipelines.executor import RuntimeParams, executor


def main(arguments: list[str]) -> int:
    if not arguments:
        print(f"usage: python -m pipelines <stage> <arguments…>; stages: {', '.join(stages())}", file=sys.stderr)
        return 2
    stage, *values = arguments
    # NumPy's BLAS reads this once, when it is loaded. On matrices as small as ours its threads round differently in
    # number, and spin against each other: a hundred times slower on a busy machine. Torch has threads of its own.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    die_with_parent()
    started = time.monotonic()
    try:
        runtime = section("runtime", RuntimeParams)
        if stage not in stages():
            raise FactoryError(f"no stage '{stage}' in pipelines; it has: {', '.join(stages())}")
        run = plugins.load("pipelines", stage).main
        signature = inspect.signature(run)
        wanted = [p for p in signature.parameters.values() if p.kind is not p.KEYWORD_ONLY]
        if len(wanted) != len(values):
            takes = ", ".join(parameter.name for parameter in wanted)
            raise FactoryError(f"{stage} takes {len(wanted)} arguments ({takes}), not {len(values)}")
        converted = [Path(v) if p.annotation is Path else v for p, v in zip(wanted, values, strict=True)]
        with executor(runtime) as map_batches:
            if "map_batches" in signature.parameters:
                run(*converted, map_batches=map_batches)
            else:
                run(*converted)
    except FactoryError as error:
        print(f"{stage}: {error}", file=sys.stderr, flush=True)
        return 2
    note_cost(stage, values, time.monotonic() - started)
    return 0


def stages() -> list[str]:
    return [name for name in plugins.names("pipelines") if name not in {"__main__", "executor"}]


def note_cost(stage: str, values: list[str], seconds: float) -> None:
    """Append time and peak memory to runs/costs.jsonl: no out holds anything measured in seconds.

    Memory is that of the largest process, the stage's own or one of its workers.
    """
    item = values[0] if values and "/" not in values[0] else ""
    used = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    peak = max(used) // (2**20 if sys.platform == "darwin" else 2**10)  # macOS counts bytes, Linux KiB
    path = Path("runs/costs.jsonl")
    path.parent.mkdir(exist_ok=True)
    row = {"stage": stage, "item": item, "seconds": round(seconds, 2), "peak_mib": peak}
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def die_with_parent() -> None:
    """End this process once the one that started it is gone.

    A killed `dvc` would leave its stage behind as an orphan that goes on writing while the next `dvc repro` runs. DVC
    starts a stage through the user's shell. Some shells (bash) step aside for a single command, others (dash) stay
    between, and outlive `dvc`: so whoever stands behind such a shell is watched as well.
    """
    import psutil

    parent = os.getppid()
    watched = []
    for ancestor in psutil.Process().parents():
        watched.append(ancestor)
        if "-c" not in ancestor.cmdline()[1:-1]:
            break

    def watch() -> None:
        while os.getppid() == parent and all(map(_lives, watched)):
            time.sleep(0.5)
        os._exit(1)

    def _lives(process: psutil.Process) -> bool:
        try:
            return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    threading.Thread(target=watch, name="die-with-parent", daemon=True).start()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
