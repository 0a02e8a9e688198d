"""dvc.yaml against the code: too little listed, and a stale table looks fresh; too much, and all is bought again."""

import ast
import dataclasses
import importlib
import operator
import re
import shlex
import typing
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from irg_core import params, plugins
from pipelines.__main__ import stages

ROOT = Path(__file__).parents[1]
PARAMS: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text())
DAG: dict[str, dict[str, Any]] = {
    name: entry.get("do", entry) for name, entry in yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"].items()
}


@cache
def imports(file: Path) -> list[Path]:
    """See `_imports`; many stages ask for the same files."""
    return list(_imports(file))


def _imports(file: Path) -> Iterator[Path]:
    """The files of irg_core that one file imports anywhere in it, also inside of its functions."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            path = ROOT / (name.replace(".", "/") + ".py")
            if name.startswith("irg_core.") and path.exists():
                yield path


def closure(files: list[Path]) -> set[str]:
    """Everything in irg_core that is reached from these files, as paths from the root."""
    seen: set[Path] = set()
    waiting = list(files)
    while waiting:
        for found in imports(waiting.pop()):
            if found not in seen:
                seen.add(found)
                waiting.append(found)
    return {str(path.relative_to(ROOT)) for path in seen}


def entry_files(stage: str) -> list[Path]:
    """The stage's module, and every plug-in that its dependencies name by a parameter or as a whole room."""
    files = [ROOT / "pipelines" / f"{stage}.py"]
    for dep in DAG[stage]["deps"]:
        if dep.startswith("irg_core/"):
            files += ROOT.glob(re.sub(r"\$\{[^}]+\}", "*", dep))
    return [file for path in files for file in ([path] if path.suffix == ".py" else path.glob("*.py"))]


def outs(stage: str) -> list[str]:
    listed = [*DAG[stage].get("outs", []), *DAG[stage].get("metrics", [])]
    return [next(iter(out)) if isinstance(out, dict) else out for out in listed]


def is_data(path: str) -> bool:
    return path.startswith(("data/", "${item."))


def test_every_stage_is_a_module_and_every_module_a_stage() -> None:
    assert sorted(DAG) == sorted(stages())


@pytest.mark.parametrize("stage", DAG)
def test_the_command_names_the_stage_and_exactly_its_data(stage: str) -> None:
    python, dash_m, package, name, *arguments = shlex.split(DAG[stage]["cmd"])
    assert (python, dash_m, package, name) == ("python", "-m", "flows", stage)
    assert sorted(filter(is_data, arguments)) == sorted(filter(is_data, [*DAG[stage]["deps"], *outs(stage)]))


@pytest.mark.parametrize("stage", DAG)
def test_what_a_stage_imports_is_what_it_depends_on(stage: str) -> None:
    listed = [dep for dep in DAG[stage]["deps"] if not is_data(dep)]
    assert f"pipelines/{stage}.py" in listed
    reached = closure(entry_files(stage))
    uncovered = [file for file in reached if not any(file == dep or file.startswith(f"{dep}/") for dep in listed)]
    assert sorted(uncovered) == []
    idle = [dep for dep in listed if re.fullmatch(r"irg_core/[^$]+\.py", dep) and dep not in reached]
    assert idle == [], "listed, but never imported"


Place = tuple[Path, str]
"""A file and the name of something at its top; no name: the file itself."""


@cache
def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text())


@cache
def meanings(file: Path) -> dict[str, Place]:
    """What the names of a file stand for: what it defines, what it imports, and files that it imports."""
    tree = parsed(file)
    found: dict[str, Place] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                module = ROOT / f"{node.module.replace('.', '/')}.py"
                inner = module.with_suffix("") / f"{alias.name}.py"
                found[alias.asname or alias.name] = (inner, "") if inner.exists() else (module, alias.name)
    return found | {name: (file, name) for name in definitions(tree)}


@cache
def definitions(tree: ast.Module) -> dict[str, ast.stmt]:
    found: dict[str, ast.stmt] = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found[node.name] = node
        elif isinstance(node, ast.Assign):
            found |= {target.id: node for target in node.targets if isinstance(target, ast.Name)}
    return found


def mentioned(node: ast.AST, names: dict[str, Place]) -> Iterator[Place]:
    """The definitions that a piece of code speaks of."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name) and inner.id in names:
            yield names[inner.id]
        elif isinstance(inner, ast.Attribute) and isinstance(inner.value, ast.Name):
            file, name = names.get(inner.value.id, (ROOT, "none"))
            if not name:
                yield file, inner.attr


def rooms(node: ast.AST, tree: ast.Module) -> Iterator[str]:
    """The rooms of which a piece of code loads plug-ins, as folders: written there, or as a constant of its module."""
    constants = {name: one.value for name, one in definitions(tree).items() if isinstance(one, ast.Assign)}
    for inner in ast.walk(node):
        if isinstance(inner, ast.Call) and ast.unparse(inner.func) == "plugins.load":
            room = inner.args[0]
            value = constants.get(room.id) if isinstance(room, ast.Name) else room
            assert isinstance(value, ast.Constant), f"a room that cannot be read off: {ast.unparse(inner)}"
            yield str(value.value).replace(".", "/")


@cache
def loaded(stage: str) -> set[str]:
    """The rooms that a stage may load plug-ins of: itself, in what it calls, or in the plug-ins that it loads."""
    seen: set[Place] = set()
    found: set[str] = set()
    waiting = everything(ROOT / f"pipelines/{stage}.py")
    while waiting:
        place = waiting.pop()
        file, name = place
        if place in seen or not file.exists():
            continue
        seen.add(place)
        tree = parsed(file)
        if node := definitions(tree).get(name):
            waiting += mentioned(node, meanings(file))
            for room in set(rooms(node, tree)) - found:
                found.add(room)
                waiting += [one for plugin in (ROOT / room).glob("*.py") for one in everything(plugin)]
    return found


def everything(file: Path) -> list[Place]:
    return [(file, name) for name in definitions(parsed(file))]


def covers(dep: str, room: str) -> bool:
    """Whether a dependency is a room, or the file of it that a parameter names."""
    return dep == room or re.fullmatch(re.escape(room) + r"/\$\{[^}/]+\}\.py", dep) is not None


@pytest.mark.parametrize("stage", DAG)
def test_a_stage_depends_on_the_plugins_that_it_loads_by_name(stage: str) -> None:
    uncovered = [room for room in loaded(stage) if not any(covers(dep, room) for dep in DAG[stage]["deps"])]
    assert sorted(uncovered) == [], "another plug-in there would leave the stage as if nothing had changed"


@pytest.mark.parametrize("stage", DAG)
def test_a_stage_depends_on_what_the_plugins_import_that_it_loads(stage: str) -> None:
    listed = DAG[stage]["deps"]
    for room in sorted(loaded(stage)):
        reached = closure(sorted((ROOT / room).glob("*.py")))
        uncovered = [file for file in reached if not any(file == dep or file.startswith(f"{dep}/") for dep in listed)]
        assert sorted(uncovered) == [], room


def test_the_rooms_are_found_where_they_are_loaded() -> None:
    found = {stage: loaded(stage) for stage in DAG}
    asking = {stage: {"irg_core/llm"} for stage in ("describe", "analyse", "assess")}
    assert {stage: rooms for stage, rooms in found.items() if rooms} == asking | {
        "ingest": {"irg_core/corpora"},
        "inject": {"irg_core/motion/edits"},
        "compose": {"irg_core/tasks"},
        "train_base": {"irg_core/models/backbones"},
        "train_stage3": {"irg_core/rewards"},
        "evaluate": {"irg_core/motion/edits", "irg_core/metrics"},
    }


@pytest.mark.parametrize("stage", DAG)
def test_a_merging_stage_reads_only_the_corpora_that_are_named(stage: str) -> None:
    reads_per_corpus_folders = any(
        any(out.startswith(f"{dep}/${{key}}") for other in DAG for out in outs(other))
        for dep in DAG[stage]["deps"]
        if dep not in {"data/reports/evaluation", "data/generations", "data/models/evaluators"}
    )
    assert not reads_per_corpus_folders or "corpora" in DAG[stage]["params"]


def test_every_section_is_a_stage_or_known_and_has_its_dataclass() -> None:
    assert set(PARAMS) - {"corpora", "skeleton", "features", "runtime", "llm", "backbones", "kinematics"} == set(DAG)


def sections() -> Iterator[tuple[str, str]]:
    """Each call `section("<name>", <Class>)` in the pipelines, with foreach keys filled in."""
    for stage in stages():
        for node in ast.walk(ast.parse((ROOT / "pipelines" / f"{stage}.py").read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "section":
                name, shape = node.args
                if isinstance(name, ast.Constant):
                    # How the work is done changes no output, so no stage depends on it.
                    if name.value != "runtime":
                        yield str(name.value), f"{stage}:{ast.unparse(shape)}"
                else:
                    assert isinstance(name, ast.JoinedStr)
                    head = name.values[0]
                    assert isinstance(head, ast.Constant)
                    parent = str(head.value).rstrip(".")
                    for key in params.mapping(parent):
                        yield f"{parent}.{key}", f"{stage}:{ast.unparse(shape)}"


def dataclass_at(place: str) -> Any:
    """The class that "<stage>:<name or module.name>" speaks of."""
    stage, shape = place.split(":")
    return operator.attrgetter(shape)(importlib.import_module(f"pipelines.{stage}"))


@pytest.mark.parametrize(("name", "place"), sections())
def test_every_section_fits_its_dataclass_which_has_no_defaults(name: str, place: str) -> None:
    shape = dataclass_at(place)
    params.section(name, shape)
    for field in dataclasses.fields(shape):
        assert field.default is dataclasses.MISSING, f"{place}.{field.name}: a default is invisible to DVC"
        assert field.default_factory is dataclasses.MISSING


@pytest.mark.parametrize("stage", DAG)
def test_a_stage_that_reads_a_section_depends_on_it(stage: str) -> None:
    listed = DAG[stage]["params"]
    for name, place in sections():
        if place.startswith(f"{stage}:"):
            top = name.split(".")[0]
            assert any(entry.split(".")[0] == top for entry in listed), f"{stage} reads {name}"


def keys_of(name: str, shape: Any) -> Iterator[str]:
    """Every key that a dataclass reads, dataclasses inside of it by their own keys."""
    for key, hint in typing.get_type_hints(shape).items():
        inside = [inner for inner in (hint, *typing.get_args(hint)) if dataclasses.is_dataclass(inner)]
        if inside and typing.get_origin(hint) is not dict:
            yield from (deeper for inner in inside for deeper in keys_of(f"{name}.{key}", inner))
        else:
            yield f"{name}.{key}"


def keys_read(stage: str) -> list[str]:
    places = [(name, place) for name, place in sections() if place.startswith(f"{stage}:")]
    return [key for name, place in places for key in keys_of(name, dataclass_at(place))]


def unlisted(keys: list[str], listed: list[str]) -> list[str]:
    """Keys of which a change would leave a stage with this list of params as it is.

    A mapping is read for one of its entries where the list has it by the stage's own key.
    """
    shapes = [re.sub(r"\\\$\\\{[^}]+\}", r"[^.]+", re.escape(entry)) for entry in listed]
    seen = re.compile("|".join(rf"{shape}(\..+)?" for shape in shapes))
    return [key for key in keys if not seen.fullmatch(key) and f"{key}.${{key}}" not in listed]


@pytest.mark.parametrize("stage", DAG)
def test_a_stage_depends_on_every_key_that_it_reads(stage: str) -> None:
    assert unlisted(keys_read(stage), DAG[stage]["params"]) == [], "a change there would leave the stage as it is"


@pytest.mark.parametrize("stage", DAG)
def test_no_entry_of_a_section_that_is_listed_key_by_key_can_be_left_out(stage: str) -> None:
    listed, keys = DAG[stage]["params"], keys_read(stage)
    for entry in listed:
        if any(key == entry or key.startswith(f"{entry}.") for key in keys):
            assert unlisted(keys, [other for other in listed if other != entry]), entry


@pytest.mark.parametrize("profile", sorted((ROOT / "profiles").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_profile_fits_the_sections(profile: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    cases = list(sections())
    monkeypatch.chdir(tmp_path)
    params.apply_profile(profile)
    for name, place in cases:
        params.section(name, dataclass_at(place))


def test_a_file_that_is_read_and_not_imported_is_some_stages_dependency() -> None:
    listed = {dep for stage in DAG.values() for dep in stage["deps"]} | {c["root"] for c in PARAMS["corpora"].values()}
    listed |= {package["captions"] for package in PARAMS["fetch"].values()}
    for file in (ROOT / "irg_core").rglob("*"):
        name = str(file.relative_to(ROOT))
        if file.is_file() and file.suffix not in {".py", ".pyc"}:
            assert any(name == dep or name.startswith(f"{dep}/") for dep in listed), name


@pytest.mark.parametrize("stage", DAG)
def test_a_stage_depends_on_the_files_that_its_code_names(stage: str) -> None:
    listed = [dep for dep in DAG[stage]["deps"] if not is_data(dep)]
    for module in closure(entry_files(stage)):
        code = (ROOT / module).read_text(encoding="utf-8")
        for file in (ROOT / module).parent.iterdir():
            if file.is_file() and file.suffix != ".py" and f'"{file.name}"' in code:
                name = str(file.relative_to(ROOT))
                assert any(name == dep or name.startswith(f"{dep}/") for dep in listed), f"{module} reads {name}"


def test_answers_that_were_paid_for_stay_while_their_stage_reruns() -> None:
    for stage, entry in DAG.items():
        for out in entry.get("outs", []):
            if "transcripts" in str(out):
                assert isinstance(out, dict), f"{stage} would delete its transcripts before it runs"
                assert next(iter(out.values())) == {"persist": True}


@pytest.mark.parametrize("stage", [name for name, entry in PARAMS.items() if "provider" in entry])
def test_a_stage_that_asks_depends_on_how_its_provider_is_set_up(stage: str) -> None:
    assert f"llm.${{{stage}.provider}}" in DAG[stage]["params"]
    assert PARAMS[stage]["provider"] in PARAMS["llm"]


def test_base_depends_on_how_its_backbone_is_set_up() -> None:
    assert "backbones.${train_base.backbone}" in DAG["train_base"]["params"]
    assert PARAMS["train_base"]["backbone"] in PARAMS["backbones"]


def test_the_plugins_named_in_the_parameters_exist() -> None:
    for entry in PARAMS["corpora"].values():
        assert entry["format"] in plugins.names("irg_core.corpora")
