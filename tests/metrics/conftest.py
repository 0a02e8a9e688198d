"""Points and samples small enough to check by hand."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from irg_core.records.evaluation import Protocol, Samples

PROTOCOL = Protocol(seed=3, pool=32, redraws=20, pairs=300, near_identical=0.9)

Draw = Callable[..., np.ndarray]
Make = Callable[..., Samples]


@pytest.fixture(scope="session")
def points() -> Draw:
    """Gaussian points [clips, width] float32, the same for the same seed."""

    def draw(clips: int, width: int = 8, seed: int = 0) -> np.ndarray:
        return np.random.default_rng(seed).standard_normal((clips, width)).astype(np.float32)

    return draw


@pytest.fixture(scope="session")
def samples() -> Make:
    """Samples of texts and motions; real motions are the motions, and no goal is another, unless told."""

    def make(texts: np.ndarray, motions: np.ndarray, real: np.ndarray | None = None, **more: Any) -> Samples:
        values: dict[str, Any] = {"same": np.eye(len(texts), dtype=bool), "protocol": PROTOCOL} | more
        return Samples(texts, motions, motions if real is None else real, **values)

    return make
