"""Motion capture in the JSON of DeepMimic (Peng et al. 2018), with our captions beside it.

A folder of `<name>.txt` and one `captions.yaml`. The skeleton has 15 joints, so collars, spine levels, toes and the
top of the head are laid in between. Most clips last under two seconds and say `wrap`: those are repeated, each turn
starting where and facing as the last one ended. Frame times differ between clips, and once within one.
"""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from irg_core.errors import SourceError
from irg_core.motion import resampling, rotations
from irg_core.motion.skeleton import INDEX
from irg_core.records.annotation import Rejection
from irg_core.records.motion import SourceCaption, Take

LONG_ENOUGH = 4.0
"""Seconds; a clip that wraps is repeated until it lasts at least this long."""
BLEND = 0.25
"""Seconds over which a pose that does not meet the start of the next turn is eased into it."""
SWAY = 12.0
"""Degrees; a clip that ends facing within this of where it began goes straight on: the rest is the pelvis's sway."""
COLUMNS = 44

# Joint, parent, offset in metres, how many numbers its rotation takes: a quaternion w x y z, or an angle about local z.
_SKELETON = (
    ("root", "", (0.0, 0.0, 0.0), 4),
    ("chest", "root", (0.0, 0.236151, 0.0), 4),
    ("neck", "chest", (0.0, 0.223894, 0.0), 4),
    ("right_hip", "root", (0.0, 0.0, 0.084887), 4),
    ("right_knee", "right_hip", (0.0, -0.421546, 0.0), 1),
    ("right_ankle", "right_knee", (0.0, -0.40987, 0.0), 4),
    ("right_shoulder", "chest", (-0.02405, 0.2435, 0.18311), 4),
    ("right_elbow", "right_shoulder", (0.0, -0.274788, 0.0), 1),
    ("left_hip", "root", (0.0, 0.0, -0.084887), 4),
    ("left_knee", "left_hip", (0.0, -0.421546, 0.0), 1),
    ("left_ankle", "left_knee", (0.0, -0.40987, 0.0), 4),
    ("left_shoulder", "chest", (-0.02405, 0.2435, -0.18311), 4),
    ("left_elbow", "left_shoulder", (0.0, -0.274788, 0.0), 1),
)
# Points that carry no rotation of their own. The source's root lies on the line of the hips, ours above it.
_POINTS = (
    ("pelvis", "root", (0.0, 0.09, 0.0)),
    ("head", "neck", (0.03, 0.1, 0.0)),
    ("right_wrist", "right_elbow", (0.0, -0.258947, 0.0)),
    ("left_wrist", "left_elbow", (0.0, -0.258947, 0.0)),
    ("right_foot", "right_ankle", (0.136, -0.045, 0.0)),
    ("left_foot", "left_ankle", (0.136, -0.045, 0.0)),
)
_SPINE = {"spine1": 0.24, "spine2": 0.5, "spine3": 0.6}
"""Where our spine levels lie on the way from pelvis over chest to neck, as shares of its length."""
_COLLAR = 0.6
"""How far a collar lies from the neck towards its shoulder."""


def read(root: Path) -> Iterator[Take | Rejection]:
    """One take for each motion file, in the order of their names."""
    files = sorted(root.glob("*.txt"))
    if not files:
        raise SourceError(f"{root} holds no DeepMimic motion (*.txt); `dvc repro fetch` fills it")
    captions = _captions(root / "captions.yaml")
    for path in files:
        try:
            joints, fps = _motion(json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, KeyError, TypeError) as error:
            yield Rejection(path.stem, "ingest", "unreadable motion file", f"{path.name}: {error}")
            continue
        yield Take(path.stem, joints, fps, captions.get(path.stem, ()), cell=path.stem, truth="")


def _captions(path: Path) -> dict[str, tuple[SourceCaption, ...]]:
    if not path.exists():
        raise SourceError(f"{path} is missing; it maps each motion's name to a list of captions")
    try:
        listed = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        return {str(name): tuple(SourceCaption(str(text), "") for text in texts) for name, texts in listed.items()}
    except (yaml.YAMLError, AttributeError, TypeError) as error:
        raise SourceError(f"{path} does not map names to lists of captions ({error})") from error


def _motion(content: dict[str, Any]) -> tuple[np.ndarray, float]:
    """Joints [T, 22, 3] at an even rate, and that rate in frames a second."""
    rows = np.array(content["Frames"], dtype=np.float64)
    if rows.ndim != 2 or rows.shape[1] != COLUMNS or len(rows) < 2:
        raise ValueError(f"frames of shape {rows.shape}; at least two rows of {COLUMNS} numbers are needed")
    steps = rows[:-1, 0]
    if not (np.isfinite(rows).all() and (steps > 0).all()):
        raise ValueError("frames hold numbers that are not finite, or times that do not advance")
    joints, facing = _joints(rows), rotations.normalise(rows[:, 4:8])
    step = float(np.median(steps))
    if not np.allclose(steps, step, rtol=0.01):
        times = np.concatenate([[0.0], np.cumsum(steps)])
        joints = resampling.interpolate(joints, times, np.arange(0.0, times[-1] + step / 2, step))
    if content["Loop"] == "wrap":
        turn = rotations.multiply(facing[-1], rotations.inverse(facing[0]))
        joints = _repeat(joints, turn, round(BLEND / step), math.ceil(LONG_ENOUGH / (step * (len(joints) - 1))))
    return joints, 1.0 / step


def _joints(rows: np.ndarray) -> np.ndarray:
    """Our 22 joints, left = +x when facing +z, from DeepMimic's rows, which face +x with the right at +z."""
    places = _places(rows)
    spine = [places["pelvis"], places["chest"], places["neck"]]
    places |= {name: _along(spine, share) for name, share in _SPINE.items()}
    for side in ("left", "right"):
        shoulder = places[f"{side}_shoulder"]
        places[f"{side}_collar"] = places["neck"] + _COLLAR * (shoulder - places["neck"])
    joints = np.stack([places[name] for name in INDEX], axis=1)
    return np.stack([-joints[..., 2], joints[..., 1], joints[..., 0]], axis=-1)


def _places(rows: np.ndarray) -> dict[str, np.ndarray]:
    """World positions [T, 3] of the source's joints and of the points that hang on them."""
    places: dict[str, np.ndarray] = {}
    turned: dict[str, np.ndarray] = {}
    column = 4
    for name, parent, offset, width in _SKELETON:
        values = rows[:, column : column + width]
        local = rotations.about("z", values[:, 0]) if width == 1 else rotations.normalise(values)
        column += width
        if not parent:
            places[name], turned[name] = rows[:, 1:4], local
            continue
        places[name] = places[parent] + rotations.rotate(turned[parent], np.array(offset))
        turned[name] = rotations.multiply(turned[parent], local)
    for name, parent, offset in _POINTS:
        places[name] = places[parent] + rotations.rotate(turned[parent], np.array(offset))
    return places


def _along(path: list[np.ndarray], share: float) -> np.ndarray:
    """The point [T, 3] at a share of the length of a path of three points."""
    start, middle, end = path
    lower = np.linalg.norm(middle - start, axis=-1, keepdims=True)
    upper = np.linalg.norm(end - middle, axis=-1, keepdims=True)
    reached = share * (lower + upper)
    inside = np.minimum(reached / lower, 1.0)
    return start + inside * (middle - start) + np.maximum(reached - lower, 0.0) / upper * (end - middle)


def _repeat(joints: np.ndarray, turn: np.ndarray, blend: int, turns: int) -> np.ndarray:
    """The motion `turns` times over, its displacement and its change of heading carried on.

    `turn` is the rotation of the root from the first frame to the last, of which the part about y counts.
    """
    about_y = rotations.normalise(np.array([abs(turn[0]), 0.0, math.copysign(turn[2], turn[0] * turn[2]), 0.0]))
    if about_y[0] > math.cos(math.radians(SWAY / 2)):
        about_y = np.array([1.0, 0.0, 0.0, 0.0])
    whole = joints
    heading = about_y
    for _ in range(turns - 1):
        again = rotations.rotate(heading, joints - joints[0, 0] * (1.0, 0.0, 1.0)) + whole[-1, 0] * (1.0, 0.0, 1.0)
        # The last frame and the next first one are the same moment; what differs between them fades out.
        fade = np.clip(1.0 - np.arange(len(again)) / blend, 0.0, 1.0)[:, None, None]
        again += (whole[-1] - again[0]) * (fade * fade * (3.0 - 2.0 * fade))
        whole = np.concatenate([whole, again[1:]])
        heading = rotations.multiply(about_y, heading)
    return whole
