"""assess: ask how each motion shown for a goal misses it, and what would mend it."""

from collections import Counter
from contextlib import closing
from pathlib import Path

from irg_core import plugins
from irg_core.annotate import assess
from irg_core.annotate.assess import AssessParams
from irg_core.annotate.facts import of_motions
from irg_core.llm.chat import interview
from irg_core.llm.transcripts import Ledger
from irg_core.params import section
from irg_core.records.annotation import Assessment, Flawed, Pair, Rejection, Transcript
from irg_core.records.motion import Facts
from irg_core.summaries import summarise
from irg_core.tables import commit, read
from pipelines.executor import RuntimeParams


def main(
    corpus: str, pairs: Path, facts: Path, flawed: Path, assessments: Path, transcripts: Path, rejections: Path
) -> None:
    params = section("assess", AssessParams)
    provider = plugins.load("irg_core.llm", params.provider).Provider(params.model)
    concurrency = section("runtime", RuntimeParams).concurrency
    rows = read(pairs, Pair)

    questions = assess.questions(rows, of_motions(read(facts, Facts), read(flawed, Flawed)), params)
    with closing(Ledger(Path(f"runs/ledger/assess/{corpus}.jsonl"), transcripts)) as ledger:
        answers = interview(provider, questions, assess.read, ledger, concurrency, params.attempts)

    commit(assessments, answers.records, Assessment)
    commit(transcripts, answers.transcripts, Transcript)
    commit(rejections, answers.rejections, Rejection)
    reasons = dict(Counter(rejection.reason for rejection in answers.rejections))
    summarise("assess", corpus, pairs=len(rows), assessed=len(answers.records), rejected=reasons)
