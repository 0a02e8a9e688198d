"""The language model: a small Llama over texts and motion codes, made from scratch, kept as transformers keeps it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM
from transformers.utils.logging import disable_progress_bar

from irg_core.errors import ModelError
from irg_core.models.vocabulary import Vocabulary

disable_progress_bar()
# Plain attention: on CPU the fused one is slower backwards, most of all at the short lengths of this task.
ATTENTION = "eager"


@dataclass(frozen=True)
class LanguageConfig:
    """The sizes of a model made from scratch."""

    layers: int
    width: int
    """Numbers in a hidden state; a multiple of heads. Time grows with its square."""
    heads: int
    feed_forward: int
    """Numbers between the two halves of each feed-forward layer."""
    positions: int
    """The longest sequence, in tokens, that any stage may ask for."""


class Language:
    """A causal language model and its vocabulary."""

    def __init__(self, model: Any, vocabulary: Vocabulary) -> None:
        self.model = model
        self.vocabulary = vocabulary

    @classmethod
    def create(cls, config: LanguageConfig, vocabulary: Vocabulary, seed: int) -> Self:
        """Random weights. Input and output embeddings are one matrix: rows of codes are trained from both ends."""
        llama = LlamaConfig(
            vocab_size=vocabulary.size,
            hidden_size=config.width,
            intermediate_size=config.feed_forward,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            max_position_embeddings=config.positions,
            tie_word_embeddings=True,
            pad_token_id=vocabulary.pad,
            bos_token_id=None,
            eos_token_id=vocabulary.end,
            attn_implementation=ATTENTION,
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed % 2**63)
            model = LlamaForCausalLM(llama)
        return cls(model, vocabulary)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """From local files only. Raises `ModelError` where the folder holds no model or another vocabulary's."""
        vocabulary = Vocabulary.load(folder)
        try:
            model = AutoModelForCausalLM.from_pretrained(
                folder, local_files_only=True, dtype=torch.float32, attn_implementation=ATTENTION
            )
        except (OSError, ValueError) as error:
            raise ModelError(f"{folder} holds no language model ({error}); run `dvc repro`") from error
        if (known := model.config.vocab_size) != vocabulary.size:
            raise ModelError(f"{folder}: the model knows {known} tokens, its vocabulary {vocabulary.size}; remake it")
        return cls(model, vocabulary)

    def save(self, folder: Path) -> None:
        self.model.save_pretrained(folder)
        self.vocabulary.save(folder)
