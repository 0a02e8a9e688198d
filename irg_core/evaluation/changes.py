"""What each stage changed: the numbers that answer it, each with a verdict, and what should make one suspicious.

Rows are compared clip by clip. All comparisons are one family of questions: that a verdict holds at 5 % is said of the
whole table (Holm), not of one cell of it. A gain by the evaluator that a model was rewarded by counts for nothing
unless the held-out one sees it too, and unless the motions stay as real and as possible as they were. A number that
is itself rewarded, such as the facts fulfilled, is marked, and alone it is no witness either.
"""

from collections.abc import Collection, Sequence
from itertools import pairwise

from irg_core.evaluation.paired import difference, holm
from irg_core.evaluation.scores import BODILY
from irg_core.records.changes import Effect, Step
from irg_core.records.evaluation import Values

SURE = 0.05
REWARDING = "reward"
"""The evaluator that enters the making of data and Stage 3."""
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
LOWER_IS_BETTER = frozenset({"fid", "foot_skate"})
BETTER, WORSE, OPEN = "better", "worse", "no difference shown"

Row = tuple[str, str]
"""Row and motion, as in `Score`."""


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
    places = sorted({(evaluator, metric) for _, evaluator, metric in table if metric in METRICS}, key=_order)
    found = [
        (pair, place, table[pair[0], *place], difference(table[pair[1], *place], table[pair[0], *place], seed))
        for pair in compared
        for place in places
        if (pair[0], *place) in table and (pair[1], *place) in table and table[pair[0], *place].values
    ]
    raised = holm([apart for *_, apart in found])
    effects: dict[tuple[Row, Row], list[Effect]] = {pair: [] for pair in compared}
    for (pair, (evaluator, metric), before, apart), p in zip(found, raised, strict=True):
        verdict = OPEN
        if p < SURE and apart.mean:
            verdict = BETTER if (apart.mean < 0) == (metric in LOWER_IS_BETTER) else WORSE
        effects[pair].append(
            Effect(
                REWARDED_ITSELF if evaluator == BODILY and metric in rewarded else _judge(evaluator),
                METRICS[metric],
                before.mean,
                before.mean + apart.mean,
                apart.low,
                apart.high,
                p,
                verdict,
            )
        )
    return [Step(_name(one), _name(two), effects[one, two], flags(effects[one, two])) for one, two in compared]


def flags(effects: Sequence[Effect]) -> list[str]:
    """Reasons not to believe a gain, as sentences."""
    found = []
    for name in (METRICS["r3"], METRICS["gallery_r3"]):
        of_name = [effect for effect in effects if effect.name == name]
        is_rewarded = any(one.judge == REWARDED and one.verdict == BETTER for one in of_name)
        doubted = [one for one in of_name if one.judge.startswith(HELD_OUT) and one.verdict != BETTER]
        if is_rewarded:
            found += [f"the rewarding evaluator sees a gain in {name}; {one.judge}: {_doubt(one)}" for one in doubted]
    witnesses = [one for one in effects if one.judge.startswith(HELD_OUT) and one.name.startswith("R@3")]
    if witnesses and not any(one.verdict == BETTER for one in witnesses):
        own = [one.name for one in effects if one.judge == REWARDED_ITSELF and one.verdict == BETTER]
        found += [f"a gain in {name}, which is rewarded itself; no held-out evaluator sees R@3 gain" for name in own]
    gains = [effect for effect in effects if effect.verdict == BETTER and effect.name.startswith("R@3")]
    losses = [effect for effect in effects if effect.verdict == WORSE and not effect.name.startswith("R@3")]
    if gains and losses:
        found += [f"R@3 is paid for: {effect.name} ({effect.judge}) got worse" for effect in losses]
    return found


def _doubt(held_out: Effect) -> str:
    return f"{held_out.after - held_out.before:+.3f}, {'not shown' if held_out.verdict == OPEN else held_out.verdict}"


def _judge(evaluator: str) -> str:
    return BODILY if evaluator == BODILY else REWARDED if evaluator == REWARDING else f"{HELD_OUT} '{evaluator}'"


def _order(place: tuple[str, str]) -> tuple[int, str, int]:
    evaluator, metric = place
    return {REWARDING: 1, BODILY: 2}.get(evaluator, 0), evaluator, list(METRICS).index(metric)


def _name(row: Row) -> str:
    return row[0] if row[1] == "only" else f"{row[0]}, {row[1]}"
