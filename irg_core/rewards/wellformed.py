"""wellformed: 1 for an answer that follows the grammar of a trace to the letter, else 0."""

from collections.abc import Sequence

from irg_core.dialogue import Trace, parse
from irg_core.records.training import Rollout

SCALED = False
"""Counts as it is: a group that is well-formed throughout shall get its full value."""


def score(rollouts: Sequence[Rollout]) -> list[float | None]:
    return [float(isinstance(parse(rollout.answer, rollout.codes), Trace)) for rollout in rollouts]
