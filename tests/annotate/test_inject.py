"""Which flaws a goal gets."""

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from irg_core.annotate import inject
from irg_core.annotate.describe import DescribeParams, captions, measure, questions
from irg_core.annotate.inject import Aim, InjectParams, RolloutParams
from irg_core.corpora import procedural
from irg_core.errors import UnknownPlugin
from irg_core.motion import features
from irg_core.motion.differences import differences
from irg_core.motion.thresholds import KinematicsParams
from irg_core.params import section
from irg_core.records.annotation import Caption
from irg_core.records.motion import Clip, Facts, Phase, Take

LIMITS = section("kinematics", KinematicsParams)
EDITS = {"mirror": 1.0, "wrong_direction": 1.0, "wrong_count": 1.0, "wrong_speed": 1.0, "missing_action": 1.0}
PARAMS = InjectParams(
    seed=17, goals_per_clip=2, flaws_per_clip=2, sources={"edit": 0.5, "retrieval": 0.25, "rollout": 0.25}, edits=EDITS,
    retrieval_gallery=200, retrieval_bands=[0.1, 1.0], near_identical=0.9,
    rollout=RolloutParams(temperature=1.0, max_codes=20, batch=8), threads=1, batch=8,
)  # fmt: skip


@pytest.fixture(scope="module")
def clips() -> list[Clip]:
    takes = procedural.read(Path(procedural.__file__).with_suffix(".yaml"), clips=40, seed=3)
    return [
        Clip(f"p/{take.name}", "p", f"p/{take.name}", take.cell, features.extract(take.joints), list(take.captions), "")
        for take in takes
        if isinstance(take, Take)
    ]


@pytest.fixture(scope="module")
def aims(clips: list[Clip]) -> list[Aim]:
    said: dict[str, list[Caption]] = {}
    for caption in captions(clips, {}, "kinematic"):
        said.setdefault(caption.clip_id, []).append(caption)
    return inject.aims(clips, said, {row.clip_id: row for row in measure(clips, LIMITS)}, 500, PARAMS)


def test_every_edit_breaks_something_that_the_goal_asks_for(aims: list[Aim]) -> None:
    made = inject.edited(aims, PARAMS.edits, PARAMS.seed, LIMITS)
    of_clip = {aim.clip.clip_id: aim for aim in aims}
    assert len(made) > 20
    assert all(differences(of_clip[one.clip_id].asked, one.facts.phases, LIMITS) for one in made)
    assert len({one.motion_id for one in made}) == len(made)


def test_edits_do_not_depend_on_how_clips_are_batched(aims: list[Aim]) -> None:
    whole = inject.edited(aims[:12], PARAMS.edits, PARAMS.seed, LIMITS)
    parts = [made for aim in aims[:12] for made in inject.edited([aim], PARAMS.edits, PARAMS.seed, LIMITS)]
    assert [(one.motion_id, one.features.tobytes()) for one in whole] == [
        (one.motion_id, one.features.tobytes()) for one in parts
    ]


def test_sources_are_drawn_in_their_shares_and_a_small_corpus_retrieves_nothing(clips: list[Clip]) -> None:
    said = {clip.clip_id: captions([clip], {}, "kinematic") for clip in clips}
    facts = {row.clip_id: row for row in measure(clips, LIMITS)}
    large, small = (inject.aims(clips, said, facts, gallery, PARAMS) for gallery in (500, 50))
    counts = Counter[str]()
    for aim in large:
        counts.update(aim.wanted)
    assert sum(counts.values()) == 2 * len(large)
    assert counts["edit"] > counts["rollout"] > 0
    assert counts["retrieval"] > 0
    assert all(aim.wanted["retrieval"] == 0 for aim in small)


def aim_for(text: str) -> Aim:
    clip = Clip("p/goal", "p", "p/goal", "", np.zeros((1, 263), np.float32), [], "")
    return Aim(clip, [Caption("p/goal/0", "p/goal", 0, text, "", "source")], [], [], {"retrieval": 3})


def test_a_retrieved_clip_neither_is_the_goals_nor_says_the_same() -> None:
    ranking = ["p/goal", "p/same", *(f"p/{n}" for n in range(20))]
    said = {name: [Caption(f"{name}/0", name, 0, "someone does a big jump.", "", "source")] for name in ranking}
    said["p/same"] = [Caption("p/same/0", "p/same", 0, "a person walks forward slowly.", "", "source")]
    for seed in range(30):
        params = InjectParams(**{**vars(PARAMS), "seed": seed})
        found = inject.retrieved(aim_for("someone walks forward slowly."), ranking, said, params)
        assert len(set(found)) == len(found) > 0
        assert not {"p/goal", "p/same"} & set(found)


def test_retrieval_draws_from_near_and_far() -> None:
    ranking = [f"p/{n:03d}" for n in range(200)]
    said = {name: [Caption(f"{name}/0", name, 0, "someone jumps.", "", "source")] for name in ranking}
    found = Counter[bool]()
    for seed in range(60):
        params = InjectParams(**{**vars(PARAMS), "seed": seed})
        found.update(name < "p/020" for name in inject.retrieved(aim_for("someone walks."), ranking, said, params))
    assert 0.3 < found[True] / found.total() < 0.7


def test_an_unknown_edit_lists_those_that_exist() -> None:
    with pytest.raises(UnknownPlugin, match=r"no flaw 'reversed'.*mirror.*wrong_speed"):
        inject.edit("reversed")


def test_an_unknown_source_is_refused() -> None:
    with pytest.raises(ValueError, match="edit, retrieval, rollout"):
        InjectParams(**{**vars(PARAMS), "sources": {"edit": 1.0}})


def test_a_clip_of_unknown_motion_gets_no_caption_written() -> None:
    params = DescribeParams(provider="kinematic", model="m", seed=1, attempts=1, batch=8, facts_shown=4)
    odd = Phase("other", 0, 1, "", "", math.nan, 0, "", "", 0)
    jump = Phase("jump", 0, 1, "", "", math.nan, 1, "", "", 0)
    rows = [Facts("a", 1, []), Facts("b", 1, [odd]), Facts("c", 1, [jump, odd]), Facts("d", 1, [jump])]
    assert [request.key for request in questions(rows, params)] == ["d"]
