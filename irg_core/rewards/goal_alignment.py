"""goal_alignment: how near the final motion lies to the goal's own motion; None for a malformed answer."""

from collections.abc import Sequence

import numpy as np

from irg_core.records.training import Rollout

SCALED = True
"""Distances mean nothing across goals: they are scaled within the group of one goal."""


def score(rollouts: Sequence[Rollout]) -> list[float | None]:
    return [_nearness(rollout) for rollout in rollouts]


def _nearness(rollout: Rollout) -> float | None:
    if rollout.motion_point is None:
        return None
    return -float(np.linalg.norm(rollout.goal_point - rollout.motion_point))
