"""What is evaluated: every test clip with one of its captions, and the subsets that scores are given for."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from irg_core.records.annotation import Caption
from irg_core.records.motion import Clip, Split
from irg_core.seeds import rng

SYNTHETIC = "synthetic"


@dataclass(frozen=True)
class Goal:
    """A test clip, the one sentence it is asked for by, and whether its cell was seen in training."""

    clip: Clip
    caption_id: str
    text: str
    unseen: bool
    others: tuple[str, ...] = ()
    """What else people said of the clip."""


def goals(
    clips: Iterable[Clip], splits: Iterable[Split], captions: Mapping[str, Sequence[Caption]], seed: int
) -> list[Goal]:
    """The test clips in the order of their ids. Captions that came with the clip are goals, written ones only where
    there are no others: a provider's wording would be easier for a model that was trained on its words."""
    test = {split.clip_id: split.unseen for split in splits if split.split == "test"}
    asked = []
    for clip in sorted(clips, key=lambda clip: clip.clip_id):
        if clip.clip_id in test and (said := captions.get(clip.clip_id)):
            own = [caption for caption in said if caption.source == "source"] or list(said)
            caption = own[rng(seed, "goal", clip.clip_id).integers(len(own))]
            others = tuple(one.text for one in own if one is not caption)
            asked.append(Goal(clip, caption.caption_id, caption.text, test[clip.clip_id], others))
    return asked


def subsets(asked: Sequence[Goal], synthetic: Collection[str]) -> dict[str, np.ndarray]:
    """Rows of `asked` by subset. Corpora are never mixed, but for synthetic ones, which say so in their name."""
    place = np.array([SYNTHETIC if goal.clip.corpus in synthetic else goal.clip.corpus for goal in asked])
    unseen = np.array([goal.unseen for goal in asked], dtype=bool)
    found = {name: np.flatnonzero(place == name) for name in sorted(set(place.tolist()))}
    if SYNTHETIC in found:
        found[f"{SYNTHETIC}/seen"] = np.flatnonzero((place == SYNTHETIC) & ~unseen)
        found[f"{SYNTHETIC}/unseen"] = np.flatnonzero((place == SYNTHETIC) & unseen)
    return {name: rows for name, rows in found.items() if len(rows)}
