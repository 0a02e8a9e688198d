"""What a judge is shown, with and without the known flaw."""

import asyncio
import json
import math
from dataclasses import replace

import pytest

from irg_core.annotate import assess
from irg_core.annotate.assess import AssessParams, with_truth
from irg_core.annotate.claims import claims
from irg_core.dialogue import SENTINEL
from irg_core.llm.chat import ChatRequest
from irg_core.llm.kinematic import MODEL, Provider, Settings
from irg_core.motion.thresholds import KinematicsParams
from irg_core.params import section
from irg_core.records.annotation import Pair
from irg_core.records.motion import Difference, Facts, Measure, Phase

LIMITS = section("kinematics", KinematicsParams)
FACTS_ONLY = AssessParams(provider="kinematic", model=MODEL, seed=17, attempts=1, facts_shown=4, teacher=False)
TEACHER = replace(FACTS_ONLY, teacher=True)
WALK = Phase("walk", 0.0, 2.0, "", "forward", math.nan, 0, "normal", "", 1.5)
KICK = Phase("kick", 2.1, 4.0, "right", "", math.nan, 2, "", "large", 0.0)
LEFT = replace(KICK, side="left")
GOAL = "a person walks forward and then kicks twice with the right leg."
MIRRORED = {"changes": [{"attribute": "side", "action": "kick", "was": "right", "now": "left"}]}


def asked(shown: list[Phase], params: AssessParams, truth: object = MIRRORED, *captions: str) -> ChatRequest:
    pair = Pair("c/0|m", "c/0", "c", GOAL, "m", "edit", "mirror", json.dumps(truth), 1.0, captions=list(captions))
    turn = Measure("heading", "body", "", "left", "", 42.0, "degrees", 0.0, 1.0)
    facts = {"c": Facts("c", 4.0, [WALK, KICK], [turn]), "m": Facts("m", 4.0, shown, [replace(turn, amount=24.0)])}
    (request,) = assess.questions([pair], facts, params, LIMITS)
    return request


def answered(request: ChatRequest) -> dict[str, str]:
    said: dict[str, str] = json.loads(asyncio.run(Provider(MODEL, Settings()).complete(request)).text)
    return said


def test_the_judge_is_shown_both_motions_and_what_was_written() -> None:
    prompt = asked([WALK, LEFT], FACTS_ONLY, MIRRORED, "a man kicks about.").prompt
    assert "kick, right side, 2 times" in prompt
    assert "kick, left side, 2 times" in prompt
    assert "turns left by 42 degrees" in prompt
    assert "turns left by 24 degrees" in prompt
    assert '"a man kicks about."' in prompt


def test_only_a_teacher_is_told_what_is_wrong() -> None:
    blind, told = (asked([WALK, LEFT], params) for params in (FACTS_ONLY, TEACHER))
    assert "asked for right, shown left" in told.prompt
    assert "asked for right, shown left" not in blind.prompt + blind.system
    assert "mirror" not in blind.prompt + blind.system + json.dumps(blind.payload)
    assert (blind.origin.prompt, told.origin.prompt) == ("assess.md", "assess.teacher.md")


def test_a_flaw_that_measurement_misses_is_seen_by_a_teacher_alone() -> None:
    blind, told = (answered(asked([WALK, KICK], params)) for params in (FACTS_ONLY, TEACHER))
    assert blind["refinement"] == SENTINEL
    assert "right leg" in told["refinement"]


def edited(truth: object = MIRRORED, source: str = "edit") -> Pair:
    return Pair("c/0|m", "c/0", "c", GOAL, "m", source, "mirror", json.dumps(truth), 1.0)


def test_what_is_measured_and_known_is_told_once_and_what_is_not_asked_for_never() -> None:
    found = [Difference("side", "kick", "right", "left")]
    assert with_truth(found, edited(), claims(GOAL)) == found
    assert with_truth([], edited(), claims("someone kicks.")) == []
    assert with_truth([], edited({}), claims(GOAL)) == []


def test_a_teacher_knows_that_the_goals_own_motion_has_no_flaw() -> None:
    assert with_truth([Difference("side", "kick", "right", "left")], edited({}, "goal"), claims(GOAL)) == []


@pytest.mark.parametrize(
    ("was", "now", "expected"),
    [
        (90.0, -90.0, Difference("direction", "turn", "left", "right")),
        (-90.0, -180.0, Difference("turn", "turn", "90 degrees", "180 degrees")),
    ],
)
def test_another_turn_is_another_way_or_another_size(was: float, now: float, expected: Difference) -> None:
    pair = edited({"changes": [{"attribute": "turn", "action": "turn", "was": was, "now": now}]})
    assert with_truth([], pair, claims("someone turns 90 degrees to the left.")) == [expected]


def test_equal_requests_are_answered_alike_and_the_lot_falls_by_the_row() -> None:
    request = asked([WALK, LEFT], FACTS_ONLY)
    assert answered(request) == answered(request)
    assert len({answered(replace(request, seed=seed))["assessment"] for seed in range(20)}) > 10
