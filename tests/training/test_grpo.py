from collections.abc import Callable
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch

from irg_core import dialogue
from irg_core.errors import ParamsError, TableError
from irg_core.models.evaluator import Evaluator
from irg_core.models.language import Language, LanguageConfig
from irg_core.models.vocabulary import Vocabulary
from irg_core.models.vqvae import MotionTokenizer, VqConfig, VqVae
from irg_core.records.training import Goal
from irg_core.training import grpo
from irg_core.training.checkpoint import Checkpoints
from irg_core.training.grpo import Judge, TrainStage3Params

CODES = 16
PARAMS = TrainStage3Params(
    seed=1,
    threads=1,
    precision="float32",
    steps=4,
    goals=2,
    group=3,
    updates=1,
    learning_rate=0.01,
    warmup=1,
    beta=0.1,
    clip=0.2,
    max_tokens=24,
    max_codes=6,
    max_rounds=2,
    rewards={"wellformed": 1.0, "text_alignment": 0.5},
    log_every=1,
    checkpoint_every=1,
)


# ---- the loss against an oracle --------------------------------------------------------------------------------------


def oracle(
    logits: np.ndarray, taken: np.ndarray, old: np.ndarray, ref: np.ndarray, advantage: np.ndarray, said: np.ndarray
) -> float:
    """GRPO's loss as the paper writes it: token by token, in plain float64, over a five-token vocabulary."""
    clip, beta = PARAMS.clip, PARAMS.beta
    answers = []
    for row in range(len(logits)):
        terms = []
        for place in range(logits.shape[1]):
            if not said[row, place]:
                continue
            scores = logits[row, place]
            new = scores[taken[row, place]] - np.log(np.exp(scores).sum())
            ratio = np.exp(new - old[row, place])
            gain = min(ratio * advantage[row], min(max(ratio, 1 - clip), 1 + clip) * advantage[row])
            gap = ref[row, place] - new
            terms.append(gain - beta * (np.exp(gap) - gap - 1))
        answers.append(sum(terms) / len(terms))
    return -sum(answers) / len(answers)


def test_the_loss_and_its_gradient_are_the_oracles() -> None:
    draws = np.random.Generator(np.random.PCG64(7))
    logits = draws.normal(size=(3, 4, 5))
    taken = draws.integers(5, size=(3, 4))
    old, ref = (np.log(draws.uniform(0.1, 0.5, size=(3, 4))) for _ in range(2))
    advantage = np.array([1.2, -0.7, 0.4])
    said = np.array([[1, 1, 1, 1], [1, 1, 0, 0], [1, 1, 1, 0]])

    weights = torch.tensor(logits, requires_grad=True)
    new = torch.log_softmax(weights, -1).gather(2, torch.tensor(taken)[..., None])[..., 0]
    before, anchor, better, real = (torch.tensor(value, dtype=torch.float64) for value in (old, ref, advantage, said))
    terms = grpo.grpo_loss(new, before, anchor, better, real, PARAMS.clip, PARAMS.beta)
    terms.loss.backward()
    assert terms.loss.item() == pytest.approx(oracle(logits, taken, old, ref, advantage, said), abs=1e-12)
    assert weights.grad is not None
    assert 0 < terms.clipped.item() < 1

    step = 1e-6
    for index in np.ndindex(*logits.shape):
        moved = [logits.copy(), logits.copy()]
        moved[0][index] += step
        moved[1][index] -= step
        slope = (
            oracle(moved[0], taken, old, ref, advantage, said) - oracle(moved[1], taken, old, ref, advantage, said)
        ) / (2 * step)
        assert weights.grad[index].item() == pytest.approx(slope, abs=1e-7)


def test_kl_to_oneself_is_zero_and_to_another_positive() -> None:
    new, other = torch.log(torch.tensor([[0.5, 0.2]])), torch.log(torch.tensor([[0.3, 0.4]]))
    said, advantage = torch.ones(1, 2), torch.zeros(1)
    assert grpo.grpo_loss(new, new, new, advantage, said, 0.2, 0.1).kl.item() == 0.0
    assert grpo.grpo_loss(new, new, other, advantage, said, 0.2, 0.1).kl.item() > 0.0


# ---- rewards ---------------------------------------------------------------------------------------------------------


def test_rewards_are_scaled_within_their_group_only() -> None:
    assert grpo.scaled([1.0, 3.0, 2.0, 100.0, 300.0, 100.0], 3).tolist() == [0.0, 1.0, 0.5, 0.0, 1.0, 0.0]


def test_a_malformed_answer_gets_the_floor_of_its_group() -> None:
    assert grpo.scaled([-9.0, None, -5.0], 3).tolist() == [0.0, 0.0, 1.0]
    assert grpo.scaled([None, None, None], 3).tolist() == [0.0, 0.0, 0.0]


def test_a_group_without_spread_teaches_nothing() -> None:
    assert grpo.scaled([2.0, 2.0], 2).tolist() == [0.0, 0.0]
    assert grpo.advantages(np.array([1.0, 1.0, 1.0]), 3).tolist() == [0.0, 0.0, 0.0]


def test_advantages_are_standard_scores_of_a_group() -> None:
    found = grpo.advantages(np.array([0.0, 1.0, 2.0, 5.0, 5.0, 8.0]), 3)
    assert found[:3] == pytest.approx([-1.0, 0.0, 1.0], abs=1e-3)
    assert found[3:].sum() == pytest.approx(0.0)


def test_a_group_of_one_is_refused() -> None:
    with pytest.raises(ParamsError, match="group"):
        replace(PARAMS, group=1)


# ---- the whole step --------------------------------------------------------------------------------------------------


def fresh() -> Language:
    vocabulary = Vocabulary.learn(["a person walks."], size=300, codes=CODES)
    return Language.create(LanguageConfig(layers=1, width=32, heads=2, feed_forward=48, positions=256), vocabulary, 3)


@pytest.fixture(scope="module")
def judge() -> Judge:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = VqConfig(width=8, depth=1, codes=CODES, code_width=4)
        tokenizer = MotionTokenizer(VqVae(config, 263), config)
        tokenizer.net.codebook.vectors.normal_()
        stats = {"mean": [0.0] * 263, "std": [1.0] * 263}
        evaluator = Evaluator.create("guo", 16, 1, 8, ["a person walks."], stats)
    return Judge(tokenizer, evaluator.eval(), PARAMS.rewards)


@pytest.fixture
def goals() -> list[Goal]:
    return [
        Goal(f"g{n}", f"c{n}", "train", "a person walks.", dialogue.prompt("a person walks."), [n, n + 1])
        for n in range(5)
    ]


def test_the_ratio_is_exactly_one_on_the_first_step(goals: list[Goal]) -> None:
    language, prompts = fresh(), {goal.goal_id: goal.prompt for goal in goals}
    answers = grpo.generate(language, prompts, "free", PARAMS.sampling())
    batch = grpo.batch_of(language, list(prompts.values()), list(answers.values()), PARAMS.sampling())
    with torch.no_grad():
        old = grpo.log_probabilities(language.model, batch, "float32")
    new = grpo.log_probabilities(language.model, batch, "float32")
    assert (torch.exp(new - old) == 1.0).all()
    # And the pass with a cache that sampled agrees, up to the order of its sums.
    sampled = torch.tensor([value for answer in answers.values() for value in answer.log_probs])
    torch.testing.assert_close(new[batch.said.bool()], sampled, atol=1e-4, rtol=1e-4)


def test_wellformed_answers_are_placed_and_malformed_are_not(judge: Judge, goals: list[Goal]) -> None:
    trace = dialogue.Trace("walk", (dialogue.Round((1, 2), "it fits", dialogue.SENTINEL),))
    rollouts = judge.rollouts(goals[:3], [dialogue.render(trace), "<think>", dialogue.render(trace)])
    assert [rollout.motion_point is None for rollout in rollouts] == [False, True, False]
    scores = judge.scores(rollouts)
    assert scores["wellformed"] == [1.0, 0.0, 1.0]
    assert judge.totals(scores, 3)[1] == 0.0


def test_the_layout_of_a_batch_changes_no_reward(judge: Judge, goals: list[Goal]) -> None:
    def answer(codes: tuple[int, ...]) -> str:
        return dialogue.render(dialogue.Trace("walk", (dialogue.Round(codes, "fits", dialogue.SENTINEL),)))

    groups = [[answer((1, 2)), answer((3, 4)), "no"], [answer((9, 9)), answer((5,)), answer((7, 8, 9))]]
    asked = [[goals[0]] * 3, [goals[1]] * 3]
    together = judge.totals(judge.scores(judge.rollouts([*chain(*asked)], [*chain(*groups)])), 3)
    apart = [judge.totals(judge.scores(judge.rollouts(*both)), 3) for both in zip(asked, groups, strict=True)]
    np.testing.assert_allclose(together, np.concatenate(apart), atol=1e-5)


def test_a_reward_moves_the_model_towards_what_earns_it(goals: list[Goal], judge: Judge, tmp_path: Path) -> None:
    """A reward for short answers, put in the judge's place, makes answers shorter."""

    class Brief:
        SCALED = False

        @staticmethod
        def score(rollouts: list[object]) -> list[float]:
            return [-float(len(rollout.answer)) for rollout in rollouts]  # type: ignore[attr-defined]

    wanting = Judge(judge.tokenizer, judge.evaluator, {})
    wanting.rewards = {"brief": (Brief, 1.0)}  # type: ignore[dict-item]
    params = replace(PARAMS, steps=15, group=8, beta=0.0, learning_rate=0.02)
    journal = grpo.train(params, fresh(), fresh(), goals, wanting, Checkpoints(tmp_path, 99))
    lengths = [row.value for row in journal.rows if row.name == "answer_tokens"]
    assert np.mean(lengths[-3:]) < 0.8 * np.mean(lengths[:3])


def test_an_interruption_changes_no_byte(
    goals: list[Goal], judge: Judge, dying: Callable[..., Checkpoints], tmp_path: Path
) -> None:
    whole, resumed = fresh(), fresh()
    journal = grpo.train(PARAMS, whole, fresh(), goals, judge, Checkpoints(tmp_path / "whole", 1))
    with pytest.raises(KeyboardInterrupt):
        grpo.train(PARAMS, fresh(), fresh(), goals, judge, dying(tmp_path / "cut", 1, 2))
    again = grpo.train(PARAMS, resumed, fresh(), goals, judge, Checkpoints(tmp_path / "cut", 1))
    assert journal.rows == again.rows
    for name, weight in whole.model.state_dict().items():
        assert torch.equal(weight, resumed.model.state_dict()[name]), name


def test_too_few_goals_are_named(goals: list[Goal], judge: Judge, tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"train_stage3\.goals"):
        grpo.train(PARAMS, fresh(), fresh(), goals[:1], judge, Checkpoints(tmp_path, 99))
