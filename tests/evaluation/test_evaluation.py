"""From test clips to scores: what is asked, what counts as an answer, and which rows the table gets."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from irg_core.errors import ModelError
from irg_core.evaluation import answers
from irg_core.evaluation.answers import Asked, Failed, Shown
from irg_core.evaluation.captions import captions
from irg_core.evaluation.goals import Goal, goals, subsets
from irg_core.evaluation.memory import Memory
from irg_core.evaluation.scores import exchanged, scores
from irg_core.evaluation.variants import VariantParams, variants
from irg_core.models.decoding import Sampling
from irg_core.models.evaluator import Evaluator
from irg_core.models.language import Language, LanguageConfig
from irg_core.models.vocabulary import Vocabulary
from irg_core.models.vqvae import MotionTokenizer, VqConfig, VqVae
from irg_core.motion.thresholds import KinematicsParams
from irg_core.params import section
from irg_core.records.annotation import Caption
from irg_core.records.evaluation import Protocol
from irg_core.records.motion import Clip, Split
from irg_core.seeds import rng

PROTOCOL = Protocol(seed=1, pool=4, redraws=3, pairs=10, near_identical=0.9)
LIMITS = section("kinematics", KinematicsParams)
SAMPLING = Sampling(seed=1, temperature=1.0, top_p=1.0, max_tokens=120, max_codes=6, max_text=8, max_rounds=2, batch=8)
VERBS = ["walks", "runs", "jumps", "bows", "waves", "kicks", "turns", "squats"]


def clip(index: int, corpus: str = "made") -> Clip:
    frames = rng(0, index).standard_normal((24 + 4 * index, 263)).astype(np.float32)
    return Clip(f"{corpus}/{index}", corpus, f"{corpus}/{index}", "", frames, [], "")


def asked_goals() -> list[Goal]:
    return [Goal(clip(i), f"made/{i}/0", f"a person {verb}", i >= 5) for i, verb in enumerate(VERBS)]


@pytest.fixture
def asked(tmp_path: Path) -> Callable[[str], Asked]:
    """Models of random weights: they know nothing, but they answer."""
    (tmp_path / "references").write_text(json.dumps({"mean": [0.5] * 263}))
    vocabulary = Vocabulary.learn(VERBS, 280, 16)
    language = Language.create(LanguageConfig(1, 32, 2, 32, 512), vocabulary, 3)
    language.save(tmp_path / "model")
    config = VqConfig(width=16, depth=1, codes=16, code_width=8)
    codec = MotionTokenizer(VqVae(config, 263), config)
    codec.net.codebook.vectors.copy_(torch.from_numpy(rng(0, "codes").standard_normal((16, 8))))

    def make(model: str) -> Asked:
        weights = tmp_path / ("references" if model == "references" else "model")
        return Asked(model, weights, asked_goals(), codec, SAMPLING, 2, 1, map, Memory(tmp_path / "memory" / model))

    return make


def test_goals_are_test_clips_with_one_caption_of_their_own() -> None:
    clips = [clip(index) for index in range(3)]
    splits = [Split("made/0", "made", "train", False, [0]), Split("made/1", "made", "test", True, [0, 1]),
              Split("made/2", "made", "test", False, [0])]  # fmt: skip
    said = {
        c.clip_id: [Caption(f"{c.clip_id}/{i}", c.clip_id, i, f"caption {i}", "", "source") for i in range(2)]
        + [Caption(f"{c.clip_id}/2", c.clip_id, 2, "written", "", "kinematic")]
        for c in clips
    }
    found = goals(clips, splits, said, seed=1)
    assert [(goal.clip.clip_id, goal.unseen) for goal in found] == [("made/1", True), ("made/2", False)]
    assert all(goal.text.startswith("caption") for goal in found)
    assert goals(list(reversed(clips)), splits, said, seed=1)[0].caption_id == found[0].caption_id


def test_corpora_are_never_mixed_unless_synthetic() -> None:
    found = [Goal(clip(i, c), "", "", u) for i, (c, u) in enumerate([("a", False), ("b", True), ("real", True)])]
    rows = {name: indices.tolist() for name, indices in subsets(found, {"a", "b"}).items()}
    assert rows == {"synthetic": [0, 1], "synthetic/seen": [0], "synthetic/unseen": [1], "real": [2]}


def test_no_goal_keeps_its_motion_in_the_shuffled_pairing() -> None:
    rows = np.array([3, 5, 8, 13, 21])
    others = exchanged(rows, 1, "made")
    assert sorted(others.tolist()) == rows.tolist()
    assert not (others == rows).any()


def test_the_references_are_the_four_rows_that_stand_beside_every_model(asked: Callable[[str], Asked]) -> None:
    found = answers.references(asked("references"))
    assert [row.row for row in found.shown] == ["real", "random", "mean-pose", "reconstruction"]
    still = found.shown[2].features
    assert all(np.array_equal(frames, still[0]) and (frames == 0.5).all() for frames in still)
    assert [len(row.motions[0]) for row in found.generations] == [len(g.clip.features) // 4 for g in asked_goals()]


@pytest.mark.parametrize(
    ("kind", "rows"),
    [
        ("direct", [("m", "only"), ("m-shuffled", "only")]),
        ("composed", [("m", "first"), ("m", "final")]),
        ("trace", [("m", "first"), ("m", "final")]),
    ],
)
def test_every_goal_is_answered_whatever_the_model_knows(
    asked: Callable[[str], Asked], kind: answers.Kind, rows: list[tuple[str, str]]
) -> None:
    found = answers.KINDS[kind](asked("m"))
    assert [(row.row, row.motion) for row in found.shown] == rows
    assert all(len(row.features) == len(VERBS) and all(map(len, row.features)) for row in found.shown)
    assert len(found.generations) == found.counts["clips"] == sum(found.counts["stops"].values()) == len(VERBS)
    assert ("free" in found.counts) == (kind == "trace")
    again = answers.KINDS[kind](asked("m"))
    assert again.generations == found.generations


def test_an_answer_without_a_motion_is_counted_and_stays(asked: Callable[[str], Asked]) -> None:
    decoded, failed = answers._decoded([[], [[]], [[1, 2]]], -1, asked("references"))
    assert failed == Failed(empty=2, not_finite=0)
    assert [len(frames) for frames in decoded] == [4, 4, 8]


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_a_motion_of_no_finite_numbers_is_an_answer_without_a_motion(
    asked: Callable[[str], Asked], number: float
) -> None:
    tokenizer = asked("m").tokenizer
    empty, sound = tokenizer.decode([[0], [1, 2]])
    tokenizer.net.codebook.vectors[3] = number
    found, failed = answers.performed(tokenizer, [[], [1, 3, 2], [1, 2]])
    assert failed == Failed(empty=1, not_finite=1)
    assert all(np.array_equal(one, two) for one, two in zip(found, [empty, empty, sound], strict=True))


def test_motions_of_no_finite_numbers_are_told_and_cost_a_model_no_other_answer(asked: Callable[[str], Asked]) -> None:
    whole = answers.KINDS["direct"](asked("m"))
    code = next(code for code in range(1, 16) if 0 < sum(code in row.motions[0] for row in whole.generations) < 8)
    hit = [code in row.motions[0] for row in whole.generations]
    spoilt = asked("m")
    spoilt.tokenizer.net.codebook.vectors[code] = np.nan
    found = answers.KINDS["direct"](spoilt)
    assert found.counts == whole.counts | {"failures": sum(hit), "not_finite": sum(hit)}
    assert found.generations == whole.generations
    for is_hit, before, after in zip(hit, whole.shown[0].features, found.shown[0].features, strict=True):
        assert np.isfinite(after).all()
        assert np.array_equal(before, after) != is_hit
    several = variants(spoilt, "direct", VariantParams(goals=8, each=4, temperature=1.0))
    assert all(np.isfinite(motion).all() for motions in several.values() for motion in motions)


def test_a_tokenizer_that_makes_nothing_finite_is_an_error_and_no_row_of_failures(
    asked: Callable[[str], Asked],
) -> None:
    broken = asked("m")
    broken.tokenizer.net.codebook.vectors.fill_(np.nan)
    with pytest.raises(ModelError, match="tokenizer decodes code 0 to numbers that are not finite"):
        answers.KINDS["direct"](broken)


@pytest.fixture
def judges() -> dict[str, Evaluator]:
    stats = {"mean": [0.0] * 263, "std": [1.0] * 263}
    kinds = (("reward", "guo"), ("report", "tmr"))
    return {name: Evaluator.create(kind, 16, 1, 8, VERBS, stats) for name, kind in kinds}


def test_every_row_is_scored_in_every_space_on_every_subset(judges: dict[str, Evaluator]) -> None:
    real = [goal.clip.features for goal in asked_goals()]
    shown = [Shown("real", "only", real), Shown("random", "only", real, is_shuffled=True)]
    parts = subsets(asked_goals(), {"made"})
    scored = list(scores(shown, asked_goals(), parts, judges, ["r_precision", "mm_dist"], PROTOCOL, LIMITS))
    found = [one.score for one in scored]
    places = {(s.row, s.evaluator, s.subset, s.metric) for s in found}
    assert len(places) == len(found) == 2 * 2 * 3 * 7
    whole = {s.row: s for s in found if (s.evaluator, s.subset, s.metric) == ("report", "synthetic", "mm_dist")}
    assert whole["real"].mean != whole["random"].mean
    assert whole["real"].n == len(VERBS)
    assert all(one.score.mean == pytest.approx(np.mean(one.values.values), abs=1e-5) for one in scored)


@pytest.mark.parametrize("frames", [np.nan, 3e38])
def test_what_an_evaluator_cannot_place_is_named_and_gives_no_number(
    judges: dict[str, Evaluator], frames: float
) -> None:
    """Its row would have an R-precision of 1: each comparison with what is not a number is false."""
    real = [goal.clip.features for goal in asked_goals()]
    last = [*real[:2], np.full_like(real[2], frames), *real[3:]]
    shown = [Shown("real", "only", real), Shown("m", "final", last)]
    parts = subsets(asked_goals(), {"made"})
    with pytest.raises(ModelError, match=r"^evaluator 'report' puts the final motion of 'm' for made/2 at no finite"):
        list(scores(shown, asked_goals(), parts, judges, ["r_precision", "fid"], PROTOCOL, LIMITS))


def test_an_evaluator_that_can_place_nothing_is_named(judges: dict[str, Evaluator]) -> None:
    real = [goal.clip.features for goal in asked_goals()]
    for weight in judges["report"].texts.parameters():
        weight.data.fill_(np.nan)
    with pytest.raises(ModelError, match=r"^evaluator 'report' puts the goal for made/0 and 7 more at no finite point"):
        list(scores([Shown("real", "only", real)], asked_goals(), {}, judges, ["fid"], PROTOCOL, LIMITS))


def test_what_needs_no_space_is_measured_once_and_not_of_shuffled_rows(judges: dict[str, Evaluator]) -> None:
    real = [goal.clip.features for goal in asked_goals()]
    shown = [
        Shown("real", "only", real),
        Shown("random", "only", real, is_shuffled=True),
        Shown("reconstruction", "only", [frames[:-3] for frames in real], codes=[[index, 3] for index in range(8)]),
    ]
    found = [one.score for one in scores(shown, asked_goals(), subsets(asked_goals(), {"made"}), judges,
             ["plausibility", "tokenizer"], PROTOCOL, LIMITS)]  # fmt: skip
    assert {score.evaluator for score in found} == {"motion"}
    whole = [score for score in found if score.subset == "synthetic"]
    assert [score.metric for score in whole if score.row == "real"] == [
        "foot_skate", "penetration", "jerk", "bone_drift"
    ]  # fmt: skip
    assert {score.row for score in whole} == {"real", "reconstruction"}
    tokenizer = {score.metric: score.mean for score in whole if score.row == "reconstruction"}
    assert (tokenizer["mpjpe"], tokenizer["codes_used"]) == (0.0, 8)
    (seen,) = [s.mean for s in found if (s.subset, s.metric) == ("synthetic/seen", "codes_used")]
    assert seen == 5


@pytest.mark.parametrize("kind", ["direct", "composed", "trace"])
def test_some_goals_are_answered_several_times_and_not_alike(asked: Callable[[str], Asked], kind: answers.Kind) -> None:
    found = variants(asked("m"), kind, VariantParams(goals=3, each=4, temperature=1.0))
    assert len(found) == 3
    assert set(found) < set(range(len(VERBS)))
    for motions in found.values():
        assert len(motions) == 4
        assert len({motion.tobytes() for motion in motions}) > 1
    more = variants(asked("m"), kind, VariantParams(goals=5, each=4, temperature=1.0))
    assert set(found) < set(more)
    for goal, motions in found.items():
        assert all(np.array_equal(one, two) for one, two in zip(motions, more[goal], strict=True))


@pytest.mark.parametrize(("kind", "speaks"), [("direct", False), ("composed", True), ("trace", True)])
def test_models_that_were_taught_to_say_what_real_motions_show(
    asked: Callable[[str], Asked], kind: answers.Kind, speaks: bool
) -> None:
    said = captions(asked("m"), kind)
    assert len(said) == (len(VERBS) if speaks else 0)
    assert all("<Motion" not in sentence for sentence in said)


def test_words_are_held_against_what_other_people_said_and_people_reach_more_than_chance(
    judges: dict[str, Evaluator],
) -> None:
    others = [
        replace(goal, others=(f"somebody {verb} about", f"{verb}!"))
        for goal, verb in zip(asked_goals(), VERBS, strict=True)
    ]
    goals_ = [*others[:-1], replace(others[-1], others=())]
    real, texts = [goal.clip.features for goal in goals_], [goal.text for goal in goals_]
    shown = [Shown("real", "only", real, said=texts), Shown("random", "only", real, is_shuffled=True, said=texts)]
    parts = {"synthetic": np.arange(len(VERBS))}
    found = [one.score for one in scores(shown, goals_, parts, judges, ["captioning"], PROTOCOL, LIMITS)]
    assert {one.evaluator for one in found} == {"words"}
    means = {(one.row, one.metric): one.mean for one in found}
    assert {one.n for one in found} == {len(VERBS) - 1}, "a clip of which people said one thing has no reference"
    assert means["real", "bleu_1"] > 0.3
    assert means["random", "bleu_1"] < means["real", "bleu_1"]
    assert means["random", "cider"] < means["real", "cider"]
