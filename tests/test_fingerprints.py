"""What half-done work is made from."""

import subprocess
import sys
from pathlib import Path

from irg_core.fingerprints import seal, unlike

ROOT = Path(__file__).parents[1]
SOURCES = "from irg_core.fingerprints import origin, _sources; print(*_sources(), sep='\\n')"


def code(*modules: str) -> list[str]:
    """The modules that count as the code of a stage, in a process that has loaded these."""
    script = "\n".join([*(f"import {module}" for module in modules), SOURCES])
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_who_watches_a_stage_is_no_part_of_what_it_is_made_from() -> None:
    plain = code("pipelines.split")
    watched = code("flows.stage", "flows.reports", "flows.reporter", "pipelines.split")
    assert watched == plain
    assert {"pipelines.split", "irg_core.tables", "irg_core.seeds"} <= set(plain)


def test_a_plugin_that_nobody_imports_by_name_is_part_of_it() -> None:
    assert "irg_core.rewards.length" in code("irg_core.rewards.length", "flows.stage", "pipelines.split")


def test_a_sealed_folder_may_grow_but_not_change(tmp_path: Path) -> None:
    (tmp_path / "weights").write_text("1 2 3")
    seal(tmp_path)
    seal(tmp_path)
    (tmp_path / "notes").write_text("later")
    assert unlike(tmp_path) == ""
    (tmp_path / "weights").write_text("1 2 4")
    assert unlike(tmp_path) == "weights differs from its hash"
    (tmp_path / "weights").unlink()
    assert unlike(tmp_path) == "weights is missing"
    (tmp_path / "SHA256SUMS").write_text("nothing of the kind")
    assert unlike(tmp_path) == "SHA256SUMS cannot be read"
    (tmp_path / "SHA256SUMS").write_text("")
    assert unlike(tmp_path) == "SHA256SUMS is not as it was written"
    (tmp_path / "SHA256SUMS").unlink()
    assert unlike(tmp_path) == "SHA256SUMS is missing"
