"""Our rule of thumb beside a real tokenizer: byte pairs, 49,152 tokens, those of SmolLM2."""

import pytest

from irg_core.llm import tokens

QUESTION = """
The goal: the person rotates 45 degrees to the left and then bows once slowly.

The motion, phase by phase:
- turn, left, 43 degrees (0.2-0.9 s)
- bow, once, slow speed, normal amplitude (1.6-3.8 s)

Measured in it:
- both feet on the floor, 100 % of it (0.0-4.5 s)
- turns left by 44 degrees in all (0.1-1.1 s)
- trunk bends forward by 35 degrees (1.7-3.7 s)
- still for 1.2 s (2.1-3.2 s)

Known differences:
- nothing"""
REPLY = (
    '{"analysis": "1. kick: three times, left leg. 2. squat: twice, deeply, knees and hips.", "paraphrases": '
    '["we see someone kicking with the left leg three times and then squatting deeply twice.", '
    '"a figure is kicking with the left leg three times and then squatting deeply twice.", '
    '"a figure kicks with the left leg three times, then squats deeply twice."], '
    '"detailed": "a person first kicks with the left leg three times, next squats deeply twice (knees and hips)."}'
)


@pytest.mark.parametrize(("text", "counted"), [(QUESTION, 170), (REPLY, 114)])
def test_questions_and_replies_are_counted_within_a_tenth(text: str, counted: int) -> None:
    assert tokens.count(text) == pytest.approx(counted, rel=0.1)


def test_a_question_is_counted_in_no_time_a_second_time() -> None:
    """Budget, limits and timeout all want to know; a text of 5 KB takes about a millisecond."""
    text = QUESTION * 10
    before = tokens.count.cache_info().hits
    assert tokens.count(text) == tokens.count(text) == tokens.count("".join([text]))
    assert tokens.count.cache_info().hits >= before + 2


def test_what_no_vocabulary_holds_is_counted_by_its_bytes() -> None:
    assert tokens.count("歩く") > tokens.count("ab")
    assert tokens.count("") == 0
