"""What `irg generate` and `irg refine` leave behind: a page that moves, BVH, npy, and the answer word for word."""

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from irg_core.annotate import grounding
from irg_core.annotate.demands import demand
from irg_core.annotate.facts import facts
from irg_core.annotate.grounding import CONTRADICTED, SUPPORTED, Finding, Known
from irg_core.annotate.statements import ASKED, SHOWN
from irg_core.errors import ModelError
from irg_core.exports import bvh
from irg_core.files import whole_file, write_json, write_text
from irg_core.models.vqvae import MotionTokenizer
from irg_core.motion import lines, representation
from irg_core.motion.differences import differences
from irg_core.motion.thresholds import KinematicsParams
from irg_core.params import choice, section
from irg_core.records.motion import Difference, Facts, Phase
from irg_core.reports import answer as page
from irg_core.reports.gallery import Column, Exhibit, Mark, Saying
from irg_core.reports.player import Track
from irg_core.reports.readings import Round

FULFILLED, MISSED, UNREAD = "fulfilled", "missed", "cannot be measured"
GENERATED = Path("runs/generated")
LETTERS = 48
"""Of a goal, in the name of its folder."""


@dataclass(frozen=True)
class Held:
    """A motion held against a goal by what can be measured in it."""

    measured: Facts
    asked: list[Phase]  # nothing where the words of the goal cannot be read
    missed: list[Difference]
    stated: list[Finding]  # what the goal says, each with what the facts say of it

    @property
    def outcome(self) -> str:
        return UNREAD if not self.asked else MISSED if self.missed else FULFILLED

    @property
    def facts(self) -> list[str]:
        """All that is measured, as lines."""
        measures = self.measured.measures
        return [*lines.of_phases(self.measured.phases), *lines.of_measures(measures, len(measures))]

    @property
    def speaking_for(self) -> list[str]:
        return list(dict.fromkeys(one.statement.words for one in self.stated if one.verdict == SUPPORTED))

    @property
    def speaking_against(self) -> list[str]:
        wrong = [one for one in self.stated if one.verdict == CONTRADICTED]
        told = {one.statement.action for one in wrong}
        more = [one for one in self.missed if one.attribute != "missing" or one.action not in told]
        return list(dict.fromkeys([
            *(f"{one.statement.words}; measured: {one.known}" for one in wrong), *map(difference, more),
        ]))  # fmt: skip

    def known(self) -> Known:
        return Known(self.asked, self.measured.phases, self.measured.measures)


def held(goal: str, features: np.ndarray) -> Held:
    limits = section("kinematics", KinematicsParams)
    measured = facts("motion", features, limits)
    asked = demand(goal, [])
    missed = differences(asked, measured.phases, limits) if asked else []
    known = Known([], measured.phases, measured.measures)
    return Held(measured, asked, missed, grounding.findings(goal, SHOWN, known))


def difference(found: Difference) -> str:
    """A difference in words."""
    action = found.action.replace("_", " ")
    match found.attribute:
        case "missing":
            return f"{found.asked} is missing"
        case "extra":
            return f"{found.shown}, which nothing asks for"
        case "action":
            return f"{found.shown} in the place of {found.asked}"
    return f"{found.attribute} of {action}: {found.shown}, where {found.asked} is asked for"


@dataclass(frozen=True)
class Said:
    """An answer, whatever way it was asked for."""

    goal: str
    about: dict[str, Any]  # model, mode, seed …: how to have it again
    text: str  # word for word
    stop: str
    analysis: str
    rounds: list[Round]
    given: np.ndarray | None = None  # features of the motion that was handed in, which the first round shows


@dataclass(frozen=True)
class Written:
    """What came of an answer."""

    folder: Path
    files: list[str]
    held: Held
    rounds: int
    features: np.ndarray


def folder_for(goal: str, seed: int) -> Path:
    """A folder for an answer, named by goal and seed; where not every letter of the goal is in it, its hash is."""
    whole = re.sub(r"[^a-z0-9]+", "-", goal.lower()).strip("-")
    words = whole[:LETTERS].strip("-")
    mark = "" if words == whole != "" and goal.isascii() else sha256(goal.encode()).hexdigest()[:8]
    return GENERATED / "-".join(filter(None, [words or "motion", mark, str(seed)]))


def write(said: Said, tokenizer: MotionTokenizer, out: Path) -> Written:
    """Write everything about an answer into a folder. Raises `ModelError` where it shows no motion."""
    moved = [one for one in said.rounds if one.codes]
    if not moved:
        raise ModelError(f"{said.about['model']} showed no motion (it stopped: {said.stop}); try --mode enforced")
    decoded = tokenizer.decode([one.codes for one in moved])
    if said.given is not None:
        decoded[0] = said.given
    judged = [held(said.goal, features) for features in decoded]
    last = decoded[-1]
    joints = representation.to_joints(last)
    exact = choice("features", representation.MODES) == representation.EXACT
    turned = representation.bones_turned(last, joints) if exact else None
    write_text(out / "player.html", page.render(_exhibit(said, moved, decoded, judged)))
    write_text(out / "motion.bvh", bvh.text(joints, turned=turned))
    _write_npy(out / "joints.npy", joints.astype(np.float32))
    _write_npy(out / "features.npy", last)
    write_json(out / "answer.json", {
        "goal": said.goal, **said.about, "answer": said.text, "stop": said.stop,
        "rounds": [dataclasses.asdict(one) for one in said.rounds], **as_values(judged[-1]),
    })  # fmt: skip
    files = ["player.html", "motion.bvh", "joints.npy", "features.npy", "answer.json"]
    return Written(out, files, judged[-1], len(moved), last)


def as_values(found: Held) -> dict[str, Any]:
    """The same for programs."""
    return {
        "outcome": found.outcome, "seconds": found.measured.seconds, "facts": found.facts,
        "for": found.speaking_for, "against": found.speaking_against,
    }  # fmt: skip


def _write_npy(path: Path, array: np.ndarray) -> None:
    with whole_file(path) as aside, aside.open("wb") as file:
        np.save(file, array, allow_pickle=False)


def _exhibit(said: Said, moved: Sequence[Round], decoded: Sequence[np.ndarray], judged: Sequence[Held]) -> Exhibit:
    titles = [f"Round {place}" for place in range(1, len(moved) + 1)]
    if said.given is not None:
        titles = ["Given", *(f"Refined {place}" for place in range(1, len(moved)))]
    columns = [
        Column(title, f"{len(one.codes)} codes, {found.measured.seconds:.1f} s", _sayings(one, found))
        for title, one, found in zip(titles, moved, judged, strict=True)
    ]
    tracks = [Track(title, representation.to_joints(rows)) for title, rows in zip(titles, decoded, strict=True)]
    about = (
        f"{', '.join(f'{name} {value}' for name, value in said.about.items() if value != '')}; stopped: {said.stop}."
    )
    return Exhibit(said.goal, about, said.analysis, {"outcome": judged[-1].outcome}, 0.0, tracks, columns)


def _sayings(one: Round, found: Held) -> list[Saying]:
    told = [("Assessment:", one.assessment, SHOWN), ("Refinement:", one.refinement, ASKED)]
    marked = [Saying(who, text, _marks(text, of, found.known())) for who, text, of in told]
    return [
        *marked,
        Saying("Measured:", "; ".join(found.facts[:6])),
        Saying("Amiss:", "; ".join(map(difference, found.missed))),
    ]


def _marks(text: str, of: str, known: Known) -> list[Mark]:
    return [Mark(found.statement.words, found.verdict) for found in grounding.findings(text, of, known)]


def tell(found: Held) -> None:
    """What speaks for and against, on the terminal."""
    from flows.terminal import console

    out = console()
    colour = {FULFILLED: "green", MISSED: "red"}.get(found.outcome, "yellow")
    out.print(f"by measured facts the goal is [bold {colour}]{found.outcome}[/]")
    for title, told in (("for", found.speaking_for), ("against", found.speaking_against), ("measured", found.facts)):
        for line in told:
            out.print(f"  {title:9}{line}", markup=False)


def checked(assessment: str, refinement: str, found: Held) -> list[dict[str, str]]:
    """Every statement of a model's judgement, with what measured facts say of it."""
    known = found.known()
    stated = [*grounding.findings(assessment, SHOWN, known), *grounding.findings(refinement, ASKED, known)]
    return [{"words": one.statement.words, "verdict": one.verdict, "known": one.known} for one in stated]
