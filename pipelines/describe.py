"""describe: measure every clip, and write one detailed caption from what was measured."""

from collections import Counter
from contextlib import closing
from pathlib import Path

from irg_core.annotate import describe
from irg_core.annotate.describe import DescribeParams
from irg_core.llm.chat import provider
from irg_core.llm.interview import interview
from irg_core.llm.transcripts import Ledger
from irg_core.motion.thresholds import KinematicsParams
from irg_core.params import section
from irg_core.records.annotation import Caption, Rejection, Transcript
from irg_core.records.motion import Clip, Facts
from irg_core.summaries import summarise
from irg_core.tables import commit, read
from pipelines.executor import MapBatches, RuntimeParams


def main(
    corpus: str, clips: Path, facts: Path, captions: Path, transcripts: Path, rejections: Path,
    *, map_batches: MapBatches = map, show_batches: MapBatches = map,
) -> None:  # fmt: skip
    params, limits = section("describe", DescribeParams), section("kinematics", KinematicsParams)
    annotator = provider(params.provider, params.model)
    concurrency = section("runtime", RuntimeParams).concurrency
    rows = read(clips, Clip)

    batches = [rows[start : start + params.batch] for start in range(0, len(rows), params.batch)]
    measured = [fact for batch in map_batches(describe.measure, batches, [limits] * len(batches)) for fact in batch]
    questions = describe.questions(measured, params)
    with closing(Ledger(Path(f"runs/ledger/describe/{corpus}.jsonl"), transcripts)) as ledger:
        answers = interview(annotator, questions, describe.read, ledger, concurrency, params.attempts, show_batches)
    written = describe.captions(rows, dict(answers.records), params.provider)

    commit(facts, measured, Facts)
    commit(captions, written, Caption)
    commit(transcripts, answers.transcripts, Transcript)
    commit(rejections, answers.rejections, Rejection)
    reasons = dict(Counter(rejection.reason for rejection in answers.rejections))
    counts = {"clips": len(rows), "asked": len(questions), "captions": len(written), **answers.progress}
    summarise("describe", corpus, **counts, rejected=reasons)
