"""The forms that the Prefect UI shows, one class a deployment, and what is checked before a run begins.

Each field's type, choices, default and description become the form. A corpus is checked by the code that `ingest`
reads it with, so that a wrong form is refused with the sentence of the shell.
"""

import json
import re
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML

from flows import rebuild
from irg_core import plugins
from irg_core.errors import FactoryError, ParamsError, SourceError
from irg_core.params import PATH, mapping
from pipelines.ingest import opened

AS_IT_STANDS = "as in params.yaml"
IN_COMMANDS = {"fetch": "captions", "evaluate.models": "weights"}
"""What of their entries dvc.yaml writes bare into the command line of a shell; `corpora.*.root` stands in quotes."""

Up = Literal["found out", "y", "z", "x", "-y", "-z", "-x"]
Depth = Literal["clips", "captions", "assessments", "examples"]
Trained = Literal["tokenizer", "evaluators", "base", "stage1", "stage2", "stage3"]

SAVED_AS: str = Field("", description="Name of the file in overlays/ that keeps what is changed; empty: after the run")
CHANGES: dict[str, Any] = Field(
    default_factory=dict,
    description='Parameters to change, as nested in params.yaml, such as {"train_stage1": {"steps": 300}}',
)
DEPTH: Depth = Field(
    "captions",
    description="clips: motions, checked at the door. captions: measured and put into words as well, minutes. "
    "assessments: flaws put in and judged; trains tokenizer, evaluator and base first. examples: ready for training",
)


class WrongForm(FactoryError):
    """A form is not filled in as its deployment wants it."""


class Form(BaseModel, ABC):
    """One deployment: `title` is its name, the doc string its description."""

    model_config = ConfigDict(extra="forbid")
    title: ClassVar[str]
    flow: ClassVar[str]
    """The function of `flows.rebuild` that it fills in."""

    @abstractmethod
    def work(self) -> rebuild.Work:
        """What a run of this form does."""


class Corpus(BaseModel):
    """One corpus: of params.yaml, or described here."""

    model_config = ConfigDict(extra="forbid", title="Corpus")
    corpus: str = Field(
        description="Its name. One that params.yaml knows is enough by itself; a new one is described below "
        "(lower-case letters, digits, - and _)",
    )
    format: str = Field(
        AS_IT_STANDS,
        description="What the files are; a new corpus needs it",
        json_schema_extra={"enum": [AS_IT_STANDS, *plugins.names("irg_core.corpora")]},
    )
    root: str = Field("", description="The folder with the motions, on the machine that does the work")
    captions: str = Field(
        "",
        description="A table inside the folder (CSV, TSV, JSON lines), or {sidecar: .txt}, or "
        '{pattern: "{action}_{take}", say: "a person {action}s"}; empty: the describe stage writes the captions',
    )
    fps: float = Field(0, ge=0, description="Frames a second, where files say none or lie; 0: what they say")
    unit: str = Field("", description="m, cm, mm, inch, foot, or metres a unit; empty: found out from the body")
    up: Up = Field("found out", description="The axis that points up")
    licence: str = Field("", description="What the dataset's card says of it, such as CC-BY-4.0")
    options: dict[str, Any] = Field(
        default_factory=dict, description='What else the format takes, such as {"joints": {"left_hip": "Thigh_L"}}'
    )

    def entry(self) -> dict[str, Any] | None:
        """The entry for `corpora:`, checked; None where params.yaml stays as it is. Raises a `FactoryError`."""
        is_known = self.format == AS_IT_STANDS
        given = self._given()
        entry = {**(mapping(f"corpora.{self.corpus}") if is_known else {}), **given}
        check_corpus(self.corpus, entry)
        return entry if entry != mapping("corpora").get(self.corpus) else None

    def _given(self) -> dict[str, Any]:
        """What was filled in, under the names of params.yaml."""
        given: dict[str, Any] = {"format": self.format} if self.format != AS_IT_STANDS else {}
        if self.root:
            given["root"] = str(Path(self.root).expanduser())
        if self.captions:
            given["captions"] = _read(self.captions)
        if self.fps:
            given["fps"] = int(self.fps) if self.fps == int(self.fps) else self.fps
        if self.unit:
            given["unit"] = _read(self.unit)
        if self.up != "found out":
            given["up"] = self.up
        return given | ({"licence": self.licence} if self.licence else {}) | self.options


def check_corpus(corpus: str, entry: dict[str, Any]) -> None:
    """That `ingest` can open it and finds a motion file there. Raises what `ingest` would raise."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,59}", corpus):
        raise WrongForm(f"{corpus!r} is no name for a corpus; take lower-case letters, digits, - and _")
    if {yaml.safe_load(corpus), YAML(typ="safe").load(corpus)} != {corpus}:
        raise WrongForm(f"{corpus!r} is no name for a corpus, for YAML reads it as something else; add a letter")
    root = entry.get("root")
    if not isinstance(root, str) or not root:
        raise ParamsError(f"{PATH}: corpora.{corpus} has no 'root'; name the folder with its motions")
    if set(root) & set("'\"\\$`\n\0{}"):
        # DVC writes it into the command line of a shell.
        raise SourceError(f"corpora.{corpus}.root has a quote, brace, dollar or line break in it; rename the folder")
    if corpus in mapping("fetch") and not Path(root).exists():
        return  # comes out of a package first
    next(opened(corpus, entry, Path(root)), None)


def _read(text: str) -> Any:
    """`descriptions.csv` is a word, `{sidecar: .txt}` a mapping, `0.01` a number."""
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise WrongForm(f"{text!r} is neither a word nor a mapping: {str(error).splitlines()[0]}") from error


class Everything(Form):
    """Rebuild whatever is not up to date: all stages, from the motions to the report. The same as `dvc repro`."""

    title, flow = "Rebuild everything", "everything"
    changes: dict[str, Any] = CHANGES
    saved_as: str = SAVED_AS

    def work(self) -> rebuild.Work:
        return rebuild.everything(self.changes, self.saved_as)


class DataEngine(Corpus, Form):
    """Make the dataset of one corpus again: one that `params.yaml` knows, or a folder of your own, described here.

    `irg corpus inspect <folder>` says what to fill in. What is up to date is not done again.
    """

    title, flow = "Regenerate the dataset for a corpus", "data_engine"
    depth: Depth = DEPTH
    saved_as: str = SAVED_AS

    def work(self) -> rebuild.Work:
        return rebuild.data_engine(self.corpus, self.entry(), self.depth, self.saved_as)


class Training(Form):
    """Train what is named, and before it whatever it is made of and is not up to date."""

    title, flow = "Train stages", "training"
    models: list[Trained] = Field(description="What to train", min_length=1)
    changes: dict[str, Any] = CHANGES
    saved_as: str = SAVED_AS

    def work(self) -> rebuild.Work:
        return rebuild.training(list(self.models), self.changes, self.saved_as)


class Evaluation(Form):
    """Evaluate one model, after training what it is made of where that is not up to date."""

    title, flow = "Evaluate a model", "evaluation"
    model: str = Field(description="An entry of evaluate.models in params.yaml, such as base, stage1, stage2, stage3")
    report: bool = Field(False, description="Make the report as well; it evaluates all models")
    changes: dict[str, Any] = CHANGES
    saved_as: str = SAVED_AS

    def work(self) -> rebuild.Work:
        return rebuild.evaluation(self.model, self.report, self.changes, self.saved_as)


class Backfill(Form):
    """Make the datasets of several corpora, one after the other.

    What is finished is skipped: after a stop, start it again with the same list, and it goes on where it was.
    """

    title, flow = "Backfill corpora", "backfill"
    corpora: list[Corpus] = Field(description="In this order", min_length=1)
    depth: Depth = DEPTH
    saved_as: str = SAVED_AS

    def work(self) -> rebuild.Work:
        entries = {corpus.corpus: corpus.entry() for corpus in self.corpora}
        return rebuild.backfill(entries, self.depth, self.saved_as)


FORMS: dict[str, type[Form]] = {form.title: form for form in (Everything, DataEngine, Training, Evaluation, Backfill)}


def work_of(deployment: str, parameters: dict[str, Any]) -> rebuild.Work:
    """What a filled-in form asks for, checked as far as can be without doing it. Raises a `FactoryError`."""
    try:
        return _checked(FORMS[deployment](**parameters).work())
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise WrongForm(f"{place}: {first['msg']}") from error
    except FactoryError:
        raise
    except Exception as error:  # whatever a value does to the code that tries it, other runs must not suffer for it
        told = " ".join(str(error).split())
        raise WrongForm(f"a value of this form cannot be used ({type(error).__name__}: {told:.300})") from error


def _checked(work: rebuild.Work) -> rebuild.Work:
    if work.saved_as and not rebuild.slug(work.saved_as):
        raise WrongForm(f"saved_as: {work.saved_as!r} has nothing to name a file by; take letters a-z, digits and -")
    _check_mappings(work.changes, yaml.safe_load(PATH.read_text(encoding="utf-8")), "")
    changed = work.changed()
    _check_commands(work.changes, changed)
    for corpus in work.changes.get("corpora", {}):
        check_corpus(corpus, changed["corpora"][corpus])
    return work


def _check_mappings(changes: dict[str, Any], stands: dict[str, Any], place: str) -> None:
    """That what holds others is changed key by key; anything else in its place would take them all away."""
    for key, change in changes.items():
        now = stands.get(key)
        if isinstance(now, dict) and not isinstance(change, dict):
            raise WrongForm(f"changes: {place}{key} is a mapping in {PATH}, and {change!r:.60} is none; name its keys")
        if isinstance(now, dict) and place != "corpora.":  # what an entry may hold is up to its format
            _check_mappings(change, now, f"{place}{key}.")


def _check_commands(changes: dict[str, Any], changed: dict[str, Any]) -> None:
    """That a shell can make nothing of the values but words. The keys stand in params.yaml already."""
    for place, field in IN_COMMANDS.items():
        touched, entries = changes, changed
        for part in place.split("."):
            touched, entries = touched.get(part, {}), entries[part]
        for name in touched:
            value = entries[name][field]
            if not isinstance(value, str) or not re.fullmatch(r"[\w./][\w./-]*", value):
                raise WrongForm(
                    f"{place}.{name}.{field}: {value!r:.60} cannot stand in a command line; "
                    "take a path of letters, digits and . _ / -"
                )


def schema(form: type[Form]) -> dict[str, Any]:
    """The form as Prefect reads it: JSON schema, its parts under `definitions`, its fields in their order."""
    found = form.model_json_schema(ref_template="#/definitions/{model}")
    found["definitions"] = found.pop("$defs", {})
    for position, field in enumerate(found["properties"].values()):
        field["position"] = position
    return dict(json.loads(json.dumps(found)))
