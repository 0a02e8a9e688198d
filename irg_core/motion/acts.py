"""The repertoire of the synthesiser: how each act writes its score, and how acts follow one another.

Each function of `REPERTOIRE` starts at `body.now`, leaves the body standing with its feet side by side, moves
`body.now` to where the next act may begin (a little before its own end, so that acts blend) and returns its true phase.
The ranges of the three speeds and amplitudes leave gaps between them: a word must be true of every motion that gets it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from irg_core.motion.synthesis import SIDES, Act, Body, Performance, Style, joints_of
from irg_core.records.motion import Phase

BLEND = 0.25
"""Seconds by which an act may begin before the arms of the one before it have come to rest."""
Range = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Gait:
    """A manner of stepping. Speeds in metres a second, times in seconds, lengths in metres, angles in degrees."""

    speed: dict[str, Range]
    step: dict[str, Range]
    steps: tuple[int, int]
    airborne: float  # swing time in step times; above 1 both feet leave the floor
    lift: float
    heel: float
    crouch: float
    run_up: float  # step times to reach full speed, and to stop
    bounce: float
    lean: float
    arms: float  # factor on the style's arm swing
    elbow: float


WALK = Gait(
    {"slow": (0.50, 0.62), "normal": (0.95, 1.15), "fast": (1.42, 1.58)},
    {"slow": (0.66, 0.74), "normal": (0.50, 0.56), "fast": (0.40, 0.44)},
    (4, 7), 0.8, 0.07, 32.0, 0.012, 1.1, 1.0, 1.0, 1.0, 0.0,
)  # fmt: skip
BACKWARD = Gait(
    {"slow": (0.32, 0.40), "normal": (0.62, 0.76), "fast": (1.05, 1.20)},
    {"slow": (0.70, 0.78), "normal": (0.54, 0.60), "fast": (0.42, 0.46)},
    (4, 7), 0.8, 0.06, 12.0, 0.015, 1.1, 0.7, -2.0, 0.6, 4.0,
)  # fmt: skip
RUN = Gait(
    {"slow": (1.95, 2.12), "normal": (2.55, 2.85), "fast": (3.45, 3.80)},
    {"slow": (0.36, 0.38), "normal": (0.33, 0.35), "fast": (0.29, 0.31)},
    (8, 11), 1.35, 0.19, 55.0, 0.045, 2.2, 3.0, 8.0, 1.25, 62.0,
)  # fmt: skip


def walk(body: Body, act: Act) -> Phase:
    return _gait(body, act, WALK if act.direction == "forward" else BACKWARD)


def run(body: Body, act: Act) -> Phase:
    return _gait(body, act, RUN)


def _gait(body: Body, act: Act, gait: Gait) -> Phase:
    start, style = body.now, body.style
    step, speed = body.rng.uniform(*gait.step[act.speed]), body.rng.uniform(*gait.speed[act.speed])
    steps = int(body.rng.integers(gait.steps[0], gait.steps[1] + 1))
    end = start + (steps - 1 + gait.airborne) * step
    run_up = gait.run_up * step
    way = body.ahead(0.0 if act.direction == "forward" else 180.0) * speed * (end - start - run_up)
    origin = body.place
    plan = Body.path(start, end, run_up)
    body.travel(start, end, run_up, way)
    for k in range(steps):
        foot = (style.first + k) % 2
        lift_off = start + k * step
        under = plan(lift_off + (1 + gait.airborne / 2) * step)
        landing = lift_off + gait.airborne * step
        body.step(foot, lift_off, landing, body.plant(foot, origin + way * under, body.heading), gait.lift)
        heel = f"{SIDES[foot]}_heel"
        roll = 0.45 * step if k > 0 else 0.2 * step
        body.pulse(heel, lift_off - roll, lift_off + 0.1 * step, lift_off + 0.1 * step, landing - 0.1 * step, gait.heel)
    _gait_body(body, gait, start, end, step)
    body.now = end + body.rng.uniform(0.0, 0.1)
    return _phase(act, start, end, distance=float(np.hypot(*way)))


def _gait_body(body: Body, gait: Gait, start: float, end: float, step: float) -> None:
    """Arms against legs, pelvis against shoulders, weight over the standing foot, up and down once a step."""
    style, stride = body.style, 0.5 / step
    middle = gait.airborne / 2  # of a swing, in steps after lift-off: the body is over its standing foot
    sign = 1.0 if style.first == 0 else -1.0
    forward = 0.25 - gait.airborne / 2  # the leading foot is farthest ahead as it lands
    swing = style.swing * gait.arms
    for side, against in (("left", -sign), ("right", sign)):
        body.swing(f"{side}_flex", start, end + 0.2, stride, forward, against * swing)
        body.pulse(f"{side}_bend", start, start + 2 * step, end - step, end + 0.3, gait.elbow)
        body.swing(f"{side}_bend", start, end, stride, forward, against * swing * 0.35)
    body.swing("pelvis_twist", start, end, stride, forward, -5.0 * sign)
    body.swing("spine_twist", start, end, stride, forward, 10.0 * sign)
    body.swing("sway", start, end, stride, 0.75 - middle / 2, sign * style.sway)
    body.swing("pelvis_roll", start, end, stride, 0.25 - middle / 2, sign * 2.5)
    high = middle if gait.airborne < 1 else (gait.airborne - 1) / 2
    body.swing("drop", start, end, 1 / step, 0.75 - high, style.bounce * gait.bounce)
    body.pulse("drop", start - 0.1, start + step, end - step, end + 0.25, gait.crouch)
    body.pulse("spine_pitch", start, start + step, end - step, end + 0.2, gait.lean)


def turn(body: Body, act: Act) -> Phase:
    degrees = float(act.turn)
    rate = body.rng.uniform(*{"slow": (34, 40), "normal": (66, 78), "fast": (125, 145)}[act.speed or "normal"])
    seconds = max(abs(degrees) / rate, 0.55) + 0.12
    pairs = max(1, int(np.ceil(abs(degrees) / 60)))
    start, step = body.now, seconds / (2 * pairs - 0.2)
    heading = body.heading
    body.glide("yaw", start, start + seconds, 0.3 * seconds, degrees)
    inner = 0 if degrees > 0 else 1
    for k in range(2 * pairs):
        foot, faced = (inner + k) % 2, heading + degrees * (k // 2 + 1) / pairs
        plant = body.plant(foot, body.place, faced)
        body.step(foot, start + k * step, start + (k + 0.8) * step, plant, 0.05)
        body.pulse(
            "sway",
            start + (k - 0.2) * step,
            start + (k + 0.4) * step,
            start + (k + 0.4) * step,
            start + (k + 1) * step,
            0.02 if foot else -0.02,
        )
    body.heading = heading + degrees
    ahead = float(np.sign(degrees)) * 18
    body.pulse("head_yaw", start - 0.1, start + 0.3 * seconds, start + 0.5 * seconds, start + seconds, ahead)
    body.pulse("spine_twist", start - 0.05, start + 0.3 * seconds, start + 0.6 * seconds, start + seconds, ahead * 0.5)
    for side in SIDES:
        body.pulse(f"{side}_abduct", start, start + 0.4 * seconds, start + 0.6 * seconds, start + seconds, 7.0)
    body.now = start + seconds + body.rng.uniform(0.0, 0.1)
    return _phase(act, start, start + seconds, turn=degrees)


def sidestep(body: Body, act: Act) -> Phase:
    stride = body.rng.uniform(0.35, 0.40)
    each = body.rng.uniform(*{"slow": (1.15, 1.3), "normal": (0.66, 0.76), "fast": (0.42, 0.48)}[act.speed])
    strides = int(body.rng.integers(2, 5 if act.speed != "slow" else 4))
    start, lead = body.now, SIDES.index(act.direction)
    end = start + strides * each
    across = body.ahead(90.0 if lead == 0 else -90.0)
    for k in range(strides):
        goal = body.place + across * stride * (k + 1)
        for foot, begin, finish in ((lead, 0.0, 0.48), (1 - lead, 0.5, 0.98)):
            body.step(
                foot,
                start + (k + begin) * each,
                start + (k + finish) * each,
                body.plant(foot, goal, body.heading),
                0.06,
            )
        body.pulse(
            "drop", start + k * each, start + (k + 0.4) * each, start + (k + 0.5) * each, start + (k + 1) * each, 0.03
        )
    body.travel(start + 0.05 * each, end, 0.25 * each, across * stride * strides)
    for side in SIDES:
        body.pulse(f"{side}_abduct", start, start + 0.5 * each, end - 0.5 * each, end, 12.0)
        body.swing(f"{side}_abduct", start, end, 1 / each, 0.0, 5.0)
    body.now = end + body.rng.uniform(0.0, 0.1)
    return _phase(act, start, end, distance=stride * strides)


def jump(body: Body, act: Act) -> Phase:
    height = body.rng.uniform(*{"small": (0.10, 0.13), "normal": (0.22, 0.28), "large": (0.42, 0.50)}[act.amplitude])
    length = body.rng.uniform(0.45, 0.75) * (0.7 + height) if act.direction == "forward" else 0.0
    start, flight, depth = body.now, 2 * np.sqrt(2 * height / 9.81), 0.10 + 0.35 * height
    for _ in range(act.count):
        squat, up, push = 0.30 + 0.2 * height, 0.22, 0.06
        t0 = body.now
        leave = t0 + squat + up
        land = leave + flight
        body.ramp("drop", t0, t0 + squat, depth)
        body.ramp("drop", t0 + squat, leave + push, -depth - 0.05)
        body.arc("drop", leave, land, -height)
        body.ramp("drop", land - 0.08, land + 0.16, depth * 0.8 + 0.05)
        body.ramp("drop", land + 0.16, land + 0.5, -depth * 0.8)
        lean = 14.0 + 30.0 * height
        body.pulse("spine_pitch", t0, t0 + squat, t0 + squat, leave, lean)
        body.pulse("spine_pitch", land - 0.05, land + 0.15, land + 0.2, land + 0.5, lean * 0.7)
        body.pulse("pelvis_pitch", t0, t0 + squat, t0 + squat, leave, lean * 0.6)
        for side in SIDES:
            body.arc(f"{side}_hoist", leave, land, height + 0.03)
            body.pulse(f"{side}_heel", t0 + squat + 0.08, leave + 0.04, leave + 0.04, land - 0.02, 38.0)
            body.pulse(f"{side}_flex", t0, t0 + squat, t0 + squat, leave, -32.0)
            body.pulse(f"{side}_flex", t0 + squat, leave + 0.05, land - 0.1, land + 0.4, 45.0 + 110.0 * height)
            body.pulse(f"{side}_bend", t0, t0 + squat, land, land + 0.4, 25.0)
        if length:
            way = body.ahead() * length
            body.travel(leave - 0.12, land + 0.12, 0.12, way)
            body.both(leave, land, 0.0, body.place)
        body.now = land + 0.42
    end = body.now
    body.now = end + 0.08
    return _phase(act, start, end, distance=length * act.count)


def wave(body: Body, act: Act) -> Phase:
    start, period = body.now, body.rng.uniform(0.46, 0.6)
    raise_, lower = body.rng.uniform(0.4, 0.5), body.rng.uniform(0.45, 0.55)
    up, down = start + raise_, start + raise_ + act.count * period
    side, sweep = act.side, body.rng.uniform(26, 36)
    for channel, by in (("abduct", body.rng.uniform(66, 84)), ("twist", 90.0), ("bend", body.rng.uniform(88, 100))):
        body.pulse(f"{side}_{channel}", start, up, down, down + lower, by)
    for k in range(act.count):
        t0 = up + k * period
        body.pulse(f"{side}_bend", t0, t0 + period / 2, t0 + period / 2, t0 + period, -2 * sweep)
    outward = 1.0 if side == "left" else -1.0
    body.pulse("spine_roll", start, up, down, down + lower, 3.0 * outward)
    body.pulse("head_yaw", start, up, down, down + lower, 6.0 * outward)
    body.now = down + lower - BLEND
    return _phase(act, start, down + lower)


def raise_arms(body: Body, act: Act) -> Phase:
    each = body.rng.uniform(*{"slow": (2.6, 2.9), "normal": (1.5, 1.75), "fast": (0.85, 0.95)}[act.speed])
    high, ahead = body.rng.uniform(148, 165), bool(body.rng.random() < 0.5)
    start = body.now
    for k in range(act.count):
        t0 = start + k * each
        for side in SIDES if act.side == "both" else (act.side,):
            channel = f"{side}_flex" if ahead else f"{side}_abduct"
            when = (t0, t0 + 0.44 * each, t0 + 0.56 * each, t0 + each)
            body.pulse(channel, *when, high)
            body.pulse(f"{side}_bend", *when, -8.0)
        body.pulse("spine_pitch", t0, t0 + 0.45 * each, t0 + 0.55 * each, t0 + each, -5.0)
        body.pulse("head_pitch", t0, t0 + 0.45 * each, t0 + 0.55 * each, t0 + each, -10.0)
    end = start + act.count * each
    body.now = end - min(BLEND, 0.15 * each)
    return _phase(act, start, end)


def punch(body: Body, act: Act) -> Phase:
    start, side, other = body.now, act.side, SIDES[1 - SIDES.index(act.side)]
    sign = 1.0 if side == "left" else -1.0
    each, guard = body.rng.uniform(0.58, 0.7), body.rng.uniform(0.25, 0.35)
    first = start + guard
    last = first + act.count * each
    end = last + 0.4
    for arm in SIDES if body.rng.random() < 0.6 else (side,):
        for channel, by in (("flex", 22.0), ("bend", 98.0), ("abduct", 6.0)):
            body.pulse(f"{arm}_{channel}", start, first, last, end, by)
    for k in range(act.count):
        t0 = first + k * each
        out, hold, back = t0 + 0.42 * each, t0 + 0.5 * each, t0 + each
        for channel, by in ((f"{side}_flex", 60.0), (f"{side}_bend", -108.0), ("spine_twist", -20.0 * sign)):
            body.pulse(channel, t0 + 0.08 * each, out, hold, back, by)
        body.pulse("pelvis_twist", t0 + 0.05 * each, out, hold, back, -8.0 * sign)
        body.pulse("surge", t0, out, hold, back, 0.035)
        body.pulse(f"{other}_flex", t0, out, hold, back, -6.0)
    body.pulse("drop", start, first, last, end, 0.035)
    body.pulse("spine_pitch", start, first, last, end, 6.0)
    body.now = end - BLEND
    return _phase(act, start, end)


def kick(body: Body, act: Act) -> Phase:
    start, side, foot = body.now, act.side, SIDES.index(act.side)
    height = body.rng.uniform(*{"small": (0.20, 0.27), "normal": (0.46, 0.56), "large": (0.82, 0.95)}[act.amplitude])
    away, each = float(np.sqrt(0.78**2 - (0.86 - height) ** 2)), body.rng.uniform(0.95, 1.1)
    support = -1.0 if foot == 0 else 1.0
    shift = 0.25
    end = start + shift + act.count * each + 0.2
    body.pulse("sway", start, start + shift + 0.1, end - 0.3, end, 0.085 * support)
    body.pulse("pelvis_roll", start, start + shift + 0.1, end - 0.3, end, -3.0 * support)
    for k in range(act.count):
        t0 = start + shift + k * each
        cocked, out, hold, folded, down = (t0 + share * each for share in (0.26, 0.46, 0.52, 0.74, 1.0))
        chamber, folded_out = 0.5 * height, 0.06 + 0.2 * height  # the knee comes up first, with the shin hanging
        body.pulse(f"{side}_hoist", t0, cocked, folded, down, chamber)
        body.pulse(f"{side}_thrust", t0, cocked, folded, down, folded_out)
        body.pulse(f"{side}_hoist", cocked - 0.04, out, hold, folded, height - chamber)
        body.pulse(f"{side}_thrust", cocked - 0.04, out, hold, folded, away - folded_out)
        body.pulse(f"{side}_heel", t0 - 0.05, t0 + 0.12, cocked, out, 30.0)
        body.pulse(f"{side}_heel", cocked, out, hold, folded, -20.0 - 20.0 * height)
        lean = -6.0 - 14.0 * height
        body.pulse("pelvis_pitch", t0 + 0.1, out, hold, down, lean)
        body.pulse("spine_pitch", t0 + 0.1, out, hold, down, 0.5 * -lean)
        body.pulse("surge", t0 + 0.1, out, hold, down, 0.04)
        for arm in SIDES:
            flex = 22.0 if arm != side else -18.0
            body.pulse(f"{arm}_flex", t0, out, hold, down, flex)
            body.pulse(f"{arm}_abduct", t0, out, hold, down, 14.0)
            body.pulse(f"{arm}_bend", t0, out, hold, down, 20.0)
    body.now = end - 0.1
    return _phase(act, start, end)


def squat(body: Body, act: Act) -> Phase:
    depth = body.rng.uniform(*{"small": (0.15, 0.19), "normal": (0.30, 0.36), "large": (0.48, 0.53)}[act.amplitude])
    each = body.rng.uniform(*{"slow": (2.5, 2.8), "normal": (1.5, 1.75), "fast": (0.9, 1.02)}[act.speed])
    start, reach = body.now, body.rng.uniform(40, 75)
    for k in range(act.count):
        t0 = start + k * each
        when = (t0, t0 + 0.46 * each, t0 + 0.54 * each, t0 + each)
        body.pulse("drop", *when, depth)
        body.pulse("surge", *when, -0.22 * depth)
        body.pulse("pelvis_pitch", *when, 45.0 * depth)
        body.pulse("spine_pitch", *when, 30.0 * depth)
        body.pulse("head_pitch", *when, -40.0 * depth)
        for side in SIDES:
            body.pulse(f"{side}_flex", *when, reach * (0.4 + depth))
            body.pulse(f"{side}_bend", *when, 12.0)
    end = start + act.count * each
    body.now = end - min(BLEND, 0.12 * each)
    return _phase(act, start, end)


def bow(body: Body, act: Act) -> Phase:
    angle = body.rng.uniform(*{"small": (24, 30), "normal": (46, 56), "large": (76, 88)}[act.amplitude])
    each = body.rng.uniform(*{"slow": (2.8, 3.2), "normal": (1.65, 1.95), "fast": (1.0, 1.12)}[act.speed])
    start, hang = body.now, body.rng.uniform(0.1, 0.75)
    for k in range(act.count):
        t0 = start + k * each
        when = (t0, t0 + 0.42 * each, t0 + 0.56 * each, t0 + each)
        body.pulse("pelvis_pitch", *when, 0.45 * angle)
        body.pulse("spine_pitch", *when, 0.55 * angle)
        body.pulse("head_pitch", *when, 0.2 * angle)
        body.pulse("surge", *when, -0.0014 * angle)
        body.pulse("drop", *when, 0.0002 * angle)
        for side in SIDES:
            body.pulse(f"{side}_flex", *when, hang * angle)
    end = start + act.count * each
    body.now = end - min(BLEND, 0.12 * each)
    return _phase(act, start, end)


def stand(body: Body, act: Act) -> Phase:
    start, seconds = body.now, float(body.rng.uniform(2.1, 3.4))
    if body.rng.random() < 0.5:
        look, when = float(body.rng.uniform(-25, 25)), start + seconds * 0.3
        body.pulse("head_yaw", when, when + 0.5, when + 0.8, when + 1.4, look)
    body.now = start + seconds
    return _phase(act, start, start + seconds)


REPERTOIRE: dict[str, Callable[[Body, Act], Phase]] = {
    "walk": walk, "run": run, "jump": jump, "turn": turn, "sidestep": sidestep, "wave": wave, "raise_arms": raise_arms,
    "punch": punch, "kick": kick, "squat": squat, "bow": bow, "stand": stand,
}  # fmt: skip


def perform(acts: Sequence[Act], rng: np.random.Generator) -> Performance:
    """Play acts one after the other, with a moment of rest before and after. At least 2.1 seconds long."""
    body = _standing(rng)
    phases = []
    for position, act in enumerate(acts):
        body.now += rng.uniform(0.0, 0.12) if position else 0.0
        phases.append(REPERTOIRE[act.action](body, act))
    end = max(phases[-1].end, body.now)
    seconds = max(end + rng.uniform(0.25, 0.5), 2.1)
    _breathe(body, seconds)
    return Performance(joints_of(body, seconds), phases)


def _standing(rng: np.random.Generator) -> Body:
    body = Body(Style.draw(rng), rng)
    body.both(-2.0, -1.0, 0.0, body.place)
    for side in SIDES:
        for channel, by in (("abduct", body.style.arms_out), ("bend", body.style.elbow), ("flex", rng.uniform(-4, 6))):
            body.ramp(f"{side}_{channel}", -2.0, -1.0, by + rng.uniform(-2, 2))
    body.ramp("spine_pitch", -2.0, -1.0, body.style.lean)
    body.now = float(rng.uniform(0.15, 0.5))
    return body


def _breathe(body: Body, seconds: float) -> None:
    """Slow, small, aimless movement through the whole clip: weight shift, breath, gaze, hands."""
    slow = (
        ("sway", 0.010), ("surge", 0.006), ("drop", 0.003), ("spine_pitch", 1.2), ("spine_roll", 1.0),
        ("spine_twist", 1.8), ("head_yaw", 4.0), ("head_pitch", 2.5), ("left_flex", 2.0), ("right_flex", 2.0),
        ("left_bend", 2.5), ("right_bend", 2.5),
    )  # fmt: skip
    for channel, by in slow:
        hertz = body.rng.uniform(0.15, 0.4)
        body.swing(channel, -8.0, seconds + 8.0, hertz, body.rng.uniform(), by * body.rng.uniform(0.5, 1.2))


def _phase(act: Act, start: float, end: float, turn: float = float("nan"), distance: float = 0.0) -> Phase:
    return Phase(act.action, start, end, act.side, act.direction, turn, act.count, act.speed, act.amplitude, distance)
