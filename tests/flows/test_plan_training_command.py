import json
from pathlib import Path

import pytest
import yaml

from flows.commands.plan_training import plan_training, plans
from irg_core.errors import ParamsError

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _at_the_root_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def test_the_demo_is_planned_as_its_parameters_say() -> None:
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    found = {plan.stage: (plan, workers) for plan, workers in plans()}
    for stage, section in (("train_base", params["train_base"]["training"]), ("train_stage2", params["train_stage2"])):
        plan, workers = found[stage]
        assert (plan.steps, plan.tokens, workers) == (section["steps"], section["steps"] * section["tokens"], 1)
        assert 0 < plan.weights < plan.memory < 4 * 2**30
    last, section = found["train_stage3"][0], params["train_stage3"]
    assert last.sampled == section["steps"] * section["goals"] * section["group"] * section["max_tokens"]
    assert last.weights == 2 * last.gradients, "its reference is held beside it"


@pytest.mark.services
def test_the_published_recipe_is_planned_without_data_weights_or_a_network(capsys: pytest.CaptureFixture[str]) -> None:
    before = (ROOT / "params.yaml").read_bytes()
    plan_training("paper", 1000.0, 2.0, as_json=True)
    base, *others = json.loads(capsys.readouterr().out)
    assert (ROOT / "params.yaml").read_bytes() == before
    assert base["parameters"] == pytest.approx(2.616e9, rel=1e-3)
    assert base["trained"] < base["parameters"] / 20
    assert all(row["trained"] == row["parameters"] == base["parameters"] for row in others)
    for row in (base, *others):
        assert row["memory"] == sum(row[name] for name in ("weights", "gradients", "moments", "activations"))
        assert row["memory"] < 80e9, "made for accelerators of 80 GB"
        assert row["hours"] * 8 * 3600 * 1000 == pytest.approx(row["tokens"] + row["sampled"])
        assert row["dollars"] == pytest.approx(row["hours"] * 8 * 2)


def test_an_unknown_profile_is_told_which_exist() -> None:
    with pytest.raises(ParamsError, match=r"no profiles/papper\.yaml; there are: .*paper"):
        plan_training("papper", 0.0, 0.0, as_json=False)
