"""A motion as signals: one value a frame, smoothed, in the body's own frame; and how to search a signal for events.

Whoever wants to know what a body does asks these, never joints: they know nothing of place and heading.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from irg_core.motion.skeleton import FPS, INDEX


@dataclass(frozen=True, slots=True)
class Signals:
    """What the joints of a motion say; metres and degrees, left and forward positive."""

    body: np.ndarray  # [T, 22, 3] joints about the pelvis's place: to the left, above the floor, ahead
    yaw: np.ndarray  # heading, unwrapped
    turning: np.ndarray  # degrees/s
    ahead: np.ndarray  # m/s of the pelvis over half a second, in the heading's frame
    left: np.ndarray
    path: np.ndarray  # [T, 2] pelvis x, z
    rise: np.ndarray  # pelvis above where it mostly is
    drop: np.ndarray  # pelvis below where straight legs would hold it
    pitch: np.ndarray  # of the trunk, forward positive
    roll: np.ndarray  # of the trunk, left positive
    twist: np.ndarray  # of the shoulders against the hips, left positive
    toes: np.ndarray  # [T, 2] heights of left and right toes above the floor
    reach: np.ndarray  # [T, 2] ankles ahead of the hips
    aside: np.ndarray  # [T, 2] ankles outside their hips
    raised: np.ndarray  # [T, 2] wrists above their shoulders
    elbows: np.ndarray  # [T, 2] elbows above their shoulders
    strike: np.ndarray  # [T, 2] wrists ahead of their shoulders
    outward: np.ndarray  # [T, 2] wrists outside their shoulders
    hands: np.ndarray  # [T, 2] m/s of the wrists about their shoulders
    beside: np.ndarray  # [T, 2] wrists outside their elbows
    straight: np.ndarray  # [T, 2] elbow angle, 180 is straight
    feet: np.ndarray  # [T, 2] m/s over the floor, of the slower of ankle and toe
    steps: np.ndarray  # [T, 2] m/s of the toes, also up and down
    feet_yaw: np.ndarray  # where the feet point on the whole, unwrapped
    knee: np.ndarray  # angle of the more bent knee, 180 is straight
    busy: np.ndarray  # m/s of the fastest hand or foot
    upside_down: np.ndarray  # bool: the head below the pelvis


PAIRS = {
    name: [INDEX[f"left_{name}"], INDEX[f"right_{name}"]]
    for name in ("hip", "knee", "ankle", "foot", "shoulder", "elbow", "wrist")
}
_BROAD = np.array([1.0, 2.0, 3.0, 4.0, 3.0, 2.0, 1.0]) / 16.0
_BELL = np.array([0.06, 0.24, 0.40, 0.24, 0.06])
_LEFT_RIGHT = np.array([1.0, -1.0])


TOUCHING, SWINGING = 0.05, 0.8
"""Metres of a toe above the floor that still touches it, and m/s of a foot that does not: it swings over the floor, at
two to three times the pace of the body."""


def signals(raw: np.ndarray) -> Signals:
    """The signals of joints [T, 22, 3] at 20 fps on the uniform skeleton."""
    raw = np.asarray(raw, dtype=np.float64)
    joints = smooth(raw.reshape(len(raw), -1), _BELL).reshape(raw.shape)
    pair = {name: joints[:, index] for name, index in PAIRS.items()}
    hips, shoulders = (pair[name][:, 0] - pair[name][:, 1] for name in ("hip", "shoulder"))
    # Shoulders are the longer and so the steadier lever; hips twist less. Errors of centimetres must not turn a body.
    across = smooth((1.5 * hips + shoulders)[:, [0, 2]], _BROAD)
    heading = np.unwrap(np.arctan2(-across[:, 1], across[:, 0]))
    pelvis = joints[:, 0]
    floor = float(np.percentile(pair["foot"][..., 1].min(axis=1), 40))
    body = _in_frame(joints - pelvis[:, None] * (1.0, 0.0, 1.0) - (0.0, floor, 0.0), heading)
    limb = {name: body[:, index] for name, index in PAIRS.items()}
    velocity = _in_frame(np.insert(rate(pelvis[:, [0, 2]], 5), 1, 0.0, axis=1)[:, None], heading)[:, 0]
    trunk = body[:, INDEX["neck"]] - body[:, 0]
    wrist, upper = limb["wrist"] - limb["shoulder"], limb["elbow"] - limb["shoulder"]
    fore, leg = wrist - upper, limb["ankle"] - limb["hip"]
    lengths = _length(limb["hip"] - limb["knee"]) + _length(limb["knee"] - limb["ankle"])
    over_floor = np.minimum(*(_length(speed(pair[name][..., [0, 2]], 1)) for name in ("ankle", "foot")))
    return Signals(
        body=body,
        yaw=np.degrees(heading),
        turning=rate(np.degrees(heading)[:, None], 3)[:, 0],
        ahead=velocity[:, 2],
        left=velocity[:, 0],
        path=pelvis[:, [0, 2]],
        rise=pelvis[:, 1] - np.percentile(pelvis[:, 1], 60),
        drop=(lengths.mean(axis=0) * 0.985 - _length(leg)).min(axis=1),
        pitch=np.degrees(np.arctan2(trunk[:, 2], trunk[:, 1])),
        roll=np.degrees(np.arctan2(trunk[:, 0], trunk[:, 1])),
        twist=_between(hips, shoulders),
        toes=limb["foot"][..., 1],
        reach=leg[..., 2],
        aside=leg[..., 0] * _LEFT_RIGHT,
        raised=wrist[..., 1],
        elbows=upper[..., 1],
        strike=wrist[..., 2],
        outward=wrist[..., 0] * _LEFT_RIGHT,
        hands=_length(speed(wrist, 1)),
        beside=fore[..., 0] * _LEFT_RIGHT,
        straight=_angle(upper, fore),
        feet=over_floor,
        steps=_length(speed(pair["foot"], 1)),
        feet_yaw=_pointing(pair["foot"] - pair["ankle"]),
        knee=_angle(limb["knee"] - limb["hip"], limb["ankle"] - limb["knee"]).min(axis=1),
        busy=_length(speed(joints[:, [*PAIRS["wrist"], *PAIRS["ankle"], INDEX["head"]]], 2)).max(axis=1),
        upside_down=body[:, INDEX["head"], 1] < body[:, 0, 1],
    )  # fmt: skip


def _in_frame(points: np.ndarray, heading: np.ndarray) -> np.ndarray:
    """Points [T, n, 3] turned so that the heading is +z; left is +x."""
    cosine, sine = np.cos(heading)[:, None], np.sin(heading)[:, None]
    x, y, z = np.moveaxis(points, -1, 0)
    return np.stack([x * cosine - z * sine, y, x * sine + z * cosine], axis=-1)


def _between(hips: np.ndarray, shoulders: np.ndarray) -> np.ndarray:
    """Degrees from the line of the hips to that of the shoulders, seen from above; left positive."""
    cross = hips[:, 2] * shoulders[:, 0] - hips[:, 0] * shoulders[:, 2]
    along = hips[:, 0] * shoulders[:, 0] + hips[:, 2] * shoulders[:, 2]
    return np.degrees(np.arctan2(cross, along))


def _angle(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """Degrees of the joint between two bones: 180 where they are in line."""
    cosine = (upper * lower).sum(-1) / (_length(upper) * _length(lower))
    return 180.0 - np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))


def _pointing(feet: np.ndarray) -> np.ndarray:
    """Degrees [T] of the way that two feet [T, 2, 3] point, their lengths left aside."""
    flat = feet[..., [0, 2]] / (_length(feet)[..., None])
    across = smooth(flat.sum(axis=1), _BROAD)
    return np.degrees(np.unwrap(np.arctan2(across[:, 0], across[:, 1])))


def _length(vectors: np.ndarray) -> np.ndarray:
    return np.asarray(np.sqrt((vectors * vectors).sum(-1)) + 1e-9)


def smooth(values: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Over time, with the end frames held."""
    half = len(kernel) // 2
    padded = np.concatenate([values[:1].repeat(half, 0), values, values[-1:].repeat(half, 0)])
    return np.asarray(sum(weight * padded[k : k + len(values)] for k, weight in enumerate(kernel)))


def rate(values: np.ndarray, half: int) -> np.ndarray:
    """Change a second of values [T, n] over `half` frames to either side, fewer at the ends."""
    at = np.arange(len(values))
    later, earlier = np.minimum(at + half, len(values) - 1), np.maximum(at - half, 0)
    return np.asarray((values[later] - values[earlier]) * FPS / (later - earlier)[:, None])


def speed(points: np.ndarray, half: int) -> np.ndarray:
    """Velocities of points [T, n, k]."""
    return rate(points.reshape(len(points), -1), half).reshape(points.shape)


# --- searching ------------------------------------------------------------------------------------------------------


def runs(mask: np.ndarray) -> list[tuple[int, int]]:
    """Stretches [start, end) where a mask holds."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def closed(mask: np.ndarray, gap: int) -> np.ndarray:
    """The mask with interruptions of up to `gap` frames bridged."""
    bridged = mask.copy()
    for a, b in runs(~mask):
        if b - a <= gap and a > 0 and b < len(mask):
            bridged[a:b] = True
    return bridged


def peaks(signal: np.ndarray, least: float, fall: float) -> list[int]:
    """Frames of the maxima that reach `least` and rise by `fall` over the valleys on both sides."""
    found: list[int] = []
    values = signal.tolist()
    low, best = values[0], -1
    for frame, value in enumerate(values):
        if best < 0:
            low = min(low, value)
            best = frame if value - low >= fall else -1
        elif value > values[best]:
            best = frame
        elif values[best] - value >= fall:
            if values[best] >= least:
                found.append(best)
            low, best = value, -1
    return found


def bumps(signal: np.ndarray, least: float, fall: float) -> list[int]:
    """Peaks of a signal that rests at 0, also those that a clip's start or end cuts in two."""
    return [frame - 1 for frame in peaks(np.pad(signal, 1), least, fall)]


def swings(signal: np.ndarray, least: float) -> list[tuple[int, int]]:
    """Stretches between the extremes of a signal that moves by `least` or more between them, in the order of time."""
    values = signal.tolist()
    corners: list[int] = []
    low, high, way = 0, 0, 0
    for frame, value in enumerate(values):
        low = frame if way <= 0 and value < values[low] else low
        high = frame if way >= 0 and value > values[high] else high
        if way >= 0 and values[high] - value >= least:
            corners, way, low = [*corners, high], -1, frame
        elif way <= 0 and value - values[low] >= least:
            corners, way, high = [*corners, low], 1, frame
    ends = {1: [high], -1: [low], 0: []}[way]
    return list(pairwise([*corners, *ends]))


def extent(signal: np.ndarray, peak: int, share: float) -> tuple[float, float]:
    """Where a peak has fallen to a share of its height, to a fraction of a frame; the clip's end where it does not."""
    level = share * signal[peak]
    below = np.flatnonzero(signal[:peak] <= level)
    above = np.flatnonzero(signal[peak + 1 :] <= level)
    start, end = 0.0, float(len(signal) - 1)
    if len(below):
        a = int(below[-1])
        start = a + (level - signal[a]) / (signal[a + 1] - signal[a])
    if len(above):
        b = peak + 1 + int(above[0])
        end = b - (level - signal[b]) / (signal[b - 1] - signal[b])
    return float(start), float(end)


def quarter(ahead: float, left: float) -> str:
    """The nearest of the four ways."""
    if abs(ahead) >= abs(left):
        return "forward" if ahead > 0 else "backward"
    return "left" if left > 0 else "right"


def mean_over(values: np.ndarray, frames: int) -> np.ndarray:
    """A moving average of values [T] or [T, n] over an odd number of frames, ends held."""
    half = frames // 2
    held = np.concatenate([values[:1].repeat(half + 1, 0), values, values[-1:].repeat(half, 0)])
    total = np.cumsum(held, axis=0)
    return np.asarray((total[frames:] - total[:-frames]) / frames)
