"""What must be true of clips, their splits and their facts before anything is trained on them.

Clips are looked at one by one, and what is kept of each is small: tables larger than memory are no trouble.
"""

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from irg_core.motion import representation, twins
from irg_core.motion.audit import ACCEPTED
from irg_core.motion.ingest import IngestParams
from irg_core.motion.representation import Representation
from irg_core.records.audit import Twin
from irg_core.records.motion import Clip, Facts, Split
from irg_core.seeds import rng
from irg_core.validation.verdicts import Table, always, between, rows_at_least, unique, within

FORWARD, SIDEWAYS, HEIGHT = 1, 2, 3
"""Feature columns: root velocity in the ground plane, metres a frame, and the root's height in metres."""
SAME = 0.002
"""Metres, root mean square over joints: the same motion under another name. Two takes of one act differ by more."""
SAME_MIRRORED = 0.005
"""The same of a mirror image, which is 0.003 away: left and right of the uniform skeleton are not quite alike."""
MOMENTS = 8
"""Frames, spread over a clip, by which copies are told."""
POSES = (9, 3)
"""Joints of a sketch, and their coordinates."""
PROJECTIONS = 6
"""Sums of a sketch's numbers in which two copies must lie near each other."""
NOWHERE = "none"
"""Where a motion is met again that is met nowhere."""
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


@dataclass(frozen=True, slots=True)
class Seen:
    """What is kept of one clip."""

    clip_id: str
    corpus: str
    take: str
    cell: str
    captions: int
    seconds: float
    fps: float
    sketch: np.ndarray  # [216] float32: hands, feet, elbows, knees and head at some moments, in metres
    scalars: dict[str, Any]  # what is held against bounds


def seen(clip: Clip) -> Seen:
    kind = representation.of(clip.features.shape[1])
    scalars, sketch = _scalars(clip, kind), _sketch(clip.features)
    return Seen(
        clip.clip_id, clip.corpus, clip.take, clip.cell, len(clip.captions), kind.seconds(clip.features), kind.fps,
        sketch, scalars,
    )  # fmt: skip


def tables(
    clips: Sequence[Seen],
    splits: Sequence[Split],
    facts: Iterable[Facts],
    copies: Sequence[Twin],
    params: ValidateClipsParams,
    lengths: IngestParams,
) -> list[Table]:
    """What is held against the tables; `lengths` says how long ingest lets a clip be."""
    measured, of_facts = _facts(clips, facts)
    return [
        _clips(clips, splits, measured, params, lengths),
        _splits(clips, splits, copies),
        _takes(clips, splits),
        of_facts,
    ]


def counts(clips: Sequence[Seen], splits: Sequence[Split]) -> dict[str, Any]:
    """Clips by corpus and split, for the report."""
    found: dict[str, dict[str, int]] = defaultdict(lambda: {"train": 0, "val": 0, "test": 0, "unseen": 0})
    for split in splits:
        found[split.corpus][split.split] += 1
        found[split.corpus]["unseen"] += split.unseen
    seconds: dict[str, float] = defaultdict(float)
    for clip in clips:
        seconds[clip.corpus] += clip.seconds
    return {corpus: found[corpus] | {"minutes": round(seconds[corpus] / 60, 1)} for corpus in sorted(found)}


def _clips(
    clips: Sequence[Seen],
    splits: Sequence[Split],
    measured: set[str],
    params: ValidateClipsParams,
    lengths: IngestParams,
) -> Table:
    # A take just over the longest length is cut in half. A build has one skeleton, and with it one rate.
    fps = max((clip.fps for clip in clips), default=representation.T2M.fps)
    shortest, longest = min(lengths.min_seconds, lengths.max_seconds / 2) * fps, lengths.max_seconds * fps
    divided = {split.clip_id for split in splits}
    frame = pd.DataFrame(
        clip.scalars | {"is_divided": clip.clip_id in divided, "is_measured": clip.clip_id in measured}
        for clip in clips
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


def _scalars(clip: Clip, kind: Representation) -> dict[str, Any]:
    finite = np.isfinite(clip.features)
    known = kind.in_metres(np.where(finite, clip.features, 0.0))
    return {
        "clip_id": clip.clip_id,
        "frames": len(known),
        "finite": float(finite.mean()) if finite.size else 0.0,
        "largest": float(np.abs(known).max(initial=0.0)),
        "speed": float(np.hypot(known[:, FORWARD], known[:, SIDEWAYS]).max(initial=0.0)) * kind.fps,
        "height": float(known[:, HEIGHT].max(initial=0.0)),
        "has_words": all(caption.text.strip() for caption in clip.captions),
    }


def _splits(clips: Sequence[Seen], splits: Sequence[Split], twins: Sequence[Twin]) -> Table:
    captions = {clip.clip_id: clip.captions for clip in clips}
    part = {split.clip_id: split.split for split in splits}
    copied = _copies_elsewhere(
        clips, part, {frozenset((twin.name, twin.other)) for twin in twins if _is_let_pass(twin)}
    )
    parted = _parted(part, twins)
    frame = pd.DataFrame(
        {
            "clip_id": split.clip_id,
            "split": split.split,
            "is_known": split.clip_id in captions,
            "is_apart": not split.unseen or split.split == "test",
            "copy": copied.get(split.clip_id, NOWHERE),
            "twin": parted.get(split.clip_id, NOWHERE),
            "exists": all(0 <= index < captions.get(split.clip_id, 0) for index in split.captions),
        }
        for split in splits
    )
    claims = [
        unique("clip_id", "a clip is in one split"),
        within("split", ["train", "val", "test"], "a split is train, val or test"),
        always("is_known", "a split row belongs to a clip"),
        always("is_apart", "unseen cells are in test only"),
        within("copy", [NOWHERE], "no motion is in two splits, mirrored or not"),
        within("twin", [NOWHERE], "twins are in one split"),
        always("exists", "visible captions exist"),
    ]
    return Table("splits", "clip_id", frame, claims)


def _takes(clips: Sequence[Seen], splits: Sequence[Split]) -> Table:
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


def _first_of_each_take(clips: Iterable[Seen]) -> Iterable[Seen]:
    return {clip.take: clip for clip in reversed(list(clips))}.values()


# ---- the same motion twice -------------------------------------------------------------------------------------------


def _is_let_pass(twin: Twin) -> bool:
    """Twins that `audit.rules` accepts are known and may be parted; compose keeps them out of all examples."""
    return bool(twin.other) and twin.outcome == ACCEPTED


def _parted(part: Mapping[str, str], twins: Iterable[Twin]) -> dict[str, str]:
    """Of clips that have a twin in another split, by the table of twins: which one."""
    found: dict[str, str] = {}
    for twin in twins:
        if twin.other and not _is_let_pass(twin) and part.get(twin.name) != part.get(twin.other):
            found |= {twin.name: twin.other, twin.other: twin.name}
    return found


def _copies_elsewhere(
    clips: Sequence[Seen], part: Mapping[str, str], known: Collection[frozenset[str]]
) -> dict[str, str]:
    """Of clips that equal one of another split and of their length, but for less than `SAME`: which one."""
    lengths: dict[float, list[Seen]] = defaultdict(list)
    for clip in clips:
        lengths[clip.seconds].append(clip)
    found: dict[str, str] = {}
    for group in lengths.values():
        for one, other in _alike(group):
            pair = group[one].clip_id, group[other].clip_id
            if part.get(pair[0]) != part.get(pair[1]) and frozenset(pair) not in known:
                found |= {pair[0]: pair[1], pair[1]: pair[0]}
    return found


def _alike(clips: Sequence[Seen]) -> Iterator[tuple[int, int]]:
    """Places of clips that are one motion, mirrored or not.

    Nearness in a few sums of all numbers is necessary, and found without looking at all pairs; nearness in all numbers
    decides.
    """
    if len(clips) < 2:
        return
    as_is = np.stack([clip.sketch for clip in clips]).astype(np.float64)
    mirrored = np.stack([twins.mirror(row.reshape(-1, *POSES)).ravel() for row in as_is])
    sums = _sums(as_is.shape[1])
    tree = cKDTree(as_is @ sums)
    for sketches, same in ((as_is, SAME), (mirrored, SAME_MIRRORED)):
        reach = same * math.sqrt(as_is.shape[1])
        for one, others in enumerate(tree.query_ball_point(sketches @ sums, reach)):
            for other in others:
                if one < other and np.linalg.norm(sketches[one] - as_is[other]) < reach:
                    yield one, other


def _sums(width: int) -> np.ndarray:
    """Sums of numbers with signs [width, 6], scaled so that none grows by more than the distance of two rows does."""
    signs = rng(0, "signs").integers(0, 2, size=(width, PROJECTIONS)) * 2.0 - 1.0
    return np.linalg.qr(signs)[0]


def _sketch(features: np.ndarray) -> np.ndarray:
    """The body at some moments spread over a clip, as one vector in metres."""
    rows = features[np.linspace(0, len(features) - 1, MOMENTS).astype(int)]
    return twins.poses_of(np.nan_to_num(rows)).astype(np.float32).ravel()


def _facts(clips: Sequence[Seen], facts: Iterable[Facts]) -> tuple[set[str], Table]:
    """The clips that are measured, and what is held against their facts."""
    seconds = {clip.clip_id: clip.seconds for clip in clips}
    rows: list[dict[str, Any]] = [
        {
            "clip_id": row.clip_id,
            "is_known": row.clip_id in seconds,
            "is_inside": _is_inside(row, seconds.get(row.clip_id, 0.0)),
        }
        for row in facts
    ]
    claims = [
        unique("clip_id", "a clip is measured once"),
        always("is_known", "facts belong to a clip"),
        always("is_inside", "phases lie inside of their clip and do not end before they start"),
    ]
    return {row["clip_id"] for row in rows}, Table("facts", "clip_id", pd.DataFrame(rows), claims)


def _is_inside(facts: Facts, seconds: float) -> bool:
    spans = [(part.start, part.end) for part in facts.phases] + [(part.start, part.end) for part in facts.measures]
    return all(0 <= start <= end <= seconds + TOLERANCE for start, end in spans)
