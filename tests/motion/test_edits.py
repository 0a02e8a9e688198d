"""Each edit makes the mistake that it says it makes, and no other."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from irg_core.corpora import procedural
from irg_core.motion import edits, features, kinematics
from irg_core.motion.skeleton import LENGTHS, PARENTS
from irg_core.motion.thresholds import KinematicsParams
from irg_core.params import section
from irg_core.records.motion import Phase, Take
from irg_core.seeds import rng

LIMITS = section("kinematics", KinematicsParams)
KINDS = ["mirror", "wrong_direction", "wrong_count", "wrong_speed", "wrong_order", "missing_action", "truncated"]
EDITS: dict[str, Callable[..., edits.Edited]] = {kind: getattr(edits, kind) for kind in KINDS}


@dataclass(frozen=True)
class Measured:
    """A procedural clip, its facts before an edit and after, and what the edit says it did."""

    before: list[Phase]
    after: list[Phase]
    joints: np.ndarray
    changes: list[dict[str, object]]


@pytest.fixture(scope="module")
def clips() -> list[tuple[np.ndarray, list[Phase]]]:
    takes = procedural.read(Path(procedural.__file__).with_suffix(".yaml"), clips=150, seed=23)
    joints = [features.to_joints(features.extract(take.joints)) for take in takes if isinstance(take, Take)]
    return [(clip, kinematics.phases(clip, LIMITS)) for clip in joints]


def edited(kind: str, clips: list[tuple[np.ndarray, list[Phase]]]) -> Iterator[Measured]:
    for number, (joints, phases) in enumerate(clips):
        if (result := EDITS[kind](joints, phases, rng(1, kind, number), LIMITS)) is not None:
            after = kinematics.phases(features.to_joints(features.extract(result[0])), LIMITS)
            yield Measured(phases, after, result[0], result[1]["changes"])


def actions(phases: list[Phase]) -> list[str]:
    return [phase.action for phase in phases]


def changed(one: Measured) -> set[str]:
    """The attributes that differ between before and after; "actions" where other things are done."""
    if actions(one.before) != actions(one.after):
        return {"actions"}
    names = ("side", "direction", "count", "speed", "amplitude")
    # A grade that is left open on either side cannot be said to have changed.
    return {
        name
        for was, now in zip(one.before, one.after, strict=True)
        for name in names
        if (pair := (getattr(was, name), getattr(now, name)))[0] != pair[1]
        and (name not in ("speed", "amplitude") or all(pair))
    }


def swapped(one: Measured) -> bool:
    return actions(one.after) == one.changes[0]["now"]


def without_one(one: Measured) -> bool:
    kept = [phase.action for phase in one.before if phase.start != one.changes[0]["start"]]
    return actions(one.after) == kept


def as_said(one: Measured) -> bool:
    return changed(one) == {change["attribute"] for change in one.changes}


def shorter(one: Measured) -> bool:
    return without_one(one) if one.changes[0]["attribute"] == "missing" else as_said(one)


CHECKS: dict[str, Callable[[Measured], bool]] = {
    "mirror": lambda one: bool(changed(one)) and changed(one) <= {"side", "direction"},
    "wrong_direction": lambda one: changed(one) <= {"direction"} and bool(changed(one)),
    "wrong_count": as_said,
    "wrong_speed": as_said,
    "wrong_order": swapped,
    "missing_action": without_one,
    "truncated": shorter,
}


@pytest.mark.parametrize("kind", KINDS)
def test_measured_facts_change_as_the_truth_says(kind: str, clips: list[tuple[np.ndarray, list[Phase]]]) -> None:
    results = [CHECKS[kind](one) for one in edited(kind, clips)]
    assert len(results) > 40
    assert np.mean(results) >= 0.9


@pytest.mark.parametrize("kind", KINDS)
def test_an_edited_body_stays_a_body(kind: str, clips: list[tuple[np.ndarray, list[Phase]]]) -> None:
    for one in edited(kind, clips[:40]):
        assert np.isfinite(one.joints).all()
        bones = np.linalg.norm(one.joints[:, 1:] - one.joints[:, PARENTS[1:]], axis=-1)
        assert np.abs(bones - LENGTHS[1:]).max() < 0.02
        speed = np.abs(np.diff(one.joints, axis=0)).max() * 20
        assert speed < 18, "no joint is faster than a sprinter's foot"


def test_mirroring_twice_is_the_same_motion(clips: list[tuple[np.ndarray, list[Phase]]]) -> None:
    joints, _ = clips[0]
    sided = Phase("kick", 0, 1, "left", "", math.nan, 1, "", "", 0.0)
    once = edits.mirror(joints, [sided], rng(1), LIMITS)
    assert once is not None
    twice = edits.mirror(once[0], [sided], rng(1), LIMITS)
    assert twice is not None
    np.testing.assert_allclose(twice[0], joints)


@pytest.mark.parametrize("kind", KINDS)
def test_a_still_person_can_do_nothing_wrong(kind: str, clips: list[tuple[np.ndarray, list[Phase]]]) -> None:
    joints, _ = clips[0]
    still = Phase("stand", 0.0, 2.0, "", "", math.nan, 0, "", "", 0.0)
    assert EDITS[kind](joints, [still], rng(1), LIMITS) is None
    assert EDITS[kind](joints, [], rng(1), LIMITS) is None


@pytest.mark.parametrize("kind", KINDS)
def test_an_edit_is_decided_by_its_generator(kind: str, clips: list[tuple[np.ndarray, list[Phase]]]) -> None:
    for joints, phases in clips[:15]:
        one, other = (EDITS[kind](joints, phases, rng(5, "x"), LIMITS) for _ in range(2))
        assert (one is None) == (other is None)
        if one is not None and other is not None:
            assert one[1] == other[1]
            assert one[0].tobytes() == other[0].tobytes()
