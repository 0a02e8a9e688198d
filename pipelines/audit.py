"""audit: show one corpus as it came through the door, with what was found wrong and what became of it."""

from pathlib import Path

from irg_core.files import write_text
from irg_core.motion.audit import AuditParams
from irg_core.params import section
from irg_core.records.annotation import Rejection
from irg_core.records.audit import Finding
from irg_core.records.motion import Clip, Split
from irg_core.reports import corpus as pages
from irg_core.summaries import summarise
from irg_core.tables import read, scan


def main(corpus: str, clips: Path, rejections: Path, findings: Path, splits: Path, copies: Path, page: Path) -> None:
    params = section("audit", AuditParams)
    found = [*read(findings, Finding), *(copy for copy in scan(copies, Finding) if copy.corpus == corpus)]
    shares = [split for split in scan(splits, Split) if split.corpus == corpus]
    made = pages.makeup(scan(clips, Clip))

    write_text(page, pages.render(corpus, made, read(rejections, Rejection), found, shares, params.rules))
    summarise("audit", corpus, clips=len(made.seconds), findings=pages.by_outcome(found))
