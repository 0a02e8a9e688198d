"""What becomes of verified rows: examples, traces, goals; and who meets whom."""

import dataclasses
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from irg_core import dialogue, plugins, tables
from irg_core.annotate.compose import (
    ComposeParams,
    Lot,
    Survey,
    cell_weights,
    counted,
    draw_of,
    offers,
)
from irg_core.annotate.materials import Folders, Materials, clean_splits, walk
from irg_core.dialogue import SENTINEL, Trace
from irg_core.models.vocabulary import Vocabulary
from irg_core.records.annotation import Analysis, Assessment, Caption, Flawed, Pair
from irg_core.records.audit import Twin
from irg_core.records.material import Material
from irg_core.records.motion import MotionTokens, Phase, Split
from irg_core.records.training import Example, Goal, Segment
from irg_core.training.rows import IGNORED, encode

EVEN = dict.fromkeys(("flaw_kind", "action", "length", "difficulty"), 0.0)
PARAMS = ComposeParams(
    seed=3, tasks={"generate": 0.5, "assess": 0.5}, balance=EVEN, stage1_examples=100, stage2_examples=100,
    flawed_rounds=[0.3, 0.4, 0.3], goals_per_clip=1, stage3_goals=100,
)  # fmt: skip
CLIPS = {f"x/c{n}": "test" if n == 9 else "val" if n == 8 else "train" for n in range(10)}
STEP = Phase("step", 0.0, 1.0, "", "", float("nan"), 0, "", "", float("nan"))


@dataclass
class Build:
    """Ten clips with two captions each, the second held out; for each first caption the goal and two flawed motions."""

    tokens: list[MotionTokens] = field(default_factory=list)
    flawed: list[Flawed] = field(default_factory=list)
    captions: list[Caption] = field(default_factory=list)
    analyses: list[Analysis] = field(default_factory=list)
    pairs: list[Pair] = field(default_factory=list)
    verified: list[Assessment] = field(default_factory=list)
    splits: list[Split] = field(default_factory=list)
    twins: list[Twin] = field(default_factory=list)

    def __post_init__(self) -> None:
        for clip, split in CLIPS.items():
            self.captions += [Caption(f"{clip}/{n}", clip, n, f"{clip} walks {n}.", "", "source") for n in range(2)]
            for motion, source, kind, distance in (
                (clip, "goal", "none", 0.0), (f"{clip}~a0", "edit", "a", 2.0), (f"{clip}~b0", "edit", "b", 5.0)
            ):  # fmt: skip
                self.show(clip, motion, source, kind, distance)
            self.splits.append(Split(clip, "x", split, False, [0, 1] if split == "test" else [0]))
        texts = ["p1", "p2", "p3"]
        self.analyses = [Analysis(row.caption_id, row.clip_id, [STEP], "1. walk.", texts, "d") for row in self.captions]
        self.tokens = [MotionTokens(clip, [n, n]) for n, clip in enumerate(CLIPS)]

    def show(self, clip: str, motion: str, source: str, kind: str, distance: float) -> None:
        """A verified pair of the first caption of a clip."""
        key = f"{clip}/0|{motion}"
        self.pairs.append(Pair(key, f"{clip}/0", clip, f"{clip} walks 0.", motion, source, kind, "{}", distance))
        said = SENTINEL if source == "goal" else f"Mend {kind}."
        self.verified.append(Assessment(key, f"judged {motion}", said))
        if "~" in motion:
            self.flawed.append(Flawed(motion, source, kind, "{}", [len(self.flawed) % 7, 1], [], 1.0))

    def materials(self) -> list[Material]:
        return [material for _, found in walk(self.tables()) for material in found]

    def tables(self) -> list[Materials]:
        for name, rows, record in (
            ("tokens/x", self.tokens, MotionTokens), ("flawed/x", self.flawed, Flawed),
            ("captions/x", self.captions, Caption), ("analyses/x", self.analyses, Analysis),
            ("pairs/x", self.pairs, Pair), ("verified/x", self.verified, Assessment), ("splits", self.splits, Split),
        ):  # fmt: skip
            tables.commit(Path(f"{name}.parquet"), rows, record)
        folders = Folders(*map(Path, ("tokens", "flawed", "captions", "analyses", "pairs", "verified")))
        return [Materials("x", folders, Path("splits.parquet"), clean_splits(self.splits, self.twins))]

    def composed(self, params: ComposeParams) -> tuple[list[Example], list[Example], list[Goal]]:
        corpora = self.tables()
        survey = Survey(params, tasks(params))
        for clip, materials in walk(corpora):
            survey.look(clip, materials)
        drawn = survey.draw()
        return (
            [row for clip, found in walk(corpora, drawn.clips) for row in drawn.stage1(clip, found)],
            [row for clip, found in walk(corpora, drawn.traces) for row in drawn.stage2(clip, found)],
            [row for clip, found in walk(corpora, drawn.goals) for row in drawn.stage3(clip, found)],
        )


def tasks(params: ComposeParams) -> dict[str, Any]:
    return {name: plugins.load("irg_core.tasks", name).examples for name in params.tasks}


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Build:
    monkeypatch.chdir(tmp_path)
    # Groups so small that every look-up crosses some.
    monkeypatch.setattr(tables, "LIGHT_ROWS_PER_GROUP", 3)
    return Build()


def test_nothing_of_the_test_split_and_no_held_out_caption_is_trained_on(build: Build) -> None:
    found = build.materials()
    assert {row.caption.clip_id for row in found} == {clip for clip, split in CLIPS.items() if split != "test"}
    assert all(row.caption.index == 0 for row in found)


def test_a_refused_judgement_is_in_no_example(build: Build) -> None:
    build.verified.remove(next(row for row in build.verified if row.pair_id == "x/c0/0|x/c0~a0"))
    (first,) = [row for row in build.materials() if row.caption.clip_id == "x/c0"]
    assert [shown.pair_id for shown in first.shown] == ["x/c0/0|x/c0~b0", "x/c0/0|x/c0"]


def motions_met(build: Build) -> dict[str, set[str]]:
    """By goal clip, the clips whose motions, or what was made of them, are shown for it."""
    met: dict[str, set[str]] = {}
    for material in build.materials():
        sources = {shown.pair_id.partition("|")[2].partition("~")[0] for shown in material.shown}
        met.setdefault(material.caption.clip_id, set()).update(sources)
    return met


def test_a_goal_meets_motions_of_its_own_split_only(build: Build) -> None:
    for other in ("x/c1", "x/c8", "x/c9"):
        build.show("x/c0", other, "retrieval", "retrieval", 3.0)
    build.show("x/c8", "x/c1", "retrieval", "retrieval", 3.0)
    met = motions_met(build)
    assert met["x/c0"] == {"x/c0", "x/c1"}
    assert met["x/c8"] == {"x/c8"}


def test_a_clip_with_a_twin_in_another_split_is_in_no_example_in_any_role(build: Build) -> None:
    build.show("x/c0", "x/c1", "retrieval", "retrieval", 3.0)
    build.show("x/c0", "x/c1~a1", "edit", "a", 3.0)
    build.show("x/c0", "x/c2", "retrieval", "retrieval", 3.0)
    build.twins = [Twin("f1", "x/c9", "accepted", "x/c1"), Twin("f2", "x/c3", "repaired", "x/c2")]
    met = motions_met(build)
    assert "x/c1" not in met
    assert met["x/c0"] == {"x/c0", "x/c2"}, "twins within one split do no harm"


def test_clips_are_told_apart_whose_names_begin_alike(build: Build) -> None:
    """In the order of caption ids "x/c0/0" comes between "x/c0 b/0" and "x/c0/b/0"; in that of clip ids it does not."""
    for number, clip in enumerate(("x/c0 b", "x/c0#1", "x/c0-b", "x/c0/b", "x/c0/b/0")):
        build.captions.append(Caption(f"{clip}/0", clip, 0, f"{clip} walks 0.", "", "source"))
        build.show(clip, clip, "goal", "none", 0.0)
        build.splits.append(Split(clip, "x", "train", False, [0]))
        build.tokens.append(MotionTokens(clip, [20 + number]))
    found = {row.caption.caption_id: row for row in build.materials()}
    assert len(found) == 9 + 5
    for key, material in found.items():
        assert material.shown[-1].pair_id == f"{key}|{key.removesuffix('/0')}"
        assert material.shown[-1].tokens == material.tokens


def test_traces_run_from_worst_to_best_and_end_with_the_goal_motion(build: Build) -> None:
    material = {row.caption.caption_id: row for row in build.materials()}
    distances = {row.pair_id: row.distance for row in build.pairs}
    counts = Counter[int]()
    for example in build.composed(PARAMS)[1]:
        caption, *shown = example.lineage
        found = dialogue.parse("".join(segment.text for segment in example.answer), codes=100)
        assert isinstance(found, Trace)
        assert found.rounds[-1].motion == tuple(material[caption].tokens)
        assert found.rounds[-1].refinement == SENTINEL
        assert all(distances[one] > distances[other] for one, other in pairwise(shown))
        assert example.flaws == [{2.0: "a", 5.0: "b"}[distances[one]] for one in shown[:-1]]
        counts[len(shown) - 1] += 1
    assert sum(counts.values()) == 9
    assert len(counts) > 1


def test_a_trace_may_have_four_flawed_rounds(build: Build) -> None:
    for kind, distance in (("c", 3.0), ("d", 4.0)):
        build.show("x/c0", f"x/c0~{kind}0", "edit", kind, distance)
    params = dataclasses.replace(PARAMS, flawed_rounds=[0.0, 0.0, 0.0, 0.0, 1.0])
    flaws = {example.example_id: example.flaws for example in build.composed(params)[1]}
    assert flaws["trace|x/c0/0"] == ["b", "d", "c", "a"]
    assert flaws["trace|x/c1/0"] == ["b", "a"], "a goal with fewer shows what it has"


def test_a_goal_without_a_verified_right_motion_has_no_trace(build: Build) -> None:
    build.verified.remove(next(row for row in build.verified if row.pair_id == "x/c0/0|x/c0"))
    assert "trace|x/c0/0" not in {example.example_id for example in build.composed(PARAMS)[1]}


def test_stage_3_answers_train_goals_only(build: Build) -> None:
    found = build.composed(PARAMS)[2]
    assert {goal.clip_id for goal in found} == {clip for clip, split in CLIPS.items() if split == "train"}
    assert all(goal.prompt == dialogue.prompt(goal.text) for goal in found)
    assert {goal.action for goal in found} == {"step"}


def test_caps_hold_and_shares_of_tasks_are_kept(build: Build) -> None:
    params = dataclasses.replace(PARAMS, stage1_examples=20, stage2_examples=4, stage3_goals=3)
    examples, traces, goals = build.composed(params)
    assert Counter(example.task for example in examples) == {"generate": 10, "assess": 10}
    assert (len(traces), len(goals)) == (4, 3)


def test_the_second_pass_writes_what_the_first_one_drew(build: Build) -> None:
    everything = {example.example_id: example for example in build.composed(PARAMS)[0]}
    params = dataclasses.replace(PARAMS, stage1_examples=12)
    some = build.composed(params)[0]
    assert len(some) == 12
    for example in some:
        assert everything[example.example_id] == example
    assert build.composed(params)[0] == some


CELLS = [("a", "walk", "short", "easy"), ("b", "walk", "short", "easy")]


def drawn_of(rows: int, count: int, balance: dict[str, float], skip: frozenset[int] = frozenset()) -> list[int]:
    """Numbers drawn of rows of which one in ten is of the second cell."""
    lot = Lot()
    for number in range(rows):
        if number not in skip:
            lot.add(0, number, CELLS[number % 10 == 0], draw_of(1, str(number)))
    return lot.drawn(count, balance).get(0, [])


def test_balance_favours_the_rare_as_far_as_it_is_told_to() -> None:
    shares = [
        sum(number % 10 == 0 for number in drawn_of(20_000, 1000, EVEN | {"flaw_kind": strength})) / 1000
        for strength in (0.0, 0.5, 1.0)
    ]
    # By the rule: a tenth, 3 to 1, and half; three standard deviations of 1000 draws.
    for share, expected in zip(shares, (0.1, 0.25, 0.5), strict=True):
        assert share == pytest.approx(expected, abs=0.048)


def test_what_is_rare_is_all_taken_and_the_rest_filled_up() -> None:
    drawn = drawn_of(1000, 600, EVEN | {"flaw_kind": 1.0})
    assert len(drawn) == 600
    assert sum(number % 10 == 0 for number in drawn) >= 95


def test_weights_multiply_over_dimensions() -> None:
    cells = [("a", "walk", "s", ""), ("a", "jump", "s", ""), ("b", "walk", "s", "")]
    weights = cell_weights(cells, [60, 20, 20], {"flaw_kind": 1.0, "action": 0.5, "length": 1.0, "difficulty": 1.0})
    assert weights == pytest.approx(
        [50 / 80 * (50 / 80) ** 0.5, 50 / 80 * (50 / 20) ** 0.5, 50 / 20 * (50 / 80) ** 0.5]
    )


def test_the_same_lot_is_drawn_whatever_else_there_is() -> None:
    drawn = set(drawn_of(500, 100, EVEN | {"flaw_kind": 0.5}))
    without = set(drawn_of(500, 100, EVEN | {"flaw_kind": 0.5}, skip=frozenset({3, 4})))
    assert len(drawn & without) >= 95


@pytest.mark.parametrize(
    "change", [{"tasks": {"generate": 0.5}}, {"flawed_rounds": [0.2]}, {"balance": {"action": 0.5}}]
)
def test_shares_must_add_up_and_balance_is_of_the_known(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=rf"compose\.{next(iter(change))}"):
        dataclasses.replace(PARAMS, **change)


def test_sizes_are_those_that_the_trainer_reads() -> None:
    vocabulary = Vocabulary.learn(["a person walks", "walk on"], 300, 8)
    answer = [Segment("[plan]walk[/plan]", True), Segment("<Motion><Motion_1><Motion_2></Motion>", False)]
    example = Example("e", "trace", "train", "walk <Motion><Motion_3></Motion>", [*answer, Segment("ön", True)], [])
    (found,) = counted([example], vocabulary.encode_all)
    (encoded,) = encode([example], vocabulary)
    assert found.prompt_tokens + found.answer_tokens == len(encoded.ids)
    assert found.supervised_tokens == sum(label != IGNORED for label in encoded.labels)
    assert found.codes == 3


@pytest.mark.parametrize("name", plugins.names("irg_core.tasks"))
def test_each_task_answers_what_it_asks(name: str, build: Build) -> None:
    task, material = plugins.load("irg_core.tasks", name), build.materials()
    assert len(set(task.TEMPLATES)) >= 20
    examples = list(task.examples(material, 7))
    assert len({example.example_id for example in examples}) == len(examples) > 0
    for example in examples:
        assert example.task == name
        assert "{" not in example.prompt
        assert [segment.supervised for segment in example.answer] == [True]
        assert example.lineage
        # What the answer is must not already stand in the prompt, or there is nothing to learn.
        assert example.answer[0].text not in example.prompt
    assert list(task.examples(material, 7)) == examples
    assert [example.prompt for example in task.examples(material, 8)] != [example.prompt for example in examples]


@pytest.mark.parametrize("name", ["refine", "refine_instructed"])
def test_only_flawed_motions_are_refined(name: str, build: Build) -> None:
    task: Callable[..., Any] = plugins.load("irg_core.tasks", name).examples
    examples = [example for example, _ in offers(task, build.materials(), 7)]
    assert len(examples) == 18
    assert all("~" in example.lineage[0] for example in examples)
    assert all(len(example.flaws) == 1 for example in examples)
