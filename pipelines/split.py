"""split: share out the clips of each corpus, twins together, and measure mean and spread of what train may see."""

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from irg_core.files import write_json
from irg_core.motion import twins
from irg_core.motion.audit import REPAIRED, AuditParams, parted, twin_findings
from irg_core.motion.split import SplitParams, split_corpora, statistics
from irg_core.params import names, section
from irg_core.records.audit import Finding
from irg_core.records.motion import FEATURES, Clip, Split
from irg_core.summaries import summarise
from irg_core.tables import commit, scan
from pipelines.executor import MapBatches

BATCH = 256
"""Clips that travel to a worker together."""
STILL = np.zeros((0, FEATURES), dtype=np.float32)


def main(clips: Path, splits: Path, stats: Path, copies: Path, *, map_batches: MapBatches = map) -> None:
    params, rules = section("split", SplitParams), section("audit", AuditParams)
    tables = {corpus: clips / f"{corpus}.parquet" for corpus in names("corpora")}
    # Motions are read again and again and never all held; what is said about them is.
    bare = {corpus: [replace(clip, features=STILL) for clip in scan(table, Clip)] for corpus, table in tables.items()}
    everyone = [clip for corpus in bare.values() for clip in corpus]
    pairs = twins_among(everyone, list(tables.values()), splits.parent, rules, map_batches)
    found = twin_findings(pairs, everyone, (clip for table in tables.values() for clip in scan(table, Clip)), rules)
    families = twins.families(parted(pairs, everyone, rules))
    shared_out, moved = split_corpora(bare, families, params)
    train = {split.clip_id for split in shared_out if split.split == "train"}

    commit(splits, shared_out, Split)
    motions = (clip for table in tables.values() for clip in scan(table, Clip))
    write_json(stats, statistics(clip for clip in motions if is_sound(clip, train)))
    commit(copies, [*found, *moved], Finding)
    counts = Counter(f"{split.corpus} {split.split}{' unseen' if split.unseen else ''}" for split in shared_out)
    mended = sum(finding.outcome == REPAIRED for finding in found)
    summarise("split", clips=dict(sorted(counts.items())), twins=mended, moved=len(moved))


def twins_among(
    clips: Sequence[Clip], tables: Sequence[Path], folder: Path, rules: AuditParams, map_batches: MapBatches
) -> list[twins.Pair]:
    """Clips of different takes that are one motion."""
    gallery = twins.Gallery(folder)
    signatures = itertools.chain.from_iterable(map_batches(signatures_of_batch, in_batches(tables)))
    for clip, signature in zip(clips, signatures, strict=True):
        gallery.add(clip.take, signature)
    return list(twins.pairs(gallery, rules.farthest_twin, twins.HALF))


def signatures_of_batch(batch: list[np.ndarray]) -> list[twins.Signature]:
    return [twins.signature(features) for features in batch]


def in_batches(tables: Sequence[Path]) -> Iterator[list[np.ndarray]]:
    motions = (clip.features for table in tables for clip in scan(table, Clip))
    while batch := list(itertools.islice(motions, BATCH)):
        yield batch


def is_sound(clip: Clip, train: set[str]) -> bool:
    """A train clip without broken numbers; validate_clips, not this stage, names a broken one and stops."""
    return clip.clip_id in train and bool(np.isfinite(clip.features).all())
