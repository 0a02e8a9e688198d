"""Our 22 joints laid into another body, frame by frame, once it is known which of its joints are which of ours."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from irg_core.motion import rotations
from irg_core.motion.roles import ALIKE, Roles
from irg_core.motion.skeleton import INDEX, JOINTS, LENGTHS

_TRUNK = LENGTHS[[3, 6, 9, 12]]
SPINE = {f"spine{level}": float(_TRUNK[:level].sum() / _TRUNK.sum()) for level in (1, 2, 3)}
"""Shares of the way from pelvis to neck at which HumanML3D's body has its levels; so with all numbers here."""
_LEVELS = 0.12
"""How far from there a level may be and still be ours; of three that do not all fit, none is taken."""
_COLLAR = 0.5
"""How far a collar lies from the neck towards its shoulder."""
_COLLARS = (0.35, 0.85)
"""Shares of half the shoulders' width that a collar may be away from its shoulder; others are no joint of it."""
_PELVIS = 0.14
"""How far the pelvis lies from between the hips along the spine to the neck."""
_NECK = 0.18
"""How far the neck lies above the shoulders, relative to how far these lie above the hips."""
_HEAD = float(LENGTHS[INDEX["head"]] / _TRUNK.sum())
_TOES = float(LENGTHS[INDEX["left_foot"]] / (LENGTHS[INDEX["left_knee"]] + LENGTHS[INDEX["left_ankle"]]))
"""Lengths, relative to pelvis and neck, and to the leg."""
_DOWNWARDS = 0.35
"""Sine of the angle by which a foot slopes down to its toes."""

_HALF = math.sqrt(0.5)
TO_Y = {
    "x": (_HALF, 0.0, 0.0, _HALF), "y": (1.0, 0.0, 0.0, 0.0), "z": (_HALF, -_HALF, 0.0, 0.0),
    "-x": (_HALF, 0.0, 0.0, -_HALF), "-y": (0.0, 1.0, 0.0, 0.0), "-z": (_HALF, _HALF, 0.0, 0.0),
}  # fmt: skip
"""The rotation that makes an axis y."""
_COLUMNS = {"x": (-2, 1, 3), "y": (1, 2, 3), "z": (1, 3, -2), "-x": (2, -1, 3), "-y": (1, -2, -3), "-z": (1, -3, 2)}
"""The same as columns counted from 1, minus for turned round, so that nothing is lost to rounding."""


@dataclass(frozen=True, slots=True)
class Axes:
    """How a source's positions become ours."""

    up: str
    mirrored: bool  # its axes are left-handed
    metres: float  # a unit of length

    def positions(self, points: np.ndarray) -> np.ndarray:
        """Points [..., 3] in metres, y up, right-handed."""
        ours = np.empty(points.shape)
        for column, theirs in enumerate(_COLUMNS[self.up]):
            flipped = (theirs < 0) != (self.mirrored and column == 0)
            ours[..., column] = points[..., abs(theirs) - 1] * (-self.metres if flipped else self.metres)
        return ours

    def turns(self, quaternions: np.ndarray) -> np.ndarray:
        """Rotations [..., 4] of what is seen in our axes."""
        turn = np.array(TO_Y[self.up])
        ours = rotations.multiply(rotations.multiply(turn, quaternions), rotations.inverse(turn))
        return ours * np.array([1.0, 1.0, -1.0, -1.0]) if self.mirrored else ours


@dataclass(frozen=True, slots=True)
class Layout:
    """Where each of our joints lies in another body."""

    roles: Roles
    laid: frozenset[str]  # ours that have no joint of their own there, or a misplaced one
    levels: tuple[int, ...]  # theirs along the spine, above the pelvis and below the neck

    def place(self, joints: np.ndarray) -> np.ndarray:
        """Our joints [T, 22, 3] in their joints [T, J, 3]; y up, right-handed."""
        place = {name: joints[:, joint] for name, joint in self.roles.joints.items() if name not in self.laid}
        place.setdefault("neck", _neck(joints, self.roles))
        hips = middle(place, "hip")
        spine = [joints[:, joint] for joint in self.levels] + [place["neck"]]
        if "pelvis" in self.laid:
            place["pelvis"], passed = along([hips, *spine], _PELVIS)
            spine = spine[passed:]
        for name in self.laid & set(SPINE):
            place[name], _ = along([place["pelvis"], *spine], SPINE[name])
        for side in ("left", "right"):
            if f"{side}_collar" in self.laid:
                place[f"{side}_collar"] = place["neck"] + _COLLAR * (place[f"{side}_shoulder"] - place["neck"])
            if f"{side}_foot" in self.laid:
                place[f"{side}_foot"] = _toes(place, side)
        if "head" in self.laid:
            place["head"] = place["neck"] + _HEAD * (place["neck"] - place["pelvis"])
        return np.stack([place[name] for name in JOINTS], axis=1)

    def carrier(self, name: str) -> int:
        """Their joint whose rotation turns the bone that leaves ours."""
        joints, spine = self.roles.joints, self.roles.spine
        if name in joints and (name not in self.laid or name == "pelvis"):
            return joints[name]
        if name in SPINE:
            # As if the levels of both were evenly spread.
            return spine[min(int(SPINE[name] * len(spine)), len(spine) - 1)]
        if name.endswith("_foot"):
            return joints[name.replace("foot", "ankle")]
        return joints.get("neck", spine[-1]) if name == "head" else spine[-1]


def layout(joints: np.ndarray, roles: Roles, told: frozenset[str]) -> Layout:
    """Decide it by what lies where in frames [T, J, 3] of a body; joints that were `told` stay as they are.

    Bodies with all the joints of ours are taken at their word; names alone say little about pelvis, spine and collars.
    """
    laid = set(JOINTS) - set(roles.joints)
    if roles.family in ALIKE and not laid:
        return Layout(roles, frozenset(), ())
    place = {name: joints[:, joint] for name, joint in roles.joints.items()}
    place.setdefault("neck", _neck(joints, roles))
    hips = middle(place, "hip")
    heights = [float(np.median(_share(joints[:, joint] - hips, place["neck"] - hips))) for joint in roles.spine]
    if heights[0] < 0.5 * _PELVIS:
        laid.add("pelvis")
    # What lies below the pelvis, or at one spot with it, is no level of the spine.
    levels = [
        joint
        for joint, height in zip(roles.spine[1:], heights[1:], strict=True)
        if height > max(heights[0], 0.0) + 0.02 and joint != roles.joints.get("neck")
    ]
    pelvis = _PELVIS if "pelvis" in laid else heights[0]
    for name, share in SPINE.items():
        height = float(np.median(_share(place[name] - hips, place["neck"] - hips))) if name in place else np.inf
        if abs((height - pelvis) / (1 - pelvis) - share) > _LEVELS:
            laid |= set(SPINE)
    shoulders = middle(place, "shoulder")
    for side in ("left", "right"):
        if f"{side}_collar" in place:
            shoulder = place[f"{side}_shoulder"]
            away = length(place[f"{side}_collar"] - shoulder) / np.maximum(length(shoulder - shoulders), 1e-12)
            if not _COLLARS[0] < float(np.median(away)) < _COLLARS[1]:
                laid.add(f"{side}_collar")
    return Layout(roles, frozenset(laid - told), tuple(levels))


def _neck(joints: np.ndarray, roles: Roles) -> np.ndarray:
    """A neck [T, 3] for a body that has none: half the way from the shoulders to the head, or straight above them."""
    place = {name: joints[:, joint] for name, joint in roles.joints.items()}
    shoulders = middle(place, "shoulder")
    if "head" in place:
        return np.asarray(0.5 * (shoulders + place["head"]))
    return np.asarray(shoulders + _NECK * (shoulders - middle(place, "hip")))


def _toes(place: Mapping[str, np.ndarray], side: str) -> np.ndarray:
    """Toes [T, 3] for a foot that has none: ahead of the ankle, square to the shin, sloping down a little."""
    ankle, knee, hip = (place[f"{side}_{name}"] for name in ("ankle", "knee", "hip"))
    ahead = rotations.cross(place["left_hip"] - place["right_hip"], place["neck"] - middle(place, "hip"))
    shin = rotations.normalise(ankle - knee)
    level = rotations.normalise(ahead - _dot(ahead, shin)[:, None] * shin)
    foot = math.sqrt(1 - _DOWNWARDS**2) * level + _DOWNWARDS * shin
    return np.asarray(ankle + (_TOES * (length(knee - hip) + length(ankle - knee)))[:, None] * foot)


def middle(place: Mapping[str, np.ndarray], pair: str) -> np.ndarray:
    """The middle [T, 3] between left and right."""
    return np.asarray(0.5 * (place[f"left_{pair}"] + place[f"right_{pair}"]))


def along(way: Sequence[np.ndarray], share: float) -> tuple[np.ndarray, int]:
    """The point [T, 3] at a share of the way through points [T, 3], and how many of the later ones it has passed.

    The share is that of a body's usual lengths, so the point always lies on the same bone.
    """
    lengths = [_usual(length(b - a)) for a, b in pairwise(way)]
    left = share * sum(lengths)
    for index, bone in enumerate(lengths):
        if left <= bone and bone > 0:
            return way[index] + (left / bone) * (way[index + 1] - way[index]), index
        left -= bone
    return way[-1], len(way) - 2


def length(vectors: np.ndarray) -> np.ndarray:
    """Lengths [...] of vectors [..., 3]."""
    return np.asarray(np.sqrt(_dot(vectors, vectors)))


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.asarray(a[..., 0] * b[..., 0] + a[..., 1] * b[..., 1] + a[..., 2] * b[..., 2])


def _usual(values: np.ndarray) -> float:
    """The median of those that are numbers."""
    numbers = values[np.isfinite(values)]
    return float(np.median(numbers)) if len(numbers) else 0.0


def _share(vectors: np.ndarray, way: np.ndarray) -> np.ndarray:
    """How far vectors [T, 3] reach along a way [T, 3], as a share of it."""
    return np.asarray(_dot(vectors, way) / np.maximum(_dot(way, way), 1e-12))
