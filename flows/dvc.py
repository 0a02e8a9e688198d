"""`dvc` as a process that ends with the one which started it: `python -m flows.dvc repro …`.

A killed run must not leave a `dvc` behind that goes on while the next one begins. `python -m flows.dvc count …` prints
how many stages `repro` would look at.
"""

import os
import sys

from flows.dag import forget_the_dead
from pipelines.lifetime import die_with_parent

KEEPER = "IRG_KEEPER"
"""Names the process that one of a run ends with: `dvc` with the run, a stage with `dvc`."""


def leave_if_alone() -> None:
    """End here if the keeper was gone before `die_with_parent` could look who it is."""
    import psutil

    if keeper := os.environ.get(KEEPER):
        try:
            is_alone = psutil.Process(int(keeper)).status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            is_alone = True
        if is_alone:
            sys.exit(f"process {keeper}, which this one belongs to, is gone")


def count(targets: list[str]) -> int:
    """The stages of the targets, and all that they depend on; of the whole DAG if none is named."""
    from dvc.repo import Repo

    with Repo() as repo:
        graph = repo.index.graph  # from each stage to those that it needs
        ahead = [stage for target in targets for stage in repo.stage.collect(target)] if targets else list(graph)
        found = set()
        while ahead:
            if (stage := ahead.pop()) not in found:
                found.add(stage)
                ahead.extend(graph.successors(stage))
        return len(found)


if __name__ == "__main__":
    die_with_parent()
    leave_if_alone()
    os.environ[KEEPER] = str(os.getpid())
    if sys.argv[1:2] == ["count"]:
        print(count(sys.argv[2:]))
        sys.exit(0)
    forget_the_dead()
    from dvc.cli import main

    sys.exit(main(sys.argv[1:]))
