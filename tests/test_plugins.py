"""The file is the registration: every plug-in of a room keeps that room's contract."""

import dataclasses
import inspect

import pytest

from irg_core import params, plugins
from irg_core.errors import ParamsError, UnknownPlugin
from irg_core.llm.chat import provider


def modules(room: str) -> list[str]:
    return [f"{room}.{name}" for name in plugins.names(room)]


def load(path: str) -> object:
    room, _, name = path.rpartition(".")
    return plugins.load(room, name)


def parameters(function: object) -> list[str]:
    return list(inspect.signature(function).parameters)  # type: ignore[arg-type]  # found by name at run time


@pytest.mark.parametrize("path", modules("irg_core.corpora"))
def test_a_corpus_reads_a_root(path: str) -> None:
    assert parameters(load(path).read)[0] == "root"  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", modules("irg_core.metrics"))
def test_a_metric_computes_from_samples(path: str) -> None:
    assert parameters(load(path).compute)[0] == "samples"  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", modules("irg_core.rewards"))
def test_a_reward_scores_rollouts(path: str) -> None:
    assert parameters(load(path).score)[0] == "rollouts"  # type: ignore[attr-defined]
    assert isinstance(load(path).SCALED, bool)  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", modules("irg_core.motion.edits"))
def test_an_edit_makes_a_flaw_of_a_scene(path: str) -> None:
    assert parameters(load(path).edit) == ["scene", "source", "limits"]  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", modules("irg_core.tasks"))
def test_a_task_has_twenty_wordings_of_its_own(path: str) -> None:
    templates = load(path).TEMPLATES  # type: ignore[attr-defined]
    assert len(set(templates)) >= 20


@pytest.mark.parametrize("name", sorted(set(params.mapping("llm")) - {"prices"}))
def test_a_provider_is_set_up_by_its_entry_and_answers_requests(name: str) -> None:
    module = plugins.load("irg_core.llm", name)
    assert parameters(module.Provider) == ["model", "settings"]
    assert parameters(module.Provider.complete) == ["self", "request"]
    assert inspect.iscoroutinefunction(module.Provider.complete)
    assert isinstance(module.Provider.reads_payload, bool)
    params.section(f"llm.{name}", module.Settings)
    assert all(field.default is dataclasses.MISSING for field in dataclasses.fields(module.Settings))


@pytest.mark.parametrize("path", modules("irg_core.models.backbones"))
def test_a_backbone_is_set_up_by_its_entry_and_makes_a_model_or_only_its_shape(path: str) -> None:
    module, name = load(path), path.rpartition(".")[2]
    assert parameters(module.create) == ["settings", "texts", "codes", "seed"]  # type: ignore[attr-defined]
    assert parameters(module.config) == ["settings", "codes"]  # type: ignore[attr-defined]
    params.section(f"backbones.{name}", module.Settings)  # type: ignore[attr-defined]


def test_an_unknown_provider_is_told_which_exist() -> None:
    with pytest.raises(ParamsError, match="llm has: prices, kinematic, openai"):
        provider("opnai", "m")


def test_an_unknown_name_lists_what_exists() -> None:
    with pytest.raises(UnknownPlugin, match=r"no 'deepmimicc' in irg_core/corpora; it has: .*deepmimic.*procedural"):
        plugins.load("irg_core.corpora", "deepmimicc")
