"""What the tables do and do not show, as sentences that are checked again in every build."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from irg_core.records.evaluation import Score
from irg_core.reports.results import Line, Results

FEW = 32
"""Test clips below which nothing is shown."""
RELIABLE = 0.8
"""R@3 of real motions below which evaluator or captions are the fault to mend first."""


@dataclass(frozen=True)
class Finding:
    """A sentence, whether the numbers show it, and the numbers."""

    subset: str
    evaluator: str
    sentence: str
    is_shown: bool
    numbers: str


def findings(tables: Sequence[Results]) -> list[Finding]:
    """Of each evaluator, on the test clips of each corpus that has enough of them, all synthetic ones together; where
    none has, on those of the largest. Two rows differ where their 95 % intervals do not touch."""
    sizes = {table.subset: 0 for table in tables if "/" not in table.subset}
    for table in (table for table in tables if table.subset in sizes):
        sizes[table.subset] = max(sizes[table.subset], *(line.clips for line in table.lines))
    largest = sorted(sizes, key=lambda subset: sizes[subset])[-1:]
    enough = {subset for subset, clips in sizes.items() if clips >= FEW} or set(largest)
    return [
        Finding(table.subset, table.evaluator, *found)
        for table in tables
        if table.subset in enough
        for found in _of_one({line.name: line for line in table.lines})
    ]


Found = tuple[str, bool, str]


def _of_one(lines: dict[str, Line]) -> Iterator[Found]:
    r3 = {name: line.scores["r3"] for name, line in lines.items() if "r3" in line.scores}
    fid = {name: line.scores["fid"] for name, line in lines.items() if "fid" in line.scores}
    models = [name for name, line in lines.items() if not line.is_reference and ", shuffled" not in name]
    if "real" in r3:
        real = r3["real"]
        is_reliable = real.mean - real.interval >= RELIABLE
        yield f"real motions are found: R@3 of at least {RELIABLE:g}", is_reliable, _numbers(real)
    if {"reconstruction", "mean-pose"} <= fid.keys():
        one, two = fid["reconstruction"], fid["mean-pose"]
        is_better = one.mean + one.interval < two.mean - two.interval
        yield "reconstruction beats mean-pose in FID", is_better, f"{_numbers(one)} against {_numbers(two)}"
    for name in models:
        if {name, "random"} <= r3.keys():
            yield _is_above(f"{name} is above random in R@3", r3[name], r3["random"])
        if {name, f"{name}, shuffled", "random"} <= r3.keys():
            own, others = r3[name], r3[f"{name}, shuffled"]
            gain, loss = own.mean - r3["random"].mean, own.mean - others.mean
            is_lost = loss - own.interval - others.interval >= gain / 2 > 0
            yield f"{name} loses half of its gain with shuffled captions", is_lost, f"{loss:.3f} of {gain:.3f}"


def _is_above(sentence: str, one: Score, two: Score) -> Found:
    is_apart = one.mean - one.interval > two.mean + two.interval and min(one.n, two.n) >= FEW
    return sentence, is_apart, f"{_numbers(one)} against {_numbers(two)}"


def _numbers(score: Score) -> str:
    return f"{score.mean:.3f} ±{score.interval:.3f}"


def by_sentence(found: Sequence[Finding]) -> dict[str, dict[str, dict[str, Finding]]]:
    """Subset -> sentence -> evaluator -> finding: one line for what two evaluators say of the same thing."""
    lines: dict[str, dict[str, dict[str, Finding]]] = {}
    for finding in found:
        lines.setdefault(finding.subset, {}).setdefault(finding.sentence, {})[finding.evaluator] = finding
    return lines


def text(found: Sequence[Finding]) -> str:
    return "\n".join(_text(subset, sentences) for subset, sentences in by_sentence(found).items())


def _text(subset: str, sentences: Mapping[str, Mapping[str, Finding]]) -> str:
    evaluators = list(dict.fromkeys(name for judged in sentences.values() for name in judged))
    of = f"*{subset}*" if subset == "synthetic" else subset
    about = f"what two intervals that do not touch show, on {of} clips"
    lines = [
        "  ".join([*(_mark(judged.get(name)) for name in evaluators), sentence])
        for sentence, judged in sentences.items()
    ]
    return "\n".join(["  ".join([*(f"{name:<9}" for name in evaluators), about]), *lines, ""])


def _mark(finding: Finding | None) -> str:
    return f"{'' if finding is None else 'shown' if finding.is_shown else 'not shown':<9}"
