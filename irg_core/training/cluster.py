"""A training on several processes: Ray Train starts them, and starts them again should one die.

Every worker maps the same rows and has the same weights, takes its share of each batch, and adds its gradients to the
others': what comes out equals the training of one process but for the order in which floats were added. Only the first
worker touches the checkpoints; on several machines their folder is on storage that all share, as the rows are there
too, and after a failure the first may be another.
"""

import contextlib
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors.torch import load, save
from torch import Tensor, distributed

from irg_core.errors import ClusterError, FactoryError
from irg_core.models.language import Language
from irg_core.records.training import Example, Goal
from irg_core.training import grpo, loop
from irg_core.training.checkpoint import Checkpoints, Saved, pack, unpack
from irg_core.training.journal import Journal
from irg_core.training.judge import Judge
from irg_core.training.loop import SupervisedParams
from irg_core.training.sharding import shard

FAILURES = 3
"""How often a training goes on from its last checkpoint after a worker died."""
SILENCE = 300
"""Seconds after which a worker that waits for the others' gradients gives up."""
Heard = TypeVar("Heard")
SENT = 2**24
"""Numbers of gradients that are sent in one go."""
Outcome = tuple[bytes, list[list[Any]]]
"""Weights by their names in a checkpoint, packed, for Ray Train hands no tensors back; and the journal."""


def train(
    stage: str, params: SupervisedParams, language: Language, examples: Iterable[Example], kept: Checkpoints
) -> tuple[Journal, Counter[str]]:
    """`loop.train`, by `params.workers` processes; where there are several, Ray must have been joined."""
    if params.workers == 1:
        return loop.train(stage, params, language, examples, kept)
    dropped = loop.prepared(stage, params, language, examples, kept).dropped
    member = partial(_member, Path.cwd(), stage, params, language, kept)
    weights, log = _fit(stage, member, params.workers, kept.folder / "ray")
    unpack(load(weights), language.model, loop.adam(language.model, params.weight_decay))
    return Journal.restore(stage, log), dropped


def improve(
    params: grpo.TrainStage3Params,
    language: Language,
    reference: Language | None,
    goals: Sequence[Goal],
    judge: Judge,
    kept: Checkpoints,
) -> Journal:
    """`grpo.train`, by `params.workers` processes: each samples and learns from its share of a step's goals."""
    if params.workers == 1:
        return grpo.train(params, language, reference, goals, judge, kept)
    member = partial(_improving, Path.cwd(), params, language, reference, goals, judge, kept)
    weights, log = _fit(grpo.STAGE, member, params.workers, kept.folder / "ray")
    unpack(load(weights), language.model, loop.adam(language.model, 0.0))
    return Journal.restore(grpo.STAGE, log)


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

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.rank = distributed.get_rank()
        self.size = distributed.get_world_size()

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        for some in _together(tensors):
            # On this worker's device, whatever they are on: NCCL knows no other.
            flat = torch.cat([tensor.reshape(-1) for tensor in some]).to(self.device)
            distributed.all_reduce(flat)
            for tensor, total in zip(some, flat.split([tensor.numel() for tensor in some]), strict=True):
                tensor.copy_(total.view_as(tensor))

    def agree(self, wrong: FactoryError | None) -> None:
        heard: list[FactoryError | None] = [None] * self.size
        distributed.all_gather_object(heard, wrong)
        super().agree(next((error for error in heard if error is not None), None))


def _together(tensors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Neighbours of one kind, up to `SENT` numbers: small ones travel together, and no second copy of all is made."""
    some: list[Tensor] = []
    for tensor in tensors:
        if some and (tensor.dtype != some[0].dtype or sum(map(Tensor.numel, some)) + tensor.numel() > SENT):
            yield some
            some = []
        some.append(tensor)
    if some:
        yield some


class Shared(Checkpoints):
    """Checkpoints that the first of a team writes and reads; the others hear from it what it read."""

    def __init__(self, own: Checkpoints, team: loop.Team) -> None:
        super().__init__(own.folder, own.every)
        self.own = own
        self.team = team

    def due(self, step: int) -> bool:
        return self.own.due(step)

    def save(self, saved: Saved) -> None:
        self._heard(lambda: self.own.save(saved))

    def newest(self) -> Saved | None:
        return self._heard(self.own.newest)

    def best(self) -> Saved | None:
        return self._heard(self.own.best)

    def _heard(self, work: Callable[[], Heard]) -> Heard:
        """What comes of it in the first. Raises in all what it raises there, or the others would wait for it."""
        heard: list[Any] = [None]
        if self.team.rank == 0:
            try:
                heard = [work()]
            except FactoryError as error:
                heard = [error]
        distributed.broadcast_object_list(heard)
        if isinstance(heard[0], FactoryError):
            raise heard[0]
        return heard[0]


def _member(
    place: Path,
    stage: str,
    params: SupervisedParams,
    language: Language,
    kept: Checkpoints,
) -> Outcome | FactoryError:
    """One worker's training, from the newest checkpoint. An error that no second try would mend is an outcome."""
    from ray.train.torch import get_device

    os.chdir(place)
    team = Several(get_device())
    team.is_sharded = params.sharding == "full"
    with contextlib.redirect_stdout(sys.stdout if team.rank == 0 else None):
        try:
            ready = loop.opened(kept)
            if team.is_sharded:
                shard(language.model, team.device, loop.supervised_scores)
            language.model.to(team.device)
            journal = loop.descend(stage, params, language, ready, Shared(kept, team), team)
        except FactoryError as error:
            return error
    return _packed(language, params.weight_decay), journal.state()


def _improving(
    place: Path,
    params: grpo.TrainStage3Params,
    language: Language,
    reference: Language | None,
    goals: Sequence[Goal],
    judge: Judge,
    kept: Checkpoints,
) -> Outcome | FactoryError:
    """One worker's Stage 3, from the newest checkpoint."""
    from ray.train.torch import get_device

    os.chdir(place)
    for model in (language.model, *([reference.model] if reference else [])):
        model.to(get_device())
    team = Several(get_device())
    with contextlib.redirect_stdout(sys.stdout if team.rank == 0 else None):
        try:
            journal = grpo.improve(params, language, reference, goals, judge, Shared(kept, team), team)
        except FactoryError as error:
            return error
    return _packed(language, 0.0), journal.state()


def _packed(language: Language, weight_decay: float) -> bytes:
    tensors = pack(language.model, loop.adam(language.model, weight_decay))
    return save({name: tensor.cpu() for name, tensor in tensors.items()})
