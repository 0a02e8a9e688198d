"""What can be measured in a motion beyond its phases: angles, ways, steps, heights, rhythm, each with its time.

A measure is stated where it is sure, whether or not the motion as a whole has a name: of a dance we can say that it
turns right eight times, and with which arm it goes up.
"""

from collections.abc import Iterator

import numpy as np

from irg_core.motion.events import SIDES, Event, grouped, mask
from irg_core.motion.signals import (
    PAIRS,
    SWINGING,
    TOUCHING,
    Signals,
    bumps,
    closed,
    extent,
    mean_over,
    peaks,
    quarter,
    rate,
    runs,
    swings,
)
from irg_core.motion.skeleton import FPS, INDEX
from irg_core.motion.thresholds import KinematicsParams, graded
from irg_core.records.motion import Measure

NAN = float("nan")
FLOOR = ("sit", "kneel", "lie", "crawl", "other")
"""Actions that are not done standing."""
SECOND = int(FPS) + 1
"""Frames of a moving average over a second, odd."""
SLOW_FOOT, LOG_TWICE = 0.2, 0.6
"""m/s below which the speed of a foot is not told from rest, and the logarithm of "about twice as fast"."""


def measures(s: Signals, known: list[Event], limits: KinematicsParams) -> list[Measure]:
    """All measures of a motion in the order of time; `known` are its events as far as they have names."""
    travelled = [event for event in known if event.action in ("walk", "run", "sidestep")]
    # In a roll or a flip no limb and no heading can be told by what it means in a standing body.
    odd = mask(len(s.yaw), [event for event in known if event.action in FLOOR], 0.3)
    found = [
        *_headings(s, known, limits), *_ways(s, travelled, limits), *_back_and_forth(s, travelled, limits),
        *_steps(s, travelled, limits), *_jumps(s, known, limits), *_strikes(s, known, limits), *_raised(s, known),
        *_reaches(s, known, odd, limits), *_crossed(s, limits), *_activity(s, limits), *_bends(s, known, odd, limits),
        *_squats(known), *_twists(s, odd, limits), *_postures(known), *_repetitions(known, limits),
        *_rhythm(s, known, limits), *_stillness(s, limits), *_contacts(s),
    ]  # fmt: skip
    return sorted(found, key=lambda one: (one.start, one.end, one.kind, one.part, one.side))


def _measure(
    kind: str, part: str, start: float, end: float, amount: float = NAN, unit: str = "", *,
    side: str = "", direction: str = "", manner: str = "",
) -> Measure:  # fmt: skip
    """Times in frames, which become seconds."""
    digits = 0 if unit in ("degrees", "%", "steps", "steps/min", "times") else 2
    amount = round(float(amount), digits) + 0.0
    return Measure(kind, part, side, direction, manner, amount, unit, round(start / FPS, 2), round(end / FPS, 2))


# --- where to ---------------------------------------------------------------------------------------------------------


def _headings(s: Signals, known: list[Event], limits: KinematicsParams) -> Iterator[Measure]:
    """Changes of heading, under way or on the spot: fast ones and slow ones, for the angle is what counts."""
    flat = mask(len(s.yaw), [event for event in known if event.action in ("lie", "crawl")], 0.0)
    step = np.where(flat, 0.0, np.diff(s.yaw, prepend=s.yaw[0]))
    lasting = mean_over(np.cumsum(step), SECOND - 4)  # the shoulders of a punch come back within it
    for a, b in swings(lasting, limits.turning.least):
        degrees = lasting[b] - lasting[a]
        done = np.abs(lasting[a : b + 1] - lasting[a]) / abs(degrees)
        first, last = a + int(np.argmax(done > 0.05)), a + int(np.argmax(done > 0.95))
        yield _measure("heading", "body", first, last, abs(degrees), "degrees", direction=_turn(degrees))


def _turn(degrees: float) -> str:
    return "left" if degrees > 0 else "right"


def _ways(s: Signals, travelled: list[Event], limits: KinematicsParams) -> Iterator[Measure]:
    """For each stretch of travel its distance, the shape of its path, and its pace."""
    for event in travelled:
        a, b = int(event.start), int(event.end) + 1
        shape, bend = _shape(s.path[a:b], limits)
        turned = _turn(bend) if shape in ("curve", "circle") else ""
        yield _measure("distance", "body", a, b - 1, event.distance, "m", direction=event.direction)
        if shape:
            yield _measure("path", "body", a, b - 1, abs(bend), "degrees", direction=turned, manner=shape)
        cuts = limits.paces_of(event.action, event.direction)
        pace = graded(event.pace, cuts, ("slow", "normal", "fast"), limits.margin)
        yield _measure("pace", "body", a, b - 1, event.pace, "m/s", direction=event.direction, manner=pace)


def _shape(path: np.ndarray, limits: KinematicsParams) -> tuple[str, float]:
    """Straight, a curve or a circle, and the degrees by which the course [T, 2] changes, left positive."""
    walking = limits.walking
    smooth = mean_over(path, min(SECOND, 2 * (len(path) // 4) + 1))
    way = smooth[4:] - smooth[:-4] if len(smooth) > 8 else smooth[-1:] - smooth[:1]
    course = np.degrees(np.unwrap(np.arctan2(way[:, 0], way[:, 1])))
    bend, back = float(course[-1] - course[0]), float(np.abs(np.diff(course)).sum())
    chord = path[-1] - path[0]
    length = float(np.hypot(*chord)) + 1e-9
    aside = (path - path[0]) * (chord[1], -chord[0])
    astray = float(np.abs(aside.sum(-1)).max()) / length**2
    if abs(bend) > walking.curve and abs(bend) > 0.7 * back:
        return ("circle" if abs(bend) > walking.circle else "curve"), bend
    if astray < walking.straight and abs(bend) < 0.7 * walking.curve:
        return "straight", bend
    return "", bend


def _back_and_forth(s: Signals, travelled: list[Event], limits: KinematicsParams) -> Iterator[Measure]:
    """Straight ways one after the other that lead back along each other."""
    legs = sorted(
        (
            event
            for event in travelled
            if _shape(s.path[int(event.start) : int(event.end) + 1], limits)[0] == "straight"
        ),
        key=lambda event: (event.start, event.end),
    )
    ways = [s.path[int(event.end)] - s.path[int(event.start)] for event in legs]
    chain: list[int] = []
    for i in range(len(legs)):
        if chain and (legs[i].start < legs[chain[-1]].end or not _opposite(ways[chain[-1]], ways[i])):
            yield from _legs(legs, chain)
            chain = []
        chain.append(i)
    yield from _legs(legs, chain)


def _opposite(one: np.ndarray, other: np.ndarray) -> bool:
    lengths = np.hypot(*one), np.hypot(*other)
    return float((one * other).sum()) < -0.87 * lengths[0] * lengths[1] and 0.5 < lengths[0] / lengths[1] < 2.0


def _legs(legs: list[Event], chain: list[int]) -> Iterator[Measure]:
    if len(chain) > 1:
        first, last = legs[chain[0]], legs[chain[-1]]
        yield _measure("path", "body", first.start, last.end, len(chain), "times", manner="back and forth")


def _steps(s: Signals, travelled: list[Event], limits: KinematicsParams) -> Iterator[Measure]:
    """How many steps, which foot first, and how many a minute: swings of a foot from place to place."""
    taken = sorted(_swings_of_feet(s, limits))
    for first, last in _stretches(travelled):
        during = [(a, b, foot) for a, b, foot in taken if first - 0.5 * FPS < a and b < last + 0.5 * FPS]
        if len(during) < 2:
            continue
        a, b = during[0][0], during[-1][1]
        yield _measure("steps", "feet", a, b, len(during), "steps", side=SIDES[during[0][2]])
        if len(during) > 3:
            paced = np.median(np.diff([(a + b) / 2 for a, b, _ in during]))
            yield _measure("cadence", "feet", a, b, 60 * FPS / max(paced, 1.0), "steps/min")


def _stretches(travelled: list[Event]) -> list[tuple[float, float]]:
    """Travel in the same manner without a break: start and end in frames."""
    joined: list[list[float]] = []
    for event in sorted(travelled, key=lambda event: event.start):
        if joined and event.start - joined[-1][1] < 0.5 * FPS:
            joined[-1][1] = event.end
        else:
            joined.append([event.start, event.end])
    return [(a, b) for a, b in joined]


def _swings_of_feet(s: Signals, limits: KinematicsParams) -> Iterator[tuple[float, float, int]]:
    """(start, end, foot) of each swing that puts a foot elsewhere.

    A swing is at least twice as fast as what parts it from the next one: in blurred runs no foot ever stops.
    """
    walking = limits.walking
    for foot in (0, 1):
        speed = s.feet[:, foot]
        for peak in bumps(np.log1p(speed / SLOW_FOOT), float(np.log1p(walking.swing / SLOW_FOOT)), LOG_TWICE):
            a, b = extent(speed, peak, 0.3)
            if speed[int(a) : int(b) + 1].sum() / FPS > walking.step:
                yield a, b, foot


# --- off the floor, and strikes ---------------------------------------------------------------------------------------


def _jumps(s: Signals, known: list[Event], limits: KinematicsParams) -> Iterator[Measure]:
    for event in known:
        if event.action == "jump":
            a, b = event.start, event.end
            yield _measure("jump", "body", a, b, event.size, "m", direction=event.direction)
            for kind, foot in (("take-off", _last(s, event, -1, limits)), ("landing", _last(s, event, 1, limits))):
                if foot:
                    yield _measure(kind, "feet", a, b, side=foot)


def _last(s: Signals, event: Event, way: int, limits: KinematicsParams) -> str:
    """The foot that touched the floor last before, or first after the height of a jump; "" where that is open."""
    touching = s.toes < TOUCHING
    side = touching[event.peak :: way][: int(FPS)]
    if not side.any(axis=0).all():
        return ""
    left, right = np.argmax(side, axis=0).tolist()
    gap = abs(left - right) / FPS
    if gap <= limits.jumping.together:
        return "both"
    return "" if gap < 1.5 * limits.jumping.together else "left" if left < right else "right"


def _strikes(s: Signals, known: list[Event], limits: KinematicsParams) -> Iterator[Measure]:
    """Kicks with height and direction of the foot, punches with those of the hand."""
    for event in known:
        if event.action == "kick":
            foot = SIDES.index(event.side)
            top = max(event.peak - 3, 0) + int(np.argmax(s.toes[max(event.peak - 3, 0) : event.peak + 4, foot]))
            ahead, left = s.reach[top, foot], s.aside[top, foot] * (1.0, -1.0)[foot]
            level = _level(event.size, limits)
            yield _measure(
                "kick", "leg", event.start, event.end, event.size, "m",
                side=event.side, direction=_clear(ahead, left), manner=level,
            )  # fmt: skip
        elif event.action == "punch":
            hand = PAIRS["wrist"][SIDES.index(event.side)]
            level = _level(s.body[event.peak, hand, 1], limits)
            yield _measure(
                "punch", "arm", event.start, event.end, event.size, "m",
                side=event.side, direction="forward", manner=level,
            )  # fmt: skip


def _clear(ahead: float, left: float) -> str:
    """One of the four ways; "" half-way between two."""
    larger, smaller = max(abs(ahead), abs(left)), min(abs(ahead), abs(left))
    return quarter(ahead, left) if larger > 1.3 * smaller else ""


def _level(height: float, limits: KinematicsParams) -> str:
    """The part of a standing body that is as high; above all of them "overhead"; "" near a boundary."""
    cuts = list(limits.levels.values())
    if min(abs(height - cut) for cut in cuts) < 0.02:
        return ""
    return [*limits.levels, "overhead"][sum(height > cut for cut in cuts)]


# --- arms -------------------------------------------------------------------------------------------------------------


def _raised(s: Signals, known: list[Event]) -> Iterator[Measure]:
    """How high raised arms come: degrees from hanging straight down."""
    for event in known:
        if event.action == "raise_arms":
            hands = [hand for hand, side in enumerate(SIDES) if event.side in (side, "both")]
            highest = max(float(_lift(s, hand)[int(event.start) : int(event.end) + 1].max()) for hand in hands)
            yield _measure("raise", "arm", event.start, event.end, highest, "degrees", side=event.side)


def _arm(s: Signals, hand: int) -> np.ndarray:
    """From shoulder to wrist [T, 3]."""
    return np.asarray(s.body[:, PAIRS["wrist"][hand]] - s.body[:, PAIRS["shoulder"][hand]])


def _lift(s: Signals, hand: int) -> np.ndarray:
    """Degrees [T] of an arm from hanging straight down."""
    arm = _arm(s, hand)
    return np.degrees(np.arctan2(np.hypot(arm[:, 0], arm[:, 2]), -arm[:, 1]))


def _reaches(s: Signals, known: list[Event], odd: np.ndarray, limits: KinematicsParams) -> Iterator[Measure]:
    """A stretched arm that comes to rest away from the body, or a hand that comes down to the floor."""
    up = limits.arms
    frames = len(s.yaw)
    off = odd | mask(frames, [event for event in known if event.action == "jump"], 0.3)
    for hand, side in enumerate(SIDES):
        busy = mask(
            frames,
            [e for e in known if e.action in ("raise_arms", "wave", "punch") and e.side in (side, "both")],
            0.2,
        )
        arm = _arm(s, hand)
        upper, fore = s.body[:, PAIRS["elbow"][hand]], s.body[:, PAIRS["wrist"][hand]]
        length = _norm(upper - s.body[:, PAIRS["shoulder"][hand]]) + _norm(fore - upper)
        settled = _norm(rate(arm, 1)) < up.settled
        out = (_norm(arm) > up.stretched * length) & (_lift(s, hand) > up.lifted) & (_off_trunk(s, arm) > up.lifted)
        low = fore[:, 1] < limits.levels["floor"]
        for a, b in runs(closed((out | low) & settled & ~busy & ~off, 2)):
            if b - a >= up.held * FPS:
                middle = (a + b) // 2
                ahead, left = float(arm[middle, 2]), float(arm[middle, 0])
                direction = "down" if low[middle] else _clear(ahead, left)
                level = _level(float(fore[middle, 1]), limits)
                yield _measure(
                    "reach", "arm", a, b - 1, (b - a) / FPS, "s", side=side, direction=direction, manner=level
                )


def _off_trunk(s: Signals, arm: np.ndarray) -> np.ndarray:
    """Degrees [T] between an arm and the trunk downwards: it hangs along a trunk that is bent, too."""
    down = s.body[:, 0] - s.body[:, INDEX["neck"]]
    cosine = (arm * down).sum(-1) / (_norm(arm) * _norm(down) + 1e-9)
    return np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))


def _norm(vectors: np.ndarray) -> np.ndarray:
    return np.asarray(np.sqrt((vectors * vectors).sum(-1)))


def _crossed(s: Signals, limits: KinematicsParams) -> Iterator[Measure]:
    """Arms folded before the body: each wrist on the other one's side."""
    left, right = (s.body[:, index] for index in PAIRS["wrist"])
    low, high = s.body[:, 0, 1], s.body[:, INDEX["neck"], 1]
    before = (left[:, 2] > 0.05) & (right[:, 2] > 0.05)
    between = (np.minimum(left[:, 1], right[:, 1]) > low) & (np.maximum(left[:, 1], right[:, 1]) < high)
    crossed = (right[:, 0] - left[:, 0] > limits.arms.crossed) & before & between
    for a, b in runs(closed(crossed, 2)):
        if b - a >= limits.arms.held * FPS:
            yield _measure("crossed", "arm", a, b - 1, (b - a) / FPS, "s", side="both")


def _activity(s: Signals, limits: KinematicsParams) -> Iterator[Measure]:
    """Whether one arm does the work, or both alike."""
    moved = [float(_norm(rate(_arm(s, hand), 2)).mean()) for hand in (0, 1)]
    if max(moved) < limits.resting.still:
        return
    share = max(moved) / sum(moved)
    side = SIDES[int(np.argmax(moved))] if share > 0.65 else "both" if share < 0.55 else ""
    if side:
        yield _measure("activity", "arm", 0, len(s.yaw) - 1, 100 * share, "%", side=side)


# --- trunk and whole body ---------------------------------------------------------------------------------------------


def _bends(s: Signals, known: list[Event], odd: np.ndarray, limits: KinematicsParams) -> Iterator[Measure]:
    """The trunk leant out of the upright, in degrees."""
    free = ~(odd | mask(len(s.yaw), [event for event in known if event.action == "jump"], 0.3))
    leans = {"forward": s.pitch, "backward": -s.pitch, "left": s.roll, "right": -s.roll}
    for direction, lean in leans.items():
        lean = np.where(np.abs(lean) < 120, lean, 0.0)
        for peak in bumps(lean, limits.bending.lean, 0.5 * limits.bending.lean):
            if free[peak]:
                a, b = extent(lean, peak, 0.3)
                yield _measure("bend", "torso", a, b, float(lean[peak]), "degrees", direction=direction)


def _squats(known: list[Event]) -> Iterator[Measure]:
    for event in known:
        if event.action == "squat":
            yield _measure("squat", "legs", event.start, event.end, event.size, "m", direction="down")


def _twists(s: Signals, odd: np.ndarray, limits: KinematicsParams) -> Iterator[Measure]:
    """The shoulders turned against the hips."""
    # Seen from above, lines that point up or down turn anyhow.
    upright = (np.abs(s.pitch) < 60) & (np.abs(s.roll) < 60) & ~odd
    for sign in (1.0, -1.0):
        twist = np.where(upright, sign * s.twist, 0.0)
        for peak in bumps(twist, limits.bending.twist, 0.5 * limits.bending.twist):
            a, b = extent(twist, peak, 0.5)
            yield _measure("twist", "torso", a, b, float(twist[peak]), "degrees", direction=_turn(sign))


def _postures(known: list[Event]) -> Iterator[Measure]:
    for event in known:
        if event.action in ("sit", "kneel", "lie", "crawl"):
            seconds = (event.end - event.start) / FPS
            yield _measure(
                event.action, "body", event.start, event.end, seconds, "s", side=event.side, manner=event.manner
            )


def _stillness(s: Signals, limits: KinematicsParams) -> Iterator[Measure]:
    for a, b in runs(closed(s.busy < limits.resting.still, 2)):
        if b - a >= limits.resting.pause * FPS:
            yield _measure("stillness", "body", a, b - 1, (b - a) / FPS, "s")


def _contacts(s: Signals) -> Iterator[Measure]:
    """For which share of the time which feet bear the body."""
    down = (s.toes < TOUCHING) & (s.feet < SWINGING)
    shares = {
        "both": down.all(axis=1), "left": down[:, 0] & ~down[:, 1], "right": down[:, 1] & ~down[:, 0],
        "": ~down.any(axis=1),
    }  # fmt: skip
    for side, frames in shares.items():
        if (share := 100 * float(frames.mean())) >= 5:
            yield _measure("contact", "feet", 0, len(down) - 1, share, "%", side=side)


# --- rhythm -----------------------------------------------------------------------------------------------------------


def _repetitions(known: list[Event], limits: KinematicsParams) -> Iterator[Measure]:
    """How often a counted action comes in a row, and how far apart."""
    for group in grouped(known, limits):
        count, first = sum(event.count for event in group), group[0]
        if count > 1:
            end = max(event.end for event in group)
            yield _measure(
                "repetition", _PARTS.get(first.action, "body"), first.start, end, count, "times",
                side=first.side, manner=first.action,
            )  # fmt: skip
            if len(group) > 1:
                apart = float(np.median(np.diff([event.peak for event in group]))) / FPS
                yield _measure("period", "body", first.start, end, apart, "s", side=first.side, manner=first.action)


_PARTS = {"wave": "arm", "raise_arms": "arm", "punch": "arm", "kick": "leg", "squat": "legs", "bow": "torso"}


def _rhythm(s: Signals, known: list[Event], limits: KinematicsParams) -> Iterator[Measure]:
    """A motion without a name that comes again at an even pace: how often, and after how many seconds."""
    if mask(len(s.yaw), [event for event in known if event.action != "other"], 0.0).mean() > 0.5:
        return
    period = _period(s, limits)
    if period:
        last = len(s.yaw) - 1
        yield _measure("repetition", "body", 0, last, round(len(s.yaw) / period), "times")
        yield _measure("period", "body", 0, last, period / FPS, "s")


def _period(s: Signals, limits: KinematicsParams) -> int:
    """Frames after which hands, feet and head are where they were about the pelvis; 0 where they never are."""
    tips = s.body[:, [*PAIRS["wrist"], *PAIRS["ankle"], INDEX["head"]]].reshape(len(s.body), -1)
    tips = tips - tips.mean(axis=0)
    power = np.cumsum(np.concatenate([[0.0], (tips * tips).sum(-1)]))
    longest = int(len(tips) / limits.repeating.times)
    seen = longest + 6  # a peak shows only in what follows
    likeness = np.zeros(seen)
    for lag in range(1, min(seen, len(tips) - 1)):
        both = np.sqrt(power[len(tips) - lag] * (power[-1] - power[lag]))
        likeness[lag] = float((tips[lag:] * tips[:-lag]).sum()) / (both + 1e-9)
    tops = peaks(likeness, limits.repeating.likeness, 0.1)
    return next((lag for lag in tops if limits.repeating.shortest * FPS <= lag <= longest), 0)
