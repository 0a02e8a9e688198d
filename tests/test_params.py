"""params.yaml: a typo, a gap or a wrong type stops at once and says where and what there is."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from irg_core import params
from irg_core.errors import ParamsError


@dataclass(frozen=True)
class Noise:
    scale: float


@dataclass(frozen=True)
class WalkParams:
    steps: int
    noise: Noise
    shares: dict[str, float]

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError("steps must be at least 1")


GOOD = "walk:\n  steps: 3\n  noise: {scale: 0.5}\n  shares: {a: 1}  # a comment\n"


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_section_becomes_a_dataclass() -> None:
    Path("params.yaml").write_text(GOOD)
    assert params.section("walk", WalkParams) == WalkParams(3, Noise(0.5), {"a": 1.0})


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (GOOD.replace("steps: 3", "stepps: 3"), r"walk\.steps"),
        (GOOD + "  stride: 2\n", r"walk\.stride: Unexpected keyword argument"),
        (GOOD.replace("scale", "scalle"), r"walk\.noise"),
        (GOOD.replace("steps: 3", "steps: many"), r"walk\.steps: .*integer"),
        (GOOD.replace("steps: 3", "steps: 0"), "steps must be at least 1"),
        ("run: {}\n", "section 'walk' is missing; the top level has: run"),
    ],
)
def test_what_is_wrong_is_named(text: str, complaint: str) -> None:
    Path("params.yaml").write_text(text)
    with pytest.raises(ParamsError, match=complaint):
        params.section("walk", WalkParams)


def test_without_the_file_the_way_out_is_said() -> None:
    with pytest.raises(ParamsError, match="run from the root of the checkout"):
        params.section("walk", WalkParams)


def test_an_empty_mapping_has_no_names() -> None:
    Path("params.yaml").write_text("corpora: {}\n")
    with pytest.raises(ParamsError, match="'corpora' is empty"):
        params.names("corpora")


def test_a_corpus_that_loses_its_last_key_leaves_the_comment_of_the_next_section() -> None:
    before = "corpora:\n  b:\n    format: x\n    clips: 5  # five\n\n# What comes next.\nnext: 1\n"
    after = params.overlaid(before, {"corpora": {"b": {"format": "y"}}}, "here")
    assert after == "corpora:\n  b:\n    format: y\n\n# What comes next.\nnext: 1\n"


def test_a_profile_changes_values_and_keeps_comments() -> None:
    Path("params.yaml").write_text(GOOD)
    Path("small.yaml").write_text("walk: {steps: 1}\n")
    assert "+  steps: 1" in params.apply_profile(Path("small.yaml"))
    assert params.section("walk", WalkParams).steps == 1
    assert "# a comment" in Path("params.yaml").read_text()


def test_a_profile_adds_no_knob() -> None:
    Path("params.yaml").write_text(GOOD)
    Path("small.yaml").write_text("walk: {stride: 1}\n")
    with pytest.raises(ParamsError, match="'stride' is not in"):
        params.apply_profile(Path("small.yaml"))
    assert Path("params.yaml").read_text() == GOOD
