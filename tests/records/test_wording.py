"""When two captions say the same thing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from irg_core.records.wording import near_identical

LONG = "a person walks forward slowly with small steps and then waves with the left hand three times before bowing"


@pytest.mark.parametrize("other", ["A person waves.", "someone waves", "The man waves!"])
def test_who_moves_and_how_it_is_written_make_no_difference(other: str) -> None:
    assert near_identical(["a person waves"], [other], 0.9).all()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a person waves with the left hand", "a person waves with the right hand"),
        ("a person walks then jumps", "a person jumps then walks"),
        ("a person jumps twice", "a person jumps three times"),
        (LONG, LONG.replace("left", "right")),
        (LONG, LONG.replace("three", "two")),
    ],
)
def test_one_word_or_the_order_is_enough_to_differ(one: str, other: str) -> None:
    assert not near_identical([one], [other], 0.9).any()


@given(st.lists(st.text("abc ", max_size=12), min_size=1, max_size=5))
def test_likeness_is_mutual_and_of_each_with_itself(texts: list[str]) -> None:
    same = near_identical(texts, texts, 0.9)
    assert same.diagonal().all()
    assert (same == same.T).all()
