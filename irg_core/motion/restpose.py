"""Rest poses at the start of a take: T-poses that exporters put before the first frame, and the slide out of them.

A take is cut only where both hold: its first frame is the skeleton's own rest pose, and the way out of it is a leap.
Someone who truly starts with spread arms moves on at a person's speed.
"""

from collections.abc import Sequence

import numpy as np

SAME = 0.1
"""Mean difference of the distances between joints, relative to their mean, below which two poses are one.

The T-poses added to CMU's files lie up to 0.06 from the rest pose of the file, usual poses at 0.1 to 0.3.
"""
LEAP, FAR = 3.0, 0.03
"""A step this many times the usual one of the second that follows, and this far relative to the distances between
joints, is no movement of a person. CMU's added T-poses are left by 4 times and 0.1 or more."""
LONGEST = 0.5
"""Seconds within which the slide out of a rest pose must be over."""
_RATES = 10, 240
"""Frames a second; for other rates, if they are rates at all, a second is taken to be the nearer of them."""


def rest_frames(joints: np.ndarray, rest: np.ndarray, body: Sequence[int], fps: float) -> int:
    """How many frames at the start of joints [T, J, 3] are no motion; `rest` [J, 3] is the rest pose in any axes.

    Of all joints only those of the `body` are looked at: fingers and faces have rest poses of their own.
    """
    second = int(np.clip(fps, *_RATES)) if np.isfinite(fps) else _RATES[0]
    start, rest = joints[: 4 * second][:, body], rest[body]
    if len(start) < 4 or not np.isfinite(start).all():
        return 0
    apart = _distances(rest)
    same = np.abs(_distances(start[: second + 1]) - apart).mean(axis=(1, 2)) < SAME * apart.mean()
    steps = _steps(start)
    usual = np.array([np.median(steps[at + 1 : at + 1 + second]) for at in range(min(second, len(steps) - 1))])
    leaps = steps[: len(usual)] > np.maximum(LEAP * usual, FAR * apart.mean())
    held = int(np.argmax(leaps))
    if not leaps[held] or not same[: held + 1].all():
        return 0
    moving = held + 1
    last = min(len(usual), held + 1 + int(LONGEST * second))
    # The slide may slow down on its way; it is over with the first step that is like those after it.
    while moving < last and steps[moving] > LEAP * usual[moving]:
        moving += 1
    return moving


def _steps(joints: np.ndarray) -> np.ndarray:
    """How far the pose moves from each frame to the next [T-1], the travel of the body left out."""
    pose = joints - joints[:, :1]
    return np.asarray(np.sqrt(((pose[1:] - pose[:-1]) ** 2).sum(axis=-1)).mean(axis=-1))


def _distances(joints: np.ndarray) -> np.ndarray:
    """Between each two joints: [..., J, J]."""
    return np.asarray(np.sqrt(((joints[..., :, None, :] - joints[..., None, :, :]) ** 2).sum(axis=-1)))
