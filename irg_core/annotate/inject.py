"""inject: for each goal, motions that miss it in a known way.

Three sources: edits of the goal motion, whose truth is exact; other clips of the corpus, found by an evaluator; and the
base model's own attempts, kept where measurement says that they miss the goal. Models are the stage's business: here
are the choices and what becomes of them.
"""

import inspect
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from irg_core.annotate.demands import demand
from irg_core.annotate.facts import facts as measured
from irg_core.errors import UnknownPlugin
from irg_core.motion import edits, representation
from irg_core.motion.differences import differences
from irg_core.motion.skeleton import FPS
from irg_core.motion.thresholds import KinematicsParams
from irg_core.records.annotation import Caption, Flawed, Pair
from irg_core.records.motion import Clip, Facts, Phase
from irg_core.records.wording import near_identical
from irg_core.seeds import derive, rng

SOURCES = ("edit", "retrieval", "rollout")
TRIES = 4
"""Edits made for one flaw, and clips drawn for one retrieval, before the flaw is given up."""


@dataclass(frozen=True)
class RolloutParams:
    """How the base model answers a goal."""

    temperature: float
    """Higher makes more, and wilder, mistakes."""
    max_codes: int
    """Codes after which a motion is ended."""
    batch: int
    """Goals decoded together; more is faster until memory is full."""


@dataclass(frozen=True)
class InjectParams:
    """How many flawed motions of which kinds."""

    seed: int
    """Another seed draws other goals and other flaws."""
    goals_per_clip: int
    """Captions of each clip that serve as goals; each is paired with every motion made for the clip."""
    flaws_per_clip: int
    """Flawed motions sought for each clip; more make longer traces possible and cost time."""
    sources: dict[str, float]
    """Shares of edit, retrieval and rollout among the flaws; they add up to 1."""
    edits: dict[str, float]
    """Functions of motion/edits.py to their weight in the draw."""
    retrieval_gallery: int
    """Train clips that a corpus needs before its own clips serve as flaws; below, edits take their share."""
    retrieval_bands: list[float]
    """Rising shares of the ranking by text-to-motion distance, drawn from alike. A small first one: near misses."""
    near_identical: float
    """Overlap of captions from which on a retrieved clip counts as right, and is not taken for a flaw."""
    rollout: RolloutParams
    """How the base model answers."""
    threads: int
    """Threads of the models; another number may change the last bits of what they say."""
    batch: int
    """Clips edited in one batch of the executor."""

    def __post_init__(self) -> None:
        if set(self.sources) != set(SOURCES) or not math.isclose(sum(self.sources.values()), 1.0, abs_tol=1e-6):
            raise ValueError(f"inject.sources takes {', '.join(SOURCES)}, which add up to 1")


@dataclass(frozen=True, slots=True)
class Aim:
    """A clip, the captions that serve as goals for it, and where its flaws are to come from."""

    clip: Clip
    goals: list[Caption]
    asked: list[Phase]  # by the first goal, for which flaws are chosen
    phases: list[Phase]  # the clip's own
    wanted: dict[str, int]  # source to number of flaws


@dataclass(frozen=True, slots=True)
class Made:
    """A flawed motion before it has tokens."""

    motion_id: str
    clip_id: str
    source: str
    kind: str
    truth: str
    features: np.ndarray
    facts: Facts


def aims(
    clips: Sequence[Clip],
    visible: Mapping[str, list[Caption]],
    facts: Mapping[str, Facts],
    gallery: int,
    params: InjectParams,
) -> list[Aim]:
    """What is to be done for each clip; `gallery` is the number of clips that retrieval can draw from."""
    shares = _shares(params, gallery)
    found = (_aim(clip, visible.get(clip.clip_id, []), facts[clip.clip_id], shares, params) for clip in clips)
    return [aim for aim in found if aim is not None]


def _shares(params: InjectParams, gallery: int) -> dict[str, float]:
    if gallery >= params.retrieval_gallery:
        return params.sources
    return params.sources | {"edit": params.sources["edit"] + params.sources["retrieval"], "retrieval": 0.0}


def _aim(
    clip: Clip, captions: list[Caption], facts: Facts, shares: dict[str, float], params: InjectParams
) -> Aim | None:
    """None where no caption asks for anything that could be judged."""
    judged = [caption for caption in captions if demand(caption.text, facts.phases)]
    if not judged:
        return None
    by_lot = sorted(judged, key=lambda caption: derive(params.seed, "goal", caption.caption_id))
    goals = by_lot[: params.goals_per_clip]
    draw = rng(params.seed, "sources", clip.clip_id)
    drawn = draw.choice(len(SOURCES), size=params.flaws_per_clip, p=[shares[source] for source in SOURCES]).tolist()
    wanted = {source: drawn.count(place) for place, source in enumerate(SOURCES)}
    return Aim(clip, goals, demand(goals[0].text, facts.phases), facts.phases, wanted)


# ---- edits -----------------------------------------------------------------------------------------------------------


def edited(batch: Sequence[Aim], kinds: dict[str, float], seed: int, limits: KinematicsParams) -> list[Made]:
    """The edits wanted for a batch of clips."""
    return [made for aim in batch if aim.wanted["edit"] for made in _edits(aim, kinds, seed, limits)]


def _edits(aim: Aim, kinds: dict[str, float], seed: int, limits: KinematicsParams) -> list[Made]:
    """Edits of different kinds, each of which breaks something that the goal asks for."""
    draw = rng(seed, "edits", aim.clip.clip_id)
    joints = representation.to_joints(aim.clip.features)
    kind = representation.of(aim.clip.features.shape[1])
    names, weights = list(kinds), np.array(list(kinds.values()))
    order = draw.choice(len(names), size=len(names), replace=False, p=weights / weights.sum())
    found: list[Made] = []
    tries = 0
    for name in (names[place] for place in order):
        if len(found) == aim.wanted["edit"] or tries == TRIES * aim.wanted["edit"]:
            break
        if (result := edit(name)(joints, aim.phases, draw, limits)) is None:
            continue
        tries += 1
        rows = kind.rows(result[0], FPS)
        made = _made(f"{aim.clip.clip_id}~{name}0", aim, "edit", name, result[1], rows, limits)
        if differences(aim.asked, made.facts.phases, limits):
            found.append(made)
    return found


def edit(name: str) -> Callable[..., edits.Edited]:
    """A flaw of motion/edits.py by its name."""
    found = {
        key: value
        for key, value in vars(edits).items()
        if inspect.isfunction(value) and value.__module__ == edits.__name__ and not key.startswith("_")
    }
    if name not in found:
        raise UnknownPlugin(f"no flaw '{name}' in irg_core/motion/edits.py; it has: {', '.join(sorted(found))}")
    return found[name]


def _made(
    motion_id: str, aim: Aim, source: str, kind: str, truth: dict[str, Any], rows: np.ndarray, limits: KinematicsParams
) -> Made:
    facts = measured(motion_id, rows, limits)
    return Made(motion_id, aim.clip.clip_id, source, kind, json.dumps(truth, sort_keys=True), rows, facts)


# ---- rollouts --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Attempt:
    """One generation of the base model for the first goal of an aim, decoded."""

    motion_id: str
    aim: Aim
    features: np.ndarray


def missed(batch: Sequence[Attempt], limits: KinematicsParams) -> list[Made]:
    """The attempts that measurably miss their goal; the others are no flaws."""
    made = [_made(one.motion_id, one.aim, "rollout", "rollout", {}, one.features, limits) for one in batch]
    return [
        flaw for flaw, one in zip(made, batch, strict=True) if differences(one.aim.asked, flaw.facts.phases, limits)
    ]


def attempts(wanted: Sequence[Aim]) -> dict[str, Aim]:
    """The rollouts to be made: motion_id to aim."""
    return {f"{aim.clip.clip_id}~rollout{number}": aim for aim in wanted for number in range(aim.wanted["rollout"])}


# ---- retrieval -------------------------------------------------------------------------------------------------------


def retrieved(
    aim: Aim, ranking: Sequence[str], captions: Mapping[str, list[Caption]], params: InjectParams
) -> list[str]:
    """Clips drawn from the bands of a ranking (near to far), none of whose captions says the same as the goal."""
    draw = rng(params.seed, "retrieval", aim.clip.clip_id)
    found: list[str] = []
    for _ in range(TRIES * aim.wanted["retrieval"]):
        if len(found) == aim.wanted["retrieval"]:
            break
        clip_id = ranking[_rank(draw, params.retrieval_bands, len(ranking))]
        if clip_id not in (aim.clip.clip_id, *found) and not _says_the_same(aim, captions[clip_id], params):
            found.append(clip_id)
    return found


def _rank(draw: np.random.Generator, bands: Sequence[float], length: int) -> int:
    band = int(draw.integers(len(bands)))
    low = bands[band - 1] if band else 0.0
    return min(length - 1, int((low + (bands[band] - low) * draw.random()) * length))


def _says_the_same(aim: Aim, captions: Sequence[Caption], params: InjectParams) -> bool:
    texts, others = [goal.text for goal in aim.goals], [caption.text for caption in captions]
    return bool(near_identical(texts, others, params.near_identical).any())


# ---- pairs -----------------------------------------------------------------------------------------------------------


def flawed(made: Made, tokens: list[int]) -> Flawed:
    facts = made.facts
    return Flawed(
        made.motion_id, made.source, made.kind, made.truth, tokens, facts.phases, facts.seconds, facts.measures
    )


def pairs(aim: Aim, flaws: Sequence[Flawed], clips: Sequence[str], points: Mapping[str, np.ndarray]) -> list[Pair]:
    """Every goal of a clip with the clip itself, and with each flawed motion; `points` lie in the evaluator's space."""
    shown = [(aim.clip.clip_id, "goal", "none", "{}")]
    shown += [(flaw.motion_id, flaw.source, flaw.kind, flaw.truth) for flaw in flaws]
    shown += [(clip_id, "retrieval", "retrieval", "{}") for clip_id in clips]
    measure = partial(_distance, points, aim.clip.clip_id)
    return [
        Pair(
            f"{goal.caption_id}|{motion_id}",
            goal.caption_id,
            aim.clip.clip_id,
            goal.text,
            motion_id,
            source,
            kind,
            truth,
            measure(motion_id),
        )
        for goal in aim.goals
        for motion_id, source, kind, truth in shown
    ]


def _distance(points: Mapping[str, np.ndarray], one: str, other: str) -> float:
    # Rounded: the sixth digit of a distance orders nothing, and thread counts may change it.
    return round(float(np.linalg.norm(points[one] - points[other])), 5)
