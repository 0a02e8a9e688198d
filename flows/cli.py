"""`irg`: the factory's command line. What a user can mend ends in one sentence and exit status 2.

A command's module is imported once it is called; help and completion read what they show out of its source, so that
both come at once.
"""

import ast
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from irg_core.errors import FactoryError

COMMANDS = {
    "generate": "generate", "assess": "assess", "refine": "refine",
    "repro": "repro", "status": "status", "plan": "plan.estimate", "plan-training": "plan_training",
    "corpus": "corpus.app", "explain": "explain", "export": "export",
    "evaluate": "evaluate", "compare": "compare", "doctor": "doctor",
}  # fmt: skip
"""Each command's file in flows/commands/, and what stands for it there where that has another name."""
DEBUG = "--debug"
HERE = Path(__file__).with_name("commands")


class Group(TyperGroup):
    """Commands that are imported when they are called."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        return TyperCommand(cmd_name, help=_summary(cmd_name)) if cmd_name in COMMANDS else None

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        if args[0] in COMMANDS:
            return args[0], _imported(args[0]), args[1:]
        return super().resolve_command(ctx, args)


def _place(command: str) -> tuple[str, str]:
    """The file of a command, and the name of its function or group there."""
    file, _, name = COMMANDS[command].partition(".")
    return file, name or file


def _imported(command: str) -> Any:
    from importlib import import_module

    file, name = _place(command)
    found = getattr(import_module(f"flows.commands.{file}"), name)
    if isinstance(found, typer.Typer):
        group = typer.main.get_group(found)
        group.name = command
        return group
    alone = typer.Typer(add_completion=False)
    alone.command(command)(found)
    return typer.main.get_command(alone)


def _summary(command: str) -> str:
    """The first sentence about a command, out of its source."""
    file, name = _place(command)
    tree = ast.parse((HERE / f"{file}.py").read_text(encoding="utf-8"))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name]
    told = ast.get_docstring(functions[0] if functions else tree) or ""
    paragraph = " ".join(told.partition("\n\n")[0].split())
    return paragraph if functions else paragraph.partition(": ")[2].capitalize()


app = typer.Typer(name="irg", cls=Group, no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def irg(
    debug: Annotated[bool, typer.Option(DEBUG, help="show where an error comes from; anywhere on the line")] = False,
) -> None:  # fmt: skip
    """The motion factory's command line: make motions, judge and mend them; run, watch and compare builds."""


def main() -> None:
    words = sys.argv[1:]
    debug = DEBUG in words
    try:
        app(args=[word for word in words if word != DEBUG], prog_name="irg")
    except FactoryError as error:
        if debug:
            raise
        print(f"irg: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(error.status)
    except BrokenPipeError:
        # Whoever read along has seen enough; without this, Python complains once more when it flushes.
        sys.stdout = None
        sys.exit(1)
    except OSError as error:
        if debug or error.strerror is None:
            raise
        place = f"{error.filename}: " if error.filename else ""
        print(f"irg: {place}{error.strerror}; `irg doctor` looks at this machine", file=sys.stderr)
        sys.exit(FactoryError.status)
