"""From any frame rate to ours, by time and never by index.

Faster sources pass a low-pass first: a foot strike sampled at 120 frames a second would otherwise fold into a tremble
at 20. Sums run in a fixed order, so that equal joints give equal bits on any machine.
"""

import math

import numpy as np


def resample(joints: np.ndarray, fps: float, wanted: float) -> np.ndarray:
    """Positions [T, J, 3] at `fps` as [T', J, 3] at `wanted` frames a second, from the first frame on."""
    seconds = (len(joints) - 1) / fps
    # The last sample counts even where rounding puts it a hair past the end.
    times = np.arange(math.floor(seconds * wanted + 1e-6) + 1) / wanted
    return interpolate(low_pass(joints, fps, wanted), np.arange(len(joints)) / fps, times)


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
