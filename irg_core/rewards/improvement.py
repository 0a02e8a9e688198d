"""improvement: how much nearer the final motion lies to the goal's words than the first; None for a malformed answer.

An answer of one round gains and loses nothing: 0. Alone it would reward a bad beginning; weigh it beside an alignment.
"""

from collections.abc import Sequence

import numpy as np

from irg_core.records.training import Rollout

SCALED = True
"""Distances mean nothing across goals: they are scaled within the group of one goal."""


def score(rollouts: Sequence[Rollout]) -> list[float | None]:
    return [_gain(rollout) for rollout in rollouts]


def _gain(rollout: Rollout) -> float | None:
    if rollout.first_point is None or rollout.motion_point is None:
        return None
    far, near = (np.linalg.norm(rollout.text_point - point) for point in (rollout.first_point, rollout.motion_point))
    return float(far - near)
