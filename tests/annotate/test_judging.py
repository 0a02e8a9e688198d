"""What a judge says of a motion, and which of it is believed."""

import asyncio
import json
import math
from dataclasses import replace

import pytest

from irg_core.annotate import assess, verify
from irg_core.annotate.assess import AssessParams
from irg_core.annotate.claims import claims
from irg_core.annotate.demands import demand
from irg_core.annotate.verify import VerifyParams
from irg_core.dialogue import SENTINEL
from irg_core.llm.kinematic import MODEL, Provider, Settings
from irg_core.motion.thresholds import KinematicsParams
from irg_core.params import section
from irg_core.records.annotation import Assessment, Pair, Rejection
from irg_core.records.motion import Facts, Measure, Phase

ASSESS = AssessParams(provider="kinematic", model=MODEL, seed=17, attempts=1, facts_shown=2, teacher=False)
LIMITS = section("kinematics", KinematicsParams)
VERIFY = VerifyParams(min_words=3, max_assessment_words=60, max_refinement_words=66, most_alike=1.0)


def phase(action: str, **attributes: object) -> Phase:
    plain = Phase(action, 0.0, 2.0, "", "", math.nan, 0, "", "", 0.0)
    return replace(plain, **attributes)  # type: ignore[arg-type]


WALK = phase("walk", direction="forward", speed="normal")
KICK = phase("kick", side="right", count=2, amplitude="large")
GOAL = "a person walks forward and then kicks twice with the right leg."


def pair(goal: str = GOAL, source: str = "edit", kind: str = "mirror", truth: object = None) -> Pair:
    return Pair("c/0|m", "c/0", "c", goal, "m", source, kind, json.dumps(truth or {}), 1.0)


def facts(phases: list[Phase], measures: list[Measure] | None = None) -> Facts:
    return Facts("m", 4.0, phases, measures or [])


def judged(goal: str, shown: list[Phase]) -> Assessment:
    (request,) = assess.questions([pair(goal)], {"c": facts([WALK, KICK]), "m": facts(shown)}, ASSESS, LIMITS)
    said = assess.read(request, asyncio.run(Provider(MODEL, Settings()).complete(request)).text)
    assert isinstance(said, Assessment)
    return said


@pytest.mark.parametrize(
    ("shown", "in_assessment", "in_refinement"),
    [
        ([WALK, replace(KICK, side="left")], "left leg", "right leg"),
        ([replace(WALK, direction="backward"), KICK], "backward", "forward"),
        ([WALK, replace(KICK, count=1)], "only", "kick"),
        ([WALK], "kick", "with the right leg"),
        ([KICK, WALK], "before the walk", "after the walk"),
        ([WALK, KICK, phase("jump", count=1)], "jump", "jump"),
        ([WALK, phase("punch", side="right", count=2)], "punch", "kick"),
    ],
)
def test_a_flaw_is_named_and_mended(shown: list[Phase], in_assessment: str, in_refinement: str) -> None:
    said = judged(GOAL, shown)
    assert in_assessment in said.assessment
    assert in_refinement in said.refinement.lower()
    assert verify.check(said, pair(), claims(GOAL), facts(shown), VERIFY, LIMITS).rejection is None


def test_the_judge_reads_the_most_telling_measures_of_the_motion_shown() -> None:
    measures = [
        Measure("stillness", "body", "", "", "", 1.2, "s", 0.0, 1.2),
        Measure("kick", "leg", "left", "forward", "head", 1.6, "m", 2.0, 2.5),
        Measure("steps", "feet", "left", "", "", 5.0, "steps", 0.0, 2.0),
    ]
    shown = {"c": facts([WALK, KICK]), "m": facts([WALK], measures)}
    (request,) = assess.questions([pair()], shown, ASSESS, LIMITS)
    assert "left leg: kick forward to head height, 1.60 m" in request.prompt
    assert "5 steps" in request.prompt
    assert "still for" not in request.prompt


def test_a_motion_that_fulfils_its_goal_needs_nothing() -> None:
    assert judged(GOAL, [WALK, KICK]).refinement == SENTINEL


def test_what_the_words_leave_open_cannot_be_wrong() -> None:
    said = judged("someone walks and then kicks.", [replace(WALK, direction="backward"), replace(KICK, side="left")])
    assert said.refinement == SENTINEL


def test_the_same_request_is_answered_in_the_same_words() -> None:
    assert judged(GOAL, [WALK]) == judged(GOAL, [WALK])


def test_a_goal_is_read_by_its_words_and_only_else_by_its_motion() -> None:
    assert [p.action for p in demand(GOAL, [phase("bow")])] == ["walk", "kick"]
    assert demand("a person moonwalks.", [WALK, KICK]) == [WALK, KICK]
    assert demand("a person does a cartwheel.", [phase("other")]) == []
    assert demand("a person moonwalks.", [WALK, KICK] * 3) == []


def reason(said: Assessment, of: Pair, shown: list[Phase]) -> str:
    fault = verify.check(said, of, demand(of.goal, []), facts(shown), VERIFY, LIMITS).rejection
    return fault.reason if fault else ""


def words(assessment: str = "The kick uses the left leg.", refinement: str = "Kick with the right leg.") -> Assessment:
    return Assessment("c/0|m", assessment, refinement)


LEFT_KICK = [WALK, replace(KICK, side="left")]
MIRRORED = {"changes": [{"attribute": "side", "action": "kick", "was": "right", "now": "left"}]}


@pytest.mark.parametrize(
    ("said", "of", "shown", "expected"),
    [
        (words(), pair(truth=MIRRORED), LEFT_KICK, ""),
        (words("All is as asked for.", SENTINEL), pair(source="goal", kind="none"), [WALK, KICK], ""),
        (words(), pair(source="goal", kind="none"), [WALK, KICK], verify.GOAL_REFUSED),
        (words("All is well here.", SENTINEL), pair(truth=MIRRORED), LEFT_KICK, verify.WRONG_SENTINEL),
        (
            words("All is well here.", SENTINEL),
            pair("he walks and kicks.", truth=MIRRORED),
            LEFT_KICK,
            verify.NOT_ASKED,
        ),
        (words("All is well here.", SENTINEL), pair(source="rollout"), LEFT_KICK, verify.WRONG_SENTINEL),
        (words("All is well here.", SENTINEL), pair(source="retrieval"), [WALK, KICK], verify.NOT_ASKED),
        (words(refinement="Kick with the left leg, not the right."), pair(), LEFT_KICK, verify.CONTRADICTION),
        (words("The kick is done five times."), pair(), LEFT_KICK, verify.CONTRADICTION),
        (words("The walk goes backward."), pair(), LEFT_KICK, verify.CONTRADICTION),
        (words("There is a kick with the left leg."), pair(), LEFT_KICK, ""),
        (words("The caption asks for the right leg."), pair(), LEFT_KICK, verify.LEAK),
        (words("The measured facts say left."), pair(), LEFT_KICK, verify.LEAK),
        (words("In fact, the kick uses the left leg."), pair(), LEFT_KICK, ""),
        (words(refinement="Do better next time."), pair(), LEFT_KICK, ""),
        (words("This is not good.", "Do better next time."), pair(), LEFT_KICK, verify.UNGROUNDED),
        (words(), pair("he walks, then kicks with the left leg.", source="retrieval"), LEFT_KICK, verify.NEEDLESS),
        (words(refinement="No changes are needed."), pair(), LEFT_KICK, verify.BLURRED),
        (words(refinement="Kick with the right leg. **Now**"), pair(), LEFT_KICK, verify.MARKUP),
        (words(refinement="Kick with the right leg: 右脚"), pair(), LEFT_KICK, verify.MARKUP),
        (words("bad"), pair(), LEFT_KICK, verify.LENGTH),
        (words("word " * 61), pair(), LEFT_KICK, verify.LENGTH),
        (words(refinement="word " * 67), pair(), LEFT_KICK, verify.LENGTH),
    ],
)
def test_a_judgement_is_held_against_goal_facts_and_truth(
    said: Assessment, of: Pair, shown: list[Phase], expected: str
) -> None:
    assert reason(said, of, shown) == expected


def test_an_ill_formed_judgement_is_a_rejection() -> None:
    (request,) = assess.questions([pair()], {"c": facts([]), "m": facts([WALK])}, ASSESS, LIMITS)
    refused = assess.read(request, '{"assessment": "fine"}')
    assert isinstance(refused, Rejection)
    assert refused.key == "c/0|m"
