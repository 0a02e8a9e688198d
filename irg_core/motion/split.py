"""Who may learn from which clip, and how large the features are there.

A corpus is split by itself, from hashes of its own names, so that adding another moves nothing. Takes are kept whole,
and so are families: takes that hold one motion under several names, in one corpus or in several. What a corpus itself
says about its splits is kept. Some kinds of motion (cells) and some ways of saying it (caption templates) are kept for
the test altogether.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from irg_core.errors import ParamsError, SourceError
from irg_core.motion import representation
from irg_core.motion.audit import moved
from irg_core.records.audit import Finding
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


def split_corpora(
    corpora: Mapping[str, Sequence[Clip]], families: Mapping[str, str], params: SplitParams
) -> tuple[list[Split], list[Finding]]:
    """The splits of all corpora's clips, and the takes that had to leave the split that their corpus declares.

    `families` gives the head of each take that is a twin of others. A family goes where its members' corpora declare
    it, to train where they contradict each other, and else where its first corpus by name draws it.
    """
    decided, astray = _declared([clip for clips in corpora.values() for clip in clips], families)
    splits = []
    for corpus in sorted(corpora):
        split_of = _share_out(corpora[corpus], families, decided, params)
        decided |= split_of
        takes = {clip.take: split_of[_head(clip, families)] for clip in corpora[corpus]}
        splits += split_corpus(corpora[corpus], takes, params)
    return splits, astray


def split_corpus(clips: Sequence[Clip], split_of: Mapping[str, str], params: SplitParams) -> list[Split]:
    """The splits of one corpus's clips, given those of their takes."""
    learnt_from = {clip.cell for clip in clips if split_of[clip.take] != "test"}
    hidden = _held_out_templates(clips, params)
    splits = []
    for clip in clips:
        split = split_of[clip.take]
        visible = _visible(clip, set() if split == "test" else hidden)
        splits.append(Split(clip.clip_id, clip.corpus, split, clip.cell not in learnt_from, visible))
    return splits


def _head(clip: Clip, families: Mapping[str, str]) -> str:
    return families.get(clip.take, clip.take)


def _declared(clips: Iterable[Clip], families: Mapping[str, str]) -> tuple[dict[str, str], list[Finding]]:
    """The splits of families as their corpora declare them, and the takes that contradict that."""
    found: dict[str, str] = {}
    declared = [clip for clip in clips if clip.split]
    for clip in declared:
        head = _head(clip, families)
        found[head] = clip.split if found.get(head, clip.split) == clip.split else "train"
    astray = {clip.take: clip for clip in declared if found[_head(clip, families)] != clip.split}
    return found, [moved(take, clip, "train") for take, clip in sorted(astray.items())]


def _share_out(
    clips: Sequence[Clip], families: Mapping[str, str], decided: Mapping[str, str], params: SplitParams
) -> dict[str, str]:
    """The split of each family of a corpus that is not decided yet: whole cells to test first, then single families."""
    corpus = clips[0].corpus
    heads = {_head(clip, families) for clip in clips}
    cells = _shuffled({clip.cell for clip in clips if not clip.split}, "cell", corpus, params)
    kept_back = set(cells[: int(len(cells) * params.unseen_cells)])
    unseen = {head for clip in clips if clip.cell in kept_back and (head := _head(clip, families)) not in decided}
    takes = _shuffled(heads - set(decided), "take", corpus, params)
    known = [take for take in takes if take not in unseen]
    already = {head: decided[head] for head in heads if head in decided}
    if not takes:
        return already
    val, test = (max(1, round(len(takes) * share)) for share in (params.val, params.test))
    if len(known) <= val + test and not already:
        raise SourceError(
            f"corpus '{corpus}' has {len(takes)} takes, too few for train beside {val} val and {test} test; "
            "give it more motion or lower the shares under 'split' in params.yaml"
        )
    names = ["val"] * val + ["test"] * test + ["train"] * max(len(known) - val - test, 0)
    return already | dict.fromkeys(unseen, "test") | dict(zip(known, names, strict=False))


def statistics(clips: Iterable[Clip]) -> dict[str, list[float] | int]:
    """Mean and standard deviation [263 or 251] over the frames of clips, the latter averaged within groups of features.

    As in HumanML3D: a group is scaled by one number, or a foot's small sideways velocity would count like its stride.
    """
    frames, total, squares = 0, np.zeros(FEATURES), np.zeros(FEATURES)
    for clip in clips:
        rows = clip.features.astype(np.float64)
        total = rows.sum(axis=0) + (total if frames else 0.0)
        squares = (rows**2).sum(axis=0) + (squares if frames else 0.0)
        frames += len(rows)
    mean = total / frames
    std = np.sqrt(np.maximum(squares / frames - mean**2, 0.0))
    for group in representation.of(len(std)).groups:
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
