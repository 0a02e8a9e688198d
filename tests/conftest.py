"""Checkouts for tests, and the small chain of all stages, which is built once a session."""

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.checkouts import Checkout, copy_of_the_project

# Speed is a matter of benchmarks: on a busy machine a slow example is no failure.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A fresh copy of the project, nothing built."""
    return copy_of_the_project(tmp_path / "project")


@pytest.fixture(scope="session")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """The `ci` profile from the motions to the report, once for all tests; do not change it: take a `branch`."""
    built = copy_of_the_project(tmp_path_factory.mktemp("chain") / "project")
    built.run(sys.executable, "-m", "irg_core.params", "profiles/ci.yaml")
    built.repro()
    return built


@pytest.fixture
def branch(chain: Checkout, tmp_path: Path) -> Iterator[Callable[[], Checkout]]:
    """Copies of the built chain that a test may change."""
    made: list[Path] = []

    def make() -> Checkout:
        target = tmp_path / f"branch{len(made)}"
        shutil.copytree(chain.root, target, symlinks=True)
        made.append(target)
        return Checkout(target)

    yield make
    for folder in made:
        shutil.rmtree(folder)
