"""Working copies of the project in folders of their own, to try things in with the real commands."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
ENVIRONMENT = {
    **os.environ,
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "DVC_NO_ANALYTICS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


@dataclass(frozen=True)
class Checkout:
    """A working copy of this project in a folder of its own."""

    root: Path

    def run(self, *command: str, code: int | None = 0) -> str:
        """Run a command to its end and return all it printed; `code` is the exit status that is expected."""
        done = subprocess.run(
            command,
            cwd=self.root,
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=900,
            check=False,
        )
        assert code is None or done.returncode == code, done.stdout
        return done.stdout

    def stage(self, *arguments: str, code: int = 0) -> str:
        return self.run(sys.executable, "-m", "pipelines", *arguments, code=code)

    def repro(self, *targets: str, code: int = 0) -> list[str]:
        """`dvc repro`; returns the stages that ran, in order."""
        said = self.run("dvc", "repro", *targets, code=code)
        return [line.split("'")[1] for line in said.splitlines() if line.startswith("Running stage ")]

    def edit(self, file: str, old: str, new: str) -> None:
        path = self.root / file
        text = path.read_text()
        assert old in text, f"{file} has no {old!r}"
        path.write_text(text.replace(old, new))


def copy_of_the_project(to: Path) -> Checkout:
    """What git tracks or would track, as it is in the working tree; no data, no environment."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, to / name)
    # The pins of the demo's outputs mean nothing to a copy that builds another size.
    (to / "dvc.lock").unlink(missing_ok=True)
    subprocess.run(["git", "init", "-q"], cwd=to, check=True)
    return Checkout(to)
