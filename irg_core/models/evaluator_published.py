"""The evaluator of Guo et al. (2022) as it was published, whose space the field's numbers are of: for whoever has it.

The folder that people download has `text_mot_match/model/finest.tar` (the weights), a folder `meta` with the mean and
standard deviation that it normalises by (not those of the corpus), and beside it `glove/our_vab_*` (word vectors). It
reads HumanML3D's words with their parts of speech, which stand in the corpus's `texts/`; sentences that are not there
are split at blanks and tagged as the rest is, which the net has never seen: read their numbers with care.

Nothing is unpickled: tensors come through torch's `weights_only`, the list of words by reading its opcodes.
"""

import hashlib
import pickletools
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from irg_core.errors import ModelError
from irg_core.models.evaluator_guo import CONTACTS, halved
from irg_core.records.wording import words

LONGEST = 196
"""Frames: a longer motion is cut, a shorter one filled up with zeros, which the second convolution takes for frames."""
LONGEST_TEXT = 20
"""Words; those that follow are cut off, as the field does it."""
VECTOR = 300
"""Of a word. The published nets are 512 wide, but for a motion encoder of 1024."""
# fmt: off
TAGS = ("VERB", "NOUN", "DET", "ADP", "NUM", "AUX", "PRON", "ADJ", "ADV", "Loc_VIP", "Body_VIP", "Obj_VIP", "Act_VIP",
        "Desc_VIP", "OTHER")
_SPECIAL: Mapping[str, str] = {
    "Loc_VIP": "left right clockwise counterclockwise anticlockwise forward back backward up down straight curve",
    "Body_VIP": "arm chin foot feet face hand mouth leg waist eye knee shoulder thigh",
    "Obj_VIP": "stair dumbbell chair window floor car ball handrail baseball basketball",
    "Act_VIP": "walk run swing pick bring kick put squat throw hop dance jump turn stumble stop sit lift lower raise "
               "wash stand kneel stroll rub bend balance flap jog shuffle lean rotate spin spread climb",
    "Desc_VIP": "slowly carefully fast careful slow quickly happy angry sad happily angrily sadly",
}
# fmt: on
TAG_OF = {word: tag for tag, listed in _SPECIAL.items() for word in listed.split()}
"""Words whose tag is their own, whatever part of speech they are."""


def reads(width: int) -> int:
    return width - CONTACTS


class Recurrent(nn.Module):
    """A two-way GRU that starts from a learned state; its last states become one point."""

    def __init__(self, inputs: int, width: int, embedding: int) -> None:
        super().__init__()
        self.input_emb = nn.Linear(inputs, width)
        self.gru = nn.GRU(width, width, batch_first=True, bidirectional=True)
        self.output_net = nn.Sequential(
            nn.Linear(2 * width, width), nn.LayerNorm(width), nn.LeakyReLU(0.2), nn.Linear(width, embedding)
        )
        self.hidden = nn.Parameter(torch.zeros(2, 1, width))

    def forward(self, steps: Tensor, lengths: Tensor) -> Tensor:
        start = self.hidden.repeat(1, len(steps), 1)
        packed = nn.utils.rnn.pack_padded_sequence(
            self.input_emb(steps), lengths, batch_first=True, enforce_sorted=False
        )
        _, last = self.gru(packed, start)
        return self.output_net(torch.cat([last[0], last[1]], dim=-1))


class Movement(nn.Module):
    """Two stride-2 convolutions; what was dropout in training stands between them and does nothing."""

    def __init__(self, features: int, width: int) -> None:
        super().__init__()
        self.main = nn.ModuleDict({"0": nn.Conv1d(features, width, 4, 2, 1), "3": nn.Conv1d(width, width, 4, 2, 1)})
        self.out_net = nn.Linear(width, width)

    def forward(self, frames: Tensor) -> Tensor:
        signal = frames
        for convolution in self.main.values():
            signal = functional.leaky_relu(halved(signal, convolution), 0.2)
        return self.out_net(signal)


class MotionEncoder(nn.Module):
    """Movements of four frames each, read by a `Recurrent`."""

    def __init__(self, features: int, width: int, layers: int, embedding: int) -> None:
        super().__init__()
        self.movement = Movement(features, width)
        self.recurrent = Recurrent(width, 2 * width, embedding)

    def forward(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Normalised frames [n, T, features] to points [n, embedding]. Every row is as long as the longest that the
        net was trained on: zeros behind a motion reach its last step, and are part of what it learned."""
        frames = functional.pad(frames[:, :LONGEST], (0, 0, 0, max(0, LONGEST - frames.shape[1])))
        return self.recurrent(self.movement(frames), lengths.clamp(max=LONGEST) // 4)


class TextEncoder(nn.Module):
    """Word vectors, to which parts of speech are added, read by a `Recurrent`."""

    vectors: Tensor

    def __init__(self, words: int, width: int, layers: int, embedding: int) -> None:
        super().__init__()
        self.register_buffer("vectors", torch.zeros(words, VECTOR))
        self.pos_emb = nn.Linear(len(TAGS), VECTOR)
        self.recurrent = Recurrent(VECTOR, width, embedding)

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """Indices [n, L, 2] of words and tags to points [n, embedding]."""
        tagged = functional.one_hot(tokens[..., 1], len(TAGS)).to(self.vectors.dtype)
        return self.recurrent(self.vectors[tokens[..., 0]] + self.pos_emb(tagged), lengths)


class Reader:
    """Turns sentences into indices of words and tags, by the tokens that the corpus has for them."""

    def __init__(self, vocabulary: Sequence[str], tokens: Mapping[str, str]) -> None:
        self._index = {word: index for index, word in enumerate(vocabulary)}
        self._tokens = tokens

    def __call__(self, text: str) -> Tensor:
        """Indices [L, 2], between those of `sos` and `eos`."""
        if (told := self._tokens.get(_key(text))) is None:
            warnings.warn(f"'{text}' has no tokens in texts/; its words are read without parts of speech", stacklevel=2)
            told = " ".join(f"{word}/OTHER" for word in words(text))
        tokens = ["sos/OTHER", *told.split()[:LONGEST_TEXT], "eos/OTHER"]
        return torch.tensor([self._pair(*token.rpartition("/")[::2]) for token in tokens])

    def _pair(self, word: str, tag: str) -> tuple[int, int]:
        """A word that has no vector is `unk`; a tag that the net does not know is the last."""
        if word not in self._index:
            return self._index["unk"], TAGS.index("OTHER")
        tag = TAG_OF.get(word, tag)
        return self._index[word], TAGS.index(tag if tag in TAGS else "OTHER")


def _key(text: str) -> str:
    return " ".join(text.lower().split()).rstrip(".")


# --- reading what was published ---------------------------------------------------------------------------------------


CHECKPOINT, STATISTICS, VECTORS = "text_mot_match/model/finest.tar", "Comp_v6*/meta/mean.npy", "our_vab_data.npy"


def only(root: Path, pattern: str) -> Path:
    """The one file below a folder whose path ends so. Raises `ModelError` where there is none, or another."""
    found = sorted(root.rglob(pattern))
    if len(found) != 1:
        raise ModelError(f"{root} has {len(found)} files */{pattern}; point at the folder of one published evaluator")
    return found[0]


def sha256(root: Path) -> str:
    with only(root, CHECKPOINT).open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def weights(checkpoint: Path) -> dict[str, Tensor]:
    """The tensors of `finest.tar` by the names that they have here. Raises `ModelError` where it is another file."""
    try:
        parts = torch.load(checkpoint, map_location="cpu", weights_only=True)
        found = {f"motions.movement.{name}": tensor for name, tensor in parts["movement_encoder"].items()}
        found |= {f"motions.recurrent.{name}": tensor for name, tensor in parts["motion_encoder"].items()}
        for name, tensor in parts["text_encoder"].items():
            place = "texts" if name.startswith("pos_emb.") else "texts.recurrent"
            found[f"{place}.{name}"] = tensor
    except Exception as error:  # whatever torch finds wrong with a foreign file
        raise ModelError(f"{checkpoint} is no published evaluator ({error}); its */{CHECKPOINT} is") from error
    return found


def word_vectors(folder: Path) -> tuple[list[str], np.ndarray]:
    """Words and their vectors [words, 300] float32, in the order of their indices, from `our_vab_data.npy` and
    `our_vab_idx.pkl`. Raises `ModelError` where they do not fit."""
    place = folder / "our_vab_idx.pkl"
    try:
        vectors = np.load(folder / VECTORS, allow_pickle=False)
        index = plain_mapping(place.read_bytes())
        ordered = sorted(index, key=lambda word: index[word])
        return ordered, vectors[[index[word] for word in ordered]].astype(np.float32)
    except (OSError, ValueError, IndexError) as error:
        raise ModelError(f"{folder} holds no word vectors ({error}); {VECTORS} and our_vab_idx.pkl are") from error


def plain_mapping(pickled: bytes) -> dict[str, int]:
    """The mapping of words to numbers that was pickled, read without unpickling: opcodes are listed, none is run.

    Raises `ValueError` at anything but words, numbers and the one mapping that holds them.
    """
    values: list[Any] = []
    for opcode, argument, _ in pickletools.genops(pickled):
        if opcode.name in _VALUES:
            values.append(argument)
        elif opcode.name not in _BRACKETS:
            raise ValueError(f"opcode {opcode.name}: no plain mapping of words to numbers")
    names, numbers = values[::2], values[1::2]
    if (
        len(names) != len(numbers)
        or not all(isinstance(n, str) for n in names)
        or not all(isinstance(n, int) for n in numbers)
    ):
        raise ValueError("no plain mapping of words to numbers")
    return dict(zip(names, numbers, strict=True))


_VALUES = {"BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BININT", "BININT1", "BININT2"}
_BRACKETS = {"PROTO", "FRAME", "EMPTY_DICT", "MARK", "SETITEM", "SETITEMS", "STOP", "BINPUT", "LONG_BINPUT", "MEMOIZE"}


def tokens_of(texts: Path) -> dict[str, str]:
    """For each sentence of a HumanML3D folder `texts/`, its `word/TAG` tokens."""
    found: dict[str, str] = {}
    for file in sorted(texts.glob("*.txt")):
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            caption, _, remaining = line.partition("#")
            if remaining:
                found.setdefault(_key(caption), remaining.partition("#")[0])
    return found
