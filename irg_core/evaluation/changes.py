"""What each stage changed: the numbers that answer it, each with a verdict, and what should make one suspicious.

Rows are compared clip by clip. All comparisons are one family of questions: that a verdict holds at 5 % is said of the
whole table (Holm), not of one cell of it. A gain by the evaluator that a model was rewarded by counts for nothing
unless the held-out one sees it too, and nearly as much of it, and unless the motions stay as real and as possible as
they were. What is asked only to doubt a gain is a family of its own. A number that is itself rewarded, such as the
facts fulfilled, is marked, and alone it is no witness either.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from irg_core.evaluation.excess import excess
from irg_core.evaluation.paired import Difference, difference, holm
from irg_core.evaluation.scores import BODILY
from irg_core.records.changes import REWARDING, Effect, Step
from irg_core.records.evaluation import Values

SURE = 0.05
HELD_OUT, REWARDED = "held-out", "rewarding"
REWARDED_ITSELF = "motion, rewarded"
"""Judge of a number that needs no evaluator and is a reward of Stage 3."""
METRICS = {
    "r3": "R@3 in pools",
    "gallery_r3": "R@3 in the gallery",
    "fid": "FID",
    "fulfilled": "facts fulfilled",
    "foot_skate": "foot skate, cm/s",
}
GUARDS = {"penetration": "below the floor, mm", "jerk": "jerk, m/s³", "bone_drift": "bone drift, %"}
"""Numbers of bodies that nobody trains for: they are told of where they got worse beside a gain."""
SHARES = ("r3", "gallery_r3")
"""Metrics whose gains two evaluators see in one unit."""
LOWER_IS_BETTER = frozenset({"fid", "foot_skate", *GUARDS})
GAINS = frozenset({"r3", "gallery_r3", "fid", "fulfilled"})
"""Metrics that a model is made for. Feet that slide less alone are no gain that something could be paid for."""
BETTER, WORSE, BEYOND, OPEN = "better", "worse", "beyond", "no difference shown"
FEW_NAMES = 3
"""Losses that a flag names; of more it says how many they are."""

Row = tuple[str, str]
"""Row and motion, as in `Score`."""
Place = tuple[str, str]
"""Evaluator and metric."""
Table = Mapping[tuple[Row, str, str], Values]
"""By row, evaluator and metric."""


@dataclass(frozen=True)
class Question:
    """What is asked of one step, and what the values say of it."""

    step: tuple[Row, Row]
    judge: str
    name: str
    before: float
    apart: Difference
    verdicts: tuple[str, str]  # where it rose, where it fell


def chain(rows: Sequence[Row]) -> list[tuple[Row, Row]]:
    """The steps of a chain of models in the order of training: a model's last motions and its first ones against those
    of the model before, its last against its first; and the last model's against those of the one that all began with.
    """
    models = list(dict.fromkeys(row for row, _ in rows))
    first, last = (
        {model: (model, [motion for row, motion in rows if row == model][place]) for model in models}
        for place in (0, -1)
    )
    found = [(first[model], last[model]) for model in models[:1]]
    for before, model in pairwise(models):
        found += [(last[before], last[model]), (first[before], first[model]), (first[model], last[model])]
    if models:
        found.append((last[models[0]], last[models[-1]]))
    return list(dict.fromkeys((one, two) for one, two in found if one != two))


def steps(
    values: Sequence[Values], subset: str, compared: Sequence[tuple[Row, Row]], seed: int,
    rewarded: Collection[str] = (),
) -> list[Step]:  # fmt: skip
    """What became of each number from the first row of a pair to the second, over the clips of one subset.

    `rewarded` names the metrics that are rewards of Stage 3.
    """
    table = {((one.row, one.motion), one.evaluator, one.metric): one for one in values if one.subset == subset}
    effects = _answered(_questions(table, METRICS, compared, seed, rewarded))
    guards = _answered([*_questions(table, GUARDS, compared, seed, rewarded), *_excesses(table, compared, seed)])
    found = [(pair, effects.get(pair, []), guards.get(pair, [])) for pair in compared]
    return [
        Step(_name(one), _name(two), changed, flags(changed, doubted), guards=doubted)
        for (one, two), changed, doubted in found
    ]


def _questions(
    table: Table, metrics: Mapping[str, str], compared: Sequence[tuple[Row, Row]], seed: int, rewarded: Collection[str]
) -> list[Question]:
    places = sorted({(evaluator, metric) for _, evaluator, metric in table if metric in metrics}, key=_order)
    found = []
    for one, two in compared:
        for evaluator, metric in places:
            before, after = table.get((one, evaluator, metric)), table.get((two, evaluator, metric))
            if before and after and before.values:
                is_own = evaluator == BODILY and metric in rewarded
                judge = REWARDED_ITSELF if is_own else _judge(evaluator)
                verdicts = (WORSE, BETTER) if metric in LOWER_IS_BETTER else (BETTER, WORSE)
                apart = difference(after, before, seed)
                found.append(Question((one, two), judge, metrics[metric], before.mean, apart, verdicts))
    return found


def _excesses(table: Table, compared: Sequence[tuple[Row, Row]], seed: int) -> Iterator[Question]:
    """How much more of a gain the rewarding evaluator sees than each held-out one. `before` is the held-out gain."""
    held_out = sorted({evaluator for _, evaluator, _ in table} - {REWARDING, BODILY})
    for one, two in compared:
        for metric in SHARES:
            own = table.get((one, REWARDING, metric)), table.get((two, REWARDING, metric))
            for evaluator in held_out:
                other = table.get((one, evaluator, metric)), table.get((two, evaluator, metric))
                if own[0] and own[1] and own[0].values and other[0] and other[1]:
                    apart = excess((own[0], own[1]), (other[0], other[1]), seed)
                    gain = other[1].mean - other[0].mean
                    judge = f"{REWARDED} beyond {_judge(evaluator)}"
                    yield Question((one, two), judge, f"gain in {METRICS[metric]}", gain, apart, (BEYOND, OPEN))


def _answered(asked: Sequence[Question]) -> dict[tuple[Row, Row], list[Effect]]:
    """The answers to one family of questions, by step."""
    effects: dict[tuple[Row, Row], list[Effect]] = {}
    for one, p in zip(asked, holm([one.apart for one in asked]), strict=True):
        rose, fell = one.verdicts
        verdict = (rose if one.apart.mean > 0 else fell) if p < SURE and one.apart.mean else OPEN
        after = one.before + one.apart.mean
        effects.setdefault(one.step, []).append(
            Effect(one.judge, one.name, one.before, after, one.apart.low, one.apart.high, p, verdict)
        )
    return effects


def flags(effects: Sequence[Effect], guards: Sequence[Effect] = ()) -> list[str]:
    """Reasons not to believe a gain, as sentences: nobody else sees it, or not much of it; it is rewarded itself and
    nothing bears it out; or it was paid for."""
    return [*_unseen(effects), *_beyond(effects, guards), *_unwitnessed(effects), *_paid(effects, guards)]


def _unseen(effects: Sequence[Effect]) -> Iterator[str]:
    for name in (METRICS[metric] for metric in (*SHARES, "fid")):
        of_name = [effect for effect in effects if effect.name == name]
        if any(one.judge == REWARDED and one.verdict == BETTER for one in of_name):
            doubted = [one for one in of_name if one.judge.startswith(HELD_OUT) and one.verdict != BETTER]
            yield from (f"the rewarding evaluator sees a gain in {name}; {one.judge}: {_doubt(one)}" for one in doubted)


def _beyond(effects: Sequence[Effect], guards: Sequence[Effect]) -> Iterator[str]:
    """Gains that all see, of which the rewarding evaluator sees far more."""
    better = {(one.judge, one.name) for one in effects if one.verdict == BETTER}
    for guard in (one for one in guards if one.verdict == BEYOND):
        held_out, name = guard.judge.removeprefix(f"{REWARDED} beyond "), guard.name.removeprefix("gain in ")
        if {(REWARDED, name), (held_out, name)} <= better:
            yield (
                f"the gain in {name} is {guard.after:+.3f} by the rewarding evaluator,"
                f" but {guard.before:+.3f} by {held_out}"
            )


def _unwitnessed(effects: Sequence[Effect]) -> Iterator[str]:
    witnesses = [one for one in effects if one.judge.startswith(HELD_OUT) and one.name.startswith("R@3")]
    if witnesses and not any(one.verdict == BETTER for one in witnesses):
        own = [one.name for one in effects if one.judge == REWARDED_ITSELF and one.verdict == BETTER]
        yield from (f"a gain in {name}, which is rewarded itself; no held-out evaluator sees R@3 gain" for name in own)


def _paid(effects: Sequence[Effect], guards: Sequence[Effect]) -> Iterator[str]:
    """What got worse beside a gain; where evaluators disagree about the gain itself is said above."""
    wanted = {METRICS[metric] for metric in GAINS}
    gains = dict.fromkeys(one.name for one in effects if one.verdict == BETTER and one.name in wanted)
    losses = [one for one in (*effects, *guards) if one.verdict == WORSE and one.name not in gains]
    if gains and losses:
        named = [f"{one.name} ({one.judge})" for one in losses[:FEW_NAMES]]
        more = [f"{len(losses) - FEW_NAMES} more"] if len(losses) > FEW_NAMES else []
        yield f"the gain in {_listed(list(gains))} is paid for: {_listed([*named, *more])} got worse"


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _doubt(held_out: Effect) -> str:
    verdict = "not significant" if held_out.verdict == OPEN else held_out.verdict
    return f"{held_out.after - held_out.before:+.3f}, {verdict}"


def _judge(evaluator: str) -> str:
    return BODILY if evaluator == BODILY else REWARDED if evaluator == REWARDING else f"{HELD_OUT} '{evaluator}'"


def _order(place: Place) -> tuple[int, str, int]:
    evaluator, metric = place
    return {REWARDING: 1, BODILY: 2}.get(evaluator, 0), evaluator, [*METRICS, *GUARDS].index(metric)


def _name(row: Row) -> str:
    return row[0] if row[1] == "only" else f"{row[0]}, {row[1]}"
