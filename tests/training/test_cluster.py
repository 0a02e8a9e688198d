"""Two workers of a real Ray Train against one process, undisturbed and with one of them killed."""

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import distributed

from irg_core.errors import ClusterError
from irg_core.models.language import Language, LanguageConfig
from irg_core.models.vocabulary import Vocabulary
from irg_core.records.training import Example, LogRow
from irg_core.training import cluster
from irg_core.training.checkpoint import Checkpoints, Saved
from irg_core.training.loop import SupervisedParams
from pipelines.executor import RuntimeParams, ray_of

pytestmark = pytest.mark.services

Trained = tuple[Language, list[LogRow]]


@pytest.fixture(scope="module", autouse=True)
def _ray() -> Iterator[None]:
    with ray_of(RuntimeParams("ray", 2, "", 1, None, None), 2):
        yield


@pytest.fixture
def train(examples: list[Example], supervised: SupervisedParams) -> Callable[..., Trained]:
    def trained(workers: int, kept: Checkpoints, **others: Any) -> Trained:
        # A rate at which Adam does not blow up the last bits of gradients near zero.
        params = replace(supervised, workers=workers, learning_rate=0.001, **others)
        vocabulary = Vocabulary.learn(["a person walks."], size=300, codes=16)
        config = LanguageConfig(layers=1, width=32, heads=2, feed_forward=48, positions=512)
        language = Language.create(config, vocabulary, 3)
        journal, _ = cluster.train("train_stage1", params, language, examples, kept)
        return language, journal.rows

    return trained


class Deadly(Checkpoints):
    """Kills the second worker once, three steps after a checkpoint."""

    def due(self, step: int) -> bool:
        scene = self.folder / "killed"
        if step == 17 and distributed.get_rank() == 1 and not scene.exists():
            scene.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().due(step)

    def save(self, saved: Saved) -> None:
        super().save(saved)
        with (self.folder / "saved").open("a") as file:
            file.write(f"{saved.step} ")


def weights(language: Language) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = language.model.state_dict()
    return found


def test_two_workers_train_as_one_and_survive_the_death_of_one(train: Callable[..., Trained], tmp_path: Path) -> None:
    one, alone = train(1, Checkpoints(tmp_path / "one", 7))
    two, together = train(2, Checkpoints(tmp_path / "two", 7))
    assert [(row.step, row.name) for row in alone] == [(row.step, row.name) for row in together]
    assert {row.name for row in alone} >= {"loss", "gradient_norm", "heldout_loss"}
    for mine, ours in zip(alone, together, strict=True):
        assert mine.value == pytest.approx(ours.value, rel=1e-6), mine.row
    for name, weight in weights(one).items():
        torch.testing.assert_close(weight, weights(two)[name], atol=1e-6, rtol=0)

    survivor, log = train(2, Deadly(tmp_path / "killed", 7))
    assert (tmp_path / "killed/killed").exists()
    assert (tmp_path / "killed/saved").read_text().split() == ["7", "14", "21", "28"], "more was repeated than needed"
    assert log == together
    for name, weight in weights(two).items():
        assert torch.equal(weight, weights(survivor)[name]), name


def test_two_workers_that_share_the_weights_train_as_one_that_holds_them(
    train: Callable[..., Trained], dying: Callable[..., Checkpoints], tmp_path: Path
) -> None:
    """And go on from what one process left behind, with passes and looks that one of them has nothing to do in."""
    others: dict[str, Any] = {"accumulate": 8, "tokens": 96, "measure_every": 10, "measured": 7, "checkpoint_every": 10}
    one, alone = train(1, Checkpoints(tmp_path / "one", 10), **others)
    with pytest.raises(KeyboardInterrupt):
        train(1, dying(tmp_path / "two", 10, 10), **others)
    two, together = train(2, Checkpoints(tmp_path / "two", 10), sharding="full", **others)
    assert [(row.step, row.name) for row in alone] == [(row.step, row.name) for row in together]
    for mine, ours in zip(alone, together, strict=True):
        assert mine.value == pytest.approx(ours.value, rel=1e-5), mine.row
    for name, weight in weights(one).items():
        torch.testing.assert_close(weight, weights(two)[name], atol=1e-5, rtol=0)
    left, wanted = Checkpoints(tmp_path / "two", 10).newest(), Checkpoints(tmp_path / "one", 10).newest()
    assert left is not None
    assert wanted is not None
    assert left.step == wanted.step == 30
    assert left.tensors.keys() == wanted.tensors.keys()
    for name, tensor in wanted.tensors.items():
        torch.testing.assert_close(left.tensors[name], tensor, atol=1e-5, rtol=0)


def test_a_cluster_that_is_too_small_is_one_sentence(train: Callable[..., Trained], tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match=r"train_stage1\.workers is 3; the Ray cluster has 2 processors"):
        train(3, Checkpoints(tmp_path, 7))
