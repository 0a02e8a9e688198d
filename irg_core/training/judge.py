"""What an answer of Stage 3 earns: it is placed in the evaluator's space and measured, then asked about by each reward.

Rewards are scaled within the group of a goal and nowhere else, and each motion is looked at alone: who else is in a
batch changes no bit of what an answer earns. A malformed answer gets the floor of its group.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from irg_core import plugins
from irg_core.annotate.demands import demand
from irg_core.annotate.facts import facts
from irg_core.dialogue import Trace, parse
from irg_core.errors import RewardError
from irg_core.models.decoding import Answer
from irg_core.models.evaluator import Evaluator
from irg_core.models.vqvae import MotionTokenizer
from irg_core.motion.differences import differences
from irg_core.motion.thresholds import KinematicsParams
from irg_core.records.motion import Phase
from irg_core.records.training import Goal, Rollout

REWARDS = "irg_core.rewards"


@dataclass(frozen=True)
class Seen:
    """What is known of one motion."""

    point: np.ndarray
    phases: list[Phase]


class Judge:
    """The tokenizer, the evaluator and the thresholds that rewards look through."""

    def __init__(
        self, tokenizer: MotionTokenizer, evaluator: Evaluator, weights: Mapping[str, float], limits: KinematicsParams
    ) -> None:
        self.tokenizer = tokenizer
        self.evaluator = evaluator
        self.limits = limits
        self.rewards = {name: (plugins.load(REWARDS, name), weight) for name, weight in sorted(weights.items())}

    def rollouts(self, goals: Sequence[Goal], answers: Sequence[Answer]) -> list[Rollout]:
        """Each answer beside its goal."""
        look = _Look(self)
        return [look.at(goal, answer) for goal, answer in zip(goals, answers, strict=True)]

    def scores(self, rollouts: Sequence[Rollout]) -> dict[str, list[float | None]]:
        """Each reward of each rollout, as it is. Raises `RewardError` naming the reward and the rollout."""
        return {name: _scored(name, module, rollouts) for name, (module, _) in self.rewards.items()}

    def totals(self, scores: Mapping[str, Sequence[float | None]], rollouts: int, group: int) -> np.ndarray:
        """The weighted sum of rewards [rollouts], those on a scale of their own scaled within each group."""
        total = np.zeros(rollouts)
        for name, (module, weight) in self.rewards.items():
            values = (
                scaled(scores[name], group) if module.SCALED else np.array([value or 0.0 for value in scores[name]])
            )
            total += weight * values
        return total


class _Look:
    """One look at a batch: equal motions and equal goals are looked at once, each of them alone."""

    def __init__(self, judge: Judge) -> None:
        self.judge = judge
        self._motions: dict[tuple[int, ...], Seen] = {}
        self._texts: dict[str, np.ndarray] = {}

    def at(self, goal: Goal, answer: Answer) -> Rollout:
        trace = parse(answer.text, self.judge.tokenizer.codes)
        rounds = trace.rounds if isinstance(trace, Trace) else trace.motions
        wanted = self.motion(tuple(goal.tokens))
        asked = demand(goal.text, wanted.phases)
        first, final = (
            (self.motion(trace.rounds[place].motion) if isinstance(trace, Trace) else None) for place in (0, -1)
        )
        missed = len(differences(asked, final.phases, self.judge.limits)) if asked and final else None
        return Rollout(
            goal.goal_id, goal.text, answer.text, self.judge.tokenizer.codes, len(answer.ids), len(rounds),
            self.text(goal.text), wanted.point,
            first.point if first else None, final.point if final else None, len(asked), missed,
        )  # fmt: skip

    def motion(self, codes: tuple[int, ...]) -> Seen:
        if codes not in self._motions:
            # In a batch, the number of neighbours would change its last bits, and scaling would blow those up.
            (features,) = self.judge.tokenizer.decode([codes])
            (point,) = self.judge.evaluator.embed_motions([features])
            self._motions[codes] = Seen(point, facts("", features, self.judge.limits).phases)
        return self._motions[codes]

    def text(self, words: str) -> np.ndarray:
        if words not in self._texts:
            (self._texts[words],) = self.judge.evaluator.embed_texts([words])
        return self._texts[words]


def _scored(name: str, module: ModuleType, rollouts: Sequence[Rollout]) -> list[float | None]:
    try:
        found = list(module.score(rollouts))
    except Exception as error:  # a plug-in of anybody: whatever it raises, the run ends with one sentence
        raise RewardError(f"reward '{name}' raises on {_culprit(module, rollouts)}: {error!r}") from error
    if len(found) != len(rollouts):
        raise RewardError(f"reward '{name}' gives {len(found)} scores for {len(rollouts)} rollouts; one each is due")
    for rollout, value in zip(rollouts, found, strict=True):
        if value is not None and not math.isfinite(value):
            raise RewardError(f"reward '{name}' gives {value} for {_told(rollout)}; a number or None is due")
    return found


def _culprit(module: ModuleType, rollouts: Sequence[Rollout]) -> str:
    """The first rollout that a reward raises on when asked about it alone, in words."""
    for rollout in rollouts:
        try:
            module.score([rollout])
        except Exception:  # as above
            return _told(rollout)
    return f"{len(rollouts)} rollouts together, though on none alone"


def _told(rollout: Rollout) -> str:
    return f"the rollout of goal '{rollout.goal_id}' that says {rollout.answer[:80]!r}"


def scaled(values: Sequence[float | None], group: int) -> np.ndarray:
    """Min-max within each run of `group` values; None gets the floor, 0, and so does a group without spread."""
    rows = np.array([np.nan if value is None else value for value in values], dtype=np.float64).reshape(-1, group)
    answer = np.zeros_like(rows)
    for row, out in zip(rows, answer, strict=True):
        known = ~np.isnan(row)
        if known.any() and (span := np.ptp(row[known])) > 0:
            out[known] = (row[known] - row[known].min()) / span
    return answer.reshape(-1)
