"""What people start by name: everything, the dataset of a corpus, training, an evaluation, a list of corpora.

Each is a `Work`: parameters to change, and DVC targets in steps of one `dvc repro` each. Nothing is computed here that
`dvc repro` would not compute, and `commands` spells out how to do the same from the shell.
"""

import hashlib
import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from irg_core.errors import ParamsError
from irg_core.files import write_text
from irg_core.params import PATH, mapping, overlaid

OVERLAYS = Path("overlays")
DEPTHS = ("clips", "captions", "assessments", "examples")
"""How far a dataset goes: motions checked at the door; measured and worded; flawed and judged; ready for training."""


@dataclass(frozen=True)
class Step:
    """One `dvc repro`."""

    name: str
    targets: tuple[str, ...]
    """Empty: all stages."""

    @property
    def command(self) -> list[str]:
        return ["dvc", "repro", *self.targets]


@dataclass(frozen=True)
class Work:
    """What a run does."""

    title: str
    steps: tuple[Step, ...]
    changes: dict[str, Any]
    """Values for params.yaml, nested as there."""
    saved_as: str = ""
    """The overlay's name, if the user gave one."""

    @property
    def overlay(self) -> Path | None:
        """Where the changes are kept, so that they can be made again; None where there are none.

        Without a name of the user's, other changes are another file: no run takes away how to repeat one before it.
        """
        if not self.changes:
            return None
        of_them = hashlib.sha256(self._kept.encode(errors="replace")).hexdigest()[:8]
        return OVERLAYS / f"{slug(self.saved_as) or f'{slug(self.title)}-{of_them}'}.yaml"

    @property
    def _kept(self) -> str:
        return str(yaml.safe_dump(self.changes, sort_keys=False, allow_unicode=True))

    @property
    def commands(self) -> str:
        """The same from the shell."""
        lines = [f"python -m irg_core.params {self.overlay}"] if self.overlay else []
        return " && \\\n".join([*lines, *(shlex.join(step.command) for step in self.steps)])

    def changed(self) -> dict[str, Any]:
        """What params.yaml would be. Raises `ParamsError` where it cannot be changed so."""
        return dict(yaml.safe_load(overlaid(PATH.read_text(encoding="utf-8"), self.changes, "changes")))

    def apply(self) -> None:
        """Keep the changes as an overlay, and make them in params.yaml."""
        if self.overlay is None:
            return
        write_text(self.overlay, self._kept)
        before = PATH.read_text(encoding="utf-8")
        if (after := overlaid(before, self.changes, str(self.overlay))) != before:
            write_text(PATH, after)


def everything(changes: dict[str, Any], saved_as: str) -> Work:
    return Work("everything", (Step("everything", ()),), changes, saved_as)


def data_engine(corpus: str, entry: dict[str, Any] | None, depth: str, saved_as: str) -> Work:
    """The dataset of one corpus, described by an entry of `corpora:` or there already."""
    targets = (*_own(corpus, depth), *_merged([corpus], depth))
    changes = {"corpora": {corpus: entry}} if entry else {}
    return Work(f"dataset · {corpus}", (Step(corpus, targets),), changes, saved_as)


def backfill(entries: dict[str, dict[str, Any] | None], depth: str, saved_as: str) -> Work:
    """The datasets of several corpora, one after the other; what merges them comes last."""
    each = [Step(corpus, _own(corpus, depth)) for corpus in entries]
    last = Step("all together", _merged(entries, depth))
    changes = {corpus: entry for corpus, entry in entries.items() if entry}
    title = f"backfill · {', '.join(entries)}"
    return Work(title, (*each, last), {"corpora": changes} if changes else {}, saved_as)


def training(models: list[str], changes: dict[str, Any], saved_as: str) -> Work:
    step = Step("training", tuple(f"train_{model}" for model in models))
    return Work(f"train · {', '.join(models)}", (step,), changes, saved_as)


def evaluation(model: str, reports: bool, changes: dict[str, Any], saved_as: str) -> Work:
    if model not in (known := mapping("evaluate.models")):
        raise ParamsError(f"{PATH}: evaluate.models has no '{model}'; it has: {', '.join(known)}")
    targets = (f"evaluate@{model}", "report") if reports else (f"evaluate@{model}",)
    return Work(f"evaluate · {model}", (Step("evaluation", targets),), changes, saved_as)


def slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:80]


def _own(corpus: str, depth: str) -> tuple[str, ...]:
    """The stages of a corpus that need no other."""
    deep = ("describe", "analyse") if DEPTHS.index(depth) >= 1 else ()
    return tuple(f"{stage}@{corpus}" for stage in ("ingest", *deep))


def _merged(corpora: Iterable[str], depth: str) -> tuple[str, ...]:
    """The stages that look at a corpus among all of them, as far as `depth`."""
    audits = [f"audit@{corpus}" for corpus in corpora]
    judged = [f"verify@{corpus}" for corpus in corpora]
    more = (["validate_clips"], judged, ["validate_examples"])
    return (*audits, *(target for targets in more[: DEPTHS.index(depth)] for target in targets))
