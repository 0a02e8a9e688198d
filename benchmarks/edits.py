"""How often an edit makes the flaw that it says it makes, on procedural motions.

`python -m benchmarks.edits` writes benchmarks/results/edits.json and .md. For each kind, on the first 200 clips that it
applies to: the share whose measured facts show the flaw and nothing else, the share that a body could do, the share
that is emitted because both hold, how fast feet slide that are flat on the floor, and how hard the flaws are to see.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from irg_core import plugins
from irg_core.corpora import procedural
from irg_core.files import write_json, write_text
from irg_core.motion import features, flaws, footing, kinematics
from irg_core.motion.flaws import Edited, Scene
from irg_core.motion.thresholds import KinematicsParams
from irg_core.params import section
from irg_core.records.motion import Phase
from irg_core.seeds import rng

CLIPS, APPLIED, SEED = 3000, 200, 60493  # not the demo's seed, nor one that the edits were tried on
GRAMMAR = Path("irg_core/corpora/procedural.yaml")
RESULTS = Path("benchmarks/results")
ROOM = "irg_core.motion.edits"


@dataclass(frozen=True)
class Outcome:
    """What became of one edit."""

    shown: bool
    plausible: bool
    slides: tuple[float, float]  # m/s in the source, and after the edit
    difficulty: float
    name: str  # of its class


def main() -> None:
    limits = section("kinematics", KinematicsParams)
    found: dict[str, list[Outcome]] = {kind: [] for kind in plugins.names(ROOM)}
    for number, scene in enumerate(scenes(limits)):
        for kind in (kind for kind, outcomes in found.items() if len(outcomes) < APPLIED):
            edited = plugins.load(ROOM, kind).edit(scene, rng(SEED, kind, number), limits)
            found[kind] += [outcome(edited, scene, limits)] if edited is not None else []
        if all(len(outcomes) == APPLIED for outcomes in found.values()):
            break
    table = {kind: row(outcomes) for kind, outcomes in found.items()}
    write_json(RESULTS / "edits.json", {"clips": CLIPS, "seed": SEED, "kinds": table})
    write_text(RESULTS / "edits.md", markdown(table))
    print(markdown(table))


def scenes(limits: KinematicsParams) -> Iterator[Scene]:
    """Procedural motions as the factory has them, each with the two before it to take actions from."""
    before: list[Scene] = []
    for take in procedural.read(GRAMMAR, clips=CLIPS, seed=SEED):
        joints = features.to_joints(features.extract(take.joints))
        scene = flaws.scene(joints, kinematics.phases(joints, limits), before[-2:])
        before = [*before[-1:], Scene(scene.joints, scene.rows, scene.phases, [])]
        yield scene


def outcome(edited: Edited, scene: Scene, limits: KinematicsParams) -> Outcome:
    return Outcome(
        flaws.shows(edited, measured(edited, limits), limits),
        flaws.plausible(edited, scene),
        (footing.slide(scene.joints), footing.slide(edited.joints)),
        flaws.difficulty(edited.changes),
        flaws.difficulty_class(edited.changes),
    )


def measured(edited: Edited, limits: KinematicsParams) -> list[Phase]:
    return kinematics.phases(features.to_joints(features.extract(edited.joints)), limits)


def row(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Shares and means of one kind; its emitted edits are shown and plausible by construction."""
    emitted = [one for one in outcomes if one.shown and one.plausible]
    classes = Counter(one.name for one in emitted)
    return {
        "clips": len(outcomes),
        "shown": round(float(np.mean([one.shown for one in outcomes])), 3),
        "plausible": round(float(np.mean([one.plausible for one in outcomes])), 3),
        "emitted": round(len(emitted) / len(outcomes), 3),
        "slide of the source": round(float(np.mean([one.slides[0] for one in emitted])), 4),
        "slide of the edit": round(float(np.mean([one.slides[1] for one in emitted])), 4),
        "difficulty": round(float(np.mean([one.difficulty for one in emitted])), 2),
        "classes": {name: round(classes[name] / len(emitted), 2) for name in flaws.CLASSES},
    }


def markdown(table: dict[str, dict[str, Any]]) -> str:
    lines = [
        "| kind | clips | facts show it | plausible | emitted | feet slide: source, edit (cm/s) | easy, medium, hard |",
        "|---|---|---|---|---|---|---|",
    ]
    for kind, values in sorted(table.items()):
        shown, plausible, emitted = (f"{100 * values[name]:.1f} %" for name in ("shown", "plausible", "emitted"))
        slides = ", ".join(f"{100 * values[f'slide of the {name}']:.1f}" for name in ("source", "edit"))
        classes = ", ".join(f"{100 * share:.0f} %" for share in values["classes"].values())
        lines.append(f"| `{kind}` | {values['clips']} | {shown} | {plausible} | {emitted} | {slides} | {classes} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
