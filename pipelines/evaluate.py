"""evaluate: let one model answer one caption of every test clip, and score what it shows in both evaluators' spaces."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from irg_core.annotate.inject import InjectParams
from irg_core.annotate.verify import VerifyParams
from irg_core.errors import ParamsError, TableError
from irg_core.evaluation import answers, probing, reasoning
from irg_core.evaluation.answers import Asked, Kind, Shown
from irg_core.evaluation.captions import captions as captioned
from irg_core.evaluation.goals import goals, subsets
from irg_core.evaluation.memory import Memory, memory_of
from irg_core.evaluation.probes import ProbeParams, probes
from irg_core.evaluation.scores import Scored, scores
from irg_core.evaluation.variants import VariantParams, variants
from irg_core.files import write_json
from irg_core.models.decoding import Sampling
from irg_core.models.evaluator import Evaluator
from irg_core.models.vqvae import MotionTokenizer
from irg_core.motion.representation import MODES
from irg_core.motion.thresholds import KinematicsParams
from irg_core.params import choice, mapping, names, section
from irg_core.records.annotation import Caption, visible_captions
from irg_core.records.evaluation import Generation, Protocol, Values
from irg_core.records.motion import Clip, Split
from irg_core.records.reasoning import Probed, Rounds, Share
from irg_core.summaries import summarise
from irg_core.tables import commit, read, read_all
from pipelines.executor import MapBatches

SPOKEN = frozenset({"captioning", "caption_likeness"})
"""Metrics for which models are asked what real motions show."""


@dataclass(frozen=True)
class Model:
    """One row, or a few, of the results table."""

    weights: str
    """The model's folder; for `references` the train statistics."""
    answers: Kind
    """How it is asked."""


@dataclass(frozen=True)
class EvaluateParams:
    """`evaluate` in params.yaml."""

    threads: int
    """Of each worker. More is faster where there are processors left, and changes the last bits of probabilities."""
    metrics: list[str]
    """Files of irg_core/metrics."""
    protocol: Protocol
    sampling: Sampling
    free_clips: int
    """Goals that are also answered with the grammar free. More makes the well-formed share surer, and slower."""
    probes: ProbeParams
    variants: VariantParams
    """What MultiModality is measured on; drawn only where `metrics` asks for it."""
    models: dict[str, Model]


@dataclass(frozen=True)
class Prepared:
    """Where the goals and the judges are, as folders and files of data/."""

    clips: Path
    captions: Path
    splits: Path
    tokenizer: Path
    evaluators: Path


@dataclass(frozen=True)
class Evaluated:
    """All that is known of one model."""

    generations: list[Generation]
    probed: list[Probed]
    scored: list[Scored]
    counts: dict[str, Any]
    shares: list[Share]
    rounds: list[Rounds]


def main(
    model: str, weights: Path, clips: Path, captions: Path, splits: Path, tokenizer: Path, evaluators: Path,
    generations: Path, probed: Path, values: Path, out: Path, *, map_batches: MapBatches = map,
) -> None:  # fmt: skip
    params = section("evaluate", EvaluateParams)
    prepared = Prepared(clips, captions, splits, tokenizer, evaluators)
    memory = memory_of(Path("runs") / "evaluate" / model, params, [weights, tokenizer])
    found = evaluated(
        model, weights, params.models[model].answers, names("corpora"), prepared, params, memory, map_batches
    )

    commit(generations, found.generations, Generation)
    commit(probed, found.probed, Probed)
    commit(values, [one.values for one in found.scored], Values)
    scored = [one.score for one in found.scored]
    write_json(out, {"counts": found.counts, **_plain(scores=scored, shares=found.shares, rounds=found.rounds)})
    memory.forget()
    summarise(
        "evaluate", model, goals=len(found.generations), scores=len(scored), probes=len(found.probed), **found.counts
    )


def evaluated(
    model: str, weights: Path, kind: Kind, corpora: Sequence[str], prepared: Prepared, params: EvaluateParams,
    memory: Memory, map_batches: MapBatches,
) -> Evaluated:  # fmt: skip
    """A model's answers to one caption of every test clip of these corpora, and what becomes of known flaws."""
    import torch

    torch.set_num_threads(params.threads)
    if not set(names("train_evaluators")) - {"reward"}:
        raise ParamsError(
            "params.yaml: train_evaluators names no judge but 'reward', which trains Stage 3; it may not report alone"
        )
    limits, parts = section("kinematics", KinematicsParams), read(prepared.splits, Split)
    captions = visible_captions(read_all(prepared.captions, corpora, Caption), parts)
    test = goals(read_all(prepared.clips, corpora, Clip), parts, captions, params.protocol.seed)
    if len(test) < 2:
        raise TableError(f"{prepared.splits} leaves {len(test)} captioned test clips; raise split.test or add clips")

    if broken := [goal.clip.clip_id for goal in test if not np.isfinite(goal.clip.features).all()]:
        raise TableError(
            f"{prepared.clips}: test clip {broken[0]} has numbers that are not finite; `dvc repro validate_clips` names"
            " every such clip: mend or drop them at their source"
        )

    tokenizer = MotionTokenizer.load(prepared.tokenizer)
    asked = Asked(
        model, weights, test, tokenizer, params.sampling, params.free_clips, params.threads, map_batches, memory
    )
    answered = answers.KINDS[kind](asked)
    shown = with_more(asked, kind, answered.shown, params)
    mode, making = choice("features", MODES), section("inject", InjectParams)
    put = probes(test, params.probes, making, limits, mode) if kind in probing.BATCHES else []
    said = probing.said(asked, kind, put, answered.generations)
    judges = {name: Evaluator.load(prepared.evaluators / name) for name in names("train_evaluators")}
    synthetic = {name for name, corpus in mapping("corpora").items() if corpus["format"] == "procedural"}
    groups = subsets(test, synthetic)
    rows = reasoning.probed(model, put, said, tokenizer, judges, section("verify", VerifyParams), limits)
    return Evaluated(
        answered.generations,
        rows,
        list(scores(shown, test, groups, judges, params.metrics, params.protocol, limits)),
        answered.counts,
        reasoning.shares(rows),
        list(reasoning.round_by_round(answered.generations, groups, tokenizer, judges)),
    )


def with_more(asked: Asked, kind: Kind, shown: Sequence[Shown], params: EvaluateParams) -> list[Shown]:
    """The rows, of which that of last tries also says what real motions show, and shows some goals' motions more often,
    where a metric asks for it."""
    rows = list(shown)
    if kind != "references":
        last = next(place for place, row in enumerate(rows) if row.motion != "first")
        said = captioned(asked, kind) if SPOKEN & set(params.metrics) else []
        varied = variants(asked, kind, params.variants) if "multimodality" in params.metrics else {}
        rows[last] = dataclasses.replace(rows[last], said=said, variants=varied)
    return rows


def _plain(**records: Sequence[Any]) -> dict[str, list[dict[str, Any]]]:
    return {name: [dataclasses.asdict(record) for record in found] for name, found in records.items()}
