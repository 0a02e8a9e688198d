"""`irg corpus`: look at a folder of motion, put it in, and see what became of the corpora that are in."""

import inspect as signatures
import itertools
import os
import re
import shlex
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

import typer
import yaml

from flows.terminal import Json, console, print_json
from irg_core import plugins
from irg_core.errors import ParamsError, SourceError
from irg_core.files import write_text
from irg_core.params import PATH, mapping
from irg_core.records.annotation import Rejection
from irg_core.records.motion import Take
from irg_core.summaries import FOLDER as SUMMARIES

app = typer.Typer(help=__doc__, no_args_is_help=True)

NEEDED = ("format", "root")
"""What every corpus's entry says."""
MOST_FILES = 100_000
"""Files looked at to tell a folder's format."""
MOST_READ = 300
"""Takes read to find some that are spread."""
_CMU_NAME = re.compile(r"\d{2,3}_[a-z]?\d{2}\w*\.\w+")


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
    command = _command("add", folder, name=name, format=format)
    print(f"\nTo put it in, say `{command}`, which writes this below `corpora:` in params.yaml,")
    print(f"or paste it there yourself; then say `irg repro audit@{next(iter(entry))}`:\n")
    print(_as_yaml(entry).rstrip())


@app.command()
def add(
    folder: Annotated[Path, typer.Argument(help="where the motion lies")],
    name: Annotated[str, typer.Option(help="the corpus's name; the folder's if left out")] = "",
    format: Annotated[str, typer.Option(help="a file of irg_core/corpora; guessed if left out")] = "",
    captions: Annotated[str, typer.Option(help="a table in the folder, or as YAML; found if left out")] = "",
    fps: Annotated[float | None, typer.Option(help="frames a second, where files say none or lie")] = None,
    up: Annotated[str, typer.Option(help="the axis that points up, where it is not found out")] = "",
    unit: Annotated[str, typer.Option(help="m, cm, mm, inch, foot, or metres a unit")] = "",
    licence: Annotated[str, typer.Option(help="what the dataset's card says of it")] = "",
    takes: Annotated[int, typer.Option(help="how many takes to look into first", min=1)] = 12,
    dry_run: Annotated[bool, typer.Option(help="look and say what would be written")] = False,
    as_json: Json = False,
) -> None:
    """Look into a folder and write its entry into params.yaml, whose comments stay."""
    said = {
        "captions": _value(captions), "fps": fps, "up": up, "unit": _value(unit), "licence": licence,
    }  # fmt: skip
    options = {key: value for key, value in said.items() if value not in ("", None)}
    if not folder.is_dir():
        raise SourceError(f"{folder} is no folder")
    format = format or guess_format(folder)
    found = look(folder, format, takes, {key: value for key, value in options.items() if key != "licence"})
    if not found.takes:
        reason = f"{found.refused[0].reason}: {found.refused[0].detail}" if found.refused else "no motion in it"
        raise SourceError(f"{folder} gives no take ({reason}); `{_command('inspect', folder)}` tells more")
    chosen = name or _as_name(folder)
    entry = {"format": format, "root": str(_root(folder)), **found.options, **options}
    text = with_entry(PATH.read_text(encoding="utf-8"), chosen, entry)
    if not dry_run:
        write_text(PATH, text)
    if as_json:
        print_json({"corpus": chosen, "entry": entry, "written": not dry_run, "refused": len(found.refused)})
        return
    _show(found)
    print(f"\n{'would be written' if dry_run else 'written'} below `corpora:` in {PATH}:\n")
    print(_as_yaml({chosen: entry}).rstrip())
    print(f"\nNow: irg repro audit@{chosen}, then open data/reports/corpus/{chosen}.html")


def _command(word: str, folder: Path, **options: str) -> str:
    """A command line that can be pasted as it stands."""
    given = [part for key, value in options.items() if value for part in (f"--{key}", value)]
    return shlex.join(["irg", "corpus", word, str(folder), *given])


@app.command("list")
def listed(as_json: Json = False) -> None:
    """Say what became of each corpus: clips, captions, rejections by reason, and when it was built last."""
    rows = [_state(name, entry) for name, entry in mapping("corpora").items()]
    if as_json:
        print_json(rows)
        return
    from rich.table import Table

    table = Table("corpus", "format", "clips", "captions", "rejected", "built", "root", box=None, pad_edge=False)
    for row in rows:
        counts = ("–" if row[key] is None else f"{row[key]:,}" for key in ("clips", "captions"))
        rejected = sum(row["rejected"].values())
        format, root = (row[key] or "–" for key in NEEDED)
        table.add_row(row["corpus"], format, *counts, f"{rejected:,}", row["built"] or "never", root)
    out = console()
    out.print(table)
    for row in rows:
        if missing := [key for key in NEEDED if not row[key]]:
            out.print(f"{row['corpus']}: {PATH} names no {' and no '.join(missing)}", markup=False)
        for reason, count in sorted(row["rejected"].items(), key=lambda pair: -pair[1]):
            out.print(f"{row['corpus']}: {count:,} × {reason}", markup=False)


def _state(name: str, entry: Any) -> dict[str, Any]:
    import pyarrow.parquet as pq

    from irg_core.tables import count

    clips, captions = (Path("data") / kind / f"{name}.parquet" for kind in ("clips", "captions"))
    rejected: Counter[str] = Counter()
    for path in sorted(Path("data/rejections").glob(f"*/{name}.parquet")):
        rejected.update(
            f"{path.parent.name}: {one}" for one in pq.read_table(path, columns=["reason"])["reason"].to_pylist()
        )
    built = SUMMARIES / f"ingest@{name}.json"
    made = built if built.exists() else clips
    said = entry if isinstance(entry, dict) else {}
    return {
        "corpus": str(name), **{key: str(said[key]) if said.get(key) else None for key in NEEDED},
        "clips": count(clips) if clips.exists() else None,
        "captions": count(captions) if captions.exists() else None,
        "rejected": dict(rejected),
        "built": time.strftime("%Y-%m-%d %H:%M", time.localtime(made.stat().st_mtime)) if clips.exists() else None,
    }  # fmt: skip


def with_entry(text: str, name: str, entry: dict[str, Any]) -> str:
    """The text of params.yaml with one more corpus, everything else as it stands. Raises `ParamsError`."""
    from ruamel.yaml import YAML, YAMLError

    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,59}", name):
        raise ParamsError(f"'{name}' is no name for a corpus; --name one of lower-case letters, digits, - and _")
    try:
        values = YAML().load(text)
        known = values["corpora"]
        line = known.lc.line
    except (YAMLError, KeyError, TypeError, AttributeError) as error:
        raise ParamsError(f"{PATH} has no mapping 'corpora' that can be read; mend it first") from error
    if name in known:
        raise ParamsError(f"{PATH}: corpora has '{name}' already; take another --name, or edit it there")
    if set(str(entry["root"])) & UNSAFE:
        raise SourceError(f"{entry['root']} has a quote, a brace, a dollar or a line break in it; rename the folder")
    lines = text.splitlines(keepends=True)
    # Behind the last line that belongs to an entry; comments that follow belong to what follows.
    last = next(
        (at for at in range(line, len(lines)) if re.match(r"\S", lines[at]) and lines[at][0] != "#"), len(lines)
    )
    while last > line and re.match(r"\s*(#|$)", lines[last - 1]):
        last -= 1
    if last and not lines[last - 1].endswith("\n"):
        lines[last - 1] += "\n"
    written = "".join([*lines[:last], _as_yaml({name: entry}), *lines[last:]])
    try:
        is_whole = yaml.safe_load(written)["corpora"] == {**yaml.safe_load(text)["corpora"], name: entry}
    except yaml.YAMLError:
        is_whole = False
    if not is_whole:
        raise ParamsError(f"{PATH}: the entries below 'corpora' are not written as a block; paste it by hand")
    return written


UNSAFE = set("'\"\\$`\n\0{}")
"""DVC writes a corpus's root into the command line of a shell."""


def _as_yaml(entry: dict[str, Any]) -> str:
    """Lines for below `corpora:`."""
    return re.sub("^", "  ", yaml.safe_dump(entry, sort_keys=False, allow_unicode=True), flags=re.MULTILINE).rstrip(" ")


def _root(folder: Path) -> Path:
    """As it will be found from the root of the checkout."""
    whole = folder.expanduser().resolve()
    return whole.relative_to(Path.cwd()) if whole.is_relative_to(Path.cwd()) else whole


def _value(text: str) -> Any:
    """`index.csv` is a word, `{sidecar: .txt}` a mapping, `0.01` a number."""
    try:
        return yaml.safe_load(text) if text else ""
    except yaml.YAMLError as error:
        raise ParamsError(f"{text!r} is neither a word nor a mapping in YAML") from error


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen in a folder."""

    format: str
    options: dict[str, Any]  # for the entry in params.yaml, beside format and root
    takes: list[Take]
    refused: list[Rejection]
    files: Counter[str]


def look(folder: Path, format: str, count: int, given: Mapping[str, Any] = MappingProxyType({})) -> Look:
    """Some takes of a folder as the format reads them with the options given, and the captions that can be found."""
    read = plugins.load("irg_core.corpora", format).read
    accepted = signatures.signature(read).parameters
    if unknown := sorted(set(given) - set(accepted)):
        raise SourceError(f"format '{format}' takes no {', '.join(unknown)}; it takes: {', '.join(accepted)}")
    found = guess_captions(folder) if "captions" in accepted and "captions" not in given else None
    options = {**({"captions": found} if found else {}), **given}
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
