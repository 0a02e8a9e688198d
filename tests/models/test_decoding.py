from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from irg_core import dialogue
from irg_core.dialogue import Malformed, Trace, parse
from irg_core.models.decoding import (
    GUIDES,
    LoopPrompts,
    Mode,
    Sampling,
    Symbols,
    allowed_masks,
    compose,
    generate,
)
from irg_core.models.language import Language

SAMPLING = Sampling(seed=5, temperature=1.0, max_tokens=400, max_codes=6, max_text=8, max_rounds=2, batch=8)
GOALS = {f"goal{index}": "a person walks forward." + " then waves." * (index % 3) for index in range(12)}


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_motion_mode_says_one_motion_and_nothing_else(language: Language, temperature: float) -> None:
    for answer in generate(language, GOALS, "motion", replace(SAMPLING, temperature=temperature)).values():
        (codes,) = answer.motions(language.vocabulary)
        assert 1 <= len(codes) <= SAMPLING.max_codes
        assert answer.text == dialogue.motion(codes)
        assert answer.stop == "single"


def test_text_mode_says_plain_text(language: Language) -> None:
    answers = generate(language, GOALS, "text", replace(SAMPLING, max_tokens=30))
    for answer in answers.values():
        assert not any(tag in answer.text for tag in [*dialogue.TAGS, "<Motion_", "<end>"])
        assert (answer.stop == "end") == (answer.ids[-1] == language.vocabulary.end)


def test_an_enforced_trace_is_one_even_from_an_untrained_model(language: Language) -> None:
    answers = generate(language, GOALS, "enforced", SAMPLING)
    for answer in answers.values():
        trace = parse(answer.text, language.vocabulary.codes)
        # An untrained model never finds the sentinel, so it goes on until the rounds are used up, and no further.
        assert answer.stop == "rounds"
        assert isinstance(trace, Malformed)
        assert "ends where" in trace.reason
        assert len(trace.motions) == SAMPLING.max_rounds


def test_the_sentinel_ends_an_enforced_trace(language: Language) -> None:
    symbols = Symbols(language.vocabulary)
    guide = GUIDES["enforced"](symbols, replace(SAMPLING, max_text=99))
    trace = Trace("walk", (dialogue.Round((1, 2), "it fits", dialogue.SENTINEL),))
    for token in language.vocabulary.encode(dialogue.render(trace)):
        assert _may_come(symbols, guide.allowed, token), language.vocabulary.decode([token])
        guide.take(token)
    assert (guide.allowed, guide.stop) == (None, "satisfied")


def test_a_refinement_makes_an_enforced_trace_go_on(language: Language) -> None:
    symbols = Symbols(language.vocabulary)
    guide = GUIDES["enforced"](symbols, replace(SAMPLING, max_text=99))
    rounds = (dialogue.Round((1,), "no", "turn left"), dialogue.Round((2,), "yes", dialogue.SENTINEL))
    for token in language.vocabulary.encode(dialogue.render(Trace("walk", rounds))):
        assert _may_come(symbols, guide.allowed, token), language.vocabulary.decode([token])
        guide.take(token)
    assert guide.stop == "satisfied"


def test_free_mode_leaves_all_but_the_inside_of_motions_to_the_model(language: Language) -> None:
    vocabulary = language.vocabulary
    codes = range(vocabulary.first_code, vocabulary.first_code + vocabulary.codes)
    answers = generate(language, {f"{n}": "walk" for n in range(64)}, "free", replace(SAMPLING, max_tokens=60))
    begun = 0
    for answer in answers.values():
        for before, after in pairwise(answer.ids):
            if before == vocabulary.motion:
                begun += 1
                assert after in codes
        assert len(answer.motions(vocabulary)) <= SAMPLING.max_rounds + 1
    assert begun > 0


@pytest.mark.parametrize("mode", ["motion", "free", "enforced"])
def test_an_answer_does_not_depend_on_its_company(language: Language, mode: Mode) -> None:
    short = replace(SAMPLING, max_tokens=60)
    together = generate(language, GOALS, mode, short)
    for key in ("goal0", "goal5"):
        alone = generate(language, {key: GOALS[key]}, mode, short)[key]
        assert alone.ids == together[key].ids
    smaller = generate(language, GOALS, mode, replace(short, batch=3))
    assert {key: answer.ids for key, answer in smaller.items()} == {key: a.ids for key, a in together.items()}


def test_the_seed_and_the_key_decide_what_is_drawn(language: Language) -> None:
    same = {"one": "walk", "other": "walk"}
    answers = generate(language, same, "text", replace(SAMPLING, max_tokens=20))
    assert answers["one"].ids != answers["other"].ids
    reseeded = generate(language, same, "text", replace(SAMPLING, max_tokens=20, seed=6))
    assert reseeded["one"].ids != answers["one"].ids


def test_the_cache_says_what_a_full_pass_says(language: Language) -> None:
    """Greedy answers and their log-probabilities against one pass over prompt and answer, without cache or padding."""
    greedy = replace(SAMPLING, temperature=0.0, max_tokens=40)
    symbols = Symbols(language.vocabulary)
    for key, answer in generate(language, GOALS, "free", greedy).items():
        chat = language.vocabulary.chat(GOALS[key])
        with torch.inference_mode():
            logits = language.model(torch.tensor([chat + answer.ids])).logits[0, len(chat) - 1 : -1]
        scores = logits.masked_fill(~allowed_masks(symbols, "free", greedy, answer.ids), -torch.inf)
        assert scores.argmax(1).tolist() == answer.ids
        taken = torch.tensor(answer.ids)[:, None]
        found = torch.log_softmax(scores, dim=1).gather(1, taken)[:, 0]
        torch.testing.assert_close(found, torch.tensor(answer.log_probs), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("mode", ["motion", "free", "enforced"])
def test_an_answer_that_is_begun_for_the_model_goes_on_as_its_own_would(language: Language, mode: Mode) -> None:
    """The first half of each answer is put into the model's mouth: it says the same second half."""
    short = replace(SAMPLING, temperature=0.0, max_tokens=40)
    own = generate(language, GOALS, mode, short)
    begun = {key: answer.ids[: len(answer.ids) // 2] for key, answer in own.items()}
    continued = generate(language, GOALS, mode, short, begun)
    assert {key: answer.ids for key, answer in continued.items()} == {key: answer.ids for key, answer in own.items()}
    assert {key: answer.text for key, answer in continued.items()} == {key: answer.text for key, answer in own.items()}


def test_a_beginning_must_leave_something_to_say(language: Language) -> None:
    whole = language.vocabulary.encode(dialogue.motion([1, 2]))
    with pytest.raises(ValueError, match="leaves nothing to be said"):
        generate(language, {"one": "walk"}, "motion", SAMPLING, {"one": [*whole, whole[-1]]})


def test_draws_follow_the_models_probabilities(language: Language) -> None:
    """First codes of 600 draws against the probabilities that the model gives them."""
    answers = generate(
        language, {f"{n}": "walk" for n in range(600)}, "motion", replace(SAMPLING, batch=200, max_codes=1)
    )
    vocabulary = language.vocabulary
    with torch.inference_mode():
        logits = language.model(torch.tensor([[*vocabulary.chat("walk"), vocabulary.motion]])).logits[0, -1]
    wanted = torch.softmax(logits[vocabulary.first_code : vocabulary.first_code + vocabulary.codes], 0)
    drawn = torch.bincount(torch.tensor([a.motions(vocabulary)[0][0] for a in answers.values()]), minlength=16) / 600
    assert (drawn - wanted).abs().max() < 0.05


def test_the_composed_loop_goes_on_until_its_rounds_are_used_up(language: Language) -> None:
    prompts = LoopPrompts("do {goal}", "mend {motion} for {goal}", "{instruction} with {motion} for {goal}")
    goals = {key: GOALS[key] for key in ("goal0", "goal1")}
    short = replace(SAMPLING, max_tokens=12)
    for told in compose(language, goals, prompts, short).values():
        assert told.stop == "rounds"
        assert len(told.motions) == short.max_rounds
        assert len(told.instructions) == short.max_rounds


def _may_come(symbols: Symbols, allowed: str | int | None, token: int) -> bool:
    if isinstance(allowed, int):
        return allowed == token
    assert allowed is not None
    return bool(symbols.masks[symbols.index[allowed], token])
