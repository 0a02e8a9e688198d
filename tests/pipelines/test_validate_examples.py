"""validate_examples: what must not reach Stages 1 to 3 stops the stage, by name."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from irg_core import dialogue, tables
from irg_core.dialogue import SENTINEL, Round, Trace
from irg_core.errors import ValidationFailed
from irg_core.records.annotation import Analysis, Assessment, Caption, Pair
from irg_core.records.audit import Finding
from irg_core.records.motion import Split
from irg_core.records.training import Example, Goal, Segment
from pipelines import validate_examples

ROOT = Path(__file__).parents[2]
TASKS = ["caption", "generate"]
WRONG = "Wave with the other hand."


class Build:
    """Three train clips, one of val, one of test; two captions each, the second hidden from training."""

    def __init__(self) -> None:
        self.twins: list[Finding] = []
        clips = [f"made/{index}" for index in range(5)]
        parts = ["train", "train", "train", "val", "test"]
        self.splits = [
            Split(clip, "made", part, False, [0, 1] if part == "test" else [0])
            for clip, part in zip(clips, parts, strict=True)
        ]
        self.captions = [
            Caption(f"{clip}/{index}", clip, index, f"a person waves {index + 1} times", "", "source")
            for clip in clips
            for index in (0, 1)
        ]
        goals = [row for row, split in zip(self.captions[::2], parts, strict=True) if split != "test"]
        self.analyses = [
            Analysis(row.caption_id, row.clip_id, [], "It asks for a wave.", ["a", "b", "c"], "waves") for row in goals
        ]
        self.pairs = [self.pair(row, row.clip_id, "goal", "none") for row in goals]
        self.pairs += [self.pair(row, f"{row.clip_id}~mirror0", "edit", "mirror") for row in goals]
        self.verified = [
            Assessment(pair.pair_id, "It fits." if pair.source == "goal" else "Wrong hand.",
                       SENTINEL if pair.source == "goal" else WRONG)
            for pair in self.pairs
        ]  # fmt: skip
        self.stage1 = [self.example(task, row, [Segment(f"answer to {task}", True)]) for task in TASKS for row in goals]
        rounds = (Round((1, 2), "Wrong hand.", WRONG), Round((3, 4), "It fits.", SENTINEL))
        self.stage2 = [self.example("trace", row, dialogue.segments(Trace("A wave.", rounds))) for row in goals]
        self.stage3 = [
            Goal(row.caption_id, row.clip_id, "train", row.text, dialogue.prompt(row.text), [1, 2]) for row in goals[:3]
        ]

    def pair(self, row: Caption, motion: str, source: str, kind: str) -> Pair:
        return Pair(f"{row.caption_id}|{motion}", row.caption_id, row.clip_id, row.text, motion, source, kind, "", 1.0)

    def example(self, task: str, row: Caption, answer: list[Segment]) -> Example:
        split = next(split.split for split in self.splits if split.clip_id == row.clip_id)
        return Example(f"{task}|{row.caption_id}", task, split, dialogue.prompt(row.text), answer, [row.caption_id])

    def run(self) -> Path:
        for name, rows, record in (
            ("captions/made", self.captions, Caption), ("analyses/made", self.analyses, Analysis),
            ("pairs/made", self.pairs, Pair), ("verified/made", self.verified, Assessment),
            ("splits", self.splits, Split), ("twins", self.twins, Finding), ("stage1", self.stage1, Example),
            ("stage2", self.stage2, Example), ("stage3", self.stage3, Goal),
        ):  # fmt: skip
            tables.commit(Path(f"{name}.parquet"), rows, record)
        validate_examples.main(
            Path("captions"), Path("analyses"), Path("pairs"), Path("verified"), Path("splits.parquet"),
            Path("twins.parquet"), Path("stage1.parquet"), Path("stage2.parquet"), Path("stage3.parquet"),
            Path("reports/e.json"), Path("reports/e.html"),
        )  # fmt: skip
        return Path("reports/e.json")


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Build:
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    values["corpora"] = {"made": {"format": "procedural", "root": "nowhere"}}
    values["compose"]["tasks"] = dict.fromkeys(TASKS, 0.5)
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(values))
    monkeypatch.chdir(tmp_path)
    return Build()


def test_sound_examples_pass_and_say_the_same_twice(build: Build) -> None:
    first = build.run().read_bytes()
    assert build.run().read_bytes() == first
    assert b'"holds": true' in first


def leak_a_test_goal(build: Build) -> None:
    leaked = dataclasses.replace(build.stage1[0], lineage=["made/4/0"])
    build.stage1[0] = leaked


def leak_a_test_pair(build: Build) -> None:
    build.pairs.append(build.pair(build.captions[8], "made/0", "retrieval", "retrieval"))


def show_a_test_motion(build: Build) -> None:
    build.stage1[0] = dataclasses.replace(build.stage1[0], lineage=["made/0/0|made/4"])


def show_what_was_made_of_a_val_motion(build: Build) -> None:
    build.stage2[0] = dataclasses.replace(build.stage2[0], lineage=["made/0/0", "made/0/0|made/3~mirror0"])


def show_the_twin_of_a_test_motion(build: Build) -> None:
    nothing = np.zeros((0, 66), np.float32)
    build.twins.append(
        Finding("made/4|twin", "made", "made/4", "twin", 0.004, "m", 0.01, "accepted", "", nothing, nothing, "made/1")
    )
    build.stage1[0] = dataclasses.replace(build.stage1[0], lineage=["made/0/0|made/1"])


def learn_from_the_twin_of_a_val_motion(build: Build) -> None:
    nothing = np.zeros((0, 66), np.float32)
    build.twins.append(
        Finding("made/3|twin", "made", "made/3", "twin", 0.004, "m", 0.01, "accepted", "", nothing, nothing, "made/1")
    )


def leak_a_hidden_caption(build: Build) -> None:
    build.stage2[0] = dataclasses.replace(build.stage2[0], lineage=["made/0/1"])


def leak_a_test_prompt(build: Build) -> None:
    row = build.captions[8]
    build.stage3.append(Goal(row.caption_id, row.clip_id, "train", row.text, dialogue.prompt(row.text), [1]))


def leak_across_train_and_val(build: Build) -> None:
    build.stage1[0] = dataclasses.replace(build.stage1[0], lineage=["made/3/0"])


def orphan_a_caption(build: Build) -> None:
    build.captions.append(Caption("ghost/1/0", "ghost/1", 0, "a ghost", "", "source"))


def empty_a_prompt(build: Build) -> None:
    build.stage1[0] = dataclasses.replace(build.stage1[0], prompt=" ")


def supervise_nothing(build: Build) -> None:
    build.stage1[0] = dataclasses.replace(build.stage1[0], answer=[Segment("answer", False)])


def lose_a_task(build: Build) -> None:
    build.stage1 = [example for example in build.stage1 if example.task != "caption"]


def supervise_a_flawed_motion(build: Build) -> None:
    answer = [Segment(segment.text, True) for segment in build.stage2[0].answer]
    build.stage2[0] = dataclasses.replace(build.stage2[0], answer=answer)


def break_the_grammar(build: Build) -> None:
    build.stage2[0] = dataclasses.replace(build.stage2[0], answer=build.stage2[0].answer[:-1])


def blur_the_sentinel(build: Build) -> None:
    build.verified[-1] = dataclasses.replace(build.verified[-1], refinement="no refinements needed, but wave more")


def find_fault_with_the_goal(build: Build) -> None:
    build.verified[0] = dataclasses.replace(build.verified[0], refinement=WRONG)


def drop_a_paraphrase(build: Build) -> None:
    build.analyses[0] = dataclasses.replace(build.analyses[0], paraphrases=["a", "b"])


APART = "no motion of another split, or a twin of one, is shown"
CLEAN = "an example is composed from visible captions of its own split"


@pytest.mark.parametrize(
    ("plant", "table", "sentence", "row"),
    [
        (leak_a_test_goal, "stage1", CLEAN, "caption|made/0/0"),
        (leak_across_train_and_val, "stage1", CLEAN, "caption|made/0/0"),
        (leak_a_test_pair, "pairs", "goals are visible captions of train and val clips", "made/4/0|made/0"),
        (show_a_test_motion, "stage1", APART, "caption|made/0/0 (made/4)"),
        (show_what_was_made_of_a_val_motion, "stage2", APART, "trace|made/0/0 (made/3~mirror0)"),
        (show_the_twin_of_a_test_motion, "stage1", APART, "caption|made/0/0 (made/1)"),
        (learn_from_the_twin_of_a_val_motion, "stage1", APART, "caption|made/1/0 (made/1)"),
        (learn_from_the_twin_of_a_val_motion, "stage3", "no goal's clip has a twin in another split", "made/1/0"),
        (leak_a_hidden_caption, "stage2", CLEAN, "trace|made/0/0"),
        (leak_a_test_prompt, "stage3", "a goal is a visible caption of its own split", "made/4/0"),
        (orphan_a_caption, "captions", "a caption belongs to a clip that has a split", "ghost/1/0"),
        (empty_a_prompt, "stage1", "no prompt is empty", "caption|made/0/0"),
        (supervise_nothing, "stage1", "something of an answer is supervised", "caption|made/0/0"),
        (lose_a_task, "stage1 tasks", "no task is lost", "caption"),
        (supervise_a_flawed_motion, "stage2 traces", "only the last generate block is supervised", "trace|made/0/0"),
        (break_the_grammar, "stage2 traces", "an answer is a trace by the grammar", "trace|made/0/0"),
        (blur_the_sentinel, "verified", "the sentinel is written to the letter, and alone", "made/3/0|made/3~mirror0"),
        (find_fault_with_the_goal, "verified", "a goal's own motion needs no refinement", "made/0/0|made/0"),
        (drop_a_paraphrase, "analyses", "an analysis has three paraphrases", "made/0/0 (2)"),
    ],
)
def test_a_planted_defect_stops_the_stage(
    build: Build, plant: Callable[[Build], None], table: str, sentence: str, row: str
) -> None:
    plant(build)
    with pytest.raises(ValidationFailed) as failure:
        build.run()
    (line,) = [line for line in str(failure.value).splitlines() if f"table '{table}' breaks '{sentence}" in line]
    assert row in line
    assert not Path("reports/e.json").exists(), "no verdict is left"
    assert "are broken" in Path("reports/e.html").read_text(), "the page tells which rows"
