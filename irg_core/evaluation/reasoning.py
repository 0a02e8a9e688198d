"""How well a model judges and mends: what it made of probes, held against measured facts, and counted.

Shares carry half the width of their 95 % interval over goals.
"""

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from irg_core.annotate import verify
from irg_core.annotate.facts import facts
from irg_core.annotate.verify import VerifyParams
from irg_core.dialogue import SENTINEL
from irg_core.evaluation.answers import performed
from irg_core.evaluation.probes import ELSEWHERE, OWN, Probe
from irg_core.evaluation.probing import Said
from irg_core.evaluation.scores import finite
from irg_core.models.evaluator import Evaluator
from irg_core.models.vqvae import MotionTokenizer
from irg_core.motion.differences import differences
from irg_core.motion.thresholds import KinematicsParams
from irg_core.records.annotation import Assessment, Pair
from irg_core.records.evaluation import Generation
from irg_core.records.reasoning import Distance, Probed, Rounds, Share

DECIMALS = 6


def probed(
    model: str,
    probes: Sequence[Probe],
    said: Mapping[str, Said],
    tokenizer: MotionTokenizer,
    judges: Mapping[str, Evaluator],
    words: VerifyParams,
    limits: KinematicsParams,
) -> list[Probed]:
    """One row for each probe that was put before the model."""
    if not (put := [probe for probe in probes if probe.probe_id in said]):
        return []
    answers = [said[probe.probe_id] for probe in put]
    shown = tokenizer.encode([probe.features for probe in put])
    tries = [
        (codes, *((one.motions[0] or codes, one.motions[-1] or codes) if one.motions else (codes, codes)))
        for codes, one in zip(shown, answers, strict=True)
    ]
    decoded, _ = performed(tokenizer, [codes for three in tries for codes in three])
    goals = [probe.goal.clip.features for probe in put]
    clips, three = [probe.goal.clip.clip_id for probe in put], [probe.probe_id for probe in put for _ in range(3)]
    spaces = {
        name: (
            finite(judge.embed_motions(goals), name, "the motion of", clips),
            finite(judge.embed_motions(decoded), name, f"a motion of '{model}' for probe", three),
        )
        for name, judge in sorted(judges.items())
    }
    return [
        _row(model, probe, answer, tries[place][0], decoded[3 * place : 3 * place + 3],
             [_distance(name, real[place], points[3 * place : 3 * place + 3])
              for name, (real, points) in spaces.items()],
             words, limits)
        for place, (probe, answer) in enumerate(zip(put, answers, strict=True))
    ]  # fmt: skip


def _distance(name: str, goal: np.ndarray, points: np.ndarray) -> Distance:
    far = np.linalg.norm(points.astype(np.float64) - goal.astype(np.float64), axis=1)
    return Distance(name, *(round(float(one), DECIMALS) for one in far))


def _row(
    model: str, probe: Probe, said: Said, codes: list[int], tries: Sequence[np.ndarray], distances: list[Distance],
    words: VerifyParams, limits: KinematicsParams,
) -> Probed:  # fmt: skip
    """The motions are seen as the model wrote or read them, so the shown one is measured again after its tokens."""
    missed = [
        {(found.attribute, found.action) for found in differences(probe.asked, measured.phases, limits)}
        for measured in (facts(probe.probe_id, features, limits) for features in tries)
    ]
    before, after, last = missed
    goal = probe.goal
    return Probed(
        f"{model}|{probe.probe_id}", goal.caption_id, goal.clip.clip_id, goal.clip.corpus, goal.text, probe.kind,
        probe.truth, codes, said.assessment, said.refinement, said.motions, round(said.sentinel, DECIMALS),
        said.refinement == SENTINEL, bool(before) != (probe.kind == OWN), _is_grounded(probe, said, words, limits),
        bool(before) and not before & after, bool(after - before), not last, distances,
    )  # fmt: skip


def _is_grounded(probe: Probe, said: Said, words: VerifyParams, limits: KinematicsParams) -> bool:
    """Whether `verify` would take the judgement into a dataset."""
    goal = probe.goal
    source = "goal" if probe.kind == OWN else "retrieval" if probe.kind == ELSEWHERE else "edit"
    pair = Pair(
        probe.probe_id, goal.caption_id, goal.clip.clip_id, goal.text, probe.probe_id, source, probe.kind, probe.truth,
        0.0,
    )  # fmt: skip
    judgement = Assessment(probe.probe_id, said.assessment, said.refinement)
    return verify.check(judgement, pair, probe.asked, probe.shown, words, limits).rejection is None


# ---- counting --------------------------------------------------------------------------------------------------------


def shares(rows: Sequence[Probed]) -> list[Share]:
    """All that is counted over the probes of one model, by kind of probe and over all flawed ones.

    Where the tokenizer has mended a flaw, or broken a right motion, nobody can say how the model should have judged:
    such probes are counted as lost, and nowhere else.
    """
    if not rows:
        return []
    lost = share("lost to the tokenizer", "all", [not row.is_true for row in rows])
    rows = [row for row in rows if row.is_true]
    own = [row for row in rows if row.kind == OWN]
    flawed = [row for row in rows if row.kind != OWN]
    kinds = {kind: [row for row in rows if row.kind == kind] for kind in sorted({row.kind for row in rows})}
    found = [share("accepted", kind, [row.accepts for row in group]) for kind, group in kinds.items()]
    found += [
        share("accepted", "flawed", [row.accepts for row in flawed]),
        share("sentinel precision", "all", [row.kind == OWN for row in rows if row.accepts]),
        share("sentinel recall", "all", [row.accepts for row in own]),
    ]
    for group, chosen in {**kinds, "flawed": flawed}.items():
        found.append(share("grounded", group, [row.is_grounded for row in chosen]))
        if group != OWN:
            found += _mending(group, chosen)
            found.append(auc("alignment score", group, own, chosen))
    return [lost, *(one for one in found if one.n)]


def _mending(group: str, rows: Sequence[Probed]) -> Iterator[Share]:
    """What became of flawed motions: over those that the model refined, but for `fulfilled`."""
    refined = [row for row in rows if row.motions]
    yield share("flaw gone", group, [row.is_mended for row in refined])
    yield share("something else broken", group, [row.is_spoilt for row in refined])
    for place, evaluator in enumerate(_evaluators(rows)):
        closer = [row.distances[place].refined < row.distances[place].shown for row in refined]
        yield share(f"closer by '{evaluator}'", group, closer)
    yield share("fulfilled in the end", group, [row.fulfils for row in rows])


def _evaluators(rows: Sequence[Probed]) -> list[str]:
    return [distance.evaluator for distance in rows[0].distances] if rows else []


def share(name: str, group: str, hits: Sequence[bool]) -> Share:
    """A share of rows; its interval is that with one hit and one miss more (Agresti and Coull 1998)."""
    n = len(hits)
    value, middle = (sum(hits) / n if n else 0.0), (sum(hits) + 1) / (n + 2)
    interval = 1.96 * math.sqrt(middle * (1 - middle) / (n + 2))
    return Share(name, group, round(value, DECIMALS), round(interval, DECIMALS), n)


def auc(name: str, group: str, right: Sequence[Probed], flawed: Sequence[Probed]) -> Share:
    """How often a goal's own motion gets a higher alignment score than a flawed one; ties count half.

    The interval is that of Hanley and McNeil (1982), "The meaning and use of the area under a ROC curve".
    """
    high = np.array([row.sentinel for row in right])
    low = np.array([row.sentinel for row in flawed])
    if not (len(high) and len(low)):
        return Share(name, group, 0.0, 0.0, 0)
    wins = (high[:, None] > low).mean() + (high[:, None] == low).mean() / 2
    both, twice = wins / (2 - wins), 2 * wins**2 / (1 + wins)
    spread = wins * (1 - wins) + (len(high) - 1) * (both - wins**2) + (len(low) - 1) * (twice - wins**2)
    interval = 1.96 * math.sqrt(max(0.0, spread) / (len(high) * len(low)))
    return Share(name, group, round(float(wins), DECIMALS), round(interval, DECIMALS), len(low))


# ---- rounds ----------------------------------------------------------------------------------------------------------


def round_by_round(
    said: Sequence[Generation],
    subsets: Mapping[str, np.ndarray],
    tokenizer: MotionTokenizer,
    judges: Mapping[str, Evaluator],
) -> Iterator[Rounds]:
    """Whether motions come nearer to their text from round to round, in every space."""
    most = max((len(row.motions) for row in said), default=0)
    if most < 2:
        return
    tries = [_carried([codes or [0] for codes in row.motions] or [[0]], most) for row in said]
    distinct = sorted({tuple(codes) for row in tries for codes in row})
    decoded, _ = performed(tokenizer, distinct)
    place = {codes: index for index, codes in enumerate(distinct)}
    goals, codes_of = [row.generation_id for row in said], [str(list(codes)) for codes in distinct]
    for name, judge in sorted(judges.items()):
        texts = finite(judge.embed_texts([row.text for row in said]), name, "the goal of", goals)
        points = finite(judge.embed_motions(decoded), name, "the motion of codes", codes_of)
        far = np.array(
            [
                [np.linalg.norm(text.astype(np.float64) - points[place[tuple(codes)]]) for codes in row]
                for text, row in zip(texts, tries, strict=True)
            ]
        )
        for subset, rows in sorted(subsets.items()):
            gains = far[rows, 0] - far[rows, -1]
            spread = 1.96 * gains.std(ddof=1) / math.sqrt(len(rows)) if len(rows) > 1 else 0.0
            means = [round(float(mean), DECIMALS) for mean in far[rows].mean(axis=0)]
            yield Rounds(
                name, subset, means, round(float(gains.mean()), DECIMALS), round(float(spread), DECIMALS), len(rows)
            )


def _carried(motions: list[list[int]], most: int) -> list[list[int]]:
    return motions + [motions[-1]] * (most - len(motions))
