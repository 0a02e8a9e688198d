"""What an answer of Stage 3 earns, through a real tokenizer, evaluator and thresholds; only the weights are random."""

from collections.abc import Sequence
from itertools import chain
from types import ModuleType

import numpy as np
import pytest

from irg_core import dialogue
from irg_core.errors import RewardError
from irg_core.models.decoding import Answer
from irg_core.records.training import Goal, Rollout
from irg_core.training import judge as judging
from irg_core.training.judge import Judge

GOAL = Goal("g0", "c0", "train", "a person walks.", dialogue.prompt("a person walks."), [1, 2, 3])
OTHER = Goal("g1", "c1", "train", "a person jumps.", dialogue.prompt("a person jumps."), [4, 5])


def answer(*rounds: Sequence[int]) -> Answer:
    """A trace of these motions."""
    said = [dialogue.Round(tuple(codes), "off", "turn left") for codes in rounds[:-1]]
    last = dialogue.Round(tuple(rounds[-1]), "it fits", dialogue.SENTINEL)
    return told(dialogue.render(dialogue.Trace("walk", (*said, last))))


def told(text: str) -> Answer:
    return Answer(text, [1] * len(text), [0.0] * len(text), "satisfied", [])


ANSWERS = [answer([1, 2]), told("<think>"), answer([3, 4], [1, 2]), answer([9] * 7)]


def test_wellformed_answers_are_placed_and_malformed_are_not(judge: Judge) -> None:
    one, malformed, two, _ = judge.rollouts([GOAL] * 4, ANSWERS)
    assert (malformed.first_point, malformed.motion_point, malformed.missed) == (None, None, None)
    assert [one.motions, malformed.motions, two.motions] == [1, 0, 2]
    assert one.motion_point is one.first_point is not None
    assert two.first_point is not None
    assert np.array_equal(two.motion_point, one.motion_point)  # type: ignore[arg-type]
    assert not np.array_equal(two.motion_point, two.first_point)  # type: ignore[arg-type]
    assert judge.scores([one, malformed])["wellformed"] == [1.0, 0.0]


def test_what_the_goal_asks_for_is_looked_for_in_the_final_motion(judge: Judge) -> None:
    """Noise shows no walking: it is missed. A goal that nothing can read asks for nothing, and nothing is missed."""
    (rollout,) = judge.rollouts([GOAL], [answer([1, 2, 3, 4, 5, 6])])
    assert rollout.asked == 1
    assert rollout.missed is not None
    assert rollout.missed >= 1


def test_equal_motions_earn_equally_to_the_bit(judge: Judge) -> None:
    """In a batch the last bits of a distance depend on its size, and a group's scale would blow them up to 0 and 1."""
    alike = [answer([1, 2]), answer([3, 4], [1, 2]), answer([1, 2])]
    scores = judge.scores(judge.rollouts([GOAL] * 3, alike))
    assert len(set(scores["text_alignment"])) == 1
    assert judging.scaled(scores["text_alignment"], 3).tolist() == [0.0, 0.0, 0.0]


def test_neighbours_change_no_bit_of_a_reward(judge: Judge) -> None:
    alone = [judge.scores(judge.rollouts([GOAL], [one])) for one in ANSWERS]
    among = judge.scores(
        judge.rollouts([OTHER] * 40 + [GOAL] * 4, [answer([place % 16]) for place in range(40)] + ANSWERS)
    )
    for name, found in among.items():
        assert found[-4:] == [scores[name][0] for scores in alone], name


def test_the_layout_of_a_batch_changes_no_reward(judge: Judge) -> None:
    groups = [ANSWERS, [answer([5]), answer([6, 6]), told("no"), answer([7], [8])]]
    asked = [[GOAL] * 4, [OTHER] * 4]
    together = judge.totals(judge.scores(judge.rollouts([*chain(*asked)], [*chain(*groups)])), 8, 4)
    apart = [judge.totals(judge.scores(judge.rollouts(*both)), 4, 4) for both in zip(asked, groups, strict=True)]
    assert together.tolist() == np.concatenate(apart).tolist()


# ---- scales ----------------------------------------------------------------------------------------------------------


def test_rewards_are_scaled_within_their_group_only() -> None:
    assert judging.scaled([1.0, 3.0, 2.0, 100.0, 300.0, 100.0], 3).tolist() == [0.0, 1.0, 0.5, 0.0, 1.0, 0.0]


def test_a_malformed_answer_gets_the_floor_of_its_group() -> None:
    assert judging.scaled([-9.0, None, -5.0], 3).tolist() == [0.0, 0.0, 1.0]
    assert judging.scaled([None, None, None], 3).tolist() == [0.0, 0.0, 0.0]


def test_a_group_without_spread_teaches_nothing() -> None:
    assert judging.scaled([2.0, 2.0], 2).tolist() == [0.0, 0.0]


# ---- rewards that break ----------------------------------------------------------------------------------------------


def rewarding(judge: Judge, score: object) -> Judge:
    """The judge with one reward of somebody's own."""
    module = ModuleType("own")
    module.score, module.SCALED = score, False  # type: ignore[attr-defined]
    broken = Judge(judge.tokenizer, judge.evaluator, {}, judge.limits)
    broken.rewards = {"own": (module, 1.0)}
    return broken


def test_a_reward_that_raises_is_named_with_the_rollout(judge: Judge) -> None:
    def score(rollouts: Sequence[Rollout]) -> list[float]:
        return [1 / (len(rollout.answer) - len("<think>")) for rollout in rollouts]

    own = rewarding(judge, score)
    with pytest.raises(RewardError, match=r"'own' raises on the rollout of goal 'g0' that says '<think>': ZeroDiv"):
        own.scores(own.rollouts([GOAL] * 4, ANSWERS))


@pytest.mark.parametrize(
    ("scores", "told_of"),
    [([1.0, float("nan"), 0.0, 0.0], "gives nan for the rollout of goal 'g0'"), ([1.0], "1 scores for 4 rollouts")],
)
def test_a_reward_without_a_number_for_each_is_named(judge: Judge, scores: list[float], told_of: str) -> None:
    own = rewarding(judge, lambda _: scores)
    with pytest.raises(RewardError, match=told_of):
        own.scores(own.rollouts([GOAL] * 4, ANSWERS))
