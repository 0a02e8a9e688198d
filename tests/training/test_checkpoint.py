from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from irg_core.training.checkpoint import Checkpoints, Saved, fingerprint, pack, unpack


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


@pytest.mark.parametrize("file", ["tensors.safetensors", "state.json", "manifest.json"])
def test_a_damaged_step_is_skipped_with_a_warning(kept: Checkpoints, file: str) -> None:
    kept.save(saved(5))
    kept.save(saved(10))
    damaged = kept.folder / "step-00000010" / file
    damaged.write_bytes(damaged.read_bytes()[:-3] + b"???")
    with pytest.warns(UserWarning, match="step-00000010 is damaged"):
        found = kept.newest()
    assert found is not None
    assert found.step == 5


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
