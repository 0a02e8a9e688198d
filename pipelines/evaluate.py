"""evaluate: let one model answer one caption of every test clip, and score what it shows in both evaluators' spaces."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from irg_core.errors import ParamsError, TableError
from irg_core.evaluation import answers
from irg_core.evaluation.answers import Asked, Kind
from irg_core.evaluation.goals import goals, subsets
from irg_core.evaluation.scores import scores
from irg_core.files import write_json
from irg_core.models.decoding import Sampling
from irg_core.models.evaluator import Evaluator
from irg_core.models.vqvae import MotionTokenizer
from irg_core.params import mapping, names, section
from irg_core.records.annotation import Caption, visible_captions
from irg_core.records.evaluation import Generation, Protocol
from irg_core.records.motion import Clip, Split
from irg_core.summaries import summarise
from irg_core.tables import commit, read, read_all
from pipelines.executor import MapBatches


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
    models: dict[str, Model]


def main(
    model: str, weights: Path, clips: Path, captions: Path, splits: Path, tokenizer: Path, evaluators: Path,
    generations: Path, out: Path, *, map_batches: MapBatches = map,
) -> None:  # fmt: skip
    import torch

    params = section("evaluate", EvaluateParams)
    torch.set_num_threads(params.threads)
    if not set(names("train_evaluators")) - {"reward"}:
        raise ParamsError(
            "params.yaml: train_evaluators names no judge but 'reward', which trains Stage 3; it may not report alone"
        )
    corpora, parts = mapping("corpora"), read(splits, Split)
    said = visible_captions(read_all(captions, sorted(corpora), Caption), parts)
    test = goals(read_all(clips, sorted(corpora), Clip), parts, said, params.protocol.seed)
    if len(test) < 2:
        raise TableError(f"{splits} leaves {len(test)} captioned test clips; raise split.test or add clips")

    asked = Asked(
        model, weights, test, MotionTokenizer.load(tokenizer), params.sampling, params.free_clips, params.threads,
        map_batches,
    )  # fmt: skip
    answered = answers.KINDS[params.models[model].answers](asked)
    judges = {name: Evaluator.load(evaluators / name) for name in names("train_evaluators")}
    synthetic = {name for name, corpus in corpora.items() if corpus["format"] == "procedural"}
    found = list(scores(answered.shown, test, subsets(test, synthetic), judges, params.metrics, params.protocol))

    commit(generations, answered.generations, Generation)
    write_json(out, {"counts": answered.counts, "scores": [dataclasses.asdict(score) for score in found]})
    summarise("evaluate", model, goals=len(test), scores=len(found), **answered.counts)
