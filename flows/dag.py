"""What DVC knows of this checkout: which stages are not up to date and why, what they cost last, and its cache."""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from irg_core.errors import FactoryError

COSTS = Path("runs/costs.jsonl")


@dataclass(frozen=True, slots=True)
class Stale:
    """A stage that is not up to date."""

    stage: str
    why: list[str]  # what changed; for one that waits for another stage: nothing yet


@contextmanager
def repository() -> Iterator[Any]:
    """DVC's view of this checkout. Its errors become one sentence."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo
    from dvc.scm import SCMError

    try:
        with Repo() as repo:
            yield repo
    except (DvcException, SCMError) as error:
        raise FactoryError(f"DVC: {' '.join(str(error).split())}") from error


def stale(targets: Sequence[str] = ()) -> list[Stale]:
    """The stages that `dvc repro` would look at again, in the order of work; all of them, or those of the targets.

    What follows a changed stage is among them, though it may turn out that nothing has changed for it.
    """
    import networkx as nx  # type: ignore[import-untyped]

    with repository() as repo:
        graph = nx.relabel_nodes(repo.index.graph, lambda stage: stage.addressing)
        wanted = _wanted(repo, graph, targets)
        found = {name: list(_reasons(told)) for name, told in repo.status(targets=list(targets) or None).items()}
        if targets:
            above = [name for name in wanted if name not in found]
            found |= {name: list(_reasons(told)) for name, told in repo.status(targets=above).items()} if above else {}
    waiting = {above for name in found if name in graph for above in nx.ancestors(graph, name)}
    order = reversed(list(nx.lexicographical_topological_sort(graph)))
    return [Stale(name, found.get(name, [])) for name in order if name in wanted and (name in found or name in waiting)]


def _wanted(repo: Any, graph: Any, targets: Sequence[str]) -> set[str]:
    """The targets and all that they are made of."""
    import networkx as nx

    if not targets:
        return set(graph)
    named = {stage.addressing for target in targets for stage in repo.stage.collect(target)}
    return named | {below for name in named for below in nx.descendants(graph, name)}


def _reasons(told: Iterable[Any]) -> Iterator[str]:
    for entry in told:
        if isinstance(entry, str):
            yield entry
            continue
        for what, things in entry.items():
            kind = what.removeprefix("changed ").removesuffix("s")
            for thing, how in things.items():
                if isinstance(how, dict):
                    yield from (f"{name} {state}" for name, state in how.items())
                else:
                    yield f"{thing} {how}" + (" (out)" if kind == "out" else "")


def split_name(name: str) -> tuple[str, str]:
    """Stage and item of "assess@cmu"."""
    stage, _, item = name.partition("@")
    return stage, item


def costs() -> dict[str, float]:
    """Seconds that each stage took last, by its name."""
    if not COSTS.exists():
        return {}
    found = {}
    for line in COSTS.read_text(encoding="utf-8").splitlines():
        row = _row(line)
        if row:
            found["@".join(filter(None, [row["stage"], row["item"]]))] = float(row["seconds"])
    return found


def _row(line: str) -> dict[str, Any]:
    """A line that a kill has cut short counts for nothing."""
    try:
        row = json.loads(line)
    except ValueError:
        return {}
    return row if {"stage", "item", "seconds"} <= row.keys() else {}
