"""One motion under two names is found: at other rates, cut elsewhere, mirrored; and different motions are not."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from irg_core.corpora import procedural
from irg_core.motion import features
from irg_core.motion.resampling import resample
from irg_core.motion.skeleton import FPS, MIRROR
from irg_core.motion.twins import Gallery, Pair, families, pairs, signature

LIMIT = 0.01


@pytest.fixture(scope="module")
def motions() -> list[np.ndarray]:
    """Two hundred different performances; copies are made of those that walk, run, jump, kick, punch, wave or squat."""
    return [take.joints for take in procedural.read(Path("irg_core/corpora/procedural.yaml"), clips=200, seed=11)]


@pytest.fixture(scope="module")
def lively() -> list[int]:
    takes = procedural.read(Path("irg_core/corpora/procedural.yaml"), clips=200, seed=11)
    acts = ("kick", "punch", "jump", "squat", "wave")
    return [number for number, take in enumerate(takes) if take.cell.startswith(acts)][:40]


def found(motions: list[np.ndarray], folder: Path, takes: list[str] | None = None) -> list[Pair]:
    gallery = Gallery(folder)
    for number, joints in enumerate(motions):
        rows = features.extract(features.retarget(joints))
        gallery.add(takes[number] if takes else str(number), signature(rows))
    return list(pairs(gallery, LIMIT, 0.5))


def mirrored(joints: np.ndarray) -> np.ndarray:
    return (joints * (-1.0, 1.0, 1.0))[:, MIRROR]


def through(fps: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda joints: resample(resample(joints, FPS, fps), fps, FPS)


COPIES: dict[str, tuple[Callable[[np.ndarray], np.ndarray], float]] = {
    "recorded at 30 frames a second": (through(30.0), 0.9),
    "recorded at 120 frames a second": (through(120.0), 0.95),
    "begun between two frames": (lambda joints: resample(resample(joints, FPS, 50)[7:], 50, FPS), 0.9),
    "without its first quarter": (lambda joints: joints[len(joints) // 4 :], 0.9),
    "left for right": (mirrored, 0.95),
    "left for right and begun later": (lambda joints: mirrored(through(60.0)(joints)[9:]), 0.8),
    "played at half the rate": (lambda joints: resample(joints, FPS / 2, FPS), 0.75),
}


@pytest.mark.parametrize("copy", COPIES)
def test_a_copy_is_found_and_nothing_else_is(
    copy: str, motions: list[np.ndarray], lively: list[int], tmp_path: Path
) -> None:
    change, share = COPIES[copy]
    together = motions + [change(motions[number]) for number in lively]
    of = {len(motions) + place: number for place, number in enumerate(lively)}
    hits = found(together, tmp_path)
    assert all(of.get(pair.second) == pair.first for pair in hits)
    assert all(pair.is_mirrored == ("left for right" in copy) for pair in hits)
    assert len(hits) >= share * len(lively)


def test_the_rate_of_a_copy_is_told(motions: list[np.ndarray], lively: list[int], tmp_path: Path) -> None:
    some = [motions[number] for number in lively]
    slower = found(some + [resample(joints, FPS / 2, FPS) for joints in some], tmp_path)
    assert np.median([pair.rate for pair in slower]) == pytest.approx(2.0, abs=0.02)


def test_pieces_of_one_recording_are_nobodys_twins(
    motions: list[np.ndarray], lively: list[int], tmp_path: Path
) -> None:
    some = [motions[number] for number in lively]
    assert found(some + some, tmp_path, [str(number) for number in lively] * 2) == []


def test_the_order_of_the_clips_does_not_matter(motions: list[np.ndarray], lively: list[int], tmp_path: Path) -> None:
    copies = [motions[number] for number in lively[:10]]
    forward = {(pair.first, pair.second) for pair in found(motions + copies, tmp_path)}
    last = len(motions) + len(copies) - 1
    backward = {(last - pair.second, last - pair.first) for pair in found((motions + copies)[::-1], tmp_path)}
    assert forward == backward


def test_who_turns_on_the_spot_is_recognised(motions: list[np.ndarray], tmp_path: Path) -> None:
    takes = procedural.read(Path("irg_core/corpora/procedural.yaml"), clips=200, seed=11)
    turns = [number for number, take in enumerate(takes) if take.cell.startswith("turn") and ">" not in take.cell]
    together = motions + [mirrored(through(30.0)(motions[number])) for number in turns]
    hits = found(together, tmp_path)
    assert len(turns) > 5
    assert {(pair.first, pair.second) for pair in hits} == {
        (number, len(motions) + place) for place, number in enumerate(turns)
    }


def test_statues_are_no_twins(motions: list[np.ndarray], tmp_path: Path) -> None:
    statue = np.repeat(motions[0][:1], 80, axis=0)
    assert found([statue, statue + 0.001], tmp_path) == []


def test_families_hang_together_under_their_first_name() -> None:
    assert families([("c", "b"), ("d", "e"), ("b", "a")]) == {"a": "a", "b": "a", "c": "a", "d": "d", "e": "d"}
