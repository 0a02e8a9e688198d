"""`irg export`: clips of the dataset, or what a model showed for its goals, in the formats that others read."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from flows.terminal import counted
from irg_core import plugins
from irg_core.errors import ParamsError, TableError
from irg_core.motion import lines
from irg_core.params import names
from irg_core.records.annotation import Caption
from irg_core.records.evaluation import Generation
from irg_core.records.exchange import Motion
from irg_core.records.motion import Clip, Facts, Split
from irg_core.tables import read, scan

DATA = Path("data")


def export(
    format: Annotated[str, typer.Argument(help="bvh, dataset, humanml3d or joints: a file of irg_core/exports")],
    folder: Annotated[Path, typer.Argument(help="where to write; made if missing")],
    corpus: Annotated[list[str] | None, typer.Option(help="only clips of this corpus; may be repeated")] = None,
    split: Annotated[list[str] | None, typer.Option(help="only train, val or test; may be repeated")] = None,
    clip: Annotated[list[str] | None, typer.Option(help="only this clip_id; may be repeated")] = None,
    model: Annotated[str, typer.Option(help="what this model showed last for each test goal, not the clips")] = "",
) -> None:
    """Write motions as BVH, joint positions, a HumanML3D folder, or a dataset for `datasets.load_dataset`."""
    write = plugins.load("irg_core.exports", format).write
    known = names("corpora")
    if unknown := sorted(set(corpus or []) - set(known)):
        raise ParamsError(f"params.yaml: corpora has no {', '.join(unknown)}; it has: {', '.join(known)}")
    found = generated(model) if model else clips(corpus or known)
    wanted = (
        motion
        for motion in found
        if (not corpus or motion.corpus in corpus)
        and (not split or motion.split in split)
        and (not clip or motion.name.removeprefix(f"{model}/") in clip)
    )
    count = write(counted(wanted, "motions"), folder)
    if not count:
        raise TableError(f"nothing to export: no motion of data/ fits corpus {corpus}, split {split}, clip {clip}")
    print(f"{count} motions in {folder}")


def clips(corpora: list[str]) -> Iterator[Motion]:
    """The clips of these corpora with their captions and facts, corpus by corpus."""
    parts = {split.clip_id: split.split for split in read(DATA / "splits.parquet", Split)}
    for corpus in sorted(corpora):
        said: dict[str, list[str]] = {}
        for caption in read(DATA / f"captions/{corpus}.parquet", Caption):
            said.setdefault(caption.clip_id, []).append(caption.text)
        measured = {row.clip_id: _told(row) for row in read(DATA / f"facts/{corpus}.parquet", Facts)}
        for row in scan(DATA / f"clips/{corpus}.parquet", Clip):
            if row.clip_id not in parts:
                raise TableError(f"data/splits.parquet does not know {row.clip_id}; run `dvc repro split`")
            facts = measured.get(row.clip_id, [])
            yield Motion(
                row.clip_id, corpus, parts[row.clip_id], said.get(row.clip_id, []), facts, row.features, row.source
            )


def _told(facts: Facts) -> list[str]:
    return [*lines.of_phases(facts.phases), *lines.of_measures(facts.measures, len(facts.measures))]


def generated(model: str) -> Iterator[Motion]:
    """The last motion of every answer that the model gave in `evaluate`; an answer without one is left out."""
    from irg_core.models.vqvae import MotionTokenizer

    rows = [row for row in read(DATA / f"generations/{model}.parquet", Generation) if row.motions and row.motions[-1]]
    decoded = MotionTokenizer.load(DATA / "models/tokenizer").decode([row.motions[-1] for row in rows])
    for row, features in zip(rows, decoded, strict=True):
        yield Motion(f"{model}/{row.clip_id}", row.corpus, "test", [row.text], [], features, "")
