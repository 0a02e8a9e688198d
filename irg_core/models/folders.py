"""What may stand in a model folder. Weights are safetensors: opening a pickle can run any program that is in it."""

import json
from pathlib import Path

from irg_core.errors import ModelError
from irg_core.fingerprints import SUMS, unlike

PICKLES = {".bin", ".ckpt", ".joblib", ".pickle", ".pkl", ".pt", ".pth"}


def check(folder: Path, mend: str) -> None:
    """Raise `ModelError`, one sentence that ends in `mend`, where a causal language model cannot be opened safely.

    A pickle beside safetensors is never opened and does no harm: trainers of others leave such files.
    """
    if not folder.is_dir():
        raise ModelError(f"{folder} is missing; {mend}")
    if missing := [name for name in ("config.json", "tokenizer.json") if not (folder / name).is_file()]:
        raise ModelError(f"{folder} lacks {' and '.join(missing)}; {mend}")
    if not any(folder.glob("*.safetensors")):
        pickles = sorted(file.name for file in folder.iterdir() if file.suffix in PICKLES)
        if pickles:
            raise ModelError(f"{folder} holds its weights as a pickle ({pickles[0]}), which is never opened; {mend}")
        raise ModelError(f"{folder} lacks its weights, *.safetensors; {mend}")
    if lost := _lost_parts(folder):
        raise ModelError(f"{folder} lacks {', '.join(lost)}, named in its index; {mend}")


def intact(folder: Path, mend: str) -> None:
    """Raise `ModelError` where a file of a model of ours is not as it was saved; folders of others do not say."""
    if (folder / SUMS).is_file() and (wrong := unlike(folder)):
        raise ModelError(f"{folder} is damaged: {wrong}; {mend}")


def _lost_parts(folder: Path) -> list[str]:
    """The files of weights that the index of a large model names and that are not there."""
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        return []
    try:
        named = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{index} cannot be read ({error!r}); get it again") from error
    return sorted(name for name in named if not (folder / name).is_file())
