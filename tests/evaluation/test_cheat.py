"""A planted cheat: motions pushed by gradient to where the rewarding evaluator wants them, and what becomes of them.

Both evaluators are trained here, on eight kinds of movement, of different architecture and seed, as in the factory.
"""

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from irg_core.evaluation.answers import Shown
from irg_core.evaluation.changes import steps
from irg_core.evaluation.goals import Goal, subsets
from irg_core.evaluation.scores import scores
from irg_core.models.evaluator import Evaluator, pad
from irg_core.motion.features import extract
from irg_core.motion.thresholds import KinematicsParams
from irg_core.params import section
from irg_core.records.changes import Step
from irg_core.records.evaluation import Protocol
from irg_core.records.motion import Clip
from irg_core.seeds import rng
from irg_core.training.checkpoint import Checkpoints
from irg_core.training.contrastive import EvaluatorParams, Pairing, train
from tests.evaluation.bodies import KINDS, moving

PROTOCOL = Protocol(seed=1, pool=32, redraws=10, pairs=50, near_identical=0.9)
CLIPS = 192
RATE, STEPS = 0.02, 15
"""Of the gradient descent: a push of at most 0.3 standard deviations of each number."""
LIMITS = section("kinematics", KinematicsParams)
METRICS = ["r_precision", "fid", "plausibility"]
ROWS = {"base": "only", "stage3": "final"}


def clip(index: int, split: str) -> Clip:
    kind = KINDS[index % len(KINDS)]
    frames = extract(moving(kind, rng(0, split, index)))
    return Clip(f"made/{split}{index}", "made", f"made/{split}{index}", "", frames, [], kind)


@pytest.fixture(scope="module")
def goals() -> list[Goal]:
    made = [clip(index, "test") for index in range(CLIPS)]
    return [Goal(one, one.clip_id, f"a person {one.truth}", False) for one in made]


@pytest.fixture(scope="module")
def judges(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Evaluator]:
    learned = [clip(index, "train") for index in range(256)]
    rows = np.concatenate([one.features for one in learned])
    stats = {"mean": rows.mean(axis=0).tolist(), "std": np.maximum(rows.std(axis=0), 1e-2).tolist()}
    pairings = [Pairing(one.clip_id, one.features, (f"a person {one.truth}",)) for one in learned]
    trained = {}
    for name, architecture, contrast in (("reward", "guo", 4.0), ("report", "tmr", 0.1)):
        params = EvaluatorParams(
            architecture=architecture, seed=len(name), width=32, layers=1, embedding=16, contrast=contrast,  # type: ignore[arg-type]
            near_identical=0.9, steps=60, batch=32, learning_rate=2e-3, weight_decay=0.01, noise=0.1,
            dropped_words=0.0, threads=1, checkpoint_every=1000,
        )  # fmt: skip
        kept = Checkpoints(tmp_path_factory.mktemp(name), 1000)
        trained[name], _ = train(name, pairings, stats, params, kept)
    return trained


def middling(goals: Sequence[Goal], wrong: float, noise: float) -> list[np.ndarray]:
    """For a share of the goals the motions of one another, and all of them shaken. Who is right more often shows the
    same motions, to other goals: they slide and jerk as they did."""
    drawn = [index for index in range(len(goals)) if rng(1, "answer", index).random() < wrong]
    exchanged = dict(zip(drawn, [*drawn[1:], *drawn[:1]], strict=True))
    answers = []
    for index in range(len(goals)):
        features = goals[exchanged.get(index, index)].clip.features
        shaken = noise * features.std(axis=0) * rng(1, "noise", index).standard_normal(features.shape[1])
        answers.append(features + shaken.astype(np.float32))
    return answers


def pushed(answers: Sequence[np.ndarray], goals: Sequence[Goal], judge: Evaluator) -> list[np.ndarray]:
    """Each motion moved to the point of its text in the judge's space, by gradient through the motion encoder."""
    wanted = torch.from_numpy(judge.embed_texts([goal.text for goal in goals]))
    frames, lengths = pad([judge.motion_input(features) for features in answers])
    change = torch.zeros_like(frames, requires_grad=True)
    optimizer = torch.optim.Adam([change], lr=RATE)
    for _ in range(STEPS):
        optimizer.zero_grad()
        (judge.motions(frames + change, lengths) - wanted).square().sum().backward()
        optimizer.step()
    cheated = []
    for features, moved, length in zip(answers, (frames + change).detach(), lengths.tolist(), strict=True):
        seen = moved.shape[1]
        rows = features[:length].copy()
        rows[:, :seen] = (moved[:length] * judge.std[:seen] + judge.mean[:seen]).numpy()
        cheated.append(rows)
    return cheated


def compared(
    before: list[np.ndarray], after: list[np.ndarray], goals: list[Goal], judges: dict[str, Evaluator]
) -> Step:
    shown = [Shown(row, motion, answers) for (row, motion), answers in zip(ROWS.items(), (before, after), strict=True)]
    parts = subsets(goals, {"made"})
    values = [one.values for one in scores(shown, goals, parts, judges, METRICS, PROTOCOL, LIMITS)]
    (found,) = steps(values, "synthetic", [(("base", "only"), ("stage3", "final"))], seed=1)
    return found


def test_a_cheat_rises_with_the_evaluator_it_was_made_for_and_the_held_out_one_gives_it_away(
    goals: list[Goal], judges: dict[str, Evaluator]
) -> None:
    """Both evaluators see a significant gain: what the cheat is known by is how much more one of them sees."""
    before = middling(goals, wrong=0.8, noise=0.2)
    found = compared(before, pushed(before, goals, judges["reward"]), goals, judges)
    effects = {(effect.judge, effect.name): effect for effect in found.effects}
    rewarded, held_out = effects["rewarding", "R@3 in pools"], effects["held-out 'report'", "R@3 in pools"]
    assert rewarded.verdict == held_out.verdict == "better"
    gains = [one.after - one.before for one in (rewarded, held_out)]
    assert gains[0] > 2 * gains[1]
    assert (
        f"the gain in R@3 in pools is {gains[0]:+.3f} by the rewarding evaluator, but {gains[1]:+.3f} by"
        " held-out 'report'"
    ) in found.flags
    (paid,) = [flag for flag in found.flags if "is paid for" in flag]
    assert "foot skate" in paid
    assert ("motion", "jerk, m/s³", "worse") in {(one.judge, one.name, one.verdict) for one in found.guards}


@pytest.mark.parametrize(("wrong", "less"), [(0.8, 0.6), (0.8, 0.5)])
def test_a_model_that_is_honestly_better_is_not_flagged(
    goals: list[Goal], judges: dict[str, Evaluator], wrong: float, less: float
) -> None:
    found = compared(middling(goals, wrong, noise=0.2), middling(goals, less, noise=0.2), goals, judges)
    effects = {(effect.judge, effect.name): effect for effect in found.effects}
    gains = [effects[judge, "R@3 in pools"] for judge in ("rewarding", "held-out 'report'")]
    assert [one.verdict for one in gains] == ["better", "better"]
    assert all(one.after < 0.98 for one in gains), "a better model, not the real motions themselves"
    assert found.flags == []
