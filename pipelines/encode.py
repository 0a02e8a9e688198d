"""encode: turn every clip of a corpus into codes, once."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, partial
from itertools import islice
from pathlib import Path

import numpy as np

from irg_core.models.vqvae import MotionTokenizer
from irg_core.params import section
from irg_core.records.motion import Clip, MotionTokens
from irg_core.summaries import summarise
from irg_core.tables import commit, scan
from pipelines.executor import MapBatches

BATCH = 512
"""Clips that travel to a worker together. In more of them more are of one length, and encoded at one go."""


@dataclass(frozen=True)
class EncodeParams:
    """`encode` in params.yaml."""

    threads: int
    """Of each worker. More is faster; a clip between two codes may then fall to the other one."""


def main(corpus: str, clips: Path, tokenizer: Path, out: Path, *, map_batches: MapBatches = map) -> None:
    params = section("encode", EncodeParams)
    parts = map_batches(partial(encoded, tokenizer, params.threads), in_batches(scan(clips, Clip)))
    rows = [row for part in parts for row in part]
    commit(out, rows, MotionTokens)
    summarise("encode", corpus, clips=len(rows), codes=sum(len(row.tokens) for row in rows))


def in_batches(clips: Iterator[Clip]) -> Iterator[list[tuple[str, np.ndarray]]]:
    """Ids and motions, some clips at a time: a corpus may be larger than memory."""
    while batch := [(clip.clip_id, clip.features) for clip in islice(clips, BATCH)]:
        yield batch


def encoded(tokenizer: Path, threads: int, batch: list[tuple[str, np.ndarray]]) -> list[MotionTokens]:
    """In a worker: the codes of each motion [frames, 263 or 251]."""
    import torch

    torch.set_num_threads(threads)
    codes = _loaded(tokenizer).encode([motion for _, motion in batch])
    return [MotionTokens(clip_id, row) for (clip_id, _), row in zip(batch, codes, strict=True)]


@cache
def _loaded(tokenizer: Path) -> MotionTokenizer:
    """Once a process."""
    return MotionTokenizer.load(tokenizer)
