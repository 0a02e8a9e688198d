"""A language model small enough to be made for a test: untrained, but with every part of the real one."""

import pytest

from irg_core.models.language import Language, LanguageConfig
from irg_core.models.vocabulary import Vocabulary

CAPTIONS = ["a person walks forward.", "someone turns left, then jumps twice.", "a man waves with the right hand."]


@pytest.fixture(scope="session")
def vocabulary() -> Vocabulary:
    return Vocabulary.learn(CAPTIONS * 5, size=320, codes=16)


@pytest.fixture(scope="session")
def language(vocabulary: Vocabulary) -> Language:
    config = LanguageConfig(layers=2, width=32, heads=2, feed_forward=48, positions=512)
    return Language.create(config, vocabulary, seed=3)
