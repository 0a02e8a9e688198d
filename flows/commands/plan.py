"""`irg plan`: what the asking stages would ask, and what that would cost, before anything is sent."""

import dataclasses
import inspect
import json
import shlex
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from irg_core import plugins
from irg_core.errors import FactoryError
from irg_core.llm.batch import wire_of
from irg_core.llm.budget import BATCHED, prices, spent, sum_requests
from irg_core.llm.planning import Plan, plan
from irg_core.llm.transcripts import FOLDER, Ledger, kept_in, path_of
from irg_core.params import mapping, section
from pipelines.executor import RuntimeParams, executor

DAG = Path("dvc.yaml")


@dataclass(frozen=True, slots=True)
class Line:
    """A stage for one corpus: its plan, or the stage that has to run first."""

    stage: str
    corpus: str
    model: str
    plan: Plan | None
    waits_for: str


def estimate(
    stages: Annotated[list[str] | None, typer.Argument(help="such as assess, or assess@cmu; all if left out")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="for programs")] = False,
) -> None:
    """Say what the stages would ask: requests, tokens, dollars, and what the ledger already knows."""
    lines = [line_of(stage, corpus) for stage, corpus in chosen(stages or [])]
    if as_json:
        print(json.dumps(as_values(lines), indent=2))
    else:
        _show(lines)


def asking() -> list[str]:
    """The stages that ask, in the order of dvc.yaml: those whose section names a provider."""
    return [stage for stage in _dag() if "provider" in mapping(stage)]


def chosen(wanted: list[str]) -> Iterator[tuple[str, str]]:
    """Stage and corpus of each wish. Raises `FactoryError` for a stage that asks nothing, and an unknown corpus."""
    stages, corpora = asking(), list(mapping("corpora"))
    for wish in wanted or stages:
        stage, _, corpus = wish.partition("@")
        if stage not in stages:
            raise FactoryError(f"'{stage}' is no stage that asks; these do: {', '.join(stages)}")
        if corpus and corpus not in corpora:
            raise FactoryError(f"params.yaml has no corpus '{corpus}'; it has: {', '.join(corpora)}")
        yield from ((stage, one) for one in ([corpus] if corpus else corpora))


def line_of(stage: str, corpus: str) -> Line:
    module = plugins.load("pipelines", stage)
    model = mapping(stage)["model"]
    paths = arguments(stage, corpus, module.main)
    wanted = {name: paths[name] for name in inspect.signature(module.inquiry).parameters}
    with tempfile.TemporaryDirectory() as folder:
        if hasattr(module, "prepare"):
            wanted |= _prepared(module, paths, Path(folder))
        missing = [path for path in wanted.values() if not path.exists()]
        if missing:
            return Line(stage, corpus, model, None, maker(missing[0], corpus))
        inquiry = module.inquiry(**wanted)
        known = prices()
        share = BATCHED if wire_of(inquiry.provider) else 1.0
        with closing(Ledger(path_of(stage, corpus), paths["transcripts"])) as ledger:
            return Line(stage, corpus, model, plan(inquiry, ledger, known.get(model), share), "")


def _prepared(module: Any, paths: dict[str, Path], folder: Path) -> dict[str, Path]:
    """What the stage computes before it asks, computed aside: the table of its last run may be of other clips."""
    names = [name for name in inspect.signature(module.prepare).parameters if name != "map_batches"]
    *inputs, made = names
    if not all(paths[name].exists() for name in inputs):
        return {}
    with executor(section("runtime", RuntimeParams)) as map_batches:
        module.prepare(*(paths[name] for name in inputs), folder / "made.parquet", map_batches=map_batches)
    return {made: folder / "made.parquet"}


def arguments(stage: str, corpus: str, main: Any) -> dict[str, Path]:
    """The stage's paths, by the names of its parameters, as dvc.yaml writes them."""
    words = shlex.split(_dag()[stage]["do"]["cmd"].replace("${key}", corpus))[4:]
    names = [name for name, one in inspect.signature(main).parameters.items() if one.kind is not one.KEYWORD_ONLY]
    return {name: Path(word) for name, word in zip(names, words, strict=True)}


def maker(path: Path, corpus: str) -> str:
    """The stage that makes a file, as DVC calls it."""
    for stage, entry in _dag().items():
        for out in entry.get("do", entry).get("outs", []):
            said = next(iter(out)) if isinstance(out, dict) else out
            if said.replace("${key}", corpus) == str(path):
                return f"{stage}@{corpus}" if "foreach" in entry else stage
    raise FactoryError(f"{path} is missing, and no stage of {DAG} makes it")


def _dag() -> dict[str, Any]:
    if not DAG.exists():
        raise FactoryError(f"{DAG} is missing; run from the root of the checkout")
    stages: dict[str, Any] = yaml.safe_load(DAG.read_text(encoding="utf-8"))["stages"]
    return stages


def as_values(lines: list[Line]) -> dict[str, Any]:
    """Everything that the table shows, for programs."""
    runtime = section("runtime", RuntimeParams)
    priced = prices()
    already = spent((line for line in kept_in(FOLDER) if line.model in priced), priced)
    return {
        "stages": [dataclasses.asdict(line) for line in lines],
        "spent_usd": already.usd,
        "spent_requests": sum_requests(FOLDER),
        "budget_usd": runtime.budget_usd,
        "max_requests": runtime.max_requests,
    }


def _show(lines: list[Line]) -> None:
    from rich.console import Console
    from rich.table import Table

    columns = ("stage", "model", "rows", "in the ledger", "to ask", "tokens in", "tokens out", "US dollars")
    table = Table(*columns[:2], box=None)
    for name in columns[2:]:
        table.add_column(name, justify="right")
    for line in lines:
        table.add_row(f"{line.stage}@{line.corpus}", line.model, *_cells(line))
    Console(width=140).print(table)
    for line in lines:
        if line.waits_for:
            print(f"{line.stage}@{line.corpus}: {line.waits_for} must run first; its questions are not known yet")
    for model in sorted({line.model for line in lines if line.plan and line.plan.usd is None}):
        print(f"{model}: no price in params.yaml; add it to llm.prices")
    values = as_values(lines)
    limits = [
        f"runtime.{name} is {values[name]}" for name in ("budget_usd", "max_requests") if values[name] is not None
    ]
    print(f"Paid for so far: {values['spent_requests']} requests, ${values['spent_usd']:.2f}. " + "; ".join(limits))


def _cells(line: Line) -> list[str]:
    if line.plan is None:
        return ["?"] * 6
    one = line.plan
    counts = (one.rows, one.known, one.requests, one.tokens_in, one.tokens_out)
    return [*(f"{count:,}" for count in counts), "?" if one.usd is None else f"{one.usd:.2f}"]
