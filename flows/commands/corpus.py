"""`irg corpus`: look at a folder of motion before it goes in."""

import inspect as signatures
import itertools
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from irg_core import plugins
from irg_core.errors import SourceError
from irg_core.records.annotation import Rejection
from irg_core.records.motion import Take

app = typer.Typer(help=__doc__, no_args_is_help=True)

MOST_FILES = 100_000
"""Files looked at to tell a folder's format."""
MOST_READ = 300
"""Takes read to find some that are spread."""
_CMU_NAME = re.compile(r"\d{2,3}_[a-z]?\d{2}\w*\.\w+")


@app.callback()
def _group() -> None:
    """Keeps `inspect` a command of its own while it is the only one."""


@app.command()
def inspect(
    folder: Annotated[Path, typer.Argument(help="where the motion lies")],
    format: Annotated[str, typer.Option(help="a file of irg_core/corpora; guessed if left out")] = "",
    takes: Annotated[int, typer.Option(help="how many takes to look into", min=1)] = 12,
    name: Annotated[str, typer.Option(help="the corpus's name in params.yaml")] = "",
) -> None:
    """Say what a folder holds (format, skeleton, rate, unit, axes, captions, problems) and how to put it in."""
    if not folder.is_dir():
        raise SourceError(f"{folder} is no folder")
    found = look(folder, format or guess_format(folder), takes)
    _show(found)
    entry = {name or _as_name(folder): {"format": found.format, "root": str(folder), **found.options}}
    print("\nTo put it in, paste this below `corpora:` in params.yaml, then run `dvc repro`:\n")
    print(re.sub("^", "  ", yaml.safe_dump(entry, sort_keys=False, allow_unicode=True), flags=re.MULTILINE).rstrip())


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen in a folder."""

    format: str
    options: dict[str, Any]  # for the entry in params.yaml, beside format and root
    takes: list[Take]
    refused: list[Rejection]
    files: Counter[str]


def look(folder: Path, format: str, count: int) -> Look:
    """Some takes of a folder as the format reads them, with the captions that can be found for them."""
    read = plugins.load("irg_core.corpora", format).read
    accepted = signatures.signature(read).parameters
    options = {"captions": said} if "captions" in accepted and (said := guess_captions(folder)) else {}
    missing = [
        option.name
        for option in accepted.values()
        if option.name != "root" and option.default is option.empty and option.name not in options
    ]
    if missing:
        raise SourceError(f"format '{format}' needs {', '.join(missing)}: see the README, \"Formats\"")
    seen = Counter(path.suffix.lower() for path in files(folder))
    # Spread over the folder, as skeletons change from session to session, but never more than a few seconds' reading.
    among = min(max([count, *seen.values()]), MOST_READ)
    results = list(itertools.islice(read(folder, **options), 0, among, max(1, among // count)))
    motions = [result for result in results if isinstance(result, Take)]
    refused = [result for result in results if isinstance(result, Rejection)]
    return Look(format, options, motions, refused, seen)


def files(folder: Path) -> Iterator[Path]:
    """The files below a folder, names only, as far as `MOST_FILES`."""
    every = (Path(place) / name for place, _, names in os.walk(folder) for name in sorted(names))
    return itertools.islice(every, MOST_FILES)


def guess_format(folder: Path) -> str:
    """The format that a folder's files speak of. Raises `SourceError` where none does."""
    for rows in itertools.islice(folder.glob("new_joint_vecs/*.npy"), 1):
        return "kitml" if _width(rows) == 251 else "humanml3d"
    for rows in itertools.islice(folder.glob("new_joints/*.npy"), 1):
        return "kitml" if _width(rows) == 21 else "humanml3d"
    seen: dict[str, list[Path]] = {}
    for path in files(folder):
        seen.setdefault(path.suffix.lower(), []).append(path)
    if ".amc" in seen:
        return "cmu"
    if ".bvh" in seen:
        return "cmu" if all(_CMU_NAME.fullmatch(path.name) for path in seen[".bvh"]) else "bvh"
    if ".npz" in seen:
        return "amass" if _holds_poses(seen[".npz"][0]) else "joints"
    if any(path.read_bytes()[:200].lstrip().startswith(b"{") for path in seen.get(".txt", [])[:3]):
        return "deepmimic"
    if ".npy" in seen or ".parquet" in seen:
        return "joints"
    kinds = ", ".join(f"{len(paths)} {suffix or 'without suffix'}" for suffix, paths in sorted(seen.items()))
    known = ", ".join(plugins.names("irg_core.corpora"))
    raise SourceError(f"{folder} is of no known format (files: {kinds or 'none'}); name one with --format: {known}")


def guess_captions(folder: Path) -> Any:
    """The option `captions` that fits a folder: a table with the right columns, texts beside the files, or nothing."""
    from irg_core.sources.captions import captions

    for path in sorted(path for path in files(folder) if path.suffix.lower() in (".csv", ".tsv", ".jsonl")):
        table = path.relative_to(folder).as_posix()
        try:
            captions(folder, table)
        except SourceError:
            continue
        return table
    stems = {path.with_suffix("") for path in files(folder) if path.suffix.lower() in (".bvh", ".npz", ".npy", ".amc")}
    for suffix in (".txt", ".lab"):
        if any(path.with_suffix("") in stems for path in files(folder) if path.suffix == suffix):
            return {"sidecar": suffix}
    return None


def _width(path: Path) -> int:
    import numpy as np

    try:
        shape: tuple[int, ...] = np.load(path, mmap_mode="r", allow_pickle=False).shape
    except (OSError, ValueError):
        return 0
    return shape[1] if len(shape) > 1 else 0


def _holds_poses(path: Path) -> bool:
    import zipfile

    try:
        with zipfile.ZipFile(path) as archive:
            return "poses.npy" in archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return False


def _as_name(folder: Path) -> str:
    return re.sub(r"\W+", "_", folder.resolve().name.lower()).strip("_") or "corpus"


def _show(found: Look) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    out = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    counted = ", ".join(f"{count} {suffix or 'without suffix'}" for suffix, count in sorted(found.files.items()))
    out.print(f"format [bold]{found.format}[/bold]; files: {counted}")
    out.print(f"captions: {found.options.get('captions') or 'none found; the describe stage will write them'}\n")
    table = Table("take", "s", "fps", "skeleton", "unit", "height", "up", "faces", "rest", box=None, pad_edge=False)
    problems: Counter[str] = Counter()
    maps: Counter[str] = Counter()
    for take in found.takes:
        cells, joints, trouble = _body(take)
        table.add_row(escape(take.name), f"{len(take.joints) / take.fps:.1f}", f"{take.fps:g}", *cells)
        maps[joints] += 1
        problems.update(trouble)
    out.print(table)
    for joints, count in maps.most_common():
        out.print(f"\n[bold]joints[/bold] ({count} of {len(found.takes)} takes), ours → theirs: {escape(joints)}")
    problems.update(f"{row.reason}: {row.detail}" for row in found.refused)
    for problem, count in problems.most_common(10):
        out.print(f"[bold]problem[/bold] ({count}×): {escape(problem)}")


def _body(take: Take) -> tuple[list[str], str, list[str]]:
    """A take's cells in the table, its joint map in words, and what a person should look at."""
    from irg_core.motion.retarget import CannotFit, understand

    try:
        body = understand(take)
    except CannotFit as error:
        return ["?"] * 6, "not understood", [f"{take.name}: {': '.join(map(str, error.args))}"]
    unit = "m" if body.unit == 1 else f"{body.unit:g} m"
    cells = [body.family, unit, f"{body.height:.2f} m", body.up, f"{body.facing:+.0f}°", f"{body.rest_frames}"]
    pairs = ", ".join(f"{ours} → {theirs}" for ours, theirs in body.joints.items() if ours != theirs)
    laid = f"; laid in between: {', '.join(body.interpolated)}" if body.interpolated else ""
    return cells, (pairs or "ours by name") + laid, list(body.problems)
