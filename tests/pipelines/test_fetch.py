"""fetch against a package of our own, which pip finds in a folder: pinned files come out, anything else is an error."""

import hashlib
import zipfile
from pathlib import Path

import pytest
import yaml

from irg_core.errors import SourceError
from pipelines import fetch

MOTION = b'{"Loop": "none", "Frames": []}'
NAME = "mocapwheel"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to run in, with a package index that has one package."""
    index = tmp_path / "index"
    index.mkdir()
    with zipfile.ZipFile(index / f"{NAME}-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{NAME}/data/walk.txt", MOTION)
        wheel.writestr(f"{NAME}/data/LICENSE.txt", "not a motion")
        wheel.writestr(f"{NAME}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {NAME}\nVersion: 1.0\n")
        wheel.writestr(f"{NAME}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{NAME}-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "captions.yaml").write_text("walk: [a person walks]\n")
    return tmp_path


def run(place: Path, version: str = "1.0", name: str = "walk.txt", sha256: str = "") -> None:
    pinned = {f"{NAME}/data/{name}": sha256 or hashlib.sha256(MOTION).hexdigest()}
    values = {"package": NAME, "version": version, "captions": "captions.yaml", "sha256": pinned}
    (place / "params.yaml").write_text(yaml.safe_dump({"fetch": {"mocap": values}}))
    fetch.main("mocap", Path("captions.yaml"), Path("data/raw/mocap"))


def test_only_the_pinned_files_and_our_captions_come_out(place: Path) -> None:
    run(place)
    out = place / "data/raw/mocap"
    assert sorted(file.name for file in out.iterdir()) == ["captions.yaml", "walk.txt"]
    assert (out / "walk.txt").read_bytes() == MOTION
    assert (out / "captions.yaml").read_text() == "walk: [a person walks]\n"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": "9.9"}, rf"cannot download {NAME} 9.9 .*check the network"),
        ({"name": "run.txt"}, "has no file mocapwheel/data/run.txt"),
        ({"sha256": "0" * 64}, "params.yaml says 0000"),
    ],
)
def test_what_cannot_be_had_or_trusted_leaves_nothing_behind(place: Path, change: dict[str, str], message: str) -> None:
    with pytest.raises(SourceError, match=message):
        run(place, **change)
    assert not list((place / "data/raw").iterdir()) if (place / "data").exists() else True


def test_missing_captions_are_noticed_before_anything_is_downloaded(place: Path) -> None:
    (place / "captions.yaml").unlink()
    with pytest.raises(SourceError, match=r"captions\.yaml is missing"):
        run(place)
