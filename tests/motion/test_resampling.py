"""Frame rates: time is kept, steady movement stays exact, what 20 frames a second cannot carry is gone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from irg_core.motion.resampling import interpolate, resample


def moving(fps: float, seconds: float, path: np.ndarray) -> np.ndarray:
    """One joint on a line, `path` being x for each frame."""
    joints = np.zeros((round(fps * seconds) + 1, 1, 3))
    joints[:, 0, 0] = path
    return joints


@given(fps=st.sampled_from([12.5, 16.0, 20.0, 24.0, 25.0, 30.0, 60.0, 100.0, 120.0]), speed=st.floats(-5, 5))
def test_steady_travel_keeps_its_speed_at_any_rate(fps: float, speed: float) -> None:
    source = moving(fps, 2.0, speed * np.arange(round(fps * 2) + 1) / fps)
    made = resample(source, fps, 20.0)
    assert len(made) == 41
    assert np.abs(made[:, 0, 0] - speed * np.arange(41) / 20).max() < 1e-9


def test_a_tremble_above_ten_hertz_does_not_fold_into_slow_movement() -> None:
    t = np.arange(241) / 120
    made = resample(moving(120, 2.0, np.sin(2 * np.pi * 38 * t)), 120, 20.0)
    assert np.abs(made[2:-2]).max() < 0.03


def test_a_wave_of_the_hand_passes() -> None:
    t = np.arange(241) / 120
    made = resample(moving(120, 2.0, np.sin(2 * np.pi * 2.5 * t)), 120, 20.0)
    assert np.abs(made[4:-4, 0, 0] - np.sin(2 * np.pi * 2.5 * np.arange(41) / 20)[4:-4]).max() < 0.06


def test_uneven_times_are_honoured() -> None:
    times = np.array([0.0, 0.1, 0.4, 0.5])
    joints = np.zeros((4, 1, 3))
    joints[:, 0, 2] = 3 * times
    made = interpolate(joints, times, np.array([0.05, 0.25, 0.45]))
    assert made[:, 0, 2] == pytest.approx([0.15, 0.75, 1.35])


def test_a_very_short_clip_does_not_break() -> None:
    assert resample(np.zeros((2, 22, 3)), 120.0, 20.0).shape == (1, 22, 3)
