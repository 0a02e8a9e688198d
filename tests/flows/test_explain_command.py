"""`irg explain`: from an example back to the file that its motion was read from."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from flows.cli import app
from irg_core import dialogue, tables
from irg_core.annotate.compose import trace
from irg_core.dialogue import SENTINEL
from irg_core.errors import TableError
from irg_core.records.annotation import (
    UNWRITTEN,
    Analysis,
    Assessment,
    Caption,
    Flawed,
    Pair,
    Rejection,
    Transcript,
)
from irg_core.records.material import Material, Shown
from irg_core.records.motion import FEATURES, Clip, Split
from irg_core.records.training import Example, Goal

ORIGIN = replace(
    UNWRITTEN, clip_id="x/a", prompt="assess.md", prompt_version=3, prompt_hash="abc123", provider="openai",
    model="judge-1", sampling='{"temperature": 0.7}', seed=17, request="r-assess",
)  # fmt: skip
GOAL = "x/a/0"
FLAW, OWN, FOUND = f"{GOAL}|x/a~mirror0", f"{GOAL}|x/a", f"{GOAL}|x/b"


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A goal with its edited motion, its own, and another clip that was retrieved and refused."""
    (tmp_path / "params.yaml").write_text(
        yaml.safe_dump({"corpora": {"x": {"format": "bvh", "root": "takes", "licence": "CC0"}}})
    )
    monkeypatch.chdir(tmp_path)
    frames = np.zeros((40, FEATURES), np.float32)
    clips = [Clip(f"x/{n}", "x", f"x/{n}", "", frames, [], "", source=f"day1/{n}.bvh") for n in "ab"]
    caption = Caption(GOAL, "x/a", 0, "a person waves", "", "source")
    analysis = Analysis(GOAL, "x/a", [], "A wave.", ["1", "2", "3"], "d", replace(ORIGIN, request="r-analyse"))
    flawed = Flawed("x/a~mirror0", "edit", "mirror", '{"side": "left"}', [1], [], 1.0)
    pairs = [
        Pair(FLAW, GOAL, "x/a", "a person waves", "x/a~mirror0", "edit", "mirror", '{"side": "left"}', 2.0),
        Pair(OWN, GOAL, "x/a", "a person waves", "x/a", "goal", "none", "{}", 0.0),
        Pair(FOUND, GOAL, "x/a", "a person waves", "x/b", "retrieval", "retrieval", "{}", 3.0),
    ]
    said = [
        Assessment(FLAW, "The wrong hand.", "Use the right hand.", ORIGIN),
        Assessment(OWN, "It fits.", SENTINEL, replace(ORIGIN, request="r-gone")),
        Assessment(FOUND, "It fits.", SENTINEL, ORIGIN),
    ]
    shown = Shown(FLAW, True, 2.0, [1], "The wrong hand.", "Use the right hand.", "mirror")
    right = Shown(OWN, False, 0.0, [2], "It fits.", SENTINEL)
    example = trace(Material(caption, "train", [2], analysis, [shown, right]), analysis, [shown], right)
    transcripts = [
        Transcript(request="r-assess", key=FLAW, provider="p", model="m", tokens_in=1, tokens_out=1, attempt=0,
                   question="q", reply='{"assessment": "The wrong hand."}'),
    ]  # fmt: skip
    for name, rows, record in (
        ("clips/x", clips, Clip), ("captions/x", [caption], Caption), ("analyses/x", [analysis], Analysis),
        ("flawed/x", [flawed], Flawed), ("pairs/x", pairs, Pair), ("assessments/x", said, Assessment),
        ("verified/x", said[:2], Assessment), ("transcripts/assess/x", transcripts, Transcript),
        ("rejections/verify/x", [Rejection(FOUND, "verify", "wrong sentinel", "all fine")], Rejection),
        ("splits", [Split(clip.clip_id, "x", "train", False, [0]) for clip in clips], Split),
        ("examples/stage1", [Example(f"assess|{FOUND}", "assess", "train", "p", [], [FOUND])], Example),
        ("examples/stage2", [example], Example),
        ("examples/stage3", [Goal("x/b/0", "x/b", "train", "t", dialogue.prompt("t"), [1])], Goal),
    ):  # fmt: skip
        tables.commit(Path(f"data/{name}.parquet"), rows, record)


def explained(key: str) -> dict[str, Any]:
    result = CliRunner().invoke(app, ["explain", key, "--json"], catch_exceptions=False)
    assert result.exit_code == 0
    return json.loads(result.stdout)


@pytest.mark.usefixtures("data")
def test_a_trace_is_led_back_to_prompts_replies_flaw_and_source_file() -> None:
    found = explained(f"trace|{GOAL}")
    assert found["is"] == "example of Stage 2"
    assert found["goal"] == [
        {"caption_id": GOAL, "clip_id": "x/a", "index": 0, "text": "a person waves", "template": "", "source": "source"}
    ]
    assert found["analysis"][0]["origin"]["prompt"] == "assess.md"
    flawed, own = found["motions"]
    assert flawed["shown"]["truth"] == '{"side": "left"}'
    assert flawed["assessment"]["origin"]["model"] == "judge-1"
    assert flawed["assessment"]["reply"] == '{"assessment": "The wrong hand."}'
    assert flawed["verification"]["outcome"] == "accepted"
    assert own["assessment"]["reply"] == "not in data/transcripts"
    (clip,) = found["clip"]
    assert (clip["source"], clip["split"], clip["format"], clip["root"], clip["licence"]) == (
        "day1/a.bvh", "train", "bvh", "takes", "CC0"
    )  # fmt: skip


@pytest.mark.usefixtures("data")
def test_a_retrieved_motion_is_led_back_to_its_own_file_and_a_refusal_to_its_reason() -> None:
    (found,) = explained(f"assess|{FOUND}")["motions"]
    assert found["shown"]["source"] == "day1/b.bvh"
    assert found["verification"] == {
        "outcome": "rejected", "key": FOUND, "stage": "verify", "reason": "wrong sentinel", "detail": "all fine"
    }  # fmt: skip


@pytest.mark.usefixtures("data")
@pytest.mark.parametrize(
    ("key", "kind"),
    [(FLAW, "pair"), (GOAL, "caption"), ("x/a~mirror0", "made motion"), ("x/b", "clip"), ("x/b/0", "goal of Stage 3")],
)
def test_pairs_captions_motions_clips_and_goals_are_explained_too(key: str, kind: str) -> None:
    assert explained(key)["is"] == kind
    assert explained(key)["clip"] or kind == "goal of Stage 3"


@pytest.mark.usefixtures("data")
def test_a_person_reads_an_outline() -> None:
    said = CliRunner().invoke(app, ["explain", f"trace|{GOAL}"], catch_exceptions=False).stdout
    for line in ("is: example of Stage 2", "prompt_hash: abc123", "  source: day1/a.bvh", "kind: mirror"):
        assert line in said


@pytest.mark.usefixtures("data")
@pytest.mark.parametrize("key", [f"trace|{GOAL}1", "y/a", f"asess|{FOUND}", "nonsense"])
def test_an_unknown_key_is_one_sentence_that_names_near_ones(key: str) -> None:
    with pytest.raises(
        TableError, match=rf"no row of data/ has the key '{key}'.*; near it are: .+".replace("|", r"\|")
    ):
        CliRunner().invoke(app, ["explain", key], catch_exceptions=False)
