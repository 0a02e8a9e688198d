"""The stage `report`: what it counts anew, what it reads of models and of dvc.lock, and what it says aloud."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from safetensors.numpy import save_file

from irg_core.evaluation import reasoning
from irg_core.files import write_json, write_text
from irg_core.fingerprints import of_file
from irg_core.motion.flaws import CLASSES
from irg_core.records.changes import Step
from irg_core.records.reasoning import Probed
from irg_core.records.training import LogRow
from irg_core.reports.models import Ceiling, ceilings, models
from pipelines import report


def probed(n: int, kind: str, accepts: bool = False, sentinel: float = -1.0, difficulty: str = "") -> Probed:
    truth = {"class": difficulty} if difficulty else {}
    return Probed(
        f"m|{n}", f"c/{n}", "c", "procedural", "walk", kind, json.dumps(truth), [1], "a", "b", [], sentinel, accepts,
        True, True, False, False, False, [],
    )  # fmt: skip


def test_every_doubt_is_said_aloud_with_the_step_that_it_is_of(capsys: pytest.CaptureFixture[str]) -> None:
    steps = [
        Step("base", "stage1", [], []),
        Step("stage1", "stage3, final", [], ["nobody else sees it", "it is paid for"]),
    ]
    assert report.warn(steps) == 2
    assert capsys.readouterr().out.splitlines() == [
        "report: BEWARE, stage3, final against stage1: nobody else sees it",
        "report: BEWARE, stage3, final against stage1: it is paid for",
    ]
    assert report.warn(steps[:1]) == 0
    assert capsys.readouterr().out == ""


def test_judging_is_counted_by_the_difficulty_that_an_edit_says_of_itself() -> None:
    rows = [
        probed(0, "none", accepts=True, sentinel=-0.1), probed(1, "random"),
        probed(2, "mirror", sentinel=0.0, difficulty="hard"), probed(3, "no_jump", difficulty="easy"),
        probed(4, "mirror", accepts=True, difficulty="easy"),
    ]  # fmt: skip
    found = {(one.name, one.group): (one.value, one.n) for one in reasoning.shares(report._by_difficulty(rows))}
    assert found["accepted", "easy"] == (0.5, 2)
    assert found["accepted", "hard"] == (0.0, 1)
    assert found["alignment score", "easy"] == (1.0, 2)
    assert found["alignment score", "hard"] == (0.0, 1), "the one hard flaw was taken for better than the right motion"
    assert found["accepted", "flawed"] == (0.25, 4), "another goal's motion is flawed, and of no difficulty"
    assert {"easy", "hard"} <= set(CLASSES)


def test_probes_are_told_apart_by_corpus_where_there_are_enough_of_more_than_one() -> None:
    some = [probed(n, "none") for n in range(12)]
    others = [replace(row, corpus="deepmimic") for row in some]
    both = report._by_corpus({"stage1": [*others[:11], *some], "stage2": some})
    assert [(group, {model: len(rows) for model, rows in found.items()}) for group, found in both.items()] == [
        ("synthetic", {"stage1": 12, "stage2": 12}),
        ("deepmimic", {"stage1": 11}),
    ]
    assert report._spoken(both) == ["synthetic", "deepmimic"]
    assert report._spoken(report._by_corpus({"stage1": [*some, *others[:3]]})) == []


def entries(**more: Any) -> str:
    return yaml.safe_dump({"schema": "2.0", "stages": {"split": {"cmd": "split", "outs": [{"md5": "a"}]}, **more}})


def test_stages_before_the_report_are_told_by_their_entries_and_its_own_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert report._locked() == {}
    write_text(Path("dvc.lock"), entries())
    before = report._locked()
    assert list(before) == ["split"]
    write_text(Path("dvc.lock"), entries(report={"cmd": "report"}))
    assert report._locked() == before
    write_text(Path("dvc.lock"), entries(split={"cmd": "split", "outs": [{"md5": "b"}]}))
    assert report._locked().keys() == before.keys()
    assert report._locked() != before


def written(folder: Path, config: Mapping[str, Any], **more: Mapping[str, Any]) -> Path:
    folder.mkdir(parents=True)
    save_file({"one": np.zeros((3, 5), np.float32), "two": np.zeros(7, np.float16)}, folder / "model.safetensors")
    for name, content in {"config": config, **more}.items():
        write_json(folder / f"{name}.json", content)
    return folder / "model.safetensors"


def test_a_model_is_told_by_its_weights_its_size_and_what_it_was_taught(tmp_path: Path) -> None:
    kinds = {"stand": {"local_mpjpe_mm": 11.4}, "raise_arms": {"local_mpjpe_mm": 12.0}, "run": {"local_mpjpe_mm": 26.5}}
    weights = written(tmp_path / "tokenizer", {"codes": 256}, errors=kinds)
    written(tmp_path / "empty", {"codes": 256}, errors={})
    written(tmp_path / "evaluators/third", {"architecture": "tmr"})
    taught = [{"stage": "train_base", "adapters": ""}, {"stage": "train_stage1", "adapters": "rank 8"}]
    written(tmp_path / "stage1", {}, provenance={"base": "made from scratch", "licence": "MIT", "trainings": taught})
    log = [LogRow("0", 0, "loss", 2.0), LogRow("1", 600, "loss", 1.0)]
    found = models(tmp_path, {"tokenizer": log, "empty": [], "evaluators/third": log, "stage1": log})
    assert [one.notes for one in found] == [
        "256 codes; MPJPE about the root from 11 mm (stand) to 26 mm (run)",
        "256 codes",
        "tmr",
        "made from scratch, MIT; train_stage1: rank 8",
    ]
    assert {one.parameters for one in found} == {22}
    assert [one.steps for one in found] == [600, 0, 600, 600]
    assert found[0].weights == of_file(weights)


def test_what_evaluators_reach_on_real_motions_is_told_where_it_was_measured(tmp_path: Path) -> None:
    best = {"gap": {"r3": 0.1}, "train": {"clips": 9, "r3": 0.9, "mm_dist": 1.0}, "val": {"clips": 8, "r3": 0.8}}
    written(tmp_path / "third", {}, ceiling=best)
    written(tmp_path / "silent", {}, ceiling={"gap": {}, "train": {}, "val": {}})
    assert ceilings(tmp_path, ["third", "silent"]) == [
        Ceiling("third", "val", 8, {"R@3": 0.8}),
        Ceiling("third", "train", 9, {"R@3": 0.9}),
    ]
