"""What was said in Stage 3 and what it earned, for people to read: a small table a step, one in the end.

The tables of the steps lie beside the checkpoints. A step that is repeated after a kill writes the same table again.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

from irg_core.records.training import Earned
from irg_core.tables import commit, read
from irg_core.training.checkpoint import ROLLOUTS, Checkpoints


class Ledger:
    """The rollouts of one training, by step and worker, under `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def of(cls, kept: Checkpoints) -> Self:
        return cls(kept.folder / ROLLOUTS)

    def keep(self, step: int, worker: int, rows: Sequence[Earned]) -> None:
        """Write what one worker sampled in one step, whole."""
        commit(self.folder / f"{step:08d}-{worker:04d}.parquet", rows, Earned)

    def save(self, path: Path) -> int:
        """All rollouts in one table; how many."""
        return commit(path, self._rows(), Earned)

    def _rows(self) -> Iterator[Earned]:
        for table in sorted(self.folder.glob("*.parquet")):
            yield from read(table, Earned)
