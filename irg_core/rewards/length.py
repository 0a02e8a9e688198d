"""length: what an answer costs in tokens, those of all its rounds, with a minus; None for a malformed answer."""

from collections.abc import Sequence

from irg_core.dialogue import Trace, parse
from irg_core.records.training import Rollout

SCALED = True
"""Some goals need longer motions: the shortest of a group gets all, the longest nothing."""


def score(rollouts: Sequence[Rollout]) -> list[float | None]:
    return [-float(one.tokens) if isinstance(parse(one.answer, one.codes), Trace) else None for one in rollouts]
