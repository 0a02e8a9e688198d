"""ingest: read a corpus through its plug-in and turn every take into clips of one kind, or into a rejection."""

import inspect
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from irg_core import plugins
from irg_core.errors import ParamsError, SourceError
from irg_core.motion.ingest import IngestParams, results_of_batch, without_duplicates
from irg_core.params import mapping, section
from irg_core.records.annotation import Rejection
from irg_core.records.motion import Clip, Take
from irg_core.summaries import summarise
from irg_core.tables import commit
from pipelines.executor import MapBatches

BATCH = 64
"""Takes that travel to a worker together."""


def main(corpus: str, root: Path, out: Path, rejections: Path, *, map_batches: MapBatches = map) -> None:
    params = section("ingest", IngestParams)
    batches = in_batches(read(corpus, root))
    results = map_batches(partial(results_of_batch, corpus=corpus, params=params), batches)
    clips, refused = without_duplicates(itertools.chain.from_iterable(results))
    reasons = dict(sorted(Counter(rejection.reason for rejection in refused).items()))
    if not clips:
        raise SourceError(f"corpus '{corpus}' gives no clip from {root}; refused: {reasons or 'nothing, it is empty'}")

    commit(out, clips, Clip)
    commit(rejections, refused, Rejection)
    summarise("ingest", corpus, clips=len(clips), rejected=reasons)


def read(corpus: str, root: Path) -> Iterator[Take | Rejection]:
    """What the corpus's plug-in yields, given the options that stand beside `format` and `root` in params.yaml."""
    entry = mapping(f"corpora.{corpus}")
    if "format" not in entry:
        raise ParamsError(f"params.yaml: corpora.{corpus} has no 'format'; name a file of irg_core/corpora")
    reader = plugins.load("irg_core.corpora", entry["format"]).read
    options = {key: value for key, value in entry.items() if key not in ("format", "root")}
    taken = {name: option for name, option in inspect.signature(reader).parameters.items() if name != "root"}
    if unknown := sorted(set(options) - set(taken)):
        raise SourceError(
            f"params.yaml: corpora.{corpus} has unknown options {', '.join(unknown)}; "
            f"format '{entry['format']}' takes: {', '.join(taken) or 'none'}"
        )
    needed = {name for name, option in taken.items() if option.default is option.empty}
    if missing := sorted(needed - set(options)):
        raise SourceError(f"params.yaml: corpora.{corpus} lacks {', '.join(missing)}, which '{entry['format']}' needs")
    if not root.exists():
        raise SourceError(f"{root}, the root of corpus '{corpus}', does not exist; mend corpora.{corpus}.root")
    results: Iterator[Take | Rejection] = reader(root, **options)
    return results


def in_batches(results: Iterable[Take | Rejection]) -> Iterator[list[Take | Rejection]]:
    remaining = iter(results)
    while batch := list(itertools.islice(remaining, BATCH)):
        yield batch
