"""What all metrics of the room promise, and those that are a formula against that formula, worked out otherwise."""

import dataclasses
import math
import statistics
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irg_core import plugins
from irg_core.metrics import caption_likeness, diversity, fulfilled, mm_dist, multimodality
from irg_core.motion.skeleton import PARENTS
from irg_core.records.evaluation import Protocol, Samples
from irg_core.seeds import rng
from tests.metrics.conftest import Draw, Make

NAMES = plugins.names("irg_core.metrics")


def plain_distance(one: np.ndarray, two: np.ndarray) -> float:
    return float(np.sqrt(sum((float(a) - float(b)) ** 2 for a, b in zip(one, two, strict=True))))


@pytest.fixture
def full(points: Draw, samples: Make) -> Samples:
    """Seventy clips of which everything is known that a metric may ask for."""
    joints = [rng(0, "joints", clip).standard_normal((8, len(PARENTS), 3)) for clip in range(70)]
    words = ["walks", "runs", "jumps", "turns left", "turns right"]
    said = [f"a person {words[clip % 5]} {words[clip // 5 % 5]}" for clip in range(70)]
    return samples(
        points(70), points(70, seed=1), points(70, seed=2), joints=joints, real_joints=joints[::-1],
        codes=[[clip % 7, 3] for clip in range(70)],
        fulfilled=[clip % 3 > 0 for clip in range(70)], variants=points(60, seed=3).reshape(12, 5, 8),
        said=said, said_points=points(70, seed=4), references=[[text, "a person stands"] for text in said[::-1]],
    )  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_every_metric_measures_what_it_is_given_and_nothing_else(name: str, full: Samples) -> None:
    metric = plugins.load("irg_core.metrics", name)
    measures = metric.compute(full)
    assert measures
    assert metric.OF in {"space", "motion", "words"}
    assert len({measure.metric for measure in measures}) == len(measures)
    for measure in measures:
        assert np.isfinite([measure.mean, measure.interval, measure.spread, *measure.values]).all()
        assert measure.n == (12 if name == "multimodality" else 70)
        assert len(measure.values) in {0, measure.n if measure.over == "clips" else full.protocol.redraws}
    assert metric.compute(full) == measures


def test_what_a_row_lacks_is_not_measured(points: Draw, samples: Make) -> None:
    bare = samples(points(40), points(40, seed=1))
    measured = {name for name in NAMES if plugins.load("irg_core.metrics", name).compute(bare)}
    assert measured == {"r_precision", "mm_dist", "fid", "diversity"}


@pytest.mark.parametrize("name", ["r_precision", "mm_dist", "fid", "diversity"])
def test_of_one_clip_nothing_is_said(name: str, points: Draw, samples: Make) -> None:
    assert plugins.load("irg_core.metrics", name).compute(samples(points(1), points(1))) == []


def test_a_measure_of_clips_is_their_mean_with_the_fields_interval(points: Draw, samples: Make) -> None:
    (found,) = mm_dist.compute(samples(points(50), points(50, seed=1)))
    assert found.mean == pytest.approx(np.mean(found.values), abs=1e-12)
    assert found.interval == pytest.approx(1.96 * np.std(found.values, ddof=1) / np.sqrt(50))
    assert found.over == "clips"


@settings(max_examples=25)
@given(st.integers(2, 40), st.integers(1, 6), st.floats(0.1, 100), st.integers(0, 999))
def test_mm_dist_is_the_mean_distance_of_each_text_to_its_motion(
    points: Draw, samples: Make, clips: int, width: int, scale: float, seed: int
) -> None:
    texts, motions = points(clips, width, seed), points(clips, width, seed + 1)
    plain = np.mean([plain_distance(text, motion) for text, motion in zip(texts, motions, strict=True)])
    assert mm_dist.compute(samples(texts, motions))[0].mean == pytest.approx(plain, rel=1e-12)
    scaled = samples(scale * texts.astype(np.float64), scale * motions.astype(np.float64))
    assert mm_dist.compute(scaled)[0].mean == pytest.approx(scale * plain, rel=1e-9)
    order = np.random.default_rng(seed).permutation(clips)
    assert mm_dist.compute(samples(texts[order], motions[order]))[0].mean == pytest.approx(plain, rel=1e-12)


def test_diversity_is_the_mean_distance_of_random_pairs(samples: Make) -> None:
    """On the corners of a square of side 1 two different clips are 1, 1 or sqrt(2) apart."""
    corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=np.float32)
    (found,) = diversity.compute(samples(corners, corners, protocol=Protocol(0, 32, 4000, 300, 0.9)))
    assert found.mean == pytest.approx((2 + np.sqrt(2)) / 3, abs=0.01)


def test_diversity_is_that_of_the_plain_formula_on_the_same_pairs(points: Draw, samples: Make) -> None:
    drawn = samples(points(700, 16), points(700, 16, seed=1))
    plain = []
    for draw in range(drawn.protocol.redraws):
        shuffled = rng(drawn.protocol.seed, "diversity", draw).permutation(700)
        pairs = zip(shuffled[:300], shuffled[300:600], strict=True)
        plain.append(np.mean([plain_distance(drawn.motions[a], drawn.motions[b]) for a, b in pairs]))
    (found,) = diversity.compute(drawn)
    assert found.mean == pytest.approx(np.mean(plain), rel=1e-12)
    assert found.spread == pytest.approx(1.96 * np.std(plain, ddof=1) / np.sqrt(20), rel=1e-9)


def test_one_motion_for_everything_has_no_diversity(points: Draw, samples: Make) -> None:
    (found,) = diversity.compute(samples(points(40), np.ones((40, 8), np.float32)))
    assert (found.mean, found.interval, found.spread) == (0.0, 0.0, 0.0)


def test_multimodality_is_the_mean_over_every_pair_of_a_text(points: Draw, samples: Make) -> None:
    variants = points(30).reshape(6, 5, 8)
    plain = [
        np.mean([plain_distance(motions[a], motions[b]) for a in range(5) for b in range(a)]) for motions in variants
    ]
    (found,) = multimodality.compute(samples(points(9), points(9), variants=variants))
    assert found.mean == pytest.approx(np.mean(plain), rel=1e-12)
    assert found.n == 6


def test_motions_that_are_alike_for_a_text_have_no_multimodality(points: Draw, samples: Make) -> None:
    variants = np.repeat(points(6)[:, None], 4, axis=1)
    assert multimodality.compute(samples(points(9), points(9), variants=variants))[0].mean == 0.0


@settings(max_examples=40)
@given(st.lists(st.booleans(), min_size=1, max_size=60))
def test_fulfilled_is_the_share_of_goals_with_the_interval_of_agresti_and_coull(
    points: Draw, samples: Make, hits: list[bool]
) -> None:
    """By exact fractions: the variance of the same goals and of one hit and one miss more."""
    goals = samples(points(70), points(70), fulfilled=hits)
    (found,) = fulfilled.compute(goals)
    assert found.mean == pytest.approx(float(Fraction(sum(hits), len(hits))), abs=1e-15)
    assert (found.metric, found.n, found.values) == ("fulfilled", len(hits), tuple(float(hit) for hit in hits))
    share = Fraction(sum(hits) + 1, len(hits) + 2)
    assert found.interval == pytest.approx(1.96 * math.sqrt(share * (1 - share) / (len(hits) + 1)), rel=1e-12)


@settings(max_examples=40)
@given(st.integers(2, 30), st.integers(1, 24), st.integers(0, 999), st.floats(1e-6, 1e6))
def test_caption_likeness_is_the_mean_cosine_of_what_is_said_and_the_goal(
    points: Draw, samples: Make, clips: int, width: int, seed: int, scale: float
) -> None:
    """Summed exactly, angle by angle; how long the vectors are is no matter."""
    goals, said = points(clips, width, seed), points(clips, width, seed + 1)

    def cosine(one: list[float], two: list[float]) -> float:
        both = math.fsum(a * b for a, b in zip(one, two, strict=True))
        return both / math.sqrt(math.fsum(a * a for a in one)) / math.sqrt(math.fsum(b * b for b in two))

    plain = [cosine(*pair) for pair in zip(goals.tolist(), said.tolist(), strict=True)]
    longer = scale * said.astype(np.float64)
    (found,) = caption_likeness.compute(samples(goals, points(clips), said_points=longer))
    assert found.values == pytest.approx(plain, rel=1e-9, abs=1e-12)
    assert found.mean == pytest.approx(statistics.fmean(plain), rel=1e-9, abs=1e-12)
    error = statistics.stdev(plain) / math.sqrt(clips)
    assert found.interval == pytest.approx(1.96 * error, rel=1e-6, abs=1e-9)


def test_a_sentence_at_no_place_is_like_nothing(points: Draw, samples: Make) -> None:
    said = points(4)
    said[1] = 0.0
    (found,) = caption_likeness.compute(samples(points(4), points(4), said_points=said))
    assert found.values == pytest.approx((1.0, 0.0, 1.0, 1.0))


def test_distances_do_not_depend_on_where_the_space_has_its_origin(points: Draw, samples: Make) -> None:
    drawn = samples(points(64), points(64, seed=1), points(64, seed=2))
    moved = {name: getattr(drawn, name).astype(np.float64) + 37.0 for name in ("texts", "motions", "real")}
    for name in ("r_precision", "mm_dist", "fid", "diversity"):
        metric = plugins.load("irg_core.metrics", name)
        for here, there in zip(metric.compute(drawn), metric.compute(dataclasses.replace(drawn, **moved)), strict=True):
            assert there.mean == pytest.approx(here.mean, rel=1e-6, abs=1e-9)
