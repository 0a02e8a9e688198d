"""A motion that somebody hands to a command: any file that corpora read, or a clip of the dataset by its name.

A file goes through the same door as a corpus, with one difference: what a dataset would refuse is let in and told, for
whoever asks about a motion wants to hear what is wrong with it.
"""

import itertools
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from flows.commands.corpus import guess_format
from irg_core import plugins, tables
from irg_core.errors import FactoryError, SourceError
from irg_core.motion import representation
from irg_core.motion.audit import ACCEPTED, NO_CAPTION, AuditParams
from irg_core.motion.ingest import Ingested, IngestParams, ingest
from irg_core.motion.representation import Representation
from irg_core.motion.skeleton import FPS
from irg_core.params import choice, mapping, section
from irg_core.records.annotation import Rejection
from irg_core.records.audit import Finding
from irg_core.records.motion import Clip, Take
from irg_core.sources import arrays

CLIPS = Path("data/clips")
SUFFIXES = (".npy", ".npz", ".bvh", ".amc", ".txt", ".parquet")
ORDERS = {22: ("t2m", FPS), 21: ("kit", representation.KIT.fps), 24: ("smpl", None), 52: ("smplh", None)}
"""By the number of joints in an npy file: their order, and the rate at which the field stores them."""
FEWEST = 4
"""Frames: one code of the tokenizer."""
NEAR = 3


@dataclass(frozen=True)
class Given:
    """A motion as this build stores motions."""

    name: str
    features: np.ndarray  # [frames, 263 or 251] float32, not normalised
    notes: list[str]  # what was noticed at the door


def given(told: str, fps: float | None, piece: int | None) -> Given:
    """The motion of a file, or of a clip. Raises `SourceError` where it cannot be used, in a sentence that says why."""
    path = Path(told)
    if path.is_file():
        found = _features(path) if path.suffix.lower() == ".npy" else None
        return found or _of_file(path, fps, piece)
    if path.is_dir():
        raise SourceError(f"{told} is a folder; give one motion of it")
    return _clip(told)


def kind() -> Representation:
    """How this build stores motions."""
    return representation.made(
        representation.SKELETONS[choice("skeleton", representation.SKELETONS)], choice("features", representation.MODES)
    )


def _clip(told: str) -> Given:
    corpus = told.partition("/")[0]
    path = CLIPS / f"{corpus}.parquet"
    if corpus not in mapping("corpora") or not path.exists():
        raise SourceError(f"{told} is neither a file nor a clip of data/clips")
    clip = tables.find(path, Clip, told)
    if clip is None:
        near = ", ".join(tables.keys_near(path, told, NEAR))
        raise SourceError(f"{told} is neither a file nor a clip; near it are: {near}")
    return Given(told, clip.features, [])


def _features(path: Path) -> Given | None:
    """Rows of features as they stand; None where the file holds something else."""
    try:
        rows = arrays.npy(path)
        if rows.ndim != 2 or rows.shape[1] not in {each.width for each in representation.SKELETONS.values()}:
            return None
        rows = arrays.numeric(rows).astype(np.float32)
    except ValueError as error:
        raise SourceError(f"{path}: {error}") from error
    if not np.isfinite(rows).all():
        raise SourceError(f"{path} holds numbers that are not finite")
    if len(rows) < FEWEST:
        raise SourceError(f"{path} holds {len(rows)} frames; at least {FEWEST} are needed")
    wanted = kind()
    if rows.shape[1] != wanted.width:
        rows = wanted.rows(representation.to_joints(rows), FPS)
    return Given(path.stem, rows, [])


def _of_file(path: Path, fps: float | None, piece: int | None) -> Given:
    take, rules = _take(path, fps), _lenient(section("audit", AuditParams))
    params, wanted = section("ingest", IngestParams), kind()
    params = replace(params, min_seconds=min(params.min_seconds, FEWEST / wanted.fps))
    result = ingest(replace(take, captions=()), "given", params, rules, wanted)
    if not result.clips:
        raise _refused(path, result.rejections[0])
    return Given(path.stem, _chosen(path, result, piece).features, list(dict.fromkeys(map(_told, _noted(result)))))


def _lenient(rules: AuditParams) -> AuditParams:
    kinds = {
        name: replace(rule, rule="accept") if rule.rule == "reject" else rule for name, rule in rules.rules.items()
    }
    return replace(rules, rules=kinds)


def _noted(result: Ingested) -> Iterator[Finding]:
    return (finding for finding in result.findings if finding.kind != NO_CAPTION)


def _told(finding: Finding) -> str:
    aside = "; a dataset might refuse it" if finding.outcome == ACCEPTED else ""
    return f"{finding.kind}, {finding.outcome}{aside}: {finding.detail}"


def _chosen(path: Path, result: Ingested, piece: int | None) -> Clip:
    pieces = [clip for clip, _ in result.clips]
    if piece is None and len(pieces) > 1:
        seconds = sum(kind().seconds(clip.features) for clip in pieces)
        raise SourceError(f"{path} lasts {seconds:.0f} s, {len(pieces)} pieces; choose one: --piece 1 to {len(pieces)}")
    if not 1 <= (piece or 1) <= len(pieces):
        raise SourceError(f"{path} has {len(pieces)} pieces; --piece {piece} is none of them")
    return pieces[(piece or 1) - 1]


def _take(path: Path, fps: float | None) -> Take:
    """The one take of a file. Its folder may hold others, so it is read in a folder of its own."""
    if path.suffix.lower() not in SUFFIXES:
        raise SourceError(f"{path} is no motion that corpora read; they read {', '.join(SUFFIXES)}")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        # An AMC file finds its skeleton beside it.
        beside = path.parent.glob("*.asf") if path.suffix.lower() == ".amc" else ()
        for file in (path, *beside):
            (folder / file.name).symlink_to(file.resolve())
        options: dict[str, Any] = {} if fps is None else {"fps": fps}
        if path.suffix.lower() == ".npy":
            options = _order(path) | options
        format = guess_format(folder)
        options = {} if format == "deepmimic" else options
        try:
            found = list(itertools.islice(plugins.load("irg_core.corpora", format).read(folder, **options), 2))
        except FactoryError as error:
            raise SourceError(f"{path}: {str(error).replace(place, str(path.parent))}") from error
    takes = [one for one in found if isinstance(one, Take)]
    if len(takes) > 1:
        raise SourceError(f"{path} holds more than one motion; write the one you mean to a file of its own")
    if not takes:
        raise _refused(path, next(one for one in found if isinstance(one, Rejection)))
    return takes[0]


def _order(path: Path) -> dict[str, Any]:
    """What an npy file of joints does not say of itself."""
    try:
        shape = arrays.npy(path).shape
    except ValueError as error:
        raise SourceError(f"{path}: {error}") from error
    if len(shape) != 3 or shape[1] not in ORDERS:
        known = ", ".join(map(str, sorted(ORDERS)))
        raise SourceError(
            f"{path} holds an array {list(shape)}; [frames, 263 or 251] features or [frames, joints, 3] are read, "
            f"of {known} joints"
        )
    name, rate = ORDERS[shape[1]]
    return {"order": name} | ({} if rate is None else {"fps": rate})


def _refused(path: Path, row: Rejection) -> SourceError:
    hint = "; give the rate with --fps" if row.reason == "no frame rate" else ""
    detail = re.sub(rf"^{re.escape(path.name)}: ", "", row.detail)
    return SourceError(f"{path} cannot be used: {row.reason}: {detail}{hint}")
