import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from irg_core.errors import ModelError, ParamsError
from irg_core.models import world
from irg_core.models.vqvae import VqConfig
from irg_core.motion import features
from irg_core.records.motion import Clip, SourceCaption, Split
from irg_core.seeds import rng
from irg_core.tables import commit
from irg_core.training import tokenizer
from irg_core.training.checkpoint import Checkpoints
from irg_core.training.tokenizer import PartWeights, TrainTokenizerParams, Windows

ROOT = Path(__file__).parents[2]
PARAMS = TrainTokenizerParams(
    seed=1,
    threads=1,
    precision="float32",
    net=VqConfig(width=32, depth=1, codes=32, code_width=16),
    steps=60,
    batch=16,
    window=32,
    learning_rate=0.002,
    warmup=3,
    decay=0.9,
    commitment=0.02,
    velocity=0.5,
    world=2.0,
    pace=5.0,
    weights=PartWeights(root=1.0, positions=1.0, rotations=0.5, velocities=0.5, contacts=0.05),
    log_every=20,
    measure_every=20,
    measured=3,
    patience=2,
    checkpoint_every=5,
)
MEAN, STD = np.zeros(263, dtype=np.float32), np.full(263, 0.07, dtype=np.float32)


def named(count: int) -> dict[str, np.ndarray]:
    return {f"toy/{index}": motion for index, motion in enumerate(clips(count))}


def numbered(*lengths: int) -> dict[str, np.ndarray]:
    """Clips whose frames tell in thousands which clip they are of, and below which frame."""
    return {
        f"toy/{index}": np.full((length, 263), 1000.0 * index) + np.arange(length)[:, None]
        for index, length in enumerate(lengths)
    }


def clips(count: int, frames: int = 70) -> list[np.ndarray]:
    """Smooth random curves in the shape of features."""
    time_axis = np.arange(frames)[:, None] / 10
    phases = rng(0, "phases").uniform(0, 6, 263)
    speeds = [rng(index, "clip").uniform(0.5, 2) for index in range(count)]
    return [(0.1 * np.sin(speed * time_axis + phases)).astype(np.float32) for speed in speeds]


def test_windows_hold_frames_in_their_order_and_mask_what_is_missing() -> None:
    frames, real = Windows(numbered(9, 40), 16).draw(seed=1, step=0, batch=400)
    assert frames.shape == (400, 16, 263)
    short = frames[:, 0, 0] < 1000
    assert 0 < short.sum() < 400
    # Whole codes of a clip that is shorter than a window, as it is encoded.
    assert (real.sum(1) == torch.where(short, 8, 16)).all()
    steps = frames[:, :, 0].diff(dim=1)
    assert (steps[real[:, 1:]] == 1).all()
    assert frames[~short][:, 0, 0].unique().numel() == 25


def test_a_clip_is_seen_as_often_as_its_length_asks_for_and_its_ends_like_its_middle() -> None:
    lengths = (3, 12, 16, 17, 24, 100)
    frames, real = Windows(numbered(*lengths), 16).draw(seed=1, step=0, batch=20_000)
    seen = frames[:, :, 0][real].long()
    counts = [
        torch.bincount(seen[seen // 1000 == clip] % 1000, minlength=length) for clip, length in enumerate(lengths)
    ]
    even = len(seen) / sum(lengths[1:])
    assert counts[0].sum() == 0, "three frames are no code"
    for length, count in zip(lengths[1:], counts[1:], strict=True):
        assert count.sum().item() == pytest.approx(even * length, rel=0.1)
        # At worst (at the very ends, and where windows that were pushed inside overlap) twice too seldom or too often.
        assert 0.45 * even < count.min() <= count.max() < 2.0 * even


def test_windows_know_the_clips_that_they_are_of() -> None:
    windows = Windows(numbered(9, 40, 16), 16)
    frames, _ = windows.draw(1, 7, 50)
    assert windows.drawn_from(1, 7, 50) == [f"toy/{int(number) // 1000}" for number in frames[:, 0, 0]]


def test_windows_are_drawn_by_seed_and_step() -> None:
    windows = Windows(named(5), 16)
    one, same, other = (windows.draw(1, step, 4)[0] for step in (3, 3, 4))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_the_weights_of_a_frames_parts_are_shares_of_one() -> None:
    part = tokenizer.part_weights(PARAMS.weights, 263)
    assert part.sum().item() == pytest.approx(1.0)
    assert part[:4].sum().item() == pytest.approx(1.0 / 3.05)


def test_perplexity_counts_codes_in_use() -> None:
    assert tokenizer.perplexity(np.array([0, 1, 2, 3]), 8) == pytest.approx(4.0)
    assert tokenizer.perplexity(np.array([5, 5, 5]), 8) == pytest.approx(1.0)


def test_training_brings_the_error_far_below_the_mean_pose(tmp_path: Path) -> None:
    trained, journal = tokenizer.train(PARAMS, named(20), named(4), MEAN, STD, Checkpoints(tmp_path, 99))
    motions = clips(8, 40)
    again = trained.decode(trained.encode(motions))
    error = np.mean([np.abs(a - b).mean() for a, b in zip(motions, again, strict=True)])
    assert error < 0.5 * np.mean([np.abs(motion).mean() for motion in motions])
    assert {row.name for row in journal.rows} >= {"reconstruction", "heldout_mpjpe_mm", "heldout_perplexity"}


@pytest.mark.parametrize("width", [263, 251])
def test_joints_for_gradients_are_the_joints_of_the_features(width: int) -> None:
    rows = (0.2 * rng(3, "rows").standard_normal((2, 30, width))).astype(np.float32)
    expected = np.stack([features.to_joints(each) for each in rows])
    found = world.world_joints(torch.from_numpy(rows).double())
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-9)


def test_missing_frames_of_a_short_clip_teach_nothing() -> None:
    decoded, target = torch.randn(2, 3, 16, 263, generator=torch.Generator().manual_seed(1))
    real = torch.arange(16)[None] < torch.tensor([16, 9, 5])[:, None]
    other = torch.where(real[..., None], decoded, 50.0)
    for rows in (decoded, other):
        found = (*tokenizer._errors(PARAMS.weights, rows, target, real), *tokenizer._gaps(rows, target, real))
        assert [loss.item() for loss in found] == pytest.approx(
            [
                loss.item()
                for loss in (
                    *tokenizer._errors(PARAMS.weights, decoded, target, real),
                    *tokenizer._gaps(decoded, target, real),
                )
            ],
            rel=1e-5,
        )


def test_padding_is_neither_a_code_in_use_nor_commitment() -> None:
    """Of a clip of four codes, a window of sixteen codes tells what a window of four does."""
    told = []
    for window in (64, 16):
        params = replace(PARAMS, window=window, net=replace(PARAMS.net, depth=0))
        net = tokenizer._fresh(params, MEAN, STD)
        net.codebook.vectors.normal_(generator=torch.Generator().manual_seed(1))
        optimizer = torch.optim.AdamW(net.parameters())
        told.append(tokenizer._step(params, net, optimizer, Windows({"toy/0": clips(1, 16)[0]}, window), step=0))
    assert told[0]["commitment"] == pytest.approx(told[1]["commitment"], rel=1e-5)
    assert told[0]["perplexity"] == pytest.approx(told[1]["perplexity"], rel=1e-5)


def test_a_clip_without_numbers_stops_the_step_that_draws_it_and_is_named(tmp_path: Path) -> None:
    for value, rows in ((np.nan, 1), (1e30, 70)):
        poisoned = named(20)
        poisoned["toy/7"][:rows] = value
        with pytest.raises(
            ModelError, match=r"train_tokenizer: the loss is nan .* at step \d+, on toy/7; look"
        ) as raised:
            tokenizer.train(PARAMS, poisoned, named(4), MEAN, STD, Checkpoints(tmp_path, 99))
        assert "\n" not in str(raised.value)


def test_a_step_that_diverges_stops_at_once_and_the_checkpoint_before_it_stays(tmp_path: Path) -> None:
    """One clip sits far out, so that its gradient is no number while all that is drawn is one."""
    kept = Checkpoints(tmp_path / "train_tokenizer" / "f", 1)
    hasty = replace(PARAMS, learning_rate=1e30, warmup=1, log_every=1000, measure_every=1000, patience=0)
    with pytest.raises(ModelError, match=r"the loss is .* at step (\d+), on toy/\d+, toy/.* more; look") as raised:
        tokenizer.train(hasty, named(20), named(4), MEAN, STD, kept)
    stopped = int(str(raised.value).split(" at step ")[1].split(",")[0])
    newest = kept.newest()
    assert newest is not None
    assert newest.step == stopped - 1


def test_a_training_that_gets_no_better_stops_early_with_its_best_weights(tmp_path: Path) -> None:
    hasty = replace(PARAMS, learning_rate=0.3, warmup=1, measure_every=4, patience=2, steps=200)
    trained, journal = tokenizer.train(hasty, named(12), named(4), MEAN, STD, Checkpoints(tmp_path, 99))
    looks = [row.value for row in journal.rows if row.name == "look_mpjpe_mm"]
    assert len(looks) == looks.index(min(looks)) + 3 < 50
    again = tokenizer.measure(trained, tokenizer._some(named(4), hasty), trained.encode_apart)
    assert again["mpjpe_mm"] == pytest.approx(min(looks))


def test_errors_are_told_by_kind_of_motion(tmp_path: Path) -> None:
    trained, _ = tokenizer.train(replace(PARAMS, steps=2), named(4), named(2), MEAN, STD, Checkpoints(tmp_path, 99))
    motions = clips(3, 41)
    told = tokenizer.errors_by_kind(trained, motions, ["walk", "bow", "walk"])
    assert {kind: row["clips"] for kind, row in told.items()} == {"bow": 1, "walk": 2}
    assert told["bow"]["mpjpe_mm"] == pytest.approx(
        tokenizer.measure(trained, motions[1:2], trained.encode)["mpjpe_mm"], abs=1e-3
    )


def test_a_window_is_whole_codes() -> None:
    with pytest.raises(ParamsError, match="window is 30"):
        replace(PARAMS, window=30)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Tables and parameters for the stage `train_tokenizer`, in a folder of their own."""
    rows = [
        Clip(f"toy/{n}", "toy", f"toy/{n}", "", motion, [SourceCaption("moves", "")], "")
        for n, motion in enumerate(clips(12))
    ]
    splits = [Split(row.clip_id, "toy", "val" if n > 9 else "train", False, [0]) for n, row in enumerate(rows)]
    commit(tmp_path / "clips/toy.parquet", rows, Clip)
    commit(tmp_path / "splits.parquet", splits, Split)
    (tmp_path / "stats.json").write_text(json.dumps({"mean": MEAN.tolist(), "std": STD.tolist()}))
    knobs = replace(PARAMS, steps=80, checkpoint_every=10)
    section = {name: getattr(knobs, name) for name in knobs.__dataclass_fields__}
    section |= {"net": vars(knobs.net), "weights": vars(knobs.weights)}
    runtime = {**yaml.safe_load((ROOT / "params.yaml").read_text())["runtime"], "executor": "local"}
    values = {"corpora": {"toy": {}}, "runtime": runtime, "train_tokenizer": section}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(values))
    return tmp_path


def test_a_killed_stage_goes_on_and_ends_with_the_same_bytes(place: Path) -> None:
    _finish(_start(place, "whole"))
    whole = _content(place / "whole")
    for kill in range(2):
        seen = _kill_after_a_checkpoint(_start(place, "cut"), place / "runs")
        assert seen, f"kill {kill} came too late: the stage had ended"
    said = _finish(_start(place, "cut"))
    assert "going on after step" in said
    assert _content(place / "cut") == whole
    assert not list((place / "runs/train_tokenizer").glob("*/step-*"))


def _start(place: Path, out: str) -> subprocess.Popen[str]:
    arguments = ["train_tokenizer", "clips", "splits.parquet", "stats.json", "stats.json", out]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "pipelines", *arguments], cwd=place, env=environment, stdout=subprocess.PIPE, text=True
    )


def _finish(stage: subprocess.Popen[str]) -> str:
    said, _ = stage.communicate(timeout=120)
    assert stage.returncode == 0, said
    return said


def _kill_after_a_checkpoint(stage: subprocess.Popen[str], runs: Path) -> bool:
    """Kill -9 as soon as there is a step that was not there before; False if the stage ended first."""
    before = set(runs.glob("*/*/step-*"))
    while stage.poll() is None and not set(runs.glob("*/*/step-*")) - before:
        time.sleep(0.002)
    stage.send_signal(signal.SIGKILL)
    return stage.wait() == -signal.SIGKILL


def _content(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}
