"""The ceiling of an evaluator: what it tells apart of val clips, and how much better it knows those it learned."""

from pathlib import Path

import numpy as np
import pytest

from irg_core.metrics import mm_dist, r_precision
from irg_core.models.evaluator import Evaluator
from irg_core.records.evaluation import Protocol, Samples
from irg_core.seeds import rng
from irg_core.training.ceiling import ceiling, measures, retrieval
from irg_core.training.checkpoint import Checkpoints
from irg_core.training.contrastive import EvaluatorParams, Pairing, train

STATS = {"mean": [0.0] * 263, "std": [1.0] * 263}
PARAMS = EvaluatorParams(
    architecture="tmr", seed=3, width=32, layers=1, embedding=16, contrast=0.1, near_identical=0.9, steps=60, batch=16,
    learning_rate=3e-3, weight_decay=0.0, noise=0.0, dropped_words=0.0, threads=1, checkpoint_every=1000,
)  # fmt: skip


def pairings(count: int, first: int = 0) -> list[Pairing]:
    """Each clip a motion and a word of its own, so that nothing learned helps with the next."""
    frames = [rng(0, "clip", index).standard_normal((12, 263)).astype(np.float32) for index in range(first + count)]
    return [Pairing(f"c/{index}", frames[index], (f"it does w{index}",)) for index in range(first, first + count)]


def test_what_was_learned_by_heart_shows_as_a_gap(tmp_path: Path) -> None:
    learned, held_out = pairings(32), pairings(16, first=32)
    judge, _ = train("test", learned, STATS, PARAMS, Checkpoints(tmp_path, 1000))
    found = ceiling(judge, learned, held_out, near=0.9, seed=1)
    assert found["train"]["clips"] == found["val"]["clips"] == 16
    assert found["train"]["gallery_r3"] > 0.9
    assert found["gap"]["gallery_r3"] == pytest.approx(found["train"]["gallery_r3"] - found["val"]["gallery_r3"])
    assert found["gap"]["gallery_r3"] > 0.4


def test_nothing_is_said_of_a_corpus_without_val_clips() -> None:
    judge = Evaluator.create("guo", 16, 1, 8, ["it does"], STATS)
    assert retrieval(judge, [], near=0.9, seed=1) == {"clips": 0}
    found = ceiling(judge, pairings(4), [], near=0.9, seed=1)
    assert found["gap"] == {}


@pytest.mark.parametrize("clips", [20, 150])
def test_the_numbers_are_those_of_the_metrics(clips: int) -> None:
    """Of many redraws of pools, which converge to what is worked out here; then with twins among the goals."""
    draw = np.random.default_rng(1)
    texts = draw.standard_normal((clips, 8)).astype(np.float32)
    motions = (texts + draw.standard_normal((clips, 8))).astype(np.float32)
    same = np.eye(clips, dtype=bool)
    samples = Samples(texts, motions, motions, same, Protocol(1, 32, 2000, 10, 0.9))
    expected = {m.metric: m.mean for m in [*r_precision.compute(samples), *mm_dist.compute(samples)]}
    assert measures(texts, motions, same) == pytest.approx(expected, abs=0.005)
    same[0, 1] = same[1, 0] = True
    gallery = {m.metric: m.mean for m in r_precision.compute(Samples(texts, motions, motions, same, samples.protocol))}
    found = measures(texts, motions, same)
    assert [found[f"gallery_r{k}"] for k in (1, 2, 3)] == [gallery[f"gallery_r{k}"] for k in (1, 2, 3)]


def test_one_motion_for_every_text_finds_nothing() -> None:
    texts = np.random.default_rng(1).standard_normal((40, 8))
    found = measures(texts, np.ones((40, 8)), np.eye(40, dtype=bool))
    assert found["r3"] == found["gallery_r3"] == 0.0
