"""DeepMimic's files: the right way round, repeated where they wrap, refused where they are broken."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from irg_core.corpora import deepmimic
from irg_core.errors import SourceError
from irg_core.motion import rotations
from irg_core.motion.skeleton import INDEX
from irg_core.records.annotation import Rejection
from irg_core.records.motion import Take

ROOT = Path(__file__).parents[2]


def rows(frames: int, dt: float = 0.05, speed: float = 0.0, turn: float = 0.0) -> np.ndarray:
    """Someone who stands upright, or glides ahead (+x) and turns left by `turn` degrees over the clip."""
    made = np.zeros((frames, 44))
    made[:, 0] = dt
    made[:, 1] = speed * dt * np.arange(frames)
    made[:, 2] = 0.9
    angles = np.radians(turn) * np.linspace(0, 1, frames)
    made[:, 4:8] = rotations.about("y", angles)
    for quaternion in (8, 12, 16, 21, 25, 30, 35, 39):
        made[:, quaternion] = 1.0
    return made


def folder(place: Path, captions: dict[str, list[str]] | None = None, **motions: Any) -> Path:
    for name, content in motions.items():
        (place / f"{name}.txt").write_text(content if isinstance(content, str) else json.dumps(content))
    (place / "captions.yaml").write_text(yaml.safe_dump(captions or {}))
    return place


def one(place: Path, frames: np.ndarray, loop: str = "none") -> Take:
    (take,) = deepmimic.read(folder(place, clip={"Loop": loop, "Frames": frames.tolist()}))
    assert isinstance(take, Take)
    return take


def test_left_is_left_up_is_up_and_toes_point_ahead(tmp_path: Path) -> None:
    joints = one(tmp_path, rows(3)).joints[0]
    for part in ("hip", "knee", "ankle", "foot", "collar", "shoulder", "elbow", "wrist"):
        assert joints[INDEX[f"left_{part}"], 0] > 0.05 > -0.05 > joints[INDEX[f"right_{part}"], 0]
    heights = [joints[INDEX[name], 1] for name in ("right_foot", "right_knee", "pelvis", "spine1", "spine2", "spine3")]
    heights += [joints[INDEX[name], 1] for name in ("neck", "head")]
    assert heights == sorted(heights)
    assert joints[INDEX["left_foot"], 2] > joints[INDEX["left_ankle"], 2] + 0.1


def test_a_right_knee_bends_the_right_knee_only(tmp_path: Path) -> None:
    bent = rows(3)
    bent[:, 20] = -1.2
    joints = one(tmp_path, bent).joints[0]
    assert joints[INDEX["right_ankle"], 2] < joints[INDEX["right_knee"], 2] - 0.3
    assert abs(joints[INDEX["left_ankle"], 2] - joints[INDEX["left_knee"], 2]) < 1e-9


def test_every_clip_has_its_own_rate(tmp_path: Path) -> None:
    assert one(tmp_path, rows(5, dt=1 / 24)).fps == pytest.approx(24)


def test_a_frame_that_came_late_is_put_where_it_belongs(tmp_path: Path) -> None:
    late = rows(20, dt=0.05, speed=1.0)
    late[9, 0] = 0.1
    late[10:, 1] += 0.05
    take = one(tmp_path, late)
    assert np.diff(take.joints[:, 0, 2]) == pytest.approx(0.05)
    assert len(take.joints) == 21


def test_a_clip_that_wraps_goes_on_where_it_ended(tmp_path: Path) -> None:
    take = one(tmp_path, rows(21, speed=1.0), loop="wrap")
    assert (len(take.joints) - 1) / take.fps >= deepmimic.LONG_ENOUGH
    assert np.diff(take.joints[:, 0, 2]) == pytest.approx(0.05)
    assert np.abs(take.joints[:, 0, 0]).max() < 1e-9


def test_a_clip_that_turns_goes_on_turning(tmp_path: Path) -> None:
    take = one(tmp_path, rows(21, turn=90), loop="wrap")
    left = take.joints[:, INDEX["left_hip"]] - take.joints[:, INDEX["right_hip"]]
    heading = np.degrees(np.unwrap(np.arctan2(-left[:, 2], left[:, 0])))
    assert heading[-1] - heading[0] == pytest.approx(360, abs=1)


def test_the_sway_of_a_pelvis_is_no_turn(tmp_path: Path) -> None:
    take = one(tmp_path, rows(21, turn=8, speed=1.0), loop="wrap")
    assert abs(take.joints[-1, 0, 0]) < 1e-6


def test_a_clip_that_does_not_wrap_is_left_as_it_is(tmp_path: Path) -> None:
    assert len(one(tmp_path, rows(21)).joints) == 21


def test_broken_files_are_refused_one_by_one_and_the_rest_is_read(tmp_path: Path) -> None:
    good = {"Loop": "none", "Frames": rows(9).tolist()}
    not_finite = rows(9)
    not_finite[3, 5] = np.inf
    found = list(
        deepmimic.read(
            folder(
                tmp_path,
                a_good=good,
                b_text="LICENSE: do as you like",
                c_dog={"Loop": "wrap", "Frames": [[0.1] * 20] * 9},
                d_no_loop={"Frames": good["Frames"]},
                e_infinite={"Loop": "none", "Frames": not_finite.tolist()},
                f_frozen={"Loop": "none", "Frames": rows(9, dt=0.0).tolist()},
                g_list="[]",
                h_good=good,
            )
        )
    )
    assert [type(result) for result in found] == [Take, *[Rejection] * 6, Take]
    assert {result.reason for result in found if isinstance(result, Rejection)} == {"unreadable motion file"}


def test_captions_are_found_by_file_name(tmp_path: Path) -> None:
    captions = {"clip": ["a person stands", "someone waits"]}
    root = folder(tmp_path, captions, clip={"Loop": "none", "Frames": rows(9).tolist()})
    (take,) = deepmimic.read(root)
    assert isinstance(take, Take)
    assert [(caption.text, caption.template) for caption in take.captions] == [
        ("a person stands", ""),
        ("someone waits", ""),
    ]


def test_a_folder_without_motions_or_captions_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no DeepMimic motion"):
        list(deepmimic.read(tmp_path))
    folder(tmp_path, clip={})
    (tmp_path / "captions.yaml").unlink()
    with pytest.raises(SourceError, match=r"captions\.yaml is missing"):
        list(deepmimic.read(tmp_path))
    (tmp_path / "captions.yaml").write_text("- just\n- a list\n")
    with pytest.raises(SourceError, match="does not map names"):
        list(deepmimic.read(tmp_path))


def test_every_motion_we_fetch_has_at_least_three_captions_of_its_own() -> None:
    pinned = yaml.safe_load((ROOT / "params.yaml").read_text())["fetch"]["deepmimic"]["sha256"]
    captions = yaml.safe_load((ROOT / "irg_core/corpora/deepmimic.yaml").read_text())
    assert {Path(name).stem for name in pinned} == set(captions)
    assert all(len(set(texts)) >= 3 for texts in captions.values())
