"""compose: write the examples of all three stages, once, from verified rows."""

from collections import Counter
from pathlib import Path

from irg_core import plugins
from irg_core.annotate.compose import ComposeParams, Rows, goals, lot, materials, traces
from irg_core.errors import TableError
from irg_core.params import names, section
from irg_core.records.annotation import Analysis, Assessment, Caption, Flawed, Pair
from irg_core.records.motion import MotionTokens, Split
from irg_core.records.training import Example, Goal
from irg_core.summaries import summarise
from irg_core.tables import commit, read, read_all


def main(
    tokens: Path, flawed: Path, captions: Path, analyses: Path, pairs: Path, verified: Path, splits: Path,
    stage1: Path, stage2: Path, stage3: Path,
) -> None:  # fmt: skip
    params = section("compose", ComposeParams)
    tasks = {name: plugins.load("irg_core.tasks", name) for name in params.tasks}
    corpora = names("corpora")
    rows = Rows(
        tokens=read_all(tokens, corpora, MotionTokens),
        flawed=read_all(flawed, corpora, Flawed),
        captions=read_all(captions, corpora, Caption),
        analyses=read_all(analyses, corpora, Analysis),
        pairs=read_all(pairs, corpora, Pair),
        verified=read_all(verified, corpora, Assessment),
        splits=read(splits, Split),
    )
    material = materials(rows)

    examples: list[Example] = []
    for name, share in params.tasks.items():
        offered = tasks[name].examples(material, params.seed)
        examples += lot(offered, round(share * params.stage1_examples), params.seed)
    interleaved, prompts = traces(material, params), goals(material, params)
    for name, made in (("Stage 1", examples), ("Stage 2", interleaved), ("Stage 3", prompts)):
        if not made:
            raise TableError(f"{name} has no example: {captions.parent} has too few verified rows; see data/rejections")

    commit(stage1, examples, Example)
    commit(stage2, interleaved, Example)
    commit(stage3, prompts, Goal)
    counts = dict(sorted(Counter(example.task for example in [*examples, *interleaved]).items()))
    rounds = dict(sorted(Counter(str(len(example.lineage) - 2) for example in interleaved).items()))
    summarise("compose", examples=counts, flawed_rounds=rounds, goals=len(prompts))
