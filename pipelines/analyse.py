"""analyse: ask what each caption demands of a motion."""

from pathlib import Path

from irg_core.annotate import analyse
from irg_core.annotate.analyse import AnalyseParams
from irg_core.llm.chat import provider
from irg_core.llm.conduct import conducted, sort_out
from irg_core.llm.interview import Inquiry, Written
from irg_core.params import section
from irg_core.records.annotation import Analysis, Caption, Rejection
from irg_core.summaries import summarise
from irg_core.tables import Draft, count, scan
from pipelines.executor import MapBatches, RuntimeParams


def inquiry(captions: Path) -> Inquiry[Analysis]:
    params = section("analyse", AnalyseParams)
    questions = Written(count(captions), lambda: analyse.questions(scan(captions, Caption), params))
    return Inquiry(provider(params.provider, params.model), params.model, questions, analyse.read, params.attempts)


def main(
    corpus: str, captions: Path, analyses: Path, transcripts: Path, rejections: Path,
    *, show_batches: MapBatches = map,
) -> None:  # fmt: skip
    runtime = section("runtime", RuntimeParams)
    asked = inquiry(captions)
    with (
        conducted(asked, ("analyse", corpus), transcripts, runtime, show_batches) as answers,
        Draft(analyses, Analysis) as told,
        Draft(rejections, Rejection) as refused,
    ):
        reasons = sort_out(answers, told, refused)
        written, _ = told.commit(), refused.commit()
    counts = {"captions": len(asked.questions), "analysed": written, **answers.progress, **answers.usage}
    summarise("analyse", corpus, **counts, rejected=dict(reasons))
