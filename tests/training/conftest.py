"""Trainings small enough for a test: real parts, few steps."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch

from irg_core import dialogue
from irg_core.models.evaluator import Evaluator
from irg_core.models.language import Language, LanguageConfig
from irg_core.models.vocabulary import Vocabulary
from irg_core.models.vqvae import MotionTokenizer, VqConfig, VqVae
from irg_core.motion.thresholds import KinematicsParams
from irg_core.params import section
from irg_core.records.training import Example, Goal, Rollout, Segment
from irg_core.training.checkpoint import Checkpoints, Saved
from irg_core.training.judge import Judge
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
        sharding="none",
        threads=1,
        precision="float32",
        steps=30,
        tokens=256,
        accumulate=1,
        packing=True,
        longest=64,
        learning_rate=0.01,
        schedule="cosine",
        warmup=3,
        weight_decay=0.01,
        corrupted=0.1,
        lora=None,
        log_every=10,
        measure_every=30,
        measured=8,
        generated=0,
        patience=0,
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


@pytest.fixture(scope="session")
def judge() -> Judge:
    """Everything that Stage 3 rewards by, with random weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = VqConfig(width=8, depth=1, codes=CODES, code_width=4)
        tokenizer = MotionTokenizer(VqVae(config, 263), config)
        tokenizer.net.codebook.vectors.normal_()
        stats = {"mean": [0.0] * 263, "std": [1.0] * 263}
        evaluator = Evaluator.create("guo", 16, 1, 8, ["a person walks."], stats)
    rewards = {"wellformed": 1.0, "text_alignment": 0.5}
    return Judge(tokenizer, evaluator.eval(), rewards, section("kinematics", KinematicsParams))


@pytest.fixture
def goals() -> list[Goal]:
    return [
        Goal(f"g{n}", f"c{n}", "train", "a person walks.", dialogue.prompt("a person walks."), [n, n + 1])
        for n in range(5)
    ]


def rewarding(judge: Judge, score: Callable[[Rollout], float | None]) -> Judge:
    """The judge with one reward in place of its own."""
    module = ModuleType("own")
    module.score = lambda rollouts: [score(rollout) for rollout in rollouts]  # type: ignore[attr-defined]
    module.SCALED = False  # type: ignore[attr-defined]
    own = Judge(judge.tokenizer, judge.evaluator, {}, judge.limits)
    own.rewards = {"own": (module, 1.0)}
    return own


@pytest.fixture
def brief(judge: Judge) -> Judge:
    """A reward for short answers, which even an untrained model can earn."""
    return rewarding(judge, lambda rollout: -float(len(rollout.answer)))
