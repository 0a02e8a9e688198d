"""What the README promises a newcomer, done to the letter."""

import re

import numpy as np

from irg_core import tables
from irg_core.motion import skeleton
from irg_core.records.annotation import Rejection
from irg_core.records.motion import Clip
from tests.checkouts import ROOT, Checkout


def block(language: str, containing: str) -> str:
    """The fenced block of the README in which a text stands."""
    found = re.findall(rf"```{language}\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    (one,) = [text for text in found if containing in text]
    return str(one)


def test_a_corpus_of_ones_own_goes_in_as_written(checkout: Checkout) -> None:
    entry = block("yaml", "format: studio")
    (checkout.root / "irg_core/corpora/studio.py").write_text(block("python", "irg_core/corpora/studio.py"))
    checkout.edit("params.yaml", "corpora:\n", entry)
    sources = checkout.root / "sources/studio"
    sources.mkdir(parents=True)
    upright = skeleton.forward_kinematics(np.zeros((1, 3)), np.tile([1.0, 0.0, 0.0, 0.0], (1, 22, 1)))
    glide = upright + np.linspace(0, 2, 360)[:, None, None] * [0.0, 0.0, 1.0]
    np.save(sources / "glide.npy", glide)
    (sources / "glide.txt").write_text("a statue glides forward\n")
    np.save(sources / "mute.npy", glide)
    (sources / "torn.npy").write_bytes(b"\x93NUMPY and then nothing")

    assert checkout.repro("ingest@studio") == ["ingest@studio"]
    (clip,) = tables.read(checkout.root / "data/clips/studio.parquet", Clip)
    assert (clip.clip_id, len(clip.features)) == ("studio/glide", 59)
    rejected = tables.read(checkout.root / "data/rejections/ingest/studio.parquet", Rejection)
    assert {row.key.split("/")[-1]: row.reason for row in rejected} == {
        "mute": "unreadable take",
        "torn": "unreadable take",
    }
