"""A folder as HumanML3D's own, or KIT-ML's where that is the skeleton: what the field's trainers and evaluators read.

Its loaders split each text line at `#` and expect `word/POS` items; a word without a known part of speech is `OTHER`
to them, so that is what every word is here.
"""

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from irg_core.files import whole_file, write_text
from irg_core.motion import features, representation
from irg_core.records.exchange import Motion


def write(motions: Iterable[Motion], folder: Path) -> int:
    """Write new_joint_vecs/, new_joints/, texts/, the split lists, and Mean.npy and Std.npy of the train split."""
    parts: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    sums = np.zeros((3, 1))
    for motion in motions:
        name = re.sub(r"[^\w.~+-]", "_", motion.name.replace("#", "~"))
        parts[motion.split].append(name)
        _save(folder / f"new_joint_vecs/{name}.npy", motion.features.astype(np.float32))
        _save(folder / f"new_joints/{name}.npy", features.to_joints(motion.features).astype(np.float32))
        write_text(folder / f"texts/{name}.txt", "".join(_line(caption) for caption in motion.captions))
        if motion.split == "train":
            rows = motion.features.astype(np.float64)
            sums = sums + np.stack([np.full(rows.shape[1], float(len(rows))), rows.sum(axis=0), (rows**2).sum(axis=0)])
    train_val = parts["train"] + parts["val"]
    for part, names in {**parts, "train_val": train_val, "all": train_val + parts["test"]}.items():
        write_text(folder / f"{part}.txt", "".join(f"{name}\n" for name in sorted(names)))
    if parts["train"]:
        mean = sums[1] / sums[0]
        _save(folder / "Mean.npy", mean.astype(np.float32))
        _save(folder / "Std.npy", _shared(np.sqrt(np.maximum(sums[2] / sums[0] - mean**2, 0.0))).astype(np.float32))
    return sum(len(names) for names in parts.values())


def _shared(deviation: np.ndarray) -> np.ndarray:
    """Numbers of one group share the mean of their deviations, as in HumanML3D's script; none is zero."""
    shared = deviation.copy()
    for group in representation.of(len(deviation)).groups:
        shared[group] = deviation[group].mean()
    return np.where(shared > 0, shared, 1.0)


def _line(caption: str) -> str:
    flat = caption.replace("#", " ").strip()
    words = re.findall(r"[a-z0-9']+", flat.lower())
    return f"{flat}#{' '.join(f'{word}/OTHER' for word in words)}#0.0#0.0\n"


def _save(path: Path, array: np.ndarray) -> None:
    with whole_file(path) as aside, aside.open("wb") as file:
        np.save(file, array, allow_pickle=False)
