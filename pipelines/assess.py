"""assess: ask how each motion shown for a goal misses it, and what would mend it."""

from collections import Counter
from contextlib import closing
from pathlib import Path

from irg_core.annotate import assess
from irg_core.annotate.assess import AssessParams
from irg_core.annotate.facts import of_motions
from irg_core.llm.chat import provider
from irg_core.llm.interview import interview
from irg_core.llm.transcripts import Ledger
from irg_core.motion.thresholds import KinematicsParams
from irg_core.params import section
from irg_core.records.annotation import Assessment, Flawed, Pair, Rejection, Transcript
from irg_core.records.motion import Facts
from irg_core.summaries import summarise
from irg_core.tables import commit, read
from pipelines.executor import MapBatches, RuntimeParams


def main(
    corpus: str, pairs: Path, facts: Path, flawed: Path, assessments: Path, transcripts: Path, rejections: Path,
    *, show_batches: MapBatches = map,
) -> None:  # fmt: skip
    params, limits = section("assess", AssessParams), section("kinematics", KinematicsParams)
    annotator = provider(params.provider, params.model)
    concurrency = section("runtime", RuntimeParams).concurrency
    rows = read(pairs, Pair)

    shown = of_motions(read(facts, Facts), read(flawed, Flawed))
    questions = assess.questions(rows, shown, params, limits)
    with closing(Ledger(Path(f"runs/ledger/assess/{corpus}.jsonl"), transcripts)) as ledger:
        answers = interview(annotator, questions, assess.read, ledger, concurrency, params.attempts, show_batches)

    commit(assessments, answers.records, Assessment)
    commit(transcripts, answers.transcripts, Transcript)
    commit(rejections, answers.rejections, Rejection)
    reasons = dict(Counter(rejection.reason for rejection in answers.rejections))
    counts = {"pairs": len(rows), "assessed": len(answers.records), **answers.progress}
    summarise("assess", corpus, **counts, rejected=reasons)
