"""From motions to numbers: every row, in every evaluator's space, on every subset, by every metric."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from irg_core import plugins
from irg_core.evaluation.answers import Shown
from irg_core.evaluation.goals import Goal
from irg_core.models.evaluator import Evaluator
from irg_core.records.evaluation import Protocol, Samples, Score
from irg_core.records.wording import near_identical
from irg_core.seeds import rng


def scores(
    shown: Sequence[Shown],
    asked: Sequence[Goal],
    subsets: Mapping[str, np.ndarray],
    evaluators: Mapping[str, Evaluator],
    metrics: Sequence[str],
    protocol: Protocol,
) -> Iterator[Score]:
    """All scores of one model. Near-identity of goals is worked out once: it is the same in every space."""
    texts = [goal.text for goal in asked]
    same = near_identical(texts, texts, protocol.near_identical)
    computes = [plugins.load("irg_core.metrics", name).compute for name in metrics]
    for name, evaluator in sorted(evaluators.items()):
        said, real = evaluator.embed_texts(texts), evaluator.embed_motions([goal.clip.features for goal in asked])
        # A row and its shuffled control show the same list of motions: it is embedded once.
        lists = {id(row.features): row.features for row in shown}
        points = {key: evaluator.embed_motions(features) for key, features in lists.items()}
        for row in shown:
            motions = points[id(row.features)]
            for subset, rows in sorted(subsets.items()):
                answers = motions[exchanged(rows, protocol.seed, subset) if row.is_shuffled else rows]
                samples = Samples(said[rows], answers, real[rows], same[np.ix_(rows, rows)], protocol)
                for compute in computes:
                    for found in compute(samples):
                        yield Score(
                            row.row, row.motion, name, subset, found.metric, round(found.mean, 6),
                            round(found.interval, 6), round(found.spread, 6), found.n,
                        )  # fmt: skip


def exchanged(rows: np.ndarray, seed: int, subset: str) -> np.ndarray:
    """Each goal gets the motion of another goal of its subset: one round of a shuffle, so that none keeps its own."""
    order = rng(seed, "exchange", subset).permutation(len(rows))
    others = np.empty_like(rows)
    others[order] = rows[np.roll(order, 1)]
    return others
