"""The stage `assess` as a process of its own, against an endpoint: killed, run again, and failing in every way."""

import hashlib
import json
import math
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from irg_core.records.annotation import Assessment, Flawed, Pair, Rejection, Transcript
from irg_core.records.motion import Facts, Phase
from irg_core.tables import commit, read
from tests.llm.endpoint import Endpoint, Response, endpoint, failed, said

pytestmark = pytest.mark.services

ROOT = Path(__file__).parents[2]
KEY = "sk-canary-93f2c17b"
PAIRS = 80


def make(folder: Path, url: str, **changed: object) -> Path:
    """A folder with params.yaml and the tables that `assess` reads: pairs of a goal and a motion."""
    every = yaml.safe_load((ROOT / "params.yaml").read_text())
    params = {name: every[name] for name in ("assess", "kinematics", "runtime", "llm")}  # all take longer to be read
    params["assess"].update(provider="openai", model="m", attempts=2)
    params["runtime"]["concurrency"] = 4
    params["llm"]["openai"].update({"base_url": url, "timeout": 1, "seconds_per_token": 0, "tries": 2, **changed})
    folder.mkdir()
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    walk = Phase("walk", 0.0, 2.0, "", "forward", math.nan, 0, "", "", 2.0)
    goals = [f"a person walks forward and then kicks with the left leg, version {number}." for number in range(PAIRS)]
    pairs = [
        Pair(f"c/{n}|c/{n}", f"c/{n}/0", f"c/{n}", g, f"c/{n}", "goal", "none", "{}", 0) for n, g in enumerate(goals)
    ]
    commit(folder / "pairs.parquet", pairs, Pair)
    commit(folder / "facts.parquet", [Facts(f"c/{number}", 2.0, [walk]) for number in range(PAIRS)], Facts)
    commit(folder / "flawed.parquet", [], Flawed)
    return folder


def start(folder: Path, **environment: str) -> subprocess.Popen[str]:
    made = [f"out/{name}.parquet" for name in ("assessments", "transcripts", "rejections")]
    return subprocess.Popen(
        [sys.executable, "-m", "pipelines", "assess", "c", "pairs.parquet", "facts.parquet", "flawed.parquet", *made],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OPENAI_API_KEY": KEY, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str], code: int) -> tuple[str, str]:
    out, err = process.communicate(timeout=120)
    assert process.returncode == code, err
    return out, err


def ledger(folder: Path) -> list[dict[str, str]]:
    """The whole lines of the ledger."""
    path = folder / "runs/ledger/assess/c.jsonl"
    return [json.loads(line) for line in path.read_text().split("\n")[:-1]] if path.exists() else []


def judge(body: dict[str, Any]) -> Response:
    """A judgement that depends on nothing but the question; every fifth goal gets a bad reply first, some always."""
    prompt = body["messages"][1]["content"]
    number = int(prompt.partition("version ")[2].partition(".")[0])
    mark = hashlib.sha256(json.dumps(body["messages"]).encode()).hexdigest()[:8]
    if number % 5 == 0 and (len(body["messages"]) == 2 or number % 10 == 0):
        return Response(said(f"no object {mark}").body, seconds=0.01)
    text = json.dumps({"assessment": f"The kick is missing {mark}.", "refinement": "Kick with the left leg."})
    return Response(said(text).body, seconds=0.01)


def words_of(body: dict[str, Any]) -> str:
    return "\n\n".join(message["content"] for message in body["messages"])


def tables(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted((folder / "out").glob("*.parquet"))]


def test_a_killed_stage_goes_on_without_asking_for_what_the_ledger_knows(tmp_path: Path) -> None:
    reached = threading.Event()

    def counting(body: dict[str, Any]) -> Response:
        if len(served.requests) >= PAIRS // 2:
            reached.set()
        return judge(body)

    with endpoint(counting) as served:
        folder = make(tmp_path / "killed", served.url)
        process = start(folder)
        assert reached.wait(60)
        process.kill()
        process.communicate()
        kept, before = {row["question"] for row in ledger(folder)}, len(served.requests)
        assert not (folder / "out").exists()
        finish(start(folder), code=0)
        again = [words_of(body) for body in served.requests[before:]]
    with endpoint(judge) as calm:
        undisturbed = make(tmp_path / "undisturbed", calm.url)
        finish(start(undisturbed), code=0)
    assert not kept & set(again), "paid for twice"
    assert len(kept) + len(again) == len(calm.requests) == PAIRS + PAIRS // 5
    assert before - len(kept) <= 4, "only what was under way may be lost"
    assert tables(folder) == tables(undisturbed)
    rejections = read(folder / "out/rejections.parquet", Rejection)
    assert [row.reason for row in rejections] == ["reply is no JSON object"] * (PAIRS // 10)
    assert len(read(folder / "out/assessments.parquet", Assessment)) == PAIRS - PAIRS // 10
    assert len(read(folder / "out/transcripts.parquet", Transcript)) == PAIRS + PAIRS // 5


def test_who_has_the_transcripts_needs_neither_key_nor_endpoint(tmp_path: Path) -> None:
    def moody(body: dict[str, Any]) -> Response:
        is_refused = "version 3." in body["messages"][1]["content"]
        return failed(400, "content filter") if is_refused else judge(body)

    with endpoint(moody) as served:
        folder = make(tmp_path / "paid", served.url)
        finish(start(folder), code=0)
    made = tables(folder)
    for path in (folder / "runs/ledger/assess").iterdir():
        path.unlink()
    out, _ = finish(start(folder, OPENAI_API_KEY=""), code=0)
    assert "sent 0" in out, "what was refused is known, too"
    assert tables(folder) == made


PAGE = Response(f"<html>{KEY}</html>".encode(), headers={"Content-Type": "text/html"})
FAILURES: dict[str, tuple[Callable[[dict[str, Any]], Response], str]] = {
    "wrong key": (lambda _: failed(401, f"Incorrect API key provided: {KEY}."), "rejects the key in $OPENAI_API_KEY"),
    "broken": (lambda _: failed(500, f"Traceback: Bearer {KEY}", X_Echo=f"Bearer {KEY}"), "fails: 500"),
    "hanging": (lambda _: Response(b"", seconds=60), "gave no reply within 1 s"),
    "page": (lambda _: PAGE, "something other than a chat completion"),
}


def traces_of(key: str, folder: Path) -> list[str]:
    return [str(path) for path in folder.rglob("*") if path.is_file() and key.encode() in path.read_bytes()]


def test_every_failure_is_one_sentence_writes_nothing_and_shows_no_key(tmp_path: Path) -> None:
    served = {name: Endpoint(script) for name, (script, _) in FAILURES.items()}
    folders = {name: make(tmp_path / name, at.url) for name, at in served.items()}
    folders["nobody"] = make(tmp_path / "nobody", "http://127.0.0.1:9/v1")
    folders["no key"] = make(tmp_path / "no key", "http://127.0.0.1:9/v1")
    expected = {name: words for name, (_, words) in FAILURES.items()}
    expected |= {"nobody": "cannot be reached", "no key": "OPENAI_API_KEY is not set"}
    try:
        running = {
            name: start(at, **{"OPENAI_API_KEY": ""} if name == "no key" else {}) for name, at in folders.items()
        }
        for name, process in running.items():
            out, err = finish(process, code=2)
            assert err.count("\n") == 1, f"{name}: {err}"
            assert err.startswith("assess: ")
            assert expected[name] in err
            assert KEY not in out + err
            assert not (folders[name] / "out").exists()
    finally:
        for at in served.values():
            at.close()
    assert all(f"Bearer {KEY}" in at.keys for at in served.values()), "the key was in play"
    assert traces_of(KEY, tmp_path) == []


def test_no_log_tells_the_key(tmp_path: Path) -> None:
    def echo(body: dict[str, Any]) -> Response:
        return Response(judge(body).body, headers={"X-Echo": f"Bearer {KEY}"})

    with endpoint(echo) as served:
        folder = make(tmp_path / "logged", served.url)
        out, err = finish(start(folder, OPENAI_LOG="debug", PYTHONDEVMODE="1", PYTHONASYNCIODEBUG="1"), code=0)
    assert "HTTP Request" in err
    assert "was never" not in err
    assert KEY not in out + err
    assert traces_of(KEY, tmp_path) == []
