"""ingest end to end on a corpus plug-in that a user might write, and on a few procedural takes."""

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import irg_core.corpora
from irg_core.corpora import procedural
from irg_core.errors import FactoryError, ParamsError, SourceError, UnknownPlugin
from irg_core.exports import bvh
from irg_core.motion.ingest import UNTURNED
from irg_core.motion.representation import COMPATIBLE, EXACT
from irg_core.motion.skeleton import JOINTS
from irg_core.records.annotation import Rejection
from irg_core.records.audit import Finding
from irg_core.records.motion import Clip
from irg_core.tables import read
from pipelines import ingest

ROOT = Path(__file__).parents[2]
AUDIT = yaml.safe_load((ROOT / "params.yaml").read_text())["audit"]
WALK = next(procedural.read(ROOT / "irg_core/corpora/procedural.yaml", clips=1, seed=3)).joints
PLUGIN = """
import numpy as np
from irg_core.motion.skeleton import OFFSETS, PARENTS
from irg_core.records.annotation import Rejection
from irg_core.records.audit import Finding
from irg_core.records.motion import SourceCaption, Take

def read(root, *, broken, takes=3):
    for number in range(takes):
        joints = np.zeros((100, 22, 3))
        joints[:, 0, 2] = 0.005 * (number + 1) * np.arange(100)
        for joint in range(1, 22):
            joints[:, joint] = joints[:, PARENTS[joint]] + OFFSETS[joint]
        joints[..., 1] -= joints[..., 1].min()
        if number < broken:
            joints[5] = np.nan
        yield Take(f"{number}", joints, 20.0, (SourceCaption("it glides", ""),), "glide", "")
    yield Rejection("LICENSE", "ingest", "not a motion", "a text")
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to run in, with one more corpus plug-in."""
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    (plugins / "gliding.py").write_text(PLUGIN)
    monkeypatch.setattr(irg_core.corpora, "__path__", [*irg_core.corpora.__path__, str(plugins)])
    monkeypatch.delitem(__import__("sys").modules, "irg_core.corpora.gliding", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "source").mkdir()
    return tmp_path


def run(
    place: Path, root: str = "source", map_batches: Callable[..., Any] = map, features: str = "compatible", **entry: Any
) -> list[Path]:
    corpora = {"mine": {"format": "gliding", "root": root, **entry}}
    values = {
        "corpora": corpora,
        "ingest": {"min_seconds": 2.0, "max_seconds": 10.0},
        "audit": AUDIT,
        "skeleton": "t2m",
        "features": features,
    }
    (place / "params.yaml").write_text(yaml.safe_dump(values))
    outs = [Path(f"data/{table}/mine.parquet") for table in ("clips", "rejections", "findings")]
    ingest.main("mine", Path(root), *outs, map_batches=map_batches)
    return outs


def backwards(work: Callable[[Any], Any], batches: Iterable[Any]) -> Iterator[Any]:
    """A map whose last batch happens to be done first."""
    return reversed([work(batch) for batch in list(batches)[::-1]])


def test_good_takes_become_clips_and_bad_ones_rejections(place: Path) -> None:
    out, rejections, findings = run(place, broken=1)
    assert [clip.clip_id for clip in read(out, Clip)] == ["mine/1", "mine/2"]
    found = [(row.key, row.reason) for row in read(rejections, Rejection)]
    assert found == [("mine/0", "numbers that are not finite"), ("mine/LICENSE", "not a motion")]
    assert [(row.name, row.kind, row.outcome) for row in read(findings, Finding)] == [
        (key, reason, "rejected") for key, reason in found
    ]


def test_workers_and_batches_change_no_byte(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grammar = str(ROOT / "irg_core/corpora/procedural.yaml")
    options: dict[str, Any] = {"format": "procedural", "clips": 7, "seed": 3}
    first = [path.read_bytes() for path in run(place, grammar, **options)]
    monkeypatch.setattr(ingest, "BATCH", 2)
    assert first == [path.read_bytes() for path in run(place, grammar, backwards, **options)]


def test_an_exact_build_says_where_rotations_are_from(place: Path) -> None:
    (place / "source/a.bvh").write_text(bvh.text(WALK))
    np.savez(place / "source/b.npz", joints=WALK * (-1.0, 1.0, 1.0), names=JOINTS, fps=20.0)
    told = {}
    for kind, mode in (("bvh", COMPATIBLE), ("bvh", EXACT), ("joints", COMPATIBLE), ("joints", EXACT)):
        out, _, findings = run(place, features=mode, format=kind)
        summary = json.loads(Path("runs/summaries/ingest@mine.json").read_text())
        remarked = UNTURNED in {finding.kind for finding in read(findings, Finding)}
        told[kind, mode] = summary.get("rotations"), remarked, read(out, Clip)[0].features.tobytes()
    assert told["bvh", EXACT][:2] == ({"of the source": 1}, False)
    assert told["joints", EXACT][:2] == ({"by inverse kinematics": 1}, True)
    for kind in ("bvh", "joints"):
        assert told[kind, COMPATIBLE][:2] == (None, False)
        assert told[kind, COMPATIBLE][2] != told[kind, EXACT][2]


@pytest.mark.parametrize(
    ("entry", "error", "message"),
    [
        ({"broken": 3}, SourceError, "gives no clip from source; refused: .*not finite': 3"),
        ({"broken": 0, "takes": 0}, SourceError, "gives no clip from source"),
        ({"broken": 0, "root": "nowhere"}, SourceError, "nowhere, the root of corpus 'mine', does not exist"),
        ({"broken": 0, "speed": 2}, SourceError, "unknown options speed; format 'gliding' takes: broken, takes"),
        ({}, SourceError, "lacks broken"),
        ({"format": "glidin"}, UnknownPlugin, "no 'glidin' .*deepmimic, gliding, "),
        ({"format": "deepmimic"}, SourceError, "no DeepMimic motion"),
    ],
)
def test_a_wrong_setup_is_one_sentence_and_no_output(
    place: Path, entry: dict[str, Any], error: type[FactoryError], message: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        run(place, **entry)
    assert "\n" not in str(caught.value)
    assert not (place / "data").exists()


def test_an_entry_without_a_format_is_noticed(place: Path) -> None:
    (place / "params.yaml").write_text(
        "corpora: {mine: {root: source}}\ningest: {min_seconds: 2, max_seconds: 10}\n"
        + yaml.safe_dump({"audit": AUDIT, "skeleton": "t2m", "features": "compatible"})
    )
    with pytest.raises(ParamsError, match="no 'format'"):
        ingest.main("mine", Path("source"), Path("a.parquet"), Path("b.parquet"), Path("c.parquet"))
