"""`irg`: the factory's command line."""

import typer

app = typer.Typer(name="irg", no_args_is_help=True, add_completion=True, help=__doc__)


def main() -> None:
    app()
