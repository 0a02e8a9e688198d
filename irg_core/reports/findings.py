"""What the synthetic table does and does not show, as sentences that are checked again in every build."""

from collections.abc import Iterator, Sequence
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

    evaluator: str
    sentence: str
    is_shown: bool
    numbers: str


def findings(tables: Sequence[Results]) -> list[Finding]:
    """Of each evaluator, on all synthetic test clips. Two rows differ where their 95 % intervals do not touch."""
    return [
        Finding(table.evaluator, *found)
        for table in tables
        if table.subset == "synthetic"
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


def by_sentence(found: Sequence[Finding]) -> dict[str, dict[str, Finding]]:
    """Sentence -> evaluator -> finding: one line for what two evaluators say of the same thing."""
    lines: dict[str, dict[str, Finding]] = {}
    for finding in found:
        lines.setdefault(finding.sentence, {})[finding.evaluator] = finding
    return lines


def text(found: Sequence[Finding]) -> str:
    evaluators = list(dict.fromkeys(finding.evaluator for finding in found))
    if not evaluators:
        return ""
    head = "  ".join(
        [*(f"{name:<9}" for name in evaluators), "what two intervals that do not touch show, on *synthetic* clips"]
    )
    lines = [
        "  ".join([*(_mark(judged.get(name)) for name in evaluators), sentence])
        for sentence, judged in by_sentence(found).items()
    ]
    return "\n".join([head, *lines, ""])


def _mark(finding: Finding | None) -> str:
    return f"{'' if finding is None else 'shown' if finding.is_shown else 'not shown':<9}"
