"""fetch: take a corpus's motion files out of a published package, without installing it, and lay our captions beside.

Only pinned files with pinned hashes come through. The package's archive is thrown away; pip's cache keeps it near.
"""

import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from irg_core.errors import SourceError
from irg_core.files import whole_folder
from irg_core.params import section
from irg_core.summaries import summarise


@dataclass(frozen=True)
class FetchParams:
    package: str
    """Name on the package index."""
    version: str
    """The one version whose files the hashes belong to."""
    captions: Path
    """Our sentences for the motions; dvc.yaml hands them to the stage, which lays them beside as captions.yaml."""
    sha256: dict[str, str]
    """Path inside the package to the hash of the file; a file that is not named here is not taken."""


def main(corpus: str, captions: Path, out: Path) -> None:
    params = section(f"fetch.{corpus}", FetchParams)
    if not captions.exists():
        raise SourceError(f"{captions} is missing; params.yaml: fetch.{corpus}.captions names it")
    with tempfile.TemporaryDirectory() as aside, whole_folder(out) as folder:
        take_out(download(params.package, params.version, Path(aside)), params.sha256, folder)
        shutil.copyfile(captions, folder / "captions.yaml")
    summarise("fetch", corpus, package=f"{params.package} {params.version}", files=len(params.sha256))


def download(package: str, version: str, folder: Path) -> Path:
    """The package's wheel from the configured index; any platform's would do, so pip takes this one's."""
    command = [sys.executable, "-m", "pip", "download", f"{package}=={version}", "--no-deps", "--only-binary=:all:"]
    answer = subprocess.run(
        [*command, "--quiet", "--disable-pip-version-check", "--dest", folder],
        capture_output=True,
        text=True,
        check=False,
    )
    wheels = sorted(folder.glob("*.whl"))
    if answer.returncode or not wheels:
        said = (answer.stderr.strip() or "pip gave no reason").splitlines()[-1]
        raise SourceError(
            f"cannot download {package} {version} ({said}); check the network or pip's index, or put the motion files "
            "elsewhere and point corpora.*.root in params.yaml at that folder"
        )
    return wheels[0]


def take_out(wheel: Path, sha256: dict[str, str], folder: Path) -> None:
    """Copy the named files into `folder`; a missing file or another hash raises `SourceError`."""
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
        for name, expected in sorted(sha256.items()):
            if name not in inside:
                raise SourceError(f"{wheel.name} has no file {name}; the hashes in params.yaml fit another version")
            content = archive.read(name)
            found = hashlib.sha256(content).hexdigest()
            if found != expected:
                raise SourceError(
                    f"{name} in {wheel.name} has SHA-256 {found}, params.yaml says {expected}; do not use this file"
                )
            (folder / Path(name).name).write_bytes(content)
