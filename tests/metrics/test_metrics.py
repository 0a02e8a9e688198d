"""The metrics against their plain formulas in float64, and against cases whose answer is known by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg

from irg_core import plugins
from irg_core.metrics import diversity, fid, mm_dist, r_precision
from irg_core.records.evaluation import Measure, Protocol, Samples

PROTOCOL = Protocol(seed=3, pool=32, redraws=20, pairs=300, near_identical=0.9)


def samples(
    texts: np.ndarray, motions: np.ndarray, real: np.ndarray | None = None, same: np.ndarray | None = None
) -> Samples:
    same = np.eye(len(texts), dtype=bool) if same is None else same
    return Samples(texts, motions, motions if real is None else real, same, PROTOCOL)


def values(measures: list[Measure]) -> dict[str, float]:
    return {measure.metric: measure.mean for measure in measures}


def plain_distance(one: np.ndarray, two: np.ndarray) -> float:
    return float(np.sqrt(sum((float(a) - float(b)) ** 2 for a, b in zip(one, two, strict=True))))


def points(clips: int, width: int = 8, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((clips, width)).astype(np.float32)


def test_every_metric_of_the_room_measures_the_same_samples() -> None:
    drawn = samples(points(40), points(40, seed=1))
    for name in plugins.names("irg_core.metrics"):
        measures = plugins.load("irg_core.metrics", name).compute(drawn)
        assert measures
        assert all(np.isfinite([m.mean, m.interval, m.spread]).all() and m.n == 40 for m in measures)


def test_motions_on_their_texts_are_always_found() -> None:
    found = values(r_precision.compute(samples(points(100), points(100))))
    assert set(found.values()) == {1.0}


def test_unrelated_motions_are_found_by_chance() -> None:
    found = {m.metric: m for m in r_precision.compute(samples(points(640), points(640, seed=1)))}
    for rank in (1, 2, 3):
        assert found[f"r{rank}"].mean == pytest.approx(rank / 32, abs=0.02)
        assert found[f"gallery_r{rank}"].mean == pytest.approx(rank / 640, abs=0.01)


def test_one_motion_for_every_text_scores_at_chance() -> None:
    found = values(r_precision.compute(samples(points(640), np.ones((640, 8), np.float32))))
    assert found["r3"] == pytest.approx(3 / 32, abs=0.01)
    assert found["gallery_r3"] == pytest.approx(3 / 640, abs=1e-9)


def test_a_motion_made_for_a_near_identical_goal_is_a_hit() -> None:
    """Motions 0 and 1 are exchanged: a miss for both texts, unless their goals are the same."""
    texts = np.diag([10.0] * 6)
    motions = texts[[1, 0, 2, 3, 4, 5]]
    same = np.eye(6, dtype=bool)
    assert values(r_precision.compute(samples(texts, motions, same=same)))["gallery_r1"] == pytest.approx(4 / 6)
    same[0, 1] = same[1, 0] = True
    assert values(r_precision.compute(samples(texts, motions, same=same)))["gallery_r1"] == 1.0


def test_first_hits_are_the_ranks_of_the_plain_formula() -> None:
    texts, motions = points(12), points(12, seed=1)
    distances = r_precision.euclidean(texts, motions)
    plain = [[plain_distance(text, motion) for motion in motions] for text in texts]
    assert np.abs(distances - np.array(plain)).max() < 1e-12
    ranks = r_precision.first_hits(distances, np.eye(12, dtype=bool), np.arange(12)[None])
    assert ranks.tolist() == [sum(d < row[i] for d in row) for i, row in enumerate(plain)]


def test_the_partial_pool_is_dropped_but_every_clip_has_its_turn() -> None:
    drawn = samples(points(40), points(40, seed=1))
    assert r_precision.pools(40, drawn, 0).shape == (1, 32)
    assert r_precision.pools(40, drawn, 0).tolist() != r_precision.pools(40, drawn, 1).tolist()
    assert {m.n for m in r_precision.compute(drawn)} == {40}
    assert r_precision.pools(10, drawn, 0).shape == (1, 10)


def test_the_interval_of_r_precision_is_that_of_a_bootstrap_over_clips() -> None:
    """Redraws of pools alone would claim to know the number far better than the clips allow."""
    texts = points(320)
    drawn = samples(texts, texts + 2.0 * points(320, seed=1))
    found = {m.metric: m for m in r_precision.compute(drawn)}
    distances = r_precision.euclidean(texts, drawn.motions)
    ranks = [r_precision.first_hits(distances, drawn.same, r_precision.pools(320, drawn, n)) for n in range(20)]
    hits = (np.stack(ranks) < 1).mean(0)
    bootstrap = np.random.default_rng(5)
    means = [hits[bootstrap.integers(320, size=320)].mean() for _ in range(2000)]
    assert found["r1"].interval == pytest.approx(1.96 * np.std(means), rel=0.1)
    assert found["r1"].spread < found["r1"].interval / 2


def test_mm_dist_is_the_mean_distance_of_each_text_to_its_motion() -> None:
    texts, motions = points(50), points(50, seed=1)
    plain = [plain_distance(text, motion) for text, motion in zip(texts, motions, strict=True)]
    (found,) = mm_dist.compute(samples(texts, motions))
    assert found.mean == pytest.approx(np.mean(plain), abs=1e-12)
    assert found.interval == pytest.approx(1.96 * np.std(plain, ddof=1) / np.sqrt(50))


def test_fid_is_the_frechet_distance_of_the_plain_formula() -> None:
    one, two = points(300).astype(np.float64), 1.5 * points(300, seed=1).astype(np.float64) + 0.3
    a, b = np.cov(one, rowvar=False), np.cov(two, rowvar=False)
    plain = np.square(one.mean(0) - two.mean(0)).sum() + np.trace(a + b - 2 * linalg.sqrtm(a @ b).real)
    assert fid.frechet(one, two) == pytest.approx(plain, rel=1e-9)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(-3, 3), min_size=4, max_size=4), st.floats(0.2, 4))
def test_fid_of_a_shifted_and_scaled_copy_is_known(shift: list[float], scale: float) -> None:
    """Same axes: |shift|^2 + tr C (scale - 1)^2, around the mean of the first."""
    one = points(200, width=4).astype(np.float64)
    one -= one.mean(0)
    expected = np.square(shift).sum() + (scale - 1) ** 2 * np.trace(np.cov(one, rowvar=False))
    assert fid.frechet(one, scale * one + np.array(shift)) == pytest.approx(expected, rel=1e-7, abs=1e-9)


def test_fid_stands_singular_covariances() -> None:
    """A model that always answers alike, and fewer clips than dimensions."""
    real = points(40, width=64)
    always = np.tile(real[:1], (40, 1))
    expected = np.square(real[0] - real.mean(0)).sum() + np.trace(np.cov(real.astype(np.float64), rowvar=False))
    assert fid.frechet(always, real) == pytest.approx(expected, rel=1e-6)
    assert fid.frechet(real, real) == pytest.approx(0.0, abs=1e-9)


def test_fid_says_nothing_of_a_handful_of_clips() -> None:
    assert fid.compute(samples(points(31), points(31))) == []


def test_diversity_is_the_mean_distance_of_random_pairs() -> None:
    """On the corners of a square of side 1 two different clips are 1, 1 or sqrt(2) apart."""
    corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=np.float32)
    (found,) = diversity.compute(
        Samples(corners, corners, corners, np.eye(4, dtype=bool), Protocol(0, 32, 4000, 300, 0.9))
    )
    assert found.mean == pytest.approx((2 + np.sqrt(2)) / 3, abs=0.01)


def test_scores_do_not_depend_on_anything_but_the_samples() -> None:
    drawn = samples(points(70), points(70, seed=1), points(70, seed=2))
    for name in plugins.names("irg_core.metrics"):
        metric = plugins.load("irg_core.metrics", name)
        assert metric.compute(drawn) == metric.compute(drawn)
