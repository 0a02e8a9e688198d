"""inject's memory: what still stands of what was made before, and what is made anew."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from irg_core.annotate import inject, keeping
from irg_core.annotate.inject import Aim, InjectParams, Made
from irg_core.annotate.keeping import Inputs, Kept, Memory
from irg_core.motion.representation import COMPATIBLE, EXACT
from irg_core.motion.thresholds import KinematicsParams
from irg_core.params import section
from irg_core.records.annotation import Caption, Flawed, Pair
from irg_core.records.motion import Clip, Facts, Phase, Split
from irg_core.tables import commit, read

PARAMS = section("inject", InjectParams)
LIMITS = section("kinematics", KinematicsParams)
NAMES = [f"p/{number}" for number in range(6)]
SHOWN = {"p/0": "p/4", "p/1": "p/4", "p/2": "p/5"}
"""Clips of the train split that are shown for a goal of another."""
WALK = Phase("walk", 0.0, 1.0, "", "forward", 90.0, 3, "slow", "", 1.0)
JUMP = Phase("jump", 0.0, 1.0, "", "", 0.0, 1, "", "", 1.0)


@dataclass(frozen=True)
class World:
    """What flaws are made from."""

    clips: dict[str, Clip]
    captions: dict[str, list[Caption]]
    phases: dict[str, list[Phase]]
    gallery: list[str]
    rules: str

    @property
    def inputs(self) -> Inputs:
        return Inputs(self.rules, keeping.of_clips(self.clips.values()), self.captions)

    @property
    def aims(self) -> list[Aim]:
        """One for each clip; the neighbour lends it an action."""
        wanted = {"edit": 1, "retrieval": 1, "rollout": 0}
        return [
            Aim(name, self.captions[name], [WALK], self.phases[name], wanted, [NAMES[place - 1]])
            for place, name in enumerate(NAMES)
        ]

    def saying(self, clip_id: str, text: str) -> "World":
        mended = [replace(caption, text=text) for caption in self.captions[clip_id]]
        return replace(self, captions=self.captions | {clip_id: mended})

    def kept(self, memory: Memory) -> set[str]:
        return set(keeping.kept(self.aims, memory, self.inputs, self.gallery))


def clip(name: str, shift: float = 0.0) -> Clip:
    features = np.full((4, 263), NAMES.index(name) + shift, np.float32)
    return Clip(name, "p", name, "walk", features, [], "")


def caption(name: str) -> Caption:
    return Caption(f"{name}/0", name, 0, f"person {name[-1]} walks forward slowly.", "", "source")


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    (folder / "weights").write_bytes(b"codes")
    return folder


@pytest.fixture(scope="module")
def world(tokenizer: Path) -> World:
    return World(
        {name: clip(name) for name in NAMES},
        {name: [caption(name)] for name in NAMES},
        {name: [WALK] for name in NAMES},
        list(NAMES),
        keeping.rules(PARAMS, LIMITS, COMPATIBLE, tokenizer),
    )


def drawn(world: World) -> list[Kept]:
    """For each aim its own motion, an edit of it and, for some, another clip, with the names of what they come from."""
    found = []
    points = {name: np.array([float(place)]) for place, name in enumerate(NAMES)}
    for aim in world.aims:
        own = world.inputs.of(aim)
        facts = Facts(f"{aim.clip_id}~mirror0", 1.0, [WALK])
        made = Made(facts.clip_id, aim.clip_id, "edit", "mirror", "{}", 0.5, np.zeros((4, 263)), facts)
        sources = {name: world.inputs.with_clip(own, name) for name in [SHOWN.get(aim.clip_id, "")] if name}
        measured = {name: Facts(name, 1.0, [JUMP]) for name in sources}
        shown = inject.shown(aim, [made], list(sources), measured, sources | {aim.clip_id: own}, LIMITS)
        near = points | {made.motion_id: np.array([0.5])}
        found.append(Kept([inject.flawed(made, [1, 2], own)], inject.pairs(aim, shown, near, "judge")))
    return found


@pytest.fixture
def tables(world: World, tmp_path: Path) -> tuple[Path, Path]:
    """Where the flaws and pairs of a run lie."""
    flawed, pairs = tmp_path / "flawed.parquet", tmp_path / "pairs.parquet"
    rows = drawn(world)
    commit(flawed, [row for one in rows for row in one.flawed], Flawed)
    commit(pairs, [row for one in rows for row in one.pairs], Pair)
    return flawed, pairs


@pytest.fixture
def memory(tables: tuple[Path, Path]) -> Memory:
    return keeping.remembered(*tables)


def test_where_nothing_changed_every_row_is_kept_as_it_was(world: World, memory: Memory) -> None:
    found = keeping.kept(world.aims, memory, world.inputs, world.gallery)
    assert memory.note == ""
    assert list(found) == NAMES
    assert sorted(row.pair_id for one in found.values() for row in one.pairs) == [row.pair_id for row in memory.pairs]
    assert [row for one in found.values() for row in one.flawed] == memory.flawed


def test_one_changed_caption_keeps_the_rows_of_other_clips(world: World, memory: Memory) -> None:
    # p/3 is shown for no other clip.
    assert world.saying("p/3", "a person bows.").kept(memory) == set(NAMES) - {"p/3"}


def test_a_shown_clip_whose_captions_change_is_looked_at_again_by_those_it_is_shown_for(
    world: World, memory: Memory
) -> None:
    assert world.saying("p/4", "a person bows.").kept(memory) == set(NAMES) - {"p/4", "p/0", "p/1"}


def test_a_shown_clip_that_leaves_train_is_shown_no_more(world: World, memory: Memory) -> None:
    rest = [name for name in NAMES if name != "p/5"]
    assert replace(world, gallery=rest).kept(memory) == set(NAMES) - {"p/2"}


def test_other_frames_touch_the_clip_whom_it_lends_to_and_whom_it_is_shown_for(world: World, memory: Memory) -> None:
    moved = replace(world, clips=world.clips | {"p/4": clip("p/4", shift=0.001)})
    assert moved.kept(memory) == set(NAMES) - {"p/4", "p/5", "p/0", "p/1"}


def test_other_phases_of_a_clip_touch_it_alone(world: World, memory: Memory) -> None:
    assert replace(world, phases=world.phases | {"p/3": [JUMP]}).kept(memory) == set(NAMES) - {"p/3"}


def test_a_goal_for_which_another_share_is_wanted_is_drawn_anew(world: World, memory: Memory) -> None:
    aims = [replace(aim, wanted=aim.wanted | {"edit": 2}) if aim.clip_id == "p/1" else aim for aim in world.aims]
    assert set(keeping.kept(aims, memory, world.inputs, world.gallery)) == set(NAMES) - {"p/1"}


@pytest.mark.parametrize(
    "changes",
    [
        {"batch": PARAMS.batch + 1},
        {"threads": PARAMS.threads + 1},
        {"rollout": replace(PARAMS.rollout, batch=PARAMS.rollout.batch + 1)},
    ],
    ids=["batch", "threads", "rollout.batch"],
)
def test_how_the_work_is_done_changes_nothing_of_the_memory(
    changes: dict[str, object], world: World, memory: Memory, tokenizer: Path
) -> None:
    params = replace(PARAMS, **changes)  # type: ignore[arg-type]
    rules = keeping.rules(params, LIMITS, COMPATIBLE, tokenizer)
    assert replace(world, rules=rules).kept(memory) == set(NAMES)


@pytest.mark.parametrize(
    "changes",
    [
        {"redraw": PARAMS.redraw + 1},
        {"edits": PARAMS.edits | {"mirror": PARAMS.edits["mirror"] + 0.1}},
        {"rollout": replace(PARAMS.rollout, temperature=PARAMS.rollout.temperature + 0.1)},
    ],
    ids=["redraw", "an edit's weight", "rollout.temperature"],
)
def test_what_is_to_be_made_makes_all_of_it_anew(
    changes: dict[str, object], world: World, memory: Memory, tokenizer: Path
) -> None:
    params = replace(PARAMS, **changes)  # type: ignore[arg-type]
    assert replace(world, rules=keeping.rules(params, LIMITS, COMPATIBLE, tokenizer)).kept(memory) == set()


def test_the_tokenizer_the_thresholds_and_the_features_are_among_the_rules(world: World, tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(b"codes")
    assert keeping.rules(PARAMS, LIMITS, COMPATIBLE, tmp_path) == world.rules, "the content counts, not the place"
    assert keeping.rules(PARAMS, LIMITS, EXACT, tmp_path) != world.rules
    assert keeping.rules(PARAMS, replace(LIMITS, margin=LIMITS.margin / 2), COMPATIBLE, tmp_path) != world.rules
    (tmp_path / "weights").write_bytes(b"other codes")
    assert keeping.rules(PARAMS, LIMITS, COMPATIBLE, tmp_path) != world.rules


def test_a_clip_one_of_whose_flaws_is_lost_is_drawn_anew(world: World, tables: tuple[Path, Path]) -> None:
    flawed, _ = tables
    commit(flawed, [row for row in read(flawed, Flawed) if row.motion_id != "p/2~mirror0"], Flawed)
    assert world.kept(keeping.remembered(*tables)) == set(NAMES) - {"p/2"}


def test_without_a_last_run_there_is_nothing_to_keep_and_nothing_to_say(tables: tuple[Path, Path]) -> None:
    for path in tables:
        path.unlink()
        assert keeping.remembered(*tables) == Memory([], [], "")


@pytest.mark.parametrize("place", [0, 1], ids=["flawed", "pairs"])
@pytest.mark.parametrize("harm", ["torn", "of another version"])
def test_tables_that_cannot_be_read_are_begun_anew_with_a_note(
    harm: str, place: int, world: World, tables: tuple[Path, Path]
) -> None:
    path = tables[place]
    if harm == "torn":
        path.write_bytes(path.read_bytes()[:-200])
    else:
        commit(path, [Split("a", "p", "train", False, [])], Split)
    memory = keeping.remembered(*tables)
    assert (memory.flawed, memory.pairs) == ([], [])
    assert memory.note.startswith("all is drawn anew")
    assert path.name in memory.note
    assert world.kept(memory) == set()
