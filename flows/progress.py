"""What a run shows: how far it is, its stages in a table, the pages it made, and how to do the same from the shell."""

import json
import re
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from flows.app import REPORTS
from flows.prefect_api import Api
from flows.rebuild import Work, slug
from flows.reports import UNDER_WAY, Report, link, said
from flows.server import address, running
from flows.telling import Teller
from irg_core.files import read_json
from irg_core.summaries import FOLDER as SUMMARIES

SKIPPED = re.compile(r"^Stage '(?P<stage>[^']+)' (didn't change|is cached)")
ENDED = re.compile(r"^(Generating|Updating) lock file")
"""From here on DVC holds the stage for done."""
BEGAN = re.compile(r"^Running stage '(?P<stage>[^']+)'")


PAGES = {
    "audit": "corpus/{item}.html",
    "validate_clips": "validation/clips.html",
    "validate_examples": "validation/examples.html",
    "report": "report.html",
}
"""Stages to the page of data/reports that a person opens first."""
Outcome = Literal["done", "failed", "cancelled"]


@dataclass
class Row:
    """One stage of the run."""

    stage: str
    outcome: str
    seconds: float | None
    result: str


class Progress:
    """Reads what `dvc repro` prints, and keeps two artifacts of the run up to date."""

    def __init__(self, work: Work, teller: Teller) -> None:
        self.work, self.teller = work, teller
        self.rows: dict[str, Row] = {}
        self._running = ""
        self._since = 0.0
        self._ids: dict[str, str] = {}
        self._total = 0

    def begin(self) -> None:
        text = f"The same from the shell:\n\n```bash\n{self.work.commands}\n```\n"
        if self.work.overlay:
            text += f"\n`{self.work.overlay}` holds what was changed in `params.yaml`.\n"
        self._show(Report(self._key("commands"), "markdown", "how to do the same from the shell", text))
        threading.Thread(target=self._count, name="count", daemon=True).start()
        self._tell()

    def read(self, line: str) -> None:
        if found := SKIPPED.match(line):
            self._close()
            self.rows[found["stage"]] = Row(found["stage"], "up to date", None, "")
        elif found := BEGAN.match(line):
            self._close()
            self._running, self._since = found["stage"], time.time()
            self.rows[self._running] = Row(self._running, UNDER_WAY, None, "")
        elif ENDED.match(line) and self._running:
            self._close()
        elif line.startswith("ERROR") and self._running:
            self._close("failed")
        else:
            return
        self._tell()

    def end(self, outcome: Outcome) -> None:
        """The run is over; a stage that was under way shares its outcome."""
        self._close(outcome)
        self._tell()
        if lines := [f"- {link(path, self._page())}" for path in self._pages()]:
            self._show(Report(self._key("pages"), "markdown", "pages to look at", "\n".join(lines)))

    def said(self) -> str:
        """One sentence of what was done."""
        ran = [row.stage for row in self.rows.values() if row.outcome == "done"]
        kept = len(self.rows) - len(ran)
        return f"{len(ran)} stages ran, {kept} were up to date" + (f": {', '.join(ran)}" if ran else "")

    def _close(self, outcome: Outcome = "done") -> None:
        if row := self.rows.get(self._running):
            row.outcome = outcome
            row.seconds = round(time.time() - self._since, 1)
            row.result = _summary(row.stage, self._since)
        self._running = ""

    def _tell(self) -> None:
        rows = [asdict(row) for row in self.rows.values()]
        self._show(Report(self._key("stages"), "table", "stages of this run", json.dumps(rows)))
        if self._total:
            done = sum(row.outcome in ("done", "up to date") for row in self.rows.values())
            percent = min(100.0, round(100 * done / self._total, 1))
            words = f"{done} of {self._total} stages"
            self._show(Report(self._key("progress"), "progress", words, json.dumps(percent)))

    def _count(self) -> None:
        """How many stages there are, found out beside the work; without it there is no bar."""
        targets = [target for step in self.work.steps for target in step.targets]
        command = [sys.executable, "-m", "flows.dvc", "count", *targets]
        with suppress(OSError, ValueError, subprocess.SubprocessError):
            self._total = int(subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout)
            self._tell()

    def _pages(self) -> list[Path]:
        """Of the stages of this run, whether they ran or were up to date."""
        named = [row.stage.partition("@") for row in self.rows.values() if row.outcome in ("done", "up to date")]
        pages = [REPORTS / PAGES[stage].format(item=item) for stage, _, item in named if stage in PAGES]
        return [page for page in pages if page.exists()]

    def _page(self) -> str:
        own = running()
        return own.page if own and own.api == address() else ""

    def _show(self, report: Report) -> None:
        def told(api: Api) -> None:
            if known := self._ids.get(report.key):
                api.patch(f"/artifacts/{known}", data=report.data, description=report.title)
            else:
                self._ids[report.key] = api.attach(self.teller.run, report)

        self.teller.tell(told)

    def _key(self, what: str) -> str:
        return slug(f"{self.work.title[:60]} {what}")


def _summary(stage: str, since: float) -> str:
    """What the stage says of itself, if this run wrote it."""
    path = Path(SUMMARIES) / f"{stage}.json"
    try:
        return said(read_json(path)) if path.stat().st_mtime >= since - 1 else ""
    except (OSError, ValueError):
        return ""
