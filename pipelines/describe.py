"""describe: measure every clip, and write one detailed caption from what was measured."""

from collections import Counter
from contextlib import closing
from pathlib import Path

from irg_core import plugins
from irg_core.annotate import describe
from irg_core.annotate.describe import DescribeParams
from irg_core.llm.chat import interview
from irg_core.llm.transcripts import Ledger
from irg_core.params import section
from irg_core.records.annotation import Caption, Rejection, Transcript
from irg_core.records.motion import Clip, Facts
from irg_core.summaries import summarise
from irg_core.tables import commit, read
from pipelines.executor import MapBatches, RuntimeParams


def main(
    corpus: str, clips: Path, facts: Path, captions: Path, transcripts: Path, rejections: Path,
    *, map_batches: MapBatches = map,
) -> None:  # fmt: skip
    params = section("describe", DescribeParams)
    provider = plugins.load("irg_core.llm", params.provider).Provider(params.model)
    concurrency = section("runtime", RuntimeParams).concurrency
    rows = read(clips, Clip)

    batches = [rows[start : start + params.batch] for start in range(0, len(rows), params.batch)]
    measured = [fact for batch in map_batches(describe.measure, batches) for fact in batch]
    questions = describe.questions(measured, params)
    with closing(Ledger(Path(f"runs/ledger/describe/{corpus}.jsonl"), transcripts)) as ledger:
        answers = interview(provider, questions, describe.read, ledger, concurrency, params.attempts)
    written = describe.captions(rows, dict(answers.records), params.provider)

    commit(facts, measured, Facts)
    commit(captions, written, Caption)
    commit(transcripts, answers.transcripts, Transcript)
    commit(rejections, answers.rejections, Rejection)
    reasons = dict(Counter(rejection.reason for rejection in answers.rejections))
    summarise("describe", corpus, clips=len(rows), asked=len(questions), captions=len(written), rejected=reasons)
