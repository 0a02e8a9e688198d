"""Which flaws a goal gets."""

import json
import math
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from irg_core.annotate import inject
from irg_core.annotate.describe import measure, source_captions
from irg_core.annotate.inject import Aim, Gallery, InjectParams, Work
from irg_core.corpora import procedural
from irg_core.errors import UnknownPlugin
from irg_core.motion import features
from irg_core.motion.differences import differences
from irg_core.motion.representation import COMPATIBLE
from irg_core.motion.thresholds import KinematicsParams
from irg_core.params import section
from irg_core.records.annotation import Caption
from irg_core.records.motion import Clip, Facts, Phase, Take

LIMITS = section("kinematics", KinematicsParams)
PARAMS = replace(section("inject", InjectParams), flaws_per_clip=2)


@pytest.fixture(scope="module")
def clips() -> list[Clip]:
    takes = procedural.read(Path(procedural.__file__).with_suffix(".yaml"), clips=40, seed=3)
    return [
        Clip(f"p/{take.name}", "p", f"p/{take.name}", take.cell, features.extract(take.joints), list(take.captions), "")
        for take in takes
        if isinstance(take, Take)
    ]


@pytest.fixture(scope="module")
def facts(clips: list[Clip]) -> dict[str, Facts]:
    return {row.clip_id: row for row in measure(clips, LIMITS)}


@pytest.fixture(scope="module")
def aims(clips: list[Clip], facts: dict[str, Facts]) -> list[Aim]:
    said: dict[str, list[Caption]] = {}
    for caption in source_captions(clips):
        said.setdefault(caption.clip_id, []).append(caption)
    return inject.aims(dict.fromkeys(facts, "train"), said, facts, 500, PARAMS)


@pytest.fixture(scope="module")
def works(aims: list[Aim], clips: list[Clip], facts: dict[str, Facts]) -> list[Work]:
    frames = {clip.clip_id: clip.features for clip in clips}
    return [
        Work(aim, frames[aim.clip_id], [(frames[name], facts[name].phases) for name in aim.lent])
        for aim in aims
        if aim.wanted["edit"]
    ]


def made(works: list[Work], **changes: object) -> list[inject.Made]:
    return inject.edited(works, replace(PARAMS, **changes), LIMITS, COMPATIBLE)  # type: ignore[arg-type]


def test_every_edit_breaks_something_that_the_goal_asks_for(works: list[Work]) -> None:
    found = made(works)
    asked = {work.aim.clip_id: work.aim.asked for work in works}
    assert len(found) > 20
    assert all(differences(asked[one.clip_id], one.facts.phases, LIMITS) for one in found)
    assert len({one.motion_id for one in found}) == len(found)


def test_edits_do_not_depend_on_how_clips_are_batched(works: list[Work]) -> None:
    whole = made(works[:10])
    parts = [one for work in works[:10] for one in made([work])]
    assert [(one.motion_id, one.features.tobytes()) for one in whole] == [
        (one.motion_id, one.features.tobytes()) for one in parts
    ]


def test_two_flaws_in_one_motion_are_both_told_and_both_measured(works: list[Work]) -> None:
    found = [one for one in made(works, flaws_in_one=[0.0, 1.0]) if inject.JOIN in one.kind]
    assert len(found) > 5
    for one in found:
        changes = json.loads(one.truth)["changes"]
        assert len({change["action"] for change in changes}) >= 2
        for change in changes:
            phases = [phase for phase in one.facts.phases if phase.action == change["action"]]
            assert change["attribute"] in ("missing", "action") or phases


def test_difficult_edits_are_made_where_they_are_sought(works: list[Work]) -> None:
    easy = made(works, difficulty={"easy": 1.0, "medium": 0.0, "hard": 0.0})
    hard = made(works, difficulty={"easy": 0.0, "medium": 0.0, "hard": 1.0})
    assert np.mean([one.difficulty for one in hard]) > np.mean([one.difficulty for one in easy]) + 0.15


def test_sources_are_drawn_in_their_shares_and_a_small_corpus_retrieves_nothing(
    clips: list[Clip], facts: dict[str, Facts]
) -> None:
    said = {clip.clip_id: list(source_captions([clip])) for clip in clips}
    splits = dict.fromkeys(facts, "train")
    large, small = (inject.aims(splits, said, facts, gallery, PARAMS) for gallery in (500, 50))
    counts = Counter[str]()
    for aim in large:
        counts.update(aim.wanted)
    assert sum(counts.values()) == 2 * len(large)
    assert counts["edit"] > counts["rollout"] > 0
    assert counts["retrieval"] > 0
    assert all(aim.wanted["retrieval"] == 0 for aim in small)


def test_a_goal_of_val_meets_no_clip_of_train_and_edits_take_that_share(
    clips: list[Clip], facts: dict[str, Facts]
) -> None:
    said = {clip.clip_id: list(source_captions([clip])) for clip in clips}
    of_train, of_val = (
        inject.aims(dict.fromkeys(facts, split), said, facts, 500, PARAMS) for split in ("train", "val")
    )
    assert sum(aim.wanted["retrieval"] for aim in of_train) > 0
    for one, other in zip(of_train, of_val, strict=True):
        assert other.wanted["retrieval"] == 0
        assert sum(other.wanted.values()) == sum(one.wanted.values()) == PARAMS.flaws_per_clip
    only = replace(PARAMS, sources={"edit": 0.0, "retrieval": 1.0, "rollout": 0.0})
    for aim in inject.aims(dict.fromkeys(facts, "val"), said, facts, 500, only):
        assert aim.wanted == {"edit": PARAMS.flaws_per_clip, "retrieval": 0, "rollout": 0}


def test_an_action_is_only_taken_from_a_clip_of_the_same_split(clips: list[Clip], facts: dict[str, Facts]) -> None:
    said = {clip.clip_id: list(source_captions([clip])) for clip in clips}
    splits = {name: ("train", "val")[place % 2] for place, name in enumerate(facts)}
    for aim in inject.aims(splits, said, facts, 500, PARAMS):
        assert len(aim.lent) == inject.LENT
        assert {splits[name] for name in aim.lent} == {splits[aim.clip_id]}
        assert aim.clip_id not in aim.lent


def phase(action: str, speed: str = "") -> Phase:
    way = "forward" if action == "walk" else ""
    return Phase(action, 0.0, 1.0, "", way, math.nan, int(action == "jump"), speed, "", 0.0)


GOAL = "someone walks forward slowly."


def aim_for(text: str) -> Aim:
    asked = [phase("walk", "slow")]
    return Aim("p/goal", [Caption("p/goal/0", "p/goal", 0, text, "", "source")], asked, asked, {"retrieval": 3}, [])


def gallery(said: dict[str, tuple[str, Phase]], at: dict[str, float]) -> Gallery:
    """Clips with what is said of them and what they show, at places on a line."""
    captions = {name: [Caption(f"{name}/0", name, 0, text, "", "source")] for name, (text, _) in said.items()}
    facts = {name: Facts(name, 1.0, [shown]) for name, (_, shown) in said.items()}
    return Gallery(captions, facts, {name: np.array([at.get(name, 1.0)]) for name in said}, 1.0)


def test_a_retrieved_clip_neither_is_the_goals_nor_says_does_or_looks_the_same() -> None:
    said = {f"p/{n}": ("someone does a big jump.", phase("jump")) for n in range(20)}
    said |= {
        "p/goal": (GOAL, phase("walk", "slow")),
        "p/said": ("a person walks forward slowly.", phase("jump")),
        "p/done": ("they stroll.", phase("walk", "slow")),
        "p/near": ("they stroll.", phase("jump")),
    }
    room = gallery(said, {"p/goal": 0.0, "p/near": 0.05})
    ranking = ["p/goal", "p/said", "p/done", "p/near", *(f"p/{n}" for n in range(20))]
    for seed in range(30):
        found = inject.retrieved(aim_for(GOAL), ranking, room, replace(PARAMS, seed=seed), LIMITS)
        assert len(set(found)) == len(found) > 0
        assert not {"p/goal", "p/said", "p/done", "p/near"} & set(found)


def test_retrieval_draws_from_near_and_far() -> None:
    said = {f"p/{n:03d}": ("someone jumps.", phase("jump")) for n in range(200)}
    room = gallery(said | {"p/goal": (GOAL, phase("walk"))}, {"p/goal": 0.0})
    found = Counter[bool]()
    for seed in range(60):
        names = inject.retrieved(aim_for(GOAL), list(said), room, replace(PARAMS, seed=seed), LIMITS)
        found.update(name < "p/020" for name in names)
    assert 0.3 < found[True] / found.total() < 0.7


def test_an_edit_of_no_weight_is_never_made_and_the_others_are(works: list[Work]) -> None:
    usual = {kind for one in made(works) for kind in one.kind.split(inject.JOIN)}
    assert {"mirror", "wrong_speed"} <= usual
    found = made(works, edits=PARAMS.edits | {"mirror": 0.0, "wrong_speed": 0.0}, flaws_in_one=[0.5, 0.5])
    kinds = {kind for one in found for kind in one.kind.split(inject.JOIN)}
    assert len(kinds) > 3
    assert not {"mirror", "wrong_speed"} & kinds


def test_one_edit_alone_is_enough(works: list[Work]) -> None:
    found = made(works[:10], edits=dict.fromkeys(PARAMS.edits, 0.0) | {"wrong_speed": 1.0})
    assert {one.kind for one in found} == {"wrong_speed"}


@pytest.mark.parametrize("edits", [{"mirror": -0.1, "wrong_speed": 1.0}, {"mirror": 0.0, "wrong_speed": 0.0}, {}])
def test_weights_from_which_nothing_can_be_drawn_are_refused(edits: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"inject\.edits takes weights of 0 and more, one of them above 0"):
        replace(PARAMS, edits=edits)


def test_an_unknown_edit_lists_those_that_exist(works: list[Work]) -> None:
    with pytest.raises(UnknownPlugin, match=r"no 'inverted' in irg_core/motion/edits.*mirror.*wrong_speed"):
        made(works[:1], edits={"inverted": 1.0})


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("sources", {"edit": 1.0}, "edit, retrieval, rollout"),
        ("difficulty", {"easy": 0.5, "hard": 0.5}, "easy, medium, hard"),
        ("flaws_in_one", [0.5, 0.4], "one flaw and of two"),
    ],
)
def test_shares_that_make_no_whole_are_refused(name: str, value: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        replace(PARAMS, **{name: value})  # type: ignore[arg-type]
