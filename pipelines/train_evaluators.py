"""train_evaluators: learn where sentences and motions meet, from the train split alone."""

from pathlib import Path

from irg_core.errors import TableError
from irg_core.files import read_json, whole_folder
from irg_core.params import names, section
from irg_core.records.annotation import Caption, visible_captions
from irg_core.records.motion import Clip, Split
from irg_core.summaries import summarise
from irg_core.tables import read, read_all
from irg_core.training.checkpoint import checkpoints
from irg_core.training.contrastive import EvaluatorParams, Pairing, train


def main(evaluator: str, clips: Path, captions: Path, splits: Path, stats: Path, verdict: Path, out: Path) -> None:
    params = section(f"train_evaluators.{evaluator}", EvaluatorParams)
    corpora = names("corpora")
    learned = [split for split in read(splits, Split) if split.split == "train"]
    said = visible_captions(read_all(captions, corpora, Caption), learned)
    pairings = [
        Pairing(clip.clip_id, clip.features, tuple(caption.text for caption in said[clip.clip_id]))
        for clip in read_all(clips, corpora, Clip)
        if clip.clip_id in said
    ]
    if len(pairings) < 2:
        raise TableError(f"{splits} leaves {len(pairings)} captioned train clips; an evaluator needs at least 2")

    tables = [folder / f"{corpus}.parquet" for folder in (clips, captions) for corpus in corpora]
    stage = f"train_evaluators.{evaluator}"
    kept = checkpoints(stage, params, [splits, stats, *tables], params.checkpoint_every)
    trained, journal = train(stage, pairings, read_json(stats), params, kept)

    with whole_folder(out) as aside:
        trained.save(aside)
        journal.save(aside)
    kept.discard()
    summarise("train_evaluators", evaluator, clips=len(pairings), steps=params.steps, loss=journal.last("loss"))
