"""analyse: ask what each caption demands of a motion."""

from collections import Counter
from contextlib import closing
from pathlib import Path

from irg_core.annotate import analyse
from irg_core.annotate.analyse import AnalyseParams
from irg_core.llm.chat import provider
from irg_core.llm.interview import interview
from irg_core.llm.transcripts import Ledger
from irg_core.params import section
from irg_core.records.annotation import Analysis, Caption, Rejection, Transcript
from irg_core.summaries import summarise
from irg_core.tables import commit, read
from pipelines.executor import MapBatches, RuntimeParams


def main(
    corpus: str, captions: Path, analyses: Path, transcripts: Path, rejections: Path,
    *, show_batches: MapBatches = map,
) -> None:  # fmt: skip
    params = section("analyse", AnalyseParams)
    annotator = provider(params.provider, params.model)
    concurrency = section("runtime", RuntimeParams).concurrency
    rows = read(captions, Caption)

    demands = analyse.asked(rows)
    questions = analyse.questions(rows, demands, params)
    with closing(Ledger(Path(f"runs/ledger/analyse/{corpus}.jsonl"), transcripts)) as ledger:
        answers = interview(annotator, questions, analyse.read, ledger, concurrency, params.attempts, show_batches)

    commit(analyses, analyse.analyses(rows, demands, dict(answers.records)), Analysis)
    commit(transcripts, answers.transcripts, Transcript)
    commit(rejections, answers.rejections, Rejection)
    reasons = dict(Counter(rejection.reason for rejection in answers.rejections))
    silent = sum(not demand for demand in demands.values())
    summarise("analyse", corpus, captions=len(rows), without_claims=silent, **answers.progress, rejected=reasons)
