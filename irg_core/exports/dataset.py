"""Parquet by split with a dataset card: what `datasets.load_dataset(<folder>)` opens, here or on a hub."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from irg_core.files import whole_file, write_text
from irg_core.motion import representation
from irg_core.motion.skeleton import FPS, JOINTS
from irg_core.params import choice, mapping
from irg_core.records.exchange import Motion

SCHEMA = pa.schema(
    [
        ("name", pa.string()),
        ("corpus", pa.string()),
        ("source", pa.string()),
        ("seconds", pa.float64()),
        ("captions", pa.list_(pa.string())),
        ("facts", pa.list_(pa.string())),
        ("features", pa.list_(pa.list_(pa.float32()))),
        ("joints", pa.list_(pa.list_(pa.list_(pa.float32())))),
    ]
)
_MEANING = {
    "name": "unique; `<corpus>/<take>`, with `#<n>` where a long take was cut",
    "corpus": "where it comes from; see the table above",
    "source": "the file it was read from, relative to the corpus's root",
    "seconds": "length",
    "captions": "what people wrote or a grammar made, then what was written from measured facts",
    "facts": "measured in the motion, as terse lines",
    "features": "[frames, 263] in HumanML3D's layout, or [frames, 251] in KIT-ML's at 12.5 a second; not normalised",
    "joints": f"[frames, 22, 3] at {FPS:g} frames a second, metres, y up: {', '.join(JOINTS)}",
}
_ROTATIONS = {
    representation.COMPATIBLE: "- Rotations in `features` are the shortest ones, without twist, as in HumanML3D.",
    representation.EXACT: "- Rotations in `features` are exact, unlike HumanML3D's: the source's own, or by inverse\n"
    "  kinematics where it has positions only. What was trained on HumanML3D's rows misreads them.",
}
ROWS_PER_GROUP = 64


def write(motions: Iterable[Motion], folder: Path) -> int:
    """Write data/<split>.parquet and README.md, the card; returns how many motions."""
    counts: Counter[tuple[str, str]] = Counter()
    seconds: dict[str, float] = defaultdict(float)
    said: Counter[str] = Counter()
    with ExitStack() as stack:
        waiting: dict[str, list[Motion]] = {}
        writers: dict[str, pq.ParquetWriter] = {}
        for motion in motions:
            if motion.split not in writers:
                aside = stack.enter_context(whole_file(folder / f"data/{motion.split}.parquet"))
                writers[motion.split] = stack.enter_context(pq.ParquetWriter(aside, SCHEMA, compression="zstd"))
            rows = waiting.setdefault(motion.split, [])
            rows.append(motion)
            counts[motion.corpus, motion.split] += 1
            seconds[motion.corpus] += _seconds(motion)
            said[motion.corpus] += len(motion.captions)
            if len(rows) == ROWS_PER_GROUP:
                writers[motion.split].write_table(_table(rows))
                rows.clear()
        for split, rows in waiting.items():
            if rows:
                writers[split].write_table(_table(rows))
    write_text(folder / "README.md", _card(counts, seconds, said))
    return sum(counts.values())


def _seconds(motion: Motion) -> float:
    return representation.of(motion.features.shape[1]).seconds(motion.features)


def _table(motions: list[Motion]) -> pa.Table:
    rows = [
        {
            "name": motion.name,
            "corpus": motion.corpus,
            "source": motion.source,
            "seconds": _seconds(motion),
            "captions": motion.captions,
            "facts": motion.facts,
            "features": list(motion.features.astype(np.float32)),
            "joints": representation.to_joints(motion.features).astype(np.float32).tolist(),
        }
        for motion in motions
    ]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def _card(counts: Counter[tuple[str, str]], seconds: Mapping[str, float], said: Counter[str]) -> str:
    corpora, splits = sorted({corpus for corpus, _ in counts}), sorted({split for _, split in counts})
    entries = mapping("corpora")
    licences = {corpus: str(entries.get(corpus, {}).get("licence", "not stated")) for corpus in corpora}
    front = {
        "pretty_name": f"Captioned motion: {', '.join(corpora)}",
        "tags": ["human-motion", "text-to-motion"],
        "language": ["en"],
        "configs": [
            {
                "config_name": "default",
                "data_files": [{"split": _hub(split), "path": f"data/{split}.parquet"} for split in splits],
            }
        ],
    }
    rows = [
        f"| {corpus} | {entries.get(corpus, {}).get('format', '?')} | {licences[corpus]} | "
        + " | ".join(str(counts[corpus, split]) for split in splits)
        + f" | {seconds[corpus] / 60:.1f} | {said[corpus]} |"
        for corpus in corpora
    ]
    head = f"| corpus | format | licence | {' | '.join(splits)} | minutes | captions |"
    fields = [f"| `{field.name}` | `{field.type}` | {_MEANING[field.name]} |" for field in SCHEMA]
    return "\n".join(
        [
            "---", yaml.safe_dump(front, sort_keys=False).strip(), "---", "",
            f"# Captioned motion: {', '.join(corpora)}", "",
            "## Where it comes from", "", head, "|---" * (5 + len(splits)) + "|", *rows, "",
            "The licence of each corpus is what its entry in `params.yaml` states; annotations are MIT.", "",
            "## Columns", "", "| column | type | meaning |", "|---|---|---|", *fields, "",
            "## Known limits", "",
            f"- Every body is retargeted to one skeleton of 22 joints at {FPS:g} frames a second: fingers, faces and",
            "  the proportions of the performers are gone.",
            _ROTATIONS[choice("features", representation.MODES)],
            "- Captions written from measured facts say what was measured and no more; emotion and style are not.",
            "- Splits keep the cuts, mirror images and near-duplicates of one recording together.",
            "",
        ]
    )  # fmt: skip


def _hub(split: str) -> str:
    return {"val": "validation"}.get(split, split)
