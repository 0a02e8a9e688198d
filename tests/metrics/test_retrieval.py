"""R-precision against ranks counted one by one, and against cases whose answer is known by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from irg_core.metrics import r_precision
from irg_core.records.evaluation import Measure, Protocol, Samples
from irg_core.seeds import rng
from tests.metrics.conftest import Draw, Make


def values(measures: list[Measure]) -> dict[str, float]:
    return {measure.metric: measure.mean for measure in measures}


def counted(drawn: Samples) -> dict[str, float]:
    """R-precision as the field's scripts go about it: pool by pool, text by text, by sorted distances of float64."""
    clips, protocol = len(drawn.texts), drawn.protocol
    distances = cdist(drawn.texts.astype(np.float64), drawn.motions.astype(np.float64))
    size = min(protocol.pool, clips)
    hits: dict[str, list[bool]] = {}

    def rank(text: int, pool: list[int]) -> int:
        order = sorted(range(len(pool)), key=lambda place: (distances[text, pool[place]], place))
        return next(rank for rank, place in enumerate(order) if drawn.same[text, pool[place]])

    for draw in range(protocol.redraws):
        shuffled = rng(protocol.seed, "pools", draw).permutation(clips).tolist()
        for start in range(0, clips, size):
            own = shuffled[start : start + size]
            pool = own + shuffled[: size - len(own)]
            for text in own:
                for k in r_precision.RANKS:
                    hits.setdefault(f"r{k}", []).append(rank(text, pool) < k)
    for text in range(clips):
        for k in r_precision.RANKS:
            hits.setdefault(f"gallery_r{k}", []).append(rank(text, list(range(clips))) < k)
    return {name: float(np.mean(found)) for name, found in hits.items()}


def test_motions_on_their_texts_are_always_found(points: Draw, samples: Make) -> None:
    assert set(values(r_precision.compute(samples(points(100), points(100)))).values()) == {1.0}


def test_unrelated_motions_are_found_by_chance(points: Draw, samples: Make) -> None:
    found = values(r_precision.compute(samples(points(640), points(640, seed=1))))
    for rank in (1, 2, 3):
        assert found[f"r{rank}"] == pytest.approx(rank / 32, abs=0.02)
        assert found[f"gallery_r{rank}"] == pytest.approx(rank / 640, abs=0.01)


def test_one_motion_for_every_text_scores_at_chance(points: Draw, samples: Make) -> None:
    found = values(r_precision.compute(samples(points(640), np.tile(points(1), (640, 1)))))
    assert found["r3"] == pytest.approx(3 / 32, abs=0.01)
    assert found["gallery_r3"] == pytest.approx(3 / 640, abs=1e-9)


def test_a_motion_made_for_a_near_identical_goal_is_a_hit(samples: Make) -> None:
    """Motions 0 and 1 are exchanged: a miss for both texts, unless their goals are the same."""
    texts = np.diag([10.0] * 6)
    motions = texts[[1, 0, 2, 3, 4, 5]]
    same = np.eye(6, dtype=bool)
    assert values(r_precision.compute(samples(texts, motions, same=same)))["gallery_r1"] == pytest.approx(4 / 6)
    same[0, 1] = same[1, 0] = True
    assert values(r_precision.compute(samples(texts, motions, same=same)))["gallery_r1"] == 1.0


@pytest.mark.parametrize("clips", [2, 31, 32, 33, 95, 96, 130])
def test_r_precision_is_that_of_counting(clips: int, points: Draw, samples: Make) -> None:
    """Also with duplicates among motions and goals, and with a last pool that is partial."""
    texts = points(clips)
    motions = texts + 0.8 * points(clips, seed=1)
    motions[: clips // 4] = motions[clips // 4 : 2 * (clips // 4)]
    same = np.eye(clips, dtype=bool)
    same[0, -1] = same[-1, 0] = True
    drawn = samples(texts, motions, same=same, protocol=Protocol(3, 32, 4, 300, 0.9))
    assert values(r_precision.compute(drawn)) == pytest.approx(counted(drawn), abs=1e-12)


@settings(max_examples=20)
@given(st.integers(3, 70), st.integers(1, 12), st.integers(0, 999), st.booleans())
def test_ranks_do_not_change_when_the_space_is_turned_moved_or_scaled(
    points: Draw, samples: Make, clips: int, width: int, seed: int, has_ties: bool
) -> None:
    texts, motions = points(clips, width, seed).astype(np.float64), points(clips, width, seed + 1).astype(np.float64)
    if has_ties:
        motions[: clips // 2] = motions[0]
    turn, _ = np.linalg.qr(points(width, width, seed + 2).astype(np.float64))
    here, there = samples(texts, motions), samples(3.0 * texts @ turn + 5.0, 3.0 * motions @ turn + 5.0)
    assert np.array_equal(r_precision.pool_ranks(here), r_precision.pool_ranks(there))
    assert np.array_equal(r_precision.gallery_ranks(here), r_precision.gallery_ranks(there))


def test_distances_are_exact_also_where_points_nearly_meet(points: Draw) -> None:
    texts = points(40, 16).astype(np.float64)
    motions = texts + 1e-7 * points(40, 16, seed=1)
    plain = cdist(texts, motions)
    assert np.abs(r_precision.euclidean(texts, motions) / plain - 1.0).max() < 1e-6
    assert np.abs(r_precision.euclidean(texts, texts).diagonal()).max() == 0.0


def test_the_partial_pool_is_filled_up_and_every_clip_is_ranked_in_every_redraw(points: Draw, samples: Make) -> None:
    drawn = samples(points(40), points(40, seed=1))
    members = r_precision.pools(40, drawn, 0)
    assert members.shape == (2, 32)
    assert all(len(set(pool)) == 32 for pool in members.tolist())
    assert set(members.reshape(-1).tolist()) == set(range(40))
    assert members.tolist() != r_precision.pools(40, drawn, 1).tolist()
    assert {m.n for m in r_precision.compute(drawn)} == {40}
    assert r_precision.pools(10, drawn, 0).shape == (1, 10)


def test_the_interval_of_r_precision_is_that_of_a_bootstrap_over_clips(points: Draw, samples: Make) -> None:
    """Redraws of pools alone would claim to know the number far better than the clips allow."""
    texts = points(320)
    drawn = samples(texts, texts + 2.0 * points(320, seed=1))
    found = {m.metric: m for m in r_precision.compute(drawn)}
    hits = np.array(found["r1"].values)
    bootstrap = np.random.default_rng(5)
    means = [hits[bootstrap.integers(320, size=320)].mean() for _ in range(2000)]
    assert found["r1"].interval == pytest.approx(1.96 * np.std(means), rel=0.1)
    assert found["r1"].spread < found["r1"].interval / 2
