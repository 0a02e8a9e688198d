"""What is measured in recorded motion, held against the labels that people gave it.

`python -m benchmarks.facts_on_cmu` reads the BVH files of the CMU database in ../shared/data/cmu, takes them the way of
any corpus, and writes benchmarks/results/facts_on_cmu.md. A label names an action or two and is silent on the rest, so
what can be counted is how often the named action is found, and what else is.
"""

import csv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from irg_core.corpora import bvh
from irg_core.files import write_text
from irg_core.motion import features, kinematics, retarget
from irg_core.motion.resampling import resample
from irg_core.motion.skeleton import FPS
from irg_core.motion.thresholds import KinematicsParams
from irg_core.params import section
from irg_core.records.annotation import Rejection

CMU = Path("../shared/data/cmu")
RESULTS = Path("benchmarks/results/facts_on_cmu.md")
NAMED = {
    "walk": ("walk",), "slow walk": ("walk",), "brisk walk": ("walk",), "walk/stride": ("walk",),
    "slow walk/stride": ("walk",), "walk, exaggerated stride": ("walk",), "walk on uneven terrain": ("walk",),
    "run/jog": ("run",), "jump, balance": ("jump",), "punch/strike": ("punch",), "soccer - kick ball": ("kick",),
    "bend over, scoop up, rise, lift arm": ("squat", "raise_arms"), "Start Walk Stop": ("walk",),
    "playground - forward jumps, turn around": ("jump", "turn"),
    "playground - climb, sit, dangle legs, rock back, lower self to ground": ("sit",),
}  # fmt: skip
"""Labels that name an action of ours; swordplay, washing and laughing do not, and dances and fights have rows below."""
LOOSE = {"martial arts": ("punch", "kick"), "salsa dance": (), "indian dance": (), "dance": (), "swordplay": ()}
"""Labels of which one may expect one of these actions, or nothing in particular."""


def main() -> None:
    limits = section("kinematics", KinematicsParams)
    labels = {row["clip"]: row["cmu_description"] for row in csv.DictReader((CMU / "descriptions.csv").open())}
    found = {name: [p.action for p in kinematics.phases(joints, limits)] for name, joints in motions()}
    text = _named(labels, found) + "\n" + _loose(labels, found)
    write_text(RESULTS, text)
    print(text)


def motions() -> Iterator[tuple[str, np.ndarray]]:
    """Each recording on our skeleton at our rate, after the way through features and back."""
    for take in bvh.read(CMU / "bvh20"):
        if not isinstance(take, Rejection):
            joints = resample(retarget.fit(take).joints, take.fps, FPS)
            yield take.name, features.to_joints(features.extract(features.retarget(joints)))


def _named(labels: dict[str, str], found: dict[str, list[str]]) -> str:
    lines = ["| label | named action | clips | found | with nothing else | what else |", "|---|---|--:|--:|--:|---|"]
    for label, wanted in NAMED.items():
        clips = [found[name] for name, said in labels.items() if said == label and name in found]
        for action in wanted:
            right = sum(action in actions for actions in clips)
            pure = sum(action in actions and set(actions) <= {*wanted, "turn", "stand"} for actions in clips)
            others = Counter(other for actions in clips for other in set(actions) - set(wanted))
            told = ", ".join(f"{other} {count}" for other, count in _ordered(others))
            lines.append(f"| {label} | {action} | {len(clips)} | {right} | {pure} | {told} |")
    return "\n".join(lines) + "\n"


def _loose(labels: dict[str, str], found: dict[str, list[str]]) -> str:
    lines = ["| label | clips | clips with each action |", "|---|--:|---|"]
    for start, expected in LOOSE.items():
        clips = [set(found[name]) for name, said in labels.items() if said.startswith(start) and name in found]
        counts = Counter(action for actions in clips for action in actions)
        told = ", ".join(
            f"{f'**{action}**' if action in expected else action} {count}" for action, count in _ordered(counts)
        )
        lines.append(f"| {start} | {len(clips)} | {told} |")
    return "\n".join(lines) + "\n"


def _ordered(counts: Counter[str]) -> list[tuple[str, int]]:
    """The commonest first, equal ones by name."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


if __name__ == "__main__":
    main()
