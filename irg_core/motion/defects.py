"""What can be wrong with a moving body, measured in numbers, and mended where the mending is certain.

Every measure says how bad it is (more is worse), and every repair gives back a body, or None where it cannot be sure.
Bodies are 22 joints in metres, y up, at the rate at which they came.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from irg_core.motion.resampling import bridged, resample
from irg_core.motion.skeleton import FPS, INDEX, MIRROR, PARENTS


@dataclass(frozen=True, slots=True)
class Body:
    """A moving body, and what is said of it."""

    joints: np.ndarray  # [frames, 22, 3] float64
    fps: float
    texts: tuple[str, ...]
    turned: np.ndarray | None = None  # [frames, 22, 4] world rotations of its joints, where they are known

    def at_our_rate(self) -> np.ndarray:
        """Joints [frames, 22, 3] at 20 frames a second."""
        return self.joints if self.fps == FPS else resample(self.joints, self.fps, FPS)


Measure = tuple[float, str]
"""An amount, and what exactly was seen."""


@dataclass(frozen=True, slots=True)
class Defect:
    """How one kind of defect is measured, in what unit, and how it is mended, if at all."""

    unit: str
    measure: Callable[[Body], Measure]
    repair: Callable[[Body], Body | None] | None = None


GRAVITY = 9.81
A_LEG = 0.82
"""Metres from hip to ankle of an adult, the middle of the skeletons at hand (0.77 to 0.88)."""
UNITS = {
    "millimetres": 0.001, "centimetres": 0.01, "decimetres": 0.1, "inches": 0.0254, "feet": 0.3048,
    "units of the CMU BVH files": 0.056444, "units of the CMU ASF files": 0.0254 / 0.45, "kilometres": 1000.0,
}  # fmt: skip
"""Lengths that are taken for metres, in metres."""
HARDEST = 200.0
"""Metres a second squared: what a hand or a foot of a real performer reaches; less than this is no spike."""
BRIEF = 3
"""Frames that a spike may last."""

_HIPS = INDEX["left_hip"], INDEX["right_hip"]
_KNEES = INDEX["left_knee"], INDEX["right_knee"]
_ANKLES = INDEX["left_ankle"], INDEX["right_ankle"]
_TOES = INDEX["left_foot"], INDEX["right_foot"]
_SHOULDERS = INDEX["left_shoulder"], INDEX["right_shoulder"]
_ELBOWS = INDEX["left_elbow"], INDEX["right_elbow"]
_WRISTS = INDEX["left_wrist"], INDEX["right_wrist"]
_NECK = INDEX["neck"]
_MASSES = np.zeros(22)
for _joints, _mass in (  # shares of body mass after Winter (2009), laid on the joints at a segment's ends
    (("pelvis", "spine1", "spine2", "spine3"), 0.113), (("neck",), 0.045), (("head",), 0.081),
    (("left_hip", "right_hip"), 0.0433), (("left_knee", "right_knee"), 0.0768),
    (("left_ankle", "right_ankle"), 0.0275), (("left_foot", "right_foot"), 0.0072),
    (("left_shoulder", "right_shoulder"), 0.0158), (("left_elbow", "right_elbow"), 0.0191),
    (("left_wrist", "right_wrist"), 0.0129),
):  # fmt: skip
    _MASSES[[INDEX[_name] for _name in _joints]] = _mass
_MASSES /= _MASSES.sum()

_SIDES = re.compile(r"\b(left|right|clockwise|counter-?clockwise|anti-?clockwise)\b", re.IGNORECASE)
_LIES = re.compile(
    r"\b(lie|lies|lying|lay|laid|sleep\w*|crawl\w*|prone|swim\w*|push-?ups?|plank|floor|ground|roll\w*)\b",
    re.IGNORECASE,
)
_AHEAD = re.compile(r"\b(walk|run|jog|march|stroll|sprint|stride|hike)(s|es|ing|ning|ging)?\b", re.IGNORECASE)
_ASIDE = re.compile(
    r"\b(back\w*|side\w*|left|right|turn\w*|circ\w*|around|round|danc\w*|zig\w*|diagonal\w*|revers\w*|lateral\w*|step\w*"
    r"|shuffl\w*|skip\w*|dribbl\w*|guard\w*|box\w*|fight\w*|various|basketball)\b",
    re.IGNORECASE,
)


# --- what is not there ----------------------------------------------------------------------------------------------


def missing_tail(body: Body) -> Measure:
    """Share of the frames at the end that hold nothing: all zero, or not finite."""
    kept = _last_filled(body.joints)
    return 1.0 - kept / len(body.joints), f"{len(body.joints) - kept} of {len(body.joints)} frames at the end are empty"


def without_tail(body: Body) -> Body | None:
    kept = _last_filled(body.joints)
    return replace(body, joints=body.joints[:kept]) if 2 * kept >= len(body.joints) else None


def _last_filled(joints: np.ndarray) -> int:
    """How many frames there are up to the last one that holds something."""
    filled = np.isfinite(joints).all(axis=(1, 2)) & (joints != 0).any(axis=(1, 2))
    return int(len(joints) - filled[::-1].argmax()) if filled.any() else 0


# --- the body itself ------------------------------------------------------------------------------------------------


def size(body: Body) -> Measure:
    """How many times longer, or shorter, the legs are than those of a person."""
    leg = _leg(body.joints)
    return max(leg / A_LEG, A_LEG / leg) if leg > 0 else math.inf, f"legs of {leg:.4g} m"


def in_metres(body: Body) -> Body | None:
    """The body in metres, if one known unit makes it as tall as a person."""
    leg = _leg(body.joints)
    unit = min(UNITS.values(), key=lambda metres: abs(math.log(leg * metres / A_LEG))) if leg > 0 else 0.0
    return replace(body, joints=body.joints * unit) if 0.7 < leg * unit / A_LEG < 1.45 else None


def proportions(body: Body) -> Measure:
    """How many times a part of the body is longer, or shorter, than it is in people, measured by the legs."""
    leg = _leg(body.joints)
    found = {
        "shins to thighs": _apart(body.joints, _KNEES, _ANKLES) / (_apart(body.joints, _HIPS, _KNEES) or math.nan),
        "forearms to upper arms": _apart(body.joints, _ELBOWS, _WRISTS)
        / (_apart(body.joints, _SHOULDERS, _ELBOWS) or math.nan),
        "arms to legs": (_apart(body.joints, _SHOULDERS, _ELBOWS) + _apart(body.joints, _ELBOWS, _WRISTS)) / leg,
        "trunk to legs": _apart(body.joints, (0,), (_NECK,)) / leg,
        "neck and head to legs": _apart(body.joints, (_NECK,), (INDEX["head"],)) / leg,
        "hips' width to legs": _apart(body.joints, (_HIPS[0],), (_HIPS[1],)) / leg,
        "shoulders' width to legs": _apart(body.joints, (_SHOULDERS[0],), (_SHOULDERS[1],)) / leg,
    }
    factors = {name: max(ratio / PEOPLE[name], PEOPLE[name] / ratio) for name, ratio in found.items() if ratio > 0}
    if len(factors) < len(found):
        return math.inf, "parts of the body have no length"
    worst = max(factors, key=lambda name: factors[name])
    return factors[worst], f"{worst} {found[worst]:.2f}, in people {PEOPLE[worst]:.2f}"


PEOPLE = {
    "shins to thighs": 1.05, "forearms to upper arms": 0.98, "arms to legs": 0.65, "trunk to legs": 0.63,
    "neck and head to legs": 0.12, "hips' width to legs": 0.2, "shoulders' width to legs": 0.43,
}  # fmt: skip
"""Typical ratios of straight distances; of the skeletons at hand."""


def stretch(body: Body) -> Measure:
    """How far the length of a limb drifts over the take, as a share of it: the middle 90 % of the frames."""
    worst, name = 0.0, ""
    for joint in (*_KNEES, *_ANKLES, *_ELBOWS, *_WRISTS):
        length = _length(body.joints[:, joint] - body.joints[:, PARENTS[joint]])
        low, middle, high = np.quantile(length, [0.05, 0.5, 0.95])
        drift = float((high - low) / middle) if middle > 0 else math.inf
        if drift > worst:
            worst, name = drift, next(key for key, index in INDEX.items() if index == joint)
    return worst, f"the bone to the {name.replace('_', ' ')}" if name else ""


def backwardness(body: Body) -> Measure:
    """From -1 to 1: how far feet and knees point to the back of a body whose left and right are as they are named."""
    feet, knees = _feet_ahead(body.joints), _knees_ahead(body.joints)
    # Knees tell: the toes of somebody who kneels point backwards, too.
    told = feet if math.isnan(knees) else knees
    return 0.0 if math.isnan(told) else -told, f"feet {feet:+.2f}, knees {knees:+.2f} ahead"


def with_sides_swapped(body: Body) -> Body | None:
    """The body with left for right, where feet and knees agree and no sentence could tell a mirrored one apart."""
    both = (_feet_ahead(body.joints), _knees_ahead(body.joints))
    if any(value > 0 for value in both) or any(map(_SIDES.search, body.texts)):
        return None
    return replace(body, joints=body.joints[:, MIRROR], turned=None)


def _feet_ahead(joints: np.ndarray) -> float:
    """Mean cosine between the toes and where the pelvis faces, in three dimensions; NaN without feet."""
    toes = joints[:, _TOES] - joints[:, _ANKLES]
    weight = _length(toes)
    return _ratio(_dot(toes, _ahead(joints)[:, None]).sum(), weight.sum(), 0.02 * weight.size)


def _knees_ahead(joints: np.ndarray) -> float:
    """Mean cosine between where the knees bend to and where the pelvis faces; NaN where they hardly bend."""
    line = joints[:, _ANKLES] - joints[:, _HIPS]
    squared = np.maximum(_dot(line, line), 1e-9)[..., None]
    thigh = joints[:, _KNEES] - joints[:, _HIPS]
    bend = thigh - line * (_dot(thigh, line)[..., None] / squared)
    weight = _length(bend)
    return _ratio(_dot(bend, _ahead(joints)[:, None]).sum(), weight.sum(), 0.03 * weight.size)


def _ahead(joints: np.ndarray) -> np.ndarray:
    """Unit vectors [T, 3] out of the pelvis's front: left × up."""
    left = joints[:, _HIPS[0]] - joints[:, _HIPS[1]]
    forward = np.cross(left, joints[:, _NECK] - joints[:, 0])
    return forward / np.maximum(_length(forward), 1e-9)[:, None]


# --- the world around it --------------------------------------------------------------------------------------------


def lying_stand(body: Body) -> Measure:
    """Share of frames in which the body stands upright along another axis than y, while nothing says that it lies."""
    axis = _standing_axis(body.joints)
    if axis is None or axis == (1, 1.0) or any(map(_LIES.search, body.texts)):
        return 0.0, ""
    share = _upright(body.joints, *axis)
    return share, f"upright along {'-' if axis[1] < 0 else ''}{'xyz'[axis[0]]} in {share:.0%} of the frames"


def set_upright(body: Body) -> Body | None:
    """The body turned so that the axis along which it stands points up, where a floor is seen along that axis."""
    axis = _standing_axis(body.joints)
    if axis is None or not (body.texts or _walks_upon(body.joints, *axis)):
        return None
    index, sign = axis
    up = sign * body.joints[..., index]
    body = replace(body, turned=None)
    if index == 2:
        return replace(body, joints=np.stack([body.joints[..., 0], up, -sign * body.joints[..., 1]], axis=-1))
    if index == 0:
        return replace(body, joints=np.stack([-sign * body.joints[..., 1], up, body.joints[..., 2]], axis=-1))
    return replace(body, joints=np.stack([-body.joints[..., 0], up, body.joints[..., 2]], axis=-1))


def _standing_axis(joints: np.ndarray) -> tuple[int, float] | None:
    """The axis and sign along which the body stands in more than half of the frames."""
    axes = [(1, 1.0), (1, -1.0), (2, 1.0), (2, -1.0), (0, 1.0), (0, -1.0)]
    return next((axis for axis in axes if _upright(joints, *axis) > 0.5), None)


def _upright(joints: np.ndarray, index: int, sign: float) -> float:
    """Share of frames in which neck, pelvis, knees and ankles come one below the other along an axis."""
    height = sign * joints[..., index]
    trunk = joints[:, _NECK] - joints[:, 0]
    straight = sign * trunk[:, index] > 0.8 * _length(trunk)
    legs = height[:, 0] - height[:, _ANKLES].mean(axis=1) > 0.6 * _leg(joints)
    return float((straight & legs).mean())


def _walks_upon(joints: np.ndarray, index: int, sign: float) -> bool:
    """The feet keep to one level along the axis while the body gets about across it: no one floats like that."""
    lowest = (sign * joints[:, [*_ANKLES, *_TOES], index]).min(axis=1)
    level = float(np.quantile(lowest, 0.9) - np.quantile(lowest, 0.1)) < 0.1
    path = joints[:, 0, [other for other in range(3) if other != index]]
    return level and float(np.ptp(path, axis=0).max()) > 0.5


def floor_offset(body: Body) -> Measure:
    """Metres between the floor at height 0 and the level of the feet."""
    level = _floor(body.joints)
    return abs(level), f"the feet stand at {level:+.3f} m"


def on_the_floor(body: Body) -> Body:
    return replace(body, joints=body.joints - (0.0, _floor(body.joints), 0.0))


def penetration(body: Body) -> Measure:
    """Metres by which the lowest point of the take lies below the level on which its feet mostly stand."""
    lowest = body.joints[..., 1].min(axis=1)
    depth = max(_floor(body.joints) - float(lowest.min()), 0.0)
    return depth, f"deepest at {int(lowest.argmin()) / body.fps:.2f} s"


def _floor(joints: np.ndarray) -> float:
    """The height at which the lowest joint mostly is: the lower fifth of the frames, so that jumps do not lift it."""
    return float(np.quantile(joints[..., 1].min(axis=1), 0.2))


# --- how it moves ---------------------------------------------------------------------------------------------------


def spikes(body: Body) -> Measure:
    """Metres that a joint leaps away and back within three frames, beyond what an acceleration could do."""
    marked = _spikes(body.joints, body.fps)
    if not marked.any():
        return 0.0, ""
    step = _length(np.diff(body.joints, axis=0))
    beside = marked[1:] | marked[:-1]
    return float(step[beside].max()), f"{int(marked.any(axis=1).sum())} frames, the first at {_seconds(marked, body)} s"


def without_spikes(body: Body) -> Body | None:
    """Joints laid between the frames before and after a spike; None where a tenth of the frames or more have one.

    Rotations of those frames are laid between as well: it is a turned bone that throws a joint away.
    """
    marked = _spikes(body.joints, body.fps)
    if marked.any(axis=1).mean() > 0.1:
        return None
    joints, frames = body.joints.copy(), np.arange(len(body.joints))
    for joint in np.flatnonzero(marked.any(axis=0)):
        bad = marked[:, joint]
        for axis in range(3):
            joints[bad, joint, axis] = np.interp(frames[bad], frames[~bad], joints[~bad, joint, axis])
    turned = body.turned if body.turned is None else bridged(body.turned, np.asarray(marked.any(axis=1)))
    return replace(body, joints=joints, turned=turned)


def _spikes(joints: np.ndarray, fps: float) -> np.ndarray:
    """Which joints [T, 22] are out of place: a leap there, a leap back, hardly any way from before to after."""
    leap = 0.15 + HARDEST / 2 / fps**2
    steps = _length(np.diff(joints, axis=0))
    marked = np.zeros(joints.shape[:2], dtype=bool)
    for frames in range(1, BRIEF + 1):
        if len(joints) < frames + 2:
            break
        there, back = steps[:-frames], steps[frames:]
        smaller = np.minimum(there, back)
        across = _length(joints[frames + 1 :] - joints[: -frames - 1])
        found = (smaller > leap) & (across < 0.5 * smaller)
        for offset in range(1, frames + 1):
            marked[offset : offset + len(found)] |= found
    return marked


def _seconds(marked: np.ndarray, body: Body) -> str:
    return f"{int(marked.any(axis=1).argmax()) / body.fps:.2f}"


def leaps(body: Body) -> Measure:
    """Metres a second of the fastest joint from one frame to the next."""
    speed = _length(np.diff(body.joints, axis=0)) * body.fps
    frame, joint = np.unravel_index(int(speed.argmax()), speed.shape)
    return float(speed.max()), f"{list(INDEX)[joint].replace('_', ' ')} at {int(frame) / body.fps:.2f} s"


def tremble(body: Body) -> Measure:
    """Metres of noise: what changes too quickly to be muscle, in all joints but the quietest quarter.

    The sixth difference of white noise is sqrt(924) times as large as the noise; a swing of two hertz at 20 frames a
    second leaves a five-hundredth of itself. A quick run shakes the legs alone as hard as noise does. The median over
    the frames leaves single events out.
    """
    joints = body.at_our_rate()
    if len(joints) < 12:
        return 0.0, ""
    noise = np.median(_length(np.diff(joints, n=6, axis=0)), axis=0) / (math.sqrt(924) * 1.54)
    return float(np.quantile(noise, 0.25)), f"most in the {list(INDEX)[int(noise.argmax())].replace('_', ' ')}"


def fall(body: Body) -> Measure:
    """Downward acceleration of the centre of mass that lasts a sixth of a second, in g: nothing falls faster than 1.

    At a rate that is declared twice too high, everything falls four times too fast.
    """
    joints = body.at_our_rate()
    down = -_acceleration(_centre(joints))
    if len(down) < 3:
        return 0.0, ""
    lasting = np.minimum(np.minimum(down[:-2], down[1:-1]), down[2:]) / GRAVITY
    return float(lasting.max()), f"at {(int(lasting.argmax()) + 3) / FPS:.2f} s"


def hover(body: Body) -> Measure:
    """How many times too slowly a body that touches nothing rises and falls; 0 where it never leaves the floor.

    At a rate that is declared twice too low, everything falls four times too slowly.
    """
    joints = body.at_our_rate()
    airborne = joints[..., 1].min(axis=1) > _floor(joints) + 0.12
    worst, seen = 0.0, ""
    for start, end in _stretches(airborne):
        height = _centre(joints[start:end])
        if end - start < 8 or not 0.15 < (height.argmax() + 0.5) / len(height) < 0.85:
            continue
        down = -_acceleration(height)
        slow = GRAVITY / max(float(np.median(down)), 0.3)
        is_throw = float(np.quantile(down, 0.9) - np.quantile(down, 0.1)) < 0.5 * float(np.median(down))
        if is_throw and slow > worst:
            worst, seen = slow, f"in the air from {start / FPS:.2f} to {end / FPS:.2f} s"
    return worst, seen


def cadence(body: Body) -> Measure:
    """Steps a second of a gait whose steps are as long as in walking; the fastest walkers reach three."""
    joints = body.at_our_rate()
    velocity = np.gradient(joints[:, 0, ::2], axis=0) * FPS
    speed = np.sqrt(velocity[:, 0] ** 2 + velocity[:, 1] ** 2)
    stride = joints[:, _ANKLES[0], ::2] - joints[:, _ANKLES[1], ::2]
    ahead = (stride * velocity).sum(axis=1) / np.maximum(speed, 1e-9)
    worst, seen = 0.0, ""
    for start, end in _stretches(speed > 0.5):
        changes = _changes(ahead[start:end])
        if len(changes) < 4:
            continue
        seconds = (changes[-1] - changes[0]) / FPS
        length = float(speed[start + changes[0] : start + changes[-1]].mean()) * seconds / (len(changes) - 1)
        steps = (len(changes) - 1) / seconds
        if 0.4 < length / _leg(joints) < 1.1 and steps > worst:
            worst, seen = steps, f"steps of {length:.2f} m from {start / FPS:.1f} to {end / FPS:.1f} s"
    return worst, seen


def _changes(ahead: np.ndarray) -> list[int]:
    """Frames at which the other foot comes to the front, by at least 8 centimetres."""
    found: list[int] = []
    side = 0.0
    for frame in np.flatnonzero(np.abs(ahead) > 0.08):
        if side and np.sign(ahead[frame]) != side:
            found.append(int(frame))
        side = np.sign(ahead[frame])
    return found


def skate(body: Body) -> Measure:
    """Share of the time that a foot is on the floor in which it slides by more than half a metre a second.

    A foot is down where ankle and toe are both within 4 centimetres of their own lowest level: a toe alone passes as
    low as that in every step.
    """
    joints = body.at_our_rate()
    slides = down = 0
    for ankle, toe in zip(_ANKLES, _TOES, strict=True):
        low = np.ones(len(joints), dtype=bool)
        for joint in (ankle, toe):
            low &= joints[:, joint, 1] < np.quantile(joints[:, joint, 1], 0.05) + 0.04
        planted = low[1:] & low[:-1]
        flat = np.diff(joints[:, toe, ::2], axis=0) * FPS
        slides += int((planted & (flat[:, 0] ** 2 + flat[:, 1] ** 2 > 0.25)).sum())
        down += int(planted.sum())
    return (slides / down if down >= FPS else 0.0), f"{slides / FPS:.1f} of {down / FPS:.1f} s that a foot is down"


def astray(body: Body) -> Measure:
    """Degrees between where the body faces and where it goes, where every sentence says that it just walks or runs."""
    if not body.texts or not all(_AHEAD.search(text) and not _ASIDE.search(text) for text in body.texts):
        return 0.0, ""
    joints = body.at_our_rate()
    velocity = np.diff(joints[:, 0, ::2], axis=0) * FPS
    speed = np.sqrt(velocity[:, 0] ** 2 + velocity[:, 1] ** 2)
    forward = _ahead(joints)[:-1, ::2]
    goes = speed > 0.4
    along = float((velocity * forward)[goes].sum())
    across = float((velocity[:, 0] * forward[:, 1] - velocity[:, 1] * forward[:, 0])[goes].sum())
    path = float(speed[goes].sum())
    # A path that goes all ways relative to the body has no mean direction worth a word.
    if path / FPS < 1.0 or math.hypot(along, across) < 0.7 * path:
        return 0.0, ""
    degrees = abs(math.degrees(math.atan2(across, along)))
    return degrees, f"said to walk, goes {degrees:.0f} degrees off its front over {path / FPS:.1f} m"


# --- small things ---------------------------------------------------------------------------------------------------


def _leg(joints: np.ndarray) -> float:
    return _apart(joints, _HIPS, _KNEES) + _apart(joints, _KNEES, _ANKLES)


def _apart(joints: np.ndarray, here: tuple[int, ...], there: tuple[int, ...]) -> float:
    """The median distance of joints, left and right together."""
    return float(np.median(_length(joints[:, here] - joints[:, there])))


def _centre(joints: np.ndarray) -> np.ndarray:
    """Height of the centre of mass [T]."""
    return np.asarray((joints[..., 1] * _MASSES).sum(axis=1))


def _acceleration(height: np.ndarray) -> np.ndarray:
    """Second derivative of heights [T] at 20 frames a second over a fifth of a second each: [T-4]."""
    return (height[4:] - 2 * height[2:-2] + height[:-4]) * (FPS / 2) ** 2


def _stretches(flags: np.ndarray) -> list[tuple[int, int]]:
    """Starts and ends of the runs of true."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    return [(int(start), int(end)) for start, end in zip(edges[::2], edges[1::2], strict=True)]


def _ratio(total: float, weight: float, least: float) -> float:
    return float(total / weight) if weight > least else math.nan


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.asarray((a * b).sum(axis=-1))


def _length(vectors: np.ndarray) -> np.ndarray:
    return np.asarray(np.sqrt(vectors[..., 0] ** 2 + vectors[..., 1] ** 2 + vectors[..., 2] ** 2))
