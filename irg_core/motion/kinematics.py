"""Measured facts: what a motion does, from joint positions alone.

Signals in the body's own frame are searched for single events (one kick, one flight, one stretch of walking); equal
events in a row become a phase. The detectors know nothing of how a motion was made, so they serve recorded and
generated motions alike; where a value lies near a boundary they say nothing rather than guess.
Whatever we fail to measure here, no caption can mention.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from irg_core.motion.skeleton import FPS, INDEX
from irg_core.records.motion import Difference, Phase

ACTIONS = (
    "walk", "run", "jump", "turn", "sidestep", "wave", "raise_arms", "punch", "kick", "squat", "bow", "stand",
)  # fmt: skip

USED_IN_TEXTS = frozenset(
    {"action", "missing", "extra", "order", "side", "direction", "turn", "count", "speed", "amplitude", "distance"}
)
"""Kinds of fact that `lines` and `differences` may speak of: precision >= 0.95 in benchmarks/facts_confusion.py."""

# Boundaries lie midway between what people call one and the other; `_graded` abstains close to them.
SPEED_CUTS = {
    ("walk", "forward"): (0.78, 1.28),  # m/s; an unhurried adult walks at 1.1 to 1.4, indoors at about 1.0
    ("walk", "backward"): (0.50, 0.90),
    ("run", "forward"): (2.33, 3.15),
    ("sidestep", ""): (0.455, 0.75),
    ("turn", ""): (68.0, 118.0),  # degrees/s at the fastest
    ("raise_arms", ""): (0.47, 0.83),  # from here on 1/s: repetitions a second, told by the width of the peak
    ("squat", ""): (0.48, 0.80),
    ("bow", ""): (0.43, 0.74),
}
AMPLITUDE_CUTS = {"jump": (0.195, 0.355), "kick": (0.36, 0.68), "squat": (0.24, 0.405), "bow": (28.5, 51.0)}
"""Metres of foot height, metres of foot height, metres of pelvis drop, degrees of trunk pitch."""
MARGIN = 0.05
"""Share of a boundary within which a grade is left open."""

MOVING = 0.22
"""m/s over half a second: above the sway of a kick, below the slowest walk."""
JOURNEY = 0.38
"""Metres: less is a shift of weight or a stumble."""
RUNNING = 1.76
"""m/s: walkers rarely pass 1.7, joggers rarely stay below."""
TURNING = 20.0
"""Degrees/s, and TURNED degrees in all: hips and shoulders twist by less in a walk or a punch."""
TURNED = 27.0
FLIGHT = 0.055
"""Metres of the lower toe above the floor: higher than a shuffle, lower than a hop."""
SPUN = 110.0
"""Degrees turned in flight: more is a figure of its own."""
DIP = 0.105
"""Metres of pelvis drop: below it a knee only softens."""
PITCHED = 13.5
"""Degrees of trunk pitch beyond a natural stand."""
ARM_UP, ELBOW_UP, ELBOW_OUT = 0.10, 0.13, -0.16
"""Metres of wrist and elbow above the shoulder: a raised arm has both, a waving one the wrist, with the elbow held out;
a guard before the chin has its elbows low."""
FLUNG = 1.7
"""Repetitions a second: an arm that goes up and down faster is flung, not raised."""
WAVED = 0.07
"""Metres that a wrist swings beside its elbow in one wave."""
STRIKE, STRIKE_DEPTH = 0.40, 0.13
"""Metres of wrist ahead of the shoulder, and how far it comes back between punches."""
KICK_HEIGHT, KICK_REACH = 0.13, 0.22
"""Metres of toe above the floor and of ankle ahead of the hips: a step swings lower."""
STILL, IDLE = 0.35, 1.75
"""m/s of the fastest hand or foot, and the seconds after which a pause is a stand."""
UNKNOWN, UNKNOWN_SECONDS = 0.75, 1.0
"""m/s of hands and feet that no detector explains, and for how long."""
LOW = 0.62
"""Metres of neck height: lower, or tipped over sideways, a body does something that we have no word for."""
CROWDED, CROWDED_RATE = 3, 1.3
"""More phases than this, and this many a second, are a dance or a fight, not a list of acts."""
TOGETHER = 2.0
"""Seconds: equal events closer than this are repetitions of one phase."""


@dataclass(frozen=True, slots=True)
class Event:
    """One occurrence of an action, in frames; `size` grades amplitude, `pace` speed."""

    action: str
    start: float
    end: float
    side: str = ""
    direction: str = ""
    turn: float = float("nan")
    count: int = 0
    size: float = float("nan")
    pace: float = float("nan")
    distance: float = 0.0


@dataclass(frozen=True, slots=True)
class Signals:
    """A motion in its own frame, smoothed; one value a frame."""

    joints: np.ndarray
    yaw: np.ndarray  # degrees, unwrapped, left positive
    turning: np.ndarray  # degrees/s
    ahead: np.ndarray  # m/s of the pelvis over half a second, in the heading's frame
    left: np.ndarray
    path: np.ndarray  # pelvis x, z
    rise: np.ndarray  # metres of the pelvis above where it mostly is
    drop: np.ndarray  # metres that the pelvis is below where straight legs would hold it
    pitch: np.ndarray  # degrees of the trunk, forward positive
    toes: np.ndarray  # [T, 2] heights of left and right toes above the floor
    reach: np.ndarray  # [T, 2] ankles ahead of the hips
    raised: np.ndarray  # [T, 2] wrists above their shoulders
    elbows: np.ndarray  # [T, 2] elbows above their shoulders
    strike: np.ndarray  # [T, 2] wrists ahead of their shoulders
    beside: np.ndarray  # [T, 2] wrists outside their elbows
    straight: np.ndarray  # [T, 2] elbow angle in degrees, 180 is straight
    busy: np.ndarray  # m/s of the fastest hand or foot
    strange: np.ndarray  # bool: lying, inverted or tipped over


def measure(joints: np.ndarray) -> list[Phase]:
    """The phases of a motion [frames, 22, 3] at 20 fps on the uniform skeleton, in the order of time."""
    if len(joints) < 8:
        return []
    s = _signals(np.asarray(joints, dtype=np.float64))
    strange = [Event("other", a, b) for a, b in _runs(s.strange) if b - a >= 0.2 * FPS]
    jumps = _jumps(s)
    around_jumps = _mask(len(s.yaw), jumps, 0.0)
    journeys = _journeys(s, around_jumps)
    on_the_way = _mask(len(s.yaw), journeys, 0.0)
    turns, journeys = _turns(s, journeys, around_jumps)
    squats = _squats(s, around_jumps | on_the_way)
    dipping = _mask(len(s.yaw), squats, 0.15)
    bows = _bows(s, around_jumps | dipping | on_the_way)
    arms = _arms(s, around_jumps)
    busy_arms = around_jumps | dipping | _mask(len(s.yaw), bows, 0.0)
    punches = _punches(s, busy_arms, arms)
    kicks = _kicks(s, around_jumps | on_the_way)
    known = [*jumps, *journeys, *turns, *squats, *bows, *arms, *punches, *kicks]
    known = [*_ordinary(known, _mask(len(s.yaw), strange, 0.1)), *strange]
    phases = _phases([*known, *_rests(s, known)])
    if len(phases) > CROWDED and len(phases) * FPS > CROWDED_RATE * len(joints):
        return [_phase([Event("other", 0, len(joints) - 1)])]
    return phases


def _ordinary(events: list[Event], strange: np.ndarray) -> list[Event]:
    """Events during which the body stays upright; a jump that goes head over heels is none."""
    kept = []
    for event in events:
        share = strange[int(event.start) : int(event.end) + 1].mean()
        if share <= 0.3 and not (event.action == "jump" and share > 0):
            kept.append(event)
    return kept


# --- signals --------------------------------------------------------------------------------------------------------

_PAIRED = ("hip", "knee", "ankle", "foot", "shoulder", "elbow", "wrist")
_PAIRS = {name: [INDEX[f"left_{name}"], INDEX[f"right_{name}"]] for name in _PAIRED}
_BROAD = np.array([1.0, 2.0, 3.0, 4.0, 3.0, 2.0, 1.0]) / 16.0
_BELL = np.array([0.06, 0.24, 0.40, 0.24, 0.06])


def _signals(raw: np.ndarray) -> Signals:
    joints = _smooth(raw.reshape(len(raw), -1), _BELL).reshape(raw.shape)
    pair = {name: joints[:, index] for name, index in _PAIRS.items()}
    hips, shoulders = pair["hip"][:, 0] - pair["hip"][:, 1], pair["shoulder"][:, 0] - pair["shoulder"][:, 1]
    # Shoulders are the longer and so the steadier lever; hips twist less. Errors of centimetres must not turn a body.
    across = _smooth((1.5 * hips + shoulders)[:, [0, 2]], _BROAD)
    heading = np.unwrap(np.arctan2(-across[:, 1], across[:, 0]))
    forward = np.stack([np.sin(heading), np.cos(heading)], axis=-1)
    sideways = np.stack([np.cos(heading), -np.sin(heading)], axis=-1)
    pelvis, neck, head = joints[:, 0], joints[:, INDEX["neck"]], joints[:, INDEX["head"]]
    path = pelvis[:, [0, 2]]
    velocity = _rate(path, 5)
    floor = float(np.percentile(pair["foot"][..., 1].min(axis=1), 40))
    trunk = neck - pelvis
    leg = np.linalg.norm(pair["hip"] - pair["knee"], axis=-1) + np.linalg.norm(pair["knee"] - pair["ankle"], axis=-1)
    stretch = leg.mean(axis=0) * 0.985 - np.linalg.norm(pair["hip"] - pair["ankle"], axis=-1)
    wrist = pair["wrist"] - pair["shoulder"]
    tip = joints[:, [*_PAIRS["wrist"], *_PAIRS["ankle"], INDEX["head"]]]
    upper, fore = pair["elbow"] - pair["shoulder"], pair["wrist"] - pair["elbow"]
    cosine = (upper * fore).sum(-1) / (np.linalg.norm(upper, axis=-1) * np.linalg.norm(fore, axis=-1) + 1e-9)
    outward = np.array([1.0, -1.0])
    roll = np.degrees(np.arctan2((trunk[:, [0, 2]] * sideways).sum(-1), trunk[:, 1]))
    return Signals(
        joints=joints,
        yaw=np.degrees(heading),
        turning=_rate(np.degrees(heading)[:, None], 3)[:, 0],
        ahead=(velocity * forward).sum(-1),
        left=(velocity * sideways).sum(-1),
        path=path,
        rise=pelvis[:, 1] - np.percentile(pelvis[:, 1], 60),
        drop=stretch.min(axis=1),
        pitch=np.degrees(np.arctan2((trunk[:, [0, 2]] * forward).sum(-1), trunk[:, 1])),
        toes=pair["foot"][..., 1] - floor,
        reach=_along(pair["ankle"] - pair["hip"], forward),
        raised=wrist[..., 1],
        elbows=upper[..., 1],
        strike=_along(wrist, forward),
        beside=_along(fore, sideways) * outward,
        straight=180.0 - np.degrees(np.arccos(np.clip(cosine, -1, 1))),
        busy=np.linalg.norm(_rate(tip.reshape(len(tip), -1), 2).reshape(tip.shape), axis=-1).max(axis=1),
        strange=(neck[:, 1] - floor < LOW) | (np.abs(roll) > 50.0) | (head[:, 1] < pelvis[:, 1]),
    )


def _smooth(values: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Over time, with the end frames held."""
    half = len(kernel) // 2
    padded = np.concatenate([values[:1].repeat(half, 0), values, values[-1:].repeat(half, 0)])
    return np.asarray(sum(weight * padded[k : k + len(values)] for k, weight in enumerate(kernel)))


def _rate(values: np.ndarray, half: int) -> np.ndarray:
    """Change a second over `half` frames to either side, fewer at the ends."""
    at = np.arange(len(values))
    later, earlier = np.minimum(at + half, len(values) - 1), np.maximum(at - half, 0)
    return np.asarray((values[later] - values[earlier]) * FPS / (later - earlier)[:, None])


def _along(vectors: np.ndarray, direction: np.ndarray) -> np.ndarray:
    return np.asarray((vectors[..., [0, 2]] * direction[:, None]).sum(-1))


# --- searching a signal ---------------------------------------------------------------------------------------------


def _runs(mask: np.ndarray) -> list[tuple[int, int]]:
    """Stretches [start, end) where a mask holds."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _mask(frames: int, events: Iterable[Event], widen: float) -> np.ndarray:
    covered = np.zeros(frames, dtype=bool)
    for event in events:
        covered[max(int(event.start - widen * FPS), 0) : int(np.ceil(event.end + widen * FPS)) + 1] = True
    return covered


def _peaks(signal: np.ndarray, least: float, fall: float) -> list[int]:
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


def _bumps(signal: np.ndarray, least: float, fall: float) -> list[int]:
    """Peaks of a signal that rests at 0, also those that a clip's start or end cuts in two."""
    return [frame - 1 for frame in _peaks(np.pad(signal, 1), least, fall)]


def _extent(signal: np.ndarray, peak: int, share: float) -> tuple[float, float]:
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


# --- detectors ------------------------------------------------------------------------------------------------------


def _jumps(s: Signals) -> list[Event]:
    """Both feet and the pelvis go up together, and stay up longer than between the steps of a run."""
    lower = np.minimum(s.toes.min(axis=1), s.rise)
    events = []
    for peak in _bumps(lower, FLIGHT, 0.04):
        a, b = _extent(lower, peak, 0.35)
        before, after = max(int(a) - 3, 0), min(int(np.ceil(b)) + 3, len(lower) - 1)
        way = s.path[after] - s.path[before]
        heading = np.radians(s.yaw[peak])
        ahead = float(way[0] * np.sin(heading) + way[1] * np.cos(heading))
        left = float(way[0] * np.cos(heading) - way[1] * np.sin(heading))
        if abs(s.yaw[after] - s.yaw[before]) > SPUN:
            events.append(Event("other", float(before), float(after)))
            continue
        if b - a < 3.0 or np.hypot(*way) * FPS / (after - before) > 2.2:
            continue
        direction = _quarter(ahead, left) if max(abs(ahead), abs(left)) > 0.17 else ""
        distance = float(np.hypot(ahead, left)) if direction else 0.0
        start, end = max(a - 0.55 * FPS, 0.0), min(b + 0.5 * FPS, len(lower) - 1.0)
        size = float(s.toes[peak].min())
        events.append(Event("jump", start, end, "", direction, count=1, size=size, distance=distance))
    return events


def _quarter(ahead: float, left: float) -> str:
    if abs(ahead) >= abs(left):
        return "forward" if ahead > 0 else "backward"
    return "left" if left > 0 else "right"


def _journeys(s: Signals, excluded: np.ndarray) -> list[Event]:
    """Stretches of travel in one direction of the body: walk, run or sidestep."""
    speed = np.hypot(s.ahead, s.left)
    ways = np.where(np.abs(s.ahead) >= np.abs(s.left), np.where(s.ahead > 0, 0, 1), np.where(s.left > 0, 2, 3))
    ways = np.where((speed > MOVING) & ~excluded, ways, -1)
    events = []
    for way, name in enumerate(("forward", "backward", "left", "right")):
        for a, b in _runs(ways == way):
            if speed[a:b].sum() / FPS < JOURNEY or b - a < 0.4 * FPS:
                continue
            for start, end in _changes_of_pace(speed, a, b):
                pace = float(np.percentile(speed[start:end], 85))
                action = "sidestep" if way > 1 else "run" if pace > RUNNING else "walk"
                distance = float(speed[start:end].sum() / FPS)
                events.append(Event(action, start, end - 1, "", name, pace=pace, distance=distance))
    return events


def _changes_of_pace(speed: np.ndarray, start: int, end: int) -> list[tuple[int, int]]:
    """A journey cut where it all but stops between two paces, as from a run to a walk."""
    way = speed[start:end]
    cuts, last = [0], -1
    for top in _bumps(way, 2 * MOVING, 0.2):
        if last >= 0:
            valley = last + int(np.argmin(way[last:top]))
            if way[valley] > 0.65 * min(way[last], way[top]):
                last = last if way[last] > way[top] else top
                continue
            cuts.append(valley)
        last = top
    return [(start + a, start + b) for a, b in zip(cuts, [*cuts[1:], end - start], strict=True)]


def _turns(s: Signals, journeys: list[Event], excluded: np.ndarray) -> tuple[list[Event], list[Event]]:
    """Turns on the spot; what turns under way is said of the journey instead."""
    turns, last = [], len(s.yaw) - 1
    for sign in (1.0, -1.0):
        for a, b in _runs(sign * s.turning > TURNING):
            # What counts is what lasts: the shoulders of a punch come back.
            degrees = float(s.yaw[min(b, last) : b + 8].mean() - s.yaw[max(a - 8, 0) : a + 1].mean())
            if abs(degrees) < TURNED or excluded[a:b].mean() > 0.5:
                continue
            under_way = [i for i, j in enumerate(journeys) if min(b, j.end) - max(a, j.start) > 0.5 * (b - a)]
            if under_way:
                whole = np.nan_to_num(journeys[under_way[0]].turn) + degrees
                journeys = [replace(j, turn=whole) if i == under_way[0] else j for i, j in enumerate(journeys)]
                continue
            # An eighth of a turn is over before it has a pace.
            pace = float((sign * s.turning[a:b]).max()) if abs(degrees) > 60 else float("nan")
            turns.append(Event("turn", a, b, "", "left" if sign > 0 else "right", turn=degrees, pace=pace))
    return turns, journeys


def _squats(s: Signals, excluded: np.ndarray) -> list[Event]:
    events = []
    for peak in _bumps(s.drop, DIP, 0.06):
        if not excluded[peak] and s.toes[peak].max() < 0.1:
            a, b = _extent(s.drop, peak, 0.2)
            pace = 0.54 / (np.subtract(*_extent(s.drop, peak, 0.5)[::-1]) / FPS)
            events.append(Event("squat", a, b, count=1, size=float(s.drop[peak]), pace=float(pace)))
    return events


def _bows(s: Signals, excluded: np.ndarray) -> list[Event]:
    pitch = s.pitch - float(np.clip(np.percentile(s.pitch, 20), -2.0, 8.0))  # some stand with a stoop
    events = []
    for peak in _bumps(pitch, PITCHED, 8.5):
        if not excluded[peak] and s.drop[peak] < DIP:
            a, b = _extent(pitch, peak, 0.2)
            pace = 0.57 / (np.subtract(*_extent(pitch, peak, 0.5)[::-1]) / FPS)
            events.append(Event("bow", a, b, count=1, size=float(pitch[peak]), pace=float(pace)))
    return events


def _arms(s: Signals, excluded: np.ndarray) -> list[Event]:
    """Raised arms and waves: both have the wrist above the shoulder, only a raised arm has the elbow there."""
    found: dict[str, list[Event]] = {}
    for hand, side in enumerate(("left", "right")):
        found[side] = []
        height = s.raised[:, hand] + 0.53  # from a hanging arm up
        for a, b in _runs(s.raised[:, hand] > 0.3 * ARM_UP):
            if excluded[a:b].mean() > 0.5 or s.raised[a:b, hand].max() < ARM_UP:
                continue
            peak = a + int(np.argmax(s.raised[a:b, hand]))
            start, end = _extent(height, peak, 0.25)
            if s.elbows[a:b, hand].max() > ELBOW_UP:
                widths = np.subtract(*_extent(height, peak, 0.5)[::-1]) / FPS
                if (pace := float(0.56 / widths)) < FLUNG:
                    found[side].append(Event("raise_arms", start, end, side, count=1, pace=pace))
            elif s.elbows[a:b, hand].max() > ELBOW_OUT and (waves := len(_peaks(s.beside[a:b, hand], -1.0, WAVED))):
                found[side].append(Event("wave", start, end, side, count=waves))
    return _both(found["left"], found["right"])


def _both(left: list[Event], right: list[Event]) -> list[Event]:
    """Arms that do the same at the same time are one event of both sides."""
    merged, rest = [], list(right)
    for event in left:
        twin = next((r for r in rest if r.action == event.action and _overlap(event, r) > 0.6), None)
        if twin:
            rest.remove(twin)
            pace = (event.pace + twin.pace) / 2
            event = replace(event, side="both", count=max(event.count, twin.count), pace=pace)
        merged.append(event)
    return merged + rest


def _overlap(a: Event, b: Event) -> float:
    common = min(a.end, b.end) - max(a.start, b.start)
    return common / max(min(a.end - a.start, b.end - b.start), 1.0)


def _punches(s: Signals, excluded: np.ndarray, arms: list[Event]) -> list[Event]:
    """A hand shoots out at shoulder height from a bent elbow, and comes back."""
    events = []
    for hand, side in enumerate(("left", "right")):
        strike = s.strike[:, hand]
        # On its way up an arm points ahead; a wave does not, and may go over into a guard.
        raised = [event for event in arms if event.action == "raise_arms" and event.side in (side, "both")]
        up = _mask(len(strike), raised, 0.0)
        for peak in _bumps(strike, STRIKE, STRIKE_DEPTH):
            around = slice(max(peak - 8, 0), peak + 9)
            if excluded[peak] or up[peak] or abs(s.raised[peak, hand]) > 0.24:
                continue
            if s.straight[peak, hand] < 130.0 or s.straight[around, hand].min() > 112.0:
                continue
            events.append(Event("punch", max(peak - 9.0, 0.0), min(peak + 10.0, len(strike) - 1.0), side, count=1))
    return events


def _kicks(s: Signals, excluded: np.ndarray) -> list[Event]:
    """One foot swings up and ahead while the other stays down."""
    events = []
    for foot, side in enumerate(("left", "right")):
        toe, other = s.toes[:, foot], s.toes[:, 1 - foot]
        swing = np.minimum(toe, s.reach[:, foot] - KICK_REACH + KICK_HEIGHT)
        for peak in _bumps(swing, KICK_HEIGHT, 0.1):
            if excluded[peak] or other[peak] > 0.06:
                continue
            a, b = _extent(toe, peak, 0.12)
            events.append(Event("kick", a, b, side, count=1, size=float(toe[max(peak - 3, 0) : peak + 4].max())))
    return events


def _rests(s: Signals, known: list[Event]) -> list[Event]:
    """Long pauses, and long stretches of something that no detector knows."""
    free = ~_mask(len(s.busy), known, 0.0)
    events = []
    for a, b in _runs(free):
        seconds, busy = (b - a) / FPS, s.busy[a:b]
        if seconds >= IDLE and np.mean(busy < STILL) > 0.75:
            events.append(Event("stand", a, b - 1))
        elif seconds >= UNKNOWN_SECONDS and np.mean(busy) > UNKNOWN:
            events.append(Event("other", a, b - 1))
    if not known and not events and np.mean(s.busy < STILL) > 0.9:
        events.append(Event("stand", 0, len(s.busy) - 1))
    return events


# --- from events to phases ------------------------------------------------------------------------------------------


def _phases(events: list[Event]) -> list[Phase]:
    groups: list[list[Event]] = []
    for event in sorted(events, key=lambda e: (e.start + e.end, e.action, e.side)):
        if groups and _continues(groups[-1][-1], event):
            groups[-1].append(event)
        else:
            groups.append([event])
    return [_phase(group) for group in groups]


def _continues(earlier: Event, later: Event) -> bool:
    same = (earlier.action, earlier.side, earlier.direction) == (later.action, later.side, later.direction)
    return same and later.start - earlier.end < TOGETHER * FPS


def _phase(group: list[Event]) -> Phase:
    first = group[0]
    turns = [event.turn for event in group if event.turn == event.turn]
    key = (first.action, first.direction) if first.action in ("walk", "run") else (first.action, "")
    return Phase(
        action=first.action,
        start=round(first.start / FPS, 3),
        end=round(max(event.end for event in group) / FPS, 3),
        side=first.side,
        direction=first.direction,
        turn=round(sum(turns), 3) if turns else float("nan"),
        count=sum(event.count for event in group),
        speed=_graded(float(np.median([e.pace for e in group])), SPEED_CUTS.get(key), ("slow", "normal", "fast")),
        amplitude=_graded(
            float(np.median([e.size for e in group])), AMPLITUDE_CUTS.get(first.action), ("small", "normal", "large")
        ),
        distance=round(sum(event.distance for event in group), 3),
    )


def _graded(value: float, cuts: tuple[float, float] | None, names: tuple[str, str, str]) -> str:
    if cuts is None or value != value or any(abs(value - cut) < MARGIN * cut for cut in cuts):
        return ""
    return names[sum(value > cut for cut in cuts)]


# --- in words, and against one another ------------------------------------------------------------------------------

_DO = {"raise_arms": "raise arms", "other": "something else"}


def lines(phases: Sequence[Phase]) -> list[str]:
    """One terse line a phase, for a reader or a language model: what, in which manner, and when if that is known."""
    times = [f" ({phase.start:.1f}-{phase.end:.1f} s)" if phase.start == phase.start else "" for phase in phases]
    return [_told(phase) + time for phase, time in zip(phases, times, strict=True)]


def _told(phase: Phase) -> str:
    parts = [_DO.get(phase.action, phase.action)]
    if phase.side and "side" in USED_IN_TEXTS:
        parts.append({"both": "both sides"}.get(phase.side, f"{phase.side} side"))
    if phase.direction and "direction" in USED_IN_TEXTS:
        parts.append(phase.direction)
    if phase.turn == phase.turn and "turn" in USED_IN_TEXTS:
        under_way = "" if phase.action == "turn" else f" turning {_way(phase.turn)}"
        parts.append(f"{abs(phase.turn):.0f} degrees{under_way}")
    if phase.count and "count" in USED_IN_TEXTS:
        parts.append(f"{phase.count} times" if phase.count > 1 else "once")
    if phase.speed and "speed" in USED_IN_TEXTS:
        parts.append(f"{phase.speed} speed")
    if phase.amplitude and "amplitude" in USED_IN_TEXTS:
        parts.append(f"{phase.amplitude} amplitude")
    if phase.distance == phase.distance and phase.distance >= JOURNEY and "distance" in USED_IN_TEXTS:
        parts.append(f"{phase.distance:.1f} m")
    return ", ".join(parts)


def _way(turn: float) -> str:
    return "left" if turn > 0 else "right"


TURN_TOLERANCE = 25.0
"""Degrees: a quarter turn that ends 25 degrees off is still a quarter turn, not an eighth or a half."""


def differences(asked: Sequence[Phase], shown: Sequence[Phase]) -> list[Difference]:
    """What is asked and not shown, phase by phase in order; an attribute that `asked` leaves empty cannot differ.

    A pause that nobody asked for is no difference. A `turn` asked without a direction compares by size alone.
    """
    found: list[Difference] = []
    pairs = _aligned(asked, shown)
    lost = [a for a, b in pairs if b is None and a is not None]
    spare = [b for a, b in pairs if a is None and b is not None and b.action != "stand"]
    for a, b in pairs:
        if a is not None and b is not None and a.action == b.action:
            found += _attributes(a, b)
        elif a is not None and b is not None:
            found.append(Difference("action", a.action, _name(a), _name(b)))
    for a in lost:
        moved = next((b for b in spare if b.action == a.action), None)
        if moved is not None:
            spare.remove(moved)
            found.append(Difference("order", a.action, _place(a, asked), _place(moved, shown)))
        else:
            found.append(Difference("missing", a.action, _name(a), ""))
    found += [Difference("extra", b.action, "", _name(b)) for b in spare]
    return [difference for difference in found if difference.attribute in USED_IN_TEXTS]


def _name(phase: Phase) -> str:
    return _DO.get(phase.action, phase.action)


def _place(phase: Phase, phases: Sequence[Phase]) -> str:
    position = next(i for i, other in enumerate(phases) if other is phase)
    return ("first", "second", "third", "fourth", "fifth")[min(position, 4)]


def _aligned(asked: Sequence[Phase], shown: Sequence[Phase]) -> list[tuple[Phase | None, Phase | None]]:
    """The cheapest alignment in order: like with like, and only else one thing for another."""
    rows, columns = len(asked), len(shown)
    cost = np.zeros((rows + 1, columns + 1))
    cost[:, 0], cost[0, 1:] = np.arange(rows + 1), np.cumsum([_spare_cost(b) for b in shown])
    for i, a in enumerate(asked, start=1):
        for j, b in enumerate(shown, start=1):
            paired = cost[i - 1, j - 1] + _pair_cost(a, b, asked, shown)
            cost[i, j] = min(paired, cost[i - 1, j] + 1.0, cost[i, j - 1] + _spare_cost(b))
    pairs: list[tuple[Phase | None, Phase | None]] = []
    i, j = rows, columns
    while i or j:
        pair = _pair_cost(asked[i - 1], shown[j - 1], asked, shown) if i and j else np.inf
        if i and j and np.isclose(cost[i, j], cost[i - 1, j - 1] + pair):
            pairs.append((asked[i - 1], shown[j - 1]))
            i, j = i - 1, j - 1
        elif i and np.isclose(cost[i, j], cost[i - 1, j] + 1.0):
            pairs.append((asked[i - 1], None))
            i -= 1
        else:
            pairs.append((None, shown[j - 1]))
            j -= 1
    return pairs[::-1]


def _spare_cost(phase: Phase) -> float:
    return 0.3 if phase.action == "stand" else 1.0


def _pair_cost(a: Phase, b: Phase, asked: Sequence[Phase], shown: Sequence[Phase]) -> float:
    """Like with like is nearly free. One action stands for another only where neither occurs elsewhere."""
    if a.action == b.action:
        return 0.1 * len(_attributes(a, b))
    elsewhere = any(a.action == other.action for other in shown) or any(b.action == other.action for other in asked)
    return 2.5 if elsewhere or b.action == "stand" else 1.2


def _attributes(a: Phase, b: Phase) -> list[Difference]:
    found = []
    for attribute in ("side", "direction", "speed", "amplitude"):
        asked, shown = getattr(a, attribute), getattr(b, attribute)
        # A jump has no direction when it stays in place; that no speed was measured means that none was clear.
        decided = bool(shown) or attribute in ("side", "direction")
        if asked and decided and asked != shown:
            found.append(Difference(attribute, a.action, asked, shown or "in place"))
    if a.count and b.count and a.count != b.count:
        found.append(Difference("count", a.action, str(a.count), str(b.count)))
    if a.turn == a.turn and b.turn == b.turn and abs(abs(a.turn) - abs(b.turn)) > TURN_TOLERANCE:
        found.append(Difference("turn", a.action, f"{abs(a.turn):.0f} degrees", f"{abs(b.turn):.0f} degrees"))
    return found
