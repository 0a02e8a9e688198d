"""`irg`: the factory's command line. What a user can mend ends in one sentence and exit status 2."""

import sys

import typer

from flows.commands import corpus, evaluate, explain, export, plan
from irg_core.errors import FactoryError

app = typer.Typer(name="irg", help=__doc__, no_args_is_help=True, pretty_exceptions_enable=False)
app.add_typer(corpus.app, name="corpus")
app.command("export")(export.export)
app.command("evaluate")(evaluate.evaluate)
app.command("plan")(plan.estimate)
app.command("explain")(explain.explain)


def main() -> None:
    try:
        app()
    except FactoryError as error:
        print(f"irg: {error}", file=sys.stderr)
        sys.exit(error.status)
