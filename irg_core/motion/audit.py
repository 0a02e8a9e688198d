"""The door: every take is measured for the defects that corpora have, and is accepted, repaired or rejected by rule.

What was found is told in any case. Rules and limits stand in params.yaml under `audit`; what is measured, and how it is
mended, stands in `defects` (bodies), `captions` (sentences) and `twins` (one motion under two names).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from irg_core.errors import ParamsError
from irg_core.motion import captions, defects, representation
from irg_core.motion.captions import FAULTS
from irg_core.motion.defects import Body, Defect
from irg_core.motion.skeleton import FPS
from irg_core.motion.twins import Pair
from irg_core.records.audit import POSE, Finding
from irg_core.records.motion import Clip, SourceCaption

ACCEPTED, REPAIRED, REJECTED = "accepted", "repaired", "rejected"

FRAMES = {"missing tail": Defect("share of the frames", defects.missing_tail, defects.without_tail)}
"""What is looked for in joints of any kind, before a body is made of them."""
TAKES = {
    # What comes later is measured on what the earlier ones have left or mended.
    "wrong size": Defect("times", defects.size, defects.in_metres),
    "wrong joint order": Defect("times", defects.proportions),
    "stretching bones": Defect("share of the length", defects.stretch),
    "left and right": Defect("mean cosine", defects.backwardness, defects.with_sides_swapped),
    "wrong axis up": Defect("share of the frames", defects.lying_stand, defects.set_upright),
    "wrong facing": Defect("degrees", defects.astray),
    "floor offset": Defect("m", defects.floor_offset, defects.on_the_floor),
}
"""What is wrong with a whole take or not at all."""
MOMENTS = {
    "spike": Defect("m", defects.spikes, defects.without_spikes),
    "teleport": Defect("m/s", defects.leaps),
    "falls too fast": Defect("g", defects.fall),
    "falls too slowly": Defect("times", defects.hover),
    "steps too fast": Defect("steps/s", defects.cadence),
    "jitter": Defect("m", defects.tremble),
    "floor penetration": Defect("m", defects.penetration),
    "foot skate": Defect("share of the time on the floor", defects.skate),
}
"""What passes: of a long take it costs the piece in which it happens, and no other."""
OF_RATE = ("falls too fast", "falls too slowly", "steps too fast")
"""Of these one may be a mishap; found again in the same take, they speak of its frame rate."""
BODIES = TAKES | MOMENTS
NO_CAPTION = "no caption"
DUPLICATE, TWIN, MIRRORED_TWIN = "duplicate", "twin", "mirrored twin"
KINDS = (*FRAMES, *BODIES, *FAULTS, NO_CAPTION, DUPLICATE, TWIN, MIRRORED_TWIN)
_KEPT = {TWIN, MIRRORED_TWIN}
"""Kinds that are found after the clips are written, when nothing can be rejected any more; one split mends them."""
_MENDED = (
    {kind for kind, defect in (FRAMES | BODIES).items() if defect.repair}
    | {kind for kind, fault in FAULTS.items() if fault.repair}
    | _KEPT
)


@dataclass(frozen=True)
class Rule:
    """What becomes of takes, or of sentences, that have more of a defect than the limit."""

    rule: Literal["accept", "repair", "reject"]
    limit: float


@dataclass(frozen=True)
class AuditParams:
    """What passes the door."""

    examples: int
    """Of each kind and outcome, how many motions are kept for the corpus page; each takes about 50 kB."""
    alphabets: list[str]
    """Of the corpora's sentences, as Unicode names them: LATIN, CYRILLIC, CJK, HIRAGANA …"""
    rules: dict[str, Rule]

    def __post_init__(self) -> None:
        if set(self.rules) != set(KINDS):
            wrong = sorted(set(self.rules) ^ set(KINDS))
            raise ParamsError(f"params.yaml: audit.rules takes exactly these kinds: {', '.join(KINDS)}; see {wrong}")
        for kind, rule in self.rules.items():
            if rule.rule == "repair" and kind not in _MENDED:
                raise ParamsError(f"params.yaml: audit.rules: '{kind}' cannot be repaired; accept or reject it")
            if rule.rule == "reject" and kind in _KEPT:
                raise ParamsError(f"params.yaml: audit.rules: a '{kind}' can be repaired or accepted, not rejected")

    @property
    def farthest_twin(self) -> float:
        """Metres, the larger limit of the two kinds of twins."""
        return max(self.rules[kind].limit for kind in (TWIN, MIRRORED_TWIN))


@dataclass(frozen=True, slots=True)
class Audited:
    """A body after the door; without a `refusal` it may go in."""

    body: Body
    findings: list[Finding]
    refusal: Finding | None


def audit(body: Body, kinds: Mapping[str, Defect], corpus: str, name: str, params: AuditParams) -> Audited:
    """A body held against the rules for some kinds of defects, in their order. The first rejection ends it."""
    findings: list[Finding] = []
    for kind, defect in kinds.items():
        rule = params.rules[kind]
        amount, detail = defect.measure(body)
        if amount <= rule.limit:
            continue
        mended = _mended(body, defect, rule)
        outcome = ACCEPTED if rule.rule == "accept" else REPAIRED if mended else REJECTED
        finding = _finding(corpus, name, kind, amount, defect.unit, rule.limit, outcome, detail)
        if outcome == ACCEPTED:
            findings.append(finding)
            continue
        findings.append(replace(finding, before=picture(body), after=picture(mended) if mended else nothing()))
        if mended is None:
            return Audited(body, findings, findings[-1])
        body = mended
    return Audited(body, findings, None)


def audit_captions(
    found: Sequence[SourceCaption], corpus: str, name: str, params: AuditParams
) -> tuple[list[SourceCaption], list[Finding]]:
    """The sentences that pass, some of them mended, and what was found in all of them."""
    kept, findings = [], []
    for caption in found:
        text, told = _audit_text(caption.text, corpus, name, params)
        findings += told
        if text is not None:
            kept.append(replace(caption, text=text))
    if not found:
        rule = params.rules[NO_CAPTION]
        outcome = REJECTED if rule.rule == "reject" else ACCEPTED
        findings.append(_finding(corpus, name, NO_CAPTION, 1.0, "take", rule.limit, outcome, "it came with none"))
    return kept, findings


def copied(kind: str, pair: Pair, other: str, clip: Clip, outcome: str, limit: float) -> Finding:
    """What became of a clip that is one motion with another one."""
    detail = (
        f"the same motion as {other}, over {max(pair.shares):.0%} of one of them"
        + (", left for right" if pair.is_mirrored else "")
        + (f", at a rate {max(pair.rate, 1 / pair.rate):.2f} times as high" if abs(pair.rate - 1.0) > 0.02 else "")
    )
    found = _finding(clip.corpus, clip.clip_id, kind, pair.distance, "m", limit, outcome, detail)
    joints = representation.to_joints(clip.features)
    return replace(found, before=np.round(joints, 3).astype(np.float32).reshape(len(joints), POSE), other=other)


def parted(pairs: Iterable[Pair], clips: Sequence[Clip], params: AuditParams) -> Iterator[tuple[str, str]]:
    """The takes of twins that must not be parted by a split."""
    for pair in pairs:
        if _of_twins(pair, params)[1] == REPAIRED:
            yield clips[pair.first].take, clips[pair.second].take


def twin_findings(
    pairs: Iterable[Pair], clips: Sequence[Clip], motions: Iterable[Clip], params: AuditParams
) -> list[Finding]:
    """For each clip with a twin before it, the nearest such twin. `motions` are the same clips with their features."""
    nearest: dict[str, Pair] = {}
    for pair in pairs:
        name = clips[pair.second].clip_id
        if _of_twins(pair, params)[1] and (name not in nearest or pair.distance < nearest[name].distance):
            nearest[name] = pair
    findings = []
    shown = 0
    for clip in motions if nearest else ():
        if clip.clip_id in nearest:
            pair = nearest[clip.clip_id]
            kind, outcome = _of_twins(pair, params)
            found = copied(kind, pair, clips[pair.first].clip_id, clip, outcome, params.rules[kind].limit)
            shown += 1
            findings.append(found if shown <= params.examples else replace(found, before=nothing()))
    return findings


def moved(take: str, clip: Clip, to: str) -> Finding:
    """A take that its corpus declares to be of one split, and that has a twin in another."""
    detail = f"declared {clip.split}, now {to}, as one motion must not be on both sides"
    return _finding(clip.corpus, take, "declared split", 1.0, "take", 0.0, REPAIRED, detail)


def _of_twins(pair: Pair, params: AuditParams) -> tuple[str, str]:
    """The kind and the outcome of a pair; no outcome where it is beyond the limit of its kind."""
    kind = MIRRORED_TWIN if pair.is_mirrored else TWIN
    rule = params.rules[kind]
    if pair.distance > rule.limit:
        return kind, ""
    return kind, REPAIRED if rule.rule == "repair" else ACCEPTED


def of_the_take(corpus: str, name: str, found: Sequence[Finding], pieces: int) -> Finding:
    """A defect that was found in several pieces of a take, as one of the take."""
    worst = max(found, key=lambda finding: finding.amount)
    detail = f"in {len(found)} of {pieces} pieces; {worst.name.removeprefix(name)}: {worst.detail}"
    return replace(worst, finding_id=f"{name}|{worst.kind}", name=name, detail=detail)


def refused(corpus: str, name: str, reason: str, detail: str) -> Finding:
    """What was refused before it could be measured."""
    return _finding(corpus, name, reason, 1.0, "take", 0.0, REJECTED, detail)


def noted(corpus: str, name: str, notes: Sequence[str]) -> list[Finding]:
    """What retargeting found out or mended on its way; the words of a note before its colon are its kind."""
    parts = (note.partition(":") for note in notes)
    return [
        _finding(corpus, name, kind, 1.0, "take", 0.0, REPAIRED, detail.strip() or kind) for kind, _, detail in parts
    ]


def picture(body: Body) -> np.ndarray:
    """Frames [T, 66] float32 of a body for the corpus page, as it is, but from the origin on, and ten seconds at most.

    Nothing of one that cannot be drawn.
    """
    joints = body.joints
    if joints.shape[1:] != (22, 3) or len(joints) < 2 or not np.isfinite(joints).all():
        return nothing()
    moved = (body.at_our_rate() - joints[0, 0] * (1.0, 0.0, 1.0))[: int(10 * FPS)]
    return np.round(moved, 3).astype(np.float32).reshape(len(moved), POSE)


def nothing() -> np.ndarray:
    return np.zeros((0, POSE), dtype=np.float32)


def _mended(body: Body, defect: Defect, rule: Rule) -> Body | None:
    """The repaired body, if the rule asks for one and the defect is gone from it."""
    if rule.rule != "repair" or defect.repair is None:
        return None
    mended = defect.repair(body)
    return mended if mended is not None and defect.measure(mended)[0] <= rule.limit else None


def _audit_text(text: str, corpus: str, name: str, params: AuditParams) -> tuple[str | None, list[Finding]]:
    findings: list[Finding] = []
    for kind, fault in FAULTS.items():
        rule = params.rules[kind]
        amount, detail = fault.measure(text, params.alphabets)
        if amount <= rule.limit:
            continue
        if rule.rule == "repair" and fault.repair:
            text = fault.repair(text)
            outcome = REPAIRED
        else:
            outcome = ACCEPTED if rule.rule == "accept" else REJECTED
        findings.append(_finding(corpus, name, kind, amount, fault.unit, rule.limit, outcome, detail))
        if outcome == REJECTED:
            return None, findings
    return text, findings


def _finding(
    corpus: str, name: str, kind: str, amount: float, unit: str, limit: float, outcome: str, detail: str
) -> Finding:
    # Rounded, so that the last digits of another machine's square roots change no byte of the table.
    return Finding(
        f"{name}|{kind}", corpus, name, kind, round(amount, 4), unit, limit, outcome, captions.without_controls(detail),
        nothing(), nothing(),
    )  # fmt: skip
