"""Stage 3 by two workers of a real Ray Train against one process, undisturbed and with one of them killed."""

import os
import signal
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import distributed

from irg_core import dialogue
from irg_core.errors import RewardError
from irg_core.models.adapters import LoraParams
from irg_core.models.language import Language, LanguageConfig
from irg_core.models.vocabulary import Vocabulary
from irg_core.records.training import Earned, Goal, LogRow, Rollout
from irg_core.tables import read
from irg_core.training import cluster
from irg_core.training.checkpoint import Checkpoints, Saved
from irg_core.training.grpo import TrainStage3Params
from irg_core.training.judge import Judge
from irg_core.training.policy import Clip
from irg_core.training.rollouts import Ledger
from pipelines.executor import RuntimeParams, ray_of

pytestmark = pytest.mark.services

PARAMS = TrainStage3Params(
    seed=1, workers=1, threads=1, precision="float32", steps=5, goals=3, group=4, updates=2, answers_at_once=3,
    # A rate at which Adam does not blow up the last bits of gradients near zero.
    lora=None, learning_rate=0.0005, warmup=1, loss="dapo", scale_rewards="group", beta=0.1, kl="unbiased",
    clip=Clip(0.2, 0.28), mask_truncated=False, temperature=1.0, top_p=0.95, max_tokens=24, max_codes=6, max_rounds=2,
    rewards={"brief": 1.0}, log_every=1, checkpoint_every=1,
)  # fmt: skip
GOALS = [Goal(f"g{n}", f"c{n}", "train", "a person walks.", dialogue.prompt("a walk"), [n, n + 1]) for n in range(7)]


@pytest.fixture(scope="module", autouse=True)
def _ray() -> Iterator[None]:
    with ray_of(RuntimeParams("ray", 2, "", 1, None, None), 2):
        yield


class Brief:
    """A reward for short answers, which even an untrained model can earn."""

    SCALED = True

    def score(self, rollouts: Sequence[Rollout]) -> list[float | None]:
        return [-float(rollout.tokens) for rollout in rollouts]


class Deadly(Checkpoints):
    """Kills the second worker once, after the third step."""

    def due(self, step: int) -> bool:
        scene = self.folder / "killed"
        if step == 3 and distributed.get_rank() == 1 and not scene.exists():
            scene.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().due(step)

    def save(self, saved: Saved) -> None:
        super().save(saved)
        with (self.folder / "saved").open("a") as file:
            file.write(f"{saved.step} ")


class Broken(Brief):
    """A reward that fails where the second worker asks it."""

    def score(self, rollouts: Sequence[Rollout]) -> list[float | None]:
        return [1 / (1 - distributed.get_rank()) for _ in rollouts]


def trained(
    params: TrainStage3Params, judge: Judge, kept: Checkpoints, reward: Brief | None = None
) -> tuple[dict[str, torch.Tensor], list[LogRow]]:
    """The weights in the end, and the journal."""
    config = LanguageConfig(layers=1, width=32, heads=2, feed_forward=48, positions=256)
    made = [Language.create(config, Vocabulary.learn(["a person walks."], 300, 16), 3) for _ in range(2)]
    language, reference = made[0], None if params.lora else made[1]
    language.begin("train_stage3", [], params.lora, 5)
    own = Judge(judge.tokenizer, judge.evaluator, {}, judge.limits)
    own.rewards = {"brief": (reward or Brief(), 1.0)}  # type: ignore[dict-item]  # in a file's place
    journal = cluster.improve(params, language, reference, GOALS, own, kept)
    language.merge()
    return language.model.state_dict(), journal.rows


def rollouts(kept: Checkpoints, path: Path) -> list[Earned]:
    Ledger.of(kept).save(path)
    return read(path, Earned)


@pytest.mark.parametrize("lora", [None, LoraParams(rank=4, alpha=8, targets="all-linear")], ids=["whole", "adapters"])
def test_two_workers_improve_a_model_as_one_does(lora: LoraParams | None, judge: Judge, tmp_path: Path) -> None:
    one, two = Checkpoints(tmp_path / "one", 9), Checkpoints(tmp_path / "two", 9)
    alone, told = trained(replace(PARAMS, lora=lora), judge, one)
    together, told_together = trained(replace(PARAMS, lora=lora, workers=2), judge, two)
    assert [(row.step, row.name) for row in told] == [(row.step, row.name) for row in told_together]
    for mine, ours in zip(told, told_together, strict=True):
        assert mine.value == pytest.approx(ours.value, rel=1e-5, abs=1e-6), mine.row
    for name, weight in alone.items():
        torch.testing.assert_close(weight, together[name], atol=1e-6, rtol=0)
    assert rollouts(one, tmp_path / "one.parquet") == rollouts(two, tmp_path / "two.parquet")


def test_the_death_of_a_worker_costs_one_step_and_changes_no_byte(judge: Judge, tmp_path: Path) -> None:
    params = replace(PARAMS, workers=2)
    whole, cut = Checkpoints(tmp_path / "whole", 1), Deadly(tmp_path / "cut", 1)
    undisturbed, told = trained(params, judge, whole)
    survivor, told_after = trained(params, judge, cut)
    assert (tmp_path / "cut/killed").exists()
    assert (tmp_path / "cut/saved").read_text().split() in (["1", "2", "3", "4", "5"], ["1", "2", "3", "3", "4", "5"])
    assert told == told_after
    for name, weight in undisturbed.items():
        assert torch.equal(weight, survivor[name]), name
    assert rollouts(whole, tmp_path / "whole.parquet") == rollouts(cut, tmp_path / "cut.parquet")


def test_what_fails_in_one_worker_ends_all_with_its_own_sentence(judge: Judge, tmp_path: Path) -> None:
    """And not minutes later, with the sentence of one that waited for it."""
    with pytest.raises(RewardError, match="brief"):
        trained(replace(PARAMS, workers=2), judge, Checkpoints(tmp_path / "broken", 1), Broken())
    assert Checkpoints(tmp_path / "broken", 1).newest() is None
