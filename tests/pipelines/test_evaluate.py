"""`evaluate` as a process: killed at several moments it goes on, and answers nothing twice."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.checkouts import ENVIRONMENT, Checkout

OUTS = ["generations.parquet", "probes.parquet", "values.parquet", "scores.json"]
MOMENTS = (1, 2, 3, 4, 5)
"""Finished batches after which the stage is killed; each time it goes on from the ones before."""


def arguments(folder: str) -> list[str]:
    data = ["models/stage2", "clips", "captions", "splits.parquet", "models/tokenizer", "models/evaluators"]
    return ["evaluate", "stage2", *(f"data/{name}" for name in data), *(f"{folder}/{name}" for name in OUTS)]


def kept(root: Path) -> dict[str, int]:
    """Finished batches, and when each was written."""
    return {path.name: path.stat().st_mtime_ns for path in (root / "runs/evaluate").rglob("*.json")}


def killed_after(built: Checkout, batches: int) -> None:
    """SIGKILL to the stage as soon as that many batches are finished."""
    running = subprocess.Popen(
        [sys.executable, "-m", "pipelines", *arguments("again")], cwd=built.root, env=ENVIRONMENT
    )
    try:
        for _ in range(6000):
            if len(kept(built.root)) >= batches or running.poll() is not None:
                break
            time.sleep(0.01)
        assert running.poll() is None, "the stage ended before it could be killed"
    finally:
        if running.poll() is None:
            os.kill(running.pid, signal.SIGKILL)
        running.wait()


@pytest.mark.services
def test_a_killed_evaluation_repeats_no_finished_generation_and_ends_equal(branch: Callable[[], Checkout]) -> None:
    built = branch()
    built.edit("params.yaml", "executor: process", "executor: local")
    text = (built.root / "params.yaml").read_text()
    (built.root / "params.yaml").write_text(text.replace("    batch: 64", "    batch: 3"))
    built.stage(*arguments("whole"))
    assert kept(built.root) == {}

    seen: dict[str, int] = {}
    for moment in MOMENTS:
        killed_after(built, moment)
        found = kept(built.root)
        assert len(found) >= moment
        assert {name: found[name] for name in seen} == seen, "a finished batch was written again"
        seen = found
    built.stage(*arguments("again"))
    for name in OUTS:
        assert (built.root / "again" / name).read_bytes() == (built.root / "whole" / name).read_bytes(), name
    assert kept(built.root) == {}
