"""What a stage that asks a language model has spent so far, read from its ledger while it grows."""

import json
from contextlib import suppress

from flows.messages import Counted
from flows.reports import Report, key
from irg_core.errors import ParamsError
from irg_core.llm.budget import Price, prices
from irg_core.llm.transcripts import path_of


class Purse:
    """Requests, tokens and dollars of one stage run."""

    def __init__(self, stage: str, item: str) -> None:
        self._ledger = path_of(stage, item) if item else None
        # What stands in it already was paid by an earlier run.
        self._read = self._ledger.stat().st_size if self._ledger and self._ledger.exists() else 0
        self._spent = {"requests": 0, "tokens in": 0, "tokens out": 0}
        self._usd: float | None = 0.0
        self._prices: dict[str, Price] | None = None

    def spent(self) -> dict[str, float]:
        """Empty for a stage that asks nobody."""
        if self._ledger is None or not self._ledger.exists():
            return {}
        with self._ledger.open("rb") as file:
            file.seek(self._read)
            content = file.read()
        whole = content[: content.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in whole.splitlines():
            self._add(json.loads(line))
        return dict(self._spent) | ({} if self._usd is None else {"US dollars": round(self._usd, 4)})

    def _add(self, line: dict[str, object]) -> None:
        tokens_in, tokens_out = int(str(line["tokens_in"])), int(str(line["tokens_out"]))
        self._spent["requests"] += 1
        self._spent["tokens in"] += tokens_in
        self._spent["tokens out"] += tokens_out
        if (tokens_in or tokens_out) and self._usd is not None:
            price = self._known().get(str(line["model"]))
            self._usd = self._usd + float(str(line["share"])) * price.of(tokens_in, tokens_out) if price else None

    def _known(self) -> dict[str, Price]:
        if self._prices is None:
            self._prices = {}
            with suppress(ParamsError):
                self._prices = prices()
        return self._prices


def live(of: str, counted: Counted, spent: dict[str, float]) -> Report:
    """How far a stage is, as a table that is written again and again."""
    rate = counted.rows / counted.seconds if counted.seconds else 0.0
    rows: dict[str, float | str] = {
        "work": counted.work.replace("_", " "),
        "rows": counted.rows,
        "rejected": counted.rejected,
        "rows a second": round(rate, 1),
    }
    if spent:
        asked = spent["requests"] / counted.seconds if counted.seconds else 0.0
        rows |= {**spent, "requests a second": round(asked, 1)}
    table = [{"what": what, "value": value} for what, value in rows.items()]
    return Report(key(of, "so far"), "table", f"{of}: how far it is", json.dumps(table))
