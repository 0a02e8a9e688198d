"""Joint positions in an order that is named or spelled out; what we export comes in again."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from irg_core.corpora import joints
from irg_core.errors import SourceError
from irg_core.motion.skeleton import INDEX, JOINTS, PARENTS
from irg_core.records.annotation import Rejection
from irg_core.records.motion import Take
from tests import motion_files


def saved(place: Path, stored: np.ndarray) -> Path:
    np.save(place / "take.npy", stored)
    return place


def one(place: Path, **options: Any) -> Take:
    (take,) = joints.read(place, **{"fps": 20} | options)
    assert isinstance(take, Take)
    return take


def test_joints_in_any_order_hang_on_their_own_parents(tmp_path: Path) -> None:
    body = motion_files.joints()
    turned = list(reversed(range(22)))
    take = one(saved(tmp_path, body[:, turned]), order=[JOINTS[index] for index in turned])
    assert take.hierarchy is not None
    for joint, name in enumerate(take.hierarchy.names):
        np.testing.assert_array_equal(take.joints[:, joint], body[:, INDEX[name]])
        parent = take.hierarchy.parents[joint]
        assert parent < joint
        expected = PARENTS[INDEX[name]]
        assert (take.hierarchy.names[parent] if parent >= 0 else "") == (JOINTS[expected] if expected >= 0 else "")


def test_a_missing_joint_is_bridged(tmp_path: Path) -> None:
    some = [name for name in JOINTS if name not in ("spine2", "left_collar")]
    take = one(saved(tmp_path, motion_files.joints()[:, [INDEX[name] for name in some]]), order=some)
    assert take.hierarchy is not None
    above = dict(zip(take.hierarchy.names, take.hierarchy.parents, strict=True))
    assert take.hierarchy.names[above["spine3"]] == "spine1"
    assert take.hierarchy.names[above["left_shoulder"]] == "spine3"


def test_a_foreign_body_is_spelled_out(tmp_path: Path) -> None:
    stored = motion_files.numbers(5, 3, 3)
    take = one(saved(tmp_path, stored), order={"tip": "base", "root": "", "base": "root"})
    assert take.hierarchy is not None
    assert take.hierarchy.names == ("root", "base", "tip")
    np.testing.assert_array_equal(take.joints, stored[:, [1, 2, 0]])


@pytest.mark.parametrize(("order", "count"), [("t2m", 22), ("smpl", 24), ("smplh", 52), ("kit", 21)])
def test_known_orders_have_as_many_joints_as_their_corpora(order: str, count: int, tmp_path: Path) -> None:
    take = one(saved(tmp_path, motion_files.numbers(4, count, 3)), order=order)
    assert take.hierarchy is not None
    assert len(take.hierarchy.names) == count
    lengths = np.linalg.norm(take.joints[:, 1:] - take.joints[:, list(take.hierarchy.parents[1:])], axis=-1)
    np.testing.assert_allclose(np.linalg.norm(take.hierarchy.offsets[1:], axis=-1), lengths.mean(axis=0))


@pytest.mark.parametrize(
    ("order", "said"),
    [
        ("smplx", "'order' is smplx.*t2m, smpl, smplh, kit"),
        (["pelvis", "tail"], "none of t2m"),
        (["pelvis", "pelvis"], "none of t2m"),
        ({"a": "b", "b": "a"}, "no tree"),
        ({"a": "", "b": ""}, "no tree"),
        ({"a": "", "b": "c"}, "no tree"),
        (7, "'order' is 7"),
    ],
)
def test_an_order_of_no_sense_is_a_clear_error(order: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=said):
        list(joints.read(saved(tmp_path, np.zeros((3, 2, 3))), order=order, fps=20))


def test_an_npz_brings_its_own_names_rate_and_captions(tmp_path: Path) -> None:
    np.savez(
        tmp_path / "a.npz", joints=motion_files.joints(), names=np.array(JOINTS), fps=np.array(25.0),
        captions=np.array(["a person  glides", " "]),
    )  # fmt: skip
    (take,) = joints.read(tmp_path)
    assert isinstance(take, Take)
    assert take.fps == 25
    assert [caption.text for caption in take.captions] == ["a person glides"]
    assert take.hierarchy is not None
    assert list(take.hierarchy.names) == JOINTS


def test_each_row_of_a_table_is_a_take(tmp_path: Path) -> None:
    root = motion_files.folder("joints", tmp_path / "corpus")
    found = {take.name: take for take in joints.read(root, order="t2m", fps=20) if isinstance(take, Take)}
    assert set(found) == {"one", "two", "take_1", "take_2"}
    np.testing.assert_array_equal(found["take_2"].joints, motion_files.joints())
    assert found["take_1"].source == "three.parquet"
    assert [caption.text for caption in found["take_1"].captions] == ["c"]


def test_one_bad_row_does_not_keep_the_others_out(tmp_path: Path) -> None:
    body = motion_files.joints(3).tolist()
    ragged = [*body[:2], body[2][:21]]
    rows = [{"joints": body}, {"joints": ragged}, {"joints": None}, {"joints": []}, {"joints": body}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    found = list(joints.read(tmp_path, order="t2m", fps=20))
    assert [type(result) for result in found] == [Take, Rejection, Rejection, Rejection, Take]


def test_without_an_order_there_is_no_take(tmp_path: Path) -> None:
    (refused,) = joints.read(saved(tmp_path, motion_files.joints()), fps=20)
    assert isinstance(refused, Rejection)
    assert "'order'" in refused.detail
