"""Facts of motions as tables hold them: rounded, and looked up by whatever motion is shown."""

import hashlib
import itertools
import json
import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path

import numpy as np

from irg_core.motion import kinematics, representation
from irg_core.motion.thresholds import KinematicsParams
from irg_core.records.annotation import Flawed
from irg_core.records.motion import Facts, Measure, Phase

DECIMALS = 3
"""Facts are rounded, or the last bits of another machine's arithmetic would change tables, and with them all texts."""
_MOTION = re.compile(r"^from irg_core\.motion(?:\.(\w+))? import \(?([\w, ]*)", re.MULTILINE)


@cache
def _rules() -> str:
    """The source of all that measures, from `kinematics` down: with another source the facts may be others."""
    read: dict[str, str] = {}
    waiting = ["kinematics"]
    while waiting:
        name = waiting.pop()
        read[name] = Path(kinematics.__file__).with_name(f"{name}.py").read_text(encoding="utf-8")
        used = [module or names for module, names in _MOTION.findall(read[name])]
        waiting += [one for names in used for one in names.replace(" ", "").split(",") if one not in read]
    return "".join(read[name] for name in sorted(read))


def version(limits: KinematicsParams) -> str:
    """A name for the rules of measuring, which changes with their source and with their thresholds."""
    rules = _rules() + json.dumps(asdict(limits), sort_keys=True)
    return hashlib.sha256(rules.encode()).hexdigest()[:16]


def facts(motion_id: str, rows: np.ndarray, limits: KinematicsParams) -> Facts:
    """What can be measured in one motion of features [frames, 263 or 251]."""
    # Of broken numbers nothing is said; validate_clips is there to name the clip and stop.
    finite = bool(np.isfinite(rows).all())
    phases, measures = kinematics.facts(representation.to_joints(rows), limits) if finite else ([], [])
    seconds = representation.of(rows.shape[1]).seconds(rows)
    return Facts(motion_id, round(seconds, DECIMALS), [_rounded(phase) for phase in phases], measures)


def _rounded(phase: Phase) -> Phase:
    numbers = {name: round(getattr(phase, name), DECIMALS) for name in ("start", "end", "turn", "distance")}
    return replace(phase, **numbers)


class Shown(Mapping[str, Facts]):
    """The facts of every motion that can be shown, by motion_id: on disk, for there may be more than fit into memory.

    Pairs name their motions in any order, and a near miss may stand anywhere in its table.
    """

    def __init__(self, measured: Iterable[Facts], flawed: Iterable[Flawed]) -> None:
        # An unnamed database is a file that goes with its connection. Whoever writes questions may do so in a thread.
        self._rows = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._rows.execute("PRAGMA journal_mode = OFF")
        self._rows.execute("CREATE TABLE shown (motion TEXT PRIMARY KEY, facts TEXT) WITHOUT ROWID")
        made = (Facts(row.motion_id, row.seconds, row.phases, row.measures) for row in flawed)
        packed = ((row.clip_id, json.dumps(asdict(row))) for row in itertools.chain(measured, made))
        self._rows.execute("BEGIN")
        self._rows.executemany("INSERT OR REPLACE INTO shown VALUES (?, ?)", packed)
        self._rows.execute("COMMIT")

    def __getitem__(self, motion_id: str) -> Facts:
        found = self._rows.execute("SELECT facts FROM shown WHERE motion = ?", (motion_id,)).fetchone()
        if found is None:
            raise KeyError(motion_id)
        row = json.loads(found[0])
        phases, measures = [Phase(**phase) for phase in row["phases"]], [Measure(**one) for one in row["measures"]]
        return Facts(row["clip_id"], row["seconds"], phases, measures)

    def __iter__(self) -> Iterator[str]:
        return (motion_id for (motion_id,) in self._rows.execute("SELECT motion FROM shown"))

    def __len__(self) -> int:
        (rows,) = self._rows.execute("SELECT count(*) FROM shown").fetchone()
        return int(rows)
