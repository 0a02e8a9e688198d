"""train_evaluators: learn where sentences and motions meet, from the train split alone; or take a published net."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from irg_core.errors import TableError
from irg_core.files import read_json, whole_folder, write_json
from irg_core.models.evaluator import Evaluator
from irg_core.params import names, section
from irg_core.records.annotation import Caption, visible_captions
from irg_core.records.motion import Clip, Split
from irg_core.summaries import summarise
from irg_core.tables import read, read_all
from irg_core.training.ceiling import ceiling
from irg_core.training.checkpoint import checkpoints
from irg_core.training.contrastive import EvaluatorParams, Pairing, train
from irg_core.training.journal import Journal
from irg_core.training.published import entry, taken


def main(evaluator: str, clips: Path, captions: Path, splits: Path, stats: Path, verdict: Path, out: Path) -> None:
    corpora, parts = names("corpora"), read(splits, Split)
    held_out = _pairings([split for split in parts if split.split == "val"], clips, captions, corpora)
    learned = _pairings([split for split in parts if split.split == "train"], clips, captions, corpora)
    stage = f"train_evaluators.{evaluator}"
    if found := entry(stage):
        best = ceiling(published := taken(stage, found), learned, held_out, found.near_identical, found.seed)
        _keep(published, Journal(stage), best, out)
        summarise("train_evaluators", evaluator, clips=len(learned), **_told(best))
        return
    params = section(f"train_evaluators.{evaluator}", EvaluatorParams)
    if len(learned) < 2:
        raise TableError(f"{splits} leaves {len(learned)} captioned train clips; an evaluator needs at least 2")

    tables = [folder / f"{corpus}.parquet" for folder in (clips, captions) for corpus in corpora]
    kept = checkpoints(stage, params, [splits, stats, *tables], params.checkpoint_every)
    trained, journal = train(stage, learned, read_json(stats), params, kept)
    best = ceiling(trained, learned, held_out, params.near_identical, params.seed)

    _keep(trained, journal, best, out)
    kept.discard()
    told = {"steps": params.steps, "loss": journal.last("loss"), **_told(best)}
    summarise("train_evaluators", evaluator, clips=len(learned), **told)


def _pairings(parts: Sequence[Split], clips: Path, captions: Path, corpora: Sequence[str]) -> list[Pairing]:
    """The captioned clips of some splits, with the sentences that may be seen there."""
    said = visible_captions(read_all(captions, corpora, Caption), parts)
    return [
        Pairing(clip.clip_id, clip.features, tuple(caption.text for caption in said[clip.clip_id]))
        for clip in read_all(clips, corpora, Clip)
        if clip.clip_id in said
    ]


def _keep(evaluator: Evaluator, journal: Journal, best: Mapping[str, Mapping[str, float]], out: Path) -> None:
    with whole_folder(out) as aside:
        evaluator.save(aside)
        journal.save(aside)
        write_json(aside / "ceiling.json", best)


def _told(best: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """The ceiling in two numbers: real motions found among val clips, and how many more among train clips."""
    told = {"val_gallery_r3": best["val"].get("gallery_r3"), "gap": best["gap"].get("gallery_r3")}
    return {name: value for name, value in told.items() if value is not None}
