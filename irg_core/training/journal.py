"""The numbers that a training writes down; they travel with its checkpoints and end as `training.parquet`."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import torch

from irg_core.errors import ModelError
from irg_core.records.training import LogRow
from irg_core.tables import commit
from irg_core.training.checkpoint import Checkpoints, unpack

NAMED = 6
"""Rows of a batch that a message names."""


class Journal:
    """Log rows of one training, without seconds, so that a resumed run keeps the same journal."""

    def __init__(self, stage: str) -> None:
        self.stage = stage
        self.rows: list[LogRow] = []

    def note(self, step: int, **values: float) -> None:
        """Keep and print the numbers of one step. Raises `ModelError` on one that is not finite: training diverged."""
        for name, value in values.items():
            if not math.isfinite(value):
                raise ModelError(f"{self.stage}: {name} is {value} at step {step}; lower {self.stage}.learning_rate")
            self.rows.append(LogRow(f"{step:08d}/{name}", step, name, float(value)))
        print(f"{self.stage} {step}: " + ", ".join(f"{name} {value:.4g}" for name, value in values.items()), flush=True)

    def last(self, name: str) -> float | None:
        """The latest value of a number, rounded for people; None if it was never noted."""
        return next((round(row.value, 4) for row in reversed(self.rows) if row.name == name), None)

    def save(self, folder: Path) -> None:
        commit(folder / "training.parquet", self.rows, LogRow)

    def state(self) -> list[list[Any]]:
        """The rows as JSON, for a checkpoint."""
        return [[row.step, row.name, row.value] for row in self.rows]

    @classmethod
    def restore(cls, stage: str, state: list[list[Any]]) -> Self:
        journal = cls(stage)
        journal.rows = [LogRow(f"{step:08d}/{name}", step, name, value) for step, name, value in state]
        return journal


def finite(stage: str, step: int, loss: float, gradient: float, rows: Sequence[str]) -> None:
    """Raises `ModelError`, with the rows of the batch, where a loss or the norm of its gradient is not finite; nothing
    of that step may be kept."""
    if math.isfinite(loss) and math.isfinite(gradient):
        return
    more = f" and {len(rows) - NAMED} more" if len(rows) > NAMED else ""
    raise ModelError(
        f"{stage}: the loss is {loss} and its gradient {gradient} at step {step}, on {', '.join(rows[:NAMED])}{more};"
        f" look at these rows, or lower {stage}.learning_rate; checkpoints of earlier steps stay"
    )


def resume(
    stage: str, model: torch.nn.Module, optimizer: torch.optim.Optimizer, kept: Checkpoints
) -> tuple[Journal, int]:
    """Go on from the newest checkpoint, if there is one: the journal so far and the steps done."""
    if (saved := kept.newest()) is None:
        return Journal(stage), 0
    unpack(saved.tensors, model, optimizer)
    print(f"{stage}: going on after step {saved.step}", flush=True)
    return Journal.restore(stage, saved.state["journal"]), saved.step
