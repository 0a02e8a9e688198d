"""Half-trained weights: `runs/<stage>/<fingerprint>/step-<n>/`, so that a killed stage goes on where it stood.

The fingerprint covers parameters, inputs and code: weights of another question are never continued, nor removed. A run
that was killed and resumed ends with the same bytes as one that was not, because everything random is drawn from the
step: there is no random state to keep.
"""

import os
import shutil
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from irg_core.errors import CheckpointError, ModelError
from irg_core.files import read_json, whole_folder, write_json
from irg_core.fingerprints import Origin, differences, name_of, of_file, origin, seal, unlike
from irg_core.training.sharding import alike, whole

RUNS = Path("runs")
RESUME = "IRG_RESUME"
"""Environment variable that names a stage which must go on from a checkpoint, and not start afresh."""
LAST = 2
"""Newest steps that are kept, for one may be damaged. The best by val stands beside them."""
ROLLOUTS = "rollouts"
"""Folder beside the steps with what was said in each: part of every later checkpoint."""
TENSORS, STATE, ORIGIN = "tensors.safetensors", "state.json", "origin.json"


@dataclass(frozen=True, slots=True)
class Saved:
    """One step of a training: named tensors and whatever else the trainer needs, as JSON."""

    step: int
    tensors: dict[str, torch.Tensor]
    state: dict[str, Any]
    score: float | None = None  # of the val split after this step, lower is better; None: not measured


class Damaged(Exception):
    """Says which files of a checkpoint are not as they were written."""


class Checkpoints:
    """The checkpoints of one training: the last two, and the best; all go once its out is committed."""

    def __init__(self, folder: Path, every: int, made_from: Origin | None = None) -> None:
        self.folder = folder
        self.every = every
        self.made_from = made_from

    def due(self, step: int) -> bool:
        return step % self.every == 0

    def save(self, saved: Saved) -> None:
        """Write a step whole, with the hash of every file, then drop what is no longer needed.

        Raises `ModelError` where a weight is not finite, and `CheckpointError` where the step cannot be written. Either
        way the steps before it stay as they are.
        """
        if bad := sorted(name for name, tensor in saved.tensors.items() if not torch.isfinite(tensor).all()):
            raise ModelError(f"{self._told}: {bad[0]} is not finite after step {saved.step}{self._stays()}")
        try:
            self._write(saved)
        except (OSError, SafetensorError) as error:
            room = f"it takes {_megabytes(_bytes(saved))}, {_megabytes(_free(self.folder))} are free"
            raise CheckpointError(
                f"{self._told}: step {saved.step} cannot be kept in {self.folder} ({error}; {room}); mend that and"
                f" start again{self._stays()}"
            ) from error

    def newest(self) -> Saved | None:
        """The last whole step; a damaged one is skipped, with a warning, for the one before it."""
        steps = self.steps()
        if (found := _first_whole(steps[::-1], _relied_on)) is None and steps and is_asked_to_resume(self._told):
            raise CheckpointError(
                f"{self._told}: no checkpoint in {self.folder} is whole; unset {RESUME} to start afresh"
            )
        return found

    def best(self) -> Saved | None:
        """The whole step with the lowest score, the earlier of equals; None where no score was kept."""
        return _first_whole(_by_score(self.steps()), _load)

    def discard(self) -> None:
        """Remove this training's checkpoints: its out is committed. The newest goes last: a kill may come between."""
        for place in self.steps():
            shutil.rmtree(place)
        shutil.rmtree(self.folder, ignore_errors=True)

    def steps(self) -> list[Path]:
        """The folders of the steps that are kept, in their order."""
        return sorted(self.folder.glob("step-*"))

    @property
    def _told(self) -> str:
        """The stage, for messages."""
        return self.folder.parent.name

    def _stays(self) -> str:
        steps = self.steps()
        return f"; step {_number(steps[-1])} stays the last good one" if steps else ""

    def _write(self, saved: Saved) -> None:
        if self.made_from is not None and not (self.folder / ORIGIN).exists():
            write_json(self.folder / ORIGIN, self.made_from)
        before = [place for place in self.steps() if _number(place) < saved.step]
        own = {"step": saved.step, "score": saved.score, "training": self.folder.name, "state": saved.state}
        state = own | {"best": _best(before, saved), "beside": _beside(self.folder)}
        with whole_folder(_step(self.folder, saved.step)) as aside:
            # safetensors orders equal layouts equally; contiguous copies keep views of one storage apart.
            save_file({name: tensor.contiguous() for name, tensor in saved.tensors.items()}, aside / TENSORS)
            write_json(aside / STATE, state)
            seal(aside)
        self._tidy(saved.step)

    def _tidy(self, done: int) -> None:
        """Leave the last two steps and what was the best at each. A step beyond that just done was damaged: it goes."""
        last = [place for place in self.steps() if _number(place) <= done][-LAST:]
        best = [_step(self.folder, number) for place in last if (number := _noted(place, "best")) is not None]
        for place in self.steps():
            if place not in (*last, *best):
                shutil.rmtree(place)


def checkpoints(stage: str, params: Any, inputs: list[Path], every: int) -> Checkpoints:
    """The place for one stage's checkpoints, named by what the training is made from.

    Says in a line where it starts afresh although there is a half-trained run, made from something else. Raises
    `CheckpointError` where it was asked to go on and cannot.
    """
    made_from = origin(params, inputs)
    kept = Checkpoints(RUNS / stage / name_of(made_from), every, made_from)
    if kept.steps():
        return kept
    others = _others(kept.folder)
    if is_asked_to_resume(stage):
        found = _described(others[-1], made_from) if others else f"there is none in {kept.folder.parent}"
        raise CheckpointError(
            f"{stage}: {RESUME} asks for a half-trained run of these params, inputs and code; {found}; put that back"
            f" and start again, or unset {RESUME} to start afresh"
        )
    if others:
        more = f"; {len(others) - 1} older ones are kept as well" if len(others) > 1 else ""
        space = _megabytes(sum(_size(folder) for folder in others))
        print(
            f"{stage}: starts afresh; {_described(others[-1], made_from)}; it is left alone{more} ({space})", flush=True
        )
    return kept


def is_asked_to_resume(stage: str) -> bool:
    return os.environ.get(RESUME) == stage


def pack(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """What a training changes, by name: weights that are trained, tied ones once, buffers, and optimizer moments."""
    tensors = {f"model/{name}": whole(tensor.detach()) for name, tensor in _changing(model).items()}
    for index, moments in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{index}/{name}": whole(value) for name, value in moments.items()}
    return tensors


def unpack(tensors: dict[str, torch.Tensor], model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """The reverse of `pack`, in place. Raises `ModelError` where the tensors are not those of this model."""
    own = {f"model/{name}": tensor for name, tensor in _changing(model).items()}
    given = {name: tensor for name, tensor in tensors.items() if name.startswith("model/")}
    if {name: tensor.shape for name, tensor in own.items()} != {name: tensor.shape for name, tensor in given.items()}:
        odd = sorted(name for name in own.keys() | given.keys() if _shape(own, name) != _shape(given, name))
        raise ModelError(
            f"the weights of another model: {odd[0]} is {_shape(given, odd[0])}, not {_shape(own, odd[0])}"
        )
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(alike(given[name], tensor))
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer/"):
            _, index, moment = name.split("/")
            state.setdefault(int(index), {})[moment] = alike(tensor, weights[int(index)])
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _changing(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Trained weights, and the buffers that are saved with a model: frozen weights stay where they came from."""
    lasting = model.state_dict().keys()
    trained = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    return trained | {name: buffer for name, buffer in model.named_buffers() if name in lasting}


def _shape(tensors: dict[str, torch.Tensor], name: str) -> str:
    return str(list(tensors[name].shape)) if name in tensors else "absent"


# ---- the folder of a step --------------------------------------------------------------------------------------------


def _load(place: Path) -> Saved:
    """Raises `Damaged`, or what reading raises, where a file is not as it was written."""
    if wrong := unlike(place):
        raise Damaged(wrong)
    found = read_json(place / STATE)
    if (found["step"], found["training"]) != (_number(place), place.parent.name):
        raise Damaged(f"it is step {found['step']} of {found['training']}")
    return Saved(found["step"], load_file(place / TENSORS), found["state"], found["score"])


def _relied_on(place: Path) -> Saved:
    """A step to go on from: what was the best until then, and the rollouts, must be whole as well."""
    saved, found = _load(place), read_json(place / STATE)
    if found["best"] not in (None, saved.step) and (wrong := unlike(_step(place.parent, found["best"]))):
        raise Damaged(f"the best step before it, {found['best']}, is not whole: {wrong}")
    there = _beside(place.parent)
    if changed := sorted(name for name, known in found["beside"].items() if there.get(name) != known):
        raise Damaged(f"{changed[0]}, on which it relies, is not as it was")
    return saved


def _first_whole(places: list[Path], load: Callable[[Path], Saved]) -> Saved | None:
    for place in places:
        try:
            return load(place)
        except (Damaged, OSError, ValueError, KeyError, SafetensorError) as error:
            warnings.warn(f"checkpoint {place} is damaged ({error}); going on without it", stacklevel=3)
    return None


def _beside(folder: Path) -> dict[str, str]:
    """The hashes of the rollouts so far."""
    tables = (file for file in sorted((folder / ROLLOUTS).glob("*")) if not file.name.startswith("."))
    return {file.relative_to(folder).as_posix(): of_file(file) for file in tables}


def _step(folder: Path, number: int) -> Path:
    return folder / f"step-{number:08d}"


def _number(place: Path) -> int:
    return int(place.name.removeprefix("step-"))


def _noted(place: Path, name: str) -> Any:
    """What a step's state says of it; None where that cannot be read: whoever loads it says so."""
    try:
        return read_json(place / STATE)[name]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _by_score(places: list[Path]) -> list[Path]:
    """Those with a score, the lowest first, the earlier of equals."""
    scores = {place: score for place in places if isinstance(score := _noted(place, "score"), float)}
    return sorted(scores, key=lambda place: (scores[place], place))


def _best(before: list[Path], saved: Saved) -> int | None:
    """The best step so far. A training that ends with its weights cannot go on without it, if it is to end the same."""
    best = _by_score(before)[:1]
    if saved.score is not None and not any(_noted(place, "score") <= saved.score for place in best):
        return saved.step
    return _number(best[0]) if best else None


# ---- other runs, and room --------------------------------------------------------------------------------------------


def _others(folder: Path) -> list[Path]:
    """Half-trained runs of the same stage that are made from something else, the latest last."""
    runs = {path.parent: path.stat().st_mtime for path in sorted(folder.parent.glob("*/step-*"))}
    return sorted(runs.keys() - {folder}, key=lambda run: (runs[run], run))


def _described(run: Path, made_from: Origin) -> str:
    step = _number(max(run.glob("step-*")))
    try:
        told = differences(read_json(run / ORIGIN), made_from, run.parent.name)
    except (OSError, ValueError, AttributeError):
        told = f"what cannot be said, for its {ORIGIN} is missing or damaged"
    return f"the one in {run} (step {step}) differs in {told}"


def _bytes(saved: Saved) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in saved.tensors.values())


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _free(folder: Path) -> int:
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    return shutil.disk_usage(there).free


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"
