"""A joint space of sentences and motions: close means that the words fit the movement.

Two are trained from the start, of different architecture, because a judge that rewards must not be the only one that
reports. `evaluator_guo` and `evaluator_tmr` each define `MotionEncoder`, `TextEncoder` and `contrast`, their loss.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Self

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from irg_core.errors import ModelError
from irg_core.files import read_json, write_json
from irg_core.models import evaluator_guo, evaluator_tmr
from irg_core.records.wording import words

ARCHITECTURES: dict[str, ModuleType] = {"guo": evaluator_guo, "tmr": evaluator_tmr}
PATCH = 4
"""Frames that one motion token covers: clips are cropped to whole patches, so that a decoded clip and its source are
judged on the same footing."""
CONTACTS = 4
"""The last features, foot contacts, are dropped: they are near-binary and would dominate after normalising."""
BATCH = 64
PADDING, UNKNOWN = 0, 1


@dataclass(frozen=True)
class EvaluatorConfig:
    """The sizes of the nets."""

    architecture: str
    words: int
    width: int
    layers: int
    embedding: int


class Evaluator(nn.Module):
    """Both encoders, the words they know, and the statistics that normalise motions."""

    mean: Tensor
    std: Tensor

    def __init__(self, config: EvaluatorConfig, vocabulary: Sequence[str], features: int) -> None:
        super().__init__()
        design = ARCHITECTURES[config.architecture]
        self.config = config
        self.vocabulary = list(vocabulary)
        self._index = {word: index + UNKNOWN + 1 for index, word in enumerate(vocabulary)}
        self.motions = design.MotionEncoder(features - CONTACTS, config.width, config.layers, config.embedding)
        self.texts = design.TextEncoder(config.words, config.width, config.layers, config.embedding)
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("std", torch.ones(features))

    @classmethod
    def create(cls, kind: str, width: int, layers: int, embedding: int, captions: Sequence[str], stats: Any) -> Self:
        """An untrained evaluator that knows every word of `captions`; `stats` holds the train mean and std."""
        vocabulary = sorted({word for caption in captions for word in words(caption)})
        config = EvaluatorConfig(kind, len(vocabulary) + UNKNOWN + 1, width, layers, embedding)
        evaluator = cls(config, vocabulary, len(stats["mean"]))
        evaluator.mean.copy_(torch.tensor(stats["mean"], dtype=torch.float32))
        evaluator.std.copy_(torch.tensor(stats["std"], dtype=torch.float32))
        return evaluator

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a trained evaluator. Raises `ModelError` where the folder is incomplete or does not fit."""
        try:
            config = EvaluatorConfig(**read_json(folder / "config.json"))
            weights = load_file(folder / "weights.safetensors")
            evaluator = cls(config, read_json(folder / "vocabulary.json"), len(weights["mean"]))
            evaluator.load_state_dict(weights)
        except (OSError, ValueError, TypeError, RuntimeError, KeyError, SafetensorError) as error:
            raise ModelError(f"{folder} is no evaluator ({error}); `dvc repro train_evaluators` makes it") from error
        return evaluator.eval()

    def save(self, folder: Path) -> None:
        weights = {name: tensor.contiguous() for name, tensor in self.state_dict().items()}
        save_file(weights, folder / "weights.safetensors")
        write_json(folder / "config.json", asdict(self.config))
        write_json(folder / "vocabulary.json", self.vocabulary)

    def embed_motions(self, features: Sequence[np.ndarray]) -> np.ndarray:
        """Motions [frames, 263 or 251], not normalised, to points [n, embedding] float32."""
        return self._embed([self.motion_input(frames) for frames in features], self.motions)

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Sentences to points [n, embedding] float32; a word that training never saw counts as unknown."""
        return self._embed([self.text_input(text) for text in texts], self.texts)

    def motion_input(self, features: np.ndarray) -> Tensor:
        """Normalised frames [whole patches, 259 or 247]; a clip shorter than a patch holds its last frame."""
        if not len(features):
            raise ModelError("a motion without frames cannot be embedded; count it as a failure before")
        frames = torch.from_numpy(np.array(features, dtype=np.float32))
        frames = torch.cat([frames, frames[-1:].expand(max(0, PATCH - len(frames)), -1)])
        frames = frames[: len(frames) // PATCH * PATCH]
        return ((frames - self.mean) / self.std)[:, :-CONTACTS]

    def text_input(self, text: str) -> Tensor:
        return torch.tensor([self._index.get(word, UNKNOWN) for word in words(text)] or [UNKNOWN])

    @torch.inference_mode()
    def _embed(self, inputs: Sequence[Tensor], encoder: nn.Module) -> np.ndarray:
        # Neighbours in length share a batch: what is padding to one row is work for all.
        self.eval()
        order = sorted(range(len(inputs)), key=lambda row: len(inputs[row]))
        points = np.empty((len(inputs), self.config.embedding), dtype=np.float32)
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            points[rows] = encoder(*pad([inputs[row] for row in rows])).numpy()
        return points


def pad(rows: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Rows of unequal length as one tensor filled up with zeros, and their lengths."""
    return nn.utils.rnn.pad_sequence(list(rows), batch_first=True), torch.tensor([len(row) for row in rows])
