"""compose: write the examples of all three stages, once, from verified rows."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from irg_core import plugins
from irg_core.annotate.compose import ComposeParams, Survey, counted, counted_goals
from irg_core.annotate.materials import Folders, Materials, clean_splits, walk
from irg_core.errors import TableError
from irg_core.models.vocabulary import Vocabulary
from irg_core.params import names, section
from irg_core.records.audit import Twin
from irg_core.records.motion import Split
from irg_core.records.training import Example, Goal
from irg_core.summaries import summarise
from irg_core.tables import columns, commit, scan


def main(
    tokens: Path, flawed: Path, captions: Path, analyses: Path, pairs: Path, verified: Path, splits: Path, twins: Path,
    base: Path, stage1: Path, stage2: Path, stage3: Path,
) -> None:  # fmt: skip
    params = section("compose", ComposeParams)
    tasks = {name: plugins.load("irg_core.tasks", name).examples for name in params.tasks}
    copies = [Twin(**row) for row in columns(twins, Twin).to_pylist()]
    clean = clean_splits(scan(splits, Split), copies)
    folders = Folders(tokens, flawed, captions, analyses, pairs, verified)
    tables = [Materials(corpus, folders, splits, clean) for corpus in names("corpora")]
    tokens_of = Vocabulary.load(base).encode_all

    survey = Survey(params, tasks)
    for clip, materials in walk(tables):
        survey.look(clip, materials)
    drawn = survey.draw()
    for name, found in (("Stage 1", drawn.clips), ("Stage 2", drawn.traces), ("Stage 3", drawn.goals)):
        if not found:
            raise TableError(f"{name} has no example: {captions.parent} has too few verified rows; see data/rejections")
    examples = (row for clip, found in walk(tables, drawn.clips) for row in drawn.stage1(clip, found))
    traces = (row for clip, found in walk(tables, drawn.traces) for row in drawn.stage2(clip, found))
    goals = (row for clip, found in walk(tables, drawn.goals) for row in drawn.stage3(clip, found))

    made, rounds = Counter[str](), Counter[str]()
    commit(stage1, _noted(counted(examples, tokens_of), made, rounds), Example)
    commit(stage2, _noted(counted(traces, tokens_of), made, rounds), Example)
    prompts = commit(stage3, counted_goals(goals, tokens_of), Goal)
    summarise("compose", examples=dict(sorted(made.items())), flawed_rounds=dict(sorted(rounds.items())), goals=prompts)


def _noted(rows: Iterable[Example], made: Counter[str], rounds: Counter[str]) -> Iterator[Example]:
    """The rows, counted on their way by task, and traces by their flawed rounds."""
    for row in rows:
        made[row.task] += 1
        if row.task == "trace":
            rounds[str(len(row.flaws))] += 1
        yield row
