"""Bad files: each is refused by one row with its reason or by one clear error, and nothing else happens."""

import json
import os
import pickle
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests import bad_files, motion_files
from tests.checkouts import ROOT

pytestmark = pytest.mark.services

REASONS = {
    "unreadable motion file", "not a plain file", "file too large", "folder behind a link", "fewer than two frames",
    "numbers that are not finite", "joints farther away than any place", "no frame rate", "no caption",
    "unreadable captions", "broken caption line", "caption of no stretch of the motion",
}  # fmt: skip


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What came of each file, read in one process that may not have more than a gigabyte."""
    out = tmp_path_factory.mktemp("bad_files") / "outcomes.json"
    # Arrow's usual allocator sets a gigabyte of addresses aside beforehand, which would count.
    environment = os.environ | {"ARROW_DEFAULT_MEMORY_POOL": "system", "PYTHONWARNINGS": "error::RuntimeWarning"}
    command = [sys.executable, "-m", "tests.bad_files", str(out)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    content: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    return content


def outcomes(report: dict[str, Any], *, may_be_sound: bool) -> list[dict[str, Any]]:
    pairs = zip(bad_files.cases(), report["outcomes"], strict=True)
    return [outcome for case, outcome in pairs if case.may_be_sound == may_be_sound]


def test_there_are_several_hundred_in_every_format(report: dict[str, Any]) -> None:
    counts = Counter(case.format for case in bad_files.cases() if not case.may_be_sound)
    assert sum(counts.values()) >= 500
    assert set(counts) == set(motion_files.FORMATS)
    assert min(counts.values()) >= 20


def test_each_is_one_rejection_with_a_fixed_reason_or_one_clear_error(report: dict[str, Any]) -> None:
    odd = [
        outcome
        for outcome in outcomes(report, may_be_sound=False)
        if outcome["crash"] or len(outcome["rejections"]) + bool(outcome["error"]) != 1
    ]
    assert odd == []
    for outcome in outcomes(report, may_be_sound=False):
        for _, stage, reason, detail in outcome["rejections"]:
            assert stage == "ingest"
            assert reason in REASONS
            assert detail


def test_damage_by_chance_crashes_nothing(report: dict[str, Any]) -> None:
    assert [outcome for outcome in outcomes(report, may_be_sound=True) if outcome["crash"]] == []


def test_none_keeps_a_sound_neighbour_out(report: dict[str, Any]) -> None:
    found = {outcome["name"]: len(outcome["takes"]) for outcome in outcomes(report, may_be_sound=False)}
    beside = [case.name for case in bad_files.text_cases() if case.format == "bvh"]
    assert {name: found[name] for name in beside if found[name] != 1} == {}


def test_what_is_said_of_them_is_safe_to_print_and_to_keep(report: dict[str, Any]) -> None:
    for outcome in report["outcomes"]:
        for key, _, _, detail in outcome["rejections"]:
            assert key.isprintable()
            assert not set(key) & set("/#|~\\\"'<>$;%{}()")
            assert detail.isprintable()
            assert len(detail) < 500
        for name, source in outcome["takes"]:
            assert name.isprintable()
            assert not set(name) & set("/#|~\\\"'<>$;%{}()")
            assert source.isprintable()
        assert outcome["error"].isprintable()
        assert len(outcome["error"]) < 1000


def test_none_takes_long_and_none_runs_code_or_writes_anywhere(report: dict[str, Any]) -> None:
    assert max(outcome["seconds"] for outcome in report["outcomes"]) < bad_files.SECONDS
    assert [outcome["name"] for outcome in report["outcomes"] if outcome["outside"]] == []
    assert not report["ran_code"]


def test_the_payload_would_show_if_it_ran(tmp_path: Path) -> None:
    # The test above can only fail if running the payload leaves its mark.
    bad_files.MARK.unlink(missing_ok=True)
    pickle.loads(pickle.dumps(bad_files.Payload()))  # noqa: S301  # ours
    assert bad_files.MARK.exists()
    bad_files.MARK.unlink()
