"""What becomes of verified rows: examples, traces, goals."""

from collections import Counter
from itertools import pairwise

import pytest

from irg_core import dialogue, plugins
from irg_core.annotate.compose import ComposeParams, Rows, goals, lot, materials, traces
from irg_core.dialogue import SENTINEL, Trace
from irg_core.records.annotation import Analysis, Assessment, Caption, Flawed, Pair
from irg_core.records.motion import MotionTokens, Split
from irg_core.records.training import Example

PARAMS = ComposeParams(
    seed=3, tasks={"generate": 0.5, "assess": 0.5}, stage1_examples=100, flawed_rounds=[0.3, 0.4, 0.3], goals_per_clip=1
)
CLIPS = {f"c{n}": "test" if n == 9 else "val" if n == 8 else "train" for n in range(10)}


def rows() -> Rows:
    """Ten clips with two captions each, the second held out; for each first caption the goal and two flawed motions."""
    captions, pairs, verified, flawed = list[Caption](), list[Pair](), list[Assessment](), list[Flawed]()
    for clip in CLIPS:
        captions += [Caption(f"{clip}/{n}", clip, n, f"{clip} walks {n}.", "", "source") for n in range(2)]
        shown = [(clip, "goal", "none", 0.0), (f"{clip}~a0", "edit", "a", 2.0), (f"{clip}~b0", "edit", "b", 5.0)]
        for motion, source, kind, distance in shown:
            key, is_goal = f"{clip}/0|{motion}", source == "goal"
            pairs.append(Pair(key, f"{clip}/0", clip, f"{clip} walks 0.", motion, source, kind, "{}", distance))
            refinement = SENTINEL if is_goal else f"Mend {kind}."
            verified.append(Assessment(key, f"judged {motion}", refinement))
            flawed += [] if is_goal else [Flawed(motion, source, kind, "{}", [len(flawed) % 7, 1], [], 1.0)]
    analyses = [Analysis(row.caption_id, row.clip_id, [], "1. walk.", ["p1", "p2", "p3"], "d") for row in captions]
    tokens = [MotionTokens(clip, [n, n]) for n, clip in enumerate(CLIPS)]
    splits = [Split(clip, "x", split, False, [0, 1] if split == "test" else [0]) for clip, split in CLIPS.items()]
    return Rows(tokens, flawed, captions, analyses, pairs, verified, splits)


def test_nothing_of_the_test_split_and_no_held_out_caption_is_trained_on() -> None:
    found = materials(rows())
    assert {row.caption.clip_id for row in found} == {clip for clip, split in CLIPS.items() if split != "test"}
    assert all(row.caption.index == 0 for row in found)


def test_a_refused_judgement_is_in_no_example() -> None:
    table = rows()
    table.verified.remove(next(row for row in table.verified if row.pair_id == "c0/0|c0~a0"))
    (first,) = [row for row in materials(table) if row.caption.clip_id == "c0"]
    assert [shown.pair_id for shown in first.shown] == ["c0/0|c0~b0", "c0/0|c0"]


def test_traces_run_from_worst_to_best_and_end_with_the_goal_motion() -> None:
    material = {row.caption.caption_id: row for row in materials(rows())}
    distances = {row.pair_id: row.distance for row in rows().pairs}
    counts = Counter[int]()
    for example in traces(list(material.values()), PARAMS):
        caption, *shown = example.lineage
        found = dialogue.parse("".join(segment.text for segment in example.answer), codes=100)
        assert isinstance(found, Trace)
        assert found.rounds[-1].motion == tuple(material[caption].tokens)
        assert found.rounds[-1].refinement == SENTINEL
        assert all(distances[one] > distances[other] for one, other in pairwise(shown))
        counts[len(shown) - 1] += 1
    assert sum(counts.values()) == 9
    assert len(counts) > 1


def test_a_goal_without_a_verified_right_motion_has_no_trace() -> None:
    table = rows()
    table.verified.remove(next(row for row in table.verified if row.pair_id == "c0/0|c0"))
    assert "trace|c0/0" not in {example.example_id for example in traces(materials(table), PARAMS)}


def test_stage_3_answers_train_goals_only() -> None:
    found = goals(materials(rows()), PARAMS)
    assert {goal.clip_id for goal in found} == {clip for clip, split in CLIPS.items() if split == "train"}
    assert all(goal.prompt == dialogue.prompt(goal.text) for goal in found)


def test_the_same_lot_is_drawn_whatever_else_there_is() -> None:
    examples = [Example(f"e{n}", "generate", "train", "p", [], []) for n in range(50)]
    drawn = lot(examples, 10, seed=1)
    assert lot(reversed(examples), 10, seed=1) == drawn
    more = lot([*examples, Example("new", "generate", "train", "p", [], [])], 10, seed=1)
    assert len(set(map(id, drawn)) & set(map(id, more))) >= 9


def test_shares_must_add_up() -> None:
    with pytest.raises(ValueError, match=r"compose\.tasks"):
        ComposeParams(seed=1, tasks={"generate": 0.5}, stage1_examples=1, flawed_rounds=[1.0], goals_per_clip=1)


@pytest.mark.parametrize("name", plugins.names("irg_core.tasks"))
def test_each_task_answers_what_it_asks(name: str) -> None:
    task, material = plugins.load("irg_core.tasks", name), materials(rows())
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
def test_only_flawed_motions_are_refined(name: str) -> None:
    examples = list(plugins.load("irg_core.tasks", name).examples(materials(rows()), 7))
    assert len(examples) == 18
    assert all("~" in example.lineage[0] for example in examples)
