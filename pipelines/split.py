"""split: share out the clips of each corpus, and measure mean and spread of the features that train may see."""

from collections import Counter
from pathlib import Path

import numpy as np

from irg_core.files import write_json
from irg_core.motion.split import SplitParams, split_corpus, statistics
from irg_core.params import names, section
from irg_core.records.motion import Clip, Split
from irg_core.summaries import summarise
from irg_core.tables import commit, read


def main(clips: Path, splits: Path, stats: Path) -> None:
    params = section("split", SplitParams)
    clips_of = {corpus: read(clips / f"{corpus}.parquet", Clip) for corpus in names("corpora")}
    shared_out = [split for corpus in clips_of.values() for split in split_corpus(corpus, params)]
    train = {split.clip_id for split in shared_out if split.split == "train"}

    commit(splits, shared_out, Split)
    write_json(stats, statistics(clip for corpus in clips_of.values() for clip in corpus if is_sound(clip, train)))
    counts = Counter(f"{split.corpus} {split.split}{' unseen' if split.unseen else ''}" for split in shared_out)
    summarise("split", clips=dict(sorted(counts.items())))


def is_sound(clip: Clip, train: set[str]) -> bool:
    """A train clip without broken numbers; validate_clips, not this stage, names a broken one and stops."""
    return clip.clip_id in train and bool(np.isfinite(clip.features).all())
