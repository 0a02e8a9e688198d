"""Sitting, kneeling, lying and crawling; and bodies that do not stand for which we have no word.

Heights are over the ground, the lowest that any joint comes, for a body on the floor does not have its toes there.
"""

import numpy as np

from irg_core.motion.events import Event, mask
from irg_core.motion.signals import PAIRS, Signals, closed, mean_over, runs
from irg_core.motion.skeleton import FPS, INDEX
from irg_core.motion.thresholds import KinematicsParams

_WEIGHTS = {"trunk": 0.58, "thigh": 0.2, "shin": 0.12, "arm": 0.1}
"""Shares of a body's mass (Winter, Biomechanics and Motor Control of Human Movement, table 4.1), rounded."""
_HEEL = 0.06
"""Metres that the heel lies behind the ankle."""
_GAP = 6
"""Frames for which a posture may be lost and is still the same."""


def postures(s: Signals, limits: KinematicsParams) -> list[Event]:
    """What is done off one's feet, in the order of time."""
    ground = float(np.percentile(s.body[..., 1].min(axis=1), 10))
    height = s.body[..., 1] - ground
    front = _front(s)
    crawled = _crawls(s, height, front, limits)
    busy = mask(len(s.yaw), crawled, 0.0)
    lay = _held("lie", _lies(s, height, limits) & ~busy, limits)
    down = busy | mask(len(s.yaw), lay, 0.0)
    knelt = [
        event for side, knees in _kneels(s, height, limits) for event in _held("kneel", knees & ~down, limits, side)
    ]
    down |= mask(len(s.yaw), knelt, 0.0)
    sat = _held("sit", _sits(s, height, limits) & ~down, limits)
    told = [*crawled, *knelt, *sat, *(_facing(event, front) for event in lay)]
    return sorted(told, key=lambda event: event.start)


def strangeness(s: Signals, known: list[Event], limits: KinematicsParams) -> np.ndarray:
    """The frames [T] bool in which a body neither stands nor does one of the `known` things off its feet."""
    posture = limits.postures
    neck = s.body[:, INDEX["neck"], 1]
    return ((neck < posture.low) | (np.abs(s.roll) > posture.tipped) | s.upside_down) & ~mask(len(s.yaw), known, 0.1)


def _held(action: str, frames: np.ndarray, limits: KinematicsParams, side: str = "") -> list[Event]:
    least = limits.postures.seconds * FPS
    return [Event(action, a, b - 1, side) for a, b in runs(closed(frames, _GAP)) if b - a >= least]


def _front(s: Signals) -> np.ndarray:
    """Where the chest faces [T, 3], a unit vector: y is up."""
    across = s.body[:, INDEX["left_shoulder"]] - s.body[:, INDEX["right_shoulder"]]
    trunk = s.body[:, INDEX["neck"]] - s.body[:, 0]
    normal = np.cross(across, trunk)
    return normal / (np.sqrt((normal * normal).sum(-1, keepdims=True)) + 1e-9)


def _tilt(s: Signals) -> np.ndarray:
    """Degrees [T] of the trunk from upright."""
    trunk = s.body[:, INDEX["neck"]] - s.body[:, 0]
    return np.degrees(np.arctan2(np.hypot(trunk[:, 0], trunk[:, 2]), trunk[:, 1]))


def _drift(s: Signals) -> np.ndarray:
    """m/s [T] of the pelvis over the floor, over half a second."""
    return np.hypot(s.ahead, s.left)


def _lies(s: Signals, height: np.ndarray, limits: KinematicsParams) -> np.ndarray:
    posture = limits.postures
    return (height[:, 0] < posture.lying) & (height[:, INDEX["neck"]] < 1.5 * posture.lying) & (_tilt(s) > posture.flat)


def _facing(event: Event, front: np.ndarray) -> Event:
    """A lying body with the word for the side it lies on."""
    up = float(np.median(front[int(event.start) : int(event.end) + 1, 1]))
    side = float(np.median(front[int(event.start) : int(event.end) + 1, 0]))
    manner = "face up" if up > 0.6 else "face down" if up < -0.6 else "on one side" if abs(side) > 0.6 else ""
    return Event(event.action, event.start, event.end, manner=manner)


def _crawls(s: Signals, height: np.ndarray, front: np.ndarray, limits: KinematicsParams) -> list[Event]:
    """Face down on hands and knees, or flat, and getting somewhere."""
    posture = limits.postures
    limbs = height[:, [*PAIRS["wrist"], *PAIRS["knee"]]].max(axis=1)
    low = (limbs < posture.fours) & (height[:, 0] < posture.low)
    down = low & (front[:, 1] < -0.3) & (_tilt(s) > 0.5 * posture.flat)
    pace = mean_over(_drift(s), 21)
    found = []
    for a, b in runs(closed(down, _GAP)):
        moved = float(_drift(s)[a:b].sum() / FPS)
        if b - a >= FPS and moved >= limits.travel.journey and np.median(pace[a:b]) > posture.crawling:
            found.append(Event("crawl", a, b - 1, distance=moved))
    return found


def _kneels(s: Signals, height: np.ndarray, limits: KinematicsParams) -> list[tuple[str, np.ndarray]]:
    """Upright over a knee that is on the ground, its shin behind it: frames of the left, the right, and both."""
    posture = limits.postures
    upright = (_tilt(s) < posture.flat) & (_drift(s) < posture.drift) & (height[:, 0] > posture.lying)
    knees, ankles = (s.body[:, PAIRS[name]] for name in ("knee", "ankle"))
    down = (height[:, PAIRS["knee"]] < posture.knee) & (ankles[..., 2] < knees[..., 2] - 0.15)
    down &= height[:, PAIRS["ankle"]] < posture.lying
    both = upright & down.all(axis=1)
    left, right = (upright & down[:, foot] & ~both for foot in (0, 1))
    return [("left", left), ("right", right), ("both", both)]


def _sits(s: Signals, height: np.ndarray, limits: KinematicsParams) -> np.ndarray:
    """Upright and still, borne by something other than the feet."""
    posture = limits.postures
    upright = (_tilt(s) < posture.flat) & (_drift(s) < posture.drift)
    hips, knees, ankles = (s.body[:, PAIRS[name]] for name in ("hip", "knee", "ankle"))
    thigh = hips - knees
    slope = np.degrees(np.arctan2(thigh[..., 1], np.hypot(thigh[..., 0], thigh[..., 2])))
    behind = ankles[..., 2].min(axis=1) - _HEEL - _balance(s)
    on_seat = (slope.max(axis=1) < posture.thigh) & (behind > posture.unsupported) & (height[:, 0] >= posture.seat)
    return upright & (on_seat | (height[:, 0] < posture.seat))


def _balance(s: Signals) -> np.ndarray:
    """How far [T] ahead of the pelvis the body's centre of mass lies."""
    ahead = {name: s.body[:, joints, 2].mean(axis=1) for name, joints in PAIRS.items()}
    parts = {
        "trunk": 0.5 * (s.body[:, 0, 2] + s.body[:, INDEX["neck"], 2]),
        "thigh": 0.5 * (ahead["hip"] + ahead["knee"]),
        "shin": 0.5 * (ahead["knee"] + ahead["ankle"]),
        "arm": ahead["elbow"],
    }
    return np.asarray(sum(weight * parts[name] for name, weight in _WEIGHTS.items()))
