"""How often measured facts are right: kinematics against the parameters of procedural motions.

`python -m benchmarks.facts_confusion` writes benchmarks/results/facts_confusion.json and .md. Motions are measured as
the factory does it, after the way through features and back, and once more blurred and shaken as a decoder would.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from irg_core.corpora import procedural
from irg_core.files import write_json, write_text
from irg_core.motion import features, kinematics
from irg_core.records.motion import Phase, Take
from irg_core.seeds import rng

CLIPS, SEED = 600, 90210  # not the demo's seed, nor one that the detectors were tried on
GRAMMAR = Path("irg_core/corpora/procedural.yaml")
RESULTS = Path("benchmarks/results")
BLUR, SHAKE = 1.5, 0.01
"""Frames of Gaussian blur and metres of slow noise a joint, about what a small tokenizer does to a motion."""
TURN_TOLERANCE, WAY_TOLERANCE = 15.0, 0.25
"""Degrees, and share of the distance, within which a measured number is right."""

Tally = Counter[tuple[str, str]]  # (kind, "right" | "said" | "true") -> how often


def main() -> None:
    takes = list(procedural.read(GRAMMAR, clips=CLIPS, seed=SEED))
    tables: dict[str, Any] = {}
    for name, disturb in (("as stored", lambda joints, _: joints), ("blurred and shaken", _disturbed)):
        tally, confused = compare(takes, disturb)
        tables[name] = {"kinds": _table(tally), "confused": dict(sorted(confused.items()))}
    write_json(RESULTS / "facts_confusion.json", {"clips": CLIPS, "seed": SEED, "tables": tables})
    write_text(RESULTS / "facts_confusion.md", _markdown(tables))
    print(_markdown(tables))


def compare(takes: Sequence[Take], disturb: Callable[[np.ndarray, str], np.ndarray]) -> tuple[Tally, Counter[str]]:
    """Count, for each kind of fact, how often it was said, was true, and was both."""
    tally: Tally = Counter()
    confused: Counter[str] = Counter()
    for take in takes:
        truth = [_phase(values) for values in json.loads(take.truth)["phases"]]
        joints = disturb(features.to_joints(features.extract(take.joints)), take.name)
        for kind, said, true, right in judgements(truth, kinematics.measure(joints)):
            tally[kind, "said"] += bool(said)
            tally[kind, "true"] += bool(true)
            tally[kind, "right"] += right
            if not right:
                confused[f"{kind}: {true or '(none)'} -> {said or '(open)'}"] += 1
    return tally, confused


def judgements(truth: Sequence[Phase], said: Sequence[Phase]) -> Iterator[tuple[str, str, str, bool]]:
    """(kind, said, true, right) for every fact of a clip; an empty word is a fact not said, or not applicable."""
    pairs = _aligned(truth, said)
    for true, shown in pairs:
        a, b = (true.action if true else ""), (shown.action if shown else "")
        yield "action", b, a, a == b
    if len(truth) > 1 and Counter(p.action for p in truth) == Counter(p.action for p in said):
        a, b = " ".join(p.action for p in truth), " ".join(p.action for p in said)
        yield "order", b, a, a == b
    for true, shown in pairs:
        if true and shown and true.action == shown.action:
            yield from _attributes(true, shown)


def _attributes(true: Phase, said: Phase) -> Iterator[tuple[str, str, str, bool]]:
    for kind in ("side", "direction", "speed", "amplitude"):
        a, b = getattr(true, kind), getattr(said, kind)
        if a or b:
            yield kind, f"{said.action} {b}" if b else "", f"{true.action} {a}" if a else "", a == b
    if true.count or said.count:
        yield "count", f"{said.action} {said.count}", f"{true.action} {true.count}", true.count == said.count
    if true.turn == true.turn:
        sizes = f"{said.turn:.0f}", f"{true.turn:.0f}"
        yield "turn sign", sizes[0], sizes[1], true.turn * said.turn > 0
        yield "turn size", sizes[0], sizes[1], abs(abs(true.turn) - abs(said.turn)) <= TURN_TOLERANCE
    if true.action in ("walk", "run", "sidestep"):
        close = abs(true.distance - said.distance) <= WAY_TOLERANCE * true.distance
        yield "displacement", f"{said.action} {said.distance:.1f} m", f"{true.action} {true.distance:.1f} m", close


def _aligned(truth: Sequence[Phase], said: Sequence[Phase]) -> list[tuple[Phase | None, Phase | None]]:
    """Pairs in time: each true phase with the said one that shares most of its time."""
    pairs: list[tuple[Phase | None, Phase | None]] = []
    left = list(said)
    for true in truth:
        best = max(left, key=lambda p: min(p.end, true.end) - max(p.start, true.start), default=None)
        if best is not None and min(best.end, true.end) > max(best.start, true.start):
            left.remove(best)
            pairs.append((true, best))
        else:
            pairs.append((true, None))
    return pairs + [(None, phase) for phase in left]


def _phase(values: dict[str, Any]) -> Phase:
    known: dict[str, Any] = {key: float("nan") if value is None else value for key, value in values.items()}
    return Phase(**known)


def _disturbed(joints: np.ndarray, name: str) -> np.ndarray:
    noise = rng(SEED, "shake", name).normal(size=joints.shape)
    kernel = np.exp(-0.5 * (np.arange(-6, 7) / BLUR) ** 2)
    shaken = _convolved(noise, np.ones(9) / 3.0) * SHAKE  # nine frames of white noise averaged: slow, and of unit size
    return _convolved(joints, kernel / kernel.sum()) + shaken


def _convolved(values: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    half = len(kernel) // 2
    padded = np.concatenate([values[:1].repeat(half, 0), values, values[-1:].repeat(half, 0)])
    return np.asarray(sum(weight * padded[k : k + len(values)] for k, weight in enumerate(kernel)))


def _table(tally: Tally) -> dict[str, dict[str, float]]:
    table = {}
    for kind in dict.fromkeys(kind for kind, _ in tally):
        right, said, true = (tally[kind, column] for column in ("right", "said", "true"))
        table[kind] = {
            "precision": round(right / said, 4) if said else 0.0,
            "recall": round(right / true, 4) if true else 0.0,
            "said": said,
            "true": true,
        }
    return table


def _markdown(tables: dict[str, Any]) -> str:
    lines = [f"Measured facts against {CLIPS} procedural motions (seed {SEED})."]
    for name, table in tables.items():
        lines += ["", f"**{name}**", "", "| fact | precision | recall | said | true |", "|---|---|---|---|---|"]
        for kind, row in table["kinds"].items():
            lines.append(f"| {kind} | {row['precision']:.3f} | {row['recall']:.3f} | {row['said']} | {row['true']} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
