from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from irg_core.errors import ModelError
from irg_core.models import world
from irg_core.models.vqvae import Codebook, MotionTokenizer, VqConfig, VqVae
from irg_core.records.motion import FEATURES
from irg_core.seeds import rng
from irg_core.training.patches import components


@pytest.fixture(scope="module")
def tokenizer() -> MotionTokenizer:
    config = VqConfig(width=16, depth=2, codes=32, code_width=8)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = VqVae(config, FEATURES)
    clips = torch.from_numpy(np.stack([clip(64, seed) for seed in range(8)]))
    net.codebook.start(net.encoder(net.normalise(clips).transpose(1, 2)), torch.Generator().manual_seed(0))
    return MotionTokenizer(net, config)


def clip(frames: int, seed: int = 0) -> np.ndarray:
    return rng(seed, "clip").standard_normal((frames, FEATURES)).astype(np.float32)


def test_four_frames_make_a_code_and_a_code_four_frames(tokenizer: MotionTokenizer) -> None:
    codes = tokenizer.encode([clip(40), clip(43), clip(3)])
    assert [len(row) for row in codes] == [10, 10, 0]
    assert codes[0] == codes[1] or len(set(codes[0])) > 1
    assert [features.shape for features in tokenizer.decode(codes)] == [(40, FEATURES), (40, FEATURES), (0, FEATURES)]
    assert all(features.dtype == np.float32 for features in tokenizer.decode(codes))


def test_a_clips_codes_do_not_depend_on_its_company(tokenizer: MotionTokenizer) -> None:
    clips = [clip(40 + 4 * (seed % 5), seed) for seed in range(40)]
    together = tokenizer.encode(clips)
    assert together == [tokenizer.encode([alone])[0] for alone in clips]
    for joint, alone in zip(tokenizer.decode(together), together, strict=True):
        np.testing.assert_allclose(joint, tokenizer.decode([alone])[0], atol=1e-5)


def test_a_clip_is_encoded_so_that_it_ends_where_it_should() -> None:
    """A codebook of two speeds, for one between them: each code rounds it alike, and the sums run away."""
    config = VqConfig(width=4, depth=0, codes=2, code_width=1)
    net = VqVae(config, FEATURES)
    with torch.no_grad():
        for weight in net.parameters():
            weight.zero_()
        layers: list[Any] = [net.encoder[0], net.encoder[-1], net.decoder[0], net.decoder[-2]]
        patch, narrow, widen, last = (layer.weight for layer in layers)
        patch[0, 2] = 0.25  # the mean of four frames' forward speed
        narrow[0, 0] = widen[0, 0, 1] = 1.0
        last[2::FEATURES, 0] = 1.0
    net.codebook.vectors.copy_(torch.tensor([[0.0], [0.1]]))
    tokenizer = MotionTokenizer(net, config)

    motion = np.zeros((100, FEATURES), dtype=np.float32)
    motion[:, 2] = np.repeat(0.03 + 0.01 * rng(0, "speed").standard_normal(25), 4)
    covered = motion[:, 2].sum()
    (apart,), (kept) = tokenizer.encode_apart([motion]), tokenizer.encode([motion, motion[:60]])
    short, shorter = (abs(0.4 * sum(codes) - covered) for codes in (apart, kept[0]))
    assert short > 2.0
    assert shorter < 0.5
    assert kept[1] == tokenizer.encode([motion[:60]])[0]


def test_no_clip_is_encoded_worse_for_its_path(tokenizer: MotionTokenizer) -> None:
    motions = [0.1 * clip(48, seed) for seed in range(12)]

    def astray(codes: list[list[int]]) -> np.ndarray:
        again = np.stack(tokenizer.decode(codes))
        return world.lengths(world.gaps(torch.from_numpy(again), torch.from_numpy(np.stack(motions)))).mean(1).numpy()

    kept, apart = astray(tokenizer.encode(motions)), astray(tokenizer.encode_apart(motions))
    assert (kept <= apart + 1e-5).all()
    assert kept.mean() < apart.mean()


def test_a_saved_tokenizer_gives_the_same_codes(tokenizer: MotionTokenizer, tmp_path: Path) -> None:
    tokenizer.save(tmp_path)
    again = MotionTokenizer.load(tmp_path)
    assert again.codes == 32
    assert again.encode([clip(80)]) == tokenizer.encode([clip(80)])
    assert {file.name for file in tmp_path.iterdir()} == {"config.json", "model.safetensors", "SHA256SUMS"}


def test_codes_of_another_tokenizer_are_refused(tokenizer: MotionTokenizer) -> None:
    with pytest.raises(ModelError, match="code 32"):
        tokenizer.decode([[1, 32]])


def test_a_folder_without_a_tokenizer_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=str(tmp_path)):
        MotionTokenizer.load(tmp_path)


def test_codes_settle_on_the_clusters_of_what_falls_to_them() -> None:
    centres = torch.tensor([[5.0, 0.0], [-5.0, 0.0], [0.0, 5.0]])
    book, draws = Codebook(3, 2), torch.Generator().manual_seed(1)
    outputs = (centres[:, None] + 0.1 * torch.randn(3, 20, 2, generator=draws)).reshape(1, 60, 2).transpose(1, 2)
    book.start(outputs, draws)
    for _ in range(200):
        book.update(outputs, book(outputs).codes, 0.9, draws)
    assert torch.cdist(centres, book.vectors).min(1).values.max() < 0.2


def test_a_code_that_nothing_falls_to_is_revived() -> None:
    book, draws = Codebook(2, 2), torch.Generator().manual_seed(1)
    outputs = torch.randn(1, 2, 50, generator=draws)
    book.start(outputs, draws)
    book.vectors[1] = 100.0
    book.sums[1] = 100.0
    for _ in range(20):
        book.update(outputs, book(outputs).codes, 0.9, draws)
    assert len(book(outputs).codes.unique()) == 2


def test_codes_begin_on_clusters_however_rare_they_are() -> None:
    draws = torch.Generator().manual_seed(1)
    centres = torch.tensor([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0]])
    outputs = centres.repeat_interleave(torch.tensor([300, 6, 3]), dim=0)
    outputs = outputs + 0.05 * torch.randn(outputs.shape, generator=draws)
    book = Codebook(3, 2)
    book.start(outputs.T[None], draws)
    assert torch.cdist(centres, book.vectors).min(1).values.max() < 0.15


def test_a_code_that_has_its_share_stays_and_a_rarer_one_moves() -> None:
    draws = torch.Generator().manual_seed(1)
    for share, stays in ((20, True), (1, False)):
        book, outputs = Codebook(2, 1), torch.zeros(1, 1, 100)
        outputs[..., :share] = 10.0
        book.start(outputs, draws)
        for _ in range(100):
            book.update(outputs, book(outputs).codes, 0.9, draws)
        assert (sorted(book.vectors.flatten().round().tolist()) == [0.0, 10.0]) == stays


def test_a_net_begins_as_the_projection_onto_the_main_components() -> None:
    draws = torch.Generator().manual_seed(2)
    plane, _ = torch.linalg.qr(torch.randn(4 * FEATURES, 3, generator=draws))
    patches = (torch.randn(900, 3, generator=draws) * torch.tensor([9.0, 3.0, 1.0])) @ plane.T + 0.5
    net = VqVae(VqConfig(width=16, depth=2, codes=8, code_width=8), FEATURES)
    net.begin(components(patches.view(-1, 4, FEATURES), torch.ones(FEATURES), 16, 8))
    clips = patches.view(90, 40, FEATURES).transpose(1, 2)
    with torch.inference_mode():
        outputs = net.encoder(clips)
        torch.testing.assert_close(net.decoder(outputs), clips, atol=1e-3, rtol=0)
    assert outputs.square().mean().item() == pytest.approx(1.0, rel=0.02)
    # Outputs are as far apart as the patches they stand for, up to one factor.
    flat = outputs.transpose(1, 2).reshape(-1, 8)
    ratios = torch.cdist(flat[:20], flat[20:40]) / torch.cdist(patches[:20], patches[20:40])
    torch.testing.assert_close(ratios, ratios.mean().expand_as(ratios), rtol=1e-2, atol=0)


def test_gradients_pass_straight_through_the_codebook() -> None:
    book = Codebook(4, 2)
    book.start(torch.randn(1, 2, 9, generator=torch.Generator().manual_seed(1)), torch.Generator().manual_seed(1))
    outputs = torch.randn(1, 2, 5, generator=torch.Generator().manual_seed(2)).requires_grad_()
    quantised = book(outputs)
    (quantised.vectors * 3.0).sum().backward()
    torch.testing.assert_close(quantised.vectors.detach(), book.vectors[quantised.codes].transpose(1, 2))
    assert outputs.grad is not None
    assert (outputs.grad == 3.0).all()
