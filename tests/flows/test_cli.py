"""The command line as a whole: quick where nothing is done, one sentence for what a user can mend."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from flows import cli
from tests.checkouts import ENVIRONMENT, Checkout

HEAVY = {"torch", "numpy", "pyarrow", "pydantic", "transformers", "prefect", "dvc", "ray", "openai"}
LOADED = """
import sys, json, contextlib, io
from importlib import import_module
{act}
print(json.dumps(sorted(name.partition(".")[0] for name in sys.modules)))
"""


def loaded(act: str) -> set[str]:
    """The packages that a process has imported after it did this."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED.format(act=act)], env=ENVIRONMENT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_help_imports_nothing_that_takes_time() -> None:
    act = """
from flows.cli import app
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    app(args=["--help"], prog_name="irg")
"""
    assert loaded(act) & HEAVY == set()


def test_no_command_imports_prefect() -> None:
    modules = sorted({f"flows.commands.{place.partition('.')[0]}" for place in cli.COMMANDS.values()})
    act = f"for name in {modules}: import_module(name)\n"
    act += "import flows.written, flows.given, flows.builds, flows.dag"
    assert "prefect" not in loaded(act)
    assert "ray" not in loaded(act)


def test_every_command_has_its_line_in_the_help_and_a_help_of_its_own(tmp_path: Path) -> None:
    said = Checkout(tmp_path).run("irg", "--help")
    for command in cli.COMMANDS:
        assert f"│ {command} " in said
        assert len(cli._summary(command)) > 20, command
        assert f"Usage: irg {command}" in Checkout(tmp_path).run("irg", command, "--help")


def test_the_shell_can_complete_commands(tmp_path: Path) -> None:
    asked = {"_IRG_COMPLETE": "complete_bash", "COMP_WORDS": "irg co", "COMP_CWORD": "1"}
    done = subprocess.run(["irg"], cwd=tmp_path, env={**ENVIRONMENT, **asked}, capture_output=True, text=True)
    assert done.stdout.split() == ["corpus", "compare"]


@pytest.mark.parametrize("command", [("corpus", "list"), ("generate", "walks"), ("plan",), ("evaluate", "x")])
def test_a_broken_params_file_is_said_in_a_sentence(tmp_path: Path, command: tuple[str, ...]) -> None:
    (tmp_path / "params.yaml").write_text("corpora: {mocap: [")
    (tmp_path / "dvc.yaml").write_text("stages: {}")
    said = Checkout(tmp_path).run("irg", *command, code=2)
    assert said.startswith("irg: params.yaml cannot be read")
    assert len(said.splitlines()) == 1


def test_debug_shows_where_an_error_comes_from(tmp_path: Path) -> None:
    said = Checkout(tmp_path).run("irg", "corpus", "list", "--debug", code=1)
    assert "Traceback" in said
    assert "params.yaml is missing" in said
