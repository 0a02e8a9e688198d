from pathlib import Path

import numpy as np
import pytest
import torch

from irg_core.errors import ModelError
from irg_core.models.vqvae import Codebook, MotionTokenizer, VqConfig, VqVae
from irg_core.records.motion import FEATURES
from irg_core.seeds import rng


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


def test_a_saved_tokenizer_gives_the_same_codes(tokenizer: MotionTokenizer, tmp_path: Path) -> None:
    tokenizer.save(tmp_path)
    again = MotionTokenizer.load(tmp_path)
    assert again.codes == 32
    assert again.encode([clip(80)]) == tokenizer.encode([clip(80)])
    assert {file.name for file in tmp_path.iterdir()} == {"config.json", "model.safetensors"}


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


def test_gradients_pass_straight_through_the_codebook() -> None:
    book = Codebook(4, 2)
    book.start(torch.randn(1, 2, 9, generator=torch.Generator().manual_seed(1)), torch.Generator().manual_seed(1))
    outputs = torch.randn(1, 2, 5, generator=torch.Generator().manual_seed(2)).requires_grad_()
    quantised = book(outputs)
    (quantised.vectors * 3.0).sum().backward()
    torch.testing.assert_close(quantised.vectors.detach(), book.vectors[quantised.codes].transpose(1, 2))
    assert outputs.grad is not None
    assert (outputs.grad == 3.0).all()
