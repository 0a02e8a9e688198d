"""Trainings small enough for a test: real parts, few steps."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from irg_core import dialogue
from irg_core.models.language import Language, LanguageConfig
from irg_core.models.vocabulary import Vocabulary
from irg_core.records.training import Example, Segment
from irg_core.training.checkpoint import Checkpoints, Saved
from irg_core.training.loop import SupervisedParams

CODES = 16
WORDS = ["walks", "jumps", "waves", "turns"]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def language() -> Language:
    vocabulary = Vocabulary.learn([f"a person {word}." for word in WORDS], size=300, codes=CODES)
    return Language.create(LanguageConfig(layers=1, width=32, heads=2, feed_forward=48, positions=512), vocabulary, 3)


@pytest.fixture
def examples() -> list[Example]:
    """Each word has a code of its own, repeated: learnable in a few steps."""
    rows = []
    for index in range(48):
        word = index % len(WORDS)
        answer = [Segment(dialogue.motion([word] * (2 + index % 5)), True)]
        split = "val" if index >= 40 else "train"
        rows.append(Example(f"{index:02d}", "base", split, f"a person {WORDS[word]}.", answer, []))
    return rows


@pytest.fixture
def supervised() -> SupervisedParams:
    return SupervisedParams(
        seed=1,
        workers=1,
        threads=1,
        precision="float32",
        steps=30,
        tokens=256,
        longest=64,
        learning_rate=0.01,
        warmup=3,
        weight_decay=0.01,
        corrupted=0.1,
        log_every=10,
        measure_every=30,
        measured=8,
        checkpoint_every=7,
    )


class Dying(Checkpoints):
    """Stops the process, as far as a test can, right after one step was written."""

    def __init__(self, folder: Path, every: int, last: int) -> None:
        super().__init__(folder, every)
        self.last = last

    def save(self, saved: Saved) -> None:
        super().save(saved)
        if saved.step == self.last:
            raise KeyboardInterrupt


@pytest.fixture
def dying() -> type[Dying]:
    return Dying
