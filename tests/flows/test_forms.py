"""Forms become DVC targets and changes of params.yaml; what cannot work is refused before anything is touched."""

import base64
import itertools
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.evidence import curves, rejections, scores
from flows.forms import FORMS, IN_COMMANDS, schema, work_of
from irg_core.errors import FactoryError, SourceError
from irg_core.files import write_json
from irg_core.records.annotation import Rejection
from irg_core.records.training import LogRow
from irg_core.tables import commit
from tests.checkouts import ROOT

DATASET, BACKFILL = "Regenerate the dataset for a corpus", "Backfill corpora"
GRAMMAR = str(ROOT / "irg_core/corpora/procedural.yaml")
NO_WORDS = ("on", "no", "null", "12", "1e3", "0x1f", "2024-01-01")
NEW = {"corpus": "mine", "format": "procedural", "root": GRAMMAR, "options": {"clips": 3, "seed": 1}}


@pytest.fixture(autouse=True)
def params(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The parameters as committed, in a folder of their own."""
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path / "params.yaml"


def test_a_described_corpus_is_an_overlay_and_targets(params: Path) -> None:
    before = params.read_text()
    work = work_of(DATASET, {**NEW, "depth": "clips"})
    assert re.fullmatch(r"overlays/dataset-mine-[0-9a-f]{8}\.yaml", str(work.overlay))
    assert work.commands == f"python -m irg_core.params {work.overlay} && \\\ndvc repro ingest@mine audit@mine"
    assert params.read_text() == before, "nothing is written before the run begins"
    work.apply()
    after = params.read_text()
    entry = {"format": "procedural", "root": GRAMMAR, "clips": 3, "seed": 1}
    assert yaml.safe_load(after)["corpora"]["mine"] == entry
    assert work.overlay is not None
    assert yaml.safe_load(work.overlay.read_text()) == {"corpora": {"mine": entry}}
    kept = [line for line in before.splitlines() if line not in after.splitlines()]
    assert kept == [], "every line that was there is still there"
    assert work_of(DATASET, {"corpus": "mine"}).overlay is None, "it is known now"
    assert work_of(DATASET, {**NEW}).overlay is None, "and the same description changes nothing"


def test_the_targets_grow_with_the_depth() -> None:
    targets = [set(work_of(DATASET, {**NEW, "depth": depth}).steps[0].targets) for depth in schema_depths()]
    assert all(less < more for less, more in itertools.pairwise(targets))
    assert {"verify@mine", "validate_examples"} <= targets[-1]


def schema_depths() -> list[str]:
    return list(schema(FORMS[DATASET])["properties"]["depth"]["enum"])


def test_a_backfill_goes_corpus_by_corpus_and_merges_last() -> None:
    work = work_of(BACKFILL, {"corpora": [NEW, {**NEW, "corpus": "more"}], "depth": "captions"})
    assert [step.targets[0] for step in work.steps] == ["ingest@mine", "ingest@more", "audit@mine"]
    assert set(work.changes["corpora"]) == {"mine", "more"}


def test_one_field_changes_one_value_of_a_known_corpus() -> None:
    work = work_of(DATASET, {"corpus": "procedural", "options": {"clips": 4, "seed": 17}, "root": GRAMMAR})
    assert work.changes["corpora"]["procedural"]["clips"] == 4


@pytest.mark.parametrize(
    ("title", "form", "complaint"),
    [
        (DATASET, {**NEW, "root": "/no/such"}, "/no/such, the root of corpus 'mine', does not exist"),
        (DATASET, {**NEW, "root": "it's"}, "has a quote"),
        (DATASET, {"corpus": "unknown"}, "corpora.unknown' is missing; corpora has: deepmimic, procedural"),
        (DATASET, {**NEW, "depth": "all"}, "depth: Input should be 'clips'"),
        (DATASET, {**NEW, "colour": "red"}, "colour: Extra inputs"),
        (DATASET, {"corpus": "mine", "format": "bvh"}, "has no 'root'"),
        ("Evaluate a model", {"model": "stage9"}, "evaluate.models has no 'stage9'"),
        ("Train stages", {"models": []}, "at least 1 item"),
        ("Rebuild everything", {"changes": {"ingset": {}}}, "'ingset' is not in params.yaml"),
        (
            "Rebuild everything",
            {"changes": {"corpora": {"a b": {"format": "bvh", "root": "x"}}}},
            "no name for a corpus",
        ),
        ("Rebuild everything", {"changes": {"corpora": {"procedural": 5}}}, "corpora.procedural is a mapping"),
        ("Rebuild everything", {"changes": {"corpora": None}}, "corpora is a mapping in params.yaml, and None is none"),
        ("Rebuild everything", {"changes": {"train_stage1": None}}, "train_stage1 is a mapping in params.yaml"),
        ("Train stages", {"models": ["base"], "changes": {"train_base": {"training": 3}}}, "train_base.training is a"),
        (
            "Rebuild everything",
            {"changes": {"corpora": {"procedural": {"root": GRAMMAR, "clips": "3"}}}},
            "(TypeError:",
        ),
        ("Rebuild everything", {"changes": {"corpora": {"procedural": {"root": "x" * 5000}}}}, "(OSError: [Errno 36]"),
        (DATASET, {**NEW, "root": "~nouser-of-this-name"}, "cannot be used (RuntimeError"),
        (DATASET, {**NEW, "root": "a\0b"}, "has a quote"),
        (DATASET, {**NEW, "options": {"format": ["bvh"]}}, "no '['bvh']' in irg_core/corpora"),
        *((DATASET, {**NEW, "corpus": name}, "YAML reads it as something else") for name in NO_WORDS),
        (DATASET, {**NEW, "saved_as": "日本"}, "has nothing to name a file by"),
    ],
)
def test_what_cannot_work_is_refused(title: str, form: dict[str, Any], complaint: str, params: Path) -> None:
    before = params.read_bytes()
    with pytest.raises(FactoryError) as refused:
        work_of(title, form)
    assert complaint in str(refused.value)
    assert params.read_bytes() == before
    assert not Path("overlays").exists()


@pytest.mark.parametrize(
    "value",
    ["x; touch /tmp/p", "$(touch p)", "`touch p`", "a b", "a\nb", "a|b", "a>b", "'a'", "--help", "", None, 3, []],
)
@pytest.mark.parametrize(
    ("place", "entry", "field"), [("fetch", "deepmimic", "captions"), ("evaluate.models", "base", "weights")]
)
def test_nothing_but_words_reaches_a_shell(place: str, entry: str, field: str, value: object) -> None:
    assert work_of("Rebuild everything", {"changes": nested(place, {entry: {field: "data/models/base-2.x"}})})
    with pytest.raises(FactoryError, match=rf"{place}\.{entry}\.{field}: .* cannot stand in a command line"):
        work_of("Rebuild everything", {"changes": nested(place, {entry: {field: value}})})
    with pytest.raises(FactoryError, match=r"is not in params\.yaml"):
        work_of("Rebuild everything", {"changes": nested(place, {"a; b": {field: "x"}})})


def nested(place: str, value: dict[str, Any]) -> dict[str, Any]:
    for part in reversed(place.split(".")):
        value = {part: value}
    return value


def test_the_forms_know_all_that_is_written_into_command_lines() -> None:
    written = set()
    for stage in yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"].values():
        place = stage.get("foreach", "").removeprefix("${").removesuffix("}")
        for quote, name in re.findall(r"('?)\$\{([^}]*)\}", stage.get("do", stage)["cmd"]):
            written.add((place, name, bool(quote)))
    bare = {(place, f"item.{field}", False) for place, field in IN_COMMANDS.items()}
    keys = {(place, "key", False) for place in (*IN_COMMANDS, "corpora", "train_evaluators")}
    assert written == {*bare, *keys, ("corpora", "item.root", True)}


def test_runs_of_one_kind_keep_their_changes_apart() -> None:
    first, second, again = (
        work_of("Rebuild everything", {"changes": {"train_stage1": {"steps": steps}}}).overlay for steps in (3, 4, 3)
    )
    assert first == again != second
    named = work_of("Rebuild everything", {"changes": {"train_stage1": {"steps": 3}}, "saved_as": "Short one"})
    assert named.overlay == Path("overlays/short-one.yaml")


def test_a_corpus_is_refused_as_ingest_refuses_it() -> None:
    Path("empty").mkdir()
    with pytest.raises(SourceError, match="holds no motion file"):
        work_of(DATASET, {"corpus": "mine", "format": "bvh", "root": "empty"})


def test_rejections_are_counted_with_samples_and_scores_say_what_changed() -> None:
    rows = [Rejection(f"c/{n}", "ingest", "too short" if n else "no caption", "x" * 900) for n in range(9)]
    commit(Path("data/rejections/ingest/c.parquet"), rows, Rejection)
    (shown,) = rejections("ingest · c", Path("data/rejections/ingest/c.parquet"))
    table = yaml.safe_load(shown.data)
    assert [(row["reason"], row["rows"]) for row in table] == [("too short", 8)] * 3 + [("no caption", 1)]
    assert all(len(row["detail"]) <= 300 for row in table)

    path = Path("data/reports/evaluation/m.json")
    score = {"metric": "r1", "evaluator": "e", "motion": "first", "subset": "all", "interval": 0.1, "n": 4}
    write_json(path, {"scores": [{**score, "mean": 0.5}]})
    first = scores("evaluate · m", path, lambda _: None)
    assert yaml.safe_load(first.data)[0]["change"] == ""
    write_json(path, {"scores": [{**score, "mean": 0.75}]})
    assert yaml.safe_load(scores("evaluate · m", path, lambda _: first.data).data)[0]["change"] == "+0.25"


def test_curves_are_drawn_with_losses_first() -> None:
    rows = [LogRow(f"{n:08d}/{name}", n, name, float(n)) for n in (1, 2) for name in ("gradient_norm", "loss")]
    commit(Path("training.parquet"), rows, LogRow)
    drawn = base64.b64decode(curves("train", Path("training.parquet")).data.split(",")[1]).decode()
    assert drawn.index("loss: 1 → 2") < drawn.index("gradient_norm: 1 → 2")
