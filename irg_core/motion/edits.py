"""Known flaws: each function makes one mistake on purpose and says exactly what it changed, and where.

A flaw is `name(joints, phases, rng, limits) -> (joints, truth) | None`; None where the motion has nothing to get wrong
in that way. Cutting, repeating and reversing happen on rows of the body's own frame (root velocities and root-local
poses), which know neither place nor heading, so that stretches can be put together in any order and walked off anew.
HumanML3D's heading would not do: it is smoothed over seconds, and a turn cut out of it leaves its ends behind.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from irg_core.motion.skeleton import FPS, INDEX, LENGTHS, MIRROR, PARENTS
from irg_core.motion.thresholds import KinematicsParams
from irg_core.records.motion import Phase

Edited = tuple[np.ndarray, dict[str, Any]] | None

YAW, TRAVEL, POSE = 0, slice(1, 3), slice(3, 67)
"""A row: radians of turn and metres of travel to the next row; height of the root and positions of the others."""
BLEND = 4
"""Frames on either side of a seam over which two poses meet."""
SHORTEST, LONGEST = 20, 240
"""Rows of an edited motion: one second, and a fifth more than the longest clip."""
SLOW, FAST = 0.8, 1.17
"""How far beyond the boundary of slow, or of fast, a wrong speed goes: clearly, yet a fast walk is still no run."""
BACKWARD_PACE = 0.65
"""People go backwards at about two thirds of their pace ahead; at the same pace it would be a hurry."""
OPPOSITE = {"left": "right", "right": "left", "forward": "backward", "backward": "forward"}
FEWEST = {"wave": 2}
"""Repetitions without which an action is not recognised any more; one, where not said."""
STEPPING = ("walk", "run", "sidestep", "stand")
"""Actions whose repetitions nobody counts."""


def mirror(joints: np.ndarray, phases: Sequence[Phase], rng: np.random.Generator, limits: KinematicsParams) -> Edited:
    """The whole motion with left and right swapped."""
    changes = []
    for phase in phases:
        if phase.side in ("left", "right"):
            changes.append(_change(phase, "side", phase.side, OPPOSITE[phase.side]))
        if phase.direction in ("left", "right"):
            changes.append(_change(phase, "direction", phase.direction, OPPOSITE[phase.direction]))
        elif not math.isnan(phase.turn):
            changes.append(_change(phase, "turn", phase.turn, -phase.turn))
    return (joints[:, MIRROR] * (-1.0, 1.0, 1.0), {"changes": changes}) if changes else None


def wrong_direction(
    joints: np.ndarray, phases: Sequence[Phase], rng: np.random.Generator, limits: KinematicsParams
) -> Edited:
    """One phase goes the other way: mirrored where it goes or turns left or right, else run backwards in time."""
    moving = [phase for phase in phases if phase.direction or not math.isnan(phase.turn)]
    if not moving:
        return None
    phase = moving[rng.integers(len(moving))]
    rows = _rows(joints)
    start, end = _frames(phase, len(rows))
    if phase.direction in ("forward", "backward"):
        pace = BACKWARD_PACE if phase.direction == "forward" else 1.0 / BACKWARD_PACE
        changed = _backwards(_stretched(rows[start:end], 1.0 / pace if phase.action == "walk" else 1.0))
        change = _change(phase, "direction", phase.direction, OPPOSITE[phase.direction])
    else:
        changed = _mirrored(rows[start:end])
        change = _turned(phase)
    return _finish([rows[:start], changed, rows[end:]], change)


def wrong_count(
    joints: np.ndarray, phases: Sequence[Phase], rng: np.random.Generator, limits: KinematicsParams
) -> Edited:
    """One phase is repeated once more or once less than it was."""
    counted = [phase for phase in phases if phase.count > 0 and phase.action not in STEPPING]
    if not counted:
        return None
    phase = counted[rng.integers(len(counted))]
    rows = _rows(joints)
    first, second = _repetition(rows, *_frames(phase, len(rows)), phase.count)
    if phase.count > FEWEST.get(phase.action, 1) and rng.random() < 0.5:
        return _finish([rows[:first], rows[second:]], _change(phase, "count", phase.count, phase.count - 1))
    again = [rows[:second], rows[first:second], rows[second:]]
    return _finish(again, _change(phase, "count", phase.count, phase.count + 1))


def wrong_speed(
    joints: np.ndarray, phases: Sequence[Phase], rng: np.random.Generator, limits: KinematicsParams
) -> Edited:
    """One phase is done far too slowly, or far too fast."""
    paced = [
        (phase, cuts) for phase in phases if phase.speed and (cuts := limits.paces_of(phase.action, phase.direction))
    ]
    if not paced:
        return None
    phase, cuts = paced[rng.integers(len(paced))]
    now = {"slow": "fast", "fast": "slow"}.get(phase.speed) or ("slow", "fast")[rng.integers(2)]
    rows = _rows(joints)
    start, end = _frames(phase, len(rows))
    slow, fast = cuts
    wanted = slow * SLOW if now == "slow" else fast * FAST
    stretched = _stretched(rows[start:end], _pace(phase, rows[start:end], cuts) / wanted)
    return _finish([rows[:start], stretched, rows[end:]], _change(phase, "speed", phase.speed, now))


def wrong_order(
    joints: np.ndarray, phases: Sequence[Phase], rng: np.random.Generator, limits: KinematicsParams
) -> Edited:
    """Two neighbouring phases change places."""
    names = [phase.action for phase in phases]
    orders = [[*names[:place], names[place + 1], names[place], *names[place + 2 :]] for place in range(len(names) - 1)]
    # Where the swap would put two alike side by side, they would read as one longer phase.
    places = [place for place, order in enumerate(orders) if all(one != other for one, other in pairwise(order))]
    places = [place for place in places if orders[place] != names]
    if not places:
        return None
    place = places[rng.integers(len(places))]
    rows = _rows(joints)
    start, middle, end = _boundaries(phases, len(rows))[place : place + 3]
    swapped = [rows[:start], rows[middle:end], rows[start:middle], rows[end:]]
    return _finish(swapped, _change(phases[place], "order", names, orders[place]))


def missing_action(
    joints: np.ndarray, phases: Sequence[Phase], rng: np.random.Generator, limits: KinematicsParams
) -> Edited:
    """One of several phases is left out."""
    if len(phases) < 2:
        return None
    place = int(rng.integers(len(phases)))
    rows = _rows(joints)
    start, end = _boundaries(phases, len(rows))[place : place + 2]
    return _finish([rows[:start], rows[end:]], _change(phases[place], "missing", phases[place].action, ""))


def truncated(
    joints: np.ndarray, phases: Sequence[Phase], rng: np.random.Generator, limits: KinematicsParams
) -> Edited:
    """The motion stops too early: before its last phase, or in the middle of its repetitions."""
    if not phases:
        return None
    last = phases[-1]
    rows = _rows(joints)
    start, end = _frames(last, len(rows))
    if len(phases) > 1:
        return _finish([rows[:start]], _change(last, "missing", last.action, ""))
    if last.count < 2 or last.action in STEPPING:
        return None
    kept = int(rng.integers(1, last.count))
    stop = start + round((end - start) * kept / last.count)
    return _finish([rows[:stop]], _change(last, "count", last.count, kept))


# ---- rows ------------------------------------------------------------------------------------------------------------


def _rows(joints: np.ndarray) -> np.ndarray:
    """Joints [T, 22, 3] in the body's own frame [T, 67]."""
    across = sum(joints[:, INDEX[f"left_{pair}"]] - joints[:, INDEX[f"right_{pair}"]] for pair in ("hip", "shoulder"))
    heading = np.unwrap(np.arctan2(-across[:, 2], across[:, 0]))
    rows = np.zeros((len(joints), POSE.stop))
    rows[:-1, YAW] = np.diff(heading)
    step = np.diff(joints[:, 0], axis=0, append=joints[-1:, 0])
    rows[:, TRAVEL] = _turn(step[:, None], -heading)[:, 0, ::2]
    rows[:, 3] = joints[:, 0, 1]
    local = joints[:, 1:] - joints[:, :1] * (1.0, 0.0, 1.0)
    rows[:, 4:] = _turn(local, -heading).reshape(len(joints), -1)
    return rows


def _joints(rows: np.ndarray) -> np.ndarray:
    """Rows [T, 67] walked off from the origin, facing +Z."""
    heading = np.concatenate([[0.0], np.cumsum(rows[:-1, YAW])])
    step = np.zeros((len(rows), 1, 3))
    step[1:, 0, ::2] = rows[:-1, TRAVEL]
    # A step belongs to the frame that it starts from.
    step[1:] = _turn(step[1:], heading[:-1])
    joints = np.concatenate([np.zeros((len(rows), 1, 3)), _turn(rows[:, 4:].reshape(-1, 21, 3), heading)], axis=1)
    joints += np.cumsum(step, axis=0)
    joints[:, 0, 1] = rows[:, 3]
    return joints


def _turn(vectors: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Vectors [T, n, 3] turned left by angles [T] in radians."""
    cosine, sine = np.cos(angle)[:, None], np.sin(angle)[:, None]
    x, y, z = np.moveaxis(vectors, -1, 0)
    return np.stack([cosine * x + sine * z, y, cosine * z - sine * x], axis=-1)


def _finish(parts: Sequence[np.ndarray], change: dict[str, Any]) -> Edited:
    """The parts in a row, as joints; None where the result is too short or too long to be a clip."""
    if not SHORTEST <= sum(map(len, parts)) <= LONGEST:
        return None
    rows = _joined([part for part in parts if len(part)])
    return _with_lengths(_joints(rows)), {"changes": [change]}


def _joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Stretches one after the other; around each seam both poses bend towards their mean."""
    rows = np.concatenate(parts)
    ends = np.cumsum([len(part) for part in parts])
    for part, after, seam in zip(parts, parts[1:], ends, strict=False):
        gap = after[0, POSE] - part[-1, POSE]
        before, behind = min(BLEND, len(part)), min(BLEND, len(after))
        rows[seam - before : seam, POSE] += _ease(before)[:, None] * gap / 2
        rows[seam : seam + behind, POSE] -= _ease(behind)[::-1, None] * gap / 2
    return rows


def _ease(frames: int) -> np.ndarray:
    """From nearly 0 to 1, smoothly."""
    share = np.arange(1, frames + 1) / frames
    return share * share * (3.0 - 2.0 * share)


def _with_lengths(joints: np.ndarray) -> np.ndarray:
    """Bones back at their lengths, which a blend of two poses shortens; directions are kept."""
    fixed = joints.copy()
    for joint in range(1, len(PARENTS)):
        bone = joints[:, joint] - joints[:, PARENTS[joint]]
        length = np.linalg.norm(bone, axis=-1, keepdims=True)
        fixed[:, joint] = fixed[:, PARENTS[joint]] + bone * (LENGTHS[joint] / np.maximum(length, 1e-6))
    return fixed


def _backwards(rows: np.ndarray) -> np.ndarray:
    """The stretch with time reversed; a velocity leads from its row to the next, so it shifts by one."""
    reverse = rows[::-1].copy()
    reverse[:-1, :3] = -rows[:-1][::-1, :3]
    reverse[-1, :3] = reverse[-2, :3]
    return reverse


def _mirrored(rows: np.ndarray) -> np.ndarray:
    """The stretch with left and right swapped, in the heading frame."""
    swapped = rows.copy()
    swapped[:, :2] *= -1.0  # yaw, and travel to the left
    local = np.concatenate([np.zeros((len(rows), 1, 3)), rows[:, 4:].reshape(-1, 21, 3)], axis=1)
    local = local[:, MIRROR] * (-1.0, 1.0, 1.0)
    swapped[:, 4:] = local[:, 1:].reshape(len(rows), -1)
    return swapped


def _stretched(rows: np.ndarray, factor: float) -> np.ndarray:
    """The stretch played over `factor` times as many frames; it still covers the same ground."""
    count = max(2, round(len(rows) * factor))
    at = np.linspace(0.0, len(rows) - 1.0, count)
    below = np.floor(at).astype(int)
    above = np.minimum(below + 1, len(rows) - 1)
    stretched = rows[below] + (at - below)[:, None] * (rows[above] - rows[below])
    stretched[:, :3] *= len(rows) / count
    return stretched


def _repetition(rows: np.ndarray, start: int, end: int, count: int) -> tuple[int, int]:
    """Two frames one repetition apart whose poses are as alike as can be."""
    if count == 1:
        return start, end
    period, pose = (end - start) // count, rows[start:end, POSE]
    # Speed counts as well: half-way down and half-way up are one pose.
    pose = np.concatenate([pose, 5.0 * np.gradient(pose, axis=0)], axis=1)
    best = (np.inf, start, start + period)
    for length in range(max(2, round(0.85 * period)), min(round(1.15 * period), len(pose) - 1) + 1):
        gaps = np.abs(pose[length:] - pose[:-length]).sum(axis=1)
        place = int(np.argmin(gaps))
        best = min(best, (float(gaps[place]), start + place, start + place + length))
    return best[1:]


# ---- phases ----------------------------------------------------------------------------------------------------------


def _frames(phase: Phase, length: int) -> tuple[int, int]:
    """First row and row after the last of a phase; at least four rows."""
    start = min(max(0, round(phase.start * FPS)), length - 4)
    return start, min(max(start + 4, round(phase.end * FPS)), length)


def _boundaries(phases: Sequence[Phase], length: int) -> list[int]:
    """Rows that part the phases, in the middle of what lies between them; the first is 0, the last the end."""
    between = [(phase.end + after.start) / 2 for phase, after in pairwise(phases)]
    return [0, *(min(length, round(seconds * FPS)) for seconds in between), length]


def _pace(phase: Phase, rows: np.ndarray, cuts: tuple[float, float]) -> float:
    """Metres a second of a gait as measured; of anything else the middle of its class."""
    if phase.action in ("walk", "run", "sidestep"):
        return float(np.percentile(np.linalg.norm(rows[:, TRAVEL], axis=1), 85)) * FPS
    slow, fast = cuts
    return {"slow": slow * SLOW, "fast": fast * FAST}.get(phase.speed, math.sqrt(slow * fast))


def _turned(phase: Phase) -> dict[str, Any]:
    if phase.direction:
        return _change(phase, "direction", phase.direction, OPPOSITE[phase.direction])
    return _change(phase, "turn", phase.turn, -phase.turn)


def _change(phase: Phase, attribute: str, was: Any, now: Any) -> dict[str, Any]:
    return {
        "attribute": attribute, "action": phase.action, "was": was, "now": now, "start": phase.start, "end": phase.end,
    }  # fmt: skip
