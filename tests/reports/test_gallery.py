"""Galleries: what is marked in a text, and what can be chosen."""

import numpy as np

from irg_core.reports.gallery import Column, Exhibit, Gallery, Mark, Saying
from irg_core.reports.player import Track

STILL = [Track("goal motion", np.zeros((4, 22, 3)))]


def exhibit(goal: str, **tags: str) -> Exhibit:
    return Exhibit(goal, "", "", tags, 0.0, STILL, [Column("Goal motion", "0.2 s")])


def test_what_facts_speak_against_is_marked_where_it_stands() -> None:
    said = Saying(
        "Assessment:",
        "It turns left & kicks twice.",
        [Mark("kicks twice", "contradicted"), Mark("turns left", "supported")],
    )
    assert said.marked == (
        'It <mark class="supported" title="supported by measured facts">turns left</mark> &amp; '
        '<mark class="contradicted" title="contradicted by measured facts">kicks twice</mark>.'
    )


def test_a_text_is_escaped_inside_and_outside_of_marks() -> None:
    said = Saying("", "<b>x</b> walks <i>", [Mark("walks <i>", "supported")])
    assert "<b>" not in said.marked
    assert "<i>" not in said.marked
    assert "&lt;b&gt;x&lt;/b&gt; " in said.marked


def test_marks_that_overlap_or_are_not_there_leave_the_text_whole() -> None:
    marks = [
        Mark("turns left", "supported"),
        Mark("left and", "contradicted"),
        Mark("jumps", "supported"),
        Mark(" ", "supported"),
    ]
    marked = str(Saying("", "turns left and walks", marks).marked)
    assert marked.count("<mark") == 1
    assert marked.startswith('turns <mark class="contradicted"'), "the gravest counts"


def test_only_tags_with_several_values_are_offered_with_their_numbers() -> None:
    shown = Gallery([
        exhibit("a", outcome="missed", action="walk"), exhibit("b", outcome="fulfilled", action="walk"),
        exhibit("c", outcome="missed", action="walk"),
    ])  # fmt: skip
    assert shown.choices == {"outcome": {"fulfilled": 1, "missed": 2}}
