from dataclasses import replace
from itertools import pairwise, permutations
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import Gemma2Config, Gemma2ForCausalLM
from transformers.cache_utils import Cache

from irg_core import dialogue
from irg_core.dialogue import Malformed, Trace, parse
from irg_core.models import decoding
from irg_core.models.ahead import Ahead, ahead_of
from irg_core.models.decoding import (
    GUIDES,
    LoopPrompts,
    Mode,
    Sampling,
    Symbols,
    allowed_masks,
    compose,
    generate,
    leaves_something,
    nucleus,
)
from irg_core.models.language import Language, LanguageConfig
from irg_core.models.vocabulary import Vocabulary
from irg_core.seeds import rng

SAMPLING = Sampling(seed=5, temperature=1.0, top_p=1.0, max_tokens=400, max_codes=6, max_text=8, max_rounds=2, batch=8)
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


# ---- with a cache, in batches, from a shared prompt, against one by one without --------------------------------------


@pytest.fixture(scope="module", params=["llama", "gemma2"])
def lively(request: pytest.FixtureRequest, vocabulary: Vocabulary) -> Language:
    """Weights so large that what comes next depends on all before it, or greedy answers were one token over and over.

    One of the architectures looks back 16 tokens in every other layer, and caps its logits.
    """
    if request.param == "llama":
        language = Language.create(LanguageConfig(2, 32, 2, 48, 512), vocabulary, seed=3)
    else:
        config = Gemma2Config(
            vocab_size=vocabulary.size, hidden_size=32, intermediate_size=48, num_hidden_layers=2, head_dim=16,
            num_attention_heads=2, num_key_value_heads=1, query_pre_attn_scalar=16, sliding_window=16,
            max_position_embeddings=512, pad_token_id=vocabulary.pad, bos_token_id=None, eos_token_id=vocabulary.end,
            attn_implementation="eager",
        )  # fmt: skip
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            language = Language(Gemma2ForCausalLM(config), vocabulary)
    with torch.no_grad():
        for name, weight in language.model.named_parameters():
            weight.mul_(12 if weight.ndim > 1 and "embed" not in name else 1)
    return language


def one_by_one(language: Language, prompt: str, mode: Mode, sampling: Sampling) -> list[int]:
    """The likeliest allowed tokens of one answer: all is read again for each, without cache or company."""
    symbols, chat, said = Symbols(language.vocabulary), language.vocabulary.chat(prompt), list[int]()
    guide = GUIDES[mode](symbols, sampling)
    while guide.allowed is not None and len(said) < sampling.max_tokens:
        with torch.inference_mode():
            logits = language.model(torch.tensor([chat + said])).logits[0, -1]
        allowed = [place for place in range(len(logits)) if _may_come(symbols, guide.allowed, place)]
        said.append(max(allowed, key=lambda place: float(logits[place])))
        guide.take(said[-1])
    return said


@pytest.mark.parametrize("mode", ["motion", "text", "free", "enforced"])
def test_greedy_answers_in_batches_are_those_of_one_by_one(lively: Language, mode: Mode) -> None:
    greedy = replace(SAMPLING, temperature=0.0, max_tokens=40)
    goals = {key: GOALS[key] for key in ("goal0", "goal1", "goal2", "goal3")}
    for key, answer in generate(lively, goals, mode, greedy).items():
        assert answer.ids == one_by_one(lively, GOALS[key], mode, greedy), key


def test_in_whatever_order_prompts_stand_each_row_goes_on_with_its_own(lively: Language) -> None:
    """Prompts of one length in every order, so that none of them stands where sorting would put it, in some."""
    greedy = replace(SAMPLING, temperature=0.0, max_tokens=40)
    prompts = ["x", "y", "z"]
    assert len({len(lively.vocabulary.chat(prompt)) for prompt in prompts}) == 1
    alone = {prompt: generate(lively, {"0": prompt}, "motion", greedy)["0"].ids for prompt in prompts}
    assert len({tuple(ids) for ids in alone.values()}) == 3, "answers that are all alike would show nothing"
    for order in permutations(prompts):
        found = generate(lively, {str(place): prompt for place, prompt in enumerate(order)}, "motion", greedy)
        assert [answer.ids for answer in found.values()] == [alone[prompt] for prompt in order], order


@pytest.mark.parametrize(("temperature", "top_p"), [(0.0, 1.0), (1.0, 1.0), (0.7, 0.6)])
@pytest.mark.parametrize("mode", ["free", "enforced"])
def test_the_cache_says_what_a_full_pass_says(lively: Language, mode: Mode, temperature: float, top_p: float) -> None:
    """Answers of four siblings each, and their log-probabilities, against one pass over prompt and answer."""
    asked = replace(SAMPLING, temperature=temperature, top_p=top_p, max_tokens=40)
    siblings = {f"{key}|{number}": words for key, words in list(GOALS.items())[:3] for number in range(4)}
    symbols, ends = Symbols(lively.vocabulary), set[tuple[int, ...]]()
    for key, answer in generate(lively, siblings, mode, asked).items():
        chat = lively.vocabulary.chat(siblings[key])
        with torch.inference_mode():
            logits = lively.model(torch.tensor([chat + answer.ids])).logits[0, len(chat) - 1 : -1]
        among = allowed_masks(symbols, mode, asked, answer)
        scores = (logits / (temperature or 1.0)).masked_fill(~among, -torch.inf)
        if temperature == 0:
            assert scores.argmax(1).tolist() == answer.ids
        taken = torch.tensor(answer.ids)[:, None]
        found = torch.log_softmax(scores, dim=1).gather(1, taken)[:, 0]
        torch.testing.assert_close(found, torch.tensor(answer.log_probs), atol=1e-4, rtol=1e-4)
        ends.add(tuple(answer.ids))
    assert len(ends) == (len(set(siblings.values())) if temperature == 0 else len(siblings))


def test_siblings_read_their_prompt_once(language: Language, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[tuple[int, ...]] = []

    def listening(model: Any) -> Ahead:
        ahead = ahead_of(model)

        def told(cache: Cache, ids: Tensor, *where: Tensor) -> Tensor:
            read.append(tuple(ids.shape))
            return ahead(cache, ids, *where)

        return told

    monkeypatch.setattr(decoding, "ahead_of", listening)
    asked = {f"{number}": GOALS[f"goal{number % 2}"] for number in range(8)}
    answers = generate(language, asked, "motion", SAMPLING)
    longest = max(len(language.vocabulary.chat(words)) for words in asked.values())
    assert read[0] == (2, longest), "each different prompt has one row"
    assert read[1] == (8, 1)
    assert [rows for rows, _ in read[1:]] == sorted((rows for rows, _ in read[1:]), reverse=True)
    alone = {key: generate(language, {key: words}, "motion", SAMPLING)[key].ids for key, words in asked.items()}
    assert {key: answer.ids for key, answer in answers.items()} == alone


def test_a_nucleus_is_the_fewest_likeliest_that_reach_its_share() -> None:
    scores = torch.log(torch.tensor([[0.1, 0.5, 0.15, 0.25], [0.25, 0.25, 0.25, 0.25], [0.97, 0.01, 0.01, 0.01]]))
    assert nucleus(scores, 0.75).tolist() == [
        [False, True, False, True],
        [True, True, True, False],
        [True] + [False] * 3,
    ]
    assert nucleus(scores, 0.01).sum(1).tolist() == [1, 1, 1]
    # What a mask forbids never comes in, however much of the share is left.
    assert (
        nucleus(scores.masked_fill(torch.tensor([True, True, False, False]), -torch.inf), 1.0).sum(1).tolist()
        == [2] * 3
    )


def test_nothing_is_drawn_from_outside_of_the_nucleus(language: Language) -> None:
    """Against the model's own probabilities: kept are the likeliest, and together they just reach the share."""
    asked = replace(SAMPLING, top_p=0.4, max_tokens=30)
    symbols = Symbols(language.vocabulary)
    for key, answer in generate(language, GOALS, "free", asked).items():
        chat = language.vocabulary.chat(GOALS[key])
        with torch.inference_mode():
            logits = language.model(torch.tensor([chat + answer.ids])).logits[0, len(chat) - 1 : -1]
        whole = allowed_masks(symbols, "free", asked, replace(answer, kept=[]))
        shares = logits.masked_fill(~whole, -torch.inf).softmax(1)
        for token, kept, share in zip(answer.ids, answer.kept, shares, strict=True):
            assert token in kept
            assert share[kept].sum() >= asked.top_p - 1e-5
            assert share[kept].sum() - share[kept].min() < asked.top_p + 1e-5
            assert share[kept].min() >= share[[place for place in range(len(share)) if place not in kept]].max() - 1e-6


def test_ten_thousand_random_streams_of_tokens_never_break_the_parser(language: Language) -> None:
    """Half of them anything, half of them tags and codes only; whatever it is, it is read, and few are traces."""
    vocabulary, draws = language.vocabulary, rng(7, "streams")
    symbols = [vocabulary.id(tag) for tag in dialogue.TAGS]
    symbols += range(vocabulary.first_code, vocabulary.first_code + vocabulary.codes)
    for number in range(10_000):
        chosen = symbols if number % 2 else range(vocabulary.size)
        text = vocabulary.decode(draws.choice(chosen, size=draws.integers(0, 60)).tolist())
        assert isinstance(parse(text, vocabulary.codes), Trace | Malformed)


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


def test_a_beginning_must_keep_the_rules(language: Language) -> None:
    vocabulary = language.vocabulary
    prompt, wordy = "a walk", [vocabulary.motion, *vocabulary.encode("walk")]
    with pytest.raises(ValueError, match="breaks the rules with its token 1"):
        generate(language, {"one": prompt}, "motion", SAMPLING, {"one": wordy})
    assert not leaves_something(language, prompt, "motion", SAMPLING, wordy)
    assert not leaves_something(language, prompt, "motion", SAMPLING, vocabulary.encode(dialogue.motion([1])))
    assert leaves_something(language, prompt, "motion", SAMPLING, vocabulary.encode(dialogue.motion([1]))[:-1])


def test_what_is_put_into_its_mouth_may_be_longer_than_what_a_model_may_say(language: Language) -> None:
    vocabulary, tight = language.vocabulary, replace(SAMPLING, max_codes=2, max_text=3, max_tokens=200)
    opening = dialogue.segments(dialogue.Trace("a person walks and walks and turns and walks again", ()))[0].text
    begun = vocabulary.encode(f"{opening}[generate]{dialogue.motion([1, 2, 3, 1, 2, 3])}[/generate]")
    (answer,) = generate(language, {"one": "walk"}, "enforced", tight, {"one": begun}).values()
    assert answer.ids[: len(begun)] == begun
    first, *others = answer.motions(vocabulary)
    assert first == [1, 2, 3, 1, 2, 3]
    assert others
    assert all(len(motion) <= 2 for motion in others)


def test_an_answer_ends_where_the_model_has_no_further_positions(vocabulary: Vocabulary) -> None:
    short = Language.create(LanguageConfig(layers=1, width=32, heads=2, feed_forward=48, positions=40), vocabulary, 3)
    prompts = {"long": "a person walks and walks and walks.", "short": "a person."}
    for key, answer in generate(short, prompts, "free", SAMPLING).items():
        asked = len(vocabulary.chat(prompts[key]))
        assert asked + len(answer.ids) <= 40
        assert answer.stop != "tokens" or asked + len(answer.ids) == 40


def test_what_was_begun_with_a_nucleus_can_be_trained_on(language: Language) -> None:
    sampling, symbols = replace(SAMPLING, top_p=0.9), Symbols(language.vocabulary)
    begun = [language.vocabulary.motion, language.vocabulary.first_code]
    answer = generate(language, {"a": "a walk"}, "motion", sampling, {"a": begun})["a"]
    masks = allowed_masks(symbols, "motion", sampling, answer)
    assert masks.shape[0] == len(answer.ids)
    assert masks[range(len(answer.ids)), answer.ids].all()


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
