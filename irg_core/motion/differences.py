"""What is asked and what is shown, held against one another phase by phase."""

from collections.abc import Sequence

import numpy as np

from irg_core.motion.actions import USED_IN_TEXTS
from irg_core.motion.lines import name
from irg_core.motion.thresholds import KinematicsParams
from irg_core.records.motion import Difference, Phase


def differences(asked: Sequence[Phase], shown: Sequence[Phase], limits: KinematicsParams) -> list[Difference]:
    """What is asked and not shown, phase by phase in order; an attribute that `asked` leaves empty cannot differ.

    A pause that nobody asked for is no difference. A `turn` asked without a direction compares by size alone.
    """
    found: list[Difference] = []
    tolerance = limits.turning.tolerance
    pairs = _aligned(asked, shown, tolerance)
    lost = [a for a, b in pairs if b is None and a is not None]
    spare = [b for a, b in pairs if a is None and b is not None and b.action != "stand"]
    for a, b in pairs:
        if a is not None and b is not None and a.action == b.action:
            found += _attributes(a, b, tolerance)
        elif a is not None and b is not None:
            found.append(Difference("action", a.action, name(a), name(b)))
    for a in lost:
        moved = next((b for b in spare if b.action == a.action), None)
        if moved is not None:
            spare.remove(moved)
            found.append(Difference("order", a.action, _place(a, asked), _place(moved, shown)))
        else:
            found.append(Difference("missing", a.action, name(a), ""))
    found += [Difference("extra", b.action, "", name(b)) for b in spare]
    return [difference for difference in found if difference.attribute in USED_IN_TEXTS]


def _place(phase: Phase, phases: Sequence[Phase]) -> str:
    position = next(i for i, other in enumerate(phases) if other is phase)
    return ("first", "second", "third", "fourth", "fifth")[min(position, 4)]


def _aligned(
    asked: Sequence[Phase], shown: Sequence[Phase], tolerance: float
) -> list[tuple[Phase | None, Phase | None]]:
    """The cheapest alignment in order: like with like, and only else one thing for another."""
    rows, columns = len(asked), len(shown)
    cost = np.zeros((rows + 1, columns + 1))
    cost[:, 0], cost[0, 1:] = np.arange(rows + 1), np.cumsum([_spare_cost(b) for b in shown])
    for i, a in enumerate(asked, start=1):
        for j, b in enumerate(shown, start=1):
            paired = cost[i - 1, j - 1] + _pair_cost(a, b, asked, shown, tolerance)
            cost[i, j] = min(paired, cost[i - 1, j] + 1.0, cost[i, j - 1] + _spare_cost(b))
    pairs: list[tuple[Phase | None, Phase | None]] = []
    i, j = rows, columns
    while i or j:
        pair = _pair_cost(asked[i - 1], shown[j - 1], asked, shown, tolerance) if i and j else np.inf
        if i and j and np.isclose(cost[i, j], cost[i - 1, j - 1] + pair):
            pairs.append((asked[i - 1], shown[j - 1]))
            i, j = i - 1, j - 1
        elif i and np.isclose(cost[i, j], cost[i - 1, j] + 1.0):
            pairs.append((asked[i - 1], None))
            i -= 1
        else:
            pairs.append((None, shown[j - 1]))
            j -= 1
    return pairs[::-1]


def _spare_cost(phase: Phase) -> float:
    return 0.3 if phase.action == "stand" else 1.0


def _pair_cost(a: Phase, b: Phase, asked: Sequence[Phase], shown: Sequence[Phase], tolerance: float) -> float:
    """Like with like is nearly free. One action stands for another only where neither occurs elsewhere."""
    if a.action == b.action:
        return 0.1 * len(_attributes(a, b, tolerance))
    elsewhere = any(a.action == other.action for other in shown) or any(b.action == other.action for other in asked)
    return 2.5 if elsewhere or b.action == "stand" else 1.2


def _attributes(a: Phase, b: Phase, tolerance: float) -> list[Difference]:
    found = []
    for attribute in ("side", "direction", "speed", "amplitude"):
        asked, shown = getattr(a, attribute), getattr(b, attribute)
        # A jump has no direction when it stays in place; that no speed was measured means that none was clear.
        decided = bool(shown) or attribute in ("side", "direction")
        if asked and decided and asked != shown:
            found.append(Difference(attribute, a.action, asked, shown or "in place"))
    if a.count and b.count and a.count != b.count:
        found.append(Difference("count", a.action, str(a.count), str(b.count)))
    if a.turn == a.turn and b.turn == b.turn and abs(abs(a.turn) - abs(b.turn)) > tolerance:
        found.append(Difference("turn", a.action, f"{abs(a.turn):.0f} degrees", f"{abs(b.turn):.0f} degrees"))
    return found
