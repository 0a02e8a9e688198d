"""`irg evaluate`: any models side by side, on the test clips of any prepared corpus; no out of the DAG is touched."""

import dataclasses
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from flows.terminal import counted
from irg_core.errors import ModelError, ParamsError, TableError
from irg_core.files import write_json, write_text
from irg_core.params import mapping, names, section

REFERENCES = "references"
DATA, RUNS = Path("data"), Path("runs") / "evaluations"


def evaluate(
    models: Annotated[
        list[str],
        typer.Argument(help="models, ours or not: a FOLDER, or OWNER/NAME[@REVISION] of the hub; or NAME=either"),
    ],
    answers: Annotated[str, typer.Option(help="direct, composed or trace, for folders not in params.yaml")] = "direct",
    corpus: Annotated[list[str] | None, typer.Option(help="only test clips of this corpus; may be repeated")] = None,
    out: Annotated[Path, typer.Option(help="folder for results.txt and results.json")] = RUNS / "latest",
) -> None:  # fmt: skip
    """Compare models on the test clips: the results table with real, random and reconstructed motions beside them, and
    what changes from each model to the next, clip by clip."""
    from irg_core.evaluation import changes
    from irg_core.evaluation.answers import Kind
    from irg_core.evaluation.memory import Memory
    from irg_core.fingerprints import fingerprint
    from irg_core.records.evaluation import Values
    from irg_core.reports import page, results
    from pipelines.evaluate import EvaluateParams, Prepared, evaluated
    from pipelines.executor import RuntimeParams, executor

    if answers not in set(get_args(Kind)) - {REFERENCES}:
        raise ParamsError(f"--answers {answers}: it is one of direct, composed, trace")
    params, corpora = section("evaluate", EvaluateParams), _corpora(corpus)
    prepared = Prepared(
        DATA / "clips",
        DATA / "captions",
        DATA / "splits.parquet",
        DATA / "models/tokenizer",
        DATA / "models/evaluators",
    )
    given = [_model(one, answers) for one in models]
    called = [name for name, _ in given]
    if taken := [name for name in called if called.count(name) > 1 or name in (REFERENCES, *results.REFERENCES)]:
        raise ParamsError(f"more than one row would be called '{taken[0]}'; name the models: NAME=FOLDER")
    asked: dict[str, tuple[Path, Any]] = {REFERENCES: (DATA / "stats.json", REFERENCES), **dict(given)}
    found, memories = dict[str, Any](), list[Memory]()
    with executor(section("runtime", RuntimeParams)) as map_batches:
        for name, (weights, kind) in asked.items():
            told = fingerprint(params, [weights, prepared.tokenizer, prepared.splits])
            memory = Memory(RUNS / "kept" / "-".join([name, told, *corpora]))
            shown = partial(_shown, name, map_batches)
            memories.append(memory)
            found[name] = evaluated(name, weights, kind, corpora, prepared, params, memory, shown)

    scores = [one.score for model in found.values() for one in model.scored]
    values: list[Values] = [one.values for model in found.values() for one in model.scored]
    rows = list(dict.fromkeys((one.row, one.motion) for one in values if one.row in asked))
    subset = max(((one.n, one.subset) for one in scores if "/" not in one.subset), default=(0, ""))[1]
    rewarded = names("train_stage3.rewards")
    steps = changes.steps(values, subset, changes.chain(rows), params.protocol.seed, rewarded)
    changed = "\n".join(page.told_whole(step) for step in steps)
    table = f"{results.text(results.tables(scores, list(asked), rewarded), params.protocol.pool)}\n{changed}\n"
    write_text(out / "results.txt", table)
    write_json(out / "results.json", {
        "models": {name: {"weights": str(weights), "answers": kind} for name, (weights, kind) in asked.items()},
        "corpora": corpora,
        "scores": results.metrics(scores),
        "shares": {name: [dataclasses.asdict(one) for one in model.shares] for name, model in found.items()},
        "steps": [dataclasses.asdict(step) for step in steps],
    })  # fmt: skip
    for memory in memories:
        memory.forget()
    print(table)
    print(f"kept in {out / 'results.txt'} and results.json")


def _shown(name: str, map_batches: Any, work: Any, *batches: Any) -> Iterator[Any]:
    """The results of a map with a bar of its own."""
    listed = [list(each) for each in batches]
    return counted(map_batches(work, *listed), f"{name}, batches", min(map(len, listed)))


def _corpora(wanted: list[str] | None) -> list[str]:
    known = sorted(names("corpora"))
    if unknown := sorted(set(wanted or []) - set(known)):
        raise ParamsError(f"params.yaml: corpora has no {', '.join(unknown)}; it has: {', '.join(known)}")
    if missing := [name for name in wanted or known if not (DATA / f"captions/{name}.parquet").exists()]:
        raise TableError(f"data/captions/{missing[0]}.parquet is missing; run `dvc repro describe@{missing[0]}`")
    return sorted(wanted or known)


def _model(told: str, answers: str) -> tuple[str, tuple[Path, Any]]:
    """Name, folder and way of asking. A folder that params.yaml names is asked as it says there."""
    from irg_core.models.hub import fetched

    name, given, folder = told.rpartition("=")
    entries = mapping("evaluate.models").items()
    known = {Path(entry["weights"]).resolve(): (model, entry["answers"]) for model, entry in entries}
    weights = Path(folder) if Path(folder).is_dir() else fetched(folder)
    if not (weights / "config.json").exists():
        raise ModelError(f"{weights} holds no model (no config.json); give a folder that save_pretrained wrote")
    model, kind = known.get(weights.resolve(), (Path(folder.partition("@")[0]).name, answers))
    return name if given else model, (weights, kind)
