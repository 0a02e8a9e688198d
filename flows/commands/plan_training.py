"""`irg plan-training`: what the trainings would take, before a weight or a table is here."""

import dataclasses
import json
import shutil
import tempfile
from contextlib import chdir
from pathlib import Path
from typing import Annotated, Any

import typer

from irg_core import params
from irg_core.errors import ParamsError
from irg_core.params import section

BYTES = 2**30
PROMPT = 64
"""Tokens of a Stage-3 prompt, about: a sentence around a caption."""


def plan_training(
    profile: Annotated[str, typer.Option(help="plan with a file of profiles/; params.yaml stays as it is")] = "",
    tokens_per_second: Annotated[float, typer.Option(help="of each worker, as measured on its like")] = 0.0,
    dollars_per_hour: Annotated[float, typer.Option(help="of each worker")] = 0.0,
    as_json: Annotated[bool, typer.Option("--json", help="for programs")] = False,
) -> None:
    """Say what the trainings would take: steps, tokens, parameters, memory of each worker, hours, dollars.

    Needs neither data nor weights nor a network.
    """
    with tempfile.TemporaryDirectory() as aside:
        if not params.PATH.exists():
            raise ParamsError(f"{params.PATH} is missing; run from the root of the checkout")
        shutil.copy(params.PATH, aside)
        found = Path("profiles", f"{profile}.yaml").absolute() if profile else None
        if found is not None and not found.exists():
            known = ", ".join(sorted(path.stem for path in Path("profiles").glob("*.yaml")))
            raise ParamsError(f"there is no profiles/{profile}.yaml; there are: {known}")
        with chdir(aside):
            if found is not None:
                params.apply_profile(found)
            rows = [_told(plan, workers, tokens_per_second, dollars_per_hour) for plan, workers in plans()]
    if as_json:
        print(json.dumps(rows, indent=2))
    else:
        _show(rows)


def plans() -> list[tuple[Any, int]]:
    """The four trainings of params.yaml, and the workers of each."""
    from irg_core.models.backbone import backbone
    from irg_core.models.vocabulary import STRUCTURE
    from irg_core.training import planning
    from irg_core.training.grpo import TrainStage3Params
    from irg_core.training.loop import SupervisedParams
    from pipelines.train_base import TrainBaseParams

    base = section("train_base", TrainBaseParams)
    codes = params.mapping("train_tokenizer")["net"]["codes"]
    config, new_rows = backbone(base.backbone).config(codes), len(STRUCTURE) + codes
    each = {"train_base": base.training}
    each |= {name: section(name, SupervisedParams) for name in ("train_stage1", "train_stage2")}
    found = [(planning.supervised(name, config, new_rows, one), one.workers) for name, one in each.items()]
    last = section("train_stage3", TrainStage3Params)
    return [*found, (planning.reinforced(config, new_rows, last, PROMPT), last.workers)]


def _told(plan: Any, workers: int, tokens_per_second: float, dollars_per_hour: float) -> dict[str, Any]:
    """A plan for programs; hours and dollars where the speed and the price are known."""
    hours = plan.hours(tokens_per_second, workers) if tokens_per_second else None
    dollars = hours * workers * dollars_per_hour if hours is not None and dollars_per_hour else None
    return {**dataclasses.asdict(plan), "memory": plan.memory, "workers": workers, "hours": hours, "dollars": dollars}


def _show(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("training", box=None)
    for name in ("workers", "steps", "tokens read", "written", "parameters", "trained"):
        table.add_column(name, justify="right")
    for name in ("weights", "gradients", "moments", "activations", "in all, GiB", "hours", "US dollars"):
        table.add_column(name, justify="right")
    for row in rows:
        counts = (row[name] for name in ("workers", "steps", "tokens", "sampled", "parameters", "trained"))
        sizes = (row[name] / BYTES for name in ("weights", "gradients", "moments", "activations", "memory"))
        table.add_row(
            row["stage"],
            *(_short(count) for count in counts),
            *(f"{size:.2f}" for size in sizes),
            *("?" if row[name] is None else f"{row[name]:,.1f}" for name in ("hours", "dollars")),
        )
    Console(width=160).print(table)
    print("Memory is that of each worker, for the longest examples; tokens are those of full batches, of all workers.")
    if any(row["hours"] is None for row in rows):
        print(
            "Hours need --tokens-per-second, dollars --dollars-per-hour too: measure a few steps on the machine meant."
        )


def _short(count: int) -> str:
    """Exact below ten million."""
    return f"{count:,}" if count < 10**7 else f"{count / 10**6:,.0f} M" if count < 10**10 else f"{count / 10**9:,.1f} G"
