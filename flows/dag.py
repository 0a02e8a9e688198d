"""What DVC knows of this checkout: which stages are not up to date and why, what they cost last, and its cache."""

import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from irg_core.errors import FactoryError
from irg_core.files import write_json

COSTS = Path("runs/costs.jsonl")
LOCKS = Path(".dvc/tmp/rwlock")
"""DVC's list of who reads and who writes what, by the numbers of processes."""
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class Busy(FactoryError):
    """Another DVC works in this checkout, and must not be kept from its locks."""


@dataclass(frozen=True, slots=True)
class Stale:
    """A stage that is not up to date."""

    stage: str
    why: list[str]  # what changed; for one that waits for another stage: nothing yet


@contextmanager
def repository() -> Iterator[Any]:
    """DVC's view of this checkout. Its errors become one sentence; `Busy` is that somebody else has a lock."""
    from dvc.exceptions import DvcException
    from dvc.lock import LockError
    from dvc.repo import Repo
    from dvc.scm import SCMError

    forget_the_dead()
    try:
        with Repo() as repo:
            yield repo
    except LockError as error:
        raise Busy(_sentence(error)) from error
    except (DvcException, SCMError) as error:
        raise FactoryError(_sentence(error)) from error


def _sentence(error: Exception) -> str:
    """What DVC says, in one line and without the colours that it gives to links."""
    return f"DVC: {' '.join(COLOUR.sub('', str(error)).split())}"


def forget_the_dead() -> None:
    """Take the locks of processes that use no DVC any more out of DVC's list.

    DVC asks only whether a number is in use. Where another process has got that of a killed `dvc`, nobody would come in
    for as long as that one lives. A list that a kill cut short is forgotten whole: DVC would refuse to read it.
    """
    try:
        held = json.loads(LOCKS.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return
    except ValueError:
        LOCKS.unlink(missing_ok=True)
        return
    reads = {path: list(filter(_lives, readers)) for path, readers in held.get("read", {}).items()}
    writes = {path: writer for path, writer in held.get("write", {}).items() if _lives(writer)}
    kept = {"read": {path: readers for path, readers in reads.items() if readers}, "write": writes}
    if kept != {"read": {}, "write": {}, **held}:
        write_json(LOCKS, kept)


def _lives(holder: dict[str, Any]) -> bool:
    """Whether the process that a lock names uses DVC."""
    import psutil

    try:
        words = psutil.Process(int(holder["pid"])).cmdline()[:4]
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:
        return True
    return any(Path(word).name in ("dvc", "flows.dvc", "irg") for word in words)


def processes() -> Iterator[tuple[int, list[str]]]:
    """Every DVC that works in this checkout or in a folder of it, with its command line."""
    import psutil

    for process in psutil.process_iter(["cmdline", "cwd", "status"]):
        words, place = process.info["cmdline"] or [], process.info["cwd"]
        is_dvc = any(Path(word).name in ("dvc", "flows.dvc") for word in words[:4])
        if is_dvc and place and _is_here(Path(place)) and process.info["status"] != psutil.STATUS_ZOMBIE:
            yield process.pid, words


def _is_here(place: Path) -> bool:
    """Whether DVC takes this checkout for the one that a folder belongs to."""
    return next((folder for folder in (place, *place.parents) if (folder / ".dvc").is_dir()), place) == Path.cwd()


def build() -> int | None:
    """The process of a build that is under way in this checkout, whoever began it."""
    return next((pid for pid, words in processes() if "repro" in words or {"exp", "run"} <= set(words)), None)


def look() -> None:
    """Raise `Busy` while a build is under way."""
    if pid := build():
        raise Busy(f"a build is under way (process {pid}); wait until it ends")


def environment() -> dict[str, str]:
    """What a DVC of ours is started with: a stage that says `python` gets the Python that runs here."""
    path = os.pathsep.join(filter(None, [str(Path(sys.executable).parent), os.environ.get("PATH")]))
    return {**os.environ, "PATH": path, "DVC_NO_ANALYTICS": "1", "PYTHONUNBUFFERED": "1"}


def stale(targets: Sequence[str] = ()) -> list[Stale]:
    """The stages that `dvc repro` would look at again, in the order of work; all of them, or those of the targets.

    What follows a changed stage is among them, though it may turn out that nothing has changed for it. Raises `Busy`
    while a build is under way: a build that cannot have its lock back when a stage of it ends is lost.
    """
    import networkx as nx  # type: ignore[import-untyped]
    from dvc.repo import lock_repo

    look()
    with repository() as repo, lock_repo(repo):
        look()  # one that began meanwhile; from here on none can
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
