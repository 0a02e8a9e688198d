"""Small, sound files of motion in every format that corpora come in, for tests to read, or to spoil first."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from irg_core.motion.skeleton import JOINTS, OFFSETS

FRAMES = 24

BVH_SKELETON = """HIERARCHY
ROOT hips
{
  OFFSET 0 1 0
  CHANNELS 6 Xposition Yposition Zposition Zrotation Yrotation Xrotation
  JOINT left leg
  {
    OFFSET 0.1 -0.1 0
    CHANNELS 3 Zrotation Xrotation Yrotation
    End Site
    {
      OFFSET 0 -0.8 0
    }
  }
  JOINT rig:right_leg
  {
    OFFSET -0.1 -0.1 0
    CHANNELS 6 Xposition Yposition Zposition Xrotation Yrotation Zrotation
    End Site
    {
      OFFSET 0 -0.8 0
    }
  }
}
"""
CHANNELS = 15

ASF = """# a performer of two bones
:version 1.10
:name VICON
:units
  mass 1.0
  length 0.45
  angle deg
:root
  order TX TY TZ RX RY RZ
  axis XYZ
  position 0 0 0
  orientation 0 0 0
:bonedata
  begin
    id 1
    name thigh
    direction 0 -1 0
    length 8
    axis 0 0 20 XYZ
    dof rx ry rz
    limits (-160.0 20.0)
           (-70.0 70.0)
           (-60.0 70.0)
  end
  begin
    id 2
    name shin
    direction 0 -1 0
    length 7
    axis 0 0 20 XYZ
    dof rx
  end
:hierarchy
  begin
    root thigh
    thigh shin
  end
"""


def numbers(*shape: int) -> np.ndarray:
    """Numbers of no meaning, always the same, with two decimals."""
    return np.round(np.random.default_rng(17).normal(0.0, 10.0, shape), 2)


def bvh(frames: int = FRAMES, frame_time: str = "0.05") -> str:
    rows = "\n".join(" ".join(f"{value:g}" for value in row) for row in numbers(frames, CHANNELS))
    return f"{BVH_SKELETON}MOTION\nFrames: {frames}\nFrame Time: {frame_time}\n{rows}\n"


def amc(frames: int = FRAMES) -> str:
    lines = ["# a motion", ":FULLY-SPECIFIED", ":DEGREES"]
    for frame, row in enumerate(numbers(frames, 10), start=1):
        root, thigh, shin = (" ".join(f"{value:g}" for value in part) for part in (row[:6], row[6:9], row[9:]))
        lines += [str(frame), f"root {root}", f"thigh {thigh}", f"shin {shin}"]
    return "\n".join([*lines, ""])


def joints(frames: int = FRAMES) -> np.ndarray:
    """Our 22 joints [T, 22, 3] in metres, y up, of someone who glides ahead."""
    body = np.zeros((22, 3))
    for joint, parent in enumerate([-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19]):
        body[joint] = OFFSETS[joint] + (body[parent] if parent >= 0 else (0.0, 0.95, 0.0))
    return body + np.arange(frames)[:, None, None] * (0.0, 0.0, 0.03)


def folder(format_name: str, root: Path) -> Path:
    """A folder of two takes in a format, `one` and `two`, with captions where the format has a place for them."""
    root.mkdir(parents=True, exist_ok=True)
    _WRITERS[format_name](root)
    return root


def _bvh(root: Path) -> None:
    for name, frames in (("one", FRAMES), ("two", FRAMES + 1)):
        (root / f"{name}.bvh").write_text(bvh(frames))


def _cmu(root: Path) -> None:
    (root / "02.asf").write_text(ASF)
    (root / "02_one.amc").write_text(amc())
    (root / "03_two.bvh").write_text(bvh())


def _amass(root: Path) -> None:
    for name, frames in (("one", FRAMES), ("two", FRAMES + 1)):
        np.savez(
            root / f"{name}.npz", poses=numbers(frames, 156) / 10, trans=numbers(frames, 3) / 10,
            betas=np.zeros(16), gender=np.array("neutral"), mocap_framerate=np.array(60.0),
        )  # fmt: skip


def _humanml3d(root: Path, shape: tuple[int, ...] = (22, 3), features: int = 263) -> None:
    for place in ("new_joints", "new_joint_vecs", "texts"):
        (root / place).mkdir()
    positions = numbers(60, *shape) if shape != (22, 3) else joints(60)
    np.save(root / "new_joints/000001.npy", positions.astype(np.float32))
    np.save(root / "new_joint_vecs/M000002.npy", numbers(59, features).astype(np.float32) / 100)
    (root / "texts/000001.txt").write_text(
        "a person walks.#a/DET person/NOUN walk/VERB#0.0#0.0\na person stops#a/DET#1.0#2.5\n"
    )
    (root / "texts/M000002.txt").write_text("a person turns left#a/DET person/NOUN turn/VERB left/ADV#0.0#0.0\n")
    (root / "train.txt").write_text("000001\n000003\n")
    (root / "test.txt").write_text("M000002\n")


def _kitml(root: Path) -> None:
    _humanml3d(root, (21, 3), 251)


def _joints(root: Path) -> None:
    np.save(root / "one.npy", joints())
    np.savez(root / "two.npz", joints=joints(), names=np.array(JOINTS), fps=np.array(30.0), captions=np.array(["a b"]))
    rows = [{"name": f"take {index}", "fps": 25.0, "joints": joints().tolist(), "captions": ["c"]} for index in (1, 2)]
    pq.write_table(pa.Table.from_pylist(rows), root / "three.parquet")


_WRITERS = {
    "bvh": _bvh,
    "cmu": _cmu,
    "amass": _amass,
    "humanml3d": _humanml3d,
    "kitml": _kitml,
    "joints": _joints,
}
FORMATS = tuple(_WRITERS)
OPTIONS: dict[str, dict[str, object]] = {"joints": {"order": "t2m", "fps": 20}}
"""What the format's entry must say for its folder here."""
