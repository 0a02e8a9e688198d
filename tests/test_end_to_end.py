"""The whole factory, small, with the real DVC: what a user sees after one command, and after a change."""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from irg_core import tables
from irg_core.records.annotation import Caption, Pair
from irg_core.records.motion import Clip, MotionTokens, Split
from irg_core.records.training import Example, Goal
from tests.checkouts import ENVIRONMENT, Checkout

pytestmark = pytest.mark.chain
Branch = Callable[[], Checkout]

EXTRA = """corpora:
  extra:
    format: procedural
    root: irg_core/corpora/procedural.yaml
    clips: 12
    seed: 5
"""
PER_CORPUS = ["ingest", "describe", "encode", "analyse", "inject", "assess", "verify"]
TRAINERS = ["train_tokenizer", "train_evaluators@reward", "train_evaluators@report", "train_base"]
WITHOUT_WEIGHTS = re.compile(r"(fetch|ingest|split|describe|analyse)(@|$)")


def corpora_in(checkout: Checkout) -> dict[str, set[str]]:
    """Which corpora have rows in each merged table."""
    data = checkout.root / "data"
    examples = [
        row for stage in ("stage1", "stage2") for row in tables.read(data / f"examples/{stage}.parquet", Example)
    ]
    return {
        "splits": {row.corpus for row in tables.read(data / "splits.parquet", Split)},
        "examples": {source.split("/")[0] for row in examples for source in row.lineage},
        "goals": {row.clip_id.split("/")[0] for row in tables.read(data / "examples/stage3.parquet", Goal)},
    }


def test_the_results_have_every_row_and_the_reports_are_there(chain: Checkout) -> None:
    scores = json.loads((chain.root / "data/reports/evaluation.json").read_text())
    assert {"real", "random", "mean-pose", "reconstruction", "base", "stage1", "stage2", "stage3"} <= set(scores)
    report = (chain.root / "data/reports/report.html").read_text()
    assert "synthetic" in report
    assert not re.search(r"""(src|href)=["']https?:""", report), "the report must open without a network"
    assert (chain.root / "data/reports/results.txt").read_text().strip()


def test_a_second_repro_runs_nothing(chain: Checkout) -> None:
    assert chain.repro() == []


def test_no_second_is_recorded_in_an_output(chain: Checkout, branch: Branch) -> None:
    again = branch()
    assert again.repro("--force", "--single-item", "ingest@procedural") == ["ingest@procedural"]
    assert again.repro() == [], "the same inputs must give the same bytes"


def test_training_examples_hold_no_test_clip(chain: Checkout) -> None:
    data, corpora = chain.root / "data", ["deepmimic", "procedural"]
    test = {row.clip_id for row in tables.read(data / "splits.parquet", Split) if row.split == "test"}
    assert test <= {row.clip_id for row in tables.read_all(data / "tokens", corpora, MotionTokens)}
    assert not test & {row.clip_id for row in tables.read_all(data / "pairs", corpora, Pair)}
    clip_of = {row.caption_id: row.clip_id for row in tables.read_all(data / "captions", corpora, Caption)}
    examples = [
        row for stage in ("stage1", "stage2") for row in tables.read(data / f"examples/{stage}.parquet", Example)
    ]
    assert examples
    assert test
    for row in examples:
        sources = {clip_of.get(part, part) for source in row.lineage for part in source.split("|")}
        assert not sources & test, row.example_id


def test_a_corpus_is_added_edited_and_removed(branch: Branch) -> None:
    checkout = branch()
    before = yaml.safe_load((checkout.root / "dvc.lock").read_text())["stages"]

    checkout.edit("params.yaml", "corpora:\n", EXTRA)
    ran = checkout.repro("compose")
    assert {stage for stage in ran if "@" in stage and "evaluators" not in stage} >= {f"{s}@extra" for s in PER_CORPUS}
    assert not {f"{stage}@{corpus}" for stage in ("ingest", "describe", "analyse") for corpus in before} & set(ran)
    assert "ingest@procedural" not in ran
    assert "fetch@deepmimic" not in ran
    assert corpora_in(checkout) == {
        table: {"deepmimic", "extra", "procedural"} for table in ("splits", "examples", "goals")
    }

    checkout.edit("params.yaml", "clips: 12", "clips: 13")
    ran = checkout.repro("validate_clips")
    assert sorted(ran) == ["describe@extra", "ingest@extra", "split", "validate_clips"]

    checkout.edit("params.yaml", EXTRA.replace("12", "13"), "corpora:\n")
    ran = checkout.repro("compose")
    assert not [stage for stage in ran if stage.endswith("@extra")]
    assert corpora_in(checkout) == {table: {"deepmimic", "procedural"} for table in ("splits", "examples", "goals")}


def test_an_edited_caption_reruns_one_corpus(branch: Branch) -> None:
    checkout = branch()
    captions = checkout.root / "irg_core/corpora/deepmimic.yaml"
    captions.write_text(captions.read_text().replace("a person", "a performer", 1))
    ran = checkout.repro("compose")
    assert "describe@deepmimic" in ran
    assert not [stage for stage in ran if stage in {"ingest@procedural", "describe@procedural", "analyse@procedural"}]


def test_two_fresh_copies_agree_where_no_weight_enters(chain: Checkout, checkout: Checkout) -> None:
    checkout.run("python", "-m", "irg_core.params", "profiles/ci.yaml")
    checkout.edit("params.yaml", "executor: process", "executor: local")
    checkout.repro("validate_clips", *(f"analyse@{corpus}" for corpus in ("deepmimic", "procedural")))
    locks = [yaml.safe_load((c.root / "dvc.lock").read_text())["stages"] for c in (chain, checkout)]
    compared = [stage for stage in locks[1] if WITHOUT_WEIGHTS.match(stage)]
    assert len(compared) == 8
    for stage in compared:
        assert locks[0][stage]["outs"] == locks[1][stage]["outs"], stage


SABOTAGE = '''

_honest = main


def main(
    corpus: str, root: Path, clips: Path, rejections: Path, findings: Path, *, map_batches: MapBatches = map
) -> None:
    """The same stage, with a defect planted into its table behind the back of every check at the door."""
    from dataclasses import replace
    import pyarrow as pa
    import pyarrow.parquet as pq
    from irg_core import tables
    from irg_core.records.motion import Clip
    _honest(corpus, root, clips, rejections, findings, map_batches=map_batches)
    rows = tables.read(clips, Clip)
    {plant}
'''
NAN_FEATURES = """broken = rows[3].features.copy(); broken[1, 7] = float("nan")
    rows[3] = replace(rows[3], features=broken); tables.commit(clips, rows, Clip)"""
DUPLICATE = "table = pq.read_table(clips); pq.write_table(pa.concat_tables([table, table.slice(0, 1)]), clips)"
COPY = """if corpus == "procedural":
        rows[-1] = replace(rows[-1], features=rows[0].features); tables.commit(clips, rows, Clip)"""
TORN = '''

_honest = main


def main(clips: Path, splits: Path, stats: Path, twins: Path) -> None:
    """The same stage, with the two clips that show one motion put into train and test."""
    from dataclasses import replace
    from irg_core.records.motion import Clip
    from irg_core.tables import commit, read
    _honest(clips, splits, stats, twins)
    shown: dict[bytes, list[str]] = {}
    for clip in read(clips / "procedural.parquet", Clip):
        shown.setdefault(clip.features.tobytes(), []).append(clip.clip_id)
    (one, two), = (found for found in shown.values() if len(found) == 2)
    parts = {one: "train", two: "test"}
    commit(splits, [replace(row, split=parts.get(row.clip_id, row.split)) for row in read(splits, Split)], Split)
'''
LEAK = '''

_honest = main


def main(clips: Path, splits: Path, stats: Path, twins: Path) -> None:
    """The same stage, with one goal of the test split handed to training."""
    from dataclasses import replace
    from irg_core.tables import commit, read
    _honest(clips, splits, stats, twins)
    rows = read(splits, Split)
    leaked = next(place for place, row in enumerate(rows) if row.split == "test" and row.unseen)
    rows[leaked] = replace(rows[leaked], split="train")
    commit(splits, rows, Split)
'''


@pytest.mark.parametrize(
    ("defects", "stops_at", "complaint"),
    [
        (
            {"ingest": SABOTAGE.replace("{plant}", NAN_FEATURES)},
            {"validate_clips"},
            "'clips' breaks 'every number of a clip is finite'.*deepmimic/",
        ),
        (
            {"ingest": SABOTAGE.replace("{plant}", DUPLICATE)},
            {"split", "describe"},
            "clip_id '(deepmimic|procedural)/.*' occurs twice",
        ),
        ({"split": LEAK}, {"validate_clips"}, "'splits' breaks 'unseen cells are in test only'.*deepmimic/"),
        (
            {"ingest": SABOTAGE.replace("{plant}", COPY), "split": TORN},
            {"validate_clips"},
            "'splits' breaks 'no motion is in two splits, mirrored or not'.*procedural/",
        ),
    ],
    ids=["NaN features", "duplicate id", "leaked goal", "test twin in train"],
)
def test_a_planted_defect_stops_the_dag_before_training(
    branch: Branch, defects: dict[str, str], stops_at: set[str], complaint: str
) -> None:
    checkout = branch()
    for module, defect in defects.items():
        path = checkout.root / f"pipelines/{module}.py"
        path.write_text(path.read_text() + defect)
    said = checkout.run("dvc", "repro", "train_tokenizer", code=255)
    ran = re.findall(r"Running stage '(.+)'", said)
    # Independent stages come in any order: a duplicate is met by whichever reads the clips first.
    assert ran[-1].split("@")[0] in stops_at, said
    assert "Traceback" not in said
    assert re.search(complaint, said), said
    # Where validation ran, no verdict stands; where the DAG stopped before, the old one is of no current build.
    assert (checkout.root / "data/reports/validation/clips.json").exists() == ("validate_clips" not in stops_at)


def processes_of(checkout: Checkout) -> list[int]:
    """The pids of stages that run in this checkout."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            inside = (folder / "cwd").resolve() == checkout.root
            is_stage = b"flows" in (folder / "cmdline").read_bytes()
        except OSError:  # gone while we looked
            continue
        if inside and is_stage:
            found.append(int(folder.name))
    return found


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for orphans in /proc")
@pytest.mark.parametrize("shell", ["/bin/sh", "/bin/bash"])
def test_killed_in_the_middle_of_a_stage_it_starts_where_it_was(branch: Branch, shell: str) -> None:
    checkout = branch()
    checkout.edit("params.yaml", "corpora:\n", EXTRA.replace("clips: 12", "clips: 3000"))
    undisturbed = {path.name for path in (checkout.root / "data/clips").iterdir()}
    running = subprocess.Popen(["dvc", "repro", "ingest@extra"], cwd=checkout.root, env={**ENVIRONMENT, "SHELL": shell})
    deadline = time.monotonic() + 60
    while not processes_of(checkout) and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(2)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    time.sleep(3)
    assert processes_of(checkout) == [], "an orphan would go on writing under the next run"
    # What is written aside has names that DVC passes over, and the next run takes its place.
    left = {path.name for path in (checkout.root / "data/clips").iterdir() if not path.match(".*.part")}
    assert left == undisturbed, "half a table was left"
    checkout.edit("params.yaml", "clips: 3000", "clips: 12")
    assert checkout.repro("ingest@extra") == ["ingest@extra"]
    assert len(tables.read(checkout.root / "data/clips/extra.parquet", Clip)) == 12
    found = {path.name for path in (checkout.root / "data/clips").iterdir()}
    assert found == undisturbed | {"extra.parquet"}, "what the kill left aside is still there"
