"""Supervised tokens a second of our loop and of TRL's SFTTrainer: same model, examples, tokens a step and precision.

`python -m benchmarks.packing <built checkout>` writes benchmarks/results/packing.{json,md} (about two minutes). The
trainers take turns on one thread, and its processor time is counted, data and optimizer included, so that other work on
the machine slows all alike. TRL has batches of rows of like length, with as many rows as make up the same tokens on
average: of all such batches, short and long, some that lie evenly apart. And it has its own packing.
"""

import contextlib
import io
import json
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from irg_core.models.language import Language
from irg_core.records.training import Example
from irg_core.tables import scan
from irg_core.training import loop
from irg_core.training.checkpoint import Checkpoints, Saved
from irg_core.training.packing import batches
from irg_core.training.rows import IGNORED, Prepared, write
from irg_core.training.schedule import Precision

RESULT = Path(__file__).parents[1] / "benchmarks/results/packing.json"
STAGES = {"stage1": 384, "stage2": 768}
"""Tables of examples, and the longest that is taken."""
TOKENS = 3072
PRECISION: Precision = "bfloat16"
STEPS = 3
"""Of each turn, after one that is not counted."""
TURNS = 1
EXAMPLES = 2000
CHECKPOINT_EVERY = 150
"""Steps; the demo's."""
TRL = {
    "TRL, lengths grouped, eager": ("eager", {}),
    "TRL, lengths grouped, sdpa": ("sdpa", {}),
    "TRL, packing, sdpa": ("sdpa", {"packing": True, "packing_strategy": "bfd"}),
}
"""By name, what attends and what else is asked for. sdpa is what transformers takes where nothing is said."""


@dataclass
class Turn:
    """Steps of one trainer: moments of processor time after each, and supervised tokens in each."""

    moments: list[float]
    tokens: list[int]

    def rate(self) -> float:
        """Supervised tokens a second, without the first step."""
        return sum(self.tokens[1 : len(self.moments)]) / (self.moments[-1] - self.moments[0])


class Clock(Checkpoints):
    """Notes when a step is done, and keeps nothing."""

    def __init__(self, folder: Path, turn: Turn) -> None:
        super().__init__(folder, 1)
        self.turn = turn

    def due(self, step: int) -> bool:
        self.turn.moments.append(time.process_time())
        return False


def params() -> loop.SupervisedParams:
    return loop.SupervisedParams(
        seed=1, workers=1, sharding="none", threads=1, precision=PRECISION, steps=STEPS + 1, tokens=TOKENS,
        accumulate=1, packing=True, longest=768, learning_rate=1e-4, schedule="constant", warmup=1, weight_decay=0.05,
        corrupted=0.0, lora=None, log_every=1, measure_every=1000, measured=0, generated=0, patience=0,
        checkpoint_every=1000,
    )  # fmt: skip


def ours(model: Path, ready: Prepared, _: Path) -> Turn:
    order = islice(batches(ready.rows.lengths, TOKENS, params().seed), STEPS + 1)
    turn = Turn([], [loop.supervised_tokens([ready.rows[row] for row in batch]) for batch in order])
    loop.descend("train", params(), Language.load(model), ready, Clock(Path("unused"), turn), loop.Team())
    return turn


def grouped(lengths: np.ndarray, rows: int) -> list[int]:
    """Rows in batches of like length: first one that is not counted, then such as lie evenly between short and long."""
    order = np.argsort(lengths, kind="stable")
    cut = [order[start : start + rows] for start in range(0, len(order) - rows + 1, rows)]
    places = [len(cut) // 2, *(int((step + 0.5) / STEPS * len(cut)) for step in range(STEPS))]
    return [int(row) for place in places for row in cut[place]]


def trl(attention: str, options: dict[str, Any]) -> Callable[[Path, Prepared, Path], Turn]:
    def run(model: Path, ready: Prepared, folder: Path) -> Turn:
        from datasets import Dataset
        from transformers import AutoTokenizer, TrainerCallback
        from trl import SFTConfig, SFTTrainer

        turn = Turn([], [])

        class Timed(SFTTrainer):
            def compute_loss(self, model: Any, inputs: Any, *more: Any, **named: Any) -> Any:
                turn.tokens.append(int((inputs["labels"] != IGNORED).sum()))
                return super().compute_loss(model, inputs, *more, **named)

        class Ticking(TrainerCallback):
            def on_step_end(self, *_: Any, **__: Any) -> None:
                turn.moments.append(time.process_time())

        is_packed = options.get("packing", False)
        longest = int(max(ready.rows.lengths))
        rows = max(1, round(TOKENS / (longest if is_packed else float(ready.rows.lengths.mean()))))
        config = SFTConfig(
            output_dir=str(folder), per_device_train_batch_size=rows, max_steps=STEPS + 1, max_length=longest,
            bf16=PRECISION == "bfloat16", use_cpu=True, gradient_checkpointing=False, learning_rate=1e-4,
            lr_scheduler_type="constant", weight_decay=0.05, adam_beta2=0.95, optim="adamw_torch_fused",
            max_grad_norm=1.0, logging_strategy="no", save_strategy="no", report_to="none", disable_tqdm=True, seed=1,
            dataloader_pin_memory=False,
            train_sampling_strategy="random" if is_packed else "sequential", **options,
        )  # fmt: skip
        net = Language.load(model).model
        net.set_attn_implementation(attention)
        taken = range(len(ready.rows)) if is_packed else grouped(ready.rows.lengths, rows)
        chosen = [ready.rows[row] for row in taken]
        data = [{"input_ids": row.ids.tolist(), "labels": row.labels.tolist()} for row in chosen]
        Timed(
            model=net,
            args=config,
            train_dataset=Dataset.from_list(data),
            processing_class=AutoTokenizer.from_pretrained(model),
            callbacks=[Ticking()],
        ).train()
        return turn

    return run


def compared(model: Path, ready: Prepared) -> dict[str, float]:
    """Supervised tokens a second of each, the median of its turns."""
    contenders = {"ours": ours, **{name: trl(*how) for name, how in TRL.items()}}
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(TURNS):
        for name, run in contenders.items():
            with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
                rates[name].append(run(model, ready, Path(folder)).rate())
            print(f"{name}: {rates[name][-1]:.0f}", file=sys.stderr, flush=True)
    return {name: median(found) for name, found in rates.items()}


def saving(model: Path, seconds_a_step: float) -> dict[str, float]:
    """Wall seconds of one checkpoint, its hashes and fsyncs included, and its share of the time at the demo's pace."""
    language = Language.load(model)
    optimizer = loop.adam(language.model, 0.0)
    for weight in language.model.parameters():
        weight.grad = torch.zeros_like(weight)
    optimizer.step()
    with tempfile.TemporaryDirectory() as folder:
        kept, found = Checkpoints(Path(folder) / "train" / "run", 1), []
        for step in range(1, 6):
            started = time.monotonic()
            kept.save(Saved(step, loop.pack(language.model, optimizer), {}))
            found.append(time.monotonic() - started)
    seconds = median(found)
    return {"seconds": seconds, "share": seconds / (seconds + CHECKPOINT_EVERY * seconds_a_step)}


def told(found: dict[str, Any]) -> str:
    lines = [
        f"Supervised tokens a second of one thread's processor time; {found['tokens']} tokens a step, "
        f"{found['precision']}, the demo's model ({found['parameters'] / 1e6:.1f} M parameters). {found['machine']}.",
        "",
        f"| trainer | {' | '.join(found['rates'])} |",
        "|---|" + "--:|" * len(found["rates"]),
    ]
    for name in ("ours", *TRL):
        lines.append(f"| {name} | {' | '.join(f'{rates[name]:,.0f}' for rates in found['rates'].values())} |")
    for name in TRL:
        ratios = " | ".join(f"{rates['ours'] / rates[name]:.2f} ×" for rates in found["rates"].values())
        lines.append(f"| ours against {name} | {ratios} |")
    saved = found["checkpoint"]
    lines += [
        "",
        f"A checkpoint takes {saved['seconds']:.2f} s; one every {CHECKPOINT_EVERY} steps is "
        f"{100 * saved['share']:.1f} % of the time.",
    ]
    return "\n".join(lines) + "\n"


def main(checkout: Path) -> None:
    from datasets import disable_progress_bars

    disable_progress_bars()
    warnings.simplefilter("ignore")
    os.environ |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"}
    torch.set_num_threads(1)
    model = checkout / "data/models/base"
    language = Language.load(model)
    rates: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for stage, longest in STAGES.items():
            place = Path(folder) / stage
            write(place, stage, islice(_train_rows(checkout, stage), EXAMPLES), language.vocabulary, longest, 0, 0)
            ready = Prepared(place)
            rates[stage] = compared(model, ready)
            share = loop.supervised_tokens(ready.rows[:]) / int(ready.rows.lengths.sum())
            found = {
                "machine": f"{os.cpu_count()} processors, shared with other work",
                "precision": PRECISION,
                "tokens": TOKENS,
                "parameters": sum(weight.numel() for weight in language.model.parameters()),
                "rates": rates,
                "checkpoint": saving(model, TOKENS * share / rates[stage]["ours"]),
            }
            RESULT.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
            RESULT.with_suffix(".md").write_text(told(found), encoding="utf-8")
    print(RESULT.with_suffix(".md").read_text(encoding="utf-8"))


def _train_rows(checkout: Path, stage: str) -> Any:
    return (row for row in scan(checkout / f"data/examples/{stage}.parquet", Example) if row.split == "train")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
