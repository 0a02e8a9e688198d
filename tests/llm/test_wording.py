"""Acts and judgements in words, whatever the facts."""

import re

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from irg_core.llm.kinematic import assess_plainly, passed_on
from irg_core.llm.wording import captions, judgements, lexicon
from irg_core.llm.wording.lexicon import Phase
from irg_core.llm.wording.scene import scene_of
from irg_core.motion.actions import ACTIONS
from irg_core.seeds import rng

PHASES = st.fixed_dictionaries({
    "action": st.sampled_from([*ACTIONS, "other"]), "start": st.none(), "end": st.none(),
    "side": st.sampled_from(["", "left", "right", "both"]),
    "direction": st.sampled_from(["", "forward", "backward", "left", "right"]),
    "turn": st.sampled_from([None, 45.0, -92.0, 180.0, 350.0, -133.0]), "count": st.integers(0, 12),
    "speed": st.sampled_from(["", "slow", "normal", "fast"]),
    "amplitude": st.sampled_from(["", "small", "normal", "large"]),
    "distance": st.sampled_from([None, 0.1, 1.0, 2.4, 17.0]),
})  # fmt: skip
ATTRIBUTES = {
    "side": ("left", "right", "both"), "direction": ("forward", "backward", "left", "right"),
    "turn": ("45 degrees", "178 degrees"), "count": ("1", "2", "5"), "speed": ("slow", "normal", "fast"),
    "amplitude": ("small", "normal", "large"), "missing": ("kick",), "extra": ("",), "order": ("first", "second"),
    "action": ("punch", "walk"),
}  # fmt: skip


def is_tidy(text: str) -> bool:
    return bool(text) and not re.search(r"[{}]|  | [,.;]|\ba [aeiou]|None|_|\.\.", text)


@settings(max_examples=150)
@given(st.lists(PHASES, min_size=1, max_size=6), st.integers(0, 2**32))
def test_any_acts_make_tidy_sentences(phases: list[Phase], seed: int) -> None:
    draw = rng(seed)
    said = [captions.caption(phases, draw), captions.detailed(phases, draw), captions.analysis(phases)]
    said += captions.paraphrases(phases, draw)
    assert all(map(is_tidy, said)), said
    assert len(set(said[3:])) == 3


@st.composite
def scenes(draw: st.DrawFn) -> dict[str, object]:
    asked = draw(st.lists(PHASES, min_size=1, max_size=4))
    shown = draw(st.lists(PHASES, max_size=4))
    found = []
    for phase in draw(st.lists(st.sampled_from(asked), max_size=4)):
        attribute = draw(st.sampled_from([name for name in ATTRIBUTES if _can_differ(name, str(phase["action"]))]))
        values = st.sampled_from(ATTRIBUTES[attribute])
        other = st.sampled_from([*ATTRIBUTES[attribute], *(["in place"] if attribute in ("side", "direction") else [])])
        one = {"attribute": attribute, "action": phase["action"], "asked": draw(values), "shown": draw(other)}
        found.append(one)
    return {"asked": asked, "shown": shown, "differences": found}


def _can_differ(attribute: str, action: str) -> bool:
    if attribute == "amplitude":
        return action in lexicon.SIZES
    if attribute == "side":
        return action in lexicon.LIMBS
    return attribute != "turn" or action == "turn"


@settings(max_examples=300)
@given(scenes(), st.integers(0, 2**32))
def test_any_differences_make_a_tidy_judgement_of_a_length_to_be_read(facts: dict[str, object], seed: int) -> None:
    scene = scene_of(facts, rng(seed))
    assessment = judgements.assessment(scene)
    assert is_tidy(assessment), assessment
    assert all(sentence[0].isupper() for sentence in assessment.split(". "))
    if scene.differences:
        refinement = judgements.refinement(scene)
        assert is_tidy(refinement), refinement
        assert 2 <= len(refinement.split()) <= 100


@settings(max_examples=150)
@given(scenes(), st.integers(0, 2**32))
def test_the_plain_judge_says_the_same_of_the_same_facts_whatever_is_drawn(facts: dict[str, object], seed: int) -> None:
    facts = facts | {"sentinel": "No refinements needed."}
    said = assess_plainly(facts, rng(seed))
    assert said == assess_plainly(facts, rng(seed, "again"))
    assert is_tidy(said["assessment"]), said
    assert said["assessment"].startswith("The motion shows a person ")
    assert ("That is what the goal asks for." in said["assessment"]) == (not facts["differences"])
    assert (said["refinement"] == facts["sentinel"]) == (not facts["differences"])


def test_a_turn_the_other_way_is_asked_for_as_people_do() -> None:
    turn: Phase = dict.fromkeys(("side", "speed", "amplitude"), "")
    turn |= {
        "action": "turn",
        "direction": "left",
        "turn": 90.0,
        "count": 0,
        "start": None,
        "end": None,
        "distance": None,
    }
    one = {"attribute": "direction", "action": "turn", "asked": "left", "shown": "right"}
    said = set()
    for seed in range(60):
        facts = {"asked": [turn], "shown": [{**turn, "direction": "right"}], "differences": [one]}
        said.add(judgements.refinement(scene_of(facts, np.random.default_rng(seed))).split(". ")[0].rstrip("."))
    assert "Turn to the left instead, about a quarter turn" in said


def test_a_goal_that_nobody_understands_keeps_its_words_under_another_subject() -> None:
    said = passed_on("a man does the moonwalk.")
    assert said["paraphrases"] == [
        "a person does the moonwalk.",
        "someone does the moonwalk.",
        "a figure does the moonwalk.",
    ]
    said = passed_on("moonwalking across the hall")
    assert len(set(said["paraphrases"])) == 3
    assert all("moonwalking across the hall" in text for text in said["paraphrases"])
