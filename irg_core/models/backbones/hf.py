"""Any causal language model of the hub, or in a folder of this machine: Gemma, Qwen, Llama, SmolLM and their like."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from irg_core.errors import ModelError
from irg_core.models import card, pretrained
from irg_core.models.language import Language
from irg_core.models.vocabulary import STRUCTURE

SHAPES: dict[str, tuple[str, dict[str, Any]]] = {
    "google/gemma-2-2b-it": ("gemma2", {}),  # the default shape of its kind
    "meta-llama/Llama-3.2-1B-Instruct": (
        "llama",
        {
            "vocab_size": 128256, "hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16,
            "num_attention_heads": 32, "num_key_value_heads": 8, "tie_word_embeddings": True,
        },
    ),
    "Qwen/Qwen2.5-0.5B-Instruct": (
        "qwen2",
        {
            "vocab_size": 151936, "hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 24,
            "num_attention_heads": 14, "num_key_value_heads": 2, "tie_word_embeddings": True,
        },
    ),
}  # fmt: skip
"""Kind and sizes of some models, so that a training can be planned before a byte of them is here."""


@dataclass(frozen=True)
class Settings:
    """`backbones.hf` in params.yaml."""

    name: str
    """`owner/name` on the hub, or a folder. The hub's key, where one is needed, is the environment's HF_TOKEN."""
    revision: str
    """Commit, tag or branch on the hub; a commit pins the weights. A folder has none: leave it `main`."""


def create(settings: Settings, texts: Sequence[str], codes: int, seed: int) -> Language:
    tokenizer, marks = pretrained.open_tokenizer(settings.name, settings.revision)
    model = pretrained.open_model(settings.name, settings.revision)
    is_local = Path(settings.name).is_dir()
    folder = card.read(Path(settings.name)) if is_local else None
    licence = pretrained.licence(settings.name, settings.revision)
    origin = card.Origin(
        Path(settings.name).name if is_local else f"{settings.name}, revision {settings.revision}",
        "" if is_local else settings.name,
        licence,
        folder.trainings if folder else (),
    )
    return pretrained.furnish(model, tokenizer, marks, codes, seed, origin)


def config(settings: Settings, codes: int) -> Any:
    """From a folder here, from what was downloaded before, or from `SHAPES`. Raises `ModelError` for any other."""
    from transformers import AutoConfig

    try:
        found = AutoConfig.from_pretrained(
            settings.name, revision=settings.revision, local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError) as error:
        if settings.name not in SHAPES:
            raise ModelError(
                f"the shape of {settings.name} is not known: it is no folder here and was never downloaded; known are"
                f" {', '.join(SHAPES)}"
            ) from error
        kind, sizes = SHAPES[settings.name]
        found = AutoConfig.for_model(kind, **sizes)
    found.get_text_config().vocab_size += len(STRUCTURE) + codes
    return found
