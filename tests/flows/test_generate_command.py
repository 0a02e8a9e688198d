"""`irg generate`, `assess` and `refine` on the models of the small chain, through the real entry point."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.checkouts import Checkout
from tests.reports.browser import browser, find

pytestmark = [pytest.mark.chain, pytest.mark.services]

GOAL = "a person walks forward and then kicks with the left leg"
FILES = ["answer.json", "features.npy", "joints.npy", "motion.bvh", "player.html"]


@pytest.fixture(scope="module")
def built(chain: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """The chain with room for whole answers; nothing that commands write ends up in the chain itself."""
    root = tmp_path_factory.mktemp("asked") / "project"
    root.mkdir()
    for path in chain.root.iterdir():
        (root / path.name).symlink_to(path) if path.name != "runs" else None
    text = (root / "params.yaml").read_text()
    (root / "params.yaml").unlink()
    (root / "params.yaml").write_text(text.replace("max_tokens: 192", "max_tokens: 900"))
    return Checkout(root)


@pytest.fixture(scope="module")
def generated(built: Checkout) -> Path:
    """A folder with what was generated, and all that was said."""
    out = built.root / "runs/one"
    said = built.run("irg", "generate", GOAL, "--out", "runs/one")
    (out / "said.txt").write_text(said)
    return out


def told(built: Checkout, *words: str) -> dict[str, Any]:
    return dict(json.loads(built.run("irg", *words, "--json")))


def test_the_answer_is_written_as_it_is_said(generated: Path) -> None:
    assert sorted(path.name for path in generated.iterdir()) == [*FILES, "said.txt"]
    said, answer = (generated / "said.txt").read_text(), json.loads((generated / "answer.json").read_text())
    assert said.startswith("<think>\n[plan]First I work out what the goal asks for.[/plan]\n[analyze]")
    codes = answer["rounds"][0]["codes"]
    assert f"<Motion> {' '.join(map(str, codes))}</Motion>" in said
    assert answer["answer"].startswith("<think>[plan]First")
    assert "by measured facts the goal is" in said


def test_all_forms_of_the_motion_are_one_motion(generated: Path) -> None:
    from irg_core.motion import bvh, representation

    features = np.load(generated / "features.npy", allow_pickle=False)
    joints = np.load(generated / "joints.npy", allow_pickle=False)
    assert joints.shape == (len(features), 22, 3)
    assert np.allclose(representation.to_joints(features), joints, atol=1e-5)
    with (generated / "motion.bvh").open("rb") as file:
        positions, _ = bvh.pose(bvh.load(file))
    assert len(positions) == len(joints)
    assert np.allclose(positions[:, 0] / 100.0, joints[:, 0], atol=1e-4)


def test_the_page_plays(generated: Path, tmp_path: Path) -> None:
    if (program := find()) is None:
        pytest.skip("no Chromium on this machine; on Debian and Ubuntu: apt-get install chromium")
    with browser(program, tmp_path) as page:
        page.open(generated / "player.html")
        page.wait("document.querySelector('canvas').width > 0")
        assert page.run("document.querySelector('h1').textContent") == f"“{GOAL}”"
        page.run("document.querySelector('.play').click()")
        page.wait("+document.querySelector('.player').dataset.frame > 0")


def test_equal_seeds_give_equal_answers_and_a_warm_one_its_own(built: Checkout) -> None:
    warm = ("generate", GOAL, "--temperature", "1", "--out", "runs/warm", "--seed")
    made, said = [], []
    for seed in ("5", "5", "6"):
        made.append(told(built, *warm, seed))
        said.append(json.loads((built.root / "runs/warm/answer.json").read_text())["answer"])
    assert made[0]["facts"] == made[1]["facts"]
    assert (made[0]["mode"], made[0]["seed"], made[0]["temperature"]) == ("enforced", 5, 1.0)
    # What is said, and not what is measured: of two motions of a hardly trained model nothing may be to tell.
    assert said[0] == said[1] != said[2]


def test_a_model_without_traces_answers_with_one_motion(built: Checkout) -> None:
    found = told(built, "generate", GOAL, "--model", "data/models/base", "--out", "runs/base")
    assert (found["model"], found["mode"], found["rounds"]) == ("base", "direct", 1)


@pytest.mark.parametrize("form", ["features.npy", "joints.npy", "motion.bvh"])
def test_a_motion_is_judged_in_any_form(built: Checkout, generated: Path, form: str) -> None:
    found = told(built, "assess", str(generated / form), GOAL)
    answer = json.loads((generated / "answer.json").read_text())
    assert found["alignment_score"] < 0
    assert found["seconds"] == pytest.approx(answer["seconds"], abs=0.11)
    assert {"assessment", "refinement", "statements", "for", "against", "facts"} <= found.keys()


def test_measured_facts_speak_for_what_a_clip_shows_and_against_what_it_does_not(built: Checkout) -> None:
    from irg_core import tables
    from irg_core.records.annotation import Caption

    rows = tables.read(built.root / "data/captions/procedural.parquet", Caption)
    row = next(one for one in rows if one.source == "source" and "kick" in one.text and "walk" not in one.text)
    right = told(built, "assess", row.clip_id, row.text)
    wrong = told(built, "assess", row.clip_id, "a person squats three times")
    assert right["outcome"] == "fulfilled"
    assert right["for"]
    assert wrong["outcome"] == "missed"
    assert wrong["against"]


def test_an_instruction_is_put_into_the_models_mouth_and_a_motion_follows(built: Checkout, generated: Path) -> None:
    order = "Kick higher with the left leg."
    found = told(
        built, "refine", str(generated / "features.npy"), GOAL, "--instruction", order, "--out", "runs/refined"
    )
    answer = json.loads((built.root / "runs/refined/answer.json").read_text())
    assert found["rounds"] >= 2
    assert answer["rounds"][0]["refinement"] == order
    assert answer["rounds"][0]["codes"] != [] != answer["rounds"][1]["codes"]


def test_the_loop_around_stage_1_refines_as_well(built: Checkout, generated: Path) -> None:
    words = ("refine", str(generated / "joints.npy"), GOAL, "--model", "stage1", "--instruction", "Kick higher.")
    said = built.run("irg", *words, "--out", "runs/turned")
    assert "Refinement: Kick higher." in said
    assert "written to runs/turned" in said


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("generate", " "), "the text is empty"),
        (("generate", "walks slowly " * 400), "say it shorter"),
        (("generate", "walks <think>"), "the text holds <think>"),
        (("generate", "walks", "--model", "nowhere"), "no model 'nowhere'"),
        (("generate", "walks", "--model", "data/clips"), "holds no model"),
        (("generate", "walks", "--mode", "song"), "one of free, enforced, direct"),
        (("generate", "walks", "--temperature", "-1"), "out of its range"),
        (("assess", "nothing.bvh", "walks"), "neither a file nor a clip"),
        (("assess", "procedural/none", "walks"), "near it are: procedural/"),
        (("assess", "data", "walks"), "is a folder"),
        (("assess", "params.yaml", "walks"), "is no motion that corpora read"),
        (("assess", "runs/dog.npy", "walks"), "holds an array [40, 30, 3]"),
        (("assess", "runs/cut.npy", "walks"), "runs/cut.npy"),
        (("assess", "runs/junk.bvh", "walks"), "unreadable motion file"),
        (("refine", "runs/one/features.npy", "walks", "--model", "base"), "answers with motions alone"),
        (("refine", "runs/one/features.npy", "walks", "--instruction", "kick " * 300), "longer than"),
    ],
    ids=lambda one: " ".join(one)[:30] if isinstance(one, tuple) else "",
)
def test_what_cannot_be_asked_is_said_in_a_sentence(
    built: Checkout, generated: Path, words: tuple[str, ...], sentence: str
) -> None:
    np.save(built.root / "runs/dog.npy", np.zeros((40, 30, 3)))
    (built.root / "runs/cut.npy").write_bytes((generated / "features.npy").read_bytes()[:500])
    (built.root / "runs/junk.bvh").write_text("HIERARCHY of nothing")
    said = built.run("irg", *words, code=2)
    assert sentence in said
    assert said.startswith("irg: ")
    assert len(said.splitlines()) == 1
