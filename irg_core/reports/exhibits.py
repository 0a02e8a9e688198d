"""What a gallery shows: answers of a model and its judgements of known flaws, with what measured facts say of both."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from irg_core.annotate import grounding
from irg_core.annotate.demands import demand
from irg_core.annotate.facts import facts
from irg_core.annotate.grounding import Known
from irg_core.annotate.statements import ASKED, SHOWN
from irg_core.motion import representation
from irg_core.motion.differences import differences
from irg_core.motion.representation import to_joints
from irg_core.motion.thresholds import KinematicsParams
from irg_core.records.evaluation import Generation
from irg_core.records.motion import Clip, Difference, Facts, Phase
from irg_core.records.reasoning import Probed
from irg_core.reports.gallery import Column, Exhibit, Gallery, Mark, Saying
from irg_core.reports.player import Track
from irg_core.reports.readings import reading
from irg_core.seeds import derive

FULFILLED, MISSED, UNREAD = "fulfilled", "missed", "cannot be measured"
RIGHT, WRONG = "judged right", "judged wrong"
OWN = "none"
"""Kind of probe that shows the goal's own motion."""
NAMES = {OWN: "no flaw", "random": "another goal's motion"}
"""Of kinds of probe that are no edits."""


@dataclass(frozen=True)
class Room:
    """What exhibits are made with."""

    clips: Mapping[str, Clip]
    decode: Callable[[list[int]], np.ndarray]  # codes to features
    limits: KinematicsParams
    _own: dict[str, Facts] = field(default_factory=dict)

    def own(self, clip_id: str) -> Facts:
        """The facts of a clip; measured once."""
        if clip_id not in self._own:
            self._own[clip_id] = facts(clip_id, self.clips[clip_id].features, self.limits)
        return self._own[clip_id]


@dataclass(frozen=True)
class Motion:
    """One motion of an exhibit: how it moves, and what it misses."""

    track: Track
    seconds: float
    known: Known
    missed: list[Difference]


def traces(rows: Sequence[Generation], room: Room, count: int, seed: int) -> Gallery:
    """Answers drawn by lot, as a story each: the goal motion, then every round with what was said of it."""
    by_lot = sorted(rows, key=lambda row: derive(seed, "reading", row.generation_id))
    return Gallery([_trace(row, room) for row in by_lot[:count]])


def _trace(row: Generation, room: Room) -> Exhibit:
    told = reading(row)
    asked = demand(row.text, room.own(row.clip_id).phases)
    rounds = [(one, _motion(f"round {place}", one.codes, asked, room) if one.codes else None)
              for place, one in enumerate(told.rounds, start=1)]  # fmt: skip
    moved = [motion for _, motion in rounds if motion]
    columns = [_goal(row.clip_id, room)]
    for place, (one, motion) in enumerate(rounds, start=1):
        columns.append(
            Column(f"Round {place}", _length(one.codes, motion), _sayings(one.assessment, one.refinement, motion))
        )
    last = moved[-1].missed if moved else []
    outcome = UNREAD if not asked else MISSED if last or not moved else FULFILLED
    tags = {"outcome": outcome, "action": _action(asked), "motions": str(len(moved)), "stop": row.stop}
    return Exhibit(
        row.text, f"for {row.clip_id}; stopped: {row.stop}", told.analysis, tags, float(len(last)),
        [_goal_track(row.clip_id, room), *(motion.track for motion in moved)], columns,
    )  # fmt: skip


def probes(rows: Sequence[Probed], room: Room, count: int, seed: int) -> Gallery:
    """Known flaws and the model's judgements of them, drawn by lot."""
    by_lot = sorted(rows, key=lambda row: derive(seed, "probe", row.probe_id))
    return Gallery([_probe(row, room) for row in by_lot[:count]])


def _probe(row: Probed, room: Room) -> Exhibit:
    asked = demand(row.text, room.own(row.clip_id).phases)
    kind = NAMES.get(row.kind, row.kind.replace("_", " ").replace("+", " and "))
    shown = _motion(f"shown: {kind}", row.shown, asked, room)
    tracks, columns = [_goal_track(row.clip_id, room), shown.track], [_goal(row.clip_id, room)]
    columns.append(Column(f"Shown: {kind}", _length(row.shown, shown), _sayings(row.assessment, row.refinement, shown)))
    if row.motions and row.motions[0]:
        refined = _motion("the model's next motion", row.motions[0], asked, room)
        told = "the flaw is gone" if row.is_mended else "" if row.kind == OWN else "the flaw is still there"
        told = told if row.is_true else ""
        broken = "something else is broken" if row.is_spoilt else ""
        note = "; ".join(filter(None, [_length(row.motions[0], refined), told, broken]))
        tracks.append(refined.track)
        columns.append(Column("The model's next motion", note))
    is_right = row.accepts == (row.kind == OWN)
    tags = {
        "outcome": UNREAD if not row.is_true else RIGHT if is_right else WRONG,
        "flaw": kind,
        "action": _action(asked),
    }
    said = "says that nothing is left to refine" if row.accepts else "wants it refined"
    badness = (not is_right) + (row.kind != OWN and not row.is_mended) / 2
    return Exhibit(row.text, f"for {row.clip_id}; the model {said}", "", tags, badness, tracks, columns)


def _motion(label: str, codes: list[int], asked: Sequence[Phase], room: Room) -> Motion:
    rows = room.decode(codes)
    measured = facts(label, rows, room.limits)
    missed = differences(asked, measured.phases, room.limits) if asked else []
    known = Known(asked, measured.phases, measured.measures)
    return Motion(Track(label, to_joints(rows)), measured.seconds, known, missed)


def _sayings(assessment: str, refinement: str, motion: Motion | None) -> list[Saying]:
    return [
        Saying(who, text, _marks(text, of, motion.known) if motion else [])
        for who, text, of in (("Assessment:", assessment, SHOWN), ("Refinement:", refinement, ASKED))
    ]


def _marks(text: str, of: str, known: Known) -> list[Mark]:
    return [Mark(found.statement.words, found.verdict) for found in grounding.findings(text, of, known)]


def _goal_track(clip_id: str, room: Room) -> Track:
    return Track("goal motion", to_joints(room.clips[clip_id].features))


def _goal(clip_id: str, room: Room) -> Column:
    rows = room.clips[clip_id].features
    return Column("Goal motion", f"{representation.of(rows.shape[1]).seconds(rows):.1f} s")


def _length(codes: Sequence[int], motion: Motion | None) -> str:
    return f"{len(codes)} codes, {motion.seconds:.1f} s" if motion else "no motion to show"


def _action(asked: Sequence[Phase]) -> str:
    return asked[0].action.replace("_", " ") if asked else "other"
