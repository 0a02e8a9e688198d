"""Runs claims about tables through Great Expectations, and says what broke: the only module that knows the library.

The library is kept quiet and local: no telemetry, no progress bars, nothing stored. Its own pages need the net for
their style, so verdicts are rendered by `page`.
"""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from irg_core.errors import ValidationFailed

if TYPE_CHECKING:
    import pandas as pd

SAMPLES = 5
"""Rows that a violation names."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One thing that must be true of a table: the sentence, and the expectation that checks it."""

    sentence: str
    expectation: str  # a class of great_expectations.expectations
    arguments: dict[str, Any]


@dataclass(frozen=True)
class Table:
    """A frame of scalars, one row a thing, with the column that names the rows."""

    name: str
    key: str
    frame: "pd.DataFrame"
    claims: Sequence[Claim]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one claim."""

    table: str
    sentence: str
    expectation: str
    holds: bool
    rows: int
    violations: int
    samples: list[str]  # "<key> (<value>)" of the first rows that break it


def unique(column: str, sentence: str) -> Claim:
    return Claim(sentence, "ExpectColumnValuesToBeUnique", {"column": column})


def between(column: str, low: float | None, high: float | None, sentence: str) -> Claim:
    """Both bounds belong to it."""
    return Claim(sentence, "ExpectColumnValuesToBeBetween", {"column": column, "min_value": low, "max_value": high})


def within(column: str, values: Sequence[Any], sentence: str) -> Claim:
    return Claim(sentence, "ExpectColumnValuesToBeInSet", {"column": column, "value_set": list(values)})


def always(column: str, sentence: str) -> Claim:
    """A column of booleans that must all be true."""
    return within(column, [True], sentence)


def rows_at_least(count: int, sentence: str) -> Claim:
    return Claim(sentence, "ExpectTableRowCountToBeBetween", {"min_value": count})


def check(tables: Sequence[Table]) -> list[Outcome]:
    """The outcome of every claim, in order. A claim that cannot be computed does not hold."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"  # read once, when the library is imported
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    source = context.data_sources.add_pandas("tables")
    outcomes = []
    for table in tables:
        if table.frame.isna().any(axis=None):
            raise ValueError(
                f"the frame of '{table.name}' holds NaN, which every bound would let pass; count it instead"
            )
        # Nothing breaks a claim about the columns of an empty table: whether it may be empty is a claim of its own.
        is_void = [table.frame.empty and "column" in claim.arguments for claim in table.claims]
        batch = source.add_dataframe_asset(table.name).add_batch_definition_whole_dataframe("all")
        expectations = [
            getattr(gx.expectations, claim.expectation)(**claim.arguments, meta={"claim": index})
            for index, claim in enumerate(table.claims)
            if not is_void[index]
        ]
        suite = gx.ExpectationSuite(table.name, expectations=expectations)
        shape = {"result_format": "COMPLETE", "unexpected_index_column_names": [table.key]}
        found = batch.get_batch({"dataframe": table.frame}).validate(suite, result_format=shape).to_json_dict()
        answers = {answer["expectation_config"]["meta"]["claim"]: answer for answer in found["results"]}
        outcomes += [_outcome(table, claim, answers.get(index)) for index, claim in enumerate(table.claims)]
    return outcomes


def raise_on_violation(outcomes: Sequence[Outcome]) -> None:
    """Stop on the first broken claim, and name every other; the message says table, expectation and rows."""
    broken = [outcome for outcome in outcomes if not outcome.holds]
    if broken:
        lines = [
            f"table '{o.table}' breaks '{o.sentence}' ({o.expectation}): {o.violations} of {o.rows} rows, "
            f"e.g. {'; '.join(o.samples) or 'the whole table'}"
            for o in broken
        ]
        raise ValidationFailed("\n  ".join([f"{len(broken)} of {len(outcomes)} expectations are broken:", *lines]))


def verdict(outcomes: Sequence[Outcome], facts: dict[str, Any]) -> dict[str, Any]:
    """The verdict as JSON: without times or library versions, so that equal tables give equal bytes."""
    return {"holds": all(o.holds for o in outcomes), "facts": facts, "outcomes": [asdict(o) for o in outcomes]}


def _outcome(table: Table, claim: Claim, answer: dict[str, Any] | None) -> Outcome:
    if answer is None:
        return Outcome(table.name, claim.sentence, claim.expectation, True, 0, 0, [])
    result = answer["result"]
    unexpected = result.get("unexpected_index_list") or []
    samples = [_sample(row, table.key) for row in unexpected[:SAMPLES]]
    if answer["exception_info"].get("raised_exception", False):
        samples = [str(answer["exception_info"]["exception_message"])]
    return Outcome(
        table.name, claim.sentence, claim.expectation, bool(answer["success"]), len(table.frame),
        int(result.get("unexpected_count") or 0), samples,
    )  # fmt: skip


def _sample(row: dict[str, Any], key: str) -> str:
    values = [str(value) for name, value in row.items() if name != key and not isinstance(value, bool)]
    return f"{row[key]} ({', '.join(values)})" if values else str(row[key])
