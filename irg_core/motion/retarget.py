"""Any body as ours: joints by their roles, whatever their names, number, unit and axes.

Proportions stay the source's own. What its skeleton lacks is laid in where HumanML3D's body has it, so that bodies
of all sources come out alike. Measuring looks at bones over time and little at rest poses: some exports leave those
contorted, and some turn the motion away from them.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from irg_core.motion import rotations
from irg_core.motion.layout import TO_Y, Axes, Layout, layout, length, middle
from irg_core.motion.posing import LEADS_TO
from irg_core.motion.restpose import rest_frames
from irg_core.motion.roles import CannotFit, Roles, find
from irg_core.motion.skeleton import DIRECTIONS, INDEX, JOINTS, OFFSETS, PARENTS
from irg_core.records.motion import Conventions, Hierarchy, Take

__all__ = ["CannotFit", "Fitted", "Understanding", "fit", "understand"]

NO_SHAPE = "not the joints of its hierarchy"
NO_NUMBERS, NO_SIZE, NO_MOTION = "no frame of finite numbers", "a body of no size", "nothing but a rest pose"
NO_SIDES, NO_AXIS = "left and right cannot be told", "unknown axis"
UNITS = {"m": 1.0, "cm": 0.01, "mm": 0.001, "inch": 0.0254, "1/0.45 inch": 0.056444}
"""Metres a unit of length, as sources have it; the last is that of CMU's files."""
ADULT, ANYONE = (1.4, 2.0), (0.9, 2.4)
"""Metres of standing height. The wider range counts where no known unit makes an adult."""
FAR_OFF = (0.5, 3.0)
"""Metres; outside of it even a declared unit is doubted."""
ASSUMED = 1.7
"""Metres; the height given to a body that no known unit explains."""
LEG_AND_TRUNK = 0.779
"""Of standing height: hip to ankle and hips to shoulders together (Drillis and Contini 1966)."""
STANDS = 0.75
"""Mean cosine between an axis and the way from feet to neck, from which on a posture tells what is up."""
RESTS_UPRIGHT = 0.9
"""The same for a rest pose."""
PLAINLY = 0.15
"""Of 1: how plainly feet and knees must point backwards before the axes are taken for left-handed."""
WALKS = 0.2
"""Share of frames in which one foot stands while the other swings; who does that is upright."""
_LOOKS = 256
"""Frames that measuring looks at, evenly spaced."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """A take on our 22 joints, its own proportions kept, rest poses gone from its start."""

    joints: np.ndarray  # [frames, 22, 3] float64, metres, y up, HumanML3D joint order
    rotations: np.ndarray | None  # [frames, 22, 4] world rotations from our reference pose, where the source has them
    notes: tuple[str, ...]  # what was found out or mended on the way, for the audit


@dataclass(frozen=True, slots=True)
class Understanding:
    """What was found out about a body; `irg corpus inspect` shows it."""

    family: str  # what kind of skeleton the names are those of, or "unknown"
    up: str  # "x" | "y" | "z" | "-x" …
    unit: float  # metres a unit of length
    height: float  # metres, of the body standing
    facing: float  # degrees to the left of +z at the first frame of motion, once y is up
    mirrored: bool  # the axes are left-handed; the motion is mirrored back
    joints: Mapping[str, str]  # ours to theirs
    interpolated: tuple[str, ...]  # ours that none of theirs is used for
    rest_frames: int  # at the start; they are no motion
    problems: tuple[str, ...]  # what a person should look at


@dataclass(frozen=True, slots=True)
class _Body:
    """All that is found out about a take's body."""

    hierarchy: Hierarchy
    layout: Layout
    axes: Axes
    unit: str  # how the unit is known
    height: float  # metres
    rest: int
    problems: tuple[str, ...]


def fit(take: Take, with_rotations: bool = True) -> Fitted:
    """The take on our joints, with its rotations only if they are wanted. Raises `CannotFit` where joints are unclear.

    Rotations cost as much time as all the rest, and more memory.
    """
    if take.hierarchy is None and take.conventions == Conventions():
        return Fitted(take.joints, take.rotations, ())
    body = _body(take)
    joints = body.layout.place(body.axes.positions(take.joints[body.rest :]))
    if take.rotations is None or not with_rotations:
        return Fitted(joints, None, _notes(body))
    carriers = [body.layout.carrier(name) for name in JOINTS]
    theirs = body.axes.turns(take.rotations[body.rest :, carriers])
    return Fitted(joints, rotations.multiply(theirs, _from_ours(body, joints, theirs)), _notes(body))


def understand(take: Take) -> Understanding:
    """What `fit` finds out about a take. Raises `CannotFit`."""
    body = _body(take)
    first = body.layout.place(body.axes.positions(take.joints[body.rest : body.rest + 1]))
    x, z = _facing(first)[0]
    names, found, laid = body.hierarchy.names, body.layout.roles.joints, body.layout.laid
    return Understanding(
        family=body.layout.roles.family,
        up=body.axes.up,
        unit=body.axes.metres,
        height=body.height,
        facing=math.degrees(math.atan2(x, z)),
        mirrored=body.axes.mirrored,
        joints={name: names[found[name]] for name in JOINTS if name not in laid},
        interpolated=tuple(name for name in JOINTS if name in laid),
        rest_frames=body.rest,
        problems=body.problems,
    )


def _notes(body: _Body) -> tuple[str, ...]:
    """In words that begin alike, for the audit to count."""
    axes, laid = body.axes, body.layout.laid
    notes = {
        f"rest pose dropped: {body.rest} frames": body.rest > 0,
        f"up axis turned: {axes.up}": axes.up != "y",
        "left-handed axes mirrored": axes.mirrored,
        f"unit: {axes.metres:g} m ({body.unit}), height {body.height:.2f} m": axes.metres != 1.0,
        "joints laid in: " + " ".join(name for name in JOINTS if name in laid): bool(laid),
    }
    return (*(note for note, holds in notes.items() if holds), *(f"problem: {problem}" for problem in body.problems))


# --- what body it is ------------------------------------------------------------------------------------------------


def _body(take: Take) -> _Body:
    hierarchy = take.hierarchy or Hierarchy(tuple(JOINTS), tuple(PARENTS), OFFSETS)
    if take.joints.ndim != 3 or take.joints.shape[1:] != (len(hierarchy.names), 3):
        raise CannotFit(NO_SHAPE, f"joints {take.joints.shape}; (frames, {len(hierarchy.names)}, 3) are needed")
    looked = _looked(take.joints)
    parents = [parent if parent >= 0 else joint for joint, parent in enumerate(hierarchy.parents)]
    lengths = np.median(length(looked - looked[:, parents]), axis=0)
    if not lengths.max() > 0:
        raise CannotFit(NO_SIZE, "all joints lie on one spot")
    roles = find(hierarchy.names, hierarchy.parents, lengths.tolist(), take.conventions.joints)
    pose = _rest_pose(hierarchy)
    mapped = sorted(set(roles.joints.values()))
    rest = rest_frames(take.joints, pose, mapped, take.fps) if take.hierarchy else 0
    looked = _looked(take.joints[rest:])
    roles, mirrored = _sides(looked, roles)
    up, problems = _up(take, looked, pose, roles, rest)
    tall = _height(looked, roles)
    metres, unit, doubts = _unit(tall, take.conventions.unit)
    axes = Axes(up, mirrored, metres)
    plan = layout(axes.positions(looked), roles, frozenset(take.conventions.joints))
    return _Body(hierarchy, plan, axes, unit, tall * metres, rest, problems + doubts)


def _looked(joints: np.ndarray) -> np.ndarray:
    """Some frames [T, J, 3] of finite numbers, evenly spaced."""
    if not len(joints):
        raise CannotFit(NO_MOTION, "no frame is left")
    some = joints[:: max(1, len(joints) // _LOOKS)]
    some = some[np.isfinite(some).all(axis=(1, 2))]
    if not len(some):
        raise CannotFit(NO_NUMBERS, f"in {len(joints)} frames")
    return np.asarray(some, dtype=np.float64)


def _rest_pose(hierarchy: Hierarchy) -> np.ndarray:
    """The joints [J, 3] when nothing is rotated."""
    pose = np.zeros((len(hierarchy.parents), 3))
    for joint, parent in enumerate(hierarchy.parents):
        if parent >= 0:
            pose[joint] = pose[parent] + hierarchy.offsets[joint]
    return pose


def _sides(looked: np.ndarray, roles: Roles) -> tuple[Roles, bool]:
    """The roles with left and right as they are, and whether the axes are left-handed.

    Names are believed: where toes and knees then point backwards, it is the axes that are the other way round.
    """
    ahead = _points_ahead(looked, roles.joints)
    if roles.sided:
        return roles, ahead < -PLAINLY
    if abs(ahead) < PLAINLY:
        raise CannotFit(NO_SIDES, "names say nothing, and neither toes nor knees show where the front is")
    swap = {"left": "right", "right": "left"}
    swapped = {
        name.replace(side, swap[side]) if (side := name.partition("_")[0]) in swap else name: joint
        for name, joint in roles.joints.items()
    }
    return (roles if ahead > 0 else replace(roles, joints=swapped)), False


def _points_ahead(looked: np.ndarray, joints: Mapping[str, int]) -> float:
    """How plainly, from -1 to 1, toes and bent knees point to where left × up says that ahead is."""
    place = {name: looked[:, joint] for name, joint in joints.items()}
    across = place["left_hip"] - place["right_hip"] + place["left_shoulder"] - place["right_shoulder"]
    ahead = rotations.normalise(rotations.cross(across, middle(place, "shoulder") - middle(place, "hip")))
    signs: list[float] = []
    for side in ("left", "right"):
        hip, knee, ankle = (place[f"{side}_{name}"] for name in ("hip", "knee", "ankle"))
        bend = 2 * knee - hip - ankle
        signs.append(float(np.mean((bend * ahead).sum(axis=-1) / np.maximum(length(knee - hip), 1e-12))))
        if f"{side}_foot" in place:
            signs.append(float(np.mean((rotations.normalise(place[f"{side}_foot"] - ankle) * ahead).sum(axis=-1))))
    return sum(signs) / len(signs)


# --- which way is up --------------------------------------------------------------------------------------------------


def _up(take: Take, looked: np.ndarray, pose: np.ndarray, roles: Roles, rest: int) -> tuple[str, tuple[str, ...]]:
    """The axis that points up, and what is doubtful about it: the rest pose tells, save for one who walks otherwise."""
    if declared := take.conventions.up:
        if declared not in TO_Y:
            raise CannotFit(NO_AXIS, f"up: '{declared}' is none of {' '.join(TO_Y)}")
        return declared, ()
    at_rest, rests = _upwards(pose[None], roles.joints)
    # Without rotations there is no rest pose of the file's own, only what its joint order stands for.
    rests = rests if take.rotations is not None and _is_straight(pose, roles.joints) else 0.0
    moving, stands = _upwards(looked, roles.joints)
    if at_rest == moving:
        return moving, ()
    if rests < RESTS_UPRIGHT:
        doubt = f"up is perhaps {moving}: the body is upright too little to tell"
        return moving, () if stands > STANDS else (doubt,)
    if stands > STANDS and _walks(take.joints[rest:], roles.joints):
        return moving, ()
    return at_rest, (f"up is {at_rest} in the rest pose, but the body lies along {moving}",) if stands > STANDS else ()


def _upwards(frames: np.ndarray, joints: Mapping[str, int]) -> tuple[str, float]:
    """The axis nearest to the way from the feet to the shoulders in frames [T, J, 3], and its mean cosine."""
    place = {name: frames[:, joint] for name, joint in joints.items()}
    way = rotations.normalise(middle(place, "shoulder") - middle(place, "ankle")).mean(axis=0)
    axis = int(np.argmax(np.abs(way)))
    return ("-" if way[axis] < 0 else "") + "xyz"[axis], float(abs(way[axis]))


def _is_straight(pose: np.ndarray, joints: Mapping[str, int]) -> bool:
    """Whether legs and trunk of a pose [J, 3] go the same way; in some exports rest poses are folded up."""
    place = {name: pose[None, joint] for name, joint in joints.items()}
    trunk = rotations.normalise(middle(place, "shoulder") - middle(place, "hip"))
    legs = rotations.normalise(middle(place, "hip") - middle(place, "ankle"))
    return bool((trunk * legs).sum() > RESTS_UPRIGHT)


def _walks(joints: np.ndarray, roles: Mapping[str, int]) -> bool:
    """Whether one foot stands while the other swings, again and again."""
    feet = joints[:, [roles["left_ankle"], roles["right_ankle"]]]
    speed = np.sort(length(feet[1:] - feet[:-1]), axis=1)
    if not len(speed):
        return False
    swings = speed[:, 1] > 0.5 * np.quantile(speed[:, 1], 0.9)
    return bool((swings & (speed[:, 0] < 0.2 * speed[:, 1])).mean() > WALKS)


# --- how large --------------------------------------------------------------------------------------------------------


def _height(looked: np.ndarray, roles: Roles) -> float:
    """Standing height in the source's unit, from legs and trunk, however the body is bent."""
    place = {name: looked[:, joint] for name, joint in roles.joints.items()}
    legs = sum(
        float(np.median(length(place[f"{side}_{upper}"] - place[f"{side}_{lower}"])))
        for side in ("left", "right")
        for upper, lower in (("hip", "knee"), ("knee", "ankle"))
    )
    # A bent trunk is short, a stretched one as long as it is.
    trunk = float(np.quantile(length(middle(place, "shoulder") - middle(place, "hip")), 0.75))
    if not legs > 0:
        raise CannotFit(NO_SIZE, "the legs have no length")
    return (0.5 * legs + trunk) / LEG_AND_TRUNK


def _unit(tall: float, declared: float) -> tuple[float, str, tuple[str, ...]]:
    """Metres a unit for a body so many units tall, how that is known, and what is doubtful about it."""
    if declared:
        doubt = f"with a unit of {declared:g} m the body is {tall * declared:.2f} m tall"
        return declared, "as declared", () if FAR_OFF[0] <= tall * declared <= FAR_OFF[1] else (doubt,)
    for low, high in (ADULT, ANYONE):
        fitting = [name for name, metres in UNITS.items() if low <= tall * metres <= high]
        if fitting:
            name = min(fitting, key=lambda name: abs(math.log(tall * UNITS[name] / ASSUMED)))
            return UNITS[name], name, ()
    doubt = f"no known unit makes {tall:.3g} units a body; it is taken to be {ASSUMED} m tall"
    return ASSUMED / tall, f"a body of {ASSUMED} m", (doubt,)


# --- rotations --------------------------------------------------------------------------------------------------------


_ENDS = np.arange(22) == LEADS_TO


def _from_ours(body: _Body, joints: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """The fixed rotations [22, 4] from our reference pose to the pose in which the source's rotations are none.

    Where the source's rest pose does not stand, the frame most like our reference pose takes its place.
    """
    rest = body.layout.place(body.axes.positions(_rest_pose(body.hierarchy)[None]))
    axis, stands = _upwards(rest, INDEX)
    if axis == "y" and stands > RESTS_UPRIGHT and _is_straight(rest[0], INDEX):
        return _shortest(rest)[0]
    best = int(np.argmax(_likeness(joints)))
    return rotations.multiply(rotations.inverse(theirs[best]), _shortest(joints[best : best + 1])[0])


def _shortest(joints: np.ndarray) -> np.ndarray:
    """Rotations [T, 22, 4] by which a body in our reference pose comes to stand in poses [T, 22, 3], without twist."""
    x, z = np.moveaxis(_facing(joints), -1, 0)
    turn = rotations.between(np.array([0.0, 0.0, 1.0]), np.stack([x, np.zeros_like(x), z], axis=-1))[:, None]
    bones = _bones(joints)
    reference = np.broadcast_to(_REFERENCE, bones.shape)
    return rotations.multiply(rotations.between(rotations.rotate(turn, reference), bones), turn)


def _likeness(joints: np.ndarray) -> np.ndarray:
    """How much each pose [T] of joints [T, 22, 3] is our reference pose, turned to where it faces."""
    x, z = np.moveaxis(_facing(joints), -1, 0)
    turn = rotations.between(np.array([0.0, 0.0, 1.0]), np.stack([x, np.zeros_like(x), z], axis=-1))[:, None]
    reference = rotations.rotate(turn, np.broadcast_to(_REFERENCE, (len(joints), 22, 3)))
    return np.asarray((reference * _bones(joints)).sum(axis=(1, 2)))


def _bones(joints: np.ndarray) -> np.ndarray:
    """The direction [T, 22, 3] in which each joint's own rotation points; an end goes on as the bone before it."""
    ahead = joints[:, LEADS_TO] - joints
    ahead[:, _ENDS] = (joints[:, 1:] - joints.take(PARENTS[1:], axis=1))[:, np.flatnonzero(_ENDS) - 1]
    return rotations.normalise(ahead)


_REFERENCE = DIRECTIONS[LEADS_TO]


def _facing(joints: np.ndarray) -> np.ndarray:
    """Where bodies face: x and z [T, 2] of left × up, of length one; +z where that is nowhere."""
    across = (
        joints[:, INDEX["left_hip"]] - joints[:, INDEX["right_hip"]]
        + joints[:, INDEX["left_shoulder"]] - joints[:, INDEX["right_shoulder"]]
    )  # fmt: skip
    flat = np.stack([-across[:, 2], across[:, 0]], axis=-1)
    size = np.sqrt(flat[:, :1] ** 2 + flat[:, 1:] ** 2)
    return np.where(size > 0, flat / np.where(size > 0, size, 1.0), [0.0, 1.0])
