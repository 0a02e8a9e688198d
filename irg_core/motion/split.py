"""Who may learn from which clip, and how large the features are there.

A corpus is split by itself, from hashes of its own names, so that adding another moves nothing. Takes are kept whole.
Some kinds of motion (cells) and some ways of saying it (caption templates) are kept for the test altogether.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from irg_core.errors import ParamsError, SourceError
from irg_core.motion.features import GROUPS
from irg_core.records.motion import FEATURES, Clip, Split
from irg_core.seeds import derive


@dataclass(frozen=True)
class SplitParams:
    """How takes are shared out; what is neither val nor test is train."""

    seed: int
    """Another seed shares out other takes, cells and templates."""
    unseen_cells: float
    """Share of a corpus's cells that occur in test only, rounded down. More tests generalisation, and teaches less."""
    heldout_templates: float
    """Share of a corpus's caption templates that are read in test only."""
    val: float
    """Share of a corpus's takes that choose when to stop; at least one take."""
    test: float
    """Share of a corpus's takes that go to test although their cells may be seen in train; at least one take."""

    def __post_init__(self) -> None:
        shares = (self.unseen_cells, self.heldout_templates, self.val, self.test)
        if min(shares) < 0 or self.unseen_cells + self.val + self.test >= 1 or self.heldout_templates >= 1:
            raise ParamsError("params.yaml: split takes shares of at least 0; unseen_cells + val + test stay below 1")


def split_corpus(clips: Sequence[Clip], params: SplitParams) -> list[Split]:
    """The splits of one corpus's clips."""
    split_of = _share_out(clips, params)
    learnt_from = {clip.cell for clip in clips if split_of[clip.take] != "test"}
    hidden = _held_out_templates(clips, params)
    splits = []
    for clip in clips:
        split = split_of[clip.take]
        visible = _visible(clip, set() if split == "test" else hidden)
        splits.append(Split(clip.clip_id, clip.corpus, split, clip.cell not in learnt_from, visible))
    return splits


def _share_out(clips: Sequence[Clip], params: SplitParams) -> dict[str, str]:
    """The split of each take: whole cells to test first, then single takes."""
    corpus = clips[0].corpus
    cells = _shuffled({clip.cell for clip in clips}, "cell", corpus, params)
    kept_back = set(cells[: int(len(cells) * params.unseen_cells)])
    unseen = {clip.take for clip in clips if clip.cell in kept_back}
    takes = _shuffled({clip.take for clip in clips}, "take", corpus, params)
    known = [take for take in takes if take not in unseen]
    val, test = (max(1, round(len(takes) * share)) for share in (params.val, params.test))
    if len(known) <= val + test:
        raise SourceError(
            f"corpus '{corpus}' has {len(takes)} takes, too few for train beside {val} val and {test} test; "
            "give it more motion or lower the shares under 'split' in params.yaml"
        )
    names = ["val"] * val + ["test"] * test + ["train"] * (len(known) - val - test)
    return dict.fromkeys(unseen, "test") | dict(zip(known, names, strict=True))


def statistics(clips: Iterable[Clip]) -> dict[str, list[float] | int]:
    """Mean and standard deviation [263] over the frames of clips, the latter averaged within each group of features.

    As in HumanML3D: a group is scaled by one number, or a foot's small sideways velocity would count like its stride.
    """
    frames, total, squares = 0, np.zeros(FEATURES), np.zeros(FEATURES)
    for clip in clips:
        rows = clip.features.astype(np.float64)
        frames += len(rows)
        total += rows.sum(axis=0)
        squares += (rows**2).sum(axis=0)
    mean = total / frames
    std = np.sqrt(np.maximum(squares / frames - mean**2, 0.0))
    for group in GROUPS:
        std[group] = std[group].mean()
    # What never changes in train is left at its own scale: dividing by nothing would blow up the first surprise.
    std[std < 1e-6] = 1.0
    # Rounded, because the last digits of a sum over a million frames depend on the order in which it was taken.
    return {"mean": np.round(mean, 6).tolist(), "std": np.round(std, 6).tolist(), "frames": frames}


def _shuffled(names: set[str], kind: str, corpus: str, params: SplitParams) -> list[str]:
    """Names in an order that depends on nothing but the seed and each name."""
    return sorted(names, key=lambda name: (derive(params.seed, "split", kind, corpus, name), name))


def _held_out_templates(clips: Sequence[Clip], params: SplitParams) -> set[str]:
    """Captions that people wrote have no template and are never held out."""
    named = {caption.template for clip in clips for caption in clip.captions if caption.template}
    order = _shuffled(named, "template", clips[0].corpus, params)
    return set(order[: round(len(order) * params.heldout_templates)])


def _visible(clip: Clip, hidden: set[str]) -> list[int]:
    return [index for index, caption in enumerate(clip.captions) if caption.template not in hidden]
