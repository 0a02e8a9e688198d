"""validate_clips: hold clips, splits and facts against what must be true of them; a violation stops all training."""

from itertools import chain
from pathlib import Path

from irg_core.files import write_json, write_text
from irg_core.motion.ingest import IngestParams
from irg_core.params import names, section
from irg_core.records.audit import Twin
from irg_core.records.motion import Clip, Facts, Split
from irg_core.summaries import summarise
from irg_core.tables import columns, read, scan
from irg_core.validation import clips as suite
from irg_core.validation import page as pages
from irg_core.validation import verdicts
from irg_core.validation.clips import ValidateClipsParams


def main(clips: Path, splits: Path, twins: Path, facts: Path, verdict: Path, page: Path) -> None:
    params = section("validate_clips", ValidateClipsParams)
    lengths = section("ingest", IngestParams)
    files = [f"{corpus}.parquet" for corpus in names("corpora")]
    found = [suite.seen(clip) for file in files for clip in scan(clips / file, Clip)]
    parts, copies = read(splits, Split), [Twin(**row) for row in columns(twins, Twin).to_pylist()]
    measured = chain.from_iterable(scan(facts / file, Facts) for file in files)
    outcomes = verdicts.check(suite.tables(found, parts, measured, copies, params, lengths))
    # The page is there also for what is broken: it names more rows than an error can.
    write_text(page, pages.render("Clips", outcomes))
    verdicts.raise_on_violation(outcomes)

    write_json(verdict, verdicts.verdict(outcomes, suite.counts(found, parts)))
    summarise("validate_clips", clips=len(found), expectations=len(outcomes))
