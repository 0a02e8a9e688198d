"""Tables of an annotated build of any size, made column by column: what benchmarks look things up in."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from irg_core import dialogue, tables
from irg_core.dialogue import SENTINEL
from irg_core.files import write_text
from irg_core.records.annotation import Analysis, Assessment, Caption, Flawed, Pair, Rejection, Transcript
from irg_core.records.audit import Finding
from irg_core.records.motion import FEATURES, Clip, Split
from irg_core.records.training import Example, Goal

ROOT = Path(__file__).parents[1]
CORPUS = "made"
KINDS = ("none", "mirror", "wrong_count", "truncated")
"""One pair of each goal a kind; the first is its own motion."""
ANSWER = "The person walks forward for three steps, and then turns to the left, but the left arm is raised too late."


def clip(number: int) -> str:
    return f"{CORPUS}/{number:07d}"


def motion(goal: int, kind: str) -> str:
    return clip(goal) if kind == "none" else f"{clip(goal)}~{kind}0"


def pair(number: int) -> str:
    """The key of pair `number` in the order of the table."""
    goal, kinds = number // len(KINDS), sorted(KINDS, key=lambda kind: motion(0, kind))
    return f"{clip(goal)}/0|{motion(goal, kinds[number % len(KINDS)])}"


def make(folder: Path, goals: int) -> dict[str, int]:
    """Write a build of so many goals under `folder`, and its params.yaml; returns the rows of each table."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["corpora"] = {CORPUS: {"format": "procedural", "root": "irg_core/corpora/procedural.yaml", "licence": "MIT"}}
    params["compose"]["tasks"] = {"assess": 1.0}
    write_text(folder / "params.yaml", yaml.safe_dump(params))
    clips = [clip(number) for number in range(goals)]
    captions = [f"{name}/0" for name in clips]
    texts = [f"a person walks forward {number % 9} steps and turns left" for number in range(goals)]
    pairs = [pair(number) for number in range(goals * len(KINDS))]
    of_goal = np.repeat(np.arange(goals), len(KINDS))
    motions = [key.partition("|")[2] for key in pairs]
    kinds = [name.partition("~")[2].rstrip("0") or "none" for name in motions]
    sources = ["goal" if kind == "none" else "edit" for kind in kinds]
    made = [name for name in motions if "~" in name]
    requests = [f"{number:064x}" for number in range(len(pairs))]
    judged: dict[str, list[Any]] = {
        "pair_id": pairs,
        "assessment": [ANSWER] * len(pairs),
        "refinement": [SENTINEL if source == "goal" else "Raise the left arm earlier." for source in sources],
        "origin": [{"clip_id": "", "request": request} for request in requests],
    }
    examples: dict[str, list[Any]] = {
        "example_id": [f"assess|{key}" for key in pairs],
        "task": ["assess"] * len(pairs),
        "split": ["train"] * len(pairs),
        "prompt": [f"Assess: {dialogue.motion([n % 256 for n in range(40)])} for: {texts[goal]}" for goal in of_goal],
        "answer": [[{"text": ANSWER, "supervised": True}]] * len(pairs),
        "lineage": [[key] for key in pairs],
        "action": ["walk"] * len(pairs),
        "flaws": [[] if kind == "none" else [kind] for kind in kinds],
    }
    rows: dict[str, tuple[type, dict[str, list[Any]]]] = {
        f"clips/{CORPUS}": (Clip, {"clip_id": clips, "corpus": [CORPUS] * goals, "take": clips,
                                   "features": [[[0.0] * FEATURES]] * goals}),
        "splits": (Split, {"clip_id": clips, "corpus": [CORPUS] * goals, "split": ["train"] * goals,
                           "captions": [[0]] * goals}),
        "twins": (Finding, {}),
        f"captions/{CORPUS}": (Caption, {"caption_id": captions, "clip_id": clips, "text": texts,
                                         "source": ["source"] * goals}),
        f"analyses/{CORPUS}": (Analysis, {"caption_id": captions, "clip_id": clips, "analysis": [ANSWER] * goals,
                                          "paraphrases": [[ANSWER, ANSWER, ANSWER]] * goals,
                                          "detailed": [ANSWER] * goals}),
        f"flawed/{CORPUS}": (Flawed, {"motion_id": made, "source": ["edit"] * len(made),
                                      "kind": [name.partition("~")[2][:-1] for name in made],
                                      "truth": [json.dumps({"changes": 1})] * len(made),
                                      "tokens": [[7] * 40] * len(made)}),
        f"pairs/{CORPUS}": (Pair, {"pair_id": pairs, "caption_id": [captions[goal] for goal in of_goal],
                                   "clip_id": [clips[goal] for goal in of_goal],
                                   "goal": [texts[goal] for goal in of_goal], "motion_id": motions, "source": sources,
                                   "kind": kinds}),
        f"assessments/{CORPUS}": (Assessment, judged),
        f"verified/{CORPUS}": (Assessment, judged),
        f"rejections/verify/{CORPUS}": (Rejection, {}),
        f"transcripts/assess/{CORPUS}": (Transcript, {"request": requests, "key": pairs, "reply": [ANSWER] * len(pairs),
                                                      "question": [ANSWER * 4] * len(pairs)}),
        "examples/stage1": (Example, examples),
        "examples/stage2": (Example, {"example_id": ["trace|made/0000000/0"], "task": ["trace"], "split": ["train"],
                                      "prompt": ["walk"], "lineage": [["made/0000000/0"]],
                                      "answer": [_trace()]}),
        "examples/stage3": (Goal, {"goal_id": captions, "clip_id": clips, "split": ["train"] * goals, "text": texts,
                                   "prompt": [dialogue.prompt(text) for text in texts], "tokens": [[7] * 40] * goals}),
    }  # fmt: skip
    for name, (record, columns) in rows.items():
        _write(folder / f"data/{name}.parquet", record, columns)
    return {name: len(next(iter(columns.values()), [])) for name, (_, columns) in rows.items()}


def _trace() -> list[dict[str, Any]]:
    rounds = (dialogue.Round((1, 2), "It fits.", SENTINEL),)
    parts = dialogue.segments(dialogue.Trace("A walk.", rounds))
    return [{"text": part.text, "supervised": part.supervised} for part in parts]


def _write(path: Path, record: type, columns: dict[str, list[Any]]) -> None:
    """A table laid out as `tables.commit` does; what is not given is empty."""
    shape = tables.schema(record)
    rows = len(next(iter(columns.values()), []))
    arrays = [_array(columns.get(field.name, [None] * rows), field.type) for field in shape]
    path.parent.mkdir(parents=True, exist_ok=True)
    size = tables.ROWS_PER_GROUP if record in (Clip, Finding) else tables.LIGHT_ROWS_PER_GROUP
    table = pa.Table.from_arrays(arrays, schema=shape)
    with pq.ParquetWriter(path, shape, compression="zstd", version="2.6") as writer:
        if rows:
            writer.write_table(table, row_group_size=size)


def _array(values: list[Any], kind: pa.DataType) -> pa.Array:
    if values and values[0] is None:
        return pa.array([_empty(kind)] * len(values), type=kind)
    if pa.types.is_struct(kind):
        empty = _empty(kind)
        return pa.array([empty | value for value in values], type=kind)
    return pa.array(values, type=kind)


def _empty(kind: pa.DataType) -> Any:
    if pa.types.is_struct(kind):
        return {field.name: _empty(field.type) for field in kind}
    if pa.types.is_list(kind):
        return []
    return "" if pa.types.is_string(kind) else False if pa.types.is_boolean(kind) else 0
