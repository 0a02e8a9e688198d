"""`irg evaluate`: models side by side, through the real entry point, and what it refuses."""

import json
from collections.abc import Callable

import pytest

from tests.checkouts import Checkout

pytestmark = pytest.mark.services


def test_models_are_compared_without_touching_the_outs(branch: Callable[[], Checkout]) -> None:
    built = branch()
    said = built.run("irg", "evaluate", "data/models/base", "again=data/models/base", "--corpus", "deepmimic")
    assert "again against base: its motions: no difference shown in any of these numbers" in said
    found = json.loads((built.root / "runs/evaluations/latest/results.json").read_text())
    assert {name: row["answers"] for name, row in found["models"].items()} == {
        "references": "references", "base": "direct", "again": "direct",
    }  # fmt: skip
    assert {"real", "random", "reconstruction", "base", "again"} <= found["scores"].keys()
    assert found["scores"]["base"] == found["scores"]["again"]
    assert built.repro() == []

    for wrong, words in (
        (["data/models/base", "data/models/../models/base"], "more than one row would be called 'base'"),
        (["real=data/models/base"], "more than one row would be called 'real'"),
        (["nowhere"], "nowhere is neither a folder with a model here nor a name of the hub"),
        (["flows"], "flows holds no model"),
        (["data/models/base", "--answers", "song"], "one of direct, composed, trace"),
        (["data/models/base", "--corpus", "mocap"], "corpora has no mocap"),
    ):
        assert words in built.run("irg", "evaluate", *wrong, code=2)
