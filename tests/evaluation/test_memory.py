"""A killed evaluation goes on: finished batches are found, damaged ones are made again."""

from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from irg_core.evaluation.memory import Memory, memory_of
from irg_core.models import decoding
from irg_core.models.decoding import Answer

Batch = tuple[str, dict[str, str]]
BATCHES: list[Batch] = [("motion", {"a": "walk", "b": "run"}), ("motion", {"c": "jump"}), ("free", {"c": "jump"})]


def answer(done: Counter[str], fails_at: str, batch: Batch) -> dict[str, Answer]:
    mode, prompts = batch
    if fails_at in prompts:
        raise KeyboardInterrupt
    done.update(f"{mode}/{key}" for key in prompts)
    return {key: Answer(text, [1, 2], [-0.1, -1 / 3], "single", []) for key, text in prompts.items()}


def test_what_was_answered_before_a_kill_is_not_answered_again(tmp_path: Path) -> None:
    done: Counter[str] = Counter()
    with pytest.raises(KeyboardInterrupt):
        list(map(Memory(tmp_path).around(partial(answer, done, "c"), Answer), BATCHES))
    found = list(map(Memory(tmp_path).around(partial(answer, done, ""), Answer), BATCHES))
    assert found == [answer(Counter(), "", batch) for batch in BATCHES]
    assert set(done.values()) == {1}
    assert len(done) == 4


@pytest.mark.parametrize("spoilt", ["", "{", '{"c": {"text": 1}}', "[]"])
def test_a_damaged_batch_is_answered_again(tmp_path: Path, spoilt: str) -> None:
    done: Counter[str] = Counter()
    work = Memory(tmp_path).around(partial(answer, done, ""), Answer)
    whole = list(map(work, BATCHES))
    for file in tmp_path.iterdir():
        file.write_text(spoilt)
    assert list(map(work, BATCHES)) == whole
    assert set(done.values()) == {2}


@dataclass(frozen=True)
class Knobs:
    threads: int


def test_answers_of_other_code_params_or_weights_are_not_gone_on_with_and_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    weights, edited = tmp_path / "weights", tmp_path / "decoding.py"
    weights.write_text("1 2 3")
    edited.write_text(f"{Path(decoding.__file__).read_text()}\n# Decodes otherwise.\n")
    place = tmp_path / "m"
    first = memory_of(place, Knobs(1), [weights])
    list(map(first.around(partial(answer, Counter(), ""), Answer), BATCHES))
    assert memory_of(place, Knobs(1), [weights]) == first
    assert capsys.readouterr().out == ""

    starts = f"evaluate@m: starts afresh; 3 finished batches in {first.folder} differ in "
    second = memory_of(place, Knobs(2), [weights])
    assert capsys.readouterr().out == f"{starts}evaluate.threads 1 → 2; they are left alone\n"
    monkeypatch.setattr(decoding, "__file__", str(edited))
    third = memory_of(place, Knobs(1), [weights])
    assert capsys.readouterr().out == f"{starts}code (irg_core.models.decoding); they are left alone\n"
    weights.write_text("4 5 6")
    fourth = memory_of(place, Knobs(1), [weights])
    assert f"{starts}inputs ({weights}), code (irg_core.models.decoding); they" in capsys.readouterr().out
    assert len({memory.folder for memory in (first, second, third, fourth)}) == 4
    assert len(list(first.folder.iterdir())) == len(BATCHES) + 1


def test_a_finished_evaluation_leaves_nothing(tmp_path: Path) -> None:
    memory = Memory(tmp_path / "run")
    list(map(memory.around(partial(answer, Counter(), ""), Answer), BATCHES))
    memory.forget()
    assert not (tmp_path / "run").exists()
