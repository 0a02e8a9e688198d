"""describe: measure every clip, and write one detailed caption from what was measured."""

import itertools
from collections.abc import Iterator
from pathlib import Path

from irg_core.annotate import describe
from irg_core.annotate.describe import DescribeParams, Said
from irg_core.annotate.facts import version
from irg_core.llm.chat import ChatRequest, provider
from irg_core.llm.conduct import conducted, sort_out
from irg_core.llm.interview import Inquiry, Written
from irg_core.motion.thresholds import KinematicsParams
from irg_core.params import section
from irg_core.records.annotation import Caption, Rejection
from irg_core.records.motion import Clip, Facts
from irg_core.summaries import summarise
from irg_core.tables import Draft, commit, count, glance, scan
from pipelines.executor import MapBatches, RuntimeParams


def prepare(clips: Path, facts: Path, map_batches: MapBatches = map) -> int:
    """Measure the clips: what is asked is written from the table of facts."""
    size, limits = section("describe", DescribeParams).batch, section("kinematics", KinematicsParams)
    rows = scan(clips, Clip)
    batches = iter(lambda: list(itertools.islice(rows, size)), [])
    measured = map_batches(describe.measure, batches, itertools.repeat(limits))
    return commit(facts, itertools.chain.from_iterable(measured), Facts)


def inquiry(clips: Path, facts: Path) -> Inquiry[Caption]:
    params, rules = section("describe", DescribeParams), version(section("kinematics", KinematicsParams))

    def write() -> Iterator[ChatRequest]:
        return describe.questions(glance(clips, Said), scan(facts, Facts), params, rules)

    annotator = provider(params.provider, params.model)
    return Inquiry(annotator, params.model, Written(count(facts), write), describe.read, params.attempts)


def main(
    corpus: str, clips: Path, facts: Path, captions: Path, transcripts: Path, rejections: Path,
    *, map_batches: MapBatches = map, show_batches: MapBatches = map,
) -> None:  # fmt: skip
    runtime = section("runtime", RuntimeParams)

    measured = prepare(clips, facts, map_batches)
    with (
        conducted(inquiry(clips, facts), ("describe", corpus), transcripts, runtime, show_batches) as answers,
        Draft(captions, Caption) as said,
        Draft(rejections, Rejection) as refused,
    ):
        for caption in describe.source_captions(glance(clips, Said)):
            said.add(caption)
        unspoken = describe.wordless(glance(clips, Said), scan(facts, Facts))
        reasons = sort_out(itertools.chain(answers, unspoken), said, refused)
        written, _ = said.commit(), refused.commit()
    counts = {"clips": measured, "captions": written, **answers.progress, **answers.usage}
    summarise("describe", corpus, **counts, rejected=dict(reasons))
