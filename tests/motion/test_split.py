"""Who learns from what: takes whole, cells and templates kept back, each corpus by itself."""

from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irg_core.errors import ParamsError, SourceError
from irg_core.motion.representation import T2M
from irg_core.motion.split import SplitParams, split_corpora, statistics
from irg_core.records.motion import Clip, SourceCaption, Split

PARAMS = SplitParams(seed=5, unseen_cells=0.15, heldout_templates=0.2, val=0.1, test=0.1)


def clip(number: int, corpus: str = "made", cells: int = 20, cuts: int = 1, cut: int = 0) -> Clip:
    name = f"{corpus}/{number:04d}"
    captions = [SourceCaption(f"caption {k}", f"template{(number + k) % 10}") for k in range(3)]
    captions.append(SourceCaption("a person wrote this", ""))
    rows = np.random.Generator(np.random.PCG64(number)).normal(size=(50, 263)).astype(np.float32)
    clip_id = f"{name}#{cut}" if cuts > 1 else name
    return Clip(clip_id, corpus, name, f"cell{number % cells}", rows, captions, "")


def corpus(takes: int = 200, name: str = "made", cells: int = 20, cuts: int = 1) -> list[Clip]:
    return [clip(number, name, cells, cuts, cut) for number in range(takes) for cut in range(cuts)]


def split_corpus(clips: list[Clip], params: SplitParams) -> list[Split]:
    """A corpus by itself, no take of which is a twin of another."""
    splits, moved = split_corpora({clips[0].corpus: clips}, {}, params)
    assert moved == []
    return splits


def by_split(splits: list[Split]) -> dict[str, set[str]]:
    found = defaultdict(set)
    for split in splits:
        found[split.split].add(split.clip_id)
    return found


def test_shares_are_what_the_parameters_say() -> None:
    found = by_split(split_corpus(corpus(), PARAMS))
    assert len(found["val"]) == 20
    assert len(found["test"]) == 20 + 30
    assert len(found["train"]) == 130


@given(seed=st.integers(0, 99), cuts=st.integers(1, 3))
@settings(max_examples=20, deadline=None)
def test_no_take_straddles_two_splits_and_no_unseen_cell_is_learnt_from(seed: int, cuts: int) -> None:
    clips = corpus(cuts=cuts, takes=60)
    splits = split_corpus(clips, SplitParams(seed, 0.15, 0.2, 0.1, 0.1))
    split_of = {split.clip_id: split for split in splits}
    takes, cells = defaultdict(set), defaultdict(set)
    for one in clips:
        takes[one.take].add(split_of[one.clip_id].split)
        cells[one.cell].add((split_of[one.clip_id].split, split_of[one.clip_id].unseen))
    assert all(len(found) == 1 for found in takes.values())
    assert sum(found == {("test", True)} for found in cells.values()) >= 3
    assert all(found == {("test", True)} for found in cells.values() if ("test", True) in found)


def test_where_every_take_is_a_kind_of_its_own_all_of_test_is_unseen() -> None:
    splits = split_corpus(corpus(takes=19, cells=19), SplitParams(17, 0.15, 0.2, 0.08, 0.08))
    found = by_split(splits)
    assert (len(found["val"]), len(found["test"]), len(found["train"])) == (2, 4, 13)
    assert all(split.unseen == (split.split == "test") for split in splits)


def test_a_held_out_template_is_read_in_test_only_and_people_are_never_held_out() -> None:
    clips = {one.clip_id: one for one in corpus()}
    seen: dict[str, set[str]] = defaultdict(set)
    for split in split_corpus(list(clips.values()), PARAMS):
        captions = clips[split.clip_id].captions
        seen[split.split] |= {captions[index].template for index in split.captions}
        assert 3 in split.captions
        assert split.split != "test" or split.captions == [0, 1, 2, 3]
    assert len(seen["test"] - {""}) == 10
    assert len(seen["train"] - {""}) == 8
    assert seen["val"] <= seen["train"]


def test_the_order_of_clips_does_not_matter() -> None:
    def as_set(splits: list[Split]) -> set[tuple[str, str, bool]]:
        return {(split.clip_id, split.split, split.unseen) for split in splits}

    assert as_set(split_corpus(corpus(), PARAMS)) == as_set(split_corpus(corpus()[::-1], PARAMS))


def test_a_few_more_takes_move_only_a_few() -> None:
    before = {split.clip_id: split.split for split in split_corpus(corpus(200), PARAMS)}
    after = {split.clip_id: split.split for split in split_corpus(corpus(210), PARAMS)}
    assert sum(before[name] != after[name] for name in before) <= 10


def test_a_corpus_that_is_too_small_to_split_says_so() -> None:
    with pytest.raises(SourceError, match="corpus 'made' has 2 takes, too few"):
        split_corpus(corpus(takes=2), PARAMS)


def split_of_takes(corpora: dict[str, list[Clip]], families: dict[str, str]) -> dict[str, str]:
    splits, _ = split_corpora(corpora, families, PARAMS)
    assert len(splits) == sum(map(len, corpora.values()))
    return {split.clip_id: split.split for split in splits}


def test_twins_are_in_one_split_within_a_corpus_and_across() -> None:
    corpora = {name: corpus(60, name) for name in ("first", "second")}
    families = {f"{name}/{number:04d}": f"first/{number % 30:04d}" for name in corpora for number in range(60)}
    found = split_of_takes(corpora, families)
    for take, head in families.items():
        assert found[take] == found[head]
    assert set(found.values()) == {"train", "val", "test"}


def test_a_twin_in_another_corpus_moves_nothing_of_the_first() -> None:
    alone = split_of_takes({"first": corpus(60, "first")}, {})
    families = {"first/0003": "first/0003", "second/0009": "first/0003"}
    both = split_of_takes({name: corpus(60, name) for name in ("first", "second")}, families)
    assert alone == {name: split for name, split in both.items() if name.startswith("first")}
    assert both["second/0009"] == both["first/0003"]


def test_a_corpus_that_declares_its_splits_keeps_them() -> None:
    declared = [replace(one, split=("train", "val", "test")[n % 3]) for n, one in enumerate(corpus(30))]
    assert split_of_takes({"made": declared}, {}) == {one.clip_id: one.split for one in declared}


def test_declared_splits_that_contradict_each_other_give_way_to_train_and_that_is_told() -> None:
    declared = [replace(one, split="test" if n < 3 else "train") for n, one in enumerate(corpus(30))]
    families = {"made/0000": "made/0000", "made/0020": "made/0000"}
    splits, moved = split_corpora({"made": declared}, families, PARAMS)
    found = {split.clip_id: split.split for split in splits}
    assert (found["made/0000"], found["made/0020"], found["made/0001"]) == ("train", "train", "test")
    assert [(finding.name, finding.outcome) for finding in moved] == [("made/0000", "repaired")]
    assert "declared test" in moved[0].detail


def test_a_family_follows_the_corpus_that_declares_its_split() -> None:
    declared = [replace(one, split="test") for one in corpus(30, "second")]
    families = {f"first/{number:04d}": f"first/{number:04d}" for number in range(5)}
    families |= {f"second/{number:04d}": f"first/{number:04d}" for number in range(5)}
    found = split_of_takes({"first": corpus(60, "first"), "second": declared}, families)
    assert {found[f"first/{number:04d}"] for number in range(5)} == {"test"}


def test_shares_that_leave_nothing_to_learn_from_are_refused() -> None:
    with pytest.raises(ParamsError, match="unseen_cells"):
        SplitParams(1, 0.5, 0.2, 0.3, 0.2)


def test_statistics_are_those_of_all_frames_with_one_spread_a_group() -> None:
    clips = corpus(takes=4)
    rows = np.concatenate([one.features for one in clips]).astype(np.float64)
    found = statistics(clips)
    assert found["frames"] == 200
    assert np.abs(np.array(found["mean"]) - rows.mean(axis=0)).max() < 1e-6
    for group in T2M.groups:
        assert np.array(found["std"])[group] == pytest.approx(rows.std(axis=0)[group].mean(), abs=1e-6)


def test_a_group_that_never_changes_keeps_its_scale() -> None:
    still = Clip("made/0", "made", "made/0", "stand", np.ones((9, 263), dtype=np.float32), [], "")
    assert statistics([still])["std"] == [1.0] * 263
