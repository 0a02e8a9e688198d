"""From a take as its corpus gives it to clips of one kind: one body, one rate, a few seconds, features.

A take that cannot be used becomes a rejection with one of the reasons below, or with a kind of defect, so that reasons
can be counted. Whatever was noticed on the way, mended or not, is a finding.
"""

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np

from irg_core.errors import ParamsError
from irg_core.motion import features, representation, retarget, twins
from irg_core.motion.audit import (
    BODIES,
    DUPLICATE,
    FRAMES,
    NO_CAPTION,
    REJECTED,
    Audited,
    AuditParams,
    audit,
    audit_captions,
    noted,
    nothing,
    refused,
)  # fmt: skip
from irg_core.motion.defects import Body
from irg_core.motion.representation import Representation
from irg_core.motion.resampling import resample
from irg_core.motion.skeleton import INDEX
from irg_core.motion.twins import Gallery, Signature
from irg_core.records.annotation import Rejection
from irg_core.records.audit import Finding
from irg_core.records.motion import Clip, Take

WRONG_SHAPE = "wrong shape"
NOT_FINITE = "numbers that are not finite"
NO_RATE = "no frame rate"
TOO_SHORT = "too short"
SAME_ID = "duplicate clip id"

Row = TypeVar("Row", Finding, Rejection)

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


@dataclass(frozen=True, slots=True)
class Ingested:
    """What came of one take: clips with their signatures, or a rejection; and what was found."""

    clips: list[tuple[Clip, Signature]]
    rejection: Rejection | None
    findings: list[Finding]


def results_of_batch(
    batch: list[Take | Rejection], *, corpus: str, params: IngestParams, rules: AuditParams, skeleton: str
) -> list[Ingested]:
    """What comes of each take, in order; what its reader refused stays refused."""
    return [
        _turned_away(corpus, f"{corpus}/{take.key}", take.reason, take.detail, [])
        if isinstance(take, Rejection)
        else ingest(take, corpus, params, rules, skeleton)
        for take in batch
    ]


def ingest(take: Take, corpus: str, params: IngestParams, rules: AuditParams, skeleton: str) -> Ingested:
    """The clips of one take, or the reason why it has none. Captions speak of the whole take, whatever is cut."""
    name = f"{corpus}/{take.name}"
    captions, findings = audit_captions(take.captions, corpus, name, rules)
    if not captions and any(finding.outcome == REJECTED for finding in findings):
        reason = findings[-1] if take.captions else next(each for each in findings if each.kind == NO_CAPTION)
        return _rejected(Audited(Body(take.joints, take.fps, ()), [], reason), findings)
    if fault := _fault(take):
        return _turned_away(corpus, name, *fault, findings)

    texts = tuple(caption.text for caption in captions)
    frames = audit(Body(take.joints, take.fps, texts), FRAMES, corpus, name, rules)
    if frames.refusal:
        return _rejected(frames, findings)
    findings += frames.findings
    kept = len(frames.body.joints)
    if fault := _gaps(frames.body.joints):
        return _turned_away(corpus, name, *fault, findings)
    turned = take.rotations if take.rotations is None else take.rotations[:kept]
    try:
        fitted = retarget.fit(replace(take, joints=frames.body.joints, rotations=turned))
    except retarget.CannotFit as error:
        reason, detail = error.args
        return _turned_away(corpus, name, str(reason), str(detail), findings)
    findings += noted(corpus, name, fitted.notes)
    if fault := _unfit(fitted.joints):
        return _turned_away(corpus, name, *fault, findings)
    # Where the axis was declared, or told by the file's own rest pose, a lying body lies.
    is_up_known = bool(take.conventions.up) or take.rotations is not None
    kinds = {kind: defect for kind, defect in BODIES.items() if not (is_up_known and kind == "wrong axis up")}
    audited = audit(Body(fitted.joints, take.fps, texts), kinds, corpus, name, rules)
    if audited.refusal:
        return _rejected(audited, findings)
    kind = representation.SKELETONS[skeleton]
    take = replace(take, captions=tuple(captions))
    return _cut(take, audited.body, corpus, params, kind, findings + audited.findings)


def _cut(
    take: Take, body: Body, corpus: str, params: IngestParams, kind: Representation, findings: list[Finding]
) -> Ingested:
    """The clips of a take that passed."""
    name = f"{corpus}/{take.name}"
    # Ten micrometres. From here on the arithmetic gives equal bits on any machine, so this rounding makes equal
    # tables of what sines and cosines in the corpus readers may leave unequal in the last digit.
    joints = _rounded(features.retarget(resample(body.joints, body.fps, kind.fps)), 5)
    rows = len(joints) - 1
    if rows < params.min_seconds * kind.fps:
        detail = f"{rows / kind.fps:.2f} s; at least {params.min_seconds} s are needed"
        return _turned_away(corpus, name, TOO_SHORT, detail, findings)
    pieces = math.ceil(rows / (params.max_seconds * kind.fps))
    edges = [round(piece * rows / pieces) for piece in range(pieces + 1)]
    clips = [
        _clip(f"{name}#{piece}" if pieces > 1 else name, take, corpus, kind, joints[first : last + 1])
        for piece, (first, last) in enumerate(pairwise(edges))
    ]
    return Ingested([(clip, twins.signature(clip.features)) for clip in clips], None, findings)


def _turned_away(corpus: str, name: str, reason: str, detail: str, findings: list[Finding]) -> Ingested:
    told = [*findings, refused(corpus, name, reason, detail)]
    return Ingested([], Rejection(name, "ingest", reason, detail), told)


def _rejected(audited: Audited, findings: list[Finding]) -> Ingested:
    """A take that the audit refused."""
    assert audited.refusal
    name, kind, detail = audited.refusal.name, audited.refusal.kind, audited.refusal.detail
    return Ingested([], Rejection(name, "ingest", kind, detail), findings + audited.findings)


class Register:
    """Takes what the workers send, in order: lets new clips through, and keeps the rest on record."""

    def __init__(self, rules: AuditParams, gallery: Gallery) -> None:
        self.gallery = gallery
        self.names: list[str] = []
        self._examples = rules.examples
        self._shown: Counter[tuple[str, str]] = Counter()
        self._findings: list[Finding] = []
        self._rejections: list[Rejection] = []
        self._ids: set[str] = set()
        self._motions: dict[bytes, str] = {}

    def admit(self, results: Iterable[Ingested]) -> Iterator[Clip]:
        """Clips whose id and motion are new; the first one stays."""
        for result in results:
            for finding in result.findings:
                self.note(finding)
            if result.rejection:
                self._rejections.append(result.rejection)
            for clip, signature in result.clips:
                if self._is_new(clip):
                    self.names.append(clip.clip_id)
                    self.gallery.add(clip.take, signature)
                    yield clip

    def note(self, finding: Finding) -> None:
        """Keep a finding, and its motions while examples of its kind and outcome are wanted."""
        self._shown[finding.kind, finding.outcome] += len(finding.before) > 0
        if self._shown[finding.kind, finding.outcome] > self._examples:
            finding = replace(finding, before=nothing(), after=nothing())
        self._findings.append(finding)

    def reject(self, clip: Clip, reason: str, detail: str) -> None:
        self._rejections.append(Rejection(clip.clip_id, "ingest", reason, detail))

    def findings(self) -> list[Finding]:
        """Every finding under a key of its own."""
        return _told_apart(self._findings, "finding_id")

    def rejections(self) -> list[Rejection]:
        """Every rejection under a key of its own: a table refuses equal keys, and none may be lost."""
        return _told_apart(self._rejections, "key")

    def _is_new(self, clip: Clip) -> bool:
        motion = hashlib.sha256(clip.features.tobytes()).digest()[:16]
        if clip.clip_id in self._ids:
            reason, detail = SAME_ID, f"take {clip.take}"
        elif motion in self._motions:
            reason, detail = DUPLICATE, f"same as {self._motions[motion]}"
        else:
            self._ids.add(clip.clip_id)
            self._motions[motion] = clip.clip_id
            return True
        self.reject(clip, reason, detail)
        self.note(refused(clip.corpus, clip.clip_id, reason, detail))
        return False


def _fault(take: Take) -> tuple[str, str] | None:
    count = len(take.hierarchy.names) if take.hierarchy else 22
    if take.joints.ndim != 3 or take.joints.shape[1:] != (count, 3) or len(take.joints) < 2:
        return WRONG_SHAPE, f"joints {take.joints.shape}; at least two frames of ({count}, 3) are needed"
    if not (math.isfinite(take.fps) and take.fps > 0):
        return NO_RATE, f"{take.fps} frames a second"
    return None


def _gaps(joints: np.ndarray) -> tuple[str, str] | None:
    broken = ~np.isfinite(joints).all(axis=(1, 2))
    if broken.any():
        return NOT_FINITE, f"{int(broken.sum())} of {len(broken)} frames, the first at {int(broken.argmax())}"
    return None


def _unfit(joints: np.ndarray) -> tuple[str, str] | None:
    if len(joints) < 2:
        return TOO_SHORT, f"{len(joints)} frames are left"
    # The body is scaled by the length of its right leg.
    hip, knee, ankle = (joints[0, INDEX[name]] for name in ("right_hip", "right_knee", "right_ankle"))
    if not np.linalg.norm(knee - hip) + np.linalg.norm(ankle - knee) > SHORTEST_LEG:
        return WRONG_SHAPE, f"the right leg of frame 0 is no longer than {SHORTEST_LEG} m"
    return None


def _clip(clip_id: str, take: Take, corpus: str, kind: Representation, joints: np.ndarray) -> Clip:
    rows = _rounded(kind.rows(joints, kind.fps).astype(np.float64), 6).astype(np.float32)
    return Clip(
        clip_id, corpus, f"{corpus}/{take.recording or take.name}", take.cell, rows, list(take.captions), take.truth,
        take.source, take.split,
    )  # fmt: skip


def _rounded(values: np.ndarray, digits: int) -> np.ndarray:
    # Adding nothing turns -0.0 into 0.0: which of them comes out of a tiny number is the processor's choice.
    return np.round(values, digits) + 0.0


def _told_apart(rows: Iterable[Row], key: str) -> list[Row]:
    """Rows of one name told apart by ~2, ~3, …"""
    seen: Counter[str] = Counter()
    told_apart = []
    for row in rows:
        name = getattr(row, key)
        seen[name] += 1
        changes: dict[str, Any] = {key: f"{name}~{seen[name]}"}
        told_apart.append(replace(row, **changes) if seen[name] > 1 else row)
    return told_apart
