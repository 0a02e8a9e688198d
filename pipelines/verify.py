"""verify: keep the judgements that hold against goal, facts and known flaws."""

from collections import Counter
from pathlib import Path

from irg_core.annotate import verify
from irg_core.annotate.demands import demand
from irg_core.annotate.facts import of_motions
from irg_core.annotate.verify import VerifyParams
from irg_core.motion.thresholds import KinematicsParams
from irg_core.params import section
from irg_core.records.annotation import Assessment, Flawed, Pair, Rejection
from irg_core.records.motion import Facts
from irg_core.summaries import summarise
from irg_core.tables import commit, read


def main(
    corpus: str, assessments: Path, pairs: Path, facts: Path, flawed: Path, verified: Path, rejections: Path
) -> None:
    params, limits = section("verify", VerifyParams), section("kinematics", KinematicsParams)
    of_pair = {pair.pair_id: pair for pair in read(pairs, Pair)}
    shown = of_motions(read(facts, Facts), read(flawed, Flawed))

    kept: list[Assessment] = []
    refused: list[Rejection] = []
    for said in read(assessments, Assessment):
        pair = of_pair[said.pair_id]
        asked = demand(pair.goal, shown[pair.clip_id].phases)
        fault = verify.check(said, pair, asked, shown[pair.motion_id].phases, params, limits)
        kept.extend([] if fault else [said])
        refused.extend([fault] if fault else [])

    commit(verified, kept, Assessment)
    commit(rejections, refused, Rejection)
    reasons = dict(sorted(Counter(rejection.reason for rejection in refused).items()))
    summarise("verify", corpus, kept=len(kept), rejected=reasons)
