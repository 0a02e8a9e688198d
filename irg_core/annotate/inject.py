"""inject: for each goal, motions that miss it in a known way.

Three sources: edits of the goal motion, whose truth is exact; other clips of the corpus, found by an evaluator; and the
base model's own attempts, kept where measurement says that they miss the goal. Models are the stage's business: here
are the choices and what becomes of them.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from irg_core import plugins
from irg_core.annotate.demands import demand
from irg_core.annotate.facts import facts as measured
from irg_core.motion import flaws, representation
from irg_core.motion.differences import differences
from irg_core.motion.flaws import Edited, Scene
from irg_core.motion.skeleton import FPS
from irg_core.motion.thresholds import KinematicsParams
from irg_core.records.annotation import Caption, Flawed, Pair
from irg_core.records.motion import Facts, Phase
from irg_core.records.wording import near_identical
from irg_core.seeds import derive, rng

TRAIN = "train"
SOURCES = ("edit", "retrieval", "rollout")
EDITS = "irg_core.motion.edits"
TRIES = 4
"""Edits measured for one flaw, and clips drawn for one retrieval, before the flaw is given up."""
LENT, NEAR = 2, 24
"""Other motions that an edit may take an action from, and how many clips away they are at the most."""


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
    redraw: int
    """What was made for a clip is kept while its own inputs stay as they are; another number makes all of it anew."""
    goals_per_clip: int
    """Captions of each clip that serve as goals; each is paired with every motion made for the clip."""
    flaws_per_clip: int
    """Flawed motions sought for each clip; more make longer traces possible and cost time."""
    sources: dict[str, float]
    """Shares of edit, retrieval and rollout among the flaws; they add up to 1."""
    edits: dict[str, float]
    """Files of irg_core/motion/edits to their weight in the draw."""
    difficulty: dict[str, float]
    """Shares of easy, medium and hard edits that are sought; what a clip does not offer is made up by the others."""
    flaws_in_one: list[float]
    """Shares of edited motions for which one flaw is sought, and two; where no second one fits, it stays at one."""
    retrieval_gallery: int
    """Train clips that a corpus needs before its own clips serve as flaws; below, edits take their share."""
    retrieval_bands: list[float]
    """Rising shares of the ranking by text-to-motion distance, drawn from alike. A small first one: near misses."""
    near_identical: float
    """Overlap of captions from which on a retrieved clip counts as right, and is not taken for a flaw."""
    near_motion: float
    """Share of the median distance between motions below which one counts as the goal's own, and as no flaw."""
    rollout: RolloutParams
    """How the base model answers."""
    threads: int
    """Threads of the models; another number may change the last bits of what they say."""
    batch: int
    """Clips edited in one batch of the executor."""

    def __post_init__(self) -> None:
        for name, known in (("sources", SOURCES), ("difficulty", tuple(flaws.CLASSES))):
            shares = getattr(self, name)
            if set(shares) != set(known) or not math.isclose(sum(shares.values()), 1.0, abs_tol=1e-6):
                raise ValueError(f"inject.{name} takes {', '.join(known)}, which add up to 1")
        if min(self.edits.values(), default=0.0) < 0.0 or not any(self.edits.values()):
            raise ValueError("inject.edits takes weights of 0 and more, one of them above 0")
        if len(self.flaws_in_one) != 2 or not math.isclose(sum(self.flaws_in_one), 1.0, abs_tol=1e-6):
            raise ValueError("inject.flaws_in_one takes the shares of one flaw and of two, which add up to 1")


@dataclass(frozen=True, slots=True)
class Aim:
    """A clip, the captions that serve as goals for it, and where its flaws are to come from."""

    clip_id: str
    goals: list[Caption]
    asked: list[Phase]  # by the first goal, for which flaws are chosen
    phases: list[Phase]  # the clip's own
    wanted: dict[str, int]  # source to number of flaws
    lent: list[str]  # clips of the same split that an action may be taken from


@dataclass(frozen=True, slots=True)
class Work:
    """An aim with the motions that edits need."""

    aim: Aim
    features: np.ndarray
    lent: list[tuple[np.ndarray, list[Phase]]]


@dataclass(frozen=True, slots=True)
class Made:
    """A flawed motion before it has tokens."""

    motion_id: str
    clip_id: str
    source: str
    kind: str
    truth: str
    difficulty: float
    features: np.ndarray
    facts: Facts


def aims(
    splits: Mapping[str, str],
    visible: Mapping[str, list[Caption]],
    facts: Mapping[str, Facts],
    gallery: int,
    params: InjectParams,
) -> list[Aim]:
    """What is to be done for each of the clips of `splits`, which are given with their split, in order.

    `gallery` is the number of clips that retrieval can draw from.
    """
    names: dict[str, list[str]] = {}
    for clip_id, split in splits.items():
        names.setdefault(split, []).append(clip_id)
    places = {clip_id: place for group in names.values() for place, clip_id in enumerate(group)}
    found = []
    for clip_id, split in splits.items():
        lent = _lent(clip_id, places[clip_id], names[split], params.seed)
        # Retrieved motions come from train; a goal of another split may not meet them.
        shares = _shares(params, gallery if split == TRAIN else 0)
        found.append(_aim(clip_id, visible.get(clip_id, []), facts[clip_id], shares, lent, params))
    return [aim for aim in found if aim is not None]


def _shares(params: InjectParams, gallery: int) -> dict[str, float]:
    if gallery >= params.retrieval_gallery:
        return params.sources
    return params.sources | {"edit": params.sources["edit"] + params.sources["retrieval"], "retrieval": 0.0}


def _lent(clip_id: str, place: int, names: list[str], seed: int) -> list[str]:
    """Neighbours in the order of names, so that whoever reads the table in this order has them at hand."""
    window = [name for name in names[max(0, place - NEAR) : place + NEAR + 1] if name != clip_id]
    return sorted(sorted(window, key=lambda name: derive(seed, "lent", clip_id, name))[:LENT])


def _aim(
    clip_id: str, captions: list[Caption], facts: Facts, shares: dict[str, float], lent: list[str], params: InjectParams
) -> Aim | None:
    """None where no caption asks for anything that could be judged."""
    judged = [caption for caption in captions if demand(caption.text, facts.phases)]
    if not judged:
        return None
    by_lot = sorted(judged, key=lambda caption: derive(params.seed, "goal", caption.caption_id))
    goals = by_lot[: params.goals_per_clip]
    draw = rng(params.seed, "sources", clip_id)
    drawn = draw.choice(len(SOURCES), size=params.flaws_per_clip, p=[shares[source] for source in SOURCES]).tolist()
    wanted = {source: drawn.count(place) for place, source in enumerate(SOURCES)}
    return Aim(clip_id, goals, demand(goals[0].text, facts.phases), facts.phases, wanted, lent)


# ---- edits -----------------------------------------------------------------------------------------------------------


def edited(batch: Sequence[Work], params: InjectParams, limits: KinematicsParams, mode: str) -> list[Made]:
    """The edits wanted for a batch of clips, their features made in the mode of the build."""
    return [made for work in batch for made in _edits(work, params, limits, mode)]


def _edits(work: Work, params: InjectParams, limits: KinematicsParams, mode: str) -> list[Made]:
    """Edits of different kinds, each of which breaks something that the goal asks for."""
    aim = work.aim
    draw = rng(params.seed, "edits", aim.clip_id)
    lent = [flaws.scene(representation.to_joints(rows), phases) for rows, phases in work.lent]
    bench = _Bench(
        flaws.scene(representation.to_joints(work.features), aim.phases, lent),
        aim, representation.made(representation.of(work.features.shape[1]), mode), params, limits,
    )  # fmt: skip
    found: list[Made] = []
    for _ in range(aim.wanted["edit"]):
        two = draw.random() < params.flaws_in_one[1]
        wanted = str(draw.choice(list(params.difficulty), p=list(params.difficulty.values())))
        taken = {kind for made in found for kind in made.kind.split(JOIN)}
        made = bench.make(wanted, two, taken, draw)
        found += [made] if made else []
    return found


JOIN = "+"
"""Between the kinds of two flaws in one motion."""


@dataclass(frozen=True, slots=True)
class _Bench:
    """Where the flaws of one clip are made and tried."""

    scene: Scene
    aim: Aim
    kind: representation.Representation
    params: InjectParams
    limits: KinematicsParams

    def make(self, wanted: str, two: bool, taken: set[str], draw: np.random.Generator) -> Made | None:
        """The first believed edit of the wanted difficulty; of another one, where the clip offers none."""
        names = [name for name in self._by_lot(draw) if name not in taken]
        aside: list[tuple[str, Edited]] = []
        tries = 0
        for name, one in self._edited(names, self.scene, draw):
            name, one = self._twice(name, one, names, draw) if two else (name, one)
            if flaws.difficulty_class(one.changes) != wanted:
                aside.append((name, one))
                continue
            tries += 1
            if (made := self._believed(name, one)) or tries == TRIES:
                return made
        return next((made for name, one in aside[: TRIES - tries] if (made := self._believed(name, one))), None)

    def _by_lot(self, draw: np.random.Generator) -> list[str]:
        wanted = {name: weight for name, weight in self.params.edits.items() if weight > 0.0}
        names, weights = list(wanted), np.array(list(wanted.values()))
        return [names[n] for n in draw.choice(len(names), size=len(names), replace=False, p=weights / weights.sum())]

    def _edited(self, names: Sequence[str], scene: Scene, draw: np.random.Generator) -> Iterator[tuple[str, Edited]]:
        for name in names:
            if (one := plugins.load(EDITS, name).edit(scene, draw, self.limits)) is not None:
                yield name, one

    def _twice(self, name: str, first: Edited, names: Sequence[str], draw: np.random.Generator) -> tuple[str, Edited]:
        """The edited motion with a second flaw of another kind in another place, or as it is."""
        others = [other for other in names if other != name]
        for other, second in self._edited(others[:TRIES], flaws.after(first, self.scene), draw):
            if (both := flaws.both(first, second)) is not None:
                return JOIN.join((name, other)), both
        return name, first

    def _believed(self, name: str, one: Edited) -> Made | None:
        """The edit as a flaw; None where it is not plausible, measurement does not show it, or nobody asked."""
        if not flaws.plausible(one, self.scene):
            return None
        rows = self.kind.rows(one.joints, FPS)
        facts = measured(f"{self.aim.clip_id}~{name}0", rows, self.limits)
        if not flaws.shows(one, facts.phases, self.limits):
            return None
        if not differences(self.aim.asked, facts.phases, self.limits):
            return None
        changes = flaws.timed(one.changes, facts.phases)
        return Made(
            facts.clip_id, self.aim.clip_id, "edit", name, flaws.truth(changes), flaws.difficulty(changes), rows, facts
        )


# ---- rollouts --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Attempt:
    """One generation of the base model for the first goal of an aim, decoded."""

    motion_id: str
    aim: Aim
    features: np.ndarray


def missed(batch: Sequence[Attempt], limits: KinematicsParams) -> list[Made]:
    """The attempts that measurably miss their goal; the others are no flaws."""
    found = []
    for one in batch:
        facts = measured(one.motion_id, one.features, limits)
        if wrong := differences(one.aim.asked, facts.phases, limits):
            hardness = hidden(len(wrong))
            found.append(
                Made(one.motion_id, one.aim.clip_id, "rollout", "rollout", "{}", hardness, one.features, facts)
            )
    return found


def hidden(wrong: int) -> float:
    """The difficulty of a motion of which only measurement says what is wrong: the more is, the easier to see."""
    return round(1.0 / (1.0 + wrong), 3)


def attempts(wanted: Sequence[Aim]) -> dict[str, Aim]:
    """The rollouts to be made: motion_id to aim."""
    return {f"{aim.clip_id}~rollout{number}": aim for aim in wanted for number in range(aim.wanted["rollout"])}


# ---- retrieval -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Gallery:
    """The clips that can be shown for goals that are not theirs."""

    captions: Mapping[str, list[Caption]]
    facts: Mapping[str, Facts]
    points: Mapping[str, np.ndarray]  # in the evaluator's space
    spread: float  # median distance between motions there


def retrieved(
    aim: Aim, ranking: Sequence[str], gallery: Gallery, params: InjectParams, limits: KinematicsParams
) -> list[str]:
    """Clips drawn from the bands of a ranking (near to far) that do not fulfil the goal.

    Who says the same in nearly the same words, moves nearly as the goal motion does, or shows nothing that differs
    from what is asked, is right and no flaw.
    """
    draw = rng(params.seed, "retrieval", aim.clip_id)
    found: list[str] = []
    for _ in range(TRIES * aim.wanted["retrieval"]):
        if len(found) == aim.wanted["retrieval"]:
            break
        clip_id = ranking[_rank(draw, params.retrieval_bands, len(ranking))]
        if clip_id not in (aim.clip_id, *found) and not _is_right(aim, clip_id, gallery, params, limits):
            found.append(clip_id)
    return found


def _rank(draw: np.random.Generator, bands: Sequence[float], length: int) -> int:
    band = int(draw.integers(len(bands)))
    low = bands[band - 1] if band else 0.0
    return min(length - 1, int((low + (bands[band] - low) * draw.random()) * length))


def _is_right(aim: Aim, clip_id: str, gallery: Gallery, params: InjectParams, limits: KinematicsParams) -> bool:
    near = _distance(gallery.points, aim.clip_id, clip_id) < params.near_motion * gallery.spread
    texts, others = [goal.text for goal in aim.goals], [caption.text for caption in gallery.captions[clip_id]]
    return bool(
        near
        or not differences(aim.asked, gallery.facts[clip_id].phases, limits)
        or near_identical(texts, others, params.near_identical).any()
    )


def spread(points: Sequence[np.ndarray], seed: int, pairs: int = 1000) -> float:
    """The median distance between two motions, over some drawn by lot."""
    if len(points) < 2:
        return 0.0
    chosen = rng(seed, "spread").integers(len(points), size=(pairs, 2)).tolist()
    return round(float(np.median([_apart(points[one], points[two]) for one, two in chosen if one != two])), 5)


# ---- pairs -----------------------------------------------------------------------------------------------------------


def flawed(made: Made, tokens: list[int], inputs: str) -> Flawed:
    facts = made.facts
    return Flawed(
        made.motion_id, made.source, made.kind, made.truth, tokens, facts.phases, facts.seconds, facts.measures, inputs
    )


@dataclass(frozen=True, slots=True)
class Shown:
    """A motion to be shown for an aim, and what is known to be wrong with it."""

    motion_id: str
    source: str
    kind: str
    truth: str
    difficulty: float
    inputs: str


def pairs(aim: Aim, shown: Sequence[Shown], points: Mapping[str, np.ndarray], evaluator: str) -> list[Pair]:
    """Every goal of a clip with each motion shown for it; `points` lie in the space of the evaluator of that name."""
    measure = partial(_distance, points, aim.clip_id)
    return [
        Pair(
            f"{goal.caption_id}|{one.motion_id}", goal.caption_id, aim.clip_id, goal.text, one.motion_id, one.source,
            one.kind, one.truth, measure(one.motion_id), one.difficulty, evaluator, one.inputs,
        )
        for goal in aim.goals
        for one in shown
    ]  # fmt: skip


def shown(
    aim: Aim, made: Sequence[Made], clips: Sequence[str], facts: Mapping[str, Facts], inputs: Mapping[str, str],
    limits: KinematicsParams,
) -> list[Shown]:  # fmt: skip
    """The clip itself, what was made for it, and the clips retrieved; `inputs` names what each comes from."""
    own = aim.clip_id
    found = [Shown(own, "goal", "none", "{}", 0.0, inputs[own])]
    found += [Shown(one.motion_id, one.source, one.kind, one.truth, one.difficulty, inputs[own]) for one in made]
    for clip_id in clips:
        wrong = differences(aim.asked, facts[clip_id].phases, limits)
        found.append(Shown(clip_id, "retrieval", "retrieval", "{}", hidden(len(wrong)), inputs[clip_id]))
    return found


def _distance(points: Mapping[str, np.ndarray], one: str, other: str) -> float:
    # Rounded: the sixth digit of a distance orders nothing, and thread counts may change it.
    return round(_apart(points[one], points[other]), 5)


def _apart(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.linalg.norm(one - other))
