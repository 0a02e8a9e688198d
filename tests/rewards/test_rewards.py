import numpy as np

from irg_core import dialogue
from irg_core.records.training import Rollout
from irg_core.rewards import goal_alignment, text_alignment, wellformed

TRACE = dialogue.Trace("walk", (dialogue.Round((1, 2), "it fits", dialogue.SENTINEL),))


def rollout(answer: str, motion: list[float] | None) -> Rollout:
    point = None if motion is None else np.array(motion)
    return Rollout("goal", "walk", answer, 4, np.array([0.0, 0.0]), np.array([3.0, 0.0]), point)


def test_only_a_whole_trace_is_wellformed() -> None:
    whole = dialogue.render(TRACE)
    cut, foreign = whole.removesuffix("</think>"), whole.replace("<Motion_2>", "<Motion_4>")
    assert wellformed.score([rollout(text, None) for text in (whole, cut, foreign, "")]) == [1.0, 0.0, 0.0, 0.0]


def test_alignment_is_nearness_to_the_words_or_to_the_goal_motion() -> None:
    answers = [rollout("", [0.0, 4.0]), rollout("", [3.0, 0.0]), rollout("", None)]
    assert text_alignment.score(answers) == [-4.0, -3.0, None]
    assert goal_alignment.score(answers) == [-5.0, 0.0, None]
