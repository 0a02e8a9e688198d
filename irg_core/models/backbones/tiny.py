"""A small Llama made from scratch, over pieces of text that are learned from our own captions: the demo's default."""

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import LlamaConfig

from irg_core.models.language import Language, LanguageConfig
from irg_core.models.vocabulary import STRUCTURE, Vocabulary


@dataclass(frozen=True)
class Settings:
    """`backbones.tiny` in params.yaml."""

    pieces: int
    """Pieces of text in the vocabulary, beside tags and codes. More makes texts shorter and rare pieces unlearned."""
    net: LanguageConfig


def create(settings: Settings, texts: Sequence[str], codes: int, seed: int) -> Language:
    return Language.create(settings.net, Vocabulary.learn(texts, settings.pieces, codes), seed)


def config(settings: Settings, codes: int) -> LlamaConfig:
    return settings.net.llama(settings.pieces + len(STRUCTURE) + codes)
