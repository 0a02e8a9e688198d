"""Frame rates: time is kept, steady movement stays exact, what 20 frames a second cannot carry is gone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from irg_core.motion import rotations
from irg_core.motion.resampling import interpolate, one_sided, resample, resample_rotations


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


def spinning(fps: float, seconds: float, axis: str = "y", turns: float = 1.0) -> np.ndarray:
    """One joint that turns evenly, its quaternions [T, 1, 4] on whichever side they happen to be."""
    t = np.arange(round(fps * seconds) + 1) / fps
    flips = np.where(np.arange(len(t)) % 3 == 0, -1.0, 1.0)
    return (rotations.about(axis, 2 * np.pi * turns * t) * flips[:, None])[:, None]


def apart(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Angles between rotations, in radians."""
    return 2 * np.arccos(np.clip(np.abs((a * b).sum(-1)), 0, 1))


@given(fps=st.sampled_from([12.5, 24.0, 30.0, 59.94, 60.0, 100.0, 120.0]), turns=st.floats(-1, 1))
def test_an_even_spin_stays_even_at_any_rate(fps: float, turns: float) -> None:
    made = resample_rotations(spinning(fps, 2.0, turns=turns), fps, 20.0)
    wanted = rotations.about("y", 2 * np.pi * turns * np.arange(len(made)) / 20)[:, None]
    assert apart(made, wanted)[3:-3].max(initial=0.0) < 1e-3
    assert len(made) == len(resample(np.zeros((round(fps * 2) + 1, 1, 3)), fps, 20.0))


def test_120_and_60_frames_a_second_become_the_same_20() -> None:
    t = np.arange(481) / 120
    fast = rotations.multiply(rotations.about("x", np.sin(3 * t)), rotations.about("z", 0.7 * np.cos(2 * t)))[:, None]
    assert apart(resample_rotations(fast, 120, 20), resample_rotations(fast[::2], 60, 20))[4:-4].max() < 2e-3


def test_a_quaternion_never_jumps_to_its_opposite() -> None:
    steady = one_sided(spinning(30, 3.0))
    assert ((steady[1:] * steady[:-1]).sum(-1) > 0).all()
    assert apart(steady, spinning(30, 3.0)).max() < 1e-6


def test_between_two_rotations_slerp_keeps_an_even_speed() -> None:
    a, b = rotations.about("x", 0.2), rotations.about("x", 2.2)
    shares = np.linspace(0, 1, 9)
    made = rotations.slerp(np.tile(a, (9, 1)), np.tile(-b, (9, 1)), shares)
    assert apart(made, rotations.about("x", 0.2 + 2.0 * shares)).max() < 1e-7
    assert apart(rotations.slerp(a[None], a[None], np.array([0.5])), a[None]).max() < 1e-7
