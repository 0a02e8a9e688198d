"""Trainings that die at any moment, or whose checkpoints are damaged, end with the bytes of an undisturbed one."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.training_kills", "--few"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


@pytest.mark.services
def test_whoever_dies_between_steps_or_inside_a_save_ends_with_the_same_bytes(found: dict[str, Any]) -> None:
    killed = [trial for trial in found["trials"] if trial["kind"] != "damage"]
    assert len({(trial["stage"], trial["kind"]) for trial in killed}) == 12
    assert all(trial["status"] < 0 for trial in killed), "each was killed"
    assert [trial for trial in killed if not trial["is_good"]] == []


@pytest.mark.services
def test_damaged_checkpoints_are_found_and_the_last_good_one_is_used(found: dict[str, Any]) -> None:
    damaged = [trial for trial in found["trials"] if trial["kind"] == "damage"]
    assert len(damaged) == 10
    assert all(trial["lost"] for trial in damaged)
    assert [trial for trial in damaged if not trial["is_good"]] == []


@pytest.mark.services
def test_readers_see_a_checkpoint_whole_or_not_at_all(found: dict[str, Any]) -> None:
    faults = found["faults"]
    assert len(faults) > 100
    assert [fault for fault in faults if not fault["is_good"]] == []
    full = [fault for fault in faults if fault["fault"].startswith(("no space", "0 bytes", "400 bytes"))]
    told = [fault for fault in full if fault["status"] == 2]
    assert len(told) > len(full) // 2, "most calls of a save matter"
    for fault in told:
        assert fault["said"].startswith("CheckpointError: train_x: step 8 cannot be kept in "), fault
        assert fault["said"].count("\n") == 1, fault
