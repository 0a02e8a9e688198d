"""Claims about tables: which rows break them, and what the page and the error say."""

import pandas as pd
import pytest

from irg_core.errors import ValidationFailed
from irg_core.validation import page
from irg_core.validation.verdicts import (
    Table,
    always,
    between,
    check,
    raise_on_violation,
    rows_at_least,
    unique,
    verdict,
    within,
)

CLAIMS = [
    rows_at_least(1, "there are rows"),
    unique("key", "a key occurs once"),
    between("number", 0, 10, "numbers are small"),
    within("word", ["a", "b"], "words are known"),
    always("is_good", "rows are good"),
]


def table(rows: list[tuple[str, float, str, bool]]) -> Table:
    return Table("things", "key", pd.DataFrame(rows, columns=["key", "number", "word", "is_good"]), CLAIMS)


def test_what_is_true_holds(capfd: pytest.CaptureFixture[str]) -> None:
    outcomes = check([table([("x", 1, "a", True), ("y", 10, "b", True)])])
    assert [outcome.holds for outcome in outcomes] == [True] * 5
    raise_on_violation(outcomes)
    assert "Calculating" not in "".join(capfd.readouterr()), "no progress bars"


def test_each_violation_names_table_expectation_and_rows() -> None:
    outcomes = check([table([("x", 11, "a", True), ("y", 2, "c", False), ("y", 3, "b", True)])])
    assert [outcome.holds for outcome in outcomes] == [True, False, False, False, False]
    with pytest.raises(ValidationFailed) as failure:
        raise_on_violation(outcomes)
    said = str(failure.value)
    assert "4 of 5 expectations are broken" in said
    assert "table 'things' breaks 'numbers are small' (ExpectColumnValuesToBeBetween): 1 of 3 rows, e.g. x (11" in said
    assert "'a key occurs once' (ExpectColumnValuesToBeUnique): 2 of 3 rows, e.g. y" in said
    assert "e.g. y (c)" in said


def test_each_outcome_says_what_was_expected_and_what_was_found() -> None:
    outcomes = check([table([("x", 11, "a", True), ("y", 2, "c", False), ("y", 3, "c", True)])])
    assert [(outcome.expected, outcome.observed) for outcome in outcomes] == [
        ("rows: at least 1", "3 rows"),
        ("each once", "2 in 3 rows"),
        ("number: 0 to 10", "2 to 11"),
        ("one of a, b", "c 2, a 1"),
        ("in every row", "in 2 of 3 rows"),
    ]


def test_nan_in_a_frame_is_a_bug_because_every_bound_would_let_it_pass() -> None:
    with pytest.raises(ValueError, match="'things' holds NaN"):
        check([table([("x", float("nan"), "a", True)])])


def test_an_empty_table_breaks_only_the_claim_that_it_is_not() -> None:
    assert [outcome.holds for outcome in check([table([])])] == [False, True, True, True, True]


def test_equal_tables_give_equal_verdicts() -> None:
    rows = [("x", 1.0, "a", True)]
    one, two = (verdict(check([table(rows)]), {"rows": 1}) for _ in range(2))
    assert one == two
    assert one["holds"]


def test_the_page_shows_every_claim_and_fetches_nothing() -> None:
    html = page.render("Things", check([table([("<x>", 11, "a", True)])]))
    assert "1 of 5 expectations are broken" in html
    assert "&lt;x&gt; (11" in html
    assert "http" not in html
