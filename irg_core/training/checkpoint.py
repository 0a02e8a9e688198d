"""Half-trained weights: `runs/<stage>/<fingerprint>/step-<n>/`, so that a killed stage goes on where it stood.

The fingerprint covers parameters, inputs and code: weights of another question are never continued. A run that was
killed and resumed ends with the same bytes as one that was not, because everything random is drawn from the step.
"""

import shutil
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from irg_core.files import read_json, whole_folder, write_json
from irg_core.fingerprints import fingerprint, of_file

RUNS = Path("runs")


@dataclass(frozen=True, slots=True)
class Saved:
    """One step of a training: named tensors and whatever else the trainer needs, as JSON."""

    step: int
    tensors: dict[str, torch.Tensor]
    state: dict[str, Any]


class Checkpoints:
    """The checkpoints of one training: the last two, should the newest be damaged; all go once its out is committed."""

    def __init__(self, folder: Path, every: int) -> None:
        self.folder = folder
        self.every = every

    def due(self, step: int) -> bool:
        return step % self.every == 0

    def save(self, saved: Saved) -> None:
        """Write a step whole, with the hash of every file, then drop all but the last two."""
        place = self.folder / f"step-{saved.step:08d}"
        with whole_folder(place) as aside:
            # safetensors orders equal layouts equally; contiguous copies keep views of one storage apart.
            save_file(
                {name: tensor.contiguous() for name, tensor in saved.tensors.items()}, aside / "tensors.safetensors"
            )
            write_json(aside / "state.json", {"step": saved.step, **saved.state})
            write_json(aside / "manifest.json", _hashes(aside))
        for older in self._steps()[:-2]:
            shutil.rmtree(older)

    def newest(self) -> Saved | None:
        """The last whole step; a damaged one is skipped, with a warning, for the one before it."""
        for place in reversed(self._steps()):
            try:
                return _load(place)
            except (OSError, ValueError, KeyError, SafetensorError) as error:
                warnings.warn(f"checkpoint {place} is damaged ({error}); going on from an earlier one", stacklevel=2)
        return None

    def discard(self) -> None:
        """Remove this training's checkpoints: its out is committed."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _steps(self) -> list[Path]:
        return sorted(self.folder.glob("step-*"))


def checkpoints(stage: str, params: Any, inputs: list[Path], every: int) -> Checkpoints:
    """The place for one stage's checkpoints, named by what the training is made from."""
    return Checkpoints(RUNS / stage / fingerprint(params, inputs), every)


def pack(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """The weights, buffers and optimizer moments of a training, by name; tied weights once."""
    tensors = {f"model/{name}": tensor.detach() for name, tensor in _weights(model).items()}
    for index, moments in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{index}/{name}": value for name, value in moments.items()}
    return tensors


def unpack(tensors: dict[str, torch.Tensor], model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """The reverse of `pack`, in place."""
    with torch.no_grad():
        for name, tensor in _weights(model).items():
            tensor.copy_(tensors[f"model/{name}"])
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer/"):
            _, index, moment = name.split("/")
            state.setdefault(int(index), {})[moment] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _weights(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return dict(model.named_parameters()) | dict(model.named_buffers())


def _load(place: Path) -> Saved:
    manifest = read_json(place / "manifest.json")
    if (found := _hashes(place)) != manifest:
        changed = sorted(name for name in manifest.keys() | found.keys() if manifest.get(name) != found.get(name))
        raise ValueError(f"{', '.join(changed)} differ from the manifest")
    state = read_json(place / "state.json")
    return Saved(state.pop("step"), load_file(place / "tensors.safetensors"), state)


def _hashes(folder: Path) -> dict[str, str]:
    return {file.name: of_file(file) for file in sorted(folder.iterdir()) if file.name != "manifest.json"}
