"""How far judges can be believed: what became of their judgements, and of every single statement in them."""

from collections import Counter
from typing import Any

from irg_core.annotate.verify import Verdict
from irg_core.records.annotation import Origin, Rejection

Row = dict[str, Any]


class Rates:
    """Judgements counted by who wrote them, with which prompt."""

    def __init__(self) -> None:
        self._rows: dict[str, Counter[str]] = {}
        self._reasons: dict[str, Counter[str]] = {}

    def add(self, origin: Origin, verdict: Verdict) -> None:
        """A judgement and what became of it."""
        counts = self._rows.setdefault(_name(origin), Counter())
        counts.update(judgements=1, **_statements(verdict))
        if verdict.rejection is not None:
            self.refuse(origin, verdict.rejection)

    def refuse(self, origin: Origin, rejection: Rejection) -> None:
        self._reasons.setdefault(_name(origin), Counter())[rejection.reason] += 1

    def refused(self) -> dict[str, int]:
        """All refusals by reason."""
        return dict(sorted(sum(self._reasons.values(), Counter[str]()).items()))

    def report(self) -> dict[str, Row]:
        """Shares and counts by "<provider>/<model> <prompt> v<version>"; shares of nothing are 1."""
        return {name: self._row(name) for name in sorted(self._rows)}

    def _row(self, name: str) -> Row:
        counts, reasons = self._rows[name], self._reasons.get(name, Counter())
        kept = counts["judgements"] - reasons.total()
        checkable = counts["supported"] + counts["contradicted"]
        return {
            "judgements": counts["judgements"],
            "kept": kept,
            "kept_share": _share(kept, counts["judgements"]),
            "refused": dict(sorted(reasons.items())),
            "statements": {kind: counts[kind] for kind in ("supported", "contradicted", "unverifiable")},
            "grounded_share": _share(counts["supported"], checkable),
            "checkable_share": _share(checkable, checkable + counts["unverifiable"]),
        }


def _name(origin: Origin) -> str:
    return f"{origin.provider}/{origin.model} {origin.prompt} v{origin.prompt_version}"


def _statements(verdict: Verdict) -> dict[str, int]:
    outcome = verdict.outcome
    return {
        "supported": outcome.supported, "contradicted": outcome.contradicted, "unverifiable": outcome.unverifiable,
    }  # fmt: skip


def _share(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else 1.0
