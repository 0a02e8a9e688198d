"""`irg compare` between revisions, checkouts and evaluations: parameters, numbers, and rows by what became of them."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from irg_core.files import write_json
from irg_core.records.annotation import Caption, Rejection
from irg_core.records.evaluation import Generation, Values
from irg_core.tables import commit
from tests.checkouts import Checkout
from tests.flows.small import committed, small_project

pytestmark = pytest.mark.services

TABLES = """
  tables:
    cmd: "true"
    params: [other]
    outs:
      - data/captions/mocap.parquet: {persist: true}
      - data/rejections/ingest/mocap.parquet: {persist: true}
      - data/values/stage1.parquet: {persist: true}
      - data/generations/stage1.parquet: {persist: true}
    metrics:
      - data/reports/evaluation.json: {persist: true}
"""
CLIPS = 60


def caption(number: int, text: str = "") -> Caption:
    clip = f"mocap/{number:03d}"
    return Caption(f"{clip}|0", clip, 0, text or f"someone does {number}", "", "source")


def fill(root: Path, captions: list[Caption], refused: list[Rejection], hits: np.ndarray) -> None:
    """The outs of a build that tested one model on `CLIPS` goals."""
    data = root / "data"
    commit(data / "captions/mocap.parquet", captions, Caption)
    commit(data / "rejections/ingest/mocap.parquet", refused, Rejection)
    place = ("stage1", "final", "report", "mocap", "r3")
    values = Values("|".join(place), *place, "clips", float(hits.mean()), hits.tolist())
    commit(data / "values/stage1.parquet", [values], Values)
    asked = [
        Generation(f"stage1|{n:03d}", f"{n:03d}", "c", "mocap", False, "t", "", [], False, "end") for n in range(CLIPS)
    ]
    commit(data / "generations/stage1.parquet", asked, Generation)
    score = {"mean": float(hits.mean()), "interval": 0.1, "n": CLIPS}
    write_json(data / "reports/evaluation.json", {"stage1": {"final": {"report": {"mocap": {"r3": score}}}}})


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """Two commits: the second one has lost a take, gained one, mended a sentence, and a better model."""
    made = small_project(tmp_path_factory.mktemp("compare") / "small")
    (made.root / "dvc.yaml").write_text((made.root / "dvc.yaml").read_text() + TABLES)
    worse, better = np.zeros(CLIPS), np.zeros(CLIPS)
    worse[:10], better[:50] = 1.0, 1.0
    fill(made.root, [caption(1), caption(2), caption(3)], [Rejection("mocap/004", "ingest", "too short", "1 s")], worse)
    made.run("dvc", "repro", "-q")
    committed(made, "first")
    made.run("git", "tag", "first")
    made.edit("params.yaml", "other: 7", "other: 8")
    left = [caption(1), caption(2, "someone waves"), caption(4)]
    fill(made.root, left, [Rejection("mocap/003", "ingest", "teleport", "far")], better)
    made.run("dvc", "repro", "-q")
    return committed(made, "second")


def compared(project: Checkout, *sides: str) -> dict[str, Any]:
    return dict(json.loads(project.run("irg", "compare", "--json", *sides)))


@pytest.mark.parametrize(
    "sides", [("first", "HEAD"), ("HEAD~1", "HEAD"), ("first",)], ids=["tag", "parent", "worktree"]
)
def test_revisions_are_compared_out_of_the_cache(project: Checkout, sides: tuple[str, ...]) -> None:
    found = compared(project, *sides)
    assert found["params"] == {"other": [7, 8]}
    rows = {row["table"]: row for row in found["tables"]}
    assert rows["captions/mocap.parquet"] == {
        "table": "captions/mocap.parquet", "before": 3, "after": 3, "added": {"ingest: too short": 1},
        "removed": {"ingest: teleport": 1}, "changed": {"any": 1, "text": 1},
    }  # fmt: skip
    assert rows["rejections/ingest/mocap.parquet"]["added"] == {"teleport": 1}
    assert rows["rejections/ingest/mocap.parquet"]["removed"] == {"too short": 1}
    assert found["lacking"] == {}


def test_a_gain_is_judged_clip_by_clip(project: Checkout) -> None:
    ((effect,),) = [step["effects"] for step in compared(project, "first", "HEAD")["steps"]]
    assert effect["before"] == pytest.approx(10 / 60)
    assert effect["after"] == pytest.approx(50 / 60)
    assert effect["verdict"] == "better"
    assert effect["p"] < 0.001
    assert 0.4 < effect["low"] < 40 / 60 < effect["high"] < 0.9
    said = project.run("irg", "compare", "first", "HEAD")
    assert "better in R@3 in pools" in said
    assert "other: 7 → 8" in said


def test_equal_builds_do_not_differ(project: Checkout) -> None:
    found = compared(project, "HEAD", "HEAD")
    assert (found["params"], found["steps"], found["tables"]) == ({}, [], [])
    said = project.run("irg", "compare", "HEAD")
    assert "no parameter differs" in said
    assert "the results are the same" in said
    assert "no table of the dataset differs" in said


def test_another_checkout_and_an_evaluation_are_builds_too(project: Checkout, tmp_path: Path) -> None:
    shutil.copytree(project.root, tmp_path / "theirs", symlinks=True)
    other = Checkout(tmp_path / "theirs")
    other.edit("params.yaml", "other: 8", "other: 9")
    assert compared(project, str(other.root))["params"] == {"other": [9, 8]}
    scores = json.loads((project.root / "data/reports/evaluation.json").read_text())
    write_json(tmp_path / "run/results.json", {"scores": scores})
    found = compared(project, str(tmp_path / "run"))
    assert [row["one"] == row["two"] for row in found["scores"]] == [True]


def test_what_the_cache_has_lost_is_told(project: Checkout, tmp_path: Path) -> None:
    shutil.copytree(project.root, tmp_path / "poor", symlinks=True)
    shutil.rmtree(tmp_path / "poor/.dvc/cache")
    poor = Checkout(tmp_path / "poor")
    assert "data/captions/mocap.parquet" in compared(poor, "first")["lacking"]["first"]
    assert "`dvc fetch` brings them" in poor.run("irg", "compare", "first")


def test_what_is_no_build_is_said_in_a_sentence(project: Checkout, tmp_path: Path) -> None:
    for wrong in ("nonsense", str(tmp_path)):
        said = project.run("irg", "compare", wrong, code=2)
        assert f"'{wrong}' is neither a folder with a build" in said
        assert "Traceback" not in said
