"""train_tokenizer: learn codes for motion, four frames each, from the clips of the train split."""

from pathlib import Path

import numpy as np

from irg_core.errors import TableError
from irg_core.files import read_json, whole_folder, write_json
from irg_core.params import names, section
from irg_core.records.motion import Clip, Split
from irg_core.summaries import summarise
from irg_core.tables import read, read_all
from irg_core.training import tokenizer
from irg_core.training.checkpoint import checkpoints


def main(clips: Path, splits: Path, stats: Path, verdict: Path, out: Path) -> None:
    params = section("train_tokenizer", tokenizer.TrainTokenizerParams)
    corpora = names("corpora")
    part = {split.clip_id: split.split for split in read(splits, Split)}
    motions: dict[str, dict[str, np.ndarray]] = {"train": {}, "val": {}, "test": {}}
    shown: list[str] = []
    for clip in read_all(clips, corpora, Clip):
        motions[part[clip.clip_id]][clip.clip_id] = clip.features
        if part[clip.clip_id] == "val":
            shown.append(kind_of_motion(clip))
    if not motions["train"] or not motions["val"]:
        raise TableError(f"{splits} leaves no clip to train or to measure with; add clips or raise split.val")
    found = read_json(stats)
    mean, std = (np.array(found[name], dtype=np.float32) for name in ("mean", "std"))

    inputs = [splits, stats, *(clips / f"{corpus}.parquet" for corpus in corpora)]
    kept = checkpoints("train_tokenizer", params, inputs, params.checkpoint_every)
    trained, journal = tokenizer.train(params, motions["train"], motions["val"], mean, std, kept)

    with whole_folder(out) as aside:
        trained.save(aside)
        journal.save(aside)
        write_json(aside / "errors.json", tokenizer.errors_by_kind(trained, list(motions["val"].values()), shown))
    kept.discard()
    summarise(
        "train_tokenizer",
        train=len(motions["train"]),
        val=len(motions["val"]),
        mpjpe_mm=journal.last("heldout_mpjpe_mm"),
        local_mpjpe_mm=journal.last("heldout_local_mpjpe_mm"),
        perplexity=journal.last("heldout_perplexity"),
    )


def kind_of_motion(clip: Clip) -> str:
    """The first thing that a synthesised clip does; a corpus whose cells are not written so is one kind."""
    return clip.cell.split()[0] if clip.truth else clip.corpus
