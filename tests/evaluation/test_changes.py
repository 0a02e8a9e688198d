"""What each stage changed: verdicts, and flags on gains that should not be believed."""

import numpy as np
import pytest

from irg_core.evaluation.changes import GUARDS, REWARDED, SURE, chain, steps
from irg_core.evaluation.excess import excess
from irg_core.records.changes import Step
from irg_core.records.evaluation import Values

CLIPS = 400
HELD_OUT = "held-out 'report'"
BASE, FINAL = ("base", "only"), ("stage3", "final")


def values(row: tuple[str, str], evaluator: str, metric: str, numbers: np.ndarray) -> Values:
    name = "|".join([*row, evaluator, "synthetic", metric])
    return Values(name, *row, evaluator, "synthetic", metric, "clips", float(numbers.mean()), numbers.tolist())


def hits(share: float, seed: int) -> np.ndarray:
    """Whether each clip is found; the same clips are hard for every row, as they are in life."""
    hard = np.random.default_rng(0).random(CLIPS)
    return (hard + 0.05 * np.random.default_rng(seed).standard_normal(CLIPS) < share).astype(float)


def step(gains: dict[tuple[str, str], float], *more: tuple[str, str]) -> Step:
    """From base to Stage 3, whose numbers differ by `gains`."""
    starts = {("report", "r3"): 0.6, ("reward", "r3"): 0.6, ("motion", "foot_skate"): 0.2, **dict.fromkeys(more, 0.6)}
    rows = []
    for place, start in starts.items():
        rows.append(values(BASE, *place, hits(start, 1)))
        rows.append(values(FINAL, *place, hits(start + gains.get(place, 0.0), 2)))
    (found,) = steps(rows, "synthetic", [(BASE, FINAL)], seed=3)
    return found


def verdicts(found: Step) -> dict[tuple[str, str], str]:
    return {(effect.judge, effect.name): effect.verdict for effect in found.effects}


def test_an_honest_gain_is_better_and_not_flagged() -> None:
    found = step({("report", "r3"): 0.2, ("reward", "r3"): 0.2})
    assert verdicts(found)[HELD_OUT, "R@3 in pools"] == "better"
    assert verdicts(found)[REWARDED, "R@3 in pools"] == "better"
    assert verdicts(found)["motion", "foot skate, cm/s"] == "no difference shown"
    assert found.flags == []


@pytest.mark.parametrize("held_out", [0.0, -0.2])
def test_a_gain_that_only_the_rewarding_evaluator_sees_is_flagged(held_out: float) -> None:
    found = step({("report", "r3"): held_out, ("reward", "r3"): 0.2})
    (flag,) = found.flags
    assert flag.startswith("the rewarding evaluator sees a gain in R@3 in pools; held-out 'report': ")
    assert flag.endswith(", not significant" if held_out == 0.0 else ", worse")


def test_every_held_out_evaluator_has_to_see_a_gain() -> None:
    found = step({("reward", "r3"): 0.2, ("third", "r3"): 0.2}, ("third", "r3"))
    assert verdicts(found)["held-out 'third'", "R@3 in pools"] == "better"
    (flag,) = found.flags
    assert flag.startswith("the rewarding evaluator sees a gain in R@3 in pools; held-out 'report': ")
    assert flag.endswith(", not significant")


def test_a_gain_in_the_gallery_alone_is_looked_at_as_well() -> None:
    places = ("report", "gallery_r3"), ("reward", "gallery_r3")
    found = step({("reward", "gallery_r3"): 0.2}, *places)
    (flag,) = found.flags
    assert flag.startswith("the rewarding evaluator sees a gain in R@3 in the gallery; held-out 'report': ")


def test_a_gain_that_is_paid_for_with_sliding_feet_is_flagged() -> None:
    found = step({("report", "r3"): 0.2, ("reward", "r3"): 0.2, ("motion", "foot_skate"): 0.3})
    assert verdicts(found)["motion", "foot skate, cm/s"] == "worse"
    assert found.flags == ["the gain in R@3 in pools is paid for: foot skate, cm/s (motion) got worse"]


def test_feet_that_slide_more_without_a_gain_are_no_flag() -> None:
    found = step({("motion", "foot_skate"): 0.3, ("report", "r3"): -0.2})
    assert verdicts(found)["motion", "foot skate, cm/s"] == "worse"
    assert found.flags == []


@pytest.mark.parametrize("gained", [("report", "gallery_r3"), ("report", "fid"), ("motion", "fulfilled")])
def test_any_gain_may_be_paid_for(gained: tuple[str, str]) -> None:
    gain = -0.2 if gained[1] == "fid" else 0.2
    found = step({gained: gain, ("motion", "foot_skate"): 0.3}, gained)
    (flag,) = found.flags
    assert flag.endswith(" is paid for: foot skate, cm/s (motion) got worse")


def test_a_gain_that_is_paid_for_with_a_worse_fid_is_flagged_though_it_is_not_of_retrieval() -> None:
    places = ("motion", "fulfilled"), ("report", "fid")
    found = step({places[0]: 0.2, places[1]: 0.2}, *places)
    assert found.flags == ["the gain in facts fulfilled is paid for: FID (held-out 'report') got worse"]


@pytest.mark.parametrize(("metric", "name"), GUARDS.items())
def test_a_gain_that_is_paid_for_with_impossible_bodies_is_flagged(metric: str, name: str) -> None:
    place = ("motion", metric)
    found = step({("report", "r3"): 0.2, place: 0.2}, place)
    assert found.flags == [f"the gain in R@3 in pools is paid for: {name} (motion) got worse"]
    assert name not in {effect.name for effect in found.effects}, "it guards, and is no question of its own"
    assert step({("report", "r3"): 0.2, place: -0.2}, place).flags == []


def test_losses_are_named_in_one_flag_and_counted_where_they_are_many() -> None:
    places = [("report", "fid"), *(("motion", metric) for metric in GUARDS)]
    (flag,) = step({("report", "r3"): 0.2, ("motion", "foot_skate"): 0.3, **dict.fromkeys(places, 0.2)}, *places).flags
    assert flag == (
        "the gain in R@3 in pools is paid for: FID (held-out 'report'), foot skate, cm/s (motion), "
        "below the floor, mm (motion) and 2 more got worse"
    )


def test_a_gain_in_fid_that_only_the_rewarding_evaluator_sees_is_flagged() -> None:
    places = ("report", "fid"), ("reward", "fid")
    (flag,) = step({places[1]: -0.2}, *places).flags
    assert flag.startswith("the rewarding evaluator sees a gain in FID; held-out 'report': ")
    assert flag.endswith(", not significant")
    assert step(dict.fromkeys(places, -0.2), *places).flags == []


@pytest.mark.parametrize(("held_out", "rewarding", "is_flagged"), [
    (0.1, 0.35, True), (0.2, 0.35, True), (0.3, 0.35, False), (0.3, 0.3, False), (0.35, 0.2, False),
])  # fmt: skip
def test_a_gain_of_which_the_rewarding_evaluator_sees_far_more_is_flagged(
    held_out: float, rewarding: float, is_flagged: bool
) -> None:
    found = step({("report", "r3"): held_out, ("reward", "r3"): rewarding})
    told = verdicts(found)
    assert told[HELD_OUT, "R@3 in pools"] == told[REWARDED, "R@3 in pools"] == "better"
    assert [flag.startswith("the gain in R@3 in pools is +0.3") for flag in found.flags] == [True] * is_flagged
    assert all(flag.endswith(f"by {HELD_OUT}") for flag in found.flags)
    (guard,) = found.guards
    assert (guard.verdict == "beyond") == is_flagged
    assert guard.after - guard.before == pytest.approx(rewarding - held_out, abs=0.05)


def test_an_evaluator_that_finds_nearly_all_already_may_see_less_of_a_gain() -> None:
    """From 60 to 80 % and from 93 to 98 % are the same gain in odds: of another scale, not of the reward."""
    rows = []
    for evaluator, before, after in (("reward", 0.6, 0.8), ("report", 0.93, 0.98)):
        rows += [values(BASE, evaluator, "r3", hits(before, 1)), values(FINAL, evaluator, "r3", hits(after, 2))]
    (found,) = steps(rows, "synthetic", [(BASE, FINAL)], seed=3)
    assert set(verdicts(found).values()) == {"better"}
    assert found.flags == []


def test_gains_that_are_alike_are_called_beyond_each_other_hardly_ever() -> None:
    """Each clip is found by luck of its own, by both evaluators alike; asked a hundred times at 5 %."""
    found = 0
    for seed in range(100):
        draw = np.random.default_rng(seed)
        rows = {
            (name, place): values((name, "only"), place, "r3", (draw.random(CLIPS) < share).astype(float))
            for name, share in (("base", 0.5), ("stage3", 0.7)) for place in ("reward", "report")
        }  # fmt: skip
        gains = [(rows["base", place], rows["stage3", place]) for place in ("reward", "report")]
        found += excess(gains[0], gains[1], seed).p < SURE
    assert found <= 5


def test_equal_models_differ_in_nothing() -> None:
    """Twenty chains of models that are all alike: in a whole table at 5 %, hardly one finds anything."""
    found = 0
    for seed in range(20):
        draw = np.random.default_rng(100 + seed)
        places = [("report", "r3"), ("reward", "r3"), ("report", "gallery_r3")]
        rows = [
            values((f"m{model}", "only"), *place, (draw.random(CLIPS) < 0.6).astype(float))
            for model in range(4)
            for place in places
        ]
        compared = chain([(f"m{model}", "only") for model in range(4)])
        found += any(
            e.verdict != "no difference shown" for s in steps(rows, "synthetic", compared, seed) for e in s.effects
        )
    assert found <= 4


def test_a_chain_compares_last_and_first_motions_from_model_to_model_and_its_end_with_its_beginning() -> None:
    rows = [("base", "only"), ("stage2", "first"), ("stage2", "final"), ("stage3", "first"), ("stage3", "final")]
    assert chain(rows) == [
        (("base", "only"), ("stage2", "final")),
        (("base", "only"), ("stage2", "first")),
        (("stage2", "first"), ("stage2", "final")),
        (("stage2", "final"), ("stage3", "final")),
        (("stage2", "first"), ("stage3", "first")),
        (("stage3", "first"), ("stage3", "final")),
        (("base", "only"), ("stage3", "final")),
    ]
    assert chain([("base", "only"), ("other", "only")]) == [(("base", "only"), ("other", "only"))]
    assert chain([]) == []


def test_a_number_that_is_rewarded_is_marked_and_no_witness() -> None:
    """The same gain in facts fulfilled: a finding where nothing rewards it, a doubt where Stage 3 was paid for it."""
    rows = []
    for place in (("report", "r3"), ("motion", "fulfilled")):
        rows.append(values(BASE, *place, hits(0.4, 1)))
        rows.append(values(FINAL, *place, hits(0.4 if place[0] == "report" else 0.7, 2)))
    (free,), (paid,) = (steps(rows, "synthetic", [(BASE, FINAL)], 3, rewarded) for rewarded in ((), ("fulfilled",)))
    assert verdicts(free)["motion", "facts fulfilled"] == "better"
    assert free.flags == []
    assert verdicts(paid)["motion, rewarded", "facts fulfilled"] == "better"
    assert paid.flags == ["a gain in facts fulfilled, which is rewarded itself; no held-out evaluator sees R@3 gain"]
