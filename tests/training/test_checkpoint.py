import errno
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch

from irg_core.errors import CheckpointError, ModelError
from irg_core.fingerprints import fingerprint
from irg_core.training import loop
from irg_core.training.checkpoint import Checkpoints, Saved, checkpoints, pack, unpack
from irg_core.training.schedule import seeded


@dataclass(frozen=True)
class Knobs:
    steps: int


@pytest.fixture
def kept(tmp_path: Path) -> Checkpoints:
    return Checkpoints(tmp_path / "runs", every=5)


def saved(step: int) -> Saved:
    return Saved(step, {"weight": torch.full((3,), float(step))}, {"journal": [[step, "loss", 0.1]]})


def test_the_newest_step_comes_back_as_it_was(kept: Checkpoints) -> None:
    for step in (5, 10):
        kept.save(saved(step))
    found = kept.newest()
    assert found is not None
    assert (found.step, found.state) == (10, {"journal": [[10, "loss", 0.1]]})
    assert torch.equal(found.tensors["weight"], torch.full((3,), 10.0))


def test_a_fresh_training_has_none(kept: Checkpoints) -> None:
    assert kept.newest() is None


FILES = ("tensors.safetensors", "state.json", "SHA256SUMS")


def flipped(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "a flipped bit": flipped,
    "a lost end": lambda file: file.write_bytes(file.read_bytes()[:-3]),
    "zeros": lambda file: file.write_bytes(bytes(file.stat().st_size)),
    "nothing": lambda file: file.write_bytes(b""),
    "no file": Path.unlink,
    "the file of another step": lambda file: shutil.copy(file.parent.parent / "step-00000005" / file.name, file),
}


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_step_is_named_and_the_one_before_it_is_used(kept: Checkpoints, file: str, damage: str) -> None:
    kept.save(saved(5))
    kept.save(saved(10))
    DAMAGE[damage](kept.folder / "step-00000010" / file)
    with pytest.warns(UserWarning, match="step-00000010 is damaged") as heard:
        found = kept.newest()
    assert found is not None
    assert found.step == 5
    assert len(heard) == 1


def test_a_step_under_another_name_or_of_another_training_is_damaged(kept: Checkpoints, tmp_path: Path) -> None:
    kept.save(saved(5))
    (kept.folder / "step-00000005").rename(kept.folder / "step-00000010")
    with pytest.warns(UserWarning, match="it is step 5 of runs"):
        assert kept.newest() is None
    other = Checkpoints(tmp_path / "other", every=5)
    other.save(saved(10))
    shutil.rmtree(kept.folder)
    shutil.copytree(other.folder, kept.folder)
    with pytest.warns(UserWarning, match="it is step 10 of other"):
        assert kept.newest() is None


def test_damaged_steps_make_room_for_the_steps_that_are_done_again(kept: Checkpoints) -> None:
    for step in (5, 10, 15):
        kept.save(saved(step))
    flipped(kept.folder / "step-00000015/state.json")
    kept.save(saved(12))
    assert [place.name for place in kept.steps()] == ["step-00000010", "step-00000012"]


def test_what_a_trainer_keeps_beside_its_steps_belongs_to_them(kept: Checkpoints) -> None:
    for step in (5, 10):
        rollouts = kept.folder / "rollouts" / f"{step:08d}.parquet"
        rollouts.parent.mkdir(parents=True, exist_ok=True)
        rollouts.write_text(f"said in step {step}")
        kept.save(saved(step))
    flipped(rollouts)
    with pytest.warns(UserWarning, match=r"rollouts/00000010\.parquet, on which it relies"):
        found = kept.newest()
    assert found is not None
    assert found.step == 5


def test_the_best_step_by_val_is_kept_beside_the_last_two(kept: Checkpoints) -> None:
    for step, score in ((5, 2.0), (10, 1.0), (15, 1.0), (20, 3.0), (25, None), (30, 1.5)):
        kept.save(replace(saved(step), score=score))
    assert [place.name[-2:] for place in kept.steps()] == ["10", "25", "30"]
    kept.save(replace(saved(35), score=0.5))
    assert [place.name[-2:] for place in kept.steps()] == ["10", "30", "35"], "30 could not be gone on with without 10"
    flipped(kept.folder / "step-00000035/state.json")
    with pytest.warns(UserWarning, match="step-00000035 is damaged"):
        assert kept.newest() is not None
    shutil.rmtree(kept.folder / "step-00000035")
    best, newest = kept.best(), kept.newest()
    assert best is not None
    assert newest is not None
    assert (best.step, best.score, newest.step) == (10, 1.0, 30)
    flipped(kept.folder / "step-00000010/tensors.safetensors")
    with pytest.warns(UserWarning, match="step-00000010 is damaged"):
        best = kept.best()
    assert best is not None
    assert best.step == 30


def test_a_step_whose_best_is_damaged_is_left_for_one_from_which_the_best_is_made_again(kept: Checkpoints) -> None:
    for step, score in ((5, 2.0), (10, 1.0), (15, None), (20, None)):
        kept.save(replace(saved(step), score=score))
    flipped(kept.folder / "step-00000010/tensors.safetensors")
    with pytest.warns(UserWarning, match="the best step before it, 10, is not whole: tensors") as heard:
        assert kept.newest() is None
    assert len(heard) == 3


def test_without_a_score_there_is_no_best(kept: Checkpoints) -> None:
    kept.save(saved(5))
    assert kept.best() is None


def test_a_full_disk_is_one_sentence_and_nothing_is_lost(kept: Checkpoints, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    kept.save(saved(5))
    with monkeypatch.context() as patch, pytest.raises(CheckpointError) as raised:
        patch.setattr(os, "fsync", full)
        kept.save(saved(10))
    said = str(raised.value)
    for part in ("step 10 cannot be kept", "No space left on device", "MB are free", "step 5 stays the last good one"):
        assert part in said
    assert [path.name for path in kept.folder.iterdir()] == ["step-00000005"]
    found = kept.newest()
    assert found is not None
    assert found.step == 5


def test_weights_that_are_not_finite_never_replace_good_ones(kept: Checkpoints) -> None:
    kept.save(saved(5))
    bad = Saved(10, {"good": torch.ones(2), "model/head": torch.tensor([1.0, float("nan")])}, {})
    with pytest.raises(ModelError, match="model/head is not finite after step 10; step 5 stays the last good one"):
        kept.save(bad)
    assert [place.name for place in kept.steps()] == ["step-00000005"]


def test_training_on_writes_nothing_into_the_checkpoint_it_came_from(kept: Checkpoints) -> None:
    kept.save(saved(5))
    found = kept.newest()
    assert found is not None
    found.tensors["weight"].add_(1)
    again = kept.newest()
    assert again is not None
    assert torch.equal(again.tensors["weight"], torch.full((3,), 5.0))


def test_only_what_is_needed_to_survive_one_damaged_step_is_kept(kept: Checkpoints) -> None:
    for step in (5, 10, 15):
        kept.save(saved(step))
    assert sorted(folder.name for folder in kept.folder.iterdir()) == ["step-00000010", "step-00000015"]


def test_a_committed_training_leaves_nothing(kept: Checkpoints) -> None:
    kept.save(saved(5))
    kept.discard()
    assert not kept.folder.exists()


def test_other_parameters_or_inputs_are_another_training(tmp_path: Path) -> None:
    table = tmp_path / "table.parquet"
    table.write_bytes(b"rows")
    first = fingerprint(Knobs(5), [table])
    assert fingerprint(Knobs(5), [table]) == first
    assert fingerprint(Knobs(6), [table]) != first
    table.write_bytes(b"other rows")
    assert fingerprint(Knobs(5), [table]) != first


@pytest.fixture
def stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A table, in the working directory, of which a training of five steps was stopped after one."""
    monkeypatch.chdir(tmp_path)
    table = Path("table.parquet")
    table.write_bytes(b"rows")
    checkpoints("train_x", Knobs(5), [table], every=1).save(saved(1))
    return table


def test_the_same_training_goes_on_where_it_stood(stopped: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = checkpoints("train_x", Knobs(5), [stopped], every=1).newest()
    assert found is not None
    assert found.step == 1
    assert capsys.readouterr().out == ""


def test_a_fresh_start_says_in_a_line_what_differs_and_leaves_the_other_alone(
    stopped: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stopped.write_bytes(b"other rows")
    kept = checkpoints("train_x", Knobs(6), [stopped], every=1)
    assert kept.newest() is None
    said = capsys.readouterr().out
    assert said.count("\n") == 1
    assert said.startswith("train_x: starts afresh; the one in runs/train_x/")
    assert "(step 1) differs in train_x.steps 5 → 6, inputs (table.parquet); it is left alone" in said
    kept.save(saved(1))
    kept.discard()
    stopped.write_bytes(b"rows")
    assert checkpoints("train_x", Knobs(5), [stopped], every=1).newest() is not None


def test_changed_code_is_another_training_and_is_named(
    stopped: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = stopped.with_name("loop.py")
    other.write_text("steps = 1\n")
    monkeypatch.setattr(loop, "__file__", str(other))
    assert checkpoints("train_x", Knobs(5), [stopped], every=1).newest() is None
    assert "differs in code (irg_core.training.loop); it is left alone" in capsys.readouterr().out


def test_who_asks_to_go_on_is_refused_with_the_difference(stopped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IRG_RESUME", "train_x")
    with pytest.raises(CheckpointError, match=r"train_x\.steps 5 → 7; put that back .* or unset IRG_RESUME"):
        checkpoints("train_x", Knobs(7), [stopped], every=1)
    assert checkpoints("train_x", Knobs(5), [stopped], every=1).newest() is not None
    assert checkpoints("train_y", Knobs(5), [stopped], every=1).newest() is None, "another stage starts as it can"
    shutil.rmtree("runs")
    with pytest.raises(CheckpointError, match="there is none in runs/train_x"):
        checkpoints("train_x", Knobs(5), [stopped], every=1)


def test_who_asks_to_go_on_does_not_start_afresh_when_all_is_damaged(
    stopped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IRG_RESUME", "train_x")
    kept = checkpoints("train_x", Knobs(5), [stopped], every=1)
    flipped(kept.folder / "step-00000001/state.json")
    with (
        pytest.warns(UserWarning, match="is damaged"),
        pytest.raises(CheckpointError, match=r"no checkpoint .* is whole"),
    ):
        kept.newest()


def test_weights_buffers_and_moments_come_back() -> None:
    def trained(steps: int) -> tuple[torch.nn.Module, torch.optim.Optimizer]:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            model = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.BatchNorm1d(3))
        optimizer = torch.optim.AdamW(model.parameters(), fused=True)
        for _ in range(steps):
            advance(model, optimizer)
        return model, optimizer

    def advance(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
        optimizer.zero_grad()
        model(torch.arange(12.0).reshape(4, 3)).square().mean().backward()
        optimizer.step()

    whole, _ = trained(4)
    half = pack(*trained(2))
    resumed, optimizer = trained(0)
    unpack(half, resumed, optimizer)
    for _ in range(2):
        advance(resumed, optimizer)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name


def test_frozen_weights_are_not_kept() -> None:
    def adapted() -> tuple[torch.nn.Linear, torch.nn.Linear, torch.nn.Module, torch.optim.Optimizer]:
        frozen, learned = torch.nn.Linear(64, 64).requires_grad_(False), torch.nn.Linear(64, 2)
        return frozen, learned, torch.nn.Sequential(frozen, learned), torch.optim.AdamW(learned.parameters())

    _, learned, model, optimizer = adapted()
    model(torch.ones(1, 64)).sum().backward()
    optimizer.step()
    kept = pack(model, optimizer)
    assert {name for name in kept if name.startswith("model/")} == {"model/1.weight", "model/1.bias"}
    frozen, other, model, optimizer = adapted()
    before = frozen.weight.clone()
    unpack(kept, model, optimizer)
    assert torch.equal(other.weight, learned.weight)
    assert torch.equal(frozen.weight, before)


@pytest.mark.parametrize("layers", [[torch.nn.Linear(3, 1)], [torch.nn.Linear(3, 3), torch.nn.Linear(3, 3)]])
def test_the_weights_of_another_model_are_refused(layers: list[torch.nn.Module]) -> None:
    model, other = torch.nn.Sequential(torch.nn.Linear(3, 3)), torch.nn.Sequential(*layers)
    kept = pack(model, torch.optim.AdamW(model.parameters()))
    with pytest.raises(ModelError, match=r"the weights of another model: model/\d\.bias is .*, not .*"):
        unpack(kept, other, torch.optim.AdamW(other.parameters()))


def test_dropout_of_a_step_is_the_same_when_the_step_is_done_again() -> None:
    def dropped(seed: int) -> torch.Tensor:
        with seeded(seed):
            return torch.nn.functional.dropout(torch.ones(64))

    before = torch.get_rng_state()
    first = dropped(1)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(3)
    assert torch.equal(dropped(1), first)
    assert not torch.equal(dropped(2), first)
