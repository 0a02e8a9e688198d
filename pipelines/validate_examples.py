"""validate_examples: hold annotations and examples against what must be true of them before Stages 1 to 3."""

from pathlib import Path

from irg_core.files import write_json, write_text
from irg_core.params import names, section
from irg_core.records.annotation import Analysis, Assessment, Caption, Pair
from irg_core.records.motion import Split
from irg_core.records.training import Example, Goal
from irg_core.summaries import summarise
from irg_core.tables import read, read_all
from irg_core.validation import examples as suite
from irg_core.validation import page as pages
from irg_core.validation import verdicts
from irg_core.validation.examples import ValidateExamplesParams


def main(
    captions: Path, analyses: Path, pairs: Path, verified: Path, splits: Path,
    stage1: Path, stage2: Path, stage3: Path, verdict: Path, page: Path,
) -> None:  # fmt: skip
    params = section("validate_examples", ValidateExamplesParams)
    corpora = names("corpora")
    rows = suite.Annotated(
        read_all(captions, corpora, Caption), read_all(analyses, corpora, Analysis), read_all(pairs, corpora, Pair),
        read_all(verified, corpora, Assessment), read(splits, Split),
        read(stage1, Example), read(stage2, Example), read(stage3, Goal), names("compose.tasks"),
    )  # fmt: skip
    outcomes = verdicts.check(suite.tables(rows, params))
    # The page is there also for what is broken: it names more rows than an error can.
    write_text(page, pages.render("Annotations and examples", outcomes))
    verdicts.raise_on_violation(outcomes)

    write_json(verdict, verdicts.verdict(outcomes, suite.counts(rows)))
    summarise("validate_examples", pairs=len(rows.pairs), examples=len(rows.stage1), expectations=len(outcomes))
