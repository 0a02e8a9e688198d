from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from irg_core import dialogue
from irg_core.errors import ModelError
from irg_core.models.vocabulary import STRUCTURE, Vocabulary


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_comes_back_as_it_was(text: str) -> None:
    vocabulary = _vocabulary()
    assert vocabulary.decode(vocabulary.encode(text)) == text


def test_tags_and_codes_are_one_token_each(vocabulary: Vocabulary) -> None:
    for symbol in [*STRUCTURE, *map(dialogue.code, range(16))]:
        assert vocabulary.encode(symbol) == [vocabulary.id(symbol)]
    assert vocabulary.codes == 16
    assert vocabulary.encode(dialogue.motion([0, 15])) == [
        vocabulary.motion,
        vocabulary.first_code,
        vocabulary.first_code + 15,
        vocabulary.motion_end,
    ]


def test_structure_keeps_its_ids_whatever_the_texts(vocabulary: Vocabulary) -> None:
    other = Vocabulary.learn(["zebras zigzag"], size=300, codes=16)
    assert [other.id(symbol) for symbol in STRUCTURE] == [vocabulary.id(symbol) for symbol in STRUCTURE]


def test_a_captions_pieces_are_the_same_inside_of_a_prompt(vocabulary: Vocabulary) -> None:
    chat = vocabulary.chat("a person walks forward.")
    assert chat == [vocabulary.user, *vocabulary.encode("a person walks forward."), vocabulary.assistant]


def test_a_saved_vocabulary_reads_the_same_here_and_in_transformers(vocabulary: Vocabulary, tmp_path: Path) -> None:
    vocabulary.save(tmp_path)
    text = f"<think>[plan]{dialogue.PLANS['analyse']}[/plan]{dialogue.motion([3])} wavesé\n"
    again = Vocabulary.load(tmp_path)
    theirs = AutoTokenizer.from_pretrained(tmp_path, local_files_only=True)
    assert vocabulary.encode(text) == again.encode(text) == theirs.encode(text, add_special_tokens=False)


def test_a_missing_vocabulary_says_where_it_comes_from(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="train_base"):
        Vocabulary.load(tmp_path)


def _vocabulary() -> Vocabulary:
    return Vocabulary.learn(["a person walks"], size=280, codes=4)
