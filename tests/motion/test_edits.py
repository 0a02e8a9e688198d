"""Each edit makes the mistake that it says it makes, and no other, with a body that could do it."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from irg_core import plugins
from irg_core.corpora import procedural
from irg_core.motion import features, flaws, footing, kinematics, stretches
from irg_core.motion.differences import differences
from irg_core.motion.edits import mirror
from irg_core.motion.flaws import Edited, Scene
from irg_core.motion.skeleton import LENGTHS, PARENTS
from irg_core.motion.thresholds import KinematicsParams
from irg_core.params import section
from irg_core.records.motion import Phase, Take
from irg_core.seeds import rng

LIMITS = section("kinematics", KinematicsParams)
ROOM = "irg_core.motion.edits"
KINDS = plugins.names(ROOM)


@dataclass(frozen=True)
class Measured:
    """A procedural clip, an edit of it, and the edit's facts."""

    source: Scene
    edited: Edited
    after: list[Phase]


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    takes = procedural.read(Path(procedural.__file__).with_suffix(".yaml"), clips=120, seed=23)
    joints = [features.to_joints(features.extract(take.joints)) for take in takes if isinstance(take, Take)]
    alone = [flaws.scene(clip, kinematics.phases(clip, LIMITS)) for clip in joints]
    return [Scene(one.joints, one.rows, one.phases, [alone[n - 3], alone[n - 7]]) for n, one in enumerate(alone)]


@pytest.fixture(scope="module")
def measured(scenes: list[Scene]) -> Callable[[str], list[Measured]]:
    """The edits of one kind, of all clips that it applies to, with their facts."""

    @cache
    def of(kind: str) -> list[Measured]:
        edits = (
            (source, plugins.load(ROOM, kind).edit(source, rng(1, kind, number), LIMITS))
            for number, source in enumerate(scenes)
        )
        return [Measured(source, one, facts_of(one)) for source, one in edits if one is not None]

    return of


def facts_of(edited: Edited) -> list[Phase]:
    return kinematics.phases(features.to_joints(features.extract(edited.joints)), LIMITS)


Of = Callable[[str], list[Measured]]


def test_there_are_at_least_fourteen_kinds() -> None:
    assert len(KINDS) >= 14


@pytest.mark.parametrize("kind", KINDS)
def test_facts_show_the_flaw_and_nothing_else(kind: str, measured: Of) -> None:
    results = [flaws.shows(one.edited, one.after, LIMITS) for one in measured(kind)]
    assert len(results) >= 10
    assert np.mean(results) >= 0.9


@pytest.mark.parametrize("kind", KINDS)
def test_an_edited_body_stays_a_body(kind: str, measured: Of) -> None:
    believed = []
    for one in measured(kind):
        joints = one.edited.joints
        assert np.isfinite(joints).all()
        bones = np.linalg.norm(joints[:, 1:] - joints[:, PARENTS[1:]], axis=-1)
        np.testing.assert_allclose(bones, np.broadcast_to(LENGTHS[1:], bones.shape), atol=1e-5)
        believed.append(flaws.plausible(one.edited, one.source))
        slides = [footing.slide(motion) for motion in (one.source.joints, joints)]
        assert slides[1] <= 3.0 * max(slides[0], 0.05), "feet slide"
    assert np.mean(believed) >= 0.8


@pytest.mark.parametrize("kind", KINDS)
def test_the_facts_of_the_source_differ_from_those_of_the_edit(kind: str, measured: Of) -> None:
    """What a judge is asked for, who reads the goal motion's facts and sees the edited motion's.

    A turn of a walk that nobody spoke of, and a count or side of actions that changed places, pass for the same.
    """
    told = [
        bool(differences(one.source.phases, one.after, LIMITS))
        for one in measured(kind)
        if flaws.shows(one.edited, one.after, LIMITS) and kind != "bent_path"
    ]
    assert np.mean(told or [True]) >= 0.95


@pytest.mark.parametrize("kind", KINDS)
def test_truth_speaks_in_the_words_of_the_facts(kind: str, measured: Of) -> None:
    attributes = {"action", "missing", "extra", "order", "side", "direction", "turn", "count", "speed", "amplitude"}
    for one in measured(kind)[:12]:
        truth = json.loads(flaws.truth(one.edited.changes))
        assert 0.0 <= truth["difficulty"] <= 1.0
        assert truth["class"] in flaws.CLASSES
        seconds = len(one.edited.joints) / 20
        for change in truth["changes"]:
            assert change["attribute"] in attributes
            assert change["was"] != change["now"]
            assert 0.0 <= change["start"] <= change["end"] <= seconds + 1.0


@pytest.mark.parametrize("kind", KINDS)
def test_a_still_person_can_do_nothing_wrong(kind: str, scenes: list[Scene]) -> None:
    still = Phase("stand", 0.0, 2.0, "", "", math.nan, 0, "", "", 0.0)
    for phases in ([still], []):
        scene = flaws.scene(scenes[0].joints, phases)
        assert plugins.load(ROOM, kind).edit(scene, rng(1), LIMITS) is None


@pytest.mark.parametrize("kind", KINDS)
def test_an_edit_is_decided_by_its_generator(kind: str, scenes: list[Scene]) -> None:
    for scene in scenes[:8]:
        one, other = (plugins.load(ROOM, kind).edit(scene, rng(5, "x"), LIMITS) for _ in range(2))
        assert (one is None) == (other is None)
        if one is not None and other is not None:
            assert one.changes == other.changes
            assert one.joints.tobytes() == other.joints.tobytes()


def test_mirroring_twice_is_the_same_motion(scenes: list[Scene]) -> None:
    sided = Phase("kick", 0, 1, "left", "", math.nan, 1, "", "", 0.0)
    once = mirror.edit(flaws.scene(scenes[0].joints, [sided]), rng(1), LIMITS)
    assert once is not None
    twice = mirror.edit(flaws.scene(once.joints, once.phases), rng(1), LIMITS)
    assert twice is not None
    body = twice.joints - twice.joints[:, :1]
    np.testing.assert_allclose(body, scenes[0].joints - scenes[0].joints[:, :1], atol=0.03)


def test_rows_walked_off_are_the_motion_again(scenes: list[Scene]) -> None:
    for scene in scenes[:20]:
        again = stretches.walked(scene.rows)
        assert np.abs(again - scene.joints).max() < 0.02


def test_feet_that_slide_are_laid_still(scenes: list[Scene]) -> None:
    """A body that is pushed along while it stands keeps its feet, as far as its legs reach."""
    standing = next(scene for scene in scenes if scene.rows[:40, stretches.DOWN].all())
    rows = standing.rows[:40].copy()
    rows[10:30, stretches.TRAVEL] += (0.0, 0.005)
    pushed = stretches.walked(rows)
    assert footing.slide(pushed) < 0.01
    assert pushed[-1, 0, 2] - pushed[0, 0, 2] == pytest.approx(0.1, abs=0.03)


def test_a_flaw_that_cannot_be_measured_is_not_believed(measured: Of) -> None:
    for one in measured("wrong_count")[:10]:
        before = kinematics.phases(one.source.joints, LIMITS)
        assert not flaws.shows(one.edited, before, LIMITS)


def test_a_sliding_motion_is_not_plausible(measured: Of) -> None:
    one = measured("wrong_count")[0]
    drift = np.linspace(0.0, 2.0, len(one.edited.joints))[:, None, None] * np.array([1.0, 0.0, 0.0])
    assert not flaws.plausible(Edited(one.edited.joints + drift, one.edited.phases, one.edited.changes), one.source)


def test_a_larger_change_of_more_of_the_motion_is_easier_to_see() -> None:
    def hardness(size: float, share: float) -> float:
        return flaws.difficulty([flaws.Change("count", "jump", 1, 2, "", 0.0, 1.0, size, share)])

    assert hardness(1.0, 1.0) == 0.0
    assert hardness(0.5, 1.0) < hardness(0.5, 0.5) < hardness(0.1, 0.5)
