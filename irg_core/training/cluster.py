"""The supervised loop on several processes: Ray Train starts them, and starts them again should one die.

Every worker has all rows and the same weights, takes its share of each batch, and adds its gradients to the others':
what comes out equals the training of one process but for the order in which floats were added. Only the first worker
touches the checkpoints; on several machines their folder is on storage that all share, for after a failure the first
may be another.
"""

import contextlib
import os
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor, distributed

from irg_core.errors import ClusterError, FactoryError
from irg_core.models.language import Language
from irg_core.records.training import Example
from irg_core.training import loop
from irg_core.training.checkpoint import Checkpoints, Saved, pack, unpack
from irg_core.training.journal import Journal
from irg_core.training.loop import Encoded, SupervisedParams

FAILURES = 3
"""How often a training goes on from its last checkpoint after a worker died."""
SILENCE = 300
"""Seconds after which a worker that waits for the others' gradients gives up."""
Outcome = tuple[bytes, list[list[Any]]]
"""Weights by their names in a checkpoint, packed, for Ray Train hands no tensors back; and the journal."""


def train(
    stage: str, params: SupervisedParams, language: Language, examples: Sequence[Example], kept: Checkpoints
) -> tuple[Journal, Counter[str]]:
    """`loop.train`, by `params.workers` processes; where there are several, Ray must have been joined."""
    if params.workers == 1:
        return loop.train(stage, params, language, examples, kept)
    rows, heldout, dropped = loop.prepared(stage, params, language.vocabulary, examples)
    member = partial(_member, Path.cwd(), stage, params, language, rows, heldout, kept)
    weights, log = _fit(stage, member, params.workers, kept.folder / "ray")
    unpack(load(weights), language.model, loop.adam(language.model, params.weight_decay))
    return Journal.restore(stage, log), dropped


def _fit(stage: str, member: Callable[[], Outcome | FactoryError], workers: int, folder: Path) -> Outcome:
    os.environ |= {
        "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",  # until it is seen that a worker died
        "RAY_TRAIN_ENABLE_PRINT_PATCH": "0",  # or whatever is printed is printed twice
        "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",  # a node that goes is a worker that died; the watcher is noisy
    }
    import ray
    from ray.train import FailureConfig, LoggingConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer
    from ray.train.v2.api.exceptions import TrainingFailedError

    there = ray.cluster_resources()
    if there.get("CPU", 0) < workers:
        raise ClusterError(f"{stage}.workers is {workers}; the Ray cluster has {there.get('CPU', 0):.0f} processors")
    run = RunConfig(
        name=stage,
        storage_path=str(folder.absolute()),
        failure_config=FailureConfig(max_failures=FAILURES),
        logging_config=LoggingConfig(log_level="ERROR"),
    )
    trainer = TorchTrainer(
        member,
        torch_config=TorchConfig(timeout_s=SILENCE),
        scaling_config=ScalingConfig(num_workers=workers, use_gpu=there.get("GPU", 0) >= workers),
        run_config=run,
    )
    try:
        outcome = trainer.fit().return_value
    except TrainingFailedError as error:
        reason = (str(error).strip().splitlines() or ["no reason given"])[-1]
        raise ClusterError(
            f"{stage}: its {workers} workers failed {1 + FAILURES} times, at last with: {reason}"
        ) from error
    if isinstance(outcome, FactoryError):
        raise outcome
    return outcome


# ---- in each worker --------------------------------------------------------------------------------------------------


class Several(loop.Team):
    """A team of processes that torch has joined."""

    def __init__(self) -> None:
        self.rank = distributed.get_rank()
        self.size = distributed.get_world_size()

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        distributed.all_reduce(flat)
        for tensor, total in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(total.view_as(tensor))


class Shared(Checkpoints):
    """Checkpoints that the first of a team writes and reads; the others hear from it what it read."""

    def __init__(self, own: Checkpoints, team: loop.Team) -> None:
        super().__init__(own.folder, own.every)
        self.own = own
        self.team = team

    def due(self, step: int) -> bool:
        return self.own.due(step) and self.team.rank == 0

    def save(self, saved: Saved) -> None:
        self.own.save(saved)

    def newest(self) -> Saved | None:
        heard = [self.own.newest() if self.team.rank == 0 else None]
        distributed.broadcast_object_list(heard)
        return heard[0]


def _member(
    place: Path,
    stage: str,
    params: SupervisedParams,
    language: Language,
    rows: Sequence[Encoded],
    heldout: Sequence[Encoded],
    kept: Checkpoints,
) -> Outcome | FactoryError:
    """One worker's training, from the newest checkpoint. An error that no second try would mend is an outcome."""
    from ray.train.torch import get_device

    os.chdir(place)
    language.model.to(get_device())
    team = Several()
    with contextlib.redirect_stdout(sys.stdout if team.rank == 0 else None):
        try:
            journal = loop.descend(stage, params, language, rows, heldout, Shared(kept, team), team)
        except FactoryError as error:
            return error
    language.model.cpu()
    return save(pack(language.model, loop.adam(language.model, params.weight_decay))), journal.state()
