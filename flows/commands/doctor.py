"""`irg doctor`: whether this machine and this checkout are fit for work, a line each, with the way out."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from flows.terminal import Json, console, duration, print_json, size
from irg_core.errors import FactoryError

State = Literal["ok", "warn", "bad"]
OK: State = "ok"
WARN: State = "warn"
BAD: State = "bad"
PINS = Path("requirements.lock")
TIGHT, FULL = 10e9, 2e9
"""Bytes of disk: below the first a large corpus does not fit, below the second the demo does not."""
SMALL_MEMORY = 4e9
"""Bytes that the demo's stages take together with their workers."""
SAMPLE = 200
"""Files of the cache whose content is hashed; --thorough hashes all."""


@dataclass(frozen=True, slots=True)
class Check:
    """What was looked at."""

    name: str
    state: State
    told: str
    way_out: str = ""


def doctor(
    thorough: Annotated[bool, typer.Option(help="hash every file of DVC's cache that this build needs")] = False,
    as_json: Json = False,
) -> None:
    """Check versions, disk, memory, servers, keys (presence only), DVC's cache and what a kill may have left behind."""
    checks = [check for look in LOOKS for check in _looked(look)] + list(_looked(lambda: cache(thorough)))
    if as_json:
        print_json([asdict(check) for check in checks])
    else:
        _show(checks)
    raise typer.Exit(1 if any(check.state == BAD for check in checks) else 0)


def _looked(look: Callable[[], Iterator[Check]]) -> Iterator[Check]:
    """What a look finds; one that cannot be taken is a finding as well."""
    try:
        yield from look()
    except FactoryError as error:
        yield Check(getattr(look, "__name__", "check").strip("_<>"), BAD, str(error))


def _show(checks: list[Check]) -> None:
    out = console()
    colours = {OK: "green", WARN: "yellow", BAD: "red"}
    for check in checks:
        way = f" → {check.way_out}" if check.way_out else ""
        out.print(f"[{colours[check.state]}]{check.state:4}[/] {check.name}: ", end="")
        out.print(f"{check.told}{way}", markup=False, soft_wrap=True)
    counts = {state: sum(check.state == state for check in checks) for state in (WARN, BAD)}
    out.print(f"{counts[BAD]} bad, {counts[WARN]} to be looked at, {len(checks)} checked")


# ---- the machine -----------------------------------------------------------------------------------------------------


def python() -> Iterator[Check]:
    told = f"{sys.version.split()[0]} in {sys.prefix}"
    right = sys.version_info[:2] == (3, 11)
    yield Check("Python", OK if right else BAD, told, "" if right else "Python 3.11 is needed: make setup")


def versions() -> Iterator[Check]:
    """Whether what is installed is what requirements.lock pins."""
    if not PINS.exists():
        yield Check("versions", BAD, f"{PINS} is missing", "run from the root of the checkout")
        return
    pins = dict(line.split("==") for line in PINS.read_text(encoding="utf-8").split() if line.count("==") == 1)
    wrong, missing = [], []
    for name, wanted in pins.items():
        try:
            found = metadata.version(name).partition("+")[0]
        except metadata.PackageNotFoundError:
            missing.append(name)
            continue
        if found != wanted:
            wrong.append(f"{name} {found}, pinned {wanted}")
    if missing:
        yield Check("packages", BAD, f"missing: {', '.join(missing[:8])}", "make setup")
    state, told = (WARN, "; ".join(wrong[:6])) if wrong else (OK, f"all {len(pins)} packages are those of {PINS}")
    if wrong or not missing:
        yield Check("versions", state, told, "make setup" if wrong else "")


def disk() -> Iterator[Check]:
    free = shutil.disk_usage(Path.cwd()).free
    state = BAD if free < FULL else WARN if free < TIGHT else OK
    way = "" if state == OK else "make room, `dvc gc -w` drops what no build here needs any more"
    yield Check("disk", state, f"{size(free)} free", way)
    writable = os.access(Path.cwd(), os.W_OK)
    yield Check("folder", OK if writable else BAD, f"{Path.cwd()} {'can' if writable else 'cannot'} be written to",
                "" if writable else "take a checkout of your own")  # fmt: skip


def memory() -> Iterator[Check]:
    import psutil

    found = psutil.virtual_memory()
    tight = found.available < SMALL_MEMORY
    way = "fewer runtime.workers in params.yaml" if tight else ""
    yield Check("memory", WARN if tight else OK, f"{size(found.available)} of {size(found.total)} available", way)
    cores = len(psutil.Process().cpu_affinity()) if hasattr(psutil.Process, "cpu_affinity") else os.cpu_count() or 1
    load = os.getloadavg()[0]
    busy = load > 1.5 * cores
    way = "others work here too: expect longer times" if busy else ""
    yield Check("processors", WARN if busy else OK, f"{cores}, load {load:.1f}", way)


# ---- the checkout ----------------------------------------------------------------------------------------------------


def parameters() -> Iterator[Check]:
    from irg_core.params import section
    from pipelines.executor import RuntimeParams

    runtime = section("runtime", RuntimeParams)
    yield Check("params.yaml", OK, f"{runtime.executor}, {runtime.workers} workers")
    import psutil

    cores = psutil.cpu_count() or 1
    if runtime.executor == "process" and runtime.workers > cores:
        yield Check("workers", WARN, f"{runtime.workers} on {cores} processors", "lower runtime.workers")
    if runtime.executor == "ray":
        yield ray(runtime.ray_address)


def ray(address: str) -> Check:
    """Whether the head of a cluster takes connections."""
    import socket

    if not address:
        return Check("Ray", OK, "a Ray of each stage's own, on this machine")
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        with socket.create_connection((host or "127.0.0.1", int(port)), timeout=3):
            return Check("Ray", OK, f"{address} takes connections")
    except (OSError, ValueError) as error:
        way = "start the head (`ray start --head`), or empty runtime.ray_address"
        return Check("Ray", BAD, f"{address} cannot be reached ({error})", way)


def prefect() -> Iterator[Check]:
    from flows.server import address, answers

    if (api := address()) is None:
        yield Check("Prefect", OK, "no server; stages run unwatched (`make watch` starts one)")
        return
    trouble = answers(api, seconds=3)
    way = "`make stop`, then `make watch`; the work goes on without" if trouble else ""
    yield Check("Prefect", WARN if trouble else OK, trouble or f"{api.removesuffix('/api')} answers", way)


def keys() -> Iterator[Check]:
    """Whether the keys that this build's providers read are there; never what they are."""
    from irg_core.params import mapping

    asked = {mapping(stage).get("provider") for stage in ("describe", "analyse", "assess")}
    for provider, entry in mapping("llm").items():
        name = entry.get("key_variable") if isinstance(entry, dict) else None
        if not name:
            continue
        there, used = bool(os.environ.get(name)), provider in asked
        told = f"{name} is {'set' if there else 'not set'}" + ("" if used else f"; no stage asks '{provider}'")
        bad = used and not there
        yield Check("key", BAD if bad else OK, told, f"export {name}=…" if bad else "")


def locks() -> Iterator[Check]:
    """Locks that a kill left behind, and who holds the others."""
    import psutil

    from flows import dag

    held = [pid for pid, _ in dag.processes()]
    gone = sorted(pid for pid in _holders(Path(".dvc/tmp/rwlock")) if not psutil.pid_exists(pid))
    if gone:
        told = f".dvc/tmp/rwlock names process {gone[0]}, which is gone"
        yield Check("lock", WARN, told, "the next `dvc` takes it over; or delete the file")
    parts = [path for folder in (Path("data"), Path("runs")) for path in folder.rglob(".*.part")]
    if parts and not held:
        yield Check(
            "leftovers", WARN, f"{len(parts)} half-written files, such as {parts[0]}", "the next run replaces them"
        )
    if held:
        yield Check("DVC", WARN, f"a dvc of this checkout runs (process {held[0]})", "wait for it: one at a time")
    elif not gone:
        yield Check("locks", OK, "no dvc runs, no lock is left over")


def _holders(path: Path) -> set[int]:
    """The processes that a lock of DVC names: {"read": {file: [{"pid": …}]}, "write": {file: {"pid": …}}}."""
    import json

    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        found = json.loads(path.read_text(encoding="utf-8"))
        reading = [one for holds in found.get("read", {}).values() for one in holds]
        return {int(one["pid"]) for one in [*reading, *found.get("write", {}).values()]}
    return set()


def orphans() -> Iterator[Check]:
    """Stages of this checkout that run without a DVC or a shell behind them."""
    import psutil

    found = []
    for pid, words in _processes():
        is_stage = "-m" in words[:3] and words[words.index("-m") + 1 :][:1] in (["flows"], ["pipelines"])
        with suppress(psutil.Error):
            if is_stage and psutil.Process(pid).ppid() == 1:
                found.append(
                    f"{pid} ({' '.join(words[2:5])}, {duration(time.time() - psutil.Process(pid).create_time())})"
                )
    if found:
        yield Check("orphans", WARN, ", ".join(found), "they end by themselves within a second; else kill them")
    else:
        yield Check("orphans", OK, "none")


def _processes() -> Iterator[tuple[int, list[str]]]:
    """The processes that run in this checkout."""
    import psutil

    here = str(Path.cwd())
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            words = process.cmdline()
            if words and process.pid != os.getpid() and process.cwd() == here:
                yield process.pid, words


# ---- DVC -------------------------------------------------------------------------------------------------------------


def cache(thorough: bool) -> Iterator[Check]:
    """Whether DVC's cache has what dvc.lock names, unspoilt, and how files are linked to it."""
    import yaml

    from flows import dag

    try:
        lock = yaml.load(Path("dvc.lock").read_text(encoding="utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        outs = [out for stage in lock["stages"].values() for out in stage.get("outs", [])]
    except FileNotFoundError:
        yield Check("DVC cache", OK, "nothing was built yet")
        return
    except (yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        yield Check("dvc.lock", BAD, f"cannot be read: {' '.join(str(error).split())[:200]}", "git checkout dvc.lock")
        return
    with dag.repository() as repo:
        local = repo.cache.local
        links = ", ".join(local.cache_types)
        wanted, missing = _objects(outs, local)
        yield Check("DVC links", OK, f"{_links(outs)} (in order of preference: {links})")
        if missing:
            way = "`dvc pull` fetches them from a remote, `dvc repro` makes them again"
            yield Check("DVC cache", WARN, f"{len(missing)} of {len(missing) + len(wanted)} files missing", way)
        step = 1 if thorough else max(1, len(wanted) // SAMPLE)
        spoilt = [path for md5, path in sorted(wanted.items())[::step] if _md5(path) != md5]
        looked = len(range(0, len(wanted), step))
        if spoilt:
            way = (
                f"rm {' '.join(map(str, spoilt[:3]))}{' …' if len(spoilt) > 3 else ''}, then `dvc pull` or `dvc repro`"
            )
            yield Check("DVC cache", BAD, f"{len(spoilt)} of {looked} files are not what their name says", way)
        elif not missing:
            yield Check("DVC cache", OK, f"all {len(wanted)} files of dvc.lock are there; {looked} hashed, unspoilt")


def _objects(outs: list[dict[str, Any]], local: Any) -> tuple[dict[str, Path], list[str]]:
    """The files of the cache behind these outs by their hash, and what is not there."""
    import json

    wanted: dict[str, Path] = {}
    missing: list[str] = []
    waiting = [out["md5"] for out in outs if "md5" in out]
    while waiting:
        md5 = waiting.pop()
        if md5 in wanted:
            continue
        path = Path(local.oid_to_path(md5))
        if not path.exists():
            missing.append(md5)
        elif md5.endswith(".dir"):
            with suppress(ValueError, KeyError, TypeError):
                waiting += [entry["md5"] for entry in json.loads(path.read_text(encoding="utf-8"))]
        else:
            wanted[md5] = path
    return wanted, missing


def _md5(path: Path) -> str:
    import hashlib

    with path.open("rb") as content:
        return hashlib.file_digest(content, "md5").hexdigest()


def _links(outs: list[dict[str, Any]]) -> str:
    """How the files of the workspace share their bytes with the cache, by what the file system shows."""
    kinds: dict[str, int] = {}
    for out in outs:
        path = Path(out["path"])
        if path.is_symlink():
            kind = "symlinks"
        elif path.is_file():
            kind = "hardlinks" if path.stat().st_nlink > 1 else "copies or reflinks"
        else:
            continue
        kinds[kind] = kinds.get(kind, 0) + 1
    return ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())) or "no file of the workspace"


def git() -> Iterator[Check]:
    """DVC needs git for revisions, `irg compare` among others."""
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    if done.returncode:
        yield Check("git", WARN, "no commit here", "git init, or clone the project: revisions cannot be compared")
    else:
        yield Check("git", OK, f"at {done.stdout.strip()}")


LOOKS: tuple[Callable[[], Iterator[Check]], ...] = (
    python, versions, disk, memory, git, parameters, prefect, keys, locks, orphans,
)  # fmt: skip
