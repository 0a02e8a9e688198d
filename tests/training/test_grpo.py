from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch

from irg_core.errors import ModelError, ParamsError, RewardError, TableError
from irg_core.models.adapters import LoraParams
from irg_core.models.decoding import Symbols, generate
from irg_core.models.language import Language, LanguageConfig
from irg_core.models.vocabulary import Vocabulary
from irg_core.records.training import Earned, Goal, Rollout
from irg_core.tables import read
from irg_core.training import grpo
from irg_core.training.checkpoint import Checkpoints
from irg_core.training.grpo import TrainStage3Params
from irg_core.training.judge import Judge
from irg_core.training.loop import Team
from irg_core.training.policy import Clip, Loss
from irg_core.training.rollouts import Ledger
from tests.training.conftest import rewarding

PARAMS = TrainStage3Params(
    seed=1,
    workers=1,
    threads=1,
    precision="float32",
    steps=4,
    goals=2,
    group=3,
    updates=1,
    answers_at_once=4,
    lora=None,
    learning_rate=0.01,
    warmup=1,
    loss="grpo",
    scale_rewards="group",
    beta=0.1,
    kl="k3",
    clip=Clip(0.2, 0.2),
    mask_truncated=False,
    temperature=1.0,
    top_p=1.0,
    max_tokens=24,
    max_codes=6,
    max_rounds=2,
    rewards={"wellformed": 1.0, "text_alignment": 0.5},
    log_every=1,
    checkpoint_every=1,
)


def fresh() -> Language:
    vocabulary = Vocabulary.learn(["a person walks."], size=300, codes=16)
    return Language.create(LanguageConfig(layers=1, width=32, heads=2, feed_forward=48, positions=256), vocabulary, 3)


@pytest.mark.parametrize(
    ("name", "value"),
    [("group", 1), ("temperature", 0.0), ("top_p", 0.0), ("workers", 3), ("answers_at_once", 0), ("rewards", {})],
)
def test_what_cannot_be_trained_is_refused(name: str, value: Any) -> None:
    with pytest.raises(ParamsError, match=rf"train_stage3\.{name} is"):
        replace(PARAMS, **{name: value})


# ---- the policy that samples and the policy that learns --------------------------------------------------------------


@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.7, 1.0), (1.3, 0.8), (0.7, 0.3)])
def test_the_ratio_is_exactly_one_on_the_first_step(goals: list[Goal], temperature: float, top_p: float) -> None:
    language, prompts = fresh(), {goal.goal_id: goal.prompt for goal in goals}
    params = replace(PARAMS, temperature=temperature, top_p=top_p, max_tokens=60)
    answers = generate(language, prompts, "free", params.sampling())
    said = grpo.batch_of(
        language, list(prompts.values()), list(answers.values()), Symbols(language.vocabulary), params.sampling()
    )
    with torch.no_grad():
        old = grpo.log_probabilities(language.model, said, temperature, "float32")
    new = grpo.log_probabilities(language.model, said, temperature, "float32")
    assert (torch.exp(new - old) == 1.0).all()
    # And the pass with a cache that sampled agrees, up to the order of its sums.
    sampled = torch.tensor([value for answer in answers.values() for value in answer.log_probs])
    torch.testing.assert_close(new[said.said.bool()], sampled, atol=1e-4, rtol=1e-4)


def test_clipping_sets_in_with_the_second_update(goals: list[Goal], brief: Judge, tmp_path: Path) -> None:
    params = replace(PARAMS, steps=1, learning_rate=0.05, clip=Clip(0.01, 0.01))
    once = grpo.train(params, fresh(), fresh(), goals, brief, Checkpoints(tmp_path / "one", 9))
    assert (once.last("clipped_low"), once.last("clipped_high"), once.last("kl")) == (0.0, 0.0, 0.0)
    twice = grpo.train(replace(params, updates=2), fresh(), fresh(), goals, brief, Checkpoints(tmp_path / "two", 9))
    for name in ("clipped_low", "clipped_high", "kl"):
        assert (twice.last(name) or 0) > 0.0, name


# ---- gradients of a step ---------------------------------------------------------------------------------------------


def weights_after(params: TrainStage3Params, goals: Sequence[Goal], judge: Judge, folder: Path) -> dict[str, Any]:
    language = fresh()
    grpo.train(params, language, fresh(), goals, judge, Checkpoints(folder, 99))
    found: dict[str, Any] = language.model.state_dict()
    return found


def assert_same(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor], atol: float) -> None:
    for name, weight in one.items():
        torch.testing.assert_close(weight, two[name], atol=atol, rtol=0)


@pytest.mark.parametrize("loss", [loss for loss in get_args(Loss) if loss != "bnpo"])
def test_answers_at_once_change_memory_and_no_weight(
    goals: list[Goal], brief: Judge, tmp_path: Path, loss: Loss
) -> None:
    # A rate at which Adam does not blow up the last bits of gradients near zero.
    params = replace(PARAMS, steps=2, loss=loss, learning_rate=1e-4, updates=2)
    whole = weights_after(replace(params, answers_at_once=8), goals, brief, tmp_path / "whole")
    for count in (1, 2, 4):
        cut = weights_after(replace(params, answers_at_once=count), goals, brief, tmp_path / str(count))
        assert_same(whole, cut, 1e-6)


class Half(Team):
    """One of two workers, which never hears from the other."""

    size = 2

    def __init__(self, rank: int) -> None:
        self.rank = rank


def test_workers_share_goals_and_leave_none_out(goals: list[Goal], brief: Judge, tmp_path: Path) -> None:
    """What two halves of a team sample is what one process samples; the shares are told apart by their goals."""
    params = replace(PARAMS, steps=1, workers=2)
    kept = Checkpoints(tmp_path / "both", 99)
    for rank in (0, 1):
        grpo.improve(params, fresh(), fresh(), goals, brief, kept, Half(rank))
    alone = Checkpoints(tmp_path / "alone", 99)
    grpo.train(replace(PARAMS, steps=1), fresh(), fresh(), goals, brief, alone)
    Ledger.of(kept).save(tmp_path / "both.parquet")
    Ledger.of(alone).save(tmp_path / "alone.parquet")
    assert read(tmp_path / "both.parquet", Earned) == read(tmp_path / "alone.parquet", Earned)
    assert len(list((kept.folder / "rollouts").iterdir())) == 2


# ---- what teaches ----------------------------------------------------------------------------------------------------


def test_a_reward_moves_the_model_towards_what_earns_it(goals: list[Goal], brief: Judge, tmp_path: Path) -> None:
    params = replace(PARAMS, steps=15, group=8, beta=0.0, learning_rate=0.02)
    journal = grpo.train(params, fresh(), None, goals, brief, Checkpoints(tmp_path, 99))
    lengths = [row.value for row in journal.rows if row.name == "answer_tokens"]
    assert np.mean(lengths[-3:]) < 0.8 * np.mean(lengths[:3])
    assert "kl" not in {row.name for row in journal.rows}


def test_groups_without_spread_are_skipped_counted_and_move_nothing(
    goals: list[Goal], judge: Judge, tmp_path: Path
) -> None:
    same, language = rewarding(judge, lambda _: 1.0), fresh()
    journal = grpo.train(PARAMS, language, fresh(), goals, same, Checkpoints(tmp_path, 99))
    assert {row.value for row in journal.rows if row.name == "groups_skipped"} == {1.0}
    assert "loss" not in {row.name for row in journal.rows}
    assert_same(language.model.state_dict(), fresh().model.state_dict(), 0.0)


def test_a_group_without_spread_weighs_nothing(goals: list[Goal], brief: Judge, tmp_path: Path) -> None:
    """Two goals, one of which teaches nothing, move the model as the other alone does."""
    pair = [goals[0], replace(goals[1], text="a person jumps.")]
    one_sided = rewarding(brief, lambda one: 0.0 if "jumps" in one.text else -float(len(one.answer)))
    both = weights_after(replace(PARAMS, steps=1), pair, one_sided, tmp_path / "both")
    alone = weights_after(replace(PARAMS, steps=1, goals=1), pair[:1], brief, tmp_path / "alone")
    assert_same(both, alone, 1e-6)


def test_truncated_answers_are_left_out_above_and_below_the_line(
    goals: list[Goal], brief: Judge, tmp_path: Path
) -> None:
    """All answers are cut off: nothing is left to learn from; unless they are let in."""
    params = replace(PARAMS, steps=2, max_tokens=2)
    for masked, moves in ((True, False), (False, True)):
        language, place = fresh(), tmp_path / str(masked)
        journal = grpo.train(
            replace(params, mask_truncated=masked), language, fresh(), goals, brief, Checkpoints(place, 99)
        )
        assert journal.last("truncated") == 1.0
        assert ("loss" in {row.name for row in journal.rows}) == moves
        unmoved = all(
            torch.equal(w, fresh().model.state_dict()[name]) for name, w in language.model.state_dict().items()
        )
        assert unmoved != moves


def test_what_was_rewarded_can_be_read(goals: list[Goal], judge: Judge, tmp_path: Path) -> None:
    kept = Checkpoints(tmp_path, 99)
    journal = grpo.train(PARAMS, fresh(), fresh(), goals, judge, kept)
    assert Ledger.of(kept).save(tmp_path / "rollouts.parquet") == 4 * 2 * 3
    rows = read(tmp_path / "rollouts.parquet", Earned)
    for step in range(4):
        of_step = [row for row in rows if row.step == step]
        noted = [row.value for row in journal.rows if row.step == step + 1 and row.name == "reward"]
        assert noted == [pytest.approx(np.mean([row.total for row in of_step]))]
    assert {tuple(row.rewards) for row in rows} <= {("text_alignment", "wellformed"), ("wellformed",)}
    assert all(row.goal == "a person walks." and row.answer for row in rows)


# ---- with adapters ---------------------------------------------------------------------------------------------------


def test_without_its_adapters_a_model_is_its_own_reference(goals: list[Goal], brief: Judge, tmp_path: Path) -> None:
    lora = LoraParams(rank=4, alpha=8, targets="all-linear")
    params = replace(PARAMS, steps=3, learning_rate=0.05, lora=lora)
    logs = []
    for reference in (None, fresh()):
        adapted = fresh()
        adapted.begin("train_stage3", [], lora, 5)
        place = Checkpoints(tmp_path / str(reference is None), 99)
        journal = grpo.train(params, adapted, reference, goals, brief, place)
        logs.append([row.value for row in journal.rows])
        assert (journal.last("kl") or 0) > 0
    assert logs[0] == pytest.approx(logs[1], rel=1e-4)


def test_a_divergence_from_nothing_is_refused(goals: list[Goal], brief: Judge, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no reference"):
        grpo.train(PARAMS, fresh(), None, goals, brief, Checkpoints(tmp_path, 99))


# ---- kills and bad input ---------------------------------------------------------------------------------------------


def test_an_interruption_changes_no_byte(
    goals: list[Goal], brief: Judge, dying: Callable[..., Checkpoints], tmp_path: Path
) -> None:
    whole, resumed = fresh(), fresh()
    undisturbed, cut = Checkpoints(tmp_path / "whole", 1), Checkpoints(tmp_path / "cut", 1)
    journal = grpo.train(PARAMS, whole, fresh(), goals, brief, undisturbed)
    with pytest.raises(KeyboardInterrupt):
        grpo.train(PARAMS, fresh(), fresh(), goals, brief, dying(tmp_path / "cut", 1, 2))
    again = grpo.train(PARAMS, resumed, fresh(), goals, brief, cut)
    assert journal.rows == again.rows
    assert_same(whole.model.state_dict(), resumed.model.state_dict(), 0.0)
    for kept, name in ((undisturbed, "whole"), (cut, "cut")):
        Ledger.of(kept).save(tmp_path / f"{name}.parquet")
    assert (tmp_path / "whole.parquet").read_bytes() == (tmp_path / "cut.parquet").read_bytes()


def test_too_few_goals_are_named(goals: list[Goal], judge: Judge, tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"train_stage3\.goals"):
        grpo.train(PARAMS, fresh(), fresh(), goals[:1], judge, Checkpoints(tmp_path, 99))


def test_a_goal_that_leaves_no_room_for_its_answer_is_named(goals: list[Goal], judge: Judge, tmp_path: Path) -> None:
    long = [*goals, replace(goals[0], goal_id="long", prompt="walks " * 240)]
    with pytest.raises(ModelError, match=r"goal 'long' .*train_stage3\.max_tokens \(24\).* has room for 256"):
        grpo.train(PARAMS, fresh(), fresh(), long, judge, Checkpoints(tmp_path, 99))


def test_a_reward_that_breaks_half_way_leaves_the_checkpoints_before_it(
    goals: list[Goal], brief: Judge, tmp_path: Path
) -> None:
    asked = iter(range(100))

    def score(rollout: Rollout) -> float:
        if next(asked) >= 2 * 6:
            raise OSError("the judge is out")
        return -float(len(rollout.answer))

    kept = Checkpoints(tmp_path, 1)
    with pytest.raises(RewardError, match=r"reward 'own' raises on the rollout of goal 'g\d' .*the judge is out"):
        grpo.train(PARAMS, fresh(), fresh(), goals, rewarding(brief, score), kept)
    newest = kept.newest()
    assert newest is not None
    assert newest.step == 2


def test_a_loss_that_is_no_number_stops_the_run_and_names_the_goals(
    goals: list[Goal], brief: Judge, tmp_path: Path
) -> None:
    language, poisoned, kept = fresh(), fresh(), Checkpoints(tmp_path, 1)
    with torch.no_grad():
        poisoned.model.get_input_embeddings().weight.fill_(torch.nan)
    before = {name: weight.clone() for name, weight in language.model.state_dict().items()}
    with pytest.raises(ModelError, match=r"loss is nan and its gradient \S+ at step 1, on the goals g\d, g\d"):
        grpo.train(PARAMS, language, poisoned, goals, brief, kept)
    assert kept.newest() is None
    assert_same(before, language.model.state_dict(), 0.0)
