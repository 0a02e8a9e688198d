"""From a take as its corpus gives it to clips of one kind: one body, 20 frames a second, a few seconds, features.

A take that cannot be used becomes a rejection with one of the reasons below, so that reasons can be counted.
"""

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from irg_core.errors import ParamsError
from irg_core.motion import features
from irg_core.motion.resampling import resample
from irg_core.motion.skeleton import FPS, INDEX
from irg_core.records.annotation import Rejection
from irg_core.records.motion import Clip, Take

WRONG_SHAPE = "wrong shape"
NOT_FINITE = "numbers that are not finite"
NO_CAPTION = "no caption"
NO_RATE = "no frame rate"
TOO_SHORT = "too short"
SAME_ID = "duplicate clip id"
SAME_MOTION = "duplicate motion"

SHORTEST_LEG = 0.01
"""Metres; a child's leg is longer, whatever the unit was meant to be."""


@dataclass(frozen=True)
class IngestParams:
    """Which stretches of motion become clips."""

    min_seconds: float
    """Shorter takes are rejected; raising it loses clips."""
    max_seconds: float
    """Longer takes are cut into equal pieces; raising it makes fewer and longer clips."""

    def __post_init__(self) -> None:
        if not 0 < 2 * self.min_seconds <= self.max_seconds:
            raise ParamsError(
                f"params.yaml: ingest.max_seconds {self.max_seconds} must be at least twice "
                f"ingest.min_seconds {self.min_seconds}, or the pieces of a cut could be too short"
            )


def results_of_batch(batch: list[Take | Rejection], *, corpus: str, params: IngestParams) -> list[Clip | Rejection]:
    """What comes of each take, in order; what its reader refused stays refused."""
    results: list[Clip | Rejection] = []
    for take in batch:
        if isinstance(take, Rejection):
            results.append(replace(take, key=f"{corpus}/{take.key}"))
        else:
            results += clips_of(take, corpus, params)
    return results


def clips_of(take: Take, corpus: str, params: IngestParams) -> list[Clip | Rejection]:
    """The clips of one take, or the reason why it has none. Captions speak of the whole take, whatever is cut."""
    name = f"{corpus}/{take.name}"
    if fault := _fault(take):
        return [Rejection(name, "ingest", *fault)]
    # Ten micrometres. From here on the arithmetic gives equal bits on any machine, so this rounding makes equal
    # tables of what sines and cosines in the corpus readers may leave unequal in the last digit.
    joints = _rounded(features.retarget(resample(take.joints, take.fps, FPS)), 5)
    rows = len(joints) - 1
    if rows < params.min_seconds * FPS:
        return [Rejection(name, "ingest", TOO_SHORT, f"{rows / FPS:.2f} s; at least {params.min_seconds} s are needed")]
    pieces = math.ceil(rows / (params.max_seconds * FPS))
    edges = [round(piece * rows / pieces) for piece in range(pieces + 1)]
    return [
        _clip(f"{name}#{piece}" if pieces > 1 else name, take, corpus, joints[edges[piece] : edges[piece + 1] + 1])
        for piece in range(pieces)
    ]


def without_duplicates(results: Iterable[Clip | Rejection]) -> tuple[list[Clip], list[Rejection]]:
    """Clips whose id and motion are new, and every rejection under a key of its own. The first one stays."""
    clips: list[Clip] = []
    rejections: list[Rejection] = []
    ids: set[str] = set()
    motions: dict[bytes, str] = {}
    for result in results:
        if isinstance(result, Rejection):
            rejections.append(result)
            continue
        motion = hashlib.sha256(result.features.tobytes()).digest()
        if result.clip_id in ids:
            rejections.append(Rejection(result.clip_id, "ingest", SAME_ID, f"take {result.take}"))
        elif motion in motions:
            rejections.append(Rejection(result.clip_id, "ingest", SAME_MOTION, f"same as {motions[motion]}"))
        else:
            ids.add(result.clip_id)
            motions[motion] = result.clip_id
            clips.append(result)
    return clips, _keyed(rejections)


def _fault(take: Take) -> tuple[str, str] | None:
    if take.joints.ndim != 3 or take.joints.shape[1:] != (22, 3) or len(take.joints) < 2:
        return WRONG_SHAPE, f"joints {take.joints.shape}; at least two frames of (22, 3) are needed"
    broken = ~np.isfinite(take.joints).all(axis=(1, 2))
    if broken.any():
        return NOT_FINITE, f"{int(broken.sum())} of {len(broken)} frames, the first at {int(broken.argmax())}"
    if not any(caption.text.strip() for caption in take.captions):
        return NO_CAPTION, "a clip needs at least one sentence"
    if not (math.isfinite(take.fps) and take.fps > 0):
        return NO_RATE, f"{take.fps} frames a second"
    # The body is scaled by the length of its right leg.
    hip, knee, ankle = (take.joints[0, INDEX[name]] for name in ("right_hip", "right_knee", "right_ankle"))
    if not np.linalg.norm(knee - hip) + np.linalg.norm(ankle - knee) > SHORTEST_LEG:
        return WRONG_SHAPE, f"the right leg of frame 0 is no longer than {SHORTEST_LEG} m"
    return None


def _clip(clip_id: str, take: Take, corpus: str, joints: np.ndarray) -> Clip:
    rows = _rounded(features.extract(joints).astype(np.float64), 6).astype(np.float32)
    captions = [caption for caption in take.captions if caption.text.strip()]
    return Clip(
        clip_id, corpus, f"{corpus}/{take.recording or take.name}", take.cell, rows, captions, take.truth,
        take.source, take.split,
    )  # fmt: skip


def _rounded(values: np.ndarray, digits: int) -> np.ndarray:
    # Adding nothing turns -0.0 into 0.0: which of them comes out of a tiny number is the processor's choice.
    return np.round(values, digits) + 0.0


def _keyed(rejections: list[Rejection]) -> list[Rejection]:
    """Rejections of one name told apart by ~2, ~3, …: a table refuses equal keys, and none may be lost."""
    seen: dict[str, int] = {}
    told_apart = []
    for rejection in rejections:
        seen[rejection.key] = seen.get(rejection.key, 0) + 1
        again = seen[rejection.key]
        told_apart.append(replace(rejection, key=f"{rejection.key}~{again}") if again > 1 else rejection)
    return told_apart
