"""The models of a build, a line each: which weights, how large, how long they learned, and what they reach themselves.

What a judge reaches on real motions bounds whatever it says of made ones.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import safe_open

from irg_core.files import read_json
from irg_core.fingerprints import of_file
from irg_core.records.training import LogRow

CEILING = {"r1": "R@1", "r3": "R@3", "gallery_r3": "gallery R@3"}
"""What is told of how an evaluator finds real motions."""


@dataclass(frozen=True)
class Model:
    """One model of the build."""

    name: str  # its folder in data/models
    weights: str  # SHA-256
    parameters: int
    steps: int  # the last that its training wrote down
    notes: str


@dataclass(frozen=True)
class Ceiling:
    """How well an evaluator finds real motions of clips that it learned from, and of others."""

    evaluator: str
    split: str
    clips: int
    shares: dict[str, float]  # by name of `CEILING`


def models(folder: Path, logs: Mapping[str, Sequence[LogRow]]) -> list[Model]:
    """The models that wrote a log, in its order."""
    return [_model(folder / name, name, rows) for name, rows in logs.items()]


def ceilings(folder: Path, evaluators: Sequence[str]) -> list[Ceiling]:
    """By evaluator, its val clips first."""
    return [
        Ceiling(name, split, int(found["clips"]), {CEILING[key]: found[key] for key in CEILING if key in found})
        for name in evaluators
        for split, found in sorted(read_json(folder / name / "ceiling.json").items(), reverse=True)
        if "clips" in found
    ]


def _model(folder: Path, name: str, rows: Sequence[LogRow]) -> Model:
    files = sorted(folder.glob("*.safetensors"))
    return Model(
        name,
        ", ".join(of_file(file) for file in files),
        sum(map(_parameters, files)),
        max((row.step for row in rows), default=0),
        "; ".join(_notes(folder)),
    )


def _parameters(weights: Path) -> int:
    """How many numbers a file of weights holds, by its head alone."""
    with safe_open(weights, framework="numpy") as opened:
        return sum(math.prod(opened.get_slice(name).get_shape()) for name in opened.keys())  # noqa: SIM118 # no mapping


def _notes(folder: Path) -> Iterator[str]:
    config = read_json(folder / "config.json")
    if (folder / "errors.json").is_file():
        yield f"{config['codes']} codes"
        yield from _errors(read_json(folder / "errors.json"))
    elif (folder / "provenance.json").is_file():
        told: dict[str, Any] = read_json(folder / "provenance.json")
        yield f"{told['base']}, {told['licence']}"
        yield from (f"{one['stage']}: {one['adapters'] or 'all weights'}" for one in told["trainings"][-1:])
    elif "architecture" in config:
        yield str(config["architecture"])


def _errors(found: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    """Reconstruction of the kinds of movement that it does best and worst; kinds are not averaged over corpora."""
    ordered = sorted(found, key=lambda kind: found[kind]["local_mpjpe_mm"])
    ends = [f"{found[kind]['local_mpjpe_mm']:.0f} mm ({kind.replace('_', ' ')})" for kind in ordered]
    if ends:
        yield f"MPJPE about the root from {ends[0]} to {ends[-1]}"
