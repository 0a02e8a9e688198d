"""Motions made from nothing but parameters: a list of acts in, joints and the true phases out.

A body is a score of eased ramps and oscillations on named channels (a pelvis, a spine, two arms, two feet). Feet are
planted in the world and the legs reach for them by two-bone inverse kinematics, so that nothing slides by construction.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from irg_core.motion import rotations
from irg_core.motion.skeleton import FPS, JOINTS, LENGTHS, forward_kinematics
from irg_core.records.motion import Phase

SIDES = ("left", "right")


@dataclass(frozen=True, slots=True)
class Act:
    """One thing to do. Attributes that do not apply are empty; `turn` is in signed degrees, left positive."""

    action: str
    side: str = ""
    direction: str = ""
    turn: int = 0
    count: int = 0
    speed: str = ""
    amplitude: str = ""

    @property
    def cell(self) -> str:
        """What decides the kind of motion: action, side, direction, turn and count; not speed, not amplitude."""
        parts = [self.action, self.side, self.direction, str(abs(self.turn)) if self.turn else ""]
        return " ".join([part for part in parts if part] + ([f"x{self.count}"] if self.count else []))


@dataclass(frozen=True, slots=True)
class Performance:
    """A finished motion and what truly happens in it."""

    joints: np.ndarray  # [frames, 22, 3], facing +z at frame 0, floor at 0
    phases: list[Phase]


# --- the body -------------------------------------------------------------------------------------------------------

_REST = {
    "left_hip": (0.62, -0.78, 0.0), "spine1": (0, 1, -0.12), "left_knee": (0, -1, 0), "spine2": (0, 1, 0.05),
    "left_ankle": (0, -1, 0), "spine3": (0, 1, 0.1), "left_foot": (0, -0.4, 0.9), "neck": (0, 1, -0.12),
    "left_collar": (0.55, 0.83, -0.1), "head": (0, 0.93, 0.35), "left_shoulder": (0.97, 0.2, -0.12),
    "left_elbow": (0, -1, 0), "left_wrist": (0, -1, 0),
}  # fmt: skip
"""Bone directions of a relaxed standing body; the right side is the mirror of the left."""


def _offsets() -> np.ndarray:
    rest = np.zeros((22, 3))
    for joint, name in enumerate(JOINTS[1:], start=1):
        x, y, z = _REST[name.replace("right", "left")]
        rest[joint] = (-x if name.startswith("right") else x, y, z)
    return rotations.normalise(rest) * LENGTHS[:, None]


OFFSETS = _offsets()
THIGH, SHIN, FOOT = LENGTHS[[4, 5]], LENGTHS[[7, 8]], LENGTHS[[10, 11]]
LEG = THIGH + SHIN
ANKLE_HEIGHT = 0.06
"""Of a foot flat on the floor, whose toe joint is at height 0."""
REACH = 0.992
"""Share of a leg's length that may be used: a knee never locks."""
HIP_DROP = -float(OFFSETS[1:3, 1].mean())
STANDING = ANKLE_HEIGHT + 0.985 * float(LEG.min()) + HIP_DROP
"""Pelvis height of a relaxed stand."""

_SIDED = (
    "flex", "abduct", "twist", "bend", "foot_x", "foot_z", "foot_yaw", "foot_lift", "heel", "thrust", "hoist",
)  # fmt: skip
CHANNELS = (
    *("x", "z", "yaw", "sway", "surge", "drop", "pelvis_pitch", "pelvis_roll", "pelvis_twist"),
    *("spine_pitch", "spine_roll", "spine_twist", "head_pitch", "head_yaw"),
    *(f"{side}_{name}" for side in SIDES for name in _SIDED),
)
"""Angles in degrees, lengths in metres. sway: to the left; surge: ahead; thrust, hoist: a foot ahead of and above its
plant; heel: how far the foot has rolled up over its toes."""
_ROW = {name: row for row, name in enumerate(CHANNELS)}


@dataclass(slots=True)
class Style:
    """How this performer moves, drawn once per clip."""

    tempo: float  # factor on durations, close to 1
    stance: float  # metres from the middle to each foot
    toe_out: float
    swing: float  # degrees of arm swing in a walk
    bounce: float
    sway: float
    elbow: float
    arms_out: float
    lean: float
    first: int  # foot that steps first

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Style":
        return cls(
            tempo=rng.uniform(0.94, 1.06), stance=rng.uniform(0.085, 0.125), toe_out=rng.uniform(3, 12),
            swing=rng.uniform(18, 32), bounce=rng.uniform(0.008, 0.018), sway=rng.uniform(0.015, 0.035),
            elbow=rng.uniform(10, 24), arms_out=rng.uniform(6, 13), lean=rng.uniform(-2, 4), first=int(rng.integers(2)),
        )  # fmt: skip


def ease(u: np.ndarray) -> np.ndarray:
    """From 0 to 1 with the least jerk: velocity and acceleration vanish at both ends."""
    u = np.clip(u, 0.0, 1.0)
    return u * u * u * (u * (u * 6.0 - 15.0) + 10.0)


def cruise(t: np.ndarray | float, start: float, end: float, run_up: float) -> np.ndarray:
    """Share of a path covered at time t: constant speed between a run-up and a slow-down of `run_up` seconds each."""
    u = np.clip(np.asarray(t, dtype=np.float64) - start, 0.0, end - start)
    run_up = min(run_up, (end - start) / 2)
    speeding, slowing = np.minimum(u, run_up), np.maximum(u - (end - start - run_up), 0.0)
    covered = speeding**2 / (2 * run_up) + np.maximum(u - run_up, 0.0) - slowing**2 / (2 * run_up)
    return covered / (end - start - run_up)


@dataclass(slots=True)
class Body:
    """A performer under way: where it stands, and the score written so far."""

    style: Style
    rng: np.random.Generator
    now: float = 0.0
    place: np.ndarray = field(default_factory=lambda: np.zeros(2))  # x, z of the pelvis
    heading: float = 0.0  # degrees
    feet: np.ndarray = field(default_factory=lambda: np.zeros((2, 3)))  # x, z, yaw of each planted foot
    ramps: list[tuple[int, float, float, float]] = field(default_factory=list)
    swings: list[tuple[int, float, float, float, float, float]] = field(default_factory=list)
    glides: list[tuple[int, float, float, float, float]] = field(default_factory=list)
    arcs: list[tuple[int, float, float, float]] = field(default_factory=list)

    def ramp(self, channel: str, start: float, end: float, by: float) -> None:
        self.ramps.append((_ROW[channel], start, max(end, start + 0.05), by))

    def pulse(self, channel: str, start: float, top: float, leave: float, end: float, by: float) -> None:
        """Rise to `by` between start and top, hold, and return between leave and end."""
        self.ramp(channel, start, top, by)
        self.ramp(channel, leave, end, -by)

    def swing(self, channel: str, start: float, end: float, hertz: float, phase: float, by: float) -> None:
        """Oscillate by ±`by`, faded in and out; phase in turns, at `start`."""
        self.swings.append((_ROW[channel], start, end, hertz, phase, by))

    def glide(self, channel: str, start: float, end: float, run_up: float, by: float) -> None:
        self.glides.append((_ROW[channel], start, end, run_up, by))

    def arc(self, channel: str, start: float, end: float, by: float) -> None:
        """A throw: up to `by` and back between start and end, with the speed of a free fall."""
        self.arcs.append((_ROW[channel], start, end, by))

    def travel(self, start: float, end: float, run_up: float, way: np.ndarray) -> None:
        """Carry the pelvis by `way` (x, z)."""
        self.glide("x", start, end, run_up, float(way[0]))
        self.glide("z", start, end, run_up, float(way[1]))
        self.place = self.place + way

    @staticmethod
    def path(start: float, end: float, run_up: float) -> Callable[[float], float]:
        """Share of a journey done at a time, as `travel` will do it."""
        return lambda t: float(cruise(t, start, end, run_up))

    def step(self, foot: int, start: float, end: float, plant: np.ndarray, lift: float) -> None:
        """Carry a foot to a new plant (x, z, yaw). It moves on only once it is off the floor, and lands at rest."""
        side, middle, clear = SIDES[foot], (start + end) / 2, 0.11 * (end - start)
        for name, by in zip(("foot_x", "foot_z", "foot_yaw"), plant - self.feet[foot], strict=True):
            self.ramp(f"{side}_{name}", start + clear, end - clear, by)
        self.pulse(f"{side}_foot_lift", start, middle, middle, end, lift)
        self.feet[foot] = plant

    def plant(self, foot: int, place: np.ndarray, heading: float) -> np.ndarray:
        """Where a foot stands under a pelvis at `place` that faces `heading`."""
        outward = 1.0 if foot == 0 else -1.0
        left = self.style.stance * outward * np.array([np.cos(np.radians(heading)), -np.sin(np.radians(heading))])
        return np.array([*(place + left), heading + self.style.toe_out * outward])

    def both(self, start: float, end: float, lift: float, place: np.ndarray) -> None:
        for foot in (0, 1):
            self.step(foot, start, end, self.plant(foot, place, self.heading), lift)

    def ahead(self, angle: float = 0.0) -> np.ndarray:
        """Unit vector (x, z) of the heading, turned left by `angle` degrees."""
        return np.array([np.sin(np.radians(self.heading + angle)), np.cos(np.radians(self.heading + angle))])


# --- from score to joints -------------------------------------------------------------------------------------------


def joints_of(body: Body, seconds: float) -> np.ndarray:
    """Play the score at 20 frames a second."""
    t = np.arange(round(seconds * FPS)) / FPS
    channels = dict(zip(CHANNELS, _play(body, t), strict=True))
    root = _pelvis_rotation(channels)
    ankles, toes = _feet(channels)
    pelvis = _pelvis_position(channels, root, ankles)
    joints = forward_kinematics(pelvis, _rotations(channels, root), OFFSETS)
    for foot in (0, 1):
        hip = joints[:, 1 + foot]
        lateral = _lateral(np.radians(channels["yaw"] + channels[f"{SIDES[foot]}_foot_yaw"]) / 2.0)
        knee, ankle = _leg(hip, ankles[foot], lateral, THIGH[foot], SHIN[foot])
        joints[:, 4 + foot], joints[:, 7 + foot] = knee, ankle
        joints[:, 10 + foot] = ankle + (toes[foot] - ankles[foot])
    return joints


def _play(body: Body, t: np.ndarray) -> np.ndarray:
    rows = np.zeros((len(CHANNELS), len(t)))
    channel, start, end, by = (np.array(column) for column in zip(*body.ramps, strict=True))
    np.add.at(rows, channel.astype(int), by[:, None] * ease((t - start[:, None]) / (end - start)[:, None]))
    if body.swings:
        channel, start, end, hertz, phase, by = (np.array(column) for column in zip(*body.swings, strict=True))
        fade = np.minimum(0.5 / hertz, (end - start) / 4)[:, None]
        envelope = ease((t - start[:, None]) / fade) * ease((end[:, None] - t) / fade)
        waves = np.sin(2 * np.pi * (hertz[:, None] * (t - start[:, None]) + phase[:, None]))
        np.add.at(rows, channel.astype(int), by[:, None] * envelope * waves)
    for row, begin, finish, run_up, way in body.glides:
        rows[row] += way * cruise(t, begin, finish, run_up)
    for row, begin, finish, height in body.arcs:
        u = np.clip((t - begin) / (finish - begin), 0.0, 1.0)
        rows[row] += height * 4.0 * u * (1.0 - u)
    return rows


def _pelvis_rotation(channels: dict[str, np.ndarray]) -> np.ndarray:
    yaw = np.radians(channels["yaw"] + channels["pelvis_twist"])
    return _euler(np.radians(channels["pelvis_pitch"]), yaw, np.radians(channels["pelvis_roll"]))


def _feet(channels: dict[str, np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Ankles and toes: the foot rolls over its planted toe by `heel` degrees, and leaves it by thrust and hoist."""
    ankles, toes = [], []
    for foot, side in enumerate(SIDES):
        yaw = np.radians(channels[f"{side}_foot_yaw"])
        forward = np.stack([np.sin(yaw), np.zeros_like(yaw), np.cos(yaw)], axis=-1)
        body_yaw = np.radians(channels["yaw"])
        facing = np.stack([np.sin(body_yaw), np.zeros_like(yaw), np.cos(body_yaw)], axis=-1)
        flat = np.arcsin(ANKLE_HEIGHT / FOOT[foot])
        angle = flat + np.radians(channels[f"{side}_heel"])
        toe = np.stack([channels[f"{side}_foot_x"], channels[f"{side}_foot_lift"], channels[f"{side}_foot_z"]], axis=-1)
        toe = toe + forward * (FOOT[foot] * np.cos(flat)) + facing * channels[f"{side}_thrust"][:, None]
        toe[:, 1] += channels[f"{side}_hoist"]
        back = -forward * (FOOT[foot] * np.cos(angle))[:, None]
        back[:, 1] += FOOT[foot] * np.sin(angle)
        ankles.append(toe + back)
        toes.append(toe)
    return ankles, toes


def _pelvis_position(channels: dict[str, np.ndarray], root: np.ndarray, ankles: list[np.ndarray]) -> np.ndarray:
    yaw = np.radians(channels["yaw"])
    x = channels["x"] + channels["sway"] * np.cos(yaw) + channels["surge"] * np.sin(yaw)
    z = channels["z"] - channels["sway"] * np.sin(yaw) + channels["surge"] * np.cos(yaw)
    bounds = [STANDING - channels["drop"]]
    for foot in (0, 1):
        hip = rotations.rotate(root, OFFSETS[1 + foot])
        away = np.hypot(x + hip[:, 0] - ankles[foot][:, 0], z + hip[:, 2] - ankles[foot][:, 2])
        reach = np.sqrt(np.maximum((REACH * LEG[foot]) ** 2 - away**2, 0.05))
        bounds.append(ankles[foot][:, 1] + reach - hip[:, 1])
    return np.stack([x, _soft_minimum(bounds), z], axis=-1)


def _soft_minimum(bounds: list[np.ndarray], sharpness: float = 90.0) -> np.ndarray:
    """Below every bound, and smooth where the lowest one changes: a pelvis has no corners in its path."""
    stacked = np.stack(bounds)
    lowest = stacked.min(axis=0)
    return lowest - np.log(np.exp(-sharpness * (stacked - lowest)).sum(axis=0)) / sharpness


def _rotations(channels: dict[str, np.ndarray], root: np.ndarray) -> np.ndarray:
    local = np.zeros((len(root), 22, 4))
    local[..., 0] = 1.0
    local[:, 0] = root
    bend = np.radians(np.stack([channels["spine_pitch"], channels["spine_twist"], channels["spine_roll"]])) / 3.0
    spine = _euler(bend[0], bend[1], bend[2])
    local[:, 3] = local[:, 6] = local[:, 9] = spine
    local[:, 12] = _euler(np.radians(channels["head_pitch"]), np.radians(channels["head_yaw"]), 0.0 * bend[0])
    for foot, side in enumerate(SIDES):
        mirrored = 1.0 if foot == 0 else -1.0
        flex, abduct, twist, elbow = (np.radians(channels[f"{side}_{n}"]) for n in ("flex", "abduct", "twist", "bend"))
        raised = rotations.multiply(rotations.about("z", mirrored * abduct), rotations.about("x", -flex))
        local[:, 16 + foot] = rotations.multiply(raised, rotations.about("y", mirrored * twist))
        local[:, 18 + foot] = rotations.about("x", -elbow)
        # A collar follows its arm once that rises above the shoulder.
        shrug = np.maximum(np.arccos(np.clip(np.cos(flex) * np.cos(abduct), -1, 1)) - np.radians(70), 0.0) * 0.25
        local[:, 13 + foot] = rotations.about("z", mirrored * shrug)
    return local


def _euler(pitch: np.ndarray, twist: np.ndarray, roll: np.ndarray) -> np.ndarray:
    tilt = rotations.multiply(rotations.about("x", pitch), rotations.about("z", roll))
    return rotations.multiply(rotations.about("y", twist), tilt)


def _lateral(yaw: np.ndarray) -> np.ndarray:
    return np.stack([np.cos(yaw), np.zeros_like(yaw), -np.sin(yaw)], axis=-1)


def _leg(
    hip: np.ndarray, ankle: np.ndarray, left: np.ndarray, thigh: float, shin: float
) -> tuple[np.ndarray, np.ndarray]:
    """Knee and ankle by the law of cosines; the knee bends in the leg's plane, ahead of the line from hip to ankle."""
    line = ankle - hip
    distance = np.clip(np.linalg.norm(line, axis=-1, keepdims=True), 0.25, 0.999 * (thigh + shin))
    axis = rotations.normalise(line)
    forward = rotations.normalise(np.cross(axis, left))
    along = (thigh**2 - shin**2 + distance**2) / (2 * distance)
    knee = hip + axis * along + forward * np.sqrt(np.maximum(thigh**2 - along**2, 0.0))
    return knee, hip + axis * distance
