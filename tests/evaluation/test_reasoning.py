"""Judging and mending: probes whose fault is known, and what is counted over them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from irg_core import dialogue
from irg_core.annotate.inject import InjectParams
from irg_core.annotate.verify import VerifyParams
from irg_core.corpora import procedural
from irg_core.evaluation import probing, reasoning
from irg_core.evaluation.answers import Asked, trace
from irg_core.evaluation.goals import Goal
from irg_core.evaluation.memory import Memory
from irg_core.evaluation.probes import ELSEWHERE, OWN, Probe, ProbeParams, probes
from irg_core.models.decoding import Sampling
from irg_core.models.evaluator import Evaluator
from irg_core.models.language import Language, LanguageConfig
from irg_core.models.vocabulary import Vocabulary
from irg_core.models.vqvae import MotionTokenizer, VqConfig, VqVae
from irg_core.motion import features
from irg_core.motion.differences import differences
from irg_core.motion.thresholds import KinematicsParams
from irg_core.params import section
from irg_core.records.evaluation import Generation
from irg_core.records.motion import Clip, Take
from irg_core.records.reasoning import Distance, Probed

LIMITS = section("kinematics", KinematicsParams)
WORDS = section("verify", VerifyParams)
MAKING = section("inject", InjectParams)
SAMPLING = Sampling(seed=1, temperature=1.0, top_p=1.0, max_tokens=300, max_codes=60, max_text=8, max_rounds=3, batch=8)


@pytest.fixture(scope="module")
def asked_goals() -> list[Goal]:
    takes = procedural.read(Path(procedural.__file__).with_suffix(".yaml"), clips=16, seed=5)
    clips = [
        Clip(f"p/{take.name}", "p", f"p/{take.name}", take.cell, features.extract(take.joints), list(take.captions), "")
        for take in takes
        if isinstance(take, Take)
    ]
    return [Goal(clip, f"{clip.clip_id}/0", clip.captions[0].text, False) for clip in clips]


@pytest.fixture(scope="module")
def put(asked_goals: list[Goal]) -> list[Probe]:
    return probes(asked_goals, ProbeParams(seed=3, clips=10), MAKING, LIMITS, "compatible")


@pytest.fixture
def asked(asked_goals: list[Goal], tmp_path: Path) -> Asked:
    """A model of random weights: it knows nothing, but it goes on."""
    vocabulary = Vocabulary.learn([goal.text for goal in asked_goals], 280, 16)
    Language.create(LanguageConfig(1, 32, 2, 32, 512), vocabulary, 3).save(tmp_path / "model")
    config = VqConfig(width=16, depth=1, codes=16, code_width=8)
    codec = MotionTokenizer(VqVae(config, 263), config)
    return Asked("m", tmp_path / "model", asked_goals, codec, SAMPLING, 2, 1, map, Memory(tmp_path / "memory"))


def test_of_three_probes_of_a_goal_two_are_measurably_wrong_and_one_is_not(put: list[Probe]) -> None:
    assert {OWN, ELSEWHERE} < {probe.kind for probe in put}
    assert len({probe.probe_id for probe in put}) == len(put)
    for probe in put:
        assert bool(differences(probe.asked, probe.shown.phases, LIMITS)) == (probe.kind != OWN), probe.probe_id
    assert all("changes" in probe.truth for probe in put if probe.kind not in (OWN, ELSEWHERE))


def test_the_probes_of_a_goal_do_not_depend_on_the_order_of_goals(asked_goals: list[Goal], put: list[Probe]) -> None:
    again = probes(asked_goals[::-1], ProbeParams(seed=3, clips=10), MAKING, LIMITS, "compatible")
    assert [(probe.probe_id, probe.truth) for probe in again] == [(probe.probe_id, probe.truth) for probe in put]


def test_a_trace_goes_on_after_the_motion_that_it_was_given(asked: Asked, put: list[Probe]) -> None:
    said = probing.said(asked, "trace", put, trace(asked).generations)
    assert set(said) == {probe.probe_id for probe in put}
    for words in said.values():
        assert words.assessment
        assert words.refinement
        # The shown motion is one of the rounds; an untrained model never finds the sentinel, so it refines.
        assert 1 <= len(words.motions) <= SAMPLING.max_rounds - 1
        assert words.sentinel < 0


def test_the_loop_around_a_stage_1_model_judges_instructs_and_refines(asked: Asked, put: list[Probe]) -> None:
    said = probing.said(asked, "composed", put, [generation(probe) for probe in put])
    assert set(said) == {probe.probe_id for probe in put}
    assert all(len(words.motions) == 1 and 1 <= len(words.motions[0]) <= SAMPLING.max_codes for words in said.values())
    assert said == probing.said(asked, "composed", put, [generation(probe) for probe in put])


@pytest.mark.parametrize("kind", ["references", "direct"])
def test_models_that_neither_judge_nor_refine_are_not_probed(asked: Asked, put: list[Probe], kind: str) -> None:
    assert probing.said(asked, kind, put, []) == {}  # type: ignore[arg-type] # a Kind, by its name


def test_a_row_says_what_became_of_its_probe(asked: Asked, put: list[Probe]) -> None:
    """A model whose answer is the goal motion mends what the tokenizer leaves to be mended, and lands on its point."""
    judges = {"report": Evaluator.create("guo", 16, 1, 8, ["walk"], {"mean": [0.0] * 263, "std": [1.0] * 263})}
    own = dict(zip([p.probe_id for p in put], asked.tokenizer.encode([p.goal.clip.features for p in put]), strict=True))
    said = {p.probe_id: probing.Said("it fits", dialogue.SENTINEL, [own[p.probe_id]], -0.5) for p in put}
    rows = reasoning.probed("m", put, said, asked.tokenizer, judges, WORDS, LIMITS)
    assert [row.probe_id for row in rows] == [f"m|{probe.probe_id}" for probe in put]
    for row, probe in zip(rows, put, strict=True):
        assert row.accepts
        (distance,) = row.distances
        assert distance.refined == distance.final
        if row.shown == own[probe.probe_id]:
            assert distance.shown == distance.refined
        if probe.kind != OWN:
            assert not row.is_grounded  # a known flaw was judged fine


def row(kind: str, accepts: bool, sentinel: float = -1.0, **more: object) -> Probed:
    base = Probed(
        f"m|{kind}{sentinel}{accepts}", "c/0", "c", "p", "walk", kind, "{}", [1], "a", "b", [[1]], sentinel, accepts,
        True, True, False, False, False, [Distance("report", 1.0, 0.5, 0.5)],
    )  # fmt: skip
    return replace(base, **more)  # type: ignore[arg-type] # fields by their names


def test_shares_are_counted_over_the_rows_they_name() -> None:
    rows = [
        row(OWN, True), row(OWN, True), row(OWN, False), row("mirror", True, motions=[]),
        row("mirror", False, is_mended=True), row(ELSEWHERE, False, is_spoilt=True, fulfils=True),
    ]  # fmt: skip
    found = {(one.name, one.group): (round(one.value, 3), one.n) for one in reasoning.shares(rows)}
    assert found["accepted", OWN] == (0.667, 3)
    assert found["accepted", "flawed"] == (0.333, 3)
    assert found["sentinel precision", "all"] == (0.667, 3)
    assert found["sentinel recall", "all"] == (0.667, 3)
    assert found["flaw gone", "mirror"] == (1.0, 1)  # of the one that was refined
    assert found["something else broken", "flawed"] == (0.5, 2)
    assert found["closer by 'report'", "flawed"] == (1.0, 2)
    assert found["fulfilled in the end", "flawed"] == (0.333, 3)
    assert reasoning.shares([]) == []


def test_probes_that_the_tokenizer_spoilt_count_as_lost_and_nowhere_else() -> None:
    rows = [row(OWN, True), row(OWN, False, is_true=False), row("mirror", True, is_true=False), row("mirror", False)]
    found = {(one.name, one.group): (one.value, one.n) for one in reasoning.shares(rows)}
    assert found["lost to the tokenizer", "all"] == (0.5, 4)
    assert found["accepted", OWN] == (1.0, 1)
    assert found["accepted", "mirror"] == (0.0, 1)


def test_a_share_of_few_rows_that_are_all_alike_is_not_certain() -> None:
    assert reasoning.share("", "", [True] * 4).interval > 0.2


def test_a_judgement_is_grounded_where_verify_would_take_it(asked: Asked, put: list[Probe]) -> None:
    """The sentinel on motions that fulfil their goal is; on motions of other goals it never is."""
    text = "The motion does all that the goal asks for."
    said = {probe.probe_id: probing.Said(text, dialogue.SENTINEL, [], -0.5) for probe in put}
    rows = reasoning.probed("m", put, said, asked.tokenizer, {}, WORDS, LIMITS)
    assert {one.is_grounded for one in rows if one.kind == OWN} == {True}
    assert {one.is_grounded for one in rows if one.kind != OWN} == {False}


def test_the_alignment_scores_area_is_that_of_counting_pairs() -> None:
    draw = np.random.default_rng(4)
    right = [row(OWN, True, float(value)) for value in draw.normal(0.5, 1, 40).round(1)]
    wrong = [row("mirror", False, float(value)) for value in draw.normal(0.0, 1, 50).round(1)]
    wins = sum((a.sentinel > b.sentinel) + (a.sentinel == b.sentinel) / 2 for a in right for b in wrong)
    found = reasoning.auc("alignment score", "mirror", right, wrong)
    assert found.value == pytest.approx(wins / 2000, abs=1e-6)
    drawn = [
        reasoning.auc("", "", [right[i] for i in draw.integers(40, size=40)],
                      [wrong[i] for i in draw.integers(50, size=50)]).value
        for _ in range(400)
    ]  # fmt: skip
    assert found.interval == pytest.approx(1.96 * np.std(drawn), rel=0.15)


def test_an_answer_that_stopped_keeps_its_last_motion_in_later_rounds(asked: Asked) -> None:
    judges = {"report": Evaluator.create("guo", 16, 1, 8, ["walk"], {"mean": [0.0] * 263, "std": [1.0] * 263})}
    short, long = generation_of("a", [[1, 2]]), generation_of("b", [[3, 4], [5, 6], [1, 2]])
    subsets = {"one": np.array([0]), "other": np.array([1])}
    found = {row.subset: row for row in reasoning.round_by_round([short, long], subsets, asked.tokenizer, judges)}
    assert len(set(found["one"].distances)) == 1
    assert found["one"].gained == 0.0
    # Equal texts and equal last motions: where both end up is one place.
    assert found["other"].distances[-1] == pytest.approx(found["one"].distances[0])
    assert found["other"].gained == pytest.approx(found["other"].distances[0] - found["other"].distances[-1], abs=1e-5)
    assert list(reasoning.round_by_round([short], {"one": np.array([0])}, asked.tokenizer, judges)) == []


def generation(probe: Probe) -> Generation:
    return generation_of(probe.goal.caption_id, [[1]])


def generation_of(caption_id: str, motions: list[list[int]]) -> Generation:
    return Generation(f"m|{caption_id}", caption_id, "c", "p", False, "walk", "", motions, True, "rounds")
