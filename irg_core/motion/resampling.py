"""From any frame rate to ours, by time and never by index.

Faster sources pass a low-pass first: a foot strike sampled at 120 frames a second would otherwise fold into a tremble
at 20. Sums run in a fixed order, so that equal joints give equal bits on any machine.
"""

import math

import numpy as np

from irg_core.motion import rotations


def resample(joints: np.ndarray, fps: float, wanted: float) -> np.ndarray:
    """Positions [T, J, 3] at `fps` as [T', J, 3] at `wanted` frames a second, from the first frame on."""
    return interpolate(low_pass(joints, fps, wanted), np.arange(len(joints)) / fps, _times(len(joints), fps, wanted))


def resample_rotations(quaternions: np.ndarray, fps: float, wanted: float) -> np.ndarray:
    """Rotations [T, J, 4] at `fps` as [T', J, 4] at `wanted` frames a second, at the very times of `resample`.

    A quaternion and its opposite turn alike, so each is first put on the side of the one before; then they can pass
    the same low-pass as positions.
    """
    if len(quaternions) < 2:
        return quaternions
    steady = low_pass(one_sided(rotations.normalise(quaternions)), fps, wanted)
    at = _times(len(quaternions), fps, wanted) * fps
    before = np.minimum(at.astype(int), len(quaternions) - 2)
    share = np.broadcast_to((at - before)[:, None], (len(at), quaternions.shape[1]))
    steady = rotations.normalise(steady)
    return rotations.slerp(steady[before], steady[before + 1], share)


def bridged(values: np.ndarray, gaps: np.ndarray) -> np.ndarray:
    """Positions [T, J, 3] or rotations [T, J, 4] whose frames in `gaps` [T] are laid between those around them.

    At the ends the nearest frame is held; one frame at least must not be a gap.
    """
    sound, missing = np.flatnonzero(~gaps), np.flatnonzero(gaps)
    later = np.searchsorted(sound, missing)
    before, after = sound[np.maximum(later - 1, 0)], sound[np.minimum(later, len(sound) - 1)]
    share = (np.clip(missing, before, after) - before) / np.maximum(after - before, 1)
    filled = values.copy()
    if values.shape[-1] == 4:
        start, end = rotations.normalise(values[before]), rotations.normalise(values[after])
        filled[gaps] = rotations.slerp(start, end, np.broadcast_to(share[:, None], (len(missing), values.shape[1])))
    else:
        filled[gaps] = values[before] + share[:, None, None] * (values[after] - values[before])
    return filled


def frames_at(frames: int, fps: float, wanted: float) -> int:
    """How many frames `resample` makes of so many."""
    return len(_times(frames, fps, wanted))


def one_sided(quaternions: np.ndarray) -> np.ndarray:
    """The same rotations [T, ..., 4], no quaternion more than a right angle from the one before."""
    turned = (quaternions[1:] * quaternions[:-1]).sum(axis=-1) < 0
    signs = np.ones(quaternions.shape[:-1])
    signs[1:] = np.where(np.cumsum(turned, axis=0) % 2 == 1, -1.0, 1.0)
    return np.asarray(quaternions * signs[..., None])


def _times(frames: int, fps: float, wanted: float) -> np.ndarray:
    """Seconds of the samples wanted of so many frames."""
    # The last sample counts even where rounding puts it a hair past the end.
    return np.arange(math.floor((frames - 1) / fps * wanted + 1e-6) + 1) / wanted


def interpolate(joints: np.ndarray, times: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Positions [T, J, 3], known at rising `times` that need not be even, at the times wanted: cubic Hermite curves."""
    if len(joints) < 2:
        return joints[np.zeros(len(wanted), dtype=int)]
    gaps = np.diff(times)[:, None, None]
    slopes = np.empty_like(joints)
    slopes[0], slopes[-1] = (joints[1] - joints[0]) / gaps[0], (joints[-1] - joints[-2]) / gaps[-1]
    slopes[1:-1] = (joints[2:] - joints[:-2]) / (gaps[1:] + gaps[:-1])
    before = np.clip(np.searchsorted(times, wanted, side="right") - 1, 0, len(times) - 2)
    gap = gaps[before]
    u = np.clip((wanted - times[before])[:, None, None] / gap, 0.0, 1.0)
    return (
        (2 * u**3 - 3 * u**2 + 1) * joints[before]
        + (3 * u**2 - 2 * u**3) * joints[before + 1]
        + ((u**3 - 2 * u**2 + u) * slopes[before] + (u**3 - u**2) * slopes[before + 1]) * gap
    )


def low_pass(joints: np.ndarray, fps: float, wanted: float) -> np.ndarray:
    """Positions [T, J, 3] without what `wanted` frames a second cannot carry; slower sources are left as they are."""
    radius = min(int(2 * fps / wanted), len(joints) - 1)
    if fps <= wanted or radius < 1:
        return joints
    kernel = [_windowed_sinc(offset * wanted / fps) for offset in range(-radius, radius + 1)]
    # Ends are mirrored through their last point, which keeps a steady walk steady up to its last frame.
    head = 2 * joints[0] - joints[radius:0:-1]
    tail = 2 * joints[-1] - joints[-2 : -radius - 2 : -1]
    held = np.concatenate([head, joints, tail])
    total = sum(weight * held[start : start + len(joints)] for start, weight in enumerate(kernel))
    return np.asarray(total / sum(kernel))


def _windowed_sinc(x: float) -> float:
    """An ideal low-pass at half the wanted rate, under a Hann window two wanted frames wide on each side."""
    if abs(x) >= 2 or x == 0:
        return float(x == 0)
    return math.sin(math.pi * x) / (math.pi * x) * (0.5 + 0.5 * math.cos(math.pi * x / 2))
