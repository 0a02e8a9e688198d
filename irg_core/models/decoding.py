"""Batched sampling with a cache. What may come next is decided for each row by a guide, so one loop serves all modes.

A row draws from randomness of its own, derived from (seed, its key): who else is in the batch changes nothing but the
last bits of its probabilities. Rows that are done leave the batch. Several answers to one prompt read it once: its keys
and values are computed in one row and copied to all that go on from there.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicLayer

from irg_core import dialogue
from irg_core.models.ahead import Ahead, ahead_of
from irg_core.models.language import Language
from irg_core.models.vocabulary import ASSISTANT, PAD, USER, Vocabulary
from irg_core.seeds import rng

Mode = Literal["motion", "text", "free", "enforced"]
"""One motion; text up to `<end>`; a trace whose motions hold codes only; a trace held to the whole grammar."""
Stop = Literal["single", "end", "satisfied", "rounds", "tokens"]
Heard = Callable[[str, int], None]
"""Is told each token as it is taken, with its row's key; for whoever reads along."""


@dataclass(frozen=True)
class Sampling:
    """How answers are drawn, and when enough is said."""

    seed: int
    temperature: float
    """0 takes the likeliest token; more is more varied."""
    top_p: float
    """Tokens are drawn from the likeliest that together have this probability, renormalised; 1 draws from all."""
    max_tokens: int
    """Of one answer; one that reaches it stops there, reason "tokens"."""
    max_codes: int
    """Of one motion, which then ends."""
    max_text: int
    """Tokens of one stretch of text in a trace with enforced grammar, which then ends."""
    max_rounds: int
    """Motions of one trace; one that wants more stops there, reason "rounds"."""
    batch: int
    """Rows that are decoded together. More is faster until the cache outgrows the memory's speed."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model said, token by token."""

    text: str
    ids: list[int]
    log_probs: list[float]  # of each id, at the temperature, among what it was drawn from
    stop: Stop
    kept: list[list[int]]  # what each id was drawn from, where `top_p` left less than its guide allowed; else empty

    def motions(self, vocabulary: Vocabulary) -> list[list[int]]:
        """Every motion that was begun, in order; the last one counts."""
        found: list[list[int]] = []
        for token in self.ids:
            if token == vocabulary.motion:
                found.append([])
            elif found and 0 <= token - vocabulary.first_code < vocabulary.codes:
                found[-1].append(token - vocabulary.first_code)
        return found


def generate(
    language: Language,
    prompts: Mapping[str, str],
    mode: Mode,
    sampling: Sampling,
    begun: Mapping[str, Sequence[int]] | None = None,
    heard: Heard | None = None,
) -> dict[str, Answer]:
    """The answer to each prompt, by key; a key also decides its row's randomness.

    `begun` puts the first tokens of some answers into the model's mouth; it goes on from there, and they stand in the
    answer with the log-probability 0. Raises `ValueError` where they break the mode's rules or leave nothing to be said
    (`leaves_something` tells beforehand).
    """
    symbols = Symbols(language.vocabulary)
    chats = {key: language.vocabulary.chat(prompt) for key, prompt in prompts.items()}
    for key, chat in chats.items():
        language.make_room(len(chat) + 1, f"the prompt of '{key}' and one token more")
    # Neighbours in length need the least padding.
    order = sorted(chats, key=lambda key: (len(chats[key]), key))
    answers: dict[str, Answer] = {}
    for start in range(0, len(order), sampling.batch):
        keys = order[start : start + sampling.batch]
        rows = [
            _Row(key, chats[key], GUIDES[mode](symbols, sampling), sampling, language.positions, heard) for key in keys
        ]
        for row in rows:
            row.begin(symbols, (begun or {}).get(row.key, ()))
        _decode(language, symbols, rows, sampling)
        answers |= {row.key: row.answer(language.vocabulary) for row in rows}
    return {key: answers[key] for key in prompts}


def leaves_something(language: Language, prompt: str, mode: Mode, sampling: Sampling, begun: Sequence[int]) -> bool:
    """Whether these tokens can be put into the model's mouth: they keep the mode's rules, and more can be said."""
    symbols, chat = Symbols(language.vocabulary), language.vocabulary.chat(prompt)
    row = _Row("", chat, GUIDES[mode](symbols, sampling), sampling, language.positions)
    try:
        row.begin(symbols, begun)
    except ValueError:
        return False
    return not row.is_done


class Symbols:
    """What can be allowed, as masks over the vocabulary [names, size] and as lists of ids that are forced."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        codes = range(vocabulary.first_code, vocabulary.first_code + vocabulary.codes)
        structure = [vocabulary.id(symbol) for symbol in (PAD, USER, ASSISTANT)]
        sets: dict[str, Sequence[int]] = {
            "any": [index for index in range(vocabulary.size) if index not in structure],
            "code": codes,
            "code or end": [*codes, vocabulary.motion_end],
            "text": vocabulary.plain,
            "text or end": [*vocabulary.plain, vocabulary.end],
            "spaced": vocabulary.spaced,
            "visible": vocabulary.visible,
        }
        for tag in ("[/analyze]", "[/assess]"):
            sets[f"text or {tag}"] = [*vocabulary.plain, vocabulary.id(tag)]
        self.index = {name: row for row, name in enumerate(sets)}
        self.masks = torch.zeros(len(sets), vocabulary.size, dtype=torch.bool)
        for row, ids in enumerate(sets.values()):
            self.masks[row, list(ids)] = True
        # Forced without their last space: in running text it belongs to the word that follows.
        self.assessment = vocabulary.encode(dialogue.ASSESSMENT.rstrip(" "))
        self.refinement = vocabulary.encode(dialogue.REFINEMENT.rstrip(" "))
        self.plans = {f"plan:{name}": vocabulary.encode(sentence) for name, sentence in dialogue.PLANS.items()}

    def allow(self, what: str | int, token: int) -> bool:
        return token == what if isinstance(what, int) else bool(self.masks[self.index[what], token])


Steps = Generator[str | int, int, None]
"""Yields what is allowed next, the name of a mask or one id that must come; is sent the id that was taken."""


class Guide(ABC):
    """Says for one row what may come next; `allowed` is None once all is said, and `stop` says why."""

    stop: Stop = "tokens"

    def __init__(self, symbols: Symbols, sampling: Sampling) -> None:
        self.symbols = symbols
        self.sampling = sampling
        self._steps = self.steps()
        self.allowed: str | int | None = next(self._steps)

    def take(self, token: int) -> None:
        try:
            self.allowed = self._steps.send(token)
        except StopIteration:
            self.allowed = None

    @abstractmethod
    def steps(self) -> Steps:
        """All that may be said, in order."""

    def codes(self) -> Steps:
        """The inside of a motion up to its end; the budget of codes ends it too."""
        vocabulary, said = self.symbols.vocabulary, 1
        yield "code"
        while said < self.sampling.max_codes:
            if (yield "code or end") == vocabulary.motion_end:
                return
            said += 1
        yield vocabulary.motion_end


class MotionGuide(Guide):
    """`<Motion>`, at least one code, `</Motion>`."""

    def steps(self) -> Steps:
        yield self.symbols.vocabulary.motion
        yield from self.codes()
        self.stop = "single"


class TextGuide(Guide):
    """Plain text up to `<end>`, or as long as a stretch of text may be."""

    def steps(self) -> Steps:
        said = 0
        while said < self.sampling.max_text:
            if (yield "text or end") == self.symbols.vocabulary.end:
                self.stop = "end"
                return
            said += 1


class FreeGuide(Guide):
    """Anything, but inside of a motion codes or its end: whether it makes a trace is what the model has to know."""

    def steps(self) -> Steps:
        vocabulary, motions = self.symbols.vocabulary, 0
        while (token := (yield "any")) != vocabulary.end:
            if token == vocabulary.motion:
                if (motions := motions + 1) > self.sampling.max_rounds:
                    self.stop = "rounds"
                    return
                yield from self.codes()
        self.stop = "satisfied"


class EnforcedGuide(Guide):
    """The grammar of a trace: the model writes the texts and the codes; its refinement decides whether it goes on."""

    def steps(self) -> Steps:
        grammar, motions, verdict = dialogue.Grammar(), 0, ""
        while not grammar.finished:
            symbol = verdict if len(grammar.allowed) > 1 else next(iter(grammar.allowed))
            if symbol == "plan:refine" and motions == self.sampling.max_rounds:
                self.stop = "rounds"
                return
            if symbol == dialogue.CODE:
                yield from self.codes()
                grammar.advance(symbol)
                symbol, motions = dialogue.MOTION_END, motions + 1
            elif symbol == dialogue.TEXT:
                grammar.advance(symbol)
                (symbol,) = grammar.allowed
                if symbol == "[/assess]":
                    verdict = yield from self.assess()
                else:
                    yield from self.text(symbol, "text")
            else:
                yield from _forced(self.symbols.plans.get(symbol) or [self.symbols.vocabulary.id(symbol)])
            grammar.advance(symbol)
        self.stop = "satisfied"

    def text(self, closing: str, first: str) -> Generator[str | int, int, str]:
        """A stretch of text that is not blank, then its closing tag; returns the text."""
        vocabulary, said = self.symbols.vocabulary, list[int]()
        end = vocabulary.id(closing)
        while len(said) < self.sampling.max_text:
            is_blank = not vocabulary.decode(said).strip()
            token = yield first if not said else "visible" if is_blank else f"text or {closing}"
            if token == end:
                return vocabulary.decode(said)
            said.append(token)
        yield end
        return vocabulary.decode(said)

    def assess(self) -> Generator[str | int, int, str]:
        """An assessment, a refinement, the closing tag; returns the plan that follows from them."""
        yield from _forced(self.symbols.assessment)
        vocabulary, said = self.symbols.vocabulary, [(yield "spaced")]
        marker = dialogue.REFINEMENT.rstrip(" ")
        while not vocabulary.decode(said).endswith(marker):
            if len(said) >= self.sampling.max_text:
                yield from _forced(self.symbols.refinement)
                break
            said.append((yield "text" if vocabulary.decode(said).strip() else "visible"))
        refinement = yield from self.text("[/assess]", "spaced")
        return "plan:stop" if refinement.removeprefix(" ") == dialogue.SENTINEL else "plan:refine"


def _forced(ids: Sequence[int]) -> Steps:
    for token in ids:  # noqa: UP028 - `yield from` a list cannot be sent the ids that were taken
        yield token


GUIDES: dict[Mode, type[Guide]] = {
    "motion": MotionGuide,
    "text": TextGuide,
    "free": FreeGuide,
    "enforced": EnforcedGuide,
}


def allowed_masks(symbols: Symbols, mode: Mode, sampling: Sampling, answer: Answer) -> Tensor:
    """What each id of an answer was drawn from [ids, vocabulary]: what its log-probabilities are among."""
    if answer.kept:
        masks = torch.zeros(len(answer.ids), symbols.vocabulary.size, dtype=torch.bool)
        for mask, kept in zip(masks, answer.kept, strict=True):
            mask[kept] = True
        return masks
    guide, allowed = GUIDES[mode](symbols, sampling), list[str | int | None]()
    for token in answer.ids:
        allowed.append(guide.allowed)
        guide.take(token)
    return _masks(symbols, allowed)


# ---- the loop --------------------------------------------------------------------------------------------------------


class _Row:
    """One answer in the making."""

    def __init__(
        self,
        key: str,
        prompt: list[int],
        guide: Guide,
        sampling: Sampling,
        positions: int,
        heard: Heard | None = None,
    ) -> None:
        self.key = key
        self.heard = heard
        self.prompt = prompt
        self.guide = guide
        self.draws = rng(sampling.seed, "answer", key).random(sampling.max_tokens)
        self.room = min(sampling.max_tokens, positions - len(prompt))
        self.is_cut = sampling.top_p < 1 and sampling.temperature > 0
        self.ids: list[int] = []
        self.log_probs: list[float] = []
        self.kept: list[list[int]] = []

    def begin(self, symbols: Symbols, ids: Sequence[int]) -> None:
        """Take tokens that are not the model's own: no text or motion among them is too long. Raises `ValueError` where
        the guide ends before they do, or would not have had one of them."""
        own = self.guide.sampling
        self.guide.sampling = replace(own, max_text=self.room, max_codes=self.room)
        for place, token in enumerate(ids):
            if self.is_done:
                raise ValueError(f"the beginning of answer '{self.key}' leaves nothing to be said")
            if self.guide.allowed is not None and not symbols.allow(self.guide.allowed, token):
                raise ValueError(f"the beginning of answer '{self.key}' breaks the rules with its token {place}")
            self.take(token, 0.0)
            if self.is_cut:
                self.kept.append([token])
        self.guide.sampling = own
        self.prompt = [*self.prompt, *ids]

    def take(self, token: int, log_prob: float) -> None:
        self.ids.append(token)
        self.log_probs.append(log_prob)
        self.guide.take(token)
        if self.heard is not None:
            self.heard(self.key, token)

    @property
    def is_done(self) -> bool:
        return self.guide.allowed is None or len(self.ids) == self.room

    def answer(self, vocabulary: Vocabulary) -> Answer:
        spoken = self.ids[:-1] if self.ids and self.ids[-1] == vocabulary.end else self.ids
        return Answer(vocabulary.decode(spoken), self.ids, self.log_probs, self.guide.stop, self.kept)


class _RoomyLayer(DynamicLayer):
    """Keys and values of one layer in a buffer with room to grow.

    The stock layer copies everything it holds for every token: with 64 traces that was two thirds of the time.
    """

    ROOM = 64
    keys: Tensor
    values: Tensor
    is_initialized: bool

    def __init__(self) -> None:
        super().__init__()
        self.length = 0

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        end = self.length + key_states.shape[2]
        if not self.is_initialized or end > self.keys.shape[2]:
            self.keys, self.values = self._grown(key_states, end), self._grown(value_states, end, of_values=True)
            self.is_initialized = True
        self.keys[:, :, self.length : end] = key_states
        self.values[:, :, self.length : end] = value_states
        self.length = end
        return self.keys[:, :, :end], self.values[:, :, :end]

    def _grown(self, like: Tensor, end: int, of_values: bool = False) -> Tensor:
        """A buffer for half as many positions again, holding what there was."""
        rows, heads, _, width = like.shape
        buffer = like.new_zeros(rows, heads, end + max(self.ROOM, end // 2), width)
        if self.is_initialized:
            buffer[:, :, : self.length] = (self.values if of_values else self.keys)[:, :, : self.length]
        return buffer

    def get_seq_length(self) -> int:
        return self.length


@torch.inference_mode()
def _decode(language: Language, symbols: Symbols, rows: list[_Row], sampling: Sampling) -> None:
    """Write the answers of a batch into its rows."""
    ahead, cache = ahead_of(language.model.eval()), Cache(layer_class_to_replicate=_RoomyLayer)
    ids, attention = _left_padded([row.prompt for row in rows], language.vocabulary.pad, language.model.device)
    logits, attention, positions = _read(ahead, cache, ids, attention)
    while True:
        tokens = _said(logits, symbols, rows, sampling)
        going = [index for index, row in enumerate(rows) if not row.is_done]
        if not going:
            return
        if len(going) < len(rows):
            kept = torch.tensor(going, device=logits.device)
            rows = [rows[index] for index in going]
            tokens, attention, positions = (part[kept] for part in (tokens, attention, positions))
            cache.batch_select_indices(kept)
        positions = positions + 1
        attention = torch.cat([attention, attention.new_ones(len(rows), 1)], dim=1)
        logits = ahead(cache, tokens[:, None], attention, positions)


def _read(ahead: Ahead, cache: Cache, ids: Tensor, attention: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Read each different prompt of [rows, longest] once, then go on with all rows: the logits of what comes next,
    attention, and the last position [rows, 1]."""
    different, rows = ids.unique(dim=0, return_inverse=True)
    one_of_each = torch.stack([(rows == place).nonzero()[0, 0] for place in range(len(different))])
    positions = (attention.cumsum(1) - 1).clamp(min=0)
    logits = ahead(cache, different, attention[one_of_each], positions[one_of_each])
    cache.batch_select_indices(rows)  # what is different comes sorted: also where no two are alike, rows trade places
    return logits[rows], attention, positions[:, -1:]


def _left_padded(prompts: Sequence[list[int]], pad: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Ids and attention [rows, longest], so that all prompts end in the same column."""
    longest = max(map(len, prompts))
    ids = torch.tensor([[pad] * (longest - len(prompt)) + prompt for prompt in prompts], device=device)
    attention = [[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    return ids, torch.tensor(attention, device=device)


def _said(logits: Tensor, symbols: Symbols, rows: Sequence[_Row], sampling: Sampling) -> Tensor:
    """One token for each row [rows], which takes it."""
    allowed = _masks(symbols, [row.guide.allowed for row in rows]).to(logits.device)
    scores = (logits.float() / (sampling.temperature or 1.0)).masked_fill(~allowed, -torch.inf)
    is_cut = sampling.top_p < 1 and sampling.temperature > 0
    if is_cut:
        scores = scores.masked_fill(~nucleus(scores, sampling.top_p), -torch.inf)
    log_probs = torch.log_softmax(scores, dim=1)
    tokens = log_probs.argmax(1) if sampling.temperature == 0 else _drawn(log_probs, rows)
    said = log_probs.gather(1, tokens[:, None])[:, 0]
    for place, (row, token, log_prob) in enumerate(zip(rows, tokens.tolist(), said.tolist(), strict=True)):
        row.take(token, log_prob)
        if is_cut:
            row.kept.append(scores[place].isfinite().nonzero()[:, 0].tolist())
    return tokens


def _drawn(log_probs: Tensor, rows: Sequence[_Row]) -> Tensor:
    """Inverse of the cumulative distribution: one draw a token, whatever the size of the vocabulary."""
    reached = log_probs.double().exp().cumsum(1)
    draws = torch.tensor([[row.draws[len(row.ids)]] for row in rows], device=log_probs.device)
    return (reached > draws * reached[:, -1:]).int().argmax(1)


def nucleus(scores: Tensor, top_p: float) -> Tensor:
    """The likeliest entries of each row [rows, vocabulary] that together reach the probability `top_p`; never none."""
    ordered, place = scores.softmax(1).sort(dim=1, descending=True, stable=True)
    is_kept = ordered.cumsum(1) - ordered < top_p
    return torch.zeros_like(is_kept).scatter(1, place, is_kept) & scores.isfinite()


def _masks(symbols: Symbols, allowed: Sequence[str | int | None]) -> Tensor:
    """One row of the vocabulary for each name of a mask, or id that must come."""
    masks = symbols.masks[[symbols.index[what] if isinstance(what, str) else 0 for what in allowed]]
    for row, what in enumerate(allowed):
        if isinstance(what, int):
            masks[row] = False
            masks[row, what] = True
    return masks


# ---- the composed loop of Stage 1 ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LoopPrompts:
    """Prompts of the atomic tasks, with {goal}, {motion} and {instruction} where those stand."""

    generate: str
    instruct: str
    refine: str


@dataclass(frozen=True, slots=True)
class Composed:
    """What the loop made of one goal."""

    motions: list[list[int]]
    instructions: list[str]
    stop: Stop

    def text(self) -> str:
        """The rounds as they would stand in a conversation."""
        said = [*self.instructions, *[""] * (len(self.motions) - len(self.instructions))]
        return "".join(dialogue.motion(codes) + words for codes, words in zip(self.motions, said, strict=True))


def compose(
    language: Language, goals: Mapping[str, str], prompts: LoopPrompts, sampling: Sampling
) -> dict[str, Composed]:
    """Generate, then ask for an instruction and refine, until nothing is left to refine or the rounds are used up."""
    first = {key: prompts.generate.format(goal=goal) for key, goal in goals.items()}
    motions = {key: [motion] for key, motion in _motions(language, first, sampling).items()}
    said: dict[str, list[str]] = {key: [] for key in goals}
    stops: dict[str, Stop] = {}
    for turn in range(1, sampling.max_rounds + 1):
        going = [key for key in goals if key not in stops]
        asked = {
            f"{key}|instruct{turn}": prompts.instruct.format(goal=goals[key], motion=dialogue.motion(motions[key][-1]))
            for key in going
        }
        for key, answer in zip(going, generate(language, asked, "text", sampling).values(), strict=True):
            said[key].append(answer.text)
            if answer.text.strip() == dialogue.SENTINEL:
                stops[key] = "satisfied"
            elif turn == sampling.max_rounds:
                stops[key] = "rounds"
        going = [key for key in going if key not in stops]
        refined = {
            f"{key}|refine{turn}": prompts.refine.format(
                goal=goals[key], motion=dialogue.motion(motions[key][-1]), instruction=said[key][-1]
            )
            for key in going
        }
        for key, motion in zip(going, _motions(language, refined, sampling).values(), strict=True):
            motions[key].append(motion)
    return {key: Composed(motions[key], said[key], stops[key]) for key in goals}


def _motions(language: Language, prompts: Mapping[str, str], sampling: Sampling) -> dict[str, list[int]]:
    answers = generate(language, prompts, "motion", sampling)
    return {key: answer.motions(language.vocabulary)[-1] for key, answer in answers.items()}
