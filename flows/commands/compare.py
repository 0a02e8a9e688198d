"""`irg compare`: what two builds differ in: parameters, numbers with what chance could give, and rows of tables."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.builds import SCORES, Build, builds
from flows.terminal import Json, console, counted, print_json

if TYPE_CHECKING:
    import pyarrow as pa

    from irg_core.records.changes import Step
    from irg_core.records.evaluation import Values

TABLES = ("clips", "captions", "analyses", "pairs", "flawed", "assessments", "verified", "examples", "rejections")
"""Folders of data/ that make up the dataset."""
METRICS = ("r3", "gallery_r3", "fid", "fulfilled", "foot_skate")
GONE, NO_CLIP, NEW = "not made any more", "its clip is gone", "not made before"
SHOWN = 40
"""Parameters that fit on a screen."""


@dataclass(frozen=True, slots=True)
class Changed:
    """What became of one table."""

    table: str
    before: int
    after: int
    added: dict[str, int]  # by reason: why it was not there before
    removed: dict[str, int]  # by reason
    changed: dict[str, int]  # by column


def compare(
    one: Annotated[str, typer.Argument(help="a revision, an experiment, another checkout, or an evaluation's folder")],
    two: Annotated[str, typer.Argument(help="the same; the working tree if left out")] = "",
    tables: Annotated[bool, typer.Option(help="also compare the rows of the dataset's tables")] = True,
    as_json: Json = False,
) -> None:
    """Say what changed from one build to another: parameters, results with their significance, rows by reason."""
    with builds(one, two) as (before, after):
        values: dict[str, Any] = {
            "one": before.label,
            "two": after.label,
            "params": changed_params(before.params, after.params),
            "scores": scores(before, after),
        }
        judged = significance(before, after)
        rows = list(table_changes(before, after)) if tables else []
        lacking = {side.label: side.lacking for side in (before, after) if side.lacking}
    if as_json:
        told = {"steps": [asdict(step) for step in judged], "tables": [asdict(row) for row in rows], "lacking": lacking}
        print_json({**values, **told})
    else:
        _show(values, judged, rows, lacking)


# ---- parameters ------------------------------------------------------------------------------------------------------


def changed_params(before: dict[str, Any], after: dict[str, Any]) -> dict[str, list[Any]]:
    """Name of each parameter that differs -> its two values; None where one build lacks it."""
    ones, twos = dict(_flat(before)), dict(_flat(after))
    names = [*ones, *(name for name in twos if name not in ones)]
    return {name: [ones.get(name), twos.get(name)] for name in names if ones.get(name) != twos.get(name)}


def _flat(values: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(values, dict) and values:
        for name, inner in values.items():
            yield from _flat(inner, f"{place}.{name}" if place else str(name))
    else:
        yield place, values


# ---- numbers ---------------------------------------------------------------------------------------------------------


def scores(before: Build, after: Build) -> list[dict[str, Any]]:
    """The headline numbers of each row that both builds have, as they stand."""
    ones, twos = (_scores(side) for side in (before, after))
    rows = []
    for place, one in ones.items():
        two = twos.get(place)
        if two and place[-1] in METRICS and "/" not in place[3]:
            rows.append({
                **dict(zip(("row", "motion", "evaluator", "subset", "metric"), place, strict=True)),
                "one": one, "two": two,
            })  # fmt: skip
    return rows


def _scores(side: Build) -> dict[tuple[str, ...], dict[str, float]]:
    try:
        found = json.loads(side.text(SCORES) or "{}")
    except ValueError:
        return {}
    found = found.get("scores", found)
    return dict(_leaves(found, ()))


def _leaves(values: Any, place: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], dict[str, float]]]:
    for name, inner in values.items():
        if isinstance(inner, dict) and "mean" in inner:
            yield (*place, name), inner
        elif isinstance(inner, dict):
            yield from _leaves(inner, (*place, name))


def significance(before: Build, after: Build) -> list["Step"]:
    """What became of each row's numbers, clip by clip, where both builds were tested on the same clips."""
    from irg_core.evaluation import changes

    rows: list[Values] = []
    pairs, sizes = [], Counter[str]()
    for path in sorted(path for path in before.outs() & after.outs() if path.startswith("data/values/")):
        if before.digest(path) == after.digest(path) or not _same_goals(before, after, path):
            continue
        for side, name in ((before, "one"), (after, "two")):
            rows += [replace(value, row=f"{value.row} ({name})") for value in _values(side, path)]
    for value in rows:
        pair = (
            (value.row.replace("(two)", "(one)"), value.motion),
            (value.row.replace("(one)", "(two)"), value.motion),
        )
        if pair not in pairs and value.metric in METRICS:
            pairs.append(pair)
        if "/" not in value.subset and value.over == "clips":
            sizes[value.subset] = max(sizes[value.subset], len(value.values))
    if not sizes:
        return []
    rewarded = {name for side in (before, after) for name in side.params.get("train_stage3", {}).get("rewards", {})}
    steps = changes.steps(rows, sizes.most_common(1)[0][0], pairs, 0, rewarded)
    return [step for step in steps if step.effects]


def _values(side: Build, path: str) -> list["Values"]:
    from irg_core import tables
    from irg_core.records.evaluation import Values

    found = side.file(path)
    return tables.read(found, Values) if found else []


def _same_goals(before: Build, after: Build, path: str) -> bool:
    """Whether a model was asked for the same goals in both builds: else nothing can be paired."""
    from irg_core import tables

    asked = path.replace("data/values/", "data/generations/")
    if before.digest(asked) == after.digest(asked):
        return True
    files = [side.file(asked) for side in (before, after)]
    return all(files) and len({tuple(tables.keys(file)) for file in files if file}) == 1


# ---- rows ------------------------------------------------------------------------------------------------------------


def table_changes(before: Build, after: Build) -> Iterator[Changed]:
    """Every table of the dataset that differs, with its rows by what became of them."""
    paths = sorted(path for path in before.outs() | after.outs() if _is_table(path))
    differing = [path for path in paths if before.digest(path) != after.digest(path)]
    for path in counted(differing, "tables", len(differing)):
        sides = [side.file(path) for side in (before, after)]
        if any(side.digest(path) and file is None for side, file in zip((before, after), sides, strict=True)):
            continue  # told as lacking
        found = _compared(path, sides[0], sides[1], before, after)
        if found.added or found.removed or found.changed:
            yield found


def _is_table(path: str) -> bool:
    parts = path.split("/")
    return path.endswith(".parquet") and len(parts) > 2 and parts[0] == "data" and parts[1] in TABLES


def _compared(path: str, one: Path | None, two: Path | None, before: Build, after: Build) -> Changed:
    import pyarrow.parquet as pq

    ones, twos = (pq.read_table(file) if file else None for file in (one, two))
    here, there = _keys(ones), _keys(twos)
    if path.startswith("data/rejections/"):
        added = Counter(_reason(twos, there[key]) for key in there.keys() - here.keys())
        removed = Counter(_reason(ones, here[key]) for key in here.keys() - there.keys())
    else:
        added = Counter(_why(path, sorted(there.keys() - here.keys()), twos, there, before, NEW))
        removed = Counter(_why(path, sorted(here.keys() - there.keys()), ones, here, after, GONE))
    both = sorted(here.keys() & there.keys())
    changed = _columns(ones, twos, [here[key] for key in both], [there[key] for key in both])
    return Changed(path.removeprefix("data/"), len(here), len(there), dict(added), dict(removed), changed)


def _keys(table: "pa.Table | None") -> dict[str, int]:
    return {} if table is None else {key: place for place, key in enumerate(table.column(0).to_pylist())}


def _reason(table: "pa.Table | None", place: int) -> str:
    return "" if table is None else str(table["reason"][place].as_py())


def _why(
    path: str, keys: list[str], table: "pa.Table | None", places: dict[str, int], other: Build, otherwise: str
) -> Iterator[str]:
    """Why the other build has none of these rows: a rejection, a clip that is not there, or nothing that it tells."""
    if not keys or table is None:
        return
    corpus = Path(path).name
    refused: dict[str, str] = {}
    for found in sorted(
        one for one in other.outs() if one.startswith("data/rejections/") and one.endswith(f"/{corpus}")
    ):
        rows = _rejections(other.file(found))
        refused |= {key: f"{Path(found).parent.name}: {reason}" for key, reason in rows.items()}
    clips = _clip_ids(other, corpus)
    names = table.column_names
    for key in keys:
        clip = table["clip_id"][places[key]].as_py() if "clip_id" in names else key
        is_orphan = clips is not None and clip not in clips and not path.startswith("data/clips/")
        yield refused.get(key) or refused.get(clip) or (NO_CLIP if is_orphan and "clip_id" in names else otherwise)


def _rejections(path: Path | None) -> dict[str, str]:
    import pyarrow.parquet as pq

    if path is None:
        return {}
    table = pq.read_table(path, columns=["key", "reason"])
    return dict(zip(table["key"].to_pylist(), table["reason"].to_pylist(), strict=True))


def _clip_ids(side: Build, corpus: str) -> set[str] | None:
    import pyarrow.parquet as pq

    path = side.file(f"data/clips/{corpus}")
    return set(pq.read_table(path, columns=["clip_id"])["clip_id"].to_pylist()) if path else None


def _columns(one: "pa.Table | None", two: "pa.Table | None", ones: list[int], twos: list[int]) -> dict[str, int]:
    """How many of the rows that both have differ, by column; "any" counts each row once."""
    if one is None or two is None or not ones:
        return {}
    found: dict[str, int] = {}
    touched: set[int] = set()
    for name in one.column_names:
        if name not in two.column_names:
            found[name] = len(ones)
            continue
        left, right = one[name].take(ones).combine_chunks(), two[name].take(twos).combine_chunks()
        if left.type == right.type and left.equals(right):
            continue
        rows = [row for row in range(len(ones)) if left[row] != right[row]]
        if rows:
            found[name] = len(rows)
            touched.update(rows)
    return {"any": len(touched), **found} if touched else found


# ---- what is seen ----------------------------------------------------------------------------------------------------


def _show(values: dict[str, Any], judged: list["Step"], rows: list[Changed], lacking: dict[str, list[str]]) -> None:
    from rich.table import Table

    out = console()
    out.print(f"one: {values['one']}\ntwo: {values['two']}\n", markup=False)
    params = list(values["params"].items())
    out.print(f"[bold]{len(params)} parameters differ[/]" if params else "[bold]no parameter differs[/]")
    for name, (one, two) in params[:SHOWN]:
        out.print(f"  {name}: {_said(one)} → {_said(two)}", markup=False)
    if len(params) > SHOWN:
        out.print(f"  … and {len(params) - SHOWN} more; --json has them all")
    out.print()
    if judged:
        _show_steps(judged)
    elif values["scores"] and all(row["one"] == row["two"] for row in values["scores"]):
        out.print("the results are the same")
    elif values["scores"]:
        _show_scores(values["scores"])
    else:
        out.print("no results that both have")
    table = Table("table", "rows", "added", "removed", "changed", box=None, pad_edge=False)
    for row in rows:
        cells = (_counted(one) for one in (row.added, row.removed, row.changed))
        table.add_row(row.table, f"{row.before:,} → {row.after:,}", *cells)
    if rows:
        out.print()
        out.print(table)
    else:
        out.print("\nno table of the dataset differs" + (", of those that could be read" if lacking else ""))
    for label, paths in lacking.items():
        out.print(
            f"not in the cache, {label}: {len(paths)} files, such as {paths[0]}; `dvc fetch` brings them", markup=False
        )


def _show_steps(judged: list["Step"]) -> None:
    from rich.table import Table

    from irg_core.reports.page import told

    out = console()
    table = Table("row", "number", "judge", "one", "two", "difference", "95 %", "p", "", box=None, pad_edge=False)
    for step in judged:
        for effect in step.effects:
            if effect.before == effect.after and effect.verdict == "no difference shown":
                continue
            colour = {"better": "green", "worse": "red"}.get(effect.verdict, "dim")
            table.add_row(
                step.two.replace(" (two)", ""), effect.name, effect.judge,
                f"{effect.before:.3f}", f"{effect.after:.3f}",
                f"{effect.after - effect.before:+.3f}", f"{effect.low:+.3f} … {effect.high:+.3f}", f"{effect.p:.3f}",
                f"[{colour}]{effect.verdict}[/]",
            )  # fmt: skip
    if table.row_count:
        out.print(table)
    for step in judged:
        doubts = "".join(f"\n  BEWARE: {flag}" for flag in step.flags)
        out.print(f"{step.two.replace(' (two)', '')}: {told(step)}{doubts}", markup=False)


def _show_scores(found: list[dict[str, Any]]) -> None:
    from rich.table import Table

    table = Table("row", "number", "evaluator", "subset", "one", "two", box=None, pad_edge=False)
    for row in found:
        name = row["row"] if row["motion"] == "only" else f"{row['row']}, {row['motion']}"
        table.add_row(name, row["metric"], row["evaluator"], row["subset"], _cell(row["one"]), _cell(row["two"]))
    out = console()
    out.print(table)
    out.print("not compared clip by clip: the builds were tested on different goals, or keep no values")


def _cell(score: dict[str, float]) -> str:
    return f"{score['mean']:.3f} ±{score['interval']:.3f}"


def _said(value: Any) -> str:
    text = "–" if value is None else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _counted(found: dict[str, int]) -> str:
    rows = sorted(found.items(), key=lambda pair: -pair[1])
    return "\n".join(f"{count:,} {reason}" for reason, count in rows) or "–"
