"""What must be true of clips, their splits and their facts before anything is trained on them."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from irg_core.motion import representation
from irg_core.motion.ingest import IngestParams
from irg_core.motion.representation import Representation
from irg_core.records.motion import Clip, Facts, Split
from irg_core.validation.verdicts import Table, always, between, rows_at_least, unique, within

FORWARD, SIDEWAYS, HEIGHT = 1, 2, 3
"""Feature columns: root velocity in the ground plane, metres a frame, and the root's height in metres."""
SAME = 0.002
"""Metres, root mean square over joints: the same motion under another name. Two takes of one act differ by more."""
TOLERANCE = 0.26
"""Seconds by which measured phases may pass a clip's end: a phase may hold until the frame after the last one."""


@dataclass(frozen=True)
class ValidateClipsParams:
    """`validate_clips` in params.yaml."""

    largest_feature: float
    """Bound on every feature. Metres, metres a frame and rotations all stay far below ten in a human motion."""
    fastest: float
    """Root speed in metres a second that no one exceeds; a higher one means wrong units or a wrong frame rate."""
    highest: float
    """Root height in metres."""


def tables(
    clips: Sequence[Clip],
    splits: Sequence[Split],
    facts: Sequence[Facts],
    params: ValidateClipsParams,
    lengths: IngestParams,
) -> list[Table]:
    """What is held against the tables; `lengths` says how long ingest lets a clip be."""
    return [
        _clips(clips, splits, facts, params, lengths),
        _splits(clips, splits),
        _takes(clips, splits),
        _facts(clips, facts),
    ]


def counts(clips: Sequence[Clip], splits: Sequence[Split]) -> dict[str, Any]:
    """Clips by corpus and split, for the report."""
    found: dict[str, dict[str, int]] = defaultdict(lambda: {"train": 0, "val": 0, "test": 0, "unseen": 0})
    for split in splits:
        found[split.corpus][split.split] += 1
        found[split.corpus]["unseen"] += split.unseen
    frames = {corpus: sum(len(clip.features) for clip in clips if clip.corpus == corpus) for corpus in sorted(found)}
    fps = _fps(clips)
    return {corpus: found[corpus] | {"minutes": round(frames[corpus] / fps / 60, 1)} for corpus in sorted(found)}


def _fps(clips: Sequence[Clip]) -> float:
    """That of all clips: a build has one skeleton."""
    return max((_kind(clip).fps for clip in clips), default=representation.T2M.fps)


def _kind(clip: Clip) -> Representation:
    return representation.of(clip.features.shape[1])


def _clips(
    clips: Sequence[Clip],
    splits: Sequence[Split],
    facts: Sequence[Facts],
    params: ValidateClipsParams,
    lengths: IngestParams,
) -> Table:
    # A take just over the longest length is cut in half.
    fps = _fps(clips)
    shortest, longest = min(lengths.min_seconds, lengths.max_seconds / 2) * fps, lengths.max_seconds * fps
    divided, measured = {split.clip_id for split in splits}, {row.clip_id for row in facts}
    frame = pd.DataFrame(
        [
            _scalars(clip) | {"is_divided": clip.clip_id in divided, "is_measured": clip.clip_id in measured}
            for clip in clips
        ]
    )
    claims = [
        rows_at_least(2, "there are clips"),
        unique("clip_id", "a clip id occurs once"),
        between("frames", math.floor(shortest), math.ceil(longest), "a clip lasts as long as ingest allows"),
        between("finite", 1.0, 1.0, "every number of a clip is finite"),
        between("largest", 0.0, params.largest_feature, "no feature is out of all proportion"),
        between("speed", 0.0, params.fastest, "no root moves faster than a person can"),
        between("height", 0.0, params.highest, "no root is higher than a person can be"),
        always("has_words", "no caption is empty"),
        always("is_divided", "a clip has a split"),
        always("is_measured", "a clip has facts"),
    ]
    return Table("clips", "clip_id", frame, claims)


def _scalars(clip: Clip) -> dict[str, Any]:
    finite = np.isfinite(clip.features)
    known = _kind(clip).in_metres(np.where(finite, clip.features, 0.0))
    return {
        "clip_id": clip.clip_id,
        "frames": len(known),
        "finite": float(finite.mean()) if finite.size else 0.0,
        "largest": float(np.abs(known).max(initial=0.0)),
        "speed": float(np.hypot(known[:, FORWARD], known[:, SIDEWAYS]).max(initial=0.0)) * _kind(clip).fps,
        "height": float(known[:, HEIGHT].max(initial=0.0)),
        "has_words": all(caption.text.strip() for caption in clip.captions),
    }


def _splits(clips: Sequence[Clip], splits: Sequence[Split]) -> Table:
    captions = {clip.clip_id: len(clip.captions) for clip in clips}
    twins = _twins(clips, {split.clip_id: split.split for split in splits})
    frame = pd.DataFrame(
        {
            "clip_id": split.clip_id,
            "split": split.split,
            "is_known": split.clip_id in captions,
            "is_apart": not split.unseen or split.split == "test",
            "is_new": split.clip_id not in twins,
            "exists": all(0 <= index < captions.get(split.clip_id, 0) for index in split.captions),
        }
        for split in splits
    )
    claims = [
        unique("clip_id", "a clip is in one split"),
        within("split", ["train", "val", "test"], "a split is train, val or test"),
        always("is_known", "a split row belongs to a clip"),
        always("is_apart", "unseen cells are in test only"),
        always("is_new", "no motion is in train and in test"),
        always("exists", "visible captions exist"),
    ]
    return Table("splits", "clip_id", frame, claims)


def _takes(clips: Sequence[Clip], splits: Sequence[Split]) -> Table:
    """One row for each take: the unit of splitting, and with it what must not be on both sides of the line."""
    part = {split.clip_id: split for split in splits}
    takes, cells = defaultdict(set), defaultdict(set)
    for clip in clips:
        split = part.get(clip.clip_id)
        takes[clip.take].add(split.split if split else "none")
        if split and split.unseen:
            cells[clip.corpus, clip.cell].add("unseen")
        elif split and split.split != "test":
            cells[clip.corpus, clip.cell].add("trained")
    frame = pd.DataFrame(
        {
            "take": clip.take,
            "splits": len(takes[clip.take]),
            "is_apart": len(cells[clip.corpus, clip.cell]) < 2,
        }
        for clip in _first_of_each_take(clips)
    )
    claims = [
        between("splits", 1, 1, "all cuts of a take are in one split"),
        always("is_apart", "a cell called unseen occurs in no training"),
    ]
    return Table("takes", "take", frame, claims)


def _first_of_each_take(clips: Iterable[Clip]) -> Iterable[Clip]:
    return {clip.take: clip for clip in reversed(list(clips))}.values()


def _twins(clips: Sequence[Clip], part: Mapping[str, str]) -> set[str]:
    """Test clips that a train clip of their length equals, but for less than `SAME`."""
    sides = [[clip for clip in clips if part.get(clip.clip_id) == name] for name in ("test", "train")]
    if not all(sides):
        return set()
    test, train = (np.stack([_sketch(clip) for clip in side]) for side in sides)
    # |a - b|^2 expanded: all pairs at once. Its rounding error is far below SAME.
    squares = np.square(test).sum(1)[:, None] + np.square(train).sum(1) - 2.0 * test @ train.T
    alike = np.sqrt(np.maximum(squares, 0.0) / test.shape[1]) < SAME
    lengths = [np.array([len(clip.features) for clip in side]) for side in sides]
    pairs = np.argwhere(alike & (lengths[0][:, None] == lengths[1]))
    return {sides[0][row].clip_id for row, _ in pairs}


def _sketch(clip: Clip) -> np.ndarray:
    """Height and joint positions in eight frames spread over the clip, in metres, as one vector."""
    frames = np.linspace(0, len(clip.features) - 1, 8).astype(int)
    rows = _kind(clip).in_metres(clip.features[frames])
    return np.nan_to_num(rows[:, HEIGHT : _kind(clip).positions.stop]).astype(np.float64).ravel()


def _facts(clips: Sequence[Clip], facts: Sequence[Facts]) -> Table:
    seconds = {clip.clip_id: _kind(clip).seconds(clip.features) for clip in clips}
    frame = pd.DataFrame(
        {
            "clip_id": row.clip_id,
            "is_known": row.clip_id in seconds,
            "is_inside": _is_inside(row, seconds.get(row.clip_id, 0.0)),
        }
        for row in facts
    )
    claims = [
        unique("clip_id", "a clip is measured once"),
        always("is_known", "facts belong to a clip"),
        always("is_inside", "phases lie inside of their clip and do not end before they start"),
    ]
    return Table("facts", "clip_id", frame, claims)


def _is_inside(facts: Facts, seconds: float) -> bool:
    spans = [(part.start, part.end) for part in facts.phases] + [(part.start, part.end) for part in facts.measures]
    return all(0 <= start <= end <= seconds + TOLERANCE for start, end in spans)
