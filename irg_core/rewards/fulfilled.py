"""fulfilled: what the goal asks for, found in the final motion by measuring; no evaluator is asked.

1 where nothing differs, 1/2 with one difference, 1/3 with two; 0 for a malformed answer, and for all answers to a goal
that cannot be read. The metric of this name is then no independent witness any more: reports mark it.
"""

from collections.abc import Sequence

from irg_core.records.training import Rollout

SCALED = False
"""Counts as it is: a share that means the same for every goal."""


def score(rollouts: Sequence[Rollout]) -> list[float | None]:
    return [None if rollout.missed is None else 1 / (1 + rollout.missed) for rollout in rollouts]
