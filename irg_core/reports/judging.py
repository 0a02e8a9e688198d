"""What a model accepts, right and flawed, in a sentence that can stand beside what became of its motions."""

from collections.abc import Mapping
from typing import Any

from irg_core.records.reasoning import Share

Shares = Mapping[tuple[str, str], Share]
"""By name and group."""


def judging(before: Shares | None, after: Shares | None, stopped: Mapping[str, Any], stops: Mapping[str, Any]) -> str:
    """From one model to the next; `stopped` and `stops` are their counts. Nothing of a model that does not judge."""
    if not after:
        return ""
    parts = [
        _share(f"accepts {motions}", _of(after, kind), _of(before or {}, kind))
        for motions, kind in (("right motions", "none"), ("flawed ones", "flawed"))
    ]
    told = [part for part in parts if part]
    if once := _once(stops):
        earlier = _once(stopped) if before else ""
        told.append(f"shows one motion and stops in {once} answers{f' (before: {earlier})' if earlier else ''}")
    return "; ".join(told)


def _of(shares: Shares, group: str) -> Share | None:
    return shares.get(("accepted", group))


def _share(told: str, after: Share | None, before: Share | None) -> str:
    if after is None:
        return ""
    earlier = f"; before: {before.value:.0%}" if before else ""
    return f"{told} in {after.value:.0%} (±{after.interval:.0%}{earlier})"


def _once(counts: Mapping[str, Any]) -> str:
    return f"{counts['motions'].get('1', 0)} of {counts['clips']}" if counts.get("motions") else ""
