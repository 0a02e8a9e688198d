"""validate_examples: hold annotations and examples against what must be true of them before Stages 1 to 3."""

from pathlib import Path

from irg_core.files import write_json, write_text
from irg_core.params import names, section
from irg_core.summaries import summarise
from irg_core.validation import examples as suite
from irg_core.validation import page as pages
from irg_core.validation import verdicts
from irg_core.validation.examples import Sources, ValidateExamplesParams


def main(
    captions: Path, analyses: Path, pairs: Path, verified: Path, splits: Path, twins: Path,
    stage1: Path, stage2: Path, stage3: Path, verdict: Path, page: Path,
) -> None:  # fmt: skip
    params = section("validate_examples", ValidateExamplesParams)
    files = [f"{corpus}.parquet" for corpus in names("corpora")]
    said, thought, shown, judged = (
        [folder / file for file in files] for folder in (captions, analyses, pairs, verified)
    )
    sources = Sources(
        said, thought, shown, judged, splits, twins, stage1, stage2, stage3, names("compose.tasks")
    )  # fmt: skip
    tables = sources.tables(params)
    outcomes = verdicts.check(tables)
    # The page is there also for what is broken: it names more rows than an error can.
    write_text(page, pages.render("Annotations and examples", outcomes))
    verdicts.raise_on_violation(outcomes)

    rows = {table.name: len(table.frame) for table in tables}
    write_json(verdict, verdicts.verdict(outcomes, suite.counts(tables)))
    summarise("validate_examples", pairs=rows["pairs"], examples=rows["stage1"], expectations=len(outcomes))
