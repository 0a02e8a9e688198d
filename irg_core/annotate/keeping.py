"""What was made for a goal before, and is still true.

Captions train the evaluator and the base model, and both have a say in which flaws a goal gets: without a memory, one
mended caption would draw other flaws for every clip, and every judgement would be bought again. So each row names what
it was made from, and as long as that is unchanged it stays, models or no models.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from irg_core import fingerprints
from irg_core.annotate import facts
from irg_core.annotate.inject import Aim, InjectParams
from irg_core.errors import TableError
from irg_core.motion import flaws
from irg_core.motion.thresholds import KinematicsParams
from irg_core.records.annotation import Caption, Flawed, Pair
from irg_core.records.motion import Clip
from irg_core.tables import read

IDLE = {"threads", "batch"}
"""Parameters that say how the work is done."""
MAKING = ("motion/differences", "motion/flaws", "motion/footing", "motion/stretches", "annotate/inject")
"""Modules that decide which flaws are made, beside the edits themselves."""


@dataclass(frozen=True, slots=True)
class Memory:
    """The tables of the last run."""

    flawed: list[Flawed]
    pairs: list[Pair]
    note: str  # why there is none, "" where there is one or never was


def remembered(flawed: Path, pairs: Path) -> Memory:
    """What the last run left; nothing where it left nothing, or what another version wrote, or a broken file."""
    if not (flawed.exists() and pairs.exists()):
        return Memory([], [], "")
    try:
        return Memory(read(flawed, Flawed), read(pairs, Pair), "")
    except (TableError, OSError, ValueError) as error:
        return Memory([], [], f"all is drawn anew, for what was made before cannot be read: {error}")


@dataclass(frozen=True, slots=True)
class Inputs:
    """What rows are made from, as names that change with it."""

    rules: str  # of parameters, code and tokenizer
    clips: Mapping[str, str]  # clip_id to a name of its frames
    captions: Mapping[str, list[Caption]]

    def of(self, aim: Aim) -> str:
        """What everything made for a clip comes from."""
        goals = [(goal.caption_id, goal.text) for goal in aim.goals]
        phases = [[str(phase) for phase in phases] for phases in (aim.asked, aim.phases)]
        frames = [(name, self.clips[name]) for name in (aim.clip_id, *aim.lent)]
        return _name([self.rules, goals, phases, sorted(aim.wanted.items()), frames])

    def with_clip(self, inputs: str, clip_id: str) -> str:
        """The same for a clip shown beside: its frames and all that is said of it have been looked at as well."""
        said = [caption.text for caption in self.captions.get(clip_id, [])]
        return _name([inputs, clip_id, self.clips.get(clip_id, ""), said])


def rules(params: InjectParams, limits: KinematicsParams, mode: str, tokenizer: Path) -> str:
    """A name for parameters, thresholds, code and tokenizer. Not for the models that captions train: see above."""
    values = _working(asdict(params))
    return _name([values, facts.version(limits), mode, _sources(), of_folder(tokenizer)])


def _working(values: dict[str, Any]) -> dict[str, Any]:
    """The parameters that decide what is made, at any depth."""
    return {
        name: _working(value) if isinstance(value, dict) else value
        for name, value in values.items()
        if name not in IDLE
    }


def of_folder(folder: Path) -> str:
    """A name for the content of a folder of model files."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return _name([(str(path.relative_to(folder)), fingerprints.of_file(path)) for path in files])


@cache
def _sources() -> str:
    room = Path(flaws.__file__).parents[1]
    files = [*(room / f"{name}.py" for name in MAKING), *sorted((room / "motion/edits").glob("*.py"))]
    return _name([path.read_text(encoding="utf-8") for path in files])


def of_clips(clips: Iterable[Clip]) -> dict[str, str]:
    """Clip ids and names of their frames."""
    return {clip.clip_id: hashlib.sha256(clip.features.tobytes()).hexdigest()[:16] for clip in clips}


def _name(values: object) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Kept:
    """What was made for one clip before."""

    flawed: list[Flawed]
    pairs: list[Pair]


def kept(aims: Sequence[Aim], memory: Memory, inputs: Inputs, gallery: Iterable[str]) -> dict[str, Kept]:
    """For each clip whose own inputs, and those of all clips shown for it, are as they were: what was made then."""
    flaws_by_id = {row.motion_id: row for row in memory.flawed}
    pairs_of: dict[str, list[Pair]] = {}
    for pair in memory.pairs:
        pairs_of.setdefault(pair.clip_id, []).append(pair)
    offered, found = set(gallery), {}
    for aim in aims:
        pairs, own = pairs_of.get(aim.clip_id, []), inputs.of(aim)
        if pairs and all(_stands(pair, own, inputs, flaws_by_id, offered) for pair in pairs):
            made = {pair.motion_id: flaws_by_id[pair.motion_id] for pair in pairs if pair.motion_id in flaws_by_id}
            found[aim.clip_id] = Kept(list(made.values()), pairs)
    return found


def _stands(pair: Pair, own: str, inputs: Inputs, made: Mapping[str, Flawed], offered: set[str]) -> bool:
    """Whether a row would be made from the same things today."""
    if pair.source == "retrieval":
        return pair.motion_id in offered and pair.inputs == inputs.with_clip(own, pair.motion_id)
    if pair.source == "goal":
        return pair.inputs == own
    return pair.inputs == own and pair.motion_id in made and made[pair.motion_id].inputs == own
