"""From motions to numbers: every row, in every evaluator's space, on every subset, by every metric.

What needs no evaluator is measured once and has a table of its own: of motions (whether feet slide, what the tokenizer
costs), and of words (what a model says of real motions).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from irg_core import plugins
from irg_core.annotate.demands import demand
from irg_core.annotate.facts import facts
from irg_core.errors import ModelError
from irg_core.evaluation.answers import Shown
from irg_core.evaluation.goals import Goal
from irg_core.models.evaluator import Evaluator
from irg_core.motion.differences import differences
from irg_core.motion.representation import to_joints
from irg_core.motion.thresholds import KinematicsParams
from irg_core.records.evaluation import Measure, Protocol, Samples, Score, Values
from irg_core.records.wording import near_identical
from irg_core.seeds import rng

BODILY, WORDS = "motion", "words"
"""Stand where the evaluator's name does, for numbers of the motions themselves and of what is said of them."""
DIGITS = 6
TWO = 2
"""Goals that an exchange takes: one alone would be paired with itself."""


@dataclass(frozen=True)
class Scored:
    """A score, and what it is made of."""

    score: Score
    values: Values


def scores(
    shown: Sequence[Shown],
    asked: Sequence[Goal],
    subsets: Mapping[str, np.ndarray],
    evaluators: Mapping[str, Evaluator],
    metrics: Sequence[str],
    protocol: Protocol,
    limits: KinematicsParams,
) -> Iterator[Scored]:
    """All scores of one model. Near-identity of goals is worked out once: it is the same in every space.

    Raises `ModelError` where an evaluator puts a motion or a sentence nowhere (see `finite`).
    """
    texts, clips = [goal.text for goal in asked], [goal.clip.clip_id for goal in asked]
    same = near_identical(texts, texts, protocol.near_identical)
    loaded = [plugins.load("irg_core.metrics", name) for name in metrics]
    in_space, bodily, in_words = (
        [metric.compute for metric in loaded if of == metric.OF] for of in ("space", BODILY, WORDS)
    )
    for name, evaluator in sorted(evaluators.items()):
        said = finite(evaluator.embed_texts(texts), name, "the goal for", clips)
        real = finite(evaluator.embed_motions([goal.clip.features for goal in asked]), name, "the motion of", clips)
        # A row and its shuffled control show the same list of motions: it is embedded once.
        lists = {id(row.features): row for row in reversed(shown)}
        points = {
            key: finite(
                evaluator.embed_motions(row.features), name, f"the {row.motion} motion of '{row.row}' for", clips
            )
            for key, row in lists.items()
        }
        for row in shown:
            motions, spoken = points[id(row.features)], None
            if row.said:
                spoken = finite(evaluator.embed_texts(row.said), name, f"what '{row.row}' says of", clips)
            varied = {
                goal: finite(
                    evaluator.embed_motions(some), name, f"a variant of '{row.row}' for", [clips[goal]] * len(some)
                )
                for goal, some in row.variants.items()
            }
            for subset, rows in sorted(subsets.items()):
                paired = exchanged(rows, protocol.seed, subset) if row.is_shuffled else rows
                here = [varied[goal] for goal in rows.tolist() if goal in varied]
                samples = Samples(
                    said[rows], motions[paired], real[rows], same[np.ix_(rows, rows)], protocol,
                    variants=np.stack(here) if here else None,
                    said_points=spoken[paired] if spoken is not None else None,
                )  # fmt: skip
                yield from _scored(in_space, samples, row, name, subset)
    if in_words:
        yield from _of_words(shown, asked, subsets, in_words, same, protocol)
    if bodily:
        yield from _of_bodies(shown, asked, subsets, bodily, same, protocol, limits)


def finite(points: np.ndarray, evaluator: str, what: str, of: Sequence[str]) -> np.ndarray:
    """The points [n, d] of an evaluator, all of them finite: one that is not would spoil the numbers of its whole row.

    They are points of `what` of each of `of` [n]. Raises `ModelError`, which names the first that is not finite.
    """
    if broken := np.flatnonzero(~np.isfinite(points).all(axis=1)).tolist():
        more = f" and {len(broken) - 1} more" if len(broken) > 1 else ""
        raise ModelError(
            f"evaluator '{evaluator}' puts {what} {of[broken[0]]}{more} at no finite point; where it does so with many,"
            f" `dvc repro --force train_evaluators@{evaluator}` makes it anew, else leave out that clip"
        )
    return points


def _of_bodies(
    shown: Sequence[Shown], asked: Sequence[Goal], subsets: Mapping[str, np.ndarray], computes: Sequence[Any],
    same: np.ndarray, protocol: Protocol, limits: KinematicsParams,
) -> Iterator[Scored]:  # fmt: skip
    """Scores that need joints alone. A shuffled control shows what its row shows: only what it has to do with the
    goals it is paired with is measured."""
    real = [to_joints(goal.clip.features) for goal in asked]
    wanted = [demand(goal.text, facts(goal.caption_id, goal.clip.features, limits).phases) for goal in asked]
    lists = {id(row.features): row.features for row in shown}
    moved = {key: [to_joints(features) for features in found] for key, found in lists.items()}
    phases = {key: [facts("", features, limits).phases for features in found] for key, found in lists.items()}
    nowhere = np.zeros((len(asked), 0))
    for row in shown:
        joints, done = moved[id(row.features)], phases[id(row.features)]
        for subset, rows in sorted(subsets.items()):
            if row.is_shuffled and len(rows) < TWO:
                continue
            paired = exchanged(rows, protocol.seed, subset) if row.is_shuffled else rows
            chosen = (
                [_chosen(values, rows) for values in (joints, real, row.codes)] if not row.is_shuffled else [[]] * 3
            )
            readable = [(wanted[goal], done[answer]) for goal, answer in zip(rows, paired, strict=True) if wanted[goal]]
            samples = Samples(
                nowhere[rows], nowhere[rows], nowhere[rows], same[np.ix_(rows, rows)], protocol,
                joints=chosen[0], real_joints=chosen[1], codes=chosen[2],
                fulfilled=[not differences(asks, shows, limits) for asks, shows in readable],
            )  # fmt: skip
            yield from _scored(computes, samples, row, BODILY, subset)


def _of_words(
    shown: Sequence[Shown], asked: Sequence[Goal], subsets: Mapping[str, np.ndarray], computes: Sequence[Any],
    same: np.ndarray, protocol: Protocol,
) -> Iterator[Scored]:  # fmt: skip
    """Scores of what rows say of the real motions, against what people said. The sentence that is the goal is the row
    of real motions, and no reference of any row: what people reach among themselves can be seen beside the models."""
    nowhere, measured = np.zeros((len(asked), 0)), np.array([bool(goal.others) for goal in asked])
    for row in (row for row in shown if row.said):
        for subset, every in sorted(subsets.items()):
            rows = every[measured[every]]
            if len(rows) < TWO:
                continue
            paired = exchanged(rows, protocol.seed, subset) if row.is_shuffled else rows
            samples = Samples(
                nowhere[rows], nowhere[rows], nowhere[rows], same[np.ix_(rows, rows)], protocol,
                said=[row.said[place] for place in paired.tolist()],
                references=[asked[place].others for place in rows.tolist()],
            )  # fmt: skip
            yield from _scored(computes, samples, row, WORDS, subset)


def _chosen(values: Sequence[Any], rows: np.ndarray) -> list[Any]:
    return [values[row] for row in rows.tolist()] if values else []


def _scored(computes: Sequence[Any], samples: Samples, row: Shown, evaluator: str, subset: str) -> Iterator[Scored]:
    place = (row.row, row.motion, evaluator, subset)
    for compute in computes:
        found: Measure
        for found in compute(samples):
            mean, interval, spread = (round(number, DIGITS) for number in (found.mean, found.interval, found.spread))
            values = [round(value, DIGITS) for value in found.values]
            yield Scored(
                Score(*place, found.metric, mean, interval, spread, found.n),
                Values("|".join([*place, found.metric]), *place, found.metric, found.over, mean, values),
            )


def exchanged(rows: np.ndarray, seed: int, subset: str) -> np.ndarray:
    """Each goal gets the motion of another goal of its subset: one round of a shuffle, so that none keeps its own."""
    order = rng(seed, "exchange", subset).permutation(len(rows))
    others = np.empty_like(rows)
    others[order] = rows[np.roll(order, 1)]
    return others
