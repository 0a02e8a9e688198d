"""Bodies of which only joint positions are stored, in an order that is known by its name or spelled out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from irg_core.motion import hierarchies
from irg_core.motion.rotations import normalise
from irg_core.motion.skeleton import CHAINS, DIRECTIONS, JOINTS
from irg_core.records.motion import Hierarchy

_LOOKS = 1000
"""Frames that are enough to tell how long bones are."""


@dataclass(frozen=True, slots=True)
class Order:
    """How stored positions become a body whose joints come after their parents."""

    names: tuple[str, ...]
    parents: tuple[int, ...]
    columns: tuple[int, ...]  # of each joint, its place in the stored array
    directions: np.ndarray | None  # [J, 3] of each joint from its parent in a reference pose, where one is known

    def body(self, stored: np.ndarray) -> tuple[np.ndarray, Hierarchy]:
        """Joints [T, J, 3], parents first, and their hierarchy with mean bone lengths, of positions as stored.

        Without a known reference pose, bones rest in their mean directions. Raises `ValueError` at other shapes.
        """
        if stored.ndim != 3 or stored.shape[1:] != (len(self.names), 3):
            raise ValueError(f"joints of shape {stored.shape}; (frames, {len(self.names)}, 3) are needed")
        hierarchies.check_size(*stored.shape[:2])
        joints = stored[:, self.columns]
        looked = joints[:: 1 + len(joints) // _LOOKS]
        sound = looked[np.isfinite(looked).all(axis=(1, 2))]
        if not len(sound):
            raise ValueError("no frame of finite numbers")
        bones = sound - sound[:, [max(parent, 0) for parent in self.parents]]
        lengths = np.sqrt((bones**2).sum(axis=-1)).mean(axis=0)
        aims = bones.mean(axis=0) if self.directions is None else self.directions
        return joints, Hierarchy(self.names, self.parents, normalise(aims) * lengths[:, None])


def known(name: str) -> Order:
    """One of `TREES`, as its corpora store it."""
    return spelled_out(TREES[name])


def listed(names: Sequence[str]) -> Order:
    """Joints of one of `TREES` in any order, some perhaps missing. Raises `ValueError` where no tree has them all."""
    for tree in TREES.values():
        if set(names) <= set(tree) and len(set(names)) == len(names):
            return spelled_out({name: _above(name, tree, names) for name in names})
    raise ValueError(f"names that belong to none of {', '.join(TREES)}: {' '.join(names)[:200]}")


def spelled_out(parents: Mapping[str, str]) -> Order:
    """Joints as stored, each with its parent's name, "" for the root. Raises `ValueError` where that is no tree."""
    stored = list(parents)
    names: list[str] = []
    waiting = stored
    while waiting:
        left: list[str] = []
        for name in waiting:
            (names if parents[name] in ("", *names) else left).append(name)
        if len(left) == len(waiting):
            break
        waiting = left
    if len(names) < len(stored) or sum(not parent for parent in parents.values()) != 1:
        raise ValueError("joints that hang together in no tree: one has no parent, each other one the name of its own")
    aims = [_DIRECTIONS.get((parents[name], name)) for name in names]
    return Order(
        tuple(names),
        tuple(names.index(parents[name]) if parents[name] else -1 for name in names),
        tuple(stored.index(name) for name in names),
        None if None in aims else np.array(aims, dtype=np.float64),
    )


def _above(name: str, tree: Mapping[str, str], there: Sequence[str]) -> str:
    """The nearest joint above one that is there, "" if there is none."""
    name = tree[name]
    while name and name not in there:
        name = tree[name]
    return name


# --- what is known --------------------------------------------------------------------------------------------------


def _tree(names: Sequence[str], chains: Sequence[Sequence[int]]) -> dict[str, str]:
    """Names in their order, each with its parent's."""
    parents = {names[child]: names[parent] for chain in chains for parent, child in pairwise(chain)}
    return {name: parents.get(name, "") for name in names}


_T2M = _tree(JOINTS, CHAINS)
_SIDES = ("left", "right")
_SMPL = _T2M | {f"{side}_hand": f"{side}_wrist" for side in _SIDES}
_FINGERS = ("index", "middle", "pinky", "ring", "thumb")
_SMPLH = _T2M | {
    f"{side}_{finger}{knuckle}": f"{side}_{finger}{knuckle - 1}" if knuckle > 1 else f"{side}_wrist"
    for side in _SIDES
    for finger in _FINGERS
    for knuckle in (1, 2, 3)
}
_KIT = _tree(
    "root BP BT BLN BUN LS LE LW RS RE RW LH LK LA LMrot LF RH RK RA RMrot RF".split(),  # noqa: SIM905
    ([0, 11, 12, 13, 14, 15], [0, 16, 17, 18, 19, 20], [0, 1, 2, 3, 4], [3, 5, 6, 7], [3, 8, 9, 10]),
)
TREES: dict[str, dict[str, str]] = {"t2m": _T2M, "smpl": _SMPL, "smplh": _SMPLH, "kit": _KIT}
"""Joints as corpora of that name store them, each with its parent: HumanML3D, SMPL, SMPL-H, KIT-ML."""

# KIT's reference pose as its features have it.
_KIT_AIMS = "_ +y +y +y +y +x -y -y -x -y -y +x -y -y +z +z -x -y -y +z +z".split()  # noqa: SIM905


def _aim(word: str) -> list[float]:
    return [float(f"{word[0]}1") if word.endswith(axis) else 0.0 for axis in "xyz"]


_DIRECTIONS = {(parent, name): list(DIRECTIONS[index]) for index, (name, parent) in enumerate(_T2M.items())} | {
    (parent, name): _aim(word) for (name, parent), word in zip(_KIT.items(), _KIT_AIMS, strict=True)
}
