"""Whoever dies in the middle of a stage, and wherever, pays for nothing twice and ends with the same tables."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.services
def test_a_stage_that_is_killed_or_fails_at_any_named_point_ends_with_the_same_bytes() -> None:
    command = [sys.executable, "-m", "benchmarks.kills", "--points"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    trials = json.loads(done.stdout)
    assert len(trials) == 25
    assert [trial for trial in trials if not trial["is_good"]] == []
    assert all(trial["status"] for trial in trials if trial["point"] != "at a random moment"), "each was disturbed"
