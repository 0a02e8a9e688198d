"""Runs claims about tables through Great Expectations, and says what broke: the only module that knows the library.

The library is kept quiet and local: no telemetry, no progress bars, nothing stored. Its own pages need the net for
their style, so verdicts are rendered by `page`.
"""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
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
    expected: str  # the arguments in words


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
    expected: str
    observed: str  # the values that were found, in words
    holds: bool
    rows: int
    violations: int
    samples: list[str]  # "<key> (<value>)" of the first rows that break it


def unique(column: str, sentence: str) -> Claim:
    return Claim(sentence, "ExpectColumnValuesToBeUnique", {"column": column}, "each once")


def between(column: str, low: float | None, high: float | None, sentence: str) -> Claim:
    """Both bounds belong to it."""
    arguments = {"column": column, "min_value": low, "max_value": high}
    return Claim(sentence, "ExpectColumnValuesToBeBetween", arguments, f"{column}: {_range(low, high)}")


def within(column: str, values: Sequence[Any], sentence: str) -> Claim:
    expected = "one of " + ", ".join(map(str, values))
    return Claim(sentence, "ExpectColumnValuesToBeInSet", {"column": column, "value_set": list(values)}, expected)


def always(column: str, sentence: str) -> Claim:
    """A column of booleans that must all be true."""
    return replace(within(column, [True], sentence), expected="in every row")


def rows_at_least(count: int, sentence: str) -> Claim:
    return Claim(sentence, "ExpectTableRowCountToBeBetween", {"min_value": count}, f"rows: at least {count}")


def _range(low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return f"at most {_number(high)}" if high is not None else f"at least {_number(low)}"
    return f"exactly {_number(low)}" if low == high else f"{_number(low)} to {_number(high)}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}" if value == round(value) else f"{value:.4g}"


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
        # The library can also name the rows that break a claim, but only by listing all of them: see `_samples`.
        shape = {"result_format": "BASIC", "partial_unexpected_count": SAMPLES}
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
    told = (table.name, claim.sentence, claim.expectation, claim.expected, _observed(table, claim))
    if answer is None:
        return Outcome(*told, True, 0, 0, [])
    result = answer["result"]
    samples = _samples(table, claim, result.get("partial_unexpected_list") or [])
    if answer["exception_info"].get("raised_exception", False):
        samples = [str(answer["exception_info"]["exception_message"])]
    violations = int(result.get("unexpected_count") or 0)
    return Outcome(*told, bool(answer["success"]), len(table.frame), violations, samples)


def _observed(table: Table, claim: Claim) -> str:
    """What was found where the claim looks; the library tells of column values only how many break a claim."""
    rows, name = len(table.frame), claim.arguments.get("column")
    if name is None or not rows:
        return f"{rows:,} rows"
    column = table.frame[name]
    if claim.expectation == "ExpectColumnValuesToBeBetween":
        return _range(column.min(), column.max())
    if claim.expectation == "ExpectColumnValuesToBeUnique":
        return f"{column.nunique():,} in {rows:,} rows"
    if column.dtype == bool:
        return f"in {column.sum():,} of {rows:,} rows"
    counted = column.value_counts().items()
    counts = sorted(((str(value), count) for value, count in counted), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{value} {count:,}" for value, count in counts[:SAMPLES])


def _samples(table: Table, claim: Claim, values: Sequence[Any]) -> list[str]:
    """The first rows with one of the values that break a claim: whether a claim holds depends on the value alone."""
    if not values:
        return []
    name = claim.arguments["column"]
    rows = table.frame.loc[table.frame[name].isin(values), list({table.key: 0, name: 0})].head(SAMPLES)
    return [_sample(row, table.key) for row in rows.to_dict("records")]


def _sample(row: dict[str, Any], key: str) -> str:
    values = [str(value) for name, value in row.items() if name != key and not isinstance(value, bool)]
    return f"{row[key]} ({', '.join(values)})" if values else str(row[key])
