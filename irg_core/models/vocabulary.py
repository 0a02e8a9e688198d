"""The words of the language model: pieces of text, and one token for each structural tag and each motion code.

The pieces are learned from our texts (byte-level BPE), or are a pretrained model's, of whatever kind. Learned ones come
behind the tags and codes, which so stay put whatever the texts; with a pretrained model these come behind its own.
"""

from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Self

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from irg_core import dialogue
from irg_core.errors import ModelError
from irg_core.files import write_json

PAD, USER, ASSISTANT, END = "<pad>", "<user>", "<assistant>", "<end>"
STRUCTURE = (PAD, USER, ASSISTANT, END, *dialogue.TAGS)


class Vocabulary:
    """Between texts and ids. `decode(encode(text)) == text` for any text."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self.pad, self.user, self.assistant, self.end = map(self.id, (PAD, USER, ASSISTANT, END))
        self.motion, self.motion_end = map(self.id, (dialogue.MOTION, dialogue.MOTION_END))
        self.first_code = self.id(dialogue.code(0))
        self.size: int = tokenizer.get_vocab_size()
        if self.id(dialogue.code(self.codes - 1)) != self.first_code + self.codes - 1:
            raise ModelError("the motion codes of the vocabulary do not follow one another; remake it")

    @classmethod
    def learn(cls, texts: Iterable[str], size: int, codes: int) -> Self:
        """Learn up to `size` pieces of text (bytes included) from texts, beside the tags and the codes."""
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        special = [*STRUCTURE, *map(dialogue.code, range(codes))]
        trainer = trainers.BpeTrainer(
            vocab_size=size + len(special),
            special_tokens=special,
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )
        tokenizer.train_from_iterator([*texts, *_fixed_texts()], trainer)
        return cls(tokenizer)

    @classmethod
    def load(cls, folder: Path) -> Self:
        path = folder / "tokenizer.json"
        if not path.exists():
            raise ModelError(f"{path} is missing; run `dvc repro train_base`")
        try:
            return cls(Tokenizer.from_file(str(path)))
        except Exception as error:  # the library has no kind of its own
            raise ModelError(f"{path} is no tokenizer ({error}); run `dvc repro train_base`") from error

    def save(self, folder: Path) -> None:
        """tokenizer.json, and what transformers' AutoTokenizer wants to know beside it."""
        self._tokenizer.save(str(folder / "tokenizer.json"))
        tokenizer_config = {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": PAD, "eos_token": END}
        write_json(folder / "tokenizer_config.json", tokenizer_config)

    def encode(self, text: str) -> list[int]:
        return self._tokenizer.encode(text, add_special_tokens=False).ids

    def encode_all(self, texts: Sequence[str]) -> list[list[int]]:
        """As `encode`, faster for many."""
        return [found.ids for found in self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]

    def decode(self, ids: Sequence[int]) -> str:
        return self._tokenizer.decode(list(ids), skip_special_tokens=False)

    def chat(self, prompt: str) -> list[int]:
        """The ids that an answer follows: `<user>prompt<assistant>`."""
        return [self.user, *self.encode(prompt), self.assistant]

    def id(self, symbol: str) -> int:
        """The id of one structural symbol or code."""
        if (found := self._tokenizer.token_to_id(symbol)) is None:
            raise ModelError(f"the vocabulary has no {symbol}; it was made for other tags: run `dvc repro train_base`")
        return int(found)

    @cached_property
    def codes(self) -> int:
        """How many motion codes there are."""
        count = 0
        while self._tokenizer.token_to_id(dialogue.code(count)) is not None:
            count += 1
        return count

    @cached_property
    def symbols(self) -> list[int]:
        """The ids of tags and motion codes: what no pretrained model knows."""
        return [*map(self.id, STRUCTURE), *range(self.first_code, self.first_code + self.codes)]

    @cached_property
    def plain(self) -> list[int]:
        """The ids of plain text; neither tags and codes nor the marks that a pretrained model has of its own."""
        marks = {index for index, token in self._tokenizer.get_added_tokens_decoder().items() if token.special}
        return [index for index in range(self.size) if index not in marks]

    @cached_property
    def spaced(self) -> list[int]:
        """The ids of plain text that begin with a space; a rare word comes as a space and its letters."""
        return [index for index, text in self._alone if text.startswith(" ")]

    @cached_property
    def visible(self) -> list[int]:
        """The ids of plain text that are more than white space."""
        return [index for index, text in self._alone if text.strip()]

    @cached_property
    def _alone(self) -> list[tuple[int, str]]:
        """Each id of plain text, and what it says on its own."""
        said = self._tokenizer.decode_batch([[index] for index in self.plain], skip_special_tokens=False)
        return list(zip(self.plain, said, strict=True))


def _fixed_texts() -> list[str]:
    """The sentences that every trace contains; repeated, so that they end up as few tokens."""
    return [*dialogue.PLANS.values(), dialogue.ASSESSMENT, f"{dialogue.REFINEMENT}{dialogue.SENTINEL}"] * 50
