"""What we render we can parse, what is wrong carries no loss, and nothing makes the parser fall over."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irg_core import dialogue
from irg_core.dialogue import CODE, PLANS, SENTINEL, TAGS, TEXT, Grammar, Malformed, Round, Trace

CODES = 32
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="<>[]"), min_size=1, max_size=40).filter(
    lambda text: text.strip() and text.strip() not in PLANS.values() and dialogue.REFINEMENT not in text
)
motions = st.lists(st.integers(0, CODES - 1), min_size=1, max_size=12).map(tuple)
flawed = st.builds(Round, motions, texts, texts.filter(lambda text: text != SENTINEL))
last = st.builds(Round, motions, texts, st.just(SENTINEL))
traces = st.builds(
    lambda analysis, rounds, end: Trace(analysis, (*rounds, end)), texts, st.lists(flawed, max_size=4), last
)


@given(traces)
def test_what_we_render_we_can_parse(trace: Trace) -> None:
    assert dialogue.parse(dialogue.render(trace), CODES) == trace


@given(traces)
def test_the_segments_are_the_text(trace: Trace) -> None:
    assert "".join(segment.text for segment in dialogue.segments(trace)) == dialogue.render(trace)


@given(traces)
def test_only_the_generate_blocks_of_flawed_motions_carry_no_loss(trace: Trace) -> None:
    silent = [segment.text for segment in dialogue.segments(trace) if not segment.supervised]
    assert silent == [f"[generate]{dialogue.motion(one.motion)}[/generate]" for one in trace.rounds[:-1]]
    spoken = "".join(segment.text for segment in dialogue.segments(trace) if segment.supervised)
    assert dialogue.motion(trace.rounds[-1].motion) in spoken
    for one in trace.rounds:
        assert one.assessment in spoken
        assert one.refinement in spoken


symbols = st.sampled_from(
    [*TAGS, *PLANS.values(), SENTINEL, dialogue.ASSESSMENT, dialogue.REFINEMENT, "<Motion_3>", "<Motion_999>",
     "<Motion_٣>", "<Motion_>", "<Motion_99999999999999999999>", "words", " ", "\n"]
)  # fmt: skip


@settings(max_examples=300)
@given(st.lists(symbols, max_size=40).map("".join))
def test_random_streams_are_malformed_and_never_an_error(text: str) -> None:
    result = dialogue.parse(text, CODES)
    if isinstance(result, Trace):
        assert dialogue.parse(dialogue.render(result), CODES) == result
    else:
        assert result.reason


@given(traces, st.data())
def test_a_trace_without_one_of_its_symbols_is_no_trace(trace: Trace, data: st.DataObject) -> None:
    text = dialogue.render(trace)
    tag = data.draw(st.sampled_from([tag for tag in TAGS if tag in text]))
    place = data.draw(st.sampled_from([i for i in range(len(text)) if text.startswith(tag, i)]))
    assert isinstance(dialogue.parse(text[:place] + text[place + len(tag) :], CODES), Malformed)


@given(traces)
def test_a_code_outside_of_the_codebook_is_malformed(trace: Trace) -> None:
    largest = max(code for one in trace.rounds for code in one.motion)
    result = dialogue.parse(dialogue.render(trace), codes=largest)
    assert isinstance(result, Malformed)
    assert "outside" in result.reason


def test_the_motions_before_a_fault_are_kept() -> None:
    text = dialogue.render(Trace("walk", (Round((1, 2), "no", "faster"), Round((3,), "yes", SENTINEL))))
    cut = text[: text.rindex("[generate]")]
    assert dialogue.parse(cut, CODES) == Malformed(reason="the text ends where [generate] was due", motions=((1, 2),))


def test_a_trace_may_not_stop_with_something_left_to_refine() -> None:
    text = dialogue.render(Trace("walk", (Round((1,), "fine", SENTINEL),)))
    assert isinstance(dialogue.parse(text.replace(SENTINEL, "Walk faster."), CODES), Malformed)


def test_a_trace_may_not_go_on_when_nothing_is_left_to_refine() -> None:
    text = dialogue.render(Trace("walk", (Round((1,), "slow", "Walk faster."), Round((3,), "yes", SENTINEL))))
    assert isinstance(dialogue.parse(text.replace("Walk faster.", SENTINEL), CODES), Malformed)


def test_a_trace_that_cannot_be_read_back_is_not_rendered() -> None:
    with pytest.raises(ValueError, match="grammar"):
        dialogue.render(Trace("see [plan]", (Round((1,), "fine", SENTINEL),)))
    with pytest.raises(ValueError, match="grammar"):
        dialogue.render(Trace("walk", (Round((), "fine", SENTINEL),)))


@given(st.data())
def test_whoever_follows_the_grammar_ends_with_a_trace(data: st.DataObject) -> None:
    grammar, steps, motion_count = Grammar(), list[str](), 0
    while not grammar.finished:
        symbol = data.draw(st.sampled_from(sorted(grammar.allowed)))
        if symbol == "plan:refine" and motion_count > 2:
            symbol = "plan:stop"
        motion_count += symbol == dialogue.MOTION
        if symbol == CODE and steps[-6:] == [CODE] * 6:
            symbol = dialogue.MOTION_END
        grammar.advance(symbol)
        steps.append(symbol)
    assert steps[0] == "<think>"
    assert steps[-1] == "</think>"
    assert steps.count(TEXT) == 1 + steps.count("[assess]")
    with pytest.raises(ValueError, match="nothing"):
        grammar.advance(TEXT)
