"""What each stage changed: verdicts, and flags on gains that should not be believed."""

import numpy as np
import pytest

from irg_core.evaluation.changes import REWARDED, chain, steps
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
    assert flag.endswith(", not shown" if held_out == 0.0 else ", worse")


def test_every_held_out_evaluator_has_to_see_a_gain() -> None:
    found = step({("reward", "r3"): 0.2, ("third", "r3"): 0.2}, ("third", "r3"))
    assert verdicts(found)["held-out 'third'", "R@3 in pools"] == "better"
    (flag,) = found.flags
    assert flag.startswith("the rewarding evaluator sees a gain in R@3 in pools; held-out 'report': ")
    assert flag.endswith(", not shown")


def test_a_gain_in_the_gallery_alone_is_looked_at_as_well() -> None:
    places = ("report", "gallery_r3"), ("reward", "gallery_r3")
    found = step({("reward", "gallery_r3"): 0.2}, *places)
    (flag,) = found.flags
    assert flag.startswith("the rewarding evaluator sees a gain in R@3 in the gallery; held-out 'report': ")


def test_a_gain_that_is_paid_for_with_sliding_feet_is_flagged() -> None:
    found = step({("report", "r3"): 0.2, ("reward", "r3"): 0.2, ("motion", "foot_skate"): 0.3})
    assert verdicts(found)["motion", "foot skate, cm/s"] == "worse"
    assert found.flags == ["R@3 is paid for: foot skate, cm/s (motion) got worse"]


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
