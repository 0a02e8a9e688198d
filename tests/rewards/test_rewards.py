import numpy as np
import pytest

from irg_core import dialogue
from irg_core.records.training import Rollout
from irg_core.rewards import fulfilled, goal_alignment, improvement, length, text_alignment, wellformed

TRACE = dialogue.Trace("walk", (dialogue.Round((1, 2), "it fits", dialogue.SENTINEL),))


def rollout(
    answer: str, final: list[float] | None = None, first: list[float] | None = None, tokens: int = 5,
    missed: int | None = None,
) -> Rollout:  # fmt: skip
    begun, ended = (None if point is None else np.array(point) for point in (first or final, final))
    text, goal = np.array([0.0, 0.0]), np.array([3.0, 0.0])
    return Rollout("goal", "walk", answer, 4, tokens, 1, text, goal, begun, ended, 2, missed)


def test_only_a_whole_trace_is_wellformed() -> None:
    whole = dialogue.render(TRACE)
    cut, foreign = whole.removesuffix("</think>"), whole.replace("<Motion_2>", "<Motion_4>")
    assert wellformed.score([rollout(text) for text in (whole, cut, foreign, "")]) == [1.0, 0.0, 0.0, 0.0]


def test_alignment_is_nearness_to_the_words_or_to_the_goal_motion() -> None:
    answers = [rollout("", [0.0, 4.0]), rollout("", [3.0, 0.0]), rollout("")]
    assert text_alignment.score(answers) == [-4.0, -3.0, None]
    assert goal_alignment.score(answers) == [-5.0, 0.0, None]


def test_improvement_is_what_refining_gained_and_one_round_gains_nothing() -> None:
    better, worse = rollout("", [0.0, 1.0], first=[0.0, 4.0]), rollout("", [0.0, 5.0], first=[0.0, 4.0])
    assert improvement.score([better, worse, rollout("", [0.0, 9.0]), rollout("")]) == [3.0, -1.0, 0.0, None]


def test_each_fact_that_is_missed_lowers_what_is_fulfilled() -> None:
    found = fulfilled.score([rollout("", missed=missed) for missed in (0, 1, 2, None)])
    assert found == [1.0, 0.5, pytest.approx(1 / 3), None]


def test_a_long_trace_costs_more_than_a_short_one_and_a_malformed_answer_is_never_the_cheapest() -> None:
    whole = dialogue.render(TRACE)
    found = length.score([rollout(whole, tokens=40), rollout(whole, tokens=90), rollout("no", tokens=1)])
    assert found == [-40.0, -90.0, None]
