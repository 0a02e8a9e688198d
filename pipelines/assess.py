"""assess: ask how each motion shown for a goal misses it, and what would mend it."""

from pathlib import Path

from irg_core.annotate import assess
from irg_core.annotate.assess import AssessParams
from irg_core.annotate.facts import Shown
from irg_core.llm.chat import provider
from irg_core.llm.conduct import conducted, sort_out
from irg_core.llm.interview import Inquiry, Written
from irg_core.motion.thresholds import KinematicsParams
from irg_core.params import section
from irg_core.records.annotation import Assessment, Flawed, Pair, Rejection
from irg_core.records.motion import Facts
from irg_core.summaries import summarise
from irg_core.tables import Draft, count, scan
from pipelines.executor import MapBatches, RuntimeParams


def inquiry(pairs: Path, facts: Path, flawed: Path) -> Inquiry[Assessment]:
    params, limits = section("assess", AssessParams), section("kinematics", KinematicsParams)
    shown = Shown(scan(facts, Facts), scan(flawed, Flawed))
    questions = Written(count(pairs), lambda: assess.questions(scan(pairs, Pair), shown, params, limits))
    return Inquiry(provider(params.provider, params.model), params.model, questions, assess.read, params.attempts)


def main(
    corpus: str, pairs: Path, facts: Path, flawed: Path, assessments: Path, transcripts: Path, rejections: Path,
    *, show_batches: MapBatches = map,
) -> None:  # fmt: skip
    runtime = section("runtime", RuntimeParams)
    asked = inquiry(pairs, facts, flawed)
    with (
        conducted(asked, ("assess", corpus), transcripts, runtime, show_batches) as answers,
        Draft(assessments, Assessment) as told,
        Draft(rejections, Rejection) as refused,
    ):
        reasons = sort_out(answers, told, refused)
        written, _ = told.commit(), refused.commit()
    counts = {"pairs": len(asked.questions), "assessed": written, **answers.progress, **answers.usage}
    summarise("assess", corpus, **counts, rejected=dict(reasons))
