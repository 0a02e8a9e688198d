"""What a model makes of motions whose fault is known: does it see it, does it mend it, does it leave the rest alone?

Every probe puts one motion before the model as if it were its own first try for a goal: the goal's own motion, an edit
of it whose truth is exact, or the motion of another goal. A trace model goes on from there; around a Stage-1 model the
composed loop asks for an assessment and an instruction, and has it refine.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from irg_core.annotate import inject
from irg_core.annotate.demands import demand
from irg_core.annotate.facts import facts
from irg_core.annotate.inject import LENT, Aim, InjectParams, Work
from irg_core.evaluation.goals import Goal
from irg_core.motion.differences import differences
from irg_core.motion.thresholds import KinematicsParams
from irg_core.records.annotation import Caption
from irg_core.records.motion import Facts, Phase
from irg_core.seeds import derive

OWN, ELSEWHERE = "none", "random"
"""Kinds of probe beside the names of edits: the goal's own motion, and that of another goal."""


Measured = tuple[Goal, Facts, list[Phase]]
"""A goal, the facts of its own motion, and what its words demand."""


@dataclass(frozen=True)
class ProbeParams:
    """`evaluate.probes` in params.yaml."""

    seed: int
    clips: int
    """Test clips that are probed, three probes each; more make the shares surer, and evaluation slower."""


@dataclass(frozen=True)
class Probe:
    """A motion shown for a goal, and what is known to be wrong with it."""

    probe_id: str  # "<caption_id>~<kind>"
    goal: Goal
    asked: list[Phase]
    kind: str
    truth: str  # JSON, as in Pair
    features: np.ndarray
    shown: Facts


def probes(
    asked: Sequence[Goal], params: ProbeParams, making: InjectParams, limits: KinematicsParams, mode: str
) -> list[Probe]:
    """Probes of some goals, drawn by lot among those whose words can be held against a motion.

    Edits are made as `inject` makes them; `mode` is that of the build's features.
    """
    lot = sorted(asked, key=lambda goal: derive(params.seed, "probe", goal.caption_id))
    readable = list(islice(_readable(lot, limits), params.clips))
    found = []
    for place, (goal, own, wanted) in enumerate(readable):
        shown = [Probe(f"{goal.caption_id}~{OWN}", goal, wanted, OWN, "{}", goal.clip.features, own)]
        others = readable[place + 1 :] + readable[:place]
        shown += _edited(goal, own, wanted, others, params, making, limits, mode)
        shown += _elsewhere(goal, wanted, others, limits)
        # What was no fault in the eyes of the goal is no probe.
        found += [
            probe for probe in shown if (probe.kind == OWN) != bool(differences(wanted, probe.shown.phases, limits))
        ]
    return found


def _readable(asked: Sequence[Goal], limits: KinematicsParams) -> Iterator[Measured]:
    for goal in asked:
        own = facts(goal.clip.clip_id, goal.clip.features, limits)
        if wanted := demand(goal.text, own.phases):
            yield goal, own, wanted


def _edited(
    goal: Goal, own: Facts, wanted: list[Phase], others: Sequence[Measured], params: ProbeParams, making: InjectParams,
    limits: KinematicsParams, mode: str,
) -> Iterator[Probe]:  # fmt: skip
    """One edit of the goal's motion; an action that is added comes out of the motions of other goals."""
    caption = Caption(goal.caption_id, goal.clip.clip_id, 0, goal.text, "", "source")
    lent = [(other.clip.features, measured.phases) for other, measured, _ in others[:LENT]]
    aim = Aim(goal.clip.clip_id, [caption], wanted, own.phases, {"edit": 1}, [])
    making = replace(making, seed=params.seed)
    for made in inject.edited([Work(aim, goal.clip.features, lent)], making, limits, mode):
        yield Probe(f"{goal.caption_id}~{made.kind}", goal, wanted, made.kind, made.truth, made.features, made.facts)


def _elsewhere(
    goal: Goal, wanted: list[Phase], others: Sequence[Measured], limits: KinematicsParams
) -> Iterator[Probe]:
    """The motion of the first other goal that is wrong here."""
    for other, measured, _ in others:
        if differences(wanted, measured.phases, limits):
            yield Probe(f"{goal.caption_id}~{ELSEWHERE}", goal, wanted, ELSEWHERE, "{}", other.clip.features, measured)
            return
