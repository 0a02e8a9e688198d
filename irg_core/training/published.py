"""An entry of `train_evaluators` that is not trained: a published evaluator, taken as it is."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from irg_core.errors import ModelError, ParamsError
from irg_core.models.evaluator import Evaluator
from irg_core.models.evaluator_published import sha256
from irg_core.params import choice, mapping, section

FEATURES = ("compatible", "exact")
"""What `features` may say; named here too, so that no change to how rows are made trains evaluators again."""


@dataclass(frozen=True)
class PublishedParams:
    """train_evaluators.<e> of an evaluator that others trained."""

    architecture: Literal["published"]
    root: Path
    """The folder with text_mot_match/, Comp_v6…/meta/ and glove/, as downloaded."""
    texts: Path
    """The corpus's texts/, which have the parts of speech that it reads."""
    sha256: str
    """Of text_mot_match/model/finest.tar: another file is another evaluator, and its numbers do not compare."""
    seed: int
    """Of the sentences that its ceiling is measured with."""
    near_identical: float
    """Captions that overlap this much are no miss in its ceiling."""


def entry(name: str) -> PublishedParams | None:
    """The entry of a published evaluator; None where it is to be trained.

    Raises `ParamsError` where the build's rows are such as it was never trained on.
    """
    if mapping(name).get("architecture") != "published":
        return None
    if (mode := choice("features", FEATURES)) != "compatible":
        raise ParamsError(
            f"params.yaml: {name} was trained on rotations as HumanML3D's converter makes them, and the build's are"
            f" {mode}; set features: compatible, or drop {name}"
        )
    return section(name, PublishedParams)


def taken(name: str, params: PublishedParams) -> Evaluator:
    """The evaluator that an entry points at. Raises `ModelError` where its file is another than the pinned one."""
    if (found := sha256(params.root)) != params.sha256:
        raise ModelError(
            f"{params.root}: finest.tar has sha256 {found}, not {params.sha256}; if that is meant, write it to"
            f" {name}.sha256 in params.yaml"
        )
    return Evaluator.published(params.root, params.texts)
