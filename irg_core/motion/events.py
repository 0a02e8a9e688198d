"""Single events in the signals of a motion: one kick, one flight, one stretch of walking.

The detectors know nothing of how a motion was made, so they serve recorded and generated motions alike. They look at
one another's findings where one movement contains another: a jump has a squat in it, and a raised arm points ahead on
its way up.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from irg_core.motion.signals import Signals, bumps, extent, peaks, quarter, runs
from irg_core.motion.skeleton import FPS
from irg_core.motion.thresholds import KinematicsParams

SIDES = ("left", "right")


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
    peak: int = -1
    manner: str = ""


def mask(frames: int, events: Iterable[Event], widen: float) -> np.ndarray:
    """The frames [T] bool that events cover, `widen` seconds wider on either side."""
    covered = np.zeros(frames, dtype=bool)
    for event in events:
        covered[max(int(event.start - widen * FPS), 0) : int(np.ceil(event.end + widen * FPS)) + 1] = True
    return covered


def events(s: Signals, postures: list[Event], limits: KinematicsParams) -> list[Event]:
    """Everything that has a name and is done standing; `postures` are what is done otherwise."""
    frames, held = len(s.yaw), mask(len(s.yaw), postures, 0.0)
    jumped = jumps(s, limits)
    jumping = mask(frames, jumped, 0.0)
    travelled = journeys(s, jumping | held, limits)
    kicked = kicks(s, jumping | held, mask(frames, travelled, 0.0), limits)
    travelled = _without_kicks(travelled, mask(frames, kicked, 0.0))
    travelling = mask(frames, travelled, 0.0)
    turned, travelled = turns(s, travelled, jumping, held, limits)
    squatted = squats(s, jumping | travelling | mask(frames, postures, 0.5), limits)
    dipping = mask(frames, squatted, 0.15)
    armed = arms(s, jumping, limits)
    # Who kicks balances with the arms, and who punches leans into it.
    punched = punches(s, jumping | mask(frames, kicked, 0.0), armed, limits)
    bowed = bows(s, jumping | dipping | travelling | held | mask(frames, punched, 0.0), limits)
    return [*jumped, *travelled, *turned, *squatted, *bowed, *armed, *punched, *kicked]


def _without_kicks(travelled: list[Event], kicking: np.ndarray) -> list[Event]:
    """Journeys that are more than the shift of weight in a kick."""
    return [event for event in travelled if kicking[int(event.start) : int(event.end) + 1].mean() < 0.5]


def jumps(s: Signals, limits: KinematicsParams) -> list[Event]:
    """Both feet and the pelvis go up together, and stay up longer than between the steps of a run."""
    jumping = limits.jumping
    lower = np.minimum(s.toes.min(axis=1), s.rise)
    found = []
    for peak in bumps(lower, jumping.flight, 0.04):
        a, b = extent(lower, peak, 0.35)
        before, after = max(int(a) - 3, 0), min(int(np.ceil(b)) + 3, len(lower) - 1)
        way = s.path[after] - s.path[before]
        heading = np.radians(s.yaw[peak])
        ahead = float(way[0] * np.sin(heading) + way[1] * np.cos(heading))
        left = float(way[0] * np.cos(heading) - way[1] * np.sin(heading))
        if abs(s.yaw[after] - s.yaw[before]) > jumping.spun:
            found.append(Event("other", float(before), float(after)))
            continue
        if _stands(s, int(a), int(np.ceil(b)), jumping.planted):
            continue
        if b - a < jumping.seconds * FPS or np.hypot(*way) * FPS / (after - before) > jumping.travelling:
            continue
        direction = quarter(ahead, left) if max(abs(ahead), abs(left)) > jumping.away else ""
        distance = float(np.hypot(ahead, left)) if direction else 0.0
        start, end = max(a - 0.55 * FPS, 0.0), min(b + 0.5 * FPS, len(lower) - 1.0)
        size = float(s.toes[peak].min())
        found.append(Event("jump", start, end, "", direction, count=1, size=size, distance=distance, peak=peak))
    return found


def _stands(s: Signals, start: int, end: int, planted: float) -> bool:
    """Whether a foot rests meanwhile: up there is a floor, too."""
    return any(b - a >= 4 for foot in (0, 1) for a, b in runs(s.steps[start : end + 1, foot] < planted))


def journeys(s: Signals, excluded: np.ndarray, limits: KinematicsParams) -> list[Event]:
    """Stretches of travel in one direction of the body: walk, run or sidestep."""
    travel = limits.travel
    speed = np.hypot(s.ahead, s.left)
    ways = np.where(np.abs(s.ahead) >= np.abs(s.left), np.where(s.ahead > 0, 0, 1), np.where(s.left > 0, 2, 3))
    ways = np.where((speed > travel.moving) & ~excluded, ways, -1)
    found = []
    for way, name in enumerate(("forward", "backward", "left", "right")):
        for a, b in runs(ways == way):
            if speed[a:b].sum() / FPS < travel.journey or b - a < travel.shortest * FPS:
                continue
            for start, end in _changes_of_pace(speed, a, b, travel.moving):
                pace = float(np.percentile(speed[start:end], 85))
                runs_on = pace > travel.surely or (
                    pace > travel.running and np.percentile(s.knee[start:end], 10) < travel.knee
                )
                action = "sidestep" if way > 1 else "run" if runs_on else "walk"
                distance = float(speed[start:end].sum() / FPS)
                found.append(Event(action, start, end - 1, "", name, pace=pace, distance=distance))
    return found


def _changes_of_pace(speed: np.ndarray, start: int, end: int, moving: float) -> list[tuple[int, int]]:
    """A journey cut where it all but stops between two paces, as from a run to a walk."""
    way = speed[start:end]
    cuts, last = [0], -1
    for top in bumps(way, 2 * moving, 0.2):
        if last >= 0:
            valley = last + int(np.argmin(way[last:top]))
            if way[valley] > 0.65 * min(way[last], way[top]):
                last = last if way[last] > way[top] else top
                continue
            cuts.append(valley)
        last = top
    return [(start + a, start + b) for a, b in zip(cuts, [*cuts[1:], end - start], strict=True)]


def turns(
    s: Signals, travelled: list[Event], jumping: np.ndarray, held: np.ndarray, limits: KinematicsParams
) -> tuple[list[Event], list[Event]]:
    """Turns on the spot, and the journeys, of which is said what turns under way."""
    turning, found, last = limits.turning, [], len(s.yaw) - 1
    for sign in (1.0, -1.0):
        for a, b in runs(sign * s.turning > turning.rate):
            # What counts is what lasts: the shoulders of a punch come back.
            degrees = float(s.yaw[min(b, last) : b + 8].mean() - s.yaw[max(a - 8, 0) : a + 1].mean())
            if abs(degrees) < turning.least or jumping[a:b].mean() > 0.5 or held[a:b].any():
                continue
            under_way = [i for i, j in enumerate(travelled) if min(b, j.end) - max(a, j.start) > 0.5 * (b - a)]
            if not under_way and not _is_stepped(s, a, b, degrees):
                continue
            if under_way:
                whole = np.nan_to_num(travelled[under_way[0]].turn) + degrees
                travelled = [replace(j, turn=whole) if i == under_way[0] else j for i, j in enumerate(travelled)]
                continue
            pace = float((sign * s.turning[a:b]).max()) if abs(degrees) > turning.graded else float("nan")
            found.append(Event("turn", a, b, "", "left" if sign > 0 else "right", turn=degrees, pace=pace))
    return found, [_in_an_arc(s, event, turning.slow) for event in travelled]


def _is_stepped(s: Signals, start: int, end: int, degrees: float) -> bool:
    """Whether the feet turn as well: whoever lunges or strikes turns hips and shoulders over feet that stay."""
    feet = s.feet_yaw[min(end, len(s.yaw) - 1) : end + 8].mean() - s.feet_yaw[max(start - 8, 0) : start + 1].mean()
    return bool(feet * np.sign(degrees) > 0.5 * abs(degrees))


def _in_an_arc(s: Signals, journey: Event, least: float) -> Event:
    """A journey whose heading changes too slowly for a turn, and yet by much in all."""
    a, b = int(journey.start), int(journey.end)
    degrees = float(s.yaw[b - 8 : b + 1].mean() - s.yaw[a : a + 9].mean())
    is_open = journey.turn != journey.turn and b - a > FPS
    return replace(journey, turn=degrees) if is_open and abs(degrees) > least else journey


def squats(s: Signals, excluded: np.ndarray, limits: KinematicsParams) -> list[Event]:
    found = []
    for peak in bumps(s.drop, limits.bending.dip, 0.06):
        if not excluded[peak] and s.toes[peak].max() < 0.1 and abs(s.turning[peak]) < limits.bending.whirl:
            a, b = extent(s.drop, peak, 0.2)
            if b - a > limits.bending.stoop * FPS:
                continue
            pace = 0.54 / (np.subtract(*extent(s.drop, peak, 0.5)[::-1]) / FPS)
            found.append(Event("squat", a, b, count=1, size=float(s.drop[peak]), pace=float(pace), peak=peak))
    return found


def bows(s: Signals, excluded: np.ndarray, limits: KinematicsParams) -> list[Event]:
    pitch = s.pitch - float(np.clip(np.percentile(s.pitch, 20), -2.0, 8.0))  # some stand with a stoop
    found = []
    for peak in bumps(pitch, limits.bending.bow, 8.5):
        if not excluded[peak] and s.drop[peak] < limits.bending.dip and abs(s.turning[peak]) < limits.bending.whirl:
            a, b = extent(pitch, peak, 0.2)
            if b - a > limits.bending.stoop * FPS:
                continue
            pace = 0.57 / (np.subtract(*extent(pitch, peak, 0.5)[::-1]) / FPS)
            found.append(Event("bow", a, b, count=1, size=float(pitch[peak]), pace=float(pace), peak=peak))
    return found


def arms(s: Signals, excluded: np.ndarray, limits: KinematicsParams) -> list[Event]:
    """Raised arms and waves: both have the wrist above the shoulder, only a raised arm has the elbow there."""
    up, found = limits.arms, {}
    for hand, side in enumerate(SIDES):
        found[side] = list[Event]()
        height = s.raised[:, hand] + 0.53  # from a hanging arm up
        for a, b in runs(s.raised[:, hand] > 0.3 * up.wrist_up):
            if excluded[a:b].mean() > 0.5 or s.raised[a:b, hand].max() < up.wrist_up:
                continue
            peak = a + int(np.argmax(s.raised[a:b, hand]))
            start, end = extent(height, peak, 0.25)
            # Arms that do not come down between two rises are told apart by when they are up.
            start, end = max(start, a - 1.5 * FPS), min(end, b + 1.5 * FPS)
            if s.elbows[a:b, hand].max() > up.elbow_up:
                widths = np.subtract(*extent(height, peak, 0.5)[::-1]) / FPS
                if (pace := float(0.56 / widths)) < up.flung:
                    found[side].append(Event("raise_arms", start, end, side, count=1, pace=pace, peak=peak))
            elif (
                s.elbows[a:b, hand].max() > up.elbow_out
                and (waves := len(peaks(s.beside[a:b, hand], -1.0, up.waved))) > 1
            ):
                found[side].append(Event("wave", start, end, side, count=waves, peak=peak))
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


def punches(s: Signals, excluded: np.ndarray, armed: list[Event], limits: KinematicsParams) -> list[Event]:
    """A hand shoots out at shoulder height from a bent elbow, and comes back.

    It may shoot ahead or aside: whoever punches turns shoulders and hips with it, and what was ahead is then beside.
    """
    striking, found = limits.striking, []
    for hand, side in enumerate(SIDES):
        strike = np.where(s.strike[:, hand] > -0.1, np.hypot(s.strike[:, hand], s.outward[:, hand]), 0.0)
        # On its way up an arm points ahead, and a waving one aside.
        raised = [event for event in armed if event.side in (side, "both")]
        up = mask(len(strike), [event for event in raised if event.action == "raise_arms"], 0.0)
        waving = mask(len(strike), [event for event in raised if event.action == "wave"], 0.0)
        for peak in bumps(strike, striking.punch, striking.drawn):
            out = peak - int(np.argmax(strike[peak::-1] < 0.9 * strike[peak]))  # a fist may stay out for a while
            before = slice(max(out - 8, 0), out + 1)
            ahead = s.strike[peak, hand] > s.outward[peak, hand]
            if excluded[peak] or up[peak] or (waving[peak] and not ahead):
                continue
            if abs(s.raised[peak, hand]) > striking.off_shoulder or s.straight[peak, hand] < striking.straight:
                continue
            if s.straight[before, hand].min() > striking.bent or s.hands[before, hand].max() < striking.fast:
                continue
            start, end = max(out - 8.0, 0.0), min(peak + 10.0, len(strike) - 1.0)
            found.append(Event("punch", start, end, side, count=1, size=float(strike[peak]), peak=peak))
    # Both arms at once push, or open for a dance.
    return [
        one for one in found if not any(one.side != other.side and abs(one.peak - other.peak) < 5 for other in found)
    ]


def kicks(s: Signals, busy: np.ndarray, travelling: np.ndarray, limits: KinematicsParams) -> list[Event]:
    """One foot swings up and ahead, or out to its side, while the other stays down."""
    striking, found = limits.striking, []
    for foot, side in enumerate(SIDES):
        toe, other = s.toes[:, foot], s.toes[:, 1 - foot]
        away = np.maximum(s.reach[:, foot], s.aside[:, foot])
        swing = np.minimum(toe, away - striking.kick_reach + striking.kick)
        for peak in bumps(swing, striking.kick, 0.1):
            a, b = extent(toe, peak, 0.12)
            size = float(toe[max(peak - 3, 0) : peak + 4].max())
            # A step lifts the foot, and a long one carries it far; none does both as a kick does.
            if busy[peak] or (travelling[peak] and swing[peak] < striking.stride) or other[peak] > striking.planted:
                continue
            up, down = extent(toe, peak, 0.5)
            spun = abs(s.yaw[min(round(b), len(toe) - 1)] - s.yaw[round(a)])
            if down - up > striking.longest * FPS or spun > striking.spun:
                continue
            found.append(Event("kick", a, b, side, count=1, size=size, peak=peak))
    return found


def rests(s: Signals, known: list[Event], limits: KinematicsParams) -> list[Event]:
    """Long pauses, and long stretches of something that no detector knows."""
    resting, found = limits.resting, []
    for a, b in runs(~mask(len(s.busy), known, 0.0)):
        seconds, busy = (b - a) / FPS, s.busy[a:b]
        if seconds >= resting.seconds and np.mean(busy < resting.still) > 0.75:
            found.append(Event("stand", a, b - 1))
        elif seconds >= resting.unknown_seconds and np.mean(busy) > resting.unknown:
            found.append(Event("other", a, b - 1))
    if not known and not found and np.mean(s.busy < resting.still) > 0.9:
        found.append(Event("stand", 0, len(s.busy) - 1))
    return found


def grouped(found: Iterable[Event], limits: KinematicsParams) -> list[list[Event]]:
    """Events in the order of time, equal ones that follow each other soon put together."""
    groups: list[list[Event]] = []
    for event in sorted(found, key=lambda e: (e.start + e.end, e.action, e.side)):
        if groups and _continues(groups[-1][-1], event, limits.crowds.together):
            groups[-1].append(event)
        else:
            groups.append([event])
    return groups


def _continues(earlier: Event, later: Event, seconds: float) -> bool:
    same = (earlier.action, earlier.side, earlier.direction) == (later.action, later.side, later.direction)
    return same and later.start - earlier.end < seconds * FPS
