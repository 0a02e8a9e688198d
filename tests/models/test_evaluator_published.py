"""The published evaluator, from files of exactly its layout, against the published nets written with torch's layers."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from irg_core.errors import ModelError
from irg_core.models.evaluator import Evaluator
from irg_core.models.evaluator_published import TAGS, plain_mapping
from irg_core.seeds import rng

WORDS = ["sos", "eos", "unk", "a", "person", "walk", "run", "slowly", "left", "with"]
LINE = "A person walks slowly with left.#a/DET person/NOUN walk/VERB slowly/ADV with/ADP left/ADJ dog/NOUN#0.0#0.0"


class Gru(nn.Module):
    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.input_emb = nn.Linear(inputs, width)
        self.gru = nn.GRU(width, width, batch_first=True, bidirectional=True)
        self.output_net = nn.Sequential(
            nn.Linear(width * 2, width), nn.LayerNorm(width), nn.LeakyReLU(0.2), nn.Linear(width, 512)
        )
        self.hidden = nn.Parameter(torch.randn(2, 1, width))

    def forward(self, steps: torch.Tensor) -> torch.Tensor:
        _, last = self.gru(self.input_emb(steps), self.hidden)
        return self.output_net(torch.cat([last[0], last[1]], dim=-1))


@pytest.fixture(scope="module")
def nets() -> dict[str, nn.Module]:
    """The three nets of the checkpoint in their published sizes."""
    torch.manual_seed(1)
    movement = nn.Module()
    movement.main = nn.Sequential(
        nn.Conv1d(259, 512, 4, 2, 1), nn.Dropout(0.2), nn.LeakyReLU(0.2),
        nn.Conv1d(512, 512, 4, 2, 1), nn.Dropout(0.2), nn.LeakyReLU(0.2),
    )  # fmt: skip
    movement.out_net = nn.Linear(512, 512)
    text = Gru(300, 512)
    text.pos_emb = nn.Linear(15, 300)
    return {name: net.eval() for name, net in
            {"movement_encoder": movement, "motion_encoder": Gru(512, 1024), "text_encoder": text}.items()}  # fmt: skip


@pytest.fixture(scope="module")
def root(nets: dict[str, nn.Module], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files as they are downloaded, with weights and words of our own."""
    place = tmp_path_factory.mktemp("published")
    for folder in ("t2m/text_mot_match/model", "t2m/Comp_v6_KLD005/meta", "glove", "texts"):
        (place / folder).mkdir(parents=True)
    state = {name: net.state_dict() for name, net in nets.items()}
    torch.save({**state, "epoch": 90, "iter": 9, "opt_text_encoder": {}}, place / "t2m/text_mot_match/model/finest.tar")
    for name, values in (("mean", rng(0, "mean").standard_normal(263)), ("std", rng(0, "std").uniform(0.5, 2, 263))):
        np.save(place / f"t2m/Comp_v6_KLD005/meta/{name}.npy", values)
    order = [3, 1, 0, 2, 9, 8, 7, 6, 5, 4]
    np.save(place / "glove/our_vab_data.npy", rng(0, "glove").standard_normal((10, 300)))
    for name, value in (("idx", dict(zip(WORDS, order, strict=True))), ("words", WORDS)):
        (place / f"glove/our_vab_{name}.pkl").write_bytes(pickle.dumps(value))
    (place / "texts/000001.txt").write_text(f"{LINE}\n")
    return place


@pytest.fixture(scope="module")
def judge(root: Path) -> Evaluator:
    return Evaluator.published(root, root / "texts")


@torch.no_grad()
def test_motions_come_out_as_the_published_nets_have_them(
    judge: Evaluator, nets: dict[str, nn.Module], root: Path
) -> None:
    """One clip at a time, zeros up to 196 frames behind it after normalising, cut to whole units of four frames."""
    clips = [rng(1, length).standard_normal((length, 263)).astype(np.float32) for length in (41, 120, 196, 230)]
    mean, std = (np.load(root / f"t2m/Comp_v6_KLD005/meta/{name}.npy") for name in ("mean", "std"))
    expected = []
    for clip in clips:
        length = min(196, len(clip)) // 4 * 4
        padded = np.zeros((196, 259))
        padded[:length] = ((clip - mean) / std)[:length, :-4]
        movement = nets["movement_encoder"]
        steps = movement.main(torch.tensor(padded, dtype=torch.float32).T[None]).transpose(1, 2)  # type: ignore[operator]
        steps = movement.out_net(steps)  # type: ignore[operator]
        expected.append(nets["motion_encoder"](steps[:, : length // 4])[0].numpy())
    assert np.abs(judge.embed_motions(clips) - np.stack(expected)).max() < 1e-5


@torch.no_grad()
def test_sentences_come_out_as_the_published_nets_have_them(
    judge: Evaluator, nets: dict[str, nn.Module], root: Path
) -> None:
    """Framed by sos and eos; words of the five lists have a tag of their own, and an unknown word is unk/OTHER."""
    vectors = np.load(root / "glove/our_vab_data.npy")
    index = pickle.loads((root / "glove/our_vab_idx.pkl").read_bytes())  # noqa: S301  # written by this test
    tokens = [
        ("sos", "OTHER"), ("a", "DET"), ("person", "NOUN"), ("walk", "Act_VIP"), ("slowly", "Desc_VIP"),
        ("with", "ADP"), ("left", "Loc_VIP"), ("unk", "OTHER"), ("eos", "OTHER"),
    ]  # fmt: skip
    words = torch.tensor(np.stack([vectors[index[word]] for word, _ in tokens]), dtype=torch.float32)
    tags = torch.eye(15)[[TAGS.index(tag) for _, tag in tokens]]
    text = nets["text_encoder"]
    expected = text((words + text.pos_emb(tags))[None])[0].numpy()  # type: ignore[operator]
    assert np.abs(judge.embed_texts([LINE.partition("#")[0]])[0] - expected).max() < 1e-5


def test_a_sentence_without_tokens_is_read_with_a_warning_and_a_long_one_is_cut(judge: Evaluator) -> None:
    with pytest.warns(UserWarning, match="no tokens"):
        said = judge.embed_texts(["person " * 20, "person " * 25, "person " * 19])
    assert np.array_equal(said[0], said[1])
    assert not np.allclose(said[0], said[2])


def test_it_is_kept_and_loaded_as_ours_are(judge: Evaluator, tmp_path: Path) -> None:
    judge.save(tmp_path)
    again = Evaluator.load(tmp_path)
    clips, texts = [rng(2).standard_normal((60, 263))], [LINE.partition("#")[0]]
    assert np.array_equal(judge.embed_motions(clips), again.embed_motions(clips))
    assert np.array_equal(judge.embed_texts(texts), again.embed_texts(texts))


def test_a_pickle_that_would_run_something_is_refused(root: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no plain mapping"):
        plain_mapping(pickle.dumps({"walk": Path("here")}))
    with pytest.raises(ValueError, match="no plain mapping"):
        plain_mapping(pickle.dumps({"walk": "run"}))
    assert plain_mapping(pickle.dumps({"walk": 1, "run": 70_000, "": 300})) == {"walk": 1, "run": 70_000, "": 300}


class Harmful:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("run",)


def test_a_checkpoint_that_would_run_something_is_refused(root: Path, tmp_path: Path) -> None:
    place = tmp_path / "text_mot_match/model"
    place.mkdir(parents=True)
    torch.save({"movement_encoder": Harmful()}, place / "finest.tar")
    (tmp_path / "Comp_v6_x/meta").mkdir(parents=True)
    np.save(tmp_path / "Comp_v6_x/meta/mean.npy", np.zeros(263))
    np.save(tmp_path / "Comp_v6_x/meta/std.npy", np.ones(263))
    for name in ("our_vab_data.npy", "our_vab_idx.pkl"):
        (tmp_path / name).write_bytes((root / "glove" / name).read_bytes())
    with pytest.raises(ModelError, match="is no published evaluator"):
        Evaluator.published(tmp_path, root / "texts")


def test_a_folder_that_lacks_a_file_says_which(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"has 0 files .*finest\.tar"):
        Evaluator.published(tmp_path, tmp_path)
