"""validate_clips: hold clips, splits and facts against what must be true of them; a violation stops all training."""

from pathlib import Path

from irg_core.files import write_json, write_text
from irg_core.motion.ingest import IngestParams
from irg_core.params import names, section
from irg_core.records.motion import Clip, Facts, Split
from irg_core.summaries import summarise
from irg_core.tables import read, read_all
from irg_core.validation import clips as suite
from irg_core.validation import page as pages
from irg_core.validation import verdicts
from irg_core.validation.clips import ValidateClipsParams


def main(clips: Path, splits: Path, facts: Path, verdict: Path, page: Path) -> None:
    params = section("validate_clips", ValidateClipsParams)
    lengths = section("ingest", IngestParams)
    corpora = names("corpora")
    found, parts = read_all(clips, corpora, Clip), read(splits, Split)
    outcomes = verdicts.check(suite.tables(found, parts, read_all(facts, corpora, Facts), params, lengths))
    # The page is there also for what is broken: it names more rows than an error can.
    write_text(page, pages.render("Clips", outcomes))
    verdicts.raise_on_violation(outcomes)

    write_json(verdict, verdicts.verdict(outcomes, suite.counts(found, parts)))
    summarise("validate_clips", clips=len(found), expectations=len(outcomes))
