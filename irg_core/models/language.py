"""The language model: a decoder over texts and motion codes, made from scratch or by others, kept as transformers does.

A folder with one opens in `AutoModelForCausalLM.from_pretrained` and `AutoTokenizer.from_pretrained` as it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from safetensors import SafetensorError
from torch import Tensor
from torch.nn import Parameter
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM
from transformers.utils.logging import disable_progress_bar

from irg_core.errors import ModelError
from irg_core.fingerprints import of_inputs, seal
from irg_core.models import adapters, card, folders
from irg_core.models.adapters import LoraParams
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

    def llama(self, pieces: int) -> LlamaConfig:
        """Input and output embeddings are one matrix: rows of codes are trained from both ends."""
        return LlamaConfig(
            vocab_size=pieces,
            hidden_size=self.width,
            intermediate_size=self.feed_forward,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            max_position_embeddings=self.positions,
            tie_word_embeddings=True,
            bos_token_id=None,
            attn_implementation=ATTENTION,
        )


class Language:
    """A causal language model, its vocabulary, and where it comes from."""

    def __init__(self, model: Any, vocabulary: Vocabulary, origin: card.Origin = card.SCRATCH) -> None:
        self.model = model
        self.vocabulary = vocabulary
        self.origin = origin

    @classmethod
    def create(cls, config: LanguageConfig, vocabulary: Vocabulary, seed: int) -> Self:
        """Random weights."""
        llama = config.llama(vocabulary.size)
        llama.pad_token_id, llama.eos_token_id = vocabulary.pad, vocabulary.end
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed % 2**63)
            model = LlamaForCausalLM(llama)
        return cls(model, vocabulary)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """From local safetensors only. Raises `ModelError` where the folder lacks a file, or its files do not match."""
        folders.check(folder, "run `dvc repro`")
        card.check(folder)
        folders.intact(folder, "run `dvc repro`")
        vocabulary = Vocabulary.load(folder)
        try:
            model, info = AutoModelForCausalLM.from_pretrained(
                folder,
                local_files_only=True,
                use_safetensors=True,
                trust_remote_code=False,
                dtype=torch.float32,
                attn_implementation=ATTENTION,
                output_loading_info=True,
            )
        except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
            raise ModelError(f"{folder} holds no language model ({error}); run `dvc repro`") from error
        if lost := sorted(info["missing_keys"]):
            raise ModelError(f"{folder}: its weights lack {lost[0]}; run `dvc repro`")
        if (known := model.config.get_text_config().vocab_size) != vocabulary.size:
            raise ModelError(f"{folder}: the model knows {known} tokens, its vocabulary {vocabulary.size}; remake it")
        return cls(model, vocabulary, card.read(folder))

    def save(self, folder: Path) -> None:
        """Weights, vocabulary and card. Adapters are merged first, and are gone from the model."""
        self.merge()
        self.model.save_pretrained(folder)
        self.vocabulary.save(folder)
        config = self.model.config.get_text_config()
        sizes = {
            "architecture": config.model_type,
            "parameters": sum(weight.numel() for weight in self.model.parameters()),
            "layers": config.num_hidden_layers,
            "tokens": self.vocabulary.size,
            "motion codes": self.vocabulary.codes,
            "positions": self.positions,
        }
        card.write(folder, self.origin, sizes)
        seal(folder)

    @property
    def positions(self) -> int:
        """The longest sequence that the model was made for, in tokens."""
        return int(self.model.config.get_text_config().max_position_embeddings)

    def make_room(self, tokens: int, wish: str) -> None:
        """Raise `ModelError` where `wish`, so many tokens, goes beyond the model's positions."""
        if tokens > self.positions:
            raise ModelError(f"{wish} takes {tokens} tokens; the model has room for {self.positions}")

    def speak(self, codes: int) -> None:
        """Raise `ModelError` where the motion tokenizer beside it has another number of codes."""
        if codes != self.vocabulary.codes:
            raise ModelError(
                f"the language model knows {self.vocabulary.codes} motion codes, the motion tokenizer {codes}; they"
                " were not made for one another: run `dvc repro`"
            )

    def begin(self, stage: str, inputs: Sequence[Path], lora: LoraParams | None, seed: int) -> None:
        """Before a training: note it on the card, and freeze all but adapters and the rows of symbols, if any."""
        self.origin = self.origin.after(stage, of_inputs(inputs), str(lora or ""))
        if lora is not None:
            self.model = adapters.adapt(self.model, lora, self.vocabulary.symbols, seed)

    def merge(self) -> None:
        """Put adapters into the weights that they stand beside."""
        if causal(self.model) is not self.model:
            self.model = adapters.merge(self.model)


def causal(model: Any) -> Any:
    """The causal language model itself, out of the adapters that may be wrapped around it; they stay at work."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def hidden_states(model: Any, **inputs: Any) -> Tensor:
    """The last hidden states [rows, positions, width], as the output head takes them; inputs as the model takes them.

    Without the head: at the vocabulary's size its logits are most of the memory, and few positions need them.
    """
    found: Tensor = causal(model).base_model(**inputs).last_hidden_state
    return found


def logits(model: Any, hidden: Tensor) -> Tensor:
    """Logits [..., vocabulary] of hidden states [..., width], with what an architecture does behind its head."""
    plain = causal(model)
    scores: Tensor = plain.get_output_embeddings()(hidden)
    config = plain.config.get_text_config()
    if (cap := getattr(config, "final_logit_softcapping", None)) is not None:  # Gemma 2
        scores = torch.tanh(scores / cap) * cap
    if (divisor := getattr(config, "logits_scaling", None)) is not None:  # Granite
        scores = scores / divisor
    if (factor := getattr(config, "logit_scale", None)) is not None:  # Cohere
        scores = scores * factor
    return scores


def trained(model: torch.nn.Module) -> list[Parameter]:
    """The parameters that learn: all of a model, or with adapters those alone."""
    return [weight for weight in model.parameters() if weight.requires_grad]
