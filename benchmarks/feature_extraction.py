"""How fast joints become features: ours against a clip-by-clip converter that follows the description of the format.

`python -m benchmarks.feature_extraction` writes benchmarks/results/feature_extraction.md. The stand-in does what the
field's converter does, one clip after the other and joint by joint along the chains, each step vectorised over frames.
Both put the body on the uniform skeleton first and make the same numbers, which is checked. One thread; each round
times all ways in turn, so that a busy machine slows all of them alike.
"""

import math
import os
import platform
import time
from collections.abc import Callable
from itertools import islice, pairwise
from pathlib import Path

import numpy as np

from irg_core.corpora import procedural
from irg_core.files import write_text
from irg_core.motion import features
from irg_core.motion.skeleton import CHAINS, DIRECTIONS, LENGTHS, PARENTS
from irg_core.records.motion import Take

CLIPS, FRAMES, SEED, ROUNDS = 64, 170, 90211, 9
FIELD = 73.0
"""Clips of 170 frames a second that the field's converter makes on one thread of this kind of machine."""
GRAMMAR = Path("irg_core/corpora/procedural.yaml")
RESULT = Path("benchmarks/results/feature_extraction.md")


def main() -> None:
    clips = motions()
    ways: dict[str, Callable[[], list[np.ndarray]]] = {
        "stand-in": lambda: [converted(uniform(clip)) for clip in clips],
        "ours, clip by clip": lambda: [features.extract(features.retarget(clip)) for clip in clips],
        "ours, many at once": lambda: features.extract_all([features.retarget(clip) for clip in clips]),
    }
    wanted, *made = (way() for way in ways.values())
    for rows in made:
        for ours, theirs in zip(rows, wanted, strict=True):
            if not np.abs(ours - theirs).max() < 1e-4:
                raise SystemExit("the stand-in makes other numbers than ours")
    table = markdown(dict(zip(ways, rounds(list(ways.values())), strict=True)))
    write_text(RESULT, table)
    print(table)


def motions() -> list[np.ndarray]:
    """Procedural motions of 170 frames."""
    made = procedural.read(GRAMMAR, clips=40 * CLIPS, seed=SEED)
    long = (take.joints[:FRAMES] for take in made if isinstance(take, Take) and len(take.joints) >= FRAMES)
    return list(islice(long, CLIPS))


def rounds(ways: list[Callable[[], list[np.ndarray]]]) -> list[float]:
    """Clips a second of each way: of its fastest round in processor time."""
    best = [math.inf] * len(ways)
    for _ in range(ROUNDS):
        for index, way in enumerate(ways):
            start = time.process_time()
            way()
            best[index] = min(best[index], time.process_time() - start)
    return [CLIPS / seconds for seconds in best]


def markdown(speeds: dict[str, float]) -> str:
    stand_in = next(iter(speeds.values()))
    rows = [
        f"| {way} | {speed:,.0f} | {speed / stand_in:.1f} × | {speed / FIELD:.0f} × |" for way, speed in speeds.items()
    ]
    return "\n".join([
        f"{CLIPS} clips of {FRAMES} frames, one thread, {platform.machine()}, {os.cpu_count()} cores, "
        f"NumPy {np.__version__}; equal output to 1e-4.",
        "",
        f"| way | clips a second | of the stand-in | of the field's converter ({FIELD:.0f}) |",
        "|---|--:|--:|--:|",
        *rows,
        "",
    ])  # fmt: skip


# --- the stand-in -------------------------------------------------------------------------------------------------


def converted(joints: np.ndarray) -> np.ndarray:
    """Features [T-1, 263] of joints [T, 22, 3], after the description of HumanML3D's format."""
    joints = joints.copy()
    joints[..., 1] -= joints[..., 1].min()
    joints = joints - joints[0, 0] * [1, 0, 1]
    turn = _between(_front(joints[:1], (2, 1)), np.array([[0.0, 0.0, 1.0]]))
    joints = _turned(np.broadcast_to(turn[:, None], (*joints.shape[:2], 4)), joints)
    contacts = np.concatenate(
        [((joints[1:, foot] - joints[:-1, foot]) ** 2).sum(-1) < 0.002 for foot in ([7, 10], [8, 11])], axis=-1
    )
    front = np.stack([_blurred(values) for values in _front(joints, (1, 2)).T], axis=-1)
    front /= np.linalg.norm(front, axis=-1, keepdims=True)
    heading = _between(front, np.broadcast_to([0.0, 0.0, 1.0], front.shape))
    heading[0] = 1.0, 0.0, 0.0, 0.0
    local = np.zeros((*joints.shape[:2], 4))
    for chain in CHAINS:
        before = heading
        for parent, child in pairwise(chain):
            bone = joints[:, child] - joints[:, parent]
            bone /= np.linalg.norm(bone, axis=-1, keepdims=True)
            whole = _between(np.broadcast_to(DIRECTIONS[child], bone.shape), bone)
            local[:, child] = _multiplied(_inverted(before), whole)
            before = whole
    step = joints[1:] - joints[:-1]
    velocity = _turned(heading[1:], step[:, 0])
    spin = _multiplied(heading[1:], _inverted(heading[:-1]))
    around = joints - joints[:, :1] * [1, 0, 1]
    every = np.broadcast_to(heading[:, None], (*joints.shape[:2], 4))
    positions = _turned(every[:, 1:], around[:, 1:])
    moving = _turned(every[:-1], step)
    # A step the short way round, as ours takes it: this is not what is compared here.
    yaw = np.arcsin(np.where(spin[:, 0] < 0, -spin[:, 2], spin[:, 2]))
    return np.concatenate(
        [
            yaw[:, None],
            velocity[:, [0, 2]],
            joints[:-1, 0, 1:2],
            positions[:-1].reshape(len(step), -1),
            _six(local[:-1, 1:]).reshape(len(step), -1),
            moving.reshape(len(step), -1),
            contacts.astype(float),
        ],
        axis=-1,
    )


def _front(joints: np.ndarray, hips: tuple[int, int]) -> np.ndarray:
    across = joints[:, hips[0]] - joints[:, hips[1]] + joints[:, 17] - joints[:, 16]
    across = across / np.linalg.norm(across, axis=-1, keepdims=True)
    front = np.cross(np.array([[0.0, 1.0, 0.0]]), across)
    return np.asarray(front if hips == (1, 2) else front / np.linalg.norm(front, axis=-1, keepdims=True))


def _blurred(values: np.ndarray) -> np.ndarray:
    kernel = np.exp(-0.5 * (np.arange(-80, 81) / 20.0) ** 2)
    return np.convolve(np.pad(values, 80, mode="edge"), kernel / kernel.sum(), mode="valid")


def _between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    q = np.concatenate([1.0 + (a * b).sum(-1, keepdims=True), np.cross(a, b)], axis=-1)
    return np.asarray(q / np.linalg.norm(q, axis=-1, keepdims=True))


def _inverted(q: np.ndarray) -> np.ndarray:
    return q * np.array([1.0, -1.0, -1.0, -1.0])


def _multiplied(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    outer = a[..., :, None] * b[..., None, :]
    return np.stack(
        [
            outer[..., 0, 0] - outer[..., 1, 1] - outer[..., 2, 2] - outer[..., 3, 3],
            outer[..., 0, 1] + outer[..., 1, 0] + outer[..., 2, 3] - outer[..., 3, 2],
            outer[..., 0, 2] - outer[..., 1, 3] + outer[..., 2, 0] + outer[..., 3, 1],
            outer[..., 0, 3] + outer[..., 1, 2] - outer[..., 2, 1] + outer[..., 3, 0],
        ],
        axis=-1,
    )


def _turned(q: np.ndarray, v: np.ndarray) -> np.ndarray:
    twice = np.cross(q[..., 1:], v)
    return np.asarray(v + 2 * (q[..., :1] * twice + np.cross(q[..., 1:], twice)))


def _six(q: np.ndarray) -> np.ndarray:
    w, x, y, z = np.moveaxis(q, -1, 0)
    return np.stack(
        [
            1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y),
            2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x),
        ],
        axis=-1,
    )  # fmt: skip


def uniform(joints: np.ndarray) -> np.ndarray:
    """Any body [T, 22, 3] with the uniform bone lengths, by its rotations along the chains."""
    scaled = np.zeros_like(joints)
    leg = sum(np.linalg.norm(joints[0, joint] - joints[0, PARENTS[joint]]) for joint in (5, 8))
    scaled[:, 0] = joints[:, 0] * (LENGTHS[[5, 8]].sum() / leg)
    for chain in CHAINS:
        for parent, child in pairwise(chain):
            bone = joints[:, child] - joints[:, parent]
            whole = _between(
                np.broadcast_to(DIRECTIONS[child], bone.shape), bone / np.linalg.norm(bone, axis=-1)[:, None]
            )
            scaled[:, child] = scaled[:, parent] + _turned(
                whole, np.broadcast_to(LENGTHS[child] * DIRECTIONS[child], bone.shape)
            )
    return scaled


if __name__ == "__main__":
    main()
