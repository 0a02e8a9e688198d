"""When two captions say the same thing."""

from collections import Counter
from itertools import pairwise

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


CONTENT = st.lists(st.sampled_from(["a", "person", "walks", "left", "right", "twice"]), max_size=7).map(" ".join)


@given(st.lists(CONTENT, max_size=8), st.lists(CONTENT, max_size=8), st.sampled_from([0.0, 0.3, 0.5, 0.9, 1.0]))
def test_overlaps_are_those_of_grams_counted_one_by_one(texts: list[str], others: list[str], overlap: float) -> None:
    """Content words and neighbouring pairs, the ends of the sentence included, each as often as it occurs."""

    def grams(text: str) -> Counter[object]:
        content = ["", *(word for word in text.split() if word not in ("a", "person")), ""]
        return Counter([*content[1:-1], *pairwise(content)])

    def is_near(one: Counter[object], two: Counter[object]) -> bool:
        union = (one | two).total()
        return ((one & two).total() / union if union else 1.0) >= overlap

    expected = [[is_near(grams(one), grams(two)) for two in others] for one in texts]
    assert near_identical(texts, others, overlap).tolist() == expected
