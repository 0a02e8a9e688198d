"""`dvc` as a process that ends with the one which started it: `python -m flows.dvc repro …`.

A killed run must not leave a `dvc` behind that goes on while the next one begins. `python -m flows.dvc count …` prints
how many stages `repro` would look at.
"""

import sys

from pipelines.__main__ import die_with_parent


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
    if sys.argv[1:2] == ["count"]:
        print(count(sys.argv[2:]))
        sys.exit(0)
    from dvc.cli import main

    sys.exit(main(sys.argv[1:]))
