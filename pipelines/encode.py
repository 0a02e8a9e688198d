"""encode: turn every clip of a corpus into codes, once."""

from dataclasses import dataclass
from pathlib import Path

from irg_core.models.vqvae import MotionTokenizer
from irg_core.params import section
from irg_core.records.motion import Clip, MotionTokens
from irg_core.summaries import summarise
from irg_core.tables import commit, read


@dataclass(frozen=True)
class EncodeParams:
    """`encode` in params.yaml."""

    threads: int
    """More is faster; a clip between two codes may then fall to the other one."""


def main(corpus: str, clips: Path, tokenizer: Path, out: Path) -> None:
    import torch

    params = section("encode", EncodeParams)
    torch.set_num_threads(params.threads)
    found = read(clips, Clip)
    codes = MotionTokenizer.load(tokenizer).encode([clip.features for clip in found])
    rows = [MotionTokens(clip.clip_id, row) for clip, row in zip(found, codes, strict=True)]
    commit(out, rows, MotionTokens)
    summarise("encode", corpus, clips=len(rows), codes=sum(map(len, codes)))
