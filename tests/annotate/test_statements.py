"""What judges say, one thing at a time: whose motion it is about, and whether they affirm or deny it."""

import math
from dataclasses import replace

import pytest

from irg_core.annotate.grounding import CONTRADICTED, SUPPORTED, UNVERIFIABLE, Known, findings, of_goal
from irg_core.annotate.statements import ASKED, CHANGE, SHOWN, statements
from irg_core.records.motion import Measure, Phase


def phase(action: str, **attributes: object) -> Phase:
    plain = Phase(action, 0.0, 2.0, "", "", math.nan, 0, "", "", 0.0)
    return replace(plain, **attributes)  # type: ignore[arg-type]


def said(text: str, of: str) -> set[tuple[str, str, str, object, bool]]:
    return {(one.kind, one.of, one.action, one.value, one.holds) for one in statements(text, of)}


@pytest.mark.parametrize(
    ("text", "of", "expected"),
    [
        ("The kick uses the left leg instead of the right one.", SHOWN, ("side", SHOWN, "kick", "left", True)),
        ("The kick uses the left leg instead of the right one.", SHOWN, ("side", ASKED, "kick", "right", True)),
        ("Kick with the right leg, not the left.", ASKED, ("side", ASKED, "kick", "right", True)),
        ("Kick with the right leg, not the left.", ASKED, ("side", SHOWN, "kick", "left", True)),
        ("Rather than walking backward, walk forward.", ASKED, ("direction", SHOWN, "walk", "backward", True)),
        ("The person does not wave with the left hand.", SHOWN, ("side", SHOWN, "wave", "left", False)),
        ("The walk is too fast.", SHOWN, ("speed", CHANGE, "walk", -1.0, True)),
        ("The walk is slower than asked.", SHOWN, ("speed", CHANGE, "walk", 1.0, True)),
        ("Walk faster.", ASKED, ("speed", CHANGE, "walk", 1.0, True)),
        ("The jump is not high enough.", SHOWN, ("amplitude", CHANGE, "jump", 1.0, True)),
        ("The squat is too low.", SHOWN, ("amplitude", CHANGE, "squat", -1.0, True)),
        ("Do not walk so slowly.", ASKED, ("speed", CHANGE, "walk", 1.0, True)),
        ("There are too many kicks.", SHOWN, ("count", CHANGE, "kick", -1.0, True)),
        ("Replace the jump by a squat.", ASKED, ("presence", ASKED, "squat", "", True)),
        ("Replace the jump by a squat.", ASKED, ("presence", SHOWN, "jump", "", True)),
        ("Change the number of kicks from two to three.", ASKED, ("count", ASKED, "kick", 3.0, True)),
        ("The jump is missing.", SHOWN, ("absence", SHOWN, "jump", "", True)),
        ("The jump and the kick are missing.", SHOWN, ("absence", SHOWN, "kick", "", True)),
        ("Drop the jump and the kick.", ASKED, ("absence", ASKED, "kick", "", True)),
        ("Drop the jump and kick twice.", ASKED, ("count", ASKED, "kick", 2.0, True)),
        ("There is a jump that nobody asked for.", SHOWN, ("absence", ASKED, "jump", "", True)),
        ("The kick comes before the walk.", SHOWN, ("order", SHOWN, "kick", "walk", True)),
        ("After kicking, the figure walks.", SHOWN, ("order", SHOWN, "kick", "walk", True)),
        ("Do not kick before walking.", ASKED, ("order", ASKED, "walk", "kick", True)),
        ("The walk should come first.", SHOWN, ("order", ASKED, "walk", "first", True)),
        ("The person stays upright.", SHOWN, ("posture", SHOWN, "", "upright", True)),
        ("The kick reaches waist height.", SHOWN, ("height", SHOWN, "kick", "hip", True)),
        ("The person kicks with the hand.", SHOWN, ("part", SHOWN, "kick", "arm", True)),
        ("The walk runs backward.", SHOWN, ("direction", SHOWN, "walk", "backward", True)),
    ],
)
def test_every_piece_of_a_sentence_has_its_own_mood(text: str, of: str, expected: tuple[object, ...]) -> None:
    assert expected in said(text, of)


@pytest.mark.parametrize(
    "text",
    ["", "Well done.", "The person yawns.", "Nothing is left to mend.", "As it should be.", "?!", "not", "instead of"],
)
def test_small_talk_states_nothing(text: str) -> None:
    assert not statements(text, SHOWN)


def test_the_leg_that_bears_the_body_is_not_the_one_that_kicks() -> None:
    assert ("side", SHOWN, "kick", "left", True) not in said("Standing on the left leg, the figure kicks.", SHOWN)


def test_a_turn_that_is_right_is_correct_unless_a_left_one_is_spoken_of() -> None:
    assert not {one for one in said("The turn is right.", SHOWN) if one[0] == "turn sign"}
    assert ("turn sign", SHOWN, "turn", "right", True) in said("The turn is right instead of left.", SHOWN)


WALK = phase("walk", direction="forward", speed="slow")
KICK = phase("kick", side="left", count=2, amplitude="large")
KNOWN = Known([replace(WALK, speed="fast"), replace(KICK, side="right", count=3, amplitude="")], [WALK, KICK])


def verdict(text: str, of: str = SHOWN, known: Known = KNOWN) -> str:
    found = {one.verdict for one in findings(text, of, known)}
    return next((one for one in (CONTRADICTED, SUPPORTED, UNVERIFIABLE) if one in found), "")


@pytest.mark.parametrize(
    ("text", "of", "expected"),
    [
        ("The kick uses the left leg.", SHOWN, SUPPORTED),
        ("The kick uses the right leg.", SHOWN, CONTRADICTED),
        ("The kick should use the right leg.", SHOWN, SUPPORTED),
        ("The kick should be low.", SHOWN, SUPPORTED),
        ("Walk faster.", ASKED, SUPPORTED),
        ("Walk more slowly.", ASKED, CONTRADICTED),
        ("Kick lower.", ASKED, SUPPORTED),  # that there is to be a kick; of its height the goal is silent
        ("Kick higher.", ASKED, CONTRADICTED),  # what is high already need not be higher
        ("The person jumps.", SHOWN, CONTRADICTED),
        ("The person does not jump.", SHOWN, SUPPORTED),
        ("Add a cartwheel.", ASKED, UNVERIFIABLE),
    ],
)
def test_statements_are_held_against_the_motion_that_they_are_about(text: str, of: str, expected: str) -> None:
    assert verdict(text, of) == expected


def test_a_motion_that_has_no_name_contradicts_no_presence() -> None:
    assert verdict("The person jumps.", known=Known([WALK], [phase("other")])) == UNVERIFIABLE


def test_a_second_turn_may_be_missing_where_there_is_a_turn() -> None:
    turn = phase("turn", direction="left", turn=90.0)
    assert verdict("A turn is missing.", known=Known([turn, WALK, turn], [turn, WALK])) == SUPPORTED
    assert verdict("A turn is missing.", known=Known([turn, WALK], [turn, WALK])) == CONTRADICTED


def test_a_known_flaw_counts_where_it_was_measured_otherwise() -> None:
    known = replace(KNOWN, changes=[{"attribute": "side", "action": "kick", "was": "left", "now": "right"}])
    assert verdict("The kick uses the right leg.", known=known) == SUPPORTED


def test_what_a_goal_says_in_its_own_words_is_asked_for_however_it_was_read() -> None:
    both = "raising the left arm on one side and the right arm on the other."
    known = replace(KNOWN, asked=[phase("raise_arms", side="left")], goal=of_goal(both))
    assert verdict(f"someone keeps {both}", ASKED, known) == SUPPORTED


def test_heights_and_turns_are_held_against_measures() -> None:
    measures = [Measure("jump", "body", "", "", "", 0.24, "m", 0.0, 1.0)]
    known = Known([], [phase("jump", count=1), phase("turn", direction="left", turn=88.0)], measures)
    assert verdict("The jump is 25 cm high.", known=known) == SUPPORTED
    assert verdict("The jump is 60 cm high.", known=known) == CONTRADICTED
    assert verdict("The person makes a quarter turn.", known=known) == SUPPORTED
    assert verdict("The person makes a half turn.", known=known) == CONTRADICTED


def test_a_contradiction_is_told_in_words_that_its_writer_can_act_on() -> None:
    (wrong,) = [one for one in findings("The kick uses the right leg.", SHOWN, KNOWN) if one.verdict == CONTRADICTED]
    assert wrong.told == 'you say "the kick uses the right leg"; measured: kick side left'
