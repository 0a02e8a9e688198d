"""From a take as its corpus gives it to clips of one kind: one body, one rate, a few seconds, features.

A take that cannot be used becomes a rejection with one of the reasons below, or with a kind of defect, so that reasons
can be counted. What goes wrong for a moment costs the piece of a long take in which it happens, and the others go in.
Whatever was noticed on the way, mended or not, is a finding.
"""

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np

from irg_core.errors import ParamsError
from irg_core.motion import features, representation, retarget, twins
from irg_core.motion.audit import (
    DUPLICATE,
    FRAMES,
    MOMENTS,
    NO_CAPTION,
    OF_RATE,
    REJECTED,
    REPAIRED,
    TAKES,
    Audited,
    AuditParams,
    audit,
    audit_captions,
    noted,
    nothing,
    of_the_take,
    refused,
)
from irg_core.motion.defects import Body
from irg_core.motion.representation import Representation
from irg_core.motion.resampling import bridged, frames_at, resample, resample_rotations
from irg_core.motion.rotations import normalise
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
MARGIN = 0.1
"""Seconds around a piece that are looked at with it: what happens there reaches in when the rate is changed."""
MISHAPS = 0.1
"""Share of a take's pieces, and two at least, in which it must fall or step wrongly before its rate is in doubt."""
UNTURNED = "rotations laid by inverse kinematics"


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
    """What came of one take: clips with their signatures, the refusals of others, or of all; and what was found."""

    clips: list[tuple[Clip, Signature]]
    rejections: list[Rejection]
    findings: list[Finding]
    true_turns: bool = False
    """Its rotations are the source's own."""


def results_of_batch(
    batch: list[Take | Rejection], *, corpus: str, params: IngestParams, rules: AuditParams, skeleton: str, mode: str
) -> list[Ingested]:
    """What comes of each take, in order; what its reader refused stays refused."""
    kind = representation.made(representation.SKELETONS[skeleton], mode)
    return [
        _turned_away(corpus, f"{corpus}/{take.key}", take.reason, take.detail, [])
        if isinstance(take, Rejection)
        else ingest(take, corpus, params, rules, kind)
        for take in batch
    ]


def ingest(take: Take, corpus: str, params: IngestParams, rules: AuditParams, kind: Representation) -> Ingested:
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
    joints = frames.body.joints
    turned = take.rotations if take.rotations is None else take.rotations[: len(joints)]
    gaps = ~np.isfinite(joints).all(axis=(1, 2))
    if gaps.any():
        if gaps.all() or len(joints) <= params.max_seconds * take.fps:
            return _turned_away(corpus, name, *_gaps(gaps), findings)
        joints = bridged(joints, gaps)
    try:
        fitted = retarget.fit(replace(take, joints=joints, rotations=turned), with_rotations=kind.exact)
    except retarget.CannotFit as error:
        reason, detail = error.args
        return _turned_away(corpus, name, str(reason), str(detail), findings)
    findings += noted(corpus, name, fitted.notes)
    if fault := _unfit(fitted.joints):
        return _turned_away(corpus, name, *fault, findings)
    # Where the axis was declared, or told by the file's own rest pose, a lying body lies.
    is_up_known = bool(take.conventions.up) or take.rotations is not None
    kinds = {name: defect for name, defect in TAKES.items() if not (is_up_known and name == "wrong axis up")}
    body = Body(fitted.joints, take.fps, texts, _known(fitted.rotations) if kind.exact else None)
    audited = audit(body, kinds, corpus, name, rules)
    if audited.refusal:
        return _rejected(audited, findings)
    take = replace(take, captions=tuple(captions))
    findings += audited.findings
    return _cut(take, audited.body, gaps[-len(fitted.joints) :], corpus, params, rules, kind, findings)


def _cut(
    take: Take, body: Body, gaps: np.ndarray, corpus: str, params: IngestParams, rules: AuditParams,
    kind: Representation, findings: list[Finding],
) -> Ingested:  # fmt: skip
    """The clips of a take that passed as a whole; `gaps` [T] are the frames that hold no numbers."""
    name = f"{corpus}/{take.name}"
    rows = frames_at(len(body.joints), body.fps, kind.fps) - 1
    pieces = max(1, math.ceil(rows / (params.max_seconds * kind.fps)))
    edges = [round(piece * rows / pieces) for piece in range(pieces + 1)]
    spans = {f"{name}#{piece}" if pieces > 1 else name: span for piece, span in enumerate(pairwise(edges))}
    body, found, refusals = _looked_through(body, gaps, corpus, spans, rules, kind)
    doubts = [finding for finding in refusals.values() if finding.kind in OF_RATE]
    if pieces > 1 and len(doubts) >= max(2, MISHAPS * pieces):
        whole = of_the_take(corpus, name, doubts, pieces)
        return Ingested([], [Rejection(name, "ingest", whole.kind, whole.detail)], [*findings, whole])
    if not refusals and rows < params.min_seconds * kind.fps:
        detail = f"{rows / kind.fps:.2f} s; at least {params.min_seconds} s are needed"
        return _turned_away(corpus, name, TOO_SHORT, detail, findings + found)
    if kind.exact and body.turned is None:
        findings = findings + noted(corpus, name, [f"{UNTURNED}: the source has none, or none that still hold"])
    joints, turned = _at_rate(body, kind)
    clips = [
        _clip(
            clip_id,
            take,
            corpus,
            kind,
            joints[first : last + 1],
            turned if turned is None else turned[first : last + 1],
        )
        for clip_id, (first, last) in spans.items()
        if clip_id not in refusals
    ]
    rejections = [Rejection(clip_id, "ingest", each.kind, each.detail) for clip_id, each in refusals.items()]
    signed = [(clip, twins.signature(clip.features)) for clip in clips]
    return Ingested(signed, rejections, findings + found, kind.exact and turned is not None)


def _looked_through(
    body: Body, gaps: np.ndarray, corpus: str, spans: Mapping[str, tuple[int, int]], rules: AuditParams,
    kind: Representation,
) -> tuple[Body, list[Finding], dict[str, Finding]]:  # fmt: skip
    """The body with what could be mended, all that was found in its pieces, and the refusals of those to be left out.

    `spans` are the pieces by name, from row to row at the representation's rate.
    """
    findings: list[Finding] = []
    refusals: dict[str, Finding] = {}
    last = max(end for _, end in spans.values())
    for name, (start, end) in spans.items():
        first = int(max(0.0, start / kind.fps - MARGIN) * body.fps) if start else 0
        part = slice(first, len(gaps) if end == last else math.ceil((end / kind.fps + MARGIN) * body.fps) + 1)
        if gaps[part].any():
            refusals[name] = refused(corpus, name, *_gaps(gaps[part]))
            findings.append(refusals[name])
            continue
        audited = audit(_part(body, part), MOMENTS, corpus, name, rules)
        findings += audited.findings
        if audited.refusal:
            refusals[name] = audited.refusal
        elif any(finding.outcome == REPAIRED for finding in audited.findings):
            body = _with_part(body, part, audited.body)
    return body, findings, refusals


def _part(body: Body, part: slice) -> Body:
    return replace(body, joints=body.joints[part], turned=body.turned if body.turned is None else body.turned[part])


def _with_part(body: Body, part: slice, mended: Body) -> Body:
    joints, turned = body.joints.copy(), body.turned
    joints[part] = mended.joints
    if turned is not None and mended.turned is not None:
        turned = turned.copy()
        turned[part] = mended.turned
    return replace(body, joints=joints, turned=turned)


def _at_rate(body: Body, kind: Representation) -> tuple[np.ndarray, np.ndarray | None]:
    """The uniform body at the representation's rate: joints [T, 22, 3], and their rotations where they are known."""
    # Ten micrometres. From here on the arithmetic gives equal bits on any machine, so this rounding makes equal
    # tables of what sines and cosines in the corpus readers may leave unequal in the last digit.
    joints = _rounded(features.retarget(resample(body.joints, body.fps, kind.fps)), 5)
    if body.turned is None:
        return joints, None
    return joints, normalise(_rounded(resample_rotations(body.turned, body.fps, kind.fps), 6))


def _known(turned: np.ndarray | None) -> np.ndarray | None:
    """Rotations [T, 22, 4] without gaps; None where there are none at all."""
    if turned is None:
        return None
    gaps = ~np.isfinite(turned).all(axis=(1, 2))
    return None if gaps.all() else bridged(turned, gaps) if gaps.any() else turned


def _turned_away(corpus: str, name: str, reason: str, detail: str, findings: list[Finding]) -> Ingested:
    told = [*findings, refused(corpus, name, reason, detail)]
    return Ingested([], [Rejection(name, "ingest", reason, detail)], told)


def _rejected(audited: Audited, findings: list[Finding]) -> Ingested:
    """A take that the audit refused."""
    assert audited.refusal
    name, kind, detail = audited.refusal.name, audited.refusal.kind, audited.refusal.detail
    return Ingested([], [Rejection(name, "ingest", kind, detail)], findings + audited.findings)


class Register:
    """Takes what the workers send, in order: lets new clips through, and keeps the rest on record."""

    def __init__(self, rules: AuditParams, gallery: Gallery) -> None:
        self.gallery = gallery
        self.names: list[str] = []
        self.turns: Counter[str] = Counter()
        """Clips by where their rotations are from."""
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
            self._rejections += result.rejections
            for clip, signature in result.clips:
                if self._is_new(clip):
                    self.names.append(clip.clip_id)
                    self.turns["of the source" if result.true_turns else "by inverse kinematics"] += 1
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


def _gaps(gaps: np.ndarray) -> tuple[str, str]:
    return NOT_FINITE, f"{int(gaps.sum())} of {len(gaps)} frames, the first at {int(gaps.argmax())}"


def _unfit(joints: np.ndarray) -> tuple[str, str] | None:
    if len(joints) < 2:
        return TOO_SHORT, f"{len(joints)} frames are left"
    # The body is scaled by the length of its right leg.
    hip, knee, ankle = (joints[0, INDEX[name]] for name in ("right_hip", "right_knee", "right_ankle"))
    if not np.linalg.norm(knee - hip) + np.linalg.norm(ankle - knee) > SHORTEST_LEG:
        return WRONG_SHAPE, f"the right leg of frame 0 is no longer than {SHORTEST_LEG} m"
    return None


def _clip(
    clip_id: str, take: Take, corpus: str, kind: Representation, joints: np.ndarray, turned: np.ndarray | None
) -> Clip:
    rows = _rounded(kind.rows(joints, kind.fps, turned).astype(np.float64), 6).astype(np.float32)
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
