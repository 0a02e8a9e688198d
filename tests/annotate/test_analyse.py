"""An analysis asks for what its goal asks for, whichever way it is said."""

import asyncio
import dataclasses
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irg_core.annotate import analyse, verify
from irg_core.annotate.analyse import AnalyseParams
from irg_core.annotate.claims import claims
from irg_core.corpora import procedural
from irg_core.llm.kinematic import MODEL, Provider, Settings
from irg_core.records.annotation import Analysis, Caption, Rejection
from irg_core.records.motion import Phase

PARAMS = AnalyseParams(provider="kinematic", model=MODEL, seed=17, attempts=1)
ATTRIBUTES = ("action", "side", "direction", "count", "speed", "amplitude")


def caption(text: str, number: int = 0) -> Caption:
    return Caption(f"c/{number}", "c", number, text, "", "source")


def analysed(captions: list[Caption]) -> list[Analysis]:
    provider = Provider(MODEL, Settings())
    requests = analyse.questions(captions, PARAMS)
    replies = [analyse.read(request, asyncio.run(provider.complete(request)).text) for request in requests]
    return [reply for reply in replies if not isinstance(reply, Rejection)]


def essence(phases: list[Phase]) -> list[tuple[object, ...]]:
    def said(phase: Phase) -> tuple[object, ...]:
        values = [getattr(phase, name) for name in ATTRIBUTES]
        return (
            *("" if value == "normal" else value for value in values),
            "" if phase.turn != phase.turn else phase.turn,
        )

    return [said(phase) for phase in phases]


@pytest.fixture(scope="module")
def corpus() -> list[Caption]:
    takes = procedural.read(Path(procedural.__file__).with_suffix(".yaml"), clips=60, seed=5)
    texts = [source.text for take in takes for source in take.captions]
    return [caption(text, number) for number, text in enumerate(texts)]


def test_every_way_of_saying_it_asks_for_the_same(corpus: list[Caption]) -> None:
    said = [(row, text) for row in analysed(corpus) for text in [*row.paraphrases, row.detailed]]
    wrong = [text for row, text in said if essence(claims(text)) != essence(row.asked)]
    assert len(wrong) <= 0.01 * len(said), wrong[:10]


def test_three_paraphrases_are_three(corpus: list[Caption]) -> None:
    assert all(len({*row.paraphrases}) == 3 for row in analysed(corpus))


def test_an_analysis_is_terse_and_in_order() -> None:
    (row,) = analysed([caption("after quickly walking forward, a person kicks twice with the right leg.")])
    assert row.analysis == "1. walk: forward, fast, legs. 2. kick: twice, right leg."


def test_what_a_goal_leaves_open_stays_open() -> None:
    (row,) = analysed([caption("someone turns.")])
    assert "left" not in json.dumps(dataclasses.asdict(row))
    assert "degrees" not in json.dumps(dataclasses.asdict(row))


def test_a_goal_that_no_lexicon_reads_is_passed_on_in_its_own_words() -> None:
    (row,) = analysed([caption("a person does the moonwalk of a cat.")])
    assert row.asked == []
    assert all("moonwalk of a cat" in text for text in [row.analysis, row.detailed, *row.paraphrases])


@settings(max_examples=40)
@given(st.text(max_size=60))
def test_no_goal_makes_it_fall_over(text: str) -> None:
    """Words that give away how a text came about are refused; everything else is analysed."""
    rows = analysed([caption(f"a person {text} x")])
    assert all(row.analysis for row in rows)
    assert rows or verify.LEAKED.search(text) or verify.MARKED.search(text) or verify.FOREIGN.search(text)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("not json", "reply is no JSON object"),
        ('{"analysis": "walk"}', "reply breaks its schema"),
        ('{"analysis": "", "paraphrases": ["a", "b", "c"], "detailed": "d"}', "reply breaks its schema"),
        ('{"analysis": "a", "paraphrases": ["a", "b"], "detailed": "d"}', "reply breaks its schema"),
        ('{"analysis": "a", "paraphrases": ["a", "b", "c"], "detailed": "d", "more": 1}', "reply breaks its schema"),
    ],
)
def test_an_ill_formed_reply_is_a_rejection_with_its_reason(reply: str, reason: str) -> None:
    captions = [caption("someone jumps.")]
    (request,) = analyse.questions(captions, PARAMS)
    result = analyse.read(request, reply)
    assert isinstance(result, Rejection)
    assert result.reason == reason
