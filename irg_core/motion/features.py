"""HumanML3D's 263 numbers a frame, from joints and back, for 22 joints at 20 frames a second; KIT's 251 for 21 at 12.5.

Two modes share the layout. From joints alone come the numbers of HumanML3D's own converter, quirks included, so that
results and published networks stay comparable: its heading mixes up the hips after frame 0, is smoothed over seconds
and is forced to +Z at frame 0; a bone's rotation is the shortest one, without twist; and hips, collars and the lowest
of the spine are turned against the heading instead of with it, so that their rotations change with where the body
faces. One thing differs: a step of the heading is taken the short way round, where the original's changes sign at half
a turn. From joints and true rotations comes the exact mode: the heading of each frame as it is, and rotations that keep
their twist and do not depend on where the body faces.

In both modes the numbers from index 67 on are rotations of bones, not of joints: each turns the bone that *ends* at
its joint, relative to the bone before in its chain. So the rotations alone give back the positions; how a hand or the
head turns about its own axis has no place in this format.

Only additions, products, quotients and roots touch the frames on their way in (no trigonometry but the yaw's arcsine,
no matrix library), so that equal joints give equal bits on any machine. Clips are worked on many at a time, end to
end, each component of all their frames in one piece of memory.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from irg_core.motion import rotations
from irg_core.motion.rotations import Parts
from irg_core.motion.skeleton import INDEX, KIT, LENGTHS, PARENTS, T2M, Body

YAW, TRAVEL, HEIGHT = slice(0, 1), slice(1, 3), slice(3, 4)
POSITIONS, ROTATIONS, VELOCITIES, CONTACTS = slice(4, 67), slice(67, 193), slice(193, 259), slice(259, 263)
"""What stands where in one of our rows of 263."""

BODIES = {len(body.parents): body for body in (T2M, KIT)}
"""By their number of joints."""
_WIDTHS = {12 * joints - 1: joints for joints in BODIES}
"""Numbers a row to joints."""
_LEVELS = [
    (level, np.array(PARENTS)[level])
    for level in (slice(1, 4), slice(4, 7), slice(7, 10), slice(10, 15), slice(15, 18), slice(18, 20), slice(20, 22))
]
"""Our joints from the root outwards, each after its parent, several at a time."""
_GAUSS = [math.exp(-0.5 * (offset / 20.0) ** 2) for offset in range(81)]
_KERNEL = np.array(_GAUSS) / (2.0 * math.fsum(_GAUSS) - _GAUSS[0])
"""The smoothing of the heading: a Gaussian of 20 frames, cut at 80; its middle and one side."""
_FRAMES = 1024
"""Frames worked on at a time: more do not fit into a processor's cache, fewer pay for each call again."""
# The C library of Linux hands freed memory back at once, and pays for each page anew, until it has seen a large block
# come and go; from then on it keeps some. Never touched, the block itself costs nothing, and what follows runs in half
# the time.
np.empty(3_000_000)


def extract(joints: np.ndarray, turned: np.ndarray | None = None) -> np.ndarray:
    """Features [T-1, 263 or 251] float32 of joints [T, 22 or 21, 3], which are normalised first.

    With world rotations `turned` [T, J, 4] from the reference pose, as `retarget.fit` gives them, in exact mode.
    """
    return extract_all([joints], None if turned is None else [turned])[0]


def extract_all(clips: Sequence[np.ndarray], turned: Sequence[np.ndarray] | None = None) -> list[np.ndarray]:
    """`extract` of many clips of one body at once: the same numbers, faster."""
    rows: list[np.ndarray] = []
    for portion in _portions([len(clip) for clip in clips]):
        rows += _extract(_joined(clips[portion]), None if turned is None else _joined(turned[portion]).places)
    return rows


def to_joints(features: np.ndarray) -> np.ndarray:
    """Joints [T, J, 3] float64 of features [T, 263 or 251]: the root from its velocities, the others from positions."""
    rows = np.asarray(features, dtype=np.float64)
    heading, root = _path(rows)
    others = rows[:, 4 : 3 * _count(rows) + 1].T
    x, y, z = _yawed(heading, tuple(others[axis::3] for axis in range(3)))
    x, z = x + root[0], z + root[2]
    return _apart(tuple(np.concatenate([middle[None], part]) for middle, part in zip(root, (x, y, z), strict=True)))


def to_joints_by_rotations(features: np.ndarray, lengths: np.ndarray, exact: bool) -> np.ndarray:
    """Joints [T, J, 3] float64 by the rotations of features [T, 263 or 251] and bone lengths [J] alone.

    `exact` says which mode the features were made in.
    """
    rows = np.asarray(features, dtype=np.float64)
    turned = to_matrices(rows, exact)
    body = BODIES[turned.shape[1]]
    reference = body.pose if exact else body.directions
    joints = np.empty(turned.shape[:3])
    joints[:, 0] = np.stack(_path(rows)[1], axis=-1)
    for joint, parent in enumerate(body.parents[1:], start=1):
        bone = _product(turned[:, joint], (lengths[joint] * reference[joint])[:, None])
        joints[:, joint] = joints[:, parent] + bone[..., 0]
    return joints


def to_matrices(features: np.ndarray, exact: bool) -> np.ndarray:
    """World rotations [T, J, 3, 3] float64 of the bones that end at each joint; the first is the heading."""
    rows = np.asarray(features, dtype=np.float64)
    count = _count(rows)
    (w, y), _ = _path(rows)
    y = y if exact else -y
    local = np.stack(_columns(rows[:, 3 * count + 1 : 9 * count - 5].reshape(len(rows), -1, 6)), axis=-1)
    turned = np.zeros((len(rows), count, 3, 3))
    turned[:, 0, 0, 0] = turned[:, 0, 2, 2] = w * w - y * y
    turned[:, 0, 0, 2], turned[:, 0, 1, 1], turned[:, 0, 2, 0] = 2.0 * w * y, 1.0, -2.0 * w * y
    for joint, before in enumerate(BODIES[count].turned_by, start=1):
        turned[:, joint] = _product(turned[:, before], local[:, joint - 1])
    return turned


def normalise(joints: np.ndarray) -> np.ndarray:
    """Joints [T, J, 3] moved so that the lowest is on the floor, and frame 0 stands at the origin and faces +Z."""
    return _apart(_normalised(_joined([joints]), BODIES[joints.shape[1]])[0])


def retarget(joints: np.ndarray) -> np.ndarray:
    """A body of any proportions as the uniform skeleton: its directions, our lengths, its path scaled by the legs."""
    places = _joined([joints]).places
    bones, lengths = _directions(places, T2M)
    knee, ankle = INDEX["right_knee"], INDEX["right_ankle"]
    scale = (LENGTHS[knee] + LENGTHS[ankle]) / (lengths[knee - 1, 0] + lengths[ankle - 1, 0])
    scaled = tuple(np.empty_like(place) for place in places)
    for ours, place, bone in zip(scaled, places, bones, strict=True):
        ours[0] = place[0] * scale
        np.multiply(bone, LENGTHS[1:, None], out=ours[1:])
        for level, parents in _LEVELS:
            ours[level] += ours[parents]
    return _apart(scaled)


# --- many clips end to end ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Clips:
    """Frames of clips one after the other."""

    places: Parts  # x, y and z [joints, frames], or the components of rotations
    edges: np.ndarray  # [clips + 1]: where each begins, and the end

    def spans(self) -> Iterator[tuple[int, int]]:
        """Where each clip begins and ends."""
        return pairwise(self.edges.tolist())

    def spread(self, of_clips: np.ndarray) -> np.ndarray:
        """One value a clip [..., clips] as one a frame [..., frames]."""
        return np.repeat(of_clips, np.diff(self.edges), axis=-1)


def _portions(lengths: Sequence[int]) -> Iterator[slice]:
    """Runs of clips that are worked on together."""
    start = frames = 0
    for index, length in enumerate(lengths):
        if frames and frames + length > _FRAMES:
            yield slice(start, index)
            start, frames = index, 0
        frames += length
    if start < len(lengths):
        yield slice(start, len(lengths))


def _joined(clips: Sequence[np.ndarray]) -> _Clips:
    edges = np.cumsum([0, *(len(clip) for clip in clips)])
    places = tuple(np.empty((clips[0].shape[1], edges[-1])) for _ in range(clips[0].shape[2]))
    for clip, start in zip(clips, edges[:-1].tolist(), strict=True):
        for component, place in enumerate(places):
            place[:, start : start + len(clip)] = clip[..., component].T
    return _Clips(places, edges)


def _apart(places: Parts) -> np.ndarray:
    """Frames [T, J, 3] of places."""
    frames = np.empty((*places[0].T.shape, len(places)))
    for component, place in enumerate(places):
        frames[..., component] = place.T
    return frames


def _extract(clips: _Clips, turned: Parts | None) -> list[np.ndarray]:
    count = len(clips.places[0])
    body = BODIES[count]
    places, start = _normalised(clips, body)
    if turned is None:
        ahead = _forward(places, body, swapped=True)
        heading = _to_heading(np.concatenate([_smooth(ahead[:, a:b]) for a, b in clips.spans()], axis=1))
        heading[:, clips.edges[:-1]] = [[1.0], [0.0]]
    else:
        heading = _to_heading(_forward(places, body, swapped=False))
    # From the last frame of one clip to the first of the next is no step; those columns are cut out at the end.
    before, ahead = heading[:, :-1], heading[:, 1:]
    root = before if turned is None else np.stack([before[0], -before[1]])
    step = tuple(place[:, 1:] - place[:, :-1] for place in places)
    x, y, z = places = tuple(place[:, :-1] for place in places)
    bones, _ = _directions(places, body)
    turns = _shortest(bones, body) if turned is None else _true(bones, turned, start, body)
    rows = np.empty((12 * count - 1, len(before[0])), dtype=np.float32)
    group = iter(np.split(rows, np.cumsum([1, 2, 1, 3 * (count - 1), 6 * (count - 1), 3 * count])))
    next(group)[0] = np.arcsin(_yaw_step(before, ahead))
    next(group)[:] = _yawed(ahead, tuple(part[0] for part in step))[::2]
    next(group)[0] = y[0]
    _fill(next(group), _yawed(before, (x[1:] - x[0], y[1:], z[1:] - z[0])))
    _fill(next(group), rotations.columns(_relative(turns, root, body)))
    _fill(next(group), _yawed(before, step))
    next(group)[:] = _squared(tuple(part.take(body.feet, axis=0) for part in step)) < body.still
    return [np.ascontiguousarray(rows[:, a : b - 1].T) for a, b in clips.spans()]


def _normalised(clips: _Clips, body: Body) -> tuple[Parts, np.ndarray]:
    """Places on the floor, from the origin and towards +Z, and the turns [2, frames] that did the last."""
    first = clips.edges[:-1]
    x, y, z = clips.places
    turn = clips.spread(_to_heading(_forward(tuple(place[:, first] for place in clips.places), body, swapped=False)))
    floor = clips.spread(np.minimum.reduceat(y.min(axis=0), first))
    return _yawed(turn, (x - clips.spread(x[0, first]), y - floor, z - clips.spread(z[0, first]))), turn


def _fill(rows: np.ndarray, components: Parts) -> None:
    """Components [joints, frames] into rows [joints * components, frames], joint by joint."""
    for index, component in enumerate(components):
        rows[index :: len(components)] = component


# --- headings: the w and y [2, frames] of quaternions about y that turn where the body faces to +Z -------------------


def _forward(places: Parts, body: Body, swapped: bool) -> np.ndarray:
    """Where the body faces: x and z [2, T] of up × across; `swapped` takes the hips the wrong way as HumanML3D does."""
    (right, left), shoulders = body.hips[::-1] if swapped else body.hips, body.shoulders
    across = tuple(part[right] - part[left] + part[shoulders[0]] - part[shoulders[1]] for part in places)
    length = np.sqrt(_squared(across))
    length = np.where(length > 0, length, 1.0)
    return np.stack([across[2] / length, -across[0] / length])


def _smooth(forward: np.ndarray) -> np.ndarray:
    """A Gaussian of 20 frames over [2, T], cut at 80, the ends held."""
    reach = len(_KERNEL) - 1
    held = np.concatenate(
        [forward[:, :1].repeat(reach, axis=1), forward, forward[:, -1:].repeat(reach, axis=1)], axis=1
    )
    windows = sliding_window_view(held, forward.shape[1], axis=1)
    terms = np.empty((2, len(_KERNEL), forward.shape[1]))
    terms[:, 0] = forward
    np.add(windows[:, reach - 1 :: -1], windows[:, reach + 1 :], out=terms[:, 1:])
    terms *= _KERNEL[:, None]
    return terms.sum(axis=1)


def _to_heading(forward: np.ndarray) -> np.ndarray:
    """The headings [2, T] of x and z [2, T]; no direction at all counts as +Z."""
    x, z = forward
    length = np.sqrt(x * x + z * z)
    found = length > 0
    cosine = np.where(found, z, 1.0) / np.where(found, length, 1.0)
    # Half-angle formulas: each root is taken where its argument is far from zero or its error harmless.
    w = np.sqrt(np.maximum(0.5 + 0.5 * cosine, 0.0))
    return np.stack([w, -np.copysign(np.sqrt(np.maximum(0.5 - 0.5 * cosine, 0.0)), x)])


def _yaw_step(before: np.ndarray, ahead: np.ndarray) -> np.ndarray:
    """The sine of half the turn from each heading to the next [T], the short way round."""
    sine = ahead[1] * before[0] - ahead[0] * before[1]
    cosine = ahead[0] * before[0] + ahead[1] * before[1]
    return np.clip(np.where(cosine < 0, -sine, sine), -1.0, 1.0)


def _yawed(heading: np.ndarray, vectors: Parts) -> Parts:
    """Vectors, each component [n, T], turned by headings [2, T]."""
    w, y = heading
    cosine, sine = w * w - y * y, 2.0 * w * y
    return cosine * vectors[0] + sine * vectors[2], vectors[1], cosine * vectors[2] - sine * vectors[0]


def _path(rows: np.ndarray) -> tuple[np.ndarray, Parts]:
    """The turns [2, T] from +Z to where the body faces, and x, y and z [T] of its root."""
    half = np.concatenate([[0.0], np.cumsum(rows[:-1, 0])])
    heading = np.stack([np.cos(half), -np.sin(half)])
    travel = np.zeros((2, len(rows)))
    travel[:, 1:] = rows[:-1, TRAVEL].T
    x, _, z = _yawed(heading, (travel[0], travel[0], travel[1]))
    return heading, (np.cumsum(x), rows[:, 3], np.cumsum(z))


def _count(rows: np.ndarray) -> int:
    """How many joints rows of that width have."""
    if rows.ndim != 2 or rows.shape[1] not in _WIDTHS:
        raise ValueError(f"features {rows.shape}; rows have {' or '.join(map(str, _WIDTHS))} numbers")
    return _WIDTHS[rows.shape[1]]


# --- rotations of bones: quaternions of which each component is [joints - 1, frames] ----------------------------------


def _directions(places: Parts, body: Body) -> tuple[Parts, np.ndarray]:
    """Bones at length one, and their lengths [J-1, T]; a bone of no length points where its parent does."""
    bones = tuple(place[1:] - place.take(body.parents[1:], axis=0) for place in places)
    lengths = np.sqrt(_squared(bones))
    none = ~(lengths > 0)
    if not none.any():
        return tuple(bone / lengths for bone in bones), lengths
    bones = tuple(bone / np.where(none, 1.0, lengths) for bone in bones)
    for joint, parent in enumerate(body.parents[1:]):
        if parent > 0:
            for bone in bones:
                bone[joint, none[joint]] = bone[parent - 1, none[joint]]
    return bones, lengths


def _reference(body: Body) -> Parts:
    return tuple(body.directions[1:].T[..., None])


def _shortest(bones: Parts, body: Body) -> Parts:
    """The shortest rotations from the reference pose; twist is lost."""
    return rotations.shortest(_reference(body), bones)


def _true(bones: Parts, turned: Parts, start: np.ndarray, body: Body) -> Parts:
    """World rotations of joints as those of the bones that leave them, after the turn of normalising.

    Where bones part, one rotation cannot point all of them; each bone is brought to its place the shortest way.
    """
    own = tuple(part[:, :-1].take(body.parents[1:], axis=0) for part in turned)
    nothing = np.zeros_like(start[0, :-1])
    own = rotations.product((start[0, :-1], nothing, start[1, :-1], nothing), own)
    pointed = rotations.rotate(rotations.together(own), body.pose[1:, None])
    return rotations.product(rotations.shortest(rotations.parts(pointed), bones), own)


def _relative(turns: Parts, root: np.ndarray, body: Body) -> Parts:
    """World rotations as rotations relative to the bone before, or to the root's turn [2, T] about y."""
    nothing = np.zeros_like(root[0])
    roots = root[0], nothing, root[1], nothing
    before = [
        np.concatenate([part[None], turn]).take(body.turned_by, axis=0) for part, turn in zip(roots, turns, strict=True)
    ]
    return rotations.product((before[0], -before[1], -before[2], -before[3]), turns)


def _columns(six: np.ndarray) -> list[np.ndarray]:
    """The three columns [..., 3] of the rotation nearest to six numbers [..., 6] (Gram and Schmidt)."""
    first = rotations.normalise(six[..., :3])
    second = six[..., 3:] - (first * six[..., 3:]).sum(axis=-1, keepdims=True) * first
    second = rotations.normalise(second)
    return [first, second, rotations.cross(first, second)]


def _product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Matrices [T, 3, 3] times matrices [..., 3, n], summed in a fixed order."""
    return np.asarray(a[..., :, :1] * b[..., :1, :] + a[..., :, 1:2] * b[..., 1:2, :] + a[..., :, 2:] * b[..., 2:, :])


def _squared(vectors: Parts) -> np.ndarray:
    """Squared lengths of vectors, summed in a fixed order."""
    return np.asarray(vectors[0] ** 2 + vectors[1] ** 2 + vectors[2] ** 2)
