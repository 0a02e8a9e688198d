"""The house as it stands: floors are kept by import-linter (`make check`); this is what it cannot see."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted([*(ROOT / "irg_core").rglob("*.py"), *(ROOT / "pipelines").glob("*.py")])

ONE_ROOM = {
    "openai": ("irg_core/llm/openai.py",),
    "great_expectations": ("irg_core/validation/",),
    "ray": ("irg_core/training/cluster.py", "pipelines/executor.py"),
}
"""A foreign library and the rooms that may import it; Ray has two, for trainings and for batches."""


@pytest.mark.parametrize("file", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_has_a_heading_and_no_reexports(file: Path) -> None:
    tree = ast.parse(file.read_text())
    if file.name == "__init__.py":
        assert tree.body == [], "a re-exporting __init__ drags every sibling into every stage's dependencies"
    else:
        assert ast.get_docstring(tree), "say in a line or two what this file is"


@pytest.mark.parametrize("file", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_foreign_libraries_stay_in_their_rooms(file: Path) -> None:
    for node in ast.walk(ast.parse(file.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        for name in names:
            library = name.split(".")[0]
            assert library not in {"pickle", "joblib", "dill", "shelve", "prefect", "dvc"}
            if library in ONE_ROOM:
                assert str(file.relative_to(ROOT)).startswith(ONE_ROOM[library])


@pytest.mark.parametrize("file", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_that_could_be_a_pickle_is_loaded(file: Path) -> None:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "load":
            owner = node.func.value.id if isinstance(node.func.value, ast.Name) else ""
            given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            assert owner != "torch" or given.get("weights_only") == "True"
            assert owner not in {"np", "numpy"} or given.get("allow_pickle") == "False"


def test_no_room_without_a_name() -> None:
    assert not [file for file in FILES if file.stem in {"utils", "helpers", "base", "common", "misc"}]
