"""verify: keep the judgements that hold against goal, facts and known flaws."""

from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import astuple, dataclass, replace
from pathlib import Path

from irg_core.annotate import verify
from irg_core.annotate.alike import Alike
from irg_core.annotate.demands import demand
from irg_core.annotate.facts import Shown
from irg_core.annotate.rates import Rates
from irg_core.annotate.verify import Verdict, VerifyParams
from irg_core.errors import TableError
from irg_core.files import write_json
from irg_core.motion.thresholds import KinematicsParams
from irg_core.params import section
from irg_core.records.annotation import Assessment, Flawed, Outcome, Pair, Rejection
from irg_core.records.motion import Facts
from irg_core.summaries import summarise
from irg_core.tables import Draft, Keyed, count, glance, scan


@dataclass(frozen=True, slots=True)
class GivenUp:
    """A pair that was never judged: no reply to it could be used. Fewer fields than a `Rejection`."""

    key: str
    reason: str


def main(
    corpus: str, assessments: Path, given_up: Path, pairs: Path, facts: Path, flawed: Path,
    verified: Path, rejections: Path, metrics: Path,
) -> None:  # fmt: skip
    params, limits = section("verify", VerifyParams), section("kinematics", KinematicsParams)
    shown = Shown(scan(facts, Facts), scan(flawed, Flawed))
    rates, alike = Rates(), Alike()

    fine, outcomes = bytearray(), array("H")  # of a million judgements a few megabytes

    with Draft(verified, Assessment) as kept, Draft(rejections, Rejection) as refused:
        for said, verdict in _verdicts(assessments, pairs, shown, params, limits):
            rates.add(said.origin, verdict)
            fine.append(verdict.rejection is None)
            if verdict.rejection is None:
                alike.add(said.pair_id, f"{said.assessment} {said.refinement}")
                outcomes.extend(astuple(verdict.outcome))
            else:
                refused.add(verdict.rejection)

        stays = iter(alike.stay(params.most_alike))
        told = (Outcome(*outcomes[place : place + 3]) for place in range(0, len(outcomes), 3))
        for said in (said for said, is_fine in zip(scan(assessments, Assessment), fine, strict=True) if is_fine):
            outcome = next(told)
            if next(stays):
                kept.add(replace(said, outcome=outcome))
            else:
                refused.add(fault := verify.rejection(said, verify.ALIKE, "drawn by lot"))
                rates.refuse(said.origin, fault)
        total, _ = kept.commit(), refused.commit()

    lost = dict(sorted(Counter(row.reason for row in glance(given_up, GivenUp)).items()))
    write_json(metrics, {"pairs": count(pairs), "given_up": lost, "judges": rates.report()})
    summarise("verify", corpus, kept=total, rejected=rates.refused())


def _verdicts(
    assessments: Path, pairs: Path, shown: Shown, params: VerifyParams, limits: KinematicsParams
) -> Iterator[tuple[Assessment, Verdict]]:
    with Keyed(pairs, Pair) as table:
        for said in scan(assessments, Assessment):
            if (pair := table.find(said.pair_id)) is None:
                raise TableError(f"{assessments} judges '{said.pair_id}', which {pairs} does not know; run `dvc repro`")
            asked = demand(pair.goal, shown[pair.clip_id].phases)
            yield said, verify.check(said, pair, asked, shown[pair.motion_id], params, limits)
