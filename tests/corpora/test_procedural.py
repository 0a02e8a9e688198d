"""The procedural world: plausible bodies, true captions, and the same take from the same seed."""

import itertools
import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from irg_core.corpora import procedural
from irg_core.errors import SourceError
from irg_core.motion.skeleton import INDEX, LENGTHS, PARENTS
from irg_core.records.motion import Take

GRAMMAR = Path(__file__).parents[2] / "irg_core/corpora/procedural.yaml"
CLIPS = 220


@pytest.fixture(scope="module")
def takes() -> list[Take]:
    return list(procedural.read(GRAMMAR, clips=CLIPS, seed=3))


def bend(take: Take, a: str, b: str, c: str) -> np.ndarray:
    """The angle at joint b in degrees; 180 is straight."""
    u, v = (take.joints[:, INDEX[end]] - take.joints[:, INDEX[b]] for end in (a, c))
    cosine = (u * v).sum(-1) / (np.linalg.norm(u, axis=-1) * np.linalg.norm(v, axis=-1))
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))


def test_the_same_seed_gives_the_same_take_however_many_are_asked_for(takes: list[Take]) -> None:
    fewer = list(procedural.read(GRAMMAR, clips=5, seed=3))
    other = next(procedural.read(GRAMMAR, clips=1, seed=4))
    for early, late in zip(fewer, takes, strict=False):
        assert np.array_equal(early.joints, late.joints)
        assert (early.captions, early.cell, early.truth) == (late.captions, late.cell, late.truth)
    assert not np.array_equal(other.joints[:40], takes[0].joints[:40])


def test_takes_last_two_to_ten_seconds_and_stand_on_the_floor(takes: list[Take]) -> None:
    for take in takes:
        assert 2.0 <= len(take.joints) / take.fps <= 10.0
        assert abs(take.joints[..., 1].min()) < 1e-6
    assert 3.5 < np.mean([len(take.joints) / take.fps for take in takes]) < 6.0


def test_bones_keep_their_length(takes: list[Take]) -> None:
    for take in takes:
        bones = np.linalg.norm(take.joints[:, 1:] - take.joints[:, PARENTS[1:]], axis=-1)
        assert np.abs(bones - LENGTHS[1:]).max() < 1e-5


def test_planted_feet_slide_less_than_two_centimetres(takes: list[Take]) -> None:
    for take, side in itertools.product(takes, ("left", "right")):
        foot = take.joints[:, INDEX[f"{side}_foot"]]
        edges = np.flatnonzero(np.diff(np.concatenate([[0], foot[:, 1] < 0.008, [0]])))
        for start, end in zip(edges[::2], edges[1::2], strict=True):
            path = foot[start:end, [0, 2]]
            assert np.linalg.norm(path.max(0) - path.min(0)) < 0.02, (
                f"{take.name} ({take.cell}) slides on its {side} foot"
            )


def test_no_joint_leaves_its_range(takes: list[Take]) -> None:
    for take, side in itertools.product(takes, ("left", "right")):
        knee = bend(take, f"{side}_hip", f"{side}_knee", f"{side}_ankle")
        elbow = bend(take, f"{side}_shoulder", f"{side}_elbow", f"{side}_wrist")
        ankle = bend(take, f"{side}_knee", f"{side}_ankle", f"{side}_foot")
        thigh = bend(take, "spine1", f"{side}_hip", f"{side}_knee")
        assert (knee > 30).all(), f"{take.name} folds a knee beyond 150 degrees"
        assert (elbow > 30).all(), f"{take.name} folds an elbow beyond 150 degrees"
        assert ((ankle > 45) & (ankle < 176)).all(), f"{take.name} bends an ankle out of range"
        assert (thigh > 30).all(), f"{take.name} folds a hip out of range"


def test_knees_never_bend_the_wrong_way(takes: list[Take]) -> None:
    for take, side in itertools.product(takes, ("left", "right")):
        hip, knee, ankle = (take.joints[:, INDEX[f"{side}_{name}"]] for name in ("hip", "knee", "ankle"))
        left = take.joints[:, INDEX["left_hip"]] - take.joints[:, INDEX["right_hip"]]
        hinge = (np.cross(knee - hip, ankle - knee) * left).sum(-1)  # positive where the shin folds back
        assert (hinge > 0).all(), f"{take.name} ({take.cell}): the {side} knee bends forward"


def test_bodies_move_without_jerks(takes: list[Take]) -> None:
    for take in takes:
        acceleration = np.linalg.norm(np.diff(take.joints, n=2, axis=0), axis=-1) * take.fps**2
        assert acceleration.max() < 230, f"{take.name} ({take.cell}) jerks"


def test_the_world_has_every_action_in_sequences_of_one_to_three(takes: list[Take]) -> None:
    lengths = Counter(take.cell.count(">") + 1 for take in takes)
    actions = {phase["action"] for take in takes for phase in json.loads(take.truth)["phases"]}
    assert set(lengths) == {1, 2, 3}
    assert 0.4 < lengths[1] / CLIPS < 0.6
    assert actions == set(procedural.ACTIONS)
    assert len(procedural.ACTIONS) >= 12


def test_the_truth_lies_within_the_take_and_in_order(takes: list[Take]) -> None:
    for take in takes:
        phases = json.loads(take.truth)["phases"]
        assert len(phases) == take.cell.count(">") + 1
        assert phases[0]["start"] >= 0
        assert phases[-1]["end"] <= len(take.joints) / take.fps + 0.05
        for earlier, later in itertools.pairwise(phases):
            assert earlier["end"] - 0.35 < later["start"] < earlier["end"] + 0.35


def test_a_take_has_four_captions_of_four_templates(takes: list[Take]) -> None:
    for take in takes:
        assert len({caption.template for caption in take.captions}) == len(take.captions) == procedural.CAPTIONS
    assert len({caption.template for take in takes for caption in take.captions}) >= 20


def test_about_a_quarter_of_the_captions_leave_something_open(takes: list[Take]) -> None:
    opened = [name for take in takes for name in json.loads(take.truth)["open"]]
    assert 0.15 < sum(map(bool, opened)) / len(opened) < 0.3


def test_captions_are_tidy_sentences_of_few_words(takes: list[Take]) -> None:
    texts = [caption.text for take in takes for caption in take.captions]
    for text in texts:
        assert re.fullmatch(r"[a-z0-9,;. ]+\.", text), text
        assert "  " not in text
        assert " ," not in text
        assert not re.search(r"\b(\w+) \1\b", text), text
        assert not re.search(r"\ba [aeio]", text), text
    assert len({word for text in texts for word in re.findall(r"[a-z]+", text)}) < 220


def test_every_word_of_a_template_occurs_in_another_one() -> None:
    frames = procedural.read_grammar(GRAMMAR).templates
    words = {name: set(re.findall(r"\b[a-z]{2,}\b", re.sub(r"{.*?}", "", " ".join(t)))) for name, t in frames.items()}
    for name, own in words.items():
        others = set().union(*(other for other_name, other in words.items() if other_name != name))
        assert len(own - others) <= 2, f"{name} alone has {own - others}"


def test_a_missing_or_foreign_grammar_says_what_is_wanted(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no caption grammar there"):
        next(procedural.read(tmp_path / "none.yaml", clips=1, seed=1))
    (tmp_path / "foreign.yaml").write_text("a: 1")
    with pytest.raises(SourceError, match="it takes subjects"):
        next(procedural.read(tmp_path / "foreign.yaml", clips=1, seed=1))
