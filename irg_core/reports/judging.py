"""What a model accepts, right and flawed, in a sentence that can stand beside what became of its motions."""

import math
from collections.abc import Mapping
from typing import Any

from irg_core.records.reasoning import Share

Shares = Mapping[tuple[str, str], Share]
"""By name and group."""


def judging(before: Shares | None, after: Shares | None, stopped: Mapping[str, Any], stops: Mapping[str, Any]) -> str:
    """From one model to the next; `stopped` and `stops` are their counts. Nothing of a model that does not judge."""
    if not after:
        return ""
    told = [_accepts(after, before or {})]
    if once := _once(stops):
        earlier = _once(stopped) if before else ""
        told.append(f"shows one motion and stops in {once} answers{f' (before: {earlier})' if earlier else ''}")
    return "; ".join(part for part in told if part)


def _accepts(after: Shares, before: Shares) -> str:
    right, flawed = _of(after, "none"), _of(after, "flawed")
    if right is None or flawed is None:
        return ""
    was = [_count(one) for kind in ("none", "flawed") if (one := _of(before, kind))]
    earlier = f" (before: {' and '.join(was)})" if len(was) == 2 else ""
    is_apart = right.value - flawed.value > math.hypot(right.interval, flawed.interval)
    verdict = "tells them apart" if is_apart else "does not tell them apart"
    return f"accepts {_count(right)} right and {_count(flawed)} flawed motions{earlier}: it {verdict}"


def _of(shares: Shares, group: str) -> Share | None:
    return shares.get(("accepted", group))


def _count(share: Share) -> str:
    return f"{share.value * share.n:.0f} of {share.n}"


def _once(counts: Mapping[str, Any]) -> str:
    return f"{counts['motions'].get('1', 0)} of {counts['clips']}" if counts.get("motions") else ""
