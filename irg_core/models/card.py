"""The card of a model folder: what the model began as, and what it was taught since, for people and for the next stage.

`provenance.json` holds the facts, `README.md` says them in the form that model hubs read.
"""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from irg_core.errors import ModelError
from irg_core.files import read_json, write_json, write_text
from irg_core.fingerprints import of_file

FACTS = "provenance.json"
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Training:
    """One stage that a model went through."""

    stage: str
    data: str  # fingerprint of the tables that it learned from
    adapters: str  # "" where every weight was trained


@dataclass(frozen=True, slots=True)
class Origin:
    """What a model began as, and its trainings, in their order."""

    base: str  # name and revision, or "made from scratch"
    hub: str  # the name that a hub knows it by; "" if none
    licence: str  # of the base, as its own card says; "unknown" where that is silent
    trainings: tuple[Training, ...]

    def after(self, stage: str, data: str, adapters: str) -> "Origin":
        return dataclasses.replace(self, trainings=(*self.trainings, Training(stage, data, adapters)))


SCRATCH = Origin("made from scratch", "", "apache-2.0", ())


def read(folder: Path) -> Origin:
    """The origin of a saved model; one that was saved without a card is from anywhere."""
    if not (folder / FACTS).is_file():
        return Origin(str(folder), "", UNKNOWN, ())
    facts = read_json(folder / FACTS)
    try:
        trainings = tuple(Training(**one) for one in facts["trainings"])
        return Origin(facts["base"], facts["hub"], facts["licence"], trainings)
    except (KeyError, TypeError) as error:
        raise ModelError(f"{folder / FACTS} is no provenance ({error}); remake the model") from error


def check(folder: Path) -> None:
    """Raise `ModelError` where tokenizer.json is not the one that the weights beside it were trained with."""
    if not (folder / FACTS).is_file():
        return
    try:
        told = read_json(folder / FACTS).get("vocabulary")
    except (ValueError, AttributeError) as error:
        raise ModelError(f"{folder / FACTS} cannot be read ({error}); remake the model") from error
    if told != of_file(folder / "tokenizer.json"):
        raise ModelError(
            f"{folder / 'tokenizer.json'} is not the vocabulary that the weights beside it learned; remake the model"
        )


def write(folder: Path, origin: Origin, sizes: dict[str, Any]) -> None:
    """Both files, beside the vocabulary that stands in the folder already."""
    facts = {**dataclasses.asdict(origin), "vocabulary": of_file(folder / "tokenizer.json"), "sizes": sizes}
    write_json(folder / FACTS, facts)
    write_text(folder / "README.md", page(origin, sizes))


def page(origin: Origin, sizes: dict[str, Any]) -> str:
    head = [*([f"base_model: {origin.hub}"] if origin.hub else []), "library_name: transformers"]
    head += [f"license: {origin.licence}"] if origin.licence != UNKNOWN else []
    lines = ["---", *head, "pipeline_tag: text-generation", "tags: [text-to-motion]", "---", "", "# A motion model", ""]
    lines += ["Reads and writes texts and motions; a motion is `<Motion><Motion_17><Motion_402>…</Motion>`, codes of a"]
    lines += ["motion tokenizer. A question is `<user>…<assistant>`, and the answer ends with `<end>`.", ""]
    lines += ["| | |", "|---|---|", f"| base | {origin.base} |", f"| licence of the base | {origin.licence} |"]
    lines += [
        f"| {name} | {value:,} |" if isinstance(value, int) else f"| {name} | {value} |"
        for name, value in sizes.items()
    ]
    lines += ["", "| training | data | what was trained |", "|---|---|---|"]
    lines += [f"| {one.stage} | `{one.data}` | {one.adapters or 'all weights'} |" for one in origin.trainings]
    return "\n".join(lines) + "\n"
