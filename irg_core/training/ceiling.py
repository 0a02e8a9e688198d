"""What an evaluator can tell apart at best: how often sentences find the real motions that they were written for.

No model of the table can be expected above it. Measured on the val split, so that test data stays unread, and on as
many clips of the train split: the gap is what the evaluator knows by heart.

The numbers are those of `irg_core.metrics`, by other means: were this to import them, whoever mends a metric would
train every evaluator again.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.stats import hypergeom

from irg_core.models.evaluator import Evaluator
from irg_core.records.wording import near_identical
from irg_core.seeds import derive
from irg_core.training.contrastive import Pairing

POOL = 32
"""Motions that a text is ranked against, its own among them, as in the field."""
RANKS = (1, 2, 3)
DIGITS = 6


def ceiling(
    evaluator: Evaluator, learned: Sequence[Pairing], held_out: Sequence[Pairing], near: float, seed: int
) -> dict[str, Any]:
    """Retrieval among val clips and among as many train clips, one sentence each, and by how much train is better."""
    drawn = sorted(learned, key=lambda pairing: derive(seed, "ceiling", pairing.key))[: len(held_out)]
    found = {"val": retrieval(evaluator, held_out, near, seed), "train": retrieval(evaluator, drawn, near, seed)}
    shared = found["val"].keys() & found["train"].keys() - {"clips"}
    found["gap"] = {name: round(found["train"][name] - found["val"][name], DIGITS) for name in sorted(shared)}
    return found


def retrieval(evaluator: Evaluator, pairings: Sequence[Pairing], near: float, seed: int) -> dict[str, float]:
    """R-precision in pools and in the gallery, and MM-Dist, of clips with one of their sentences each."""
    if len(pairings) < 2:
        return {"clips": len(pairings)}
    texts = [p.captions[derive(seed, "sentence", p.key) % len(p.captions)] for p in pairings]
    motions = evaluator.embed_motions([pairing.features for pairing in pairings])
    measured = measures(evaluator.embed_texts(texts), motions, near_identical(texts, texts, near))
    return {"clips": len(pairings)} | {name: round(value, DIGITS) for name, value in measured.items()}


def measures(texts: np.ndarray, motions: np.ndarray, same: np.ndarray) -> dict[str, float]:
    """`r1` … in pools, `gallery_r1` …, and `mm_dist` of points [n, d] and near-identity of their texts [n, n].

    A pool is drawn by lot, so that how many of the motions that are nearer than a text's own come into it is
    hypergeometric: what redraws converge to. Motions at the distance of the hit itself count as nearer.
    """
    squares = _squares(texts.astype(np.float64), motions.astype(np.float64))
    rivals = np.where(same, np.inf, squares)
    before = (rivals <= np.where(same, squares, np.inf).min(axis=1)[:, None]).sum(axis=1)
    nearer = (rivals <= squares.diagonal()[:, None]).sum(axis=1)
    others, drawn = len(texts) - 1, min(POOL, len(texts)) - 1
    found = {f"r{k}": float(hypergeom.cdf(k - 1, others, nearer, drawn).mean()) for k in RANKS}
    found |= {f"gallery_r{k}": float((before < k).mean()) for k in RANKS}
    return found | {"mm_dist": float(np.sqrt(squares.diagonal()).mean())}


def _squares(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """Squared distances [n, m]; equal points of `two` are at equal ones."""
    return np.stack([np.square(two - point).sum(axis=1) for point in one])
