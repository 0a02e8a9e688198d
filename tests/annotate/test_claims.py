"""What sentences claim: all that procedural captions say, and nothing that they do not."""

import json
import math
from collections import Counter
from pathlib import Path

import pytest

from irg_core.annotate.claims import claims
from irg_core.corpora import procedural
from irg_core.llm.wording import captions
from irg_core.motion.actions import ACTIONS
from irg_core.seeds import rng

GRAMMAR = Path(__file__).parents[2] / "irg_core/corpora/procedural.yaml"
ATTRIBUTES = ("side", "direction", "turn", "count", "speed", "amplitude")


def test_claims_agree_with_the_parameters_over_all_templates() -> None:
    grammar, world = procedural.read_grammar(GRAMMAR), procedural.pool(5)
    right, wrong, seen = 0, Counter[str](), set()
    for number in range(1500):
        source = rng(5, "claims", number)
        acts = [procedural._with_manner(act, source) for act in procedural._draw_cell(source, world)]
        captions, opened = procedural.describe(acts, grammar, source)
        for caption, left_open in zip(captions, opened, strict=True):
            seen.add(caption.template)
            found = claims(caption.text)
            assert [phase.action for phase in found] == [act.action for act in acts], caption.text
            for position, (act, phase) in enumerate(zip(acts, found, strict=True)):
                for attribute in ATTRIBUTES:
                    wanted = mentioned(act, attribute, left_open, position)
                    said = getattr(phase, attribute)
                    same = said == wanted or (said != said and wanted != wanted)
                    right += same
                    wrong[f"{attribute}: {caption.text}"] += not same
    assert seen == set(grammar.templates)
    assert right / (right + wrong.total()) >= 0.99, wrong.most_common(5)


def mentioned(act: procedural.Act, attribute: str, left_open: str, position: int) -> float | str:
    """What a caption says of an attribute: nothing where it is left open, normal, or does not apply."""
    empty = {"turn": math.nan, "count": 0}.get(attribute, "")
    value = getattr(act, attribute)
    if left_open == f"{position}.{attribute}" or value in ("normal", "", 0):
        return empty
    unsigned = attribute == "turn" and left_open == f"{position}.direction"
    return abs(value) if unsigned else value


@pytest.mark.parametrize(
    ("text", "actions"),
    [
        ("a person does a cartwheel.", ["other"]),
        ("someone gets up from the floor", ["other"]),
        ("the person rolls forward and stands up", ["other", "other"]),
        ("a person sits down on a chair and then stands up", ["sit", "other"]),
        ("someone kneels, crawls ahead and lies down", ["kneel", "crawl", "lie"]),
        ("a person lying face down pushes up and gets to the feet", ["lie", "other", "other"]),
        ("a person yawns", []),
        ("", []),
        ("a person walks forward", ["walk"]),
        ("a man stands still, then he takes some steps back", ["stand", "walk"]),
        ("a person does not squat but jumps 3 times", ["jump"]),
        ("the man punches instead of kicking", ["punch"]),
        ("someone sidesteps to the left before running", ["sidestep", "run"]),
        ("after jumping, someone bows", ["jump", "bow"]),
        ("someone bows after jumping", ["jump", "bow"]),
        ("before bowing, someone jumps and then runs", ["jump", "run", "bow"]),
        ("someone jumps; after that they bow", ["jump", "bow"]),
    ],
)
def test_actions_are_found_in_the_order_of_time(text: str, actions: list[str]) -> None:
    assert [phase.action for phase in claims(text)] == actions


@pytest.mark.parametrize(
    ("text", "attribute", "value"),
    [
        ("a person quickly kicks high with the left leg", "side", "left"),
        ("a person kicks to the left", "side", ""),
        ("he raises his left and right arms", "side", "both"),
        ("she turns around", "turn", 180.0),
        ("she turns a quarter turn to the right", "turn", -90.0),
        ("she turns 60 degrees clockwise", "direction", "right"),
        ("he walks in a curve to the right until facing back", "direction", ""),
        ("he walks back", "direction", "backward"),
        ("a person waves", "count", 0),
        ("he kneels on the left knee", "side", "left"),
        ("a person throws a quick punch", "count", 1),
        ("a person does three deep squats", "amplitude", "large"),
        ("a person squats 5 times", "count", 5),
        ("a person walks at a slow pace", "speed", "slow"),
    ],
)
def test_words_give_attributes_and_silence_gives_none(text: str, attribute: str, value: object) -> None:
    assert getattr(claims(text)[0], attribute) == value


@pytest.mark.parametrize("action", ACTIONS)
def test_every_action_can_be_said_and_is_understood(action: str) -> None:
    phase = {"action": action, "side": "left" if action == "kneel" else "", "direction": "", "turn": None, "count": 0}
    said = captions.sentence([{**phase, "speed": "", "amplitude": "", "distance": None}], "{s} {a}", rng(1, action))
    assert [(one.action, one.side) for one in claims(said)] == [(action, phase["side"])], said


def test_attributes_stay_with_their_own_action() -> None:
    first, second = claims("a person slowly walks forward and then kicks twice with the right foot")
    assert (first.speed, first.direction, first.count, first.side) == ("slow", "forward", 0, "")
    assert (second.speed, second.direction, second.count, second.side) == ("", "", 2, "right")


def test_truth_of_a_take_can_be_claimed_from_its_captions() -> None:
    for take in procedural.read(GRAMMAR, clips=20, seed=8):
        actions = [phase["action"] for phase in json.loads(take.truth)["phases"]]
        for caption in take.captions:
            assert [phase.action for phase in claims(caption.text)] == actions
