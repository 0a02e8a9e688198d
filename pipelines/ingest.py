"""ingest: read a corpus through its plug-in and turn every take into clips of one kind, or into a rejection."""

import inspect
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from irg_core import plugins
from irg_core.errors import ParamsError, SourceError
from irg_core.motion.audit import ACCEPTED, DUPLICATE, REJECTED, AuditParams, copied
from irg_core.motion.ingest import IngestParams, Register, results_of_batch
from irg_core.motion.representation import EXACT, MODES, SKELETONS
from irg_core.motion.twins import Gallery, Pair, pairs
from irg_core.params import choice, mapping, section
from irg_core.records.annotation import Rejection
from irg_core.records.audit import Finding
from irg_core.records.motion import Clip, Take
from irg_core.summaries import summarise
from irg_core.tables import commit, scan
from pipelines.executor import MapBatches

BATCH = 64
"""Takes that travel to a worker together."""
BATCH_BYTES = 32 * 2**20
"""Bytes of motion after which a batch is full."""
WHOLE = 0.9
"""Share of both clips that a duplicate covers."""


def main(
    corpus: str, root: Path, out: Path, rejections: Path, findings: Path, *, map_batches: MapBatches = map
) -> None:
    params, rules = section("ingest", IngestParams), section("audit", AuditParams)
    skeleton, mode = choice("skeleton", SKELETONS), choice("features", MODES)
    batches = in_batches(read(corpus, root))
    work = partial(results_of_batch, corpus=corpus, params=params, rules=rules, skeleton=skeleton, mode=mode)
    results = map_batches(work, batches)
    register = Register(rules, Gallery(out.parent))
    clips = register.admit(itertools.chain.from_iterable(results))
    # The first clip is waited for, so that a corpus without one leaves no table.
    for first in clips:
        count = commit(out, itertools.chain([first], clips), Clip)
        break
    else:
        reasons = by_reason(register.rejections())
        raise SourceError(f"corpus '{corpus}' gives no clip from {root}; refused: {reasons or 'nothing, it is empty'}")
    if doubles := duplicates(out, register, rules):
        count = commit(out, (clip for clip in scan(out, Clip) if clip.clip_id not in doubles), Clip)

    refused, found = register.rejections(), register.findings()
    commit(rejections, refused, Rejection)
    commit(findings, found, Finding)
    outcomes = Counter(finding.outcome for finding in found)
    turns = {"rotations": dict(sorted(register.turns.items()))} if mode == EXACT else {}
    told = dict(sorted(outcomes.items()))
    summarise("ingest", corpus, clips=count, rejected=by_reason(refused), findings=told, **turns)


def duplicates(out: Path, register: Register, rules: AuditParams) -> set[str]:
    """Clips that are wholly the same motion as an earlier one of this corpus, at whatever rate they came."""
    rule, same = rules.rules[DUPLICATE], dict[str, tuple[str, Pair]]()
    for pair in pairs(register.gallery, rule.limit, WHOLE):
        first, second = sorted((register.names[pair.first], register.names[pair.second]))
        if not pair.is_mirrored and min(pair.shares) >= WHOLE and first not in same:
            same.setdefault(second, (first, pair))
    is_rejected = rule.rule == "reject"
    for clip in scan(out, Clip) if same else ():
        if clip.clip_id in same:
            other, pair = same[clip.clip_id]
            finding = copied(DUPLICATE, pair, other, clip, REJECTED if is_rejected else ACCEPTED, rule.limit)
            register.note(finding)
            if is_rejected:
                register.reject(clip, DUPLICATE, finding.detail)
    return set(same) if is_rejected else set()


def by_reason(rejections: Iterable[Rejection]) -> dict[str, int]:
    return dict(sorted(Counter(rejection.reason for rejection in rejections).items()))


def read(corpus: str, root: Path) -> Iterator[Take | Rejection]:
    """What the corpus's plug-in yields, given the options that stand beside `format` and `root` in params.yaml."""
    return opened(corpus, mapping(f"corpora.{corpus}"), root)


def opened(corpus: str, entry: dict[str, Any], root: Path) -> Iterator[Take | Rejection]:
    """What the plug-in of an entry of `corpora:` yields. An entry that cannot be used raises a `FactoryError`."""
    if "format" not in entry:
        raise ParamsError(f"params.yaml: corpora.{corpus} has no 'format'; name a file of irg_core/corpora")
    reader = plugins.load("irg_core.corpora", entry["format"]).read
    options = {key: value for key, value in entry.items() if key not in ("format", "root", "licence")}
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
    """Batches small in number and in bytes: minutes of a hundred joints weigh as much as thousands of short takes."""
    batch: list[Take | Rejection] = []
    weight = 0
    for result in results:
        batch.append(result)
        if isinstance(result, Take):
            weight += result.joints.nbytes + (0 if result.rotations is None else result.rotations.nbytes)
        if len(batch) == BATCH or weight >= BATCH_BYTES:
            yield batch
            batch, weight = [], 0
    if batch:
        yield batch
