"""A build to compare: the working tree, another checkout, a git revision or DVC experiment, or an evaluation's folder.

Files of a revision come out of git and of DVC's cache, by the hashes of its dvc.lock; nothing is checked out.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from flows import dag
from irg_core.errors import FactoryError

LOCK, PARAMS = "dvc.lock", "params.yaml"
RESULTS = "results.json"
SCORES = "data/reports/evaluation.json"


class Build(ABC):
    """One side of a comparison."""

    def __init__(self, label: str) -> None:
        self.label = label

    @abstractmethod
    def text(self, path: str) -> str | None:
        """What a file that git or DVC keeps says; None where there is none."""

    @abstractmethod
    def file(self, path: str) -> Path | None:
        """Where an out can be read; None where this build has none, or its cache lacks it."""

    @abstractmethod
    def digest(self, path: str) -> str:
        """The MD5 of an out; empty where there is none."""

    @abstractmethod
    def outs(self) -> set[str]:
        """The files that the stages of this build made."""

    @property
    def lacking(self) -> list[str]:
        """Outs that the build had and that the cache lacks."""
        return []

    @property
    def params(self) -> dict[str, Any]:
        found = _yaml(self.text(PARAMS) or "", f"{self.label}: {PARAMS}")
        return found if isinstance(found, dict) else {}


class Folder(Build):
    """A checkout, or the folder of an `irg evaluate`."""

    def __init__(self, label: str, root: Path) -> None:
        super().__init__(label)
        self.root = root

    def text(self, path: str) -> str | None:
        path = RESULTS if path == SCORES and (self.root / RESULTS).exists() else path
        with suppress(OSError):
            return (self.root / path).read_text(encoding="utf-8")
        return None

    def file(self, path: str) -> Path | None:
        found = self.root / path
        return found if found.is_file() else None

    def digest(self, path: str) -> str:
        if (found := self.file(path)) is None:
            return ""
        with found.open("rb") as content:
            return hashlib.file_digest(content, "md5").hexdigest()

    def outs(self) -> set[str]:
        return {path.relative_to(self.root).as_posix() for path in (self.root / "data").rglob("*.parquet")}


class Revision(Build):
    """A commit, branch, tag or DVC experiment of this repository."""

    def __init__(self, label: str, files: Any, cache: Any) -> None:
        super().__init__(label)
        self._files = files
        self._cache = cache
        self._lacking: list[str] = []

    @cached_property
    def _outs(self) -> dict[str, str]:
        lock = _yaml(self.text(LOCK) or "", f"{self.label}: {LOCK}") or {}
        stages = lock.get("stages", {}).values()
        return {out["path"]: out.get("md5", "") for stage in stages for out in stage.get("outs", [])}

    def text(self, path: str) -> str | None:
        with suppress(OSError), self._files.open(path, "rb") as content:
            return str(content.read().decode("utf-8"))
        with suppress(OSError):
            found = self.file(path)
            return found.read_text(encoding="utf-8") if found else None
        return None

    def file(self, path: str) -> Path | None:
        if not (md5 := self._outs.get(path, "")):
            return None
        found = Path(self._cache.oid_to_path(md5))
        if found.is_file():
            return found
        if path not in self._lacking:
            self._lacking.append(path)
        return None

    def digest(self, path: str) -> str:
        return self._outs.get(path, "")

    def outs(self) -> set[str]:
        return set(self._outs)

    @property
    def lacking(self) -> list[str]:
        return self._lacking


@contextmanager
def builds(*names: str) -> Iterator[list[Build]]:
    """The builds of these names, opened. Raises `FactoryError` where a name is none."""
    with ExitStack() as stack:
        yield [_opened(name, stack) for name in names]


def _opened(name: str, stack: ExitStack) -> Build:
    if not name:
        return Folder("working tree", Path())
    folder = Path(name)
    if folder.is_dir() and ((folder / PARAMS).exists() or (folder / RESULTS).exists()):
        return Folder(name, folder)
    repo = stack.enter_context(dag.repository())
    from dvc.scm import RevError, SCMError, resolve_rev
    from scmrepo.exceptions import SCMError as GitError

    try:
        commit = resolve_rev(repo.scm, name)
        files = repo.scm.get_fs(commit)
    except (RevError, SCMError, GitError, AttributeError) as error:
        raise FactoryError(
            f"'{name}' is neither a folder with a build (params.yaml) or an evaluation (results.json), "
            "nor a revision of this repository"
        ) from error
    return Revision(name, files, repo.cache.local)


def _yaml(text: str, place: str) -> Any:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # a lock is long; LibYAML reads it ten times as fast
    try:
        return yaml.load(text, Loader=loader)
    except yaml.YAMLError as error:
        raise FactoryError(f"{place} cannot be read: {' '.join(str(error).split())}") from error
