"""One motion under two names: at another rate, cut elsewhere, mirrored, or from another corpus.

Each clip leaves landmarks: moments at which hands or feet turn round. They stay the same moments whatever the rate and
wherever the clip begins. Landmarks of like pose meet in a hash table; pairs of clips that share several of them are
then laid over one another, frame by frame. No pair is looked at without a shared landmark, so that time grows with
the number of clips and not with its square.
"""

import functools
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from irg_core.motion import representation
from irg_core.motion.skeleton import FPS, INDEX, LENGTHS, MIRROR, PARENTS

TURN = 0.06
"""Metres by which a distance must go back for its extreme to count as a landmark."""
CELL = 0.16
"""Metres; poses are compared if hands and feet lie in the same cells. Copies differ by less than a centimetre."""
GRIDS = 2
"""How many grids of cells a pose is laid into, each shifted against the others."""
NEAR = 0.012
"""Metres by which each projection of two poses may differ."""
NEIGHBOURS = 8
"""Landmarks of a cell, ordered by a projection, that one is compared with: a crowded cell must not cost its square."""
SHARED = 3
"""Landmarks on one line in time that a pair must share to be looked at, the outer ones a third of a second apart."""
APART = FPS / 3
ON_LINE = 1.0
"""Frames by which a shared landmark may miss the line."""
TRIED = 16
"""Shared landmarks, spread over the pair, that a line is sought through."""
SLOWEST = 4.0
"""A copy may run at up to four times, or at a fourth, of the original's rate."""
OVERLAP = 30.0
"""Frames that two clips must share."""
STILL = 0.025
"""Metres of spread of the hands and feet below which nothing moves; statues are no twins. People who stand sway by up
to 0.022, who turn on the spot by 0.027 and more."""
HOPELESS = 3.0
"""Times the limit, beyond which no finer laying over makes a pair of two clips."""
HALF = 0.5
"""Share of one of two clips that must lie over the other for them to be twins."""

_NAMES = (
    *("left_wrist", "right_wrist", "left_ankle", "right_ankle"),
    *("left_elbow", "right_elbow", "left_knee", "right_knee", "head"),
)
_SHOWN = [INDEX[name] for name in _NAMES]
_OTHER = [_NAMES.index(_n.replace("left", "L").replace("right", "left").replace("L", "right")) for _n in _NAMES]
_HASHED = 12
"""The first numbers of a pose, those of hands and feet, are hashed."""
_COLUMNS = 3 * len(_NAMES)
_SIGNS = np.where((np.arange(_COLUMNS)[:, None] >> np.arange(4)) % 2, -1.0, 1.0) / np.sqrt(_COLUMNS)
"""Four projections of a pose [27, 4], each a sum of all of its numbers with signs of its own."""
_ACROSS = [INDEX[name] for name in ("left_hip", "right_hip", "left_shoulder", "right_shoulder")]
_STARTS = np.array(PARENTS[1:])
_EVENED = ((LENGTHS + LENGTHS[MIRROR]) / 2)[1:, None] / LENGTHS[1:, None]


LANDMARK = np.dtype([("key", "u8"), ("near", "f4", 4), ("time", "f4"), ("is_mirrored", "?")])
"""The cell of a pose, the same for its mirror image; projections of the pose in metres; frames from the clip's start;
whether key and projections are those of the mirror image."""


@dataclass(frozen=True, slots=True)
class Signature:
    """What a clip is recognised by."""

    landmarks: np.ndarray  # [landmarks] LANDMARK
    poses: np.ndarray  # [frames, 9, 3] float32, see `poses_of`


class Gallery:
    """The signatures of many clips: landmarks in memory, two kilobytes each, and poses in a file that goes with it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._places: list[tuple[int, int]] = []
        self.takes: list[str] = []
        self.landmarks: list[np.ndarray] = []

    def add(self, take: str, signature: Signature) -> None:
        self.takes.append(take)
        self.landmarks.append(signature.landmarks)
        self._places.append((self._file.seek(0, os.SEEK_END), len(signature.poses)))
        self._file.write(signature.poses.astype("<f4").tobytes())

    @functools.cached_property
    def _file(self) -> IO[bytes]:
        # Opened with the first clip, so that a corpus without one leaves nothing; it has no name, and ends with us.
        self._folder.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryFile(dir=self._folder)

    def poses(self, index: int) -> np.ndarray:
        """Of the clip that was added as number `index` [frames, 9, 3]."""
        start, frames = self._places[index]
        self._file.seek(start)
        return np.frombuffer(self._file.read(frames * _COLUMNS * 4), "<f4").reshape(frames, len(_NAMES), 3)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two clips that are one motion."""

    first: int
    second: int
    is_mirrored: bool
    distance: float  # metres, root mean square over the joints and over the frames that both have
    rate: float  # frames of the second for one of the first
    shares: tuple[float, float]  # how much of each is in the other


def signature(features: np.ndarray) -> Signature:
    """What a clip of features [T, 263 or 251] is recognised by."""
    poses = poses_of(features)
    # A whole copy of a motion in which little turns round is known by its quarters.
    moments = [(quarter, quarter / 4 * (len(poses) - 1)) for quarter in range(5)]
    for number, signal in enumerate(_signals(poses)):
        moments += [(5 + 2 * number + is_top, _between(signal, frame)) for frame, is_top in _turns(signal)]
    kinds = np.array([kind for kind, _ in moments])
    times = np.array([time for _, time in moments])
    return Signature(_landmarks(_at(poses, times), kinds, times), poses.astype(np.float32))


def _landmarks(here: np.ndarray, kinds: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Poses [n, 9, 3] of some kinds at some times as landmarks [n * GRIDS]."""
    there = mirror(here)
    landmarks = np.zeros((GRIDS, len(here)), dtype=LANDMARK)
    for grid, row in enumerate(landmarks):
        # Two poses that a border of one grid parts lie well inside of a cell of the next.
        shift = grid * CELL / GRIDS
        keys, twins = _hashes(here + shift, GRIDS * kinds + grid), _hashes(there + shift, GRIDS * kinds + grid)
        # Of pose and mirror image, the one whose key is smaller speaks for both.
        row["is_mirrored"] = twins < keys
        row["key"] = np.minimum(keys, twins)
        row["near"] = np.where((twins < keys)[:, None], _projections(there), _projections(here))
        row["time"] = times
    return landmarks.ravel()


def poses_of(features: np.ndarray) -> np.ndarray:
    """Hands, feet, elbows, knees and head [T, 9, 3] in metres, from below the pelvis, as the body faces at each frame.

    The heading of the features will not do: it is smoothed over seconds, and so depends on where a clip was cut. Bones
    are as long on the left as on the right, which those of the uniform skeleton are not.
    """
    joints = representation.in_place(features)
    bones = (joints[:, 1:] - joints[:, _STARTS]) * _EVENED
    for joint in range(1, 22):
        joints[:, joint] = joints[:, PARENTS[joint]] + bones[:, joint - 1]
    hips_left, hips_right, left, right = (joints[:, joint, ::2] for joint in _ACROSS)
    across = hips_left - hips_right + left - right
    length = np.sqrt(across[:, 0] ** 2 + across[:, 1] ** 2)
    across = across / np.where(length > 0, length, 1.0)[:, None]
    x, z = across[:, :1], across[:, 1:]
    shown = joints[:, _SHOWN]
    turned = np.empty_like(shown)
    turned[..., 0] = shown[..., 0] * x + shown[..., 2] * z
    turned[..., 1] = shown[..., 1]
    turned[..., 2] = shown[..., 2] * x - shown[..., 0] * z
    return turned


def mirror(poses: np.ndarray) -> np.ndarray:
    """Poses [T, 9, 3] with left for right."""
    return poses[:, _OTHER] * (-1.0, 1.0, 1.0)


def pairs(gallery: Gallery, limit: float, least: float) -> Iterator[Pair]:
    """Pairs of clips of different takes that lie within `limit` metres over at least the share `least` of one of them.

    They come in the order in which the clips were added.
    """
    for candidate in _candidates(gallery.landmarks, gallery.takes):
        pair = _laid_over(candidate, gallery.poses(candidate.first), gallery.poses(candidate.second), limit)
        if pair and max(pair.shares) >= least:
            yield pair


def families(links: Iterable[tuple[str, str]]) -> dict[str, str]:
    """For each name that is linked to others, the first name of all that hang together with it."""
    head: dict[str, str] = {}

    def find(name: str) -> str:
        while head.setdefault(name, name) != name:
            head[name] = name = head[head[name]]
        return name

    for one, other in links:
        first, second = sorted((find(one), find(other)))
        head[second] = first
    return {name: find(name) for name in head}


# --- landmarks ------------------------------------------------------------------------------------------------------


def _signals(poses: np.ndarray) -> list[np.ndarray]:
    """Distances [T] that a mirror image shares: between the hands, between the feet, and across."""
    left_hand, right_hand, left_foot, right_foot = (poses[:, joint] for joint in range(4))
    return [
        _length(left_hand - right_hand),
        _length(left_foot - right_foot),
        _length(left_hand - right_foot) + _length(right_hand - left_foot),
    ]


def _turns(signal: np.ndarray) -> Iterator[tuple[int, bool]]:
    """Frames at which a signal turns round by more than `TURN`, and whether at the top."""
    values = signal.tolist()
    low = high = 0
    rising: bool | None = None
    for frame, value in enumerate(values):
        if value > values[high]:
            high = frame
        if value < values[low]:
            low = frame
        if rising is not False and value < values[high] - TURN:
            if high > 0:
                yield high, True
            rising, low = False, frame
            high = frame
        elif rising is not True and value > values[low] + TURN:
            if low > 0:
                yield low, False
            rising, high = True, frame
            low = frame


def _between(signal: np.ndarray, frame: int) -> float:
    """The time of an extreme between frames: the top of the parabola through three of them."""
    if not 0 < frame < len(signal) - 1:
        return float(frame)
    before, here, after = signal[frame - 1 : frame + 2].tolist()
    bend = before - 2 * here + after
    return frame + (min(max(0.5 * (before - after) / bend, -0.5), 0.5) if bend else 0.0)


def _at(poses: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Poses [n, 9, 3] at times in frames, by parabolas through the three frames around."""
    middle = np.clip(np.rint(times).astype(int), min(1, len(poses) - 1), max(len(poses) - 2, 0))
    u = (times - middle)[:, None, None]
    before, here, after = poses[np.maximum(middle - 1, 0)], poses[middle], poses[np.minimum(middle + 1, len(poses) - 1)]
    return np.asarray(here + u * (after - before) / 2 + u * u * (after - 2 * here + before) / 2)


def _hashes(poses: np.ndarray, kinds: np.ndarray) -> np.ndarray:
    """The cells [n] uint64 in which hands and feet of poses lie."""
    cells = np.floor(poses.reshape(len(poses), -1)[:, :_HASHED] / CELL).astype(np.int64).astype(np.uint64)
    mixed = kinds.astype(np.uint64)
    for column in range(_HASHED):
        # FNV-1a over whole words, with a shift that brings the high bits down.
        mixed = (mixed ^ cells[:, column]) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    return mixed


def _projections(poses: np.ndarray) -> np.ndarray:
    flat = poses.reshape(len(poses), -1)
    return np.stack([(flat * signs).sum(axis=1) for signs in _SIGNS.T], axis=1)


# --- candidates -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Candidate:
    first: int
    second: int
    is_mirrored: bool
    rate: float
    shift: float  # frame of the second = rate · frame of the first + shift


def _candidates(found: Sequence[np.ndarray], takes: Sequence[str]) -> list[_Candidate]:
    """Pairs of clips of different takes that share landmarks."""
    if not found:
        return []
    clip = np.repeat(np.arange(len(found)), [len(landmarks) for landmarks in found])
    numbers = {take: number for number, take in enumerate(dict.fromkeys(takes))}
    take = np.array([numbers[name] for name in takes])[clip]
    everything = np.concatenate(found)
    one, other = _met(everything["key"], everything["near"], take)
    one, other = np.where(clip[one] < clip[other], one, other), np.where(clip[one] < clip[other], other, one)
    mirrored, time = everything["is_mirrored"], everything["time"]
    return _voted(clip[one], clip[other], mirrored[one] != mirrored[other], time[one], time[other])


def _met(keys: np.ndarray, near: np.ndarray, take: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Landmarks of different takes that lie in one cell and near one another, as two lists of indices."""
    order = np.lexsort((near[:, 0], keys))
    left, right = [], []
    for step in range(1, NEIGHBOURS + 1):
        one, other = order[:-step], order[step:]
        alike = (keys[one] == keys[other]) & (take[one] != take[other])
        one, other = one[alike], other[alike]
        close = np.abs(near[one] - near[other]).max(axis=1, initial=0.0) < NEAR
        left.append(one[close])
        right.append(other[close])
    return np.concatenate(left), np.concatenate(right)


def _voted(
    first: np.ndarray, second: np.ndarray, mirrored: np.ndarray, here: np.ndarray, there: np.ndarray
) -> list[_Candidate]:
    """Pairs for which enough landmarks speak, in the order of their clips."""
    order = np.lexsort((there, here, mirrored, second, first))
    votes = [each[order] for each in (first, second, mirrored, here, there)]
    # What has met in several grids speaks once.
    new = np.ones(len(first), dtype=bool)
    new[1:] = np.any([each[1:] != each[:-1] for each in votes], axis=0)
    first, second, mirrored, here, there = (each[new] for each in votes)
    changes = (np.diff(first) != 0) | (np.diff(second) != 0) | np.diff(mirrored)
    edges = np.concatenate([[0], np.flatnonzero(changes) + 1, [len(first)]])
    found = []
    for start, end in np.stack([edges[:-1], edges[1:]], axis=1)[np.diff(edges) >= SHARED].tolist():
        line = _line(here[start:end].astype(np.float64), there[start:end].astype(np.float64))
        if line is not None:
            found.append(_Candidate(int(first[start]), int(second[start]), bool(mirrored[start]), *line))
    return found


def _line(here: np.ndarray, there: np.ndarray) -> tuple[float, float] | None:
    """Rate and shift of the line in time on which most of the shared landmarks lie, if enough of them do."""
    some = np.linspace(0, len(here) - 1, min(len(here), TRIED)).astype(int)
    here, there = here[some], there[some]
    later, earlier = np.nonzero(here[:, None] - here >= APART)
    rates = np.unique(np.round((there[later] - there[earlier]) / (here[later] - here[earlier]), 2))
    rates = rates[(rates >= 1 / SLOWEST) & (rates <= SLOWEST)]
    if not len(rates):
        return None
    shifts = there - rates[:, None] * here
    # [rates, landmarks, landmarks]: which of them lie on the line that goes through one of them at a rate.
    on_line = np.abs(shifts[:, None] - shifts[..., None]) < ON_LINE * np.maximum(1.0, rates)[:, None, None]
    rate, through = np.unravel_index(int(on_line.sum(axis=2).argmax()), shifts.shape)
    chosen = on_line[rate, through]
    if len(np.unique(np.round(here[chosen]))) < SHARED or np.ptp(here[chosen]) < APART:
        return None
    return float(rates[rate]), float(np.median(shifts[rate][chosen]))


# --- laying over ----------------------------------------------------------------------------------------------------


def _laid_over(candidate: _Candidate, first: np.ndarray, second: np.ndarray, limit: float) -> Pair | None:
    """The best way of laying the second motion over the first, if there is one within the limit."""
    second = mirror(second) if candidate.is_mirrored else second
    rate, shift = candidate.rate, candidate.shift
    best = _distance(first, second, rate, shift), rate, shift
    # A copy mostly keeps the rate, and landmarks are a fraction of a frame off.
    if 0.9 < rate < 1.1:
        middle = (len(first) - 1) / 2
        steady = shift + (rate - 1.0) * middle
        best = min(best, (_distance(first, second, 1.0, steady), 1.0, steady))
    if best[0] > HOPELESS * limit:
        return None
    for step in (0.5, 0.25, 0.125):
        best = _nudged(first, second, best, step)
    distance, rate, shift = best
    if distance > limit:
        return None
    start, end = _shared(len(first), len(second), rate, shift)
    shares = (end - start) / max(len(first) - 1, 1), (end - start) * rate / max(len(second) - 1, 1)
    return Pair(candidate.first, candidate.second, candidate.is_mirrored, distance, rate, shares)


def _nudged(
    first: np.ndarray, second: np.ndarray, best: tuple[float, float, float], step: float
) -> tuple[float, float, float]:
    """The best of the ways around one: the shift by up to `step` frames, at both ends of what they share."""
    _, rate, shift = best
    start, end = _shared(len(first), len(second), rate, shift)
    for head in (-step, 0.0, step):
        for tail in (-step, 0.0, step):
            turned = rate + (tail - head) / max(end - start, 1.0)
            moved = shift + head - (turned - rate) * start
            if turned > 0:
                best = min(best, (_distance(first, second, turned, moved), turned, moved))
    return best


def _distance(first: np.ndarray, second: np.ndarray, rate: float, shift: float) -> float:
    """Metres, root mean square over joints and shared frames; infinite where too little is shared, or nothing moves."""
    start, end = _shared(len(first), len(second), rate, shift)
    # Counted in the slower of the two: a copy at twice the rate has half the frames.
    if (end - start) * max(1.0, rate) < OVERLAP:
        return np.inf
    frames = np.arange(int(np.ceil(start)), int(np.floor(end)) + 1)
    here, there = first[frames], _at(second, rate * frames + shift)
    if np.sqrt(here.var(axis=0).sum(axis=1).max()) < STILL:
        return np.inf
    return float(np.sqrt(((here - there) ** 2).sum(axis=2).mean()))


def _shared(first: int, second: int, rate: float, shift: float) -> tuple[float, float]:
    """From where to where, in frames of the first, the second lies over it."""
    return max(0.0, -shift / rate), min(first - 1.0, (second - 1.0 - shift) / rate)


def _length(vectors: np.ndarray) -> np.ndarray:
    return np.asarray(np.sqrt(vectors[..., 0] ** 2 + vectors[..., 1] ** 2 + vectors[..., 2] ** 2))
