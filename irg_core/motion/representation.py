"""The rows that a build stores: HumanML3D's 263 numbers at 20 frames a second, or KIT-ML's 251 at 12.5.

Whatever reasons about motion sees our 22 joints at 20 frames a second; clips, statistics, tokenizer and evaluators hold
rows. The width of the rows tells which they are, so that nobody but who makes rows has to be told.

Rows are made in one of two modes (see `features`), which a build chooses. Positions are read from both alike; only who
reads rotations has to know which it is.

KIT's files are kept as the field has them: millimetres, and left-handed axes, so that its rows turn right where the
body turns left. Its body has no collars and one joint less in the spine, and its feet have a middle.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from irg_core.motion import features, posing, rotations, skeleton
from irg_core.motion.resampling import resample, resample_rotations
from irg_core.motion.rotations import normalise
from irg_core.motion.skeleton import FPS, INDEX, LENGTHS, PARENTS, Body


@dataclass(frozen=True, slots=True)
class Representation:
    """What the rows of a build are."""

    name: str
    """As `skeleton` in params.yaml."""
    body: Body
    fps: float
    metre: float
    """In the unit of its lengths."""
    exact: bool = False
    """The mode in which rows are made."""

    @property
    def joints(self) -> int:
        return len(self.body.parents)

    @property
    def width(self) -> int:
        """Numbers a row."""
        return sum(self.parts)

    @property
    def parts(self) -> tuple[int, int, int, int, int]:
        """How many numbers tell of the root, positions, rotations, velocities and contacts, in the order of a row."""
        others = self.joints - 1
        return 4, 3 * others, 6 * others, 3 * self.joints, 4

    @property
    def positions(self) -> slice:
        """Joints but the root, relative to it and as the body faces."""
        return slice(4, 4 + self.parts[1])

    @property
    def groups(self) -> tuple[slice, ...]:
        """Numbers of one kind, which share one standard deviation in the statistics."""
        edges = np.cumsum((1, 2, 1, *self.parts[1:])).tolist()
        return tuple(slice(start, end) for start, end in zip([0, *edges], edges, strict=False))

    def seconds(self, rows: np.ndarray) -> float:
        return len(rows) / self.fps

    def in_metres(self, rows: np.ndarray) -> np.ndarray:
        """Rows [T, width] whose lengths, and lengths a frame, are in metres."""
        if self.metre == 1.0:
            return rows
        others, rotations = self.positions.stop, self.parts[2]
        scale = np.ones(self.width, dtype=rows.dtype)
        scale[1:others] = scale[others + rotations : -self.parts[4]] = 1.0 / self.metre
        return np.asarray(rows * scale)

    def rows(self, joints: np.ndarray, fps: float, turned: np.ndarray | None = None) -> np.ndarray:
        """Rows float32 of our joints [T, 22, 3] at `fps`; one less than there are frames at the representation's.

        In exact mode with the joints' world rotations `turned` [T, 22, 4], or by inverse kinematics without them.
        """
        if fps != self.fps:
            joints = resample(joints, fps, self.fps)
            turned = None if turned is None else resample_rotations(turned, fps, self.fps)
        if self.exact and turned is None:
            turned = posing.joints_turned(joints)
        if not self.exact:
            turned = None
        if self.body is skeleton.T2M:
            return features.extract(joints, turned)
        return features.extract(to_kit(joints), None if turned is None else _kit_turned(turned))


COMPATIBLE, EXACT = "compatible", "exact"
MODES = (COMPATIBLE, EXACT)
"""As `features` in params.yaml."""
T2M = Representation("t2m", skeleton.T2M, FPS, metre=1.0)
KIT = Representation("kit", skeleton.KIT, 12.5, metre=1000.0)
SKELETONS = {each.name: each for each in (T2M, KIT)}
_WIDTHS = {each.width: each for each in SKELETONS.values()}


def of(width: int) -> Representation:
    """What rows of so many numbers are. Raises `ValueError` at any other number."""
    if width not in _WIDTHS:
        raise ValueError(f"rows of {width} numbers; {' or '.join(map(str, _WIDTHS))} are known")
    return _WIDTHS[width]


def made(kind: Representation, mode: str) -> Representation:
    """The representation whose rows are made in a mode of `MODES`."""
    return replace(kind, exact=mode == EXACT)


def bones_turned(rows: np.ndarray, joints: np.ndarray) -> np.ndarray:
    """World rotations [T, 22, 4] of the bones that end at each of the joints [T, 22, 3] of rows made in exact mode.

    What a model makes is no whole body: where its rotations miss its positions, the positions are right.
    """
    if rows.shape[1] != T2M.width:
        # Collars and spine are not the same bones, so that little of KIT's rotations would be left.
        return posing.bones_turned(joints)
    return posing.bones_turned(joints, rotations.from_matrix(features.to_matrices(rows, exact=True)))


def to_joints(rows: np.ndarray) -> np.ndarray:
    """Our joints [T, 22, 3] float64 at 20 frames a second, in metres, of rows of either kind."""
    joints = features.to_joints(rows)
    return joints if rows.shape[1] == T2M.width else _with_lengths(resample(from_kit(joints), KIT.fps, FPS))


def in_place(rows: np.ndarray) -> np.ndarray:
    """Our joints [T, 22, 3] at 20 frames a second above the origin, as each frame faces; what is not finite is zero."""
    finite = np.nan_to_num(rows)
    if rows.shape[1] != T2M.width:
        joints = to_joints(finite)
        return np.asarray(joints - joints[:, :1] * (1.0, 0.0, 1.0))
    joints = np.zeros((len(finite), 22, 3))
    joints[:, :1, 1] = finite[:, features.HEIGHT]
    joints[:, 1:] = finite[:, T2M.positions].reshape(len(finite), 21, 3)
    return joints


# --- our body as KIT's, and back --------------------------------------------------------------------------------------

_ROLES = (  # noqa: SIM905
    "pelvis spine1 spine3 neck head left_shoulder left_elbow left_wrist right_shoulder right_elbow right_wrist "
    "left_hip left_knee left_ankle left_foot left_foot right_hip right_knee right_ankle right_foot right_foot"
).split()
"""Our joint for each of KIT's 21; the middle of a foot lies half-way from its ankle to its toes."""
_FROM_OURS = [INDEX[role] for role in _ROLES]
_MIDDLES = {14: (13, 15), 19: (18, 20)}
_TO_OURS = {role: joint for joint, role in enumerate(_ROLES) if joint not in _MIDDLES}
_FLIPPED = np.array([-KIT.metre, KIT.metre, KIT.metre])
"""Metres and our axes to millimetres and left-handed ones."""
_FACING_SPINE = float(LENGTHS[INDEX["spine2"]] / (LENGTHS[INDEX["spine2"]] + LENGTHS[INDEX["spine3"]]))
"""Where on the way from spine1 to spine3 ours has the joint that KIT lacks."""
_SHOULDERS = {5: 0.2233, 8: 0.2171}
"""Metres from lower neck to shoulder, for which our chains have no length: the medians of the synthesiser's bodies
(0.2178 and 0.2118) and of DeepMimic's on our skeleton (0.2288 and 0.2224), half-way between them."""


def _kit_lengths() -> np.ndarray:
    """Metres [21] of KIT's uniform bones: those of ours that lie between their ends, end to end.

    The field takes the bones of one reference recording; no such recording comes with this project.
    """
    lengths = LENGTHS[_FROM_OURS].copy()
    lengths[_ROLES.index("spine3")] += LENGTHS[INDEX["spine2"]]
    for middle, (_, toes) in _MIDDLES.items():
        lengths[middle] = lengths[toes] = 0.5 * lengths[toes]
    for shoulder, length in _SHOULDERS.items():
        lengths[shoulder] = length
    return lengths


KIT_LENGTHS = _kit_lengths()


def to_kit(joints: np.ndarray) -> np.ndarray:
    """Our joints [T, 22, 3] as KIT's [T, 21, 3], bones of uniform length, in its unit and axes."""
    kit = joints[:, _FROM_OURS]
    for middle, (ankle, toes) in _MIDDLES.items():
        kit[:, middle] = 0.5 * (kit[:, ankle] + kit[:, toes])
    return np.asarray(_stretched(kit, skeleton.KIT.parents, KIT_LENGTHS) * _FLIPPED)


def _kit_turned(turned: np.ndarray) -> np.ndarray:
    """World rotations [T, 22, 4] of our joints as those [T, 21, 4] of KIT's, in its axes."""
    return np.asarray(turned[:, _FROM_OURS] * (1.0, 1.0, -1.0, -1.0))


def from_kit(joints: np.ndarray) -> np.ndarray:
    """KIT's joints [T, 21, 3] as ours [T, 22, 3], at the same rate; what it lacks is laid in."""
    ours = np.zeros((len(joints), 22, 3))
    for role, joint in _TO_OURS.items():
        ours[:, INDEX[role]] = joints[:, joint] / _FLIPPED
    lower, upper = ours[:, INDEX["spine1"]], ours[:, INDEX["spine3"]]
    ours[:, INDEX["spine2"]] = lower + _FACING_SPINE * (upper - lower)
    for side in ("left", "right"):
        ours[:, INDEX[f"{side}_collar"]] = _collar(ours, side)
    return ours


def _collar(joints: np.ndarray, side: str) -> np.ndarray:
    """The collar [T, 3] whose two bones reach from spine3 to the shoulder: where circles meet on the neck's side."""
    collar, shoulder = INDEX[f"{side}_collar"], INDEX[f"{side}_shoulder"]
    start = joints[:, INDEX["spine3"]]
    way, up = joints[:, shoulder] - start, joints[:, INDEX["neck"]] - start
    distance = np.sqrt((way**2).sum(axis=-1, keepdims=True))
    way = normalise(way)
    inner, outer = LENGTHS[collar], LENGTHS[shoulder]
    reach = np.maximum(np.minimum(distance, inner + outer), 1e-3)
    along = (reach**2 + inner**2 - outer**2) / (2.0 * reach)
    aside = np.sqrt(np.maximum(inner**2 - along**2, 0.0))
    across = normalise(up - (up * way).sum(axis=-1, keepdims=True) * way)
    return np.asarray(start + along * way + aside * across)


def _with_lengths(joints: np.ndarray) -> np.ndarray:
    """Our joints [T, 22, 3] with bones of uniform length, which interpolation shortens."""
    return _stretched(joints, PARENTS, LENGTHS)


def _stretched(joints: np.ndarray, parents: Sequence[int], lengths: np.ndarray) -> np.ndarray:
    """Joints [T, J, 3], each after its parent, in the same directions from it at the lengths [J]."""
    stretched = joints.copy()
    for joint, parent in enumerate(parents):
        if parent >= 0:
            bone = normalise(joints[:, joint] - joints[:, parent])
            stretched[:, joint] = stretched[:, parent] + lengths[joint] * bone
    return stretched
