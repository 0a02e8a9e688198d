"""A training that goes wrong says so in one sentence, and what was kept before stays."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import Tensor

from irg_core.errors import ModelError
from irg_core.models.language import Language
from irg_core.records.training import Example
from irg_core.seeds import rng
from irg_core.training import contrastive, loop
from irg_core.training.checkpoint import Checkpoints
from irg_core.training.contrastive import EvaluatorParams, Pairing, train
from irg_core.training.journal import finite
from irg_core.training.loop import SupervisedParams

STATS = {"mean": [0.0] * 263, "std": [1.0] * 263}
JUDGE = EvaluatorParams(
    architecture="guo", seed=3, width=8, layers=1, embedding=4, contrast=4.0, near_identical=0.9, steps=8, batch=4,
    learning_rate=0.003, weight_decay=0.0, noise=0.1, dropped_words=0.0, threads=1, checkpoint_every=1,
)  # fmt: skip


def pairings(poisoned: int | None) -> list[Pairing]:
    """Sixteen clips, of which one may have a number that is none."""
    found = []
    for index in range(16):
        frames = rng(index, "clip").standard_normal((12, 263)).astype(np.float32)
        frames[3, 5] = np.nan if index == poisoned else frames[3, 5]
        found.append(Pairing(f"clip/{index}", frames, (f"a person walks {index} times",)))
    return found


def test_an_evaluator_stops_at_a_clip_that_is_no_number_and_names_the_batch(tmp_path: Path) -> None:
    kept = Checkpoints(tmp_path / "train_evaluators.reward" / "f", 1)
    with pytest.raises(
        ModelError, match=r"train_x: the loss is nan and its gradient \S+ at step \d, on clip/\d+"
    ) as raised:
        train("train_x", pairings(poisoned=7), STATS, JUDGE, kept)
    said = str(raised.value)
    assert "clip/7" in said
    assert "\n" not in said
    stopped = int(said.split(" at step ")[1].split(",")[0])
    newest = kept.newest()
    assert (newest.step if newest else 0) == stopped - 1, "every step before is whole, and that one is not kept"
    train("train_x", pairings(poisoned=None), STATS, JUDGE, Checkpoints(tmp_path / "other", 1))


def test_a_long_batch_is_named_by_its_first_rows() -> None:
    said = r"the loss is inf and its gradient 1.0 at step 3, on r0, r1, r2, r3, r4, r5 and 14 more; look at"
    with pytest.raises(ModelError, match=said):
        finite("train_x", 3, float("inf"), 1.0, [f"r{row}" for row in range(20)])
    finite("train_x", 3, 0.5, 1.0, [])


def test_an_evaluator_stops_where_only_the_gradient_is_no_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The weights would be spoilt, and the next loss blamed on other rows."""
    whole = contrastive._loss

    def steep(*arguments: Any) -> Tensor:
        loss = whole(*arguments)
        return loss + 0.0 * (loss - loss.detach()).abs().sqrt()  # adds nothing, with an infinite slope

    monkeypatch.setattr(contrastive, "_loss", steep)
    kept = Checkpoints(tmp_path / "train_evaluators.reward" / "f", 1)
    with pytest.raises(ModelError, match=r"the loss is \d.* and its gradient nan at step 1, on clip/\d+"):
        train("train_x", pairings(poisoned=None), STATS, JUDGE, kept)
    assert kept.newest() is None


def test_a_training_goes_on_past_damaged_rows_on_the_disk(
    language: Language, examples: list[Example], supervised: SupervisedParams, tmp_path: Path
) -> None:
    """What a training wrote down for itself is made again where it is not as it was."""
    kept = Checkpoints(tmp_path / "train_base" / "f", 99)
    rows = loop.prepared("train_base", supervised, language, examples, kept).rows
    file = tmp_path / "train_base" / "f" / "rows" / "train.arrow"
    before, ids = file.read_bytes(), [row.ids.tolist() for row in rows]
    file.write_bytes(before[: len(before) // 2] + bytes(8) + before[len(before) // 2 + 8 :])
    again = loop.prepared("train_base", supervised, language, examples, kept).rows
    assert [row.ids.tolist() for row in again] == ids
    assert file.read_bytes() == before
