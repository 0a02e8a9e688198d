"""A joint space of sentences and motions: close means that the words fit the movement.

Two are trained from the start, of different architecture, because a judge that rewards must not be the only one that
reports. A file `evaluator_<architecture>` defines `MotionEncoder`, `TextEncoder`, `contrast`, their loss, and `reads`:
how many numbers of a row the motion encoder sees. `evaluator_published` is never trained here and has no loss.
"""

from collections.abc import Callable, Mapping, Sequence
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
from irg_core.fingerprints import seal
from irg_core.models import (
    evaluator_essential,
    evaluator_guo,
    evaluator_published,
    evaluator_sentences,
    evaluator_tmr,
    folders,
)
from irg_core.records.wording import words

ARCHITECTURES: dict[str, ModuleType] = {
    "guo": evaluator_guo,
    "tmr": evaluator_tmr,
    "essential": evaluator_essential,
    "sentences": evaluator_sentences,
    "published": evaluator_published,
}
PATCH = 4
"""Frames that one motion token covers: clips are cropped to whole patches, so that a decoded clip and its source are
judged on the same footing."""
BATCH = 32
PADDING, UNKNOWN = 0, 1
TAGS = "tags.json"


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

    def __init__(
        self, config: EvaluatorConfig, vocabulary: Sequence[str], features: int, tags: Mapping[str, str] | None = None
    ) -> None:
        super().__init__()
        design = ARCHITECTURES[config.architecture]
        self.config = config
        self.vocabulary = list(vocabulary)
        self.tags = dict(tags or {})
        self._index = {word: index + UNKNOWN + 1 for index, word in enumerate(vocabulary)}
        self._reader = self._reader_of(design)
        self._read = design.reads(features)
        self.motions = design.MotionEncoder(self._read, config.width, config.layers, config.embedding)
        self.texts = design.TextEncoder(config.words, config.width, config.layers, config.embedding)
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("std", torch.ones(features))

    def _reader_of(self, design: ModuleType) -> Callable[[str], Tensor] | None:
        """Where a text is more than the indices of its words: what reads it."""
        if design is evaluator_published:
            return evaluator_published.Reader(self.vocabulary, self.tags)
        return evaluator_sentences.Reader() if design is evaluator_sentences else None

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
    def published(cls, root: Path, texts: Path) -> Self:
        """The field's evaluator from the files it was published as, and the `texts/` of the corpus it reads.

        Raises `ModelError` where a file is missing or does not fit.
        """
        files = (evaluator_published.CHECKPOINT, evaluator_published.STATISTICS, evaluator_published.VECTORS)
        checkpoint, mean, vectors = (evaluator_published.only(root, pattern) for pattern in files)
        vocabulary, known = evaluator_published.word_vectors(vectors.parent)
        stats = {name: np.load(mean.with_name(f"{name}.npy"), allow_pickle=False) for name in ("mean", "std")}
        state = evaluator_published.weights(checkpoint)
        state |= {name: torch.from_numpy(values.astype(np.float32)) for name, values in stats.items()}
        state["texts.vectors"] = torch.from_numpy(known)
        width, embedding = state["motions.movement.out_net.weight"].shape[0], state["texts.recurrent.output_net.3.bias"]
        config = EvaluatorConfig("published", len(vocabulary), width, 1, len(embedding))
        evaluator = cls(config, vocabulary, len(stats["mean"]), evaluator_published.tokens_of(texts))
        try:
            evaluator.load_state_dict(state)
        except RuntimeError as error:
            raise ModelError(f"{checkpoint} does not fit the statistics in {mean.parent} ({error})") from error
        return evaluator.eval()

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a trained evaluator. Raises `ModelError` where the folder is incomplete, damaged, or does not fit."""
        folders.intact(folder, "run `dvc repro train_evaluators`")
        try:
            config = EvaluatorConfig(**read_json(folder / "config.json"))
            weights = load_file(folder / "weights.safetensors")
            tags = read_json(folder / TAGS) if (folder / TAGS).exists() else {}
            evaluator = cls(config, read_json(folder / "vocabulary.json"), len(weights["mean"]), tags)
            evaluator.load_state_dict(weights)
        except (OSError, ValueError, TypeError, RuntimeError, KeyError, SafetensorError) as error:
            raise ModelError(f"{folder} is no evaluator ({error}); `dvc repro train_evaluators` makes it") from error
        return evaluator.eval()

    def save(self, folder: Path) -> None:
        weights = {name: tensor.contiguous() for name, tensor in self.state_dict().items()}
        save_file(weights, folder / "weights.safetensors")
        write_json(folder / "config.json", asdict(self.config))
        write_json(folder / "vocabulary.json", self.vocabulary)
        if self.tags:
            write_json(folder / TAGS, self.tags)
        seal(folder)

    def embed_motions(self, features: Sequence[np.ndarray]) -> np.ndarray:
        """Motions [frames, 263 or 251], not normalised, to points [n, embedding] float32."""
        return self._embed([self.motion_input(frames) for frames in features], self.motions)

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Sentences to points [n, embedding] float32; a word that training never saw counts as unknown."""
        return self._embed([self.text_input(text) for text in texts], self.texts)

    def motion_input(self, features: np.ndarray) -> Tensor:
        """Normalised frames [whole patches, as many as are read]; a clip shorter than a patch holds its last frame."""
        if not len(features):
            raise ModelError("a motion without frames cannot be embedded; count it as a failure before")
        frames = torch.from_numpy(np.array(features, dtype=np.float32))
        frames = torch.cat([frames, frames[-1:].expand(max(0, PATCH - len(frames)), -1)])
        frames = frames[: len(frames) // PATCH * PATCH]
        return (frames[:, : self._read] - self.mean[: self._read]) / self.std[: self._read]

    def text_input(self, text: str) -> Tensor:
        """Indices of the words [L], or what else the architecture reads: of `sentences` their states [L, 384]."""
        if self._reader:
            return self._reader(text)
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
