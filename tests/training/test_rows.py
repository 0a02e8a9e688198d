from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from irg_core import dialogue
from irg_core.errors import TableError
from irg_core.models.language import Language
from irg_core.records.training import Example, Segment
from irg_core.seeds import derive, rng
from irg_core.training import rows
from irg_core.training.rows import IGNORED, Encoded, Prepared, Rows, Writer


def test_only_supervised_segments_and_the_end_carry_labels(language: Language) -> None:
    flawed, good = dialogue.Round((1, 2), "no", "turn"), dialogue.Round((3,), "yes", dialogue.SENTINEL)
    trace = dialogue.Trace("walk", (flawed, good))
    example = Example("x", "trace", "train", "a person walks.", dialogue.segments(trace), [])
    (found,) = rows.encode([example], language.vocabulary)
    spoken = language.vocabulary.decode([label for label in found.labels.tolist() if label != IGNORED])
    assert spoken == dialogue.render(trace).replace(f"[generate]{dialogue.motion([1, 2])}[/generate]", "") + "<end>"
    told = language.vocabulary.decode(found.ids.tolist())
    assert told == f"<user>a person walks.<assistant>{dialogue.render(trace)}<end>"
    assert all(label in (IGNORED, token) for token, label in zip(found.ids, found.labels, strict=True))


def test_only_codes_of_the_answer_are_corrupted(language: Language, examples: list[Example]) -> None:
    prompt = f"mend {dialogue.motion([1] * 20)}"
    answer = replace(examples[0], prompt=prompt, answer=[Segment(dialogue.motion([2] * 40), True)])
    (row,) = rows.encode([answer], language.vocabulary)
    read = rows.corrupted(row, language.vocabulary, 0.5, rng(1))
    changed = row.labels[row.ids != read.ids]
    assert 10 < len(changed) < 30
    assert set(changed.tolist()) == {language.vocabulary.first_code + 2}
    assert np.array_equal(read.labels, row.labels)
    assert np.array_equal(rows.corrupted(row, language.vocabulary, 0.0, rng(1)).ids, row.ids)


@pytest.mark.parametrize("count", [0, 1, 511, 512, 513, 1300])
def test_rows_come_back_from_disk_as_they_were_written(tmp_path: Path, count: int) -> None:
    with Writer(tmp_path / "rows.arrow") as writer:
        for index in range(count):
            ids = np.arange(index % 7 + 1, dtype=np.int32)
            writer.add(Encoded(f"row {index}", "walk", ids, np.where(ids > 2, ids, IGNORED).astype(np.int32)))
    found = Rows(tmp_path / "rows.arrow")
    assert len(found) == count
    assert found.lengths.tolist() == [index % 7 + 1 for index in range(count)]
    for index in {0, count // 2, count - 1} if count else set[int]():
        row = found[index]
        assert (row.example_id, row.task, row.ids.tolist()) == (f"row {index}", "walk", list(range(index % 7 + 1)))
        assert row.labels.tolist() == [label if label > 2 else IGNORED for label in range(index % 7 + 1)]
    assert [row.example_id for row in found[-2:]] == [f"row {index}" for index in range(max(0, count - 2), count)]
    with pytest.raises(IndexError):
        found[count]


def test_what_is_read_is_what_was_encoded(language: Language, examples: list[Example], tmp_path: Path) -> None:
    val = [replace(row, example_id=f"v{row.example_id}", task="caption", split="val") for row in examples[:5]]
    test = [replace(row, example_id=f"t{row.example_id}", split="test") for row in examples[:5]]
    rows.write(tmp_path / "rows", "train_base", [*examples, *val, *test], language.vocabulary, 64, 5, 3)
    found = Prepared(tmp_path / "rows")
    wanted = rows.encode([row for row in examples if row.split == "train"], language.vocabulary)
    assert [(row.example_id, row.ids.tolist(), row.labels.tolist()) for row in found.rows] == [
        (row.example_id, row.ids.tolist(), row.labels.tolist()) for row in wanted
    ]
    looked = {"base": [f"{name}" for name in range(40, 48)], "caption": [f"v0{name}" for name in range(5)]}
    assert [(row.example_id, row.task) for row in found.heldout] == [
        (name, task) for task, names in looked.items() for name in sorted(names, key=lambda name: derive(5, name))[:3]
    ]


def test_val_rows_that_are_looked_at_are_of_every_corpus_whatever_the_order(
    language: Language, examples: list[Example], tmp_path: Path
) -> None:
    """Tables are in order of keys, and keys begin with the corpus: the first of them are all of one."""
    val = [
        replace(examples[0], example_id=f"{corpus}/{number:03d}", split="val")
        for corpus in ("amass", "cmu", "procedural") for number in range(60)
    ]  # fmt: skip
    found = []
    for name, order in (("sorted", val), ("reversed", val[::-1])):
        rows.write(tmp_path / name, "train_base", [examples[0], *order], language.vocabulary, 64, 1, 24)
        found.append([row.example_id for row in Prepared(tmp_path / name).heldout])
    assert found[0] == found[1]
    assert len(found[0]) == 24
    assert {name.split("/")[0] for name in found[0]} == {"amass", "cmu", "procedural"}


def test_examples_are_taken_a_few_at_a_time(language: Language, examples: list[Example], tmp_path: Path) -> None:
    """Of an endless corpus as many are taken as are tokenised together."""
    taken = 0

    def endless() -> Iterator[Example]:
        nonlocal taken
        while taken < 10 * rows.TOKENISED_TOGETHER:
            yield replace(examples[0], example_id=str(taken))
            taken += 1

    stream = rows._encoded(endless(), language.vocabulary)
    next(stream)
    assert taken < 2 * rows.TOKENISED_TOGETHER


@pytest.mark.parametrize(("split", "longest", "told"), [("train", 3, "all 1 are longer"), ("val", 64, "none at all")])
def test_nothing_to_learn_from_is_one_sentence_and_leaves_nothing(
    language: Language, examples: list[Example], tmp_path: Path, split: str, longest: int, told: str
) -> None:
    with pytest.raises(TableError, match=rf"train_base: no train example .*{told}.*train_base\.longest"):
        some = [replace(examples[0], split=split)]
        rows.write(tmp_path / "rows", "train_base", some, language.vocabulary, longest, 1, 8)
    assert not list(tmp_path.iterdir())
