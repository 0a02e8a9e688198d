"""Randomness belongs to a row."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from irg_core.seeds import derive, rng


def test_the_draws_of_a_row_are_written_in_stone() -> None:
    # A change of these numbers would change every dataset: it must be a decision, not an accident.
    assert derive(17, "procedural/000001") == 12817162612474355324
    assert rng(17, "a", 3).integers(0, 1000, 4).tolist() == [846, 16, 121, 571]


@given(st.lists(st.text(max_size=5), min_size=2, max_size=2, unique=True))
def test_rows_draw_independently(keys: list[str]) -> None:
    one, two = (rng(1, key).random(8) for key in keys)
    assert not np.array_equal(one, two)


def test_a_key_of_two_parts_is_not_their_concatenation() -> None:
    assert derive(1, "ab", "c") != derive(1, "a", "bc")
