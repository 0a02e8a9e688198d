"""A changed caption retrains the models that choose flaws, and must not buy the data set again."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from irg_core import params
from irg_core.annotate.describe import measure, source_captions
from irg_core.corpora import procedural
from irg_core.files import read_json
from irg_core.motion import features
from irg_core.motion.thresholds import KinematicsParams
from irg_core.params import section
from irg_core.records.annotation import Caption, Flawed, Pair
from irg_core.records.motion import Clip, Facts, Split, Take
from irg_core.tables import commit, read
from pipelines import inject

ROOT = Path(__file__).parents[2]
CODES = 16
CORPORA = ("p", "q")


def make_corpus(name: str, seed: int, clips: int = 36) -> tuple[list[Clip], list[Caption], list[Facts], list[Split]]:
    takes = procedural.read(Path(procedural.__file__).with_suffix(".yaml"), clips=clips, seed=seed)
    made = [
        Clip(f"{name}/{t.name}", name, f"{name}/{t.name}", t.cell, features.extract(t.joints), list(t.captions), "")
        for t in takes
        if isinstance(t, Take)
    ]
    sides = ["test", "val", *["train"] * 10]
    splits = [Split(clip.clip_id, name, sides[n % 12], False, [0, 1, 2]) for n, clip in enumerate(made)]
    return made, list(source_captions(made)), list(measure(made, section("kinematics", KinematicsParams))), splits


def train(at: Path, texts: list[str], seed: int) -> None:
    """Evaluator and base model with other weights, as another training would give them."""
    from irg_core.models.evaluator import Evaluator
    from irg_core.models.language import Language, LanguageConfig
    from irg_core.models.vocabulary import Vocabulary

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        judge = Evaluator.create("guo", 16, 1, 8, texts, {"mean": [0.0] * 263, "std": [1.0] * 263})
    base = Language.create(LanguageConfig(1, 16, 2, 16, 512), Vocabulary.learn(texts, 300, CODES), seed=seed)
    for name, model in (("reward", judge), ("base", base)):
        shutil.rmtree(at / name, ignore_errors=True)
        (at / name).mkdir()
        model.save(at / name)


def save_tokenizer(folder: Path, seed: int) -> None:
    from irg_core.models.vqvae import MotionTokenizer, VqConfig, VqVae

    config = VqConfig(width=8, depth=1, codes=CODES, code_width=4)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = VqVae(config, 263)
        net.codebook.vectors.copy_(torch.randn(CODES, 4))
    folder.mkdir(exist_ok=True)
    MotionTokenizer(net, config).save(folder)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two corpora, models, and the flaws made for both."""
    root = tmp_path_factory.mktemp("flaws")
    text = (ROOT / "params.yaml").read_text()
    text = text.replace("retrieval_gallery: 200", "retrieval_gallery: 20")
    (root / "params.yaml").write_text(re.sub(r"threads: \d+", "threads: 1", text))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setattr(params, "PATH", root / "params.yaml")
        splits: list[Split] = []
        for seed, name in enumerate(CORPORA, start=3):
            clips, captions, facts, assigned = make_corpus(name, seed)
            commit(root / f"clips/{name}.parquet", clips, Clip)
            commit(root / f"captions/{name}.parquet", captions, Caption)
            commit(root / f"facts/{name}.parquet", facts, Facts)
            splits += assigned
        commit(root / "splits.parquet", splits, Split)
        save_tokenizer(root / "tokenizer", 1)
        train(root, said(root), seed=1)
        run(root)
    return root


@pytest.fixture
def factory(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of what was built."""
    root = tmp_path / "factory"
    shutil.copytree(built, root)
    monkeypatch.chdir(root)
    monkeypatch.setattr(params, "PATH", root / "params.yaml")
    return root


def said(root: Path) -> list[str]:
    return [row.text for name in CORPORA for row in read(root / f"captions/{name}.parquet", Caption)]


def run(root: Path) -> None:
    for name in CORPORA:
        clips, captions, facts, flawed, pairs = (
            root / f"{table}/{name}.parquet" for table in ("clips", "captions", "facts", "flawed", "pairs")
        )
        inject.main(
            name, clips, captions, facts, root / "splits.parquet", root / "tokenizer", root / "reward", root / "base",
            flawed, pairs,
        )  # fmt: skip


def tables(root: Path, corpus: str) -> list[bytes]:
    return [(root / f"{room}/{corpus}.parquet").read_bytes() for room in ("flawed", "pairs")]


def pairs(root: Path, corpus: str) -> list[Pair]:
    return read(root / f"pairs/{corpus}.parquet", Pair)


def counts(root: Path, corpus: str) -> tuple[int, int]:
    summary = read_json(root / f"runs/summaries/inject@{corpus}.json")
    return summary["kept"], summary["drawn"]


def a_goal(root: Path) -> Caption:
    """A caption of the first corpus that serves as a goal."""
    goal = pairs(root, "p")[0].caption_id
    return next(row for row in read(root / "captions/p.parquet", Caption) if row.caption_id == goal)


def mend(root: Path, caption: Caption) -> None:
    """Change one caption, and train again what is trained on captions."""
    rows = read(root / "captions/p.parquet", Caption)
    mended = replace(caption, text="a person bows deeply, then jumps twice.")
    commit(
        root / "captions/p.parquet", [mended if row.caption_id == caption.caption_id else row for row in rows], Caption
    )
    train(root, said(root), seed=2)


def test_one_changed_caption_draws_anew_for_its_own_clip_and_leaves_the_other_corpus_alone(factory: Path) -> None:
    caption, before, other = a_goal(factory), pairs(factory, "p"), tables(factory, "q")
    mend(factory, caption)
    run(factory)
    assert tables(factory, "q") == other
    assert counts(factory, "q")[1] == 0
    # Also those for which this very clip was shown.
    touched = {row.clip_id for row in before if row.motion_id == caption.clip_id}
    kept, drawn = counts(factory, "p")
    assert 0 < drawn <= len(touched)
    assert kept + drawn == len({row.clip_id for row in before})
    untouched = [row for row in before if row.clip_id not in touched]
    assert untouched == [row for row in pairs(factory, "p") if row.clip_id not in touched]
    assert len(untouched) > 0.9 * len(before)


def test_the_distances_of_one_clip_come_from_one_evaluator(factory: Path) -> None:
    mend(factory, a_goal(factory))
    run(factory)
    judges: dict[str, set[str]] = {}
    for row in pairs(factory, "p"):
        judges.setdefault(row.clip_id, set()).add(row.evaluator)
    assert all(len(names) == 1 for names in judges.values())
    assert len(set.union(*judges.values())) == 2


def test_models_trained_again_alone_change_nothing(factory: Path) -> None:
    before = [tables(factory, name) for name in CORPORA]
    train(factory, said(factory), seed=5)
    run(factory)
    assert [tables(factory, name) for name in CORPORA] == before


@pytest.mark.parametrize("cause", ["redraw", "tokenizer", "thresholds"])
def test_what_flaws_are_made_with_makes_them_all_anew(factory: Path, cause: str) -> None:
    before = pairs(factory, "p")
    if cause == "tokenizer":
        save_tokenizer(factory / "tokenizer", 9)
    else:
        old, new = {"redraw": ("redraw: 0", "redraw: 1"), "thresholds": ("margin: 0.05", "margin: 0.04")}[cause]
        path = factory / "params.yaml"
        path.write_text(path.read_text().replace(old, new))
    run(factory)
    assert counts(factory, "p")[0] == 0
    assert {row.inputs for row in before}.isdisjoint(row.inputs for row in pairs(factory, "p"))


def test_a_clip_with_other_frames_is_drawn_anew(factory: Path) -> None:
    rows = read(factory / "clips/p.parquet", Clip)
    name = pairs(factory, "p")[0].clip_id
    mended = [replace(row, features=row.features + 0.001) if row.clip_id == name else row for row in rows]
    commit(factory / "clips/p.parquet", mended, Clip)
    run(factory)
    assert 0 < counts(factory, "p")[1] < len({row.clip_id for row in pairs(factory, "p")}) / 2


@pytest.mark.parametrize("harm", ["gone", "torn", "of another version", "lost a row"])
def test_a_memory_that_cannot_be_trusted_is_not_used(factory: Path, harm: str) -> None:
    before, path = tables(factory, "p"), factory / "flawed/p.parquet"
    if harm == "gone":
        path.unlink()
    elif harm == "torn":
        path.write_bytes(path.read_bytes()[:-200])
    elif harm == "of another version":
        commit(path, [Split("a", "p", "train", False, [])], Split)
    else:
        commit(path, read(path, Flawed)[1:], Flawed)
    run(factory)
    assert tables(factory, "p") == before, "what is drawn anew with the same models is the same"
    assert ("memory" in read_json(factory / "runs/summaries/inject@p.json")) == (harm in ("torn", "of another version"))
    assert (counts(factory, "p")[0] > 0) == (harm == "lost a row")


def test_every_flaw_names_its_clip_and_its_truth(factory: Path) -> None:
    flawed = {row.motion_id: row for row in read(factory / "flawed/p.parquet", Flawed)}
    for row in pairs(factory, "p"):
        assert row.inputs
        if row.source in ("edit", "rollout"):
            assert flawed[row.motion_id].truth == row.truth
            assert 0.0 < row.difficulty <= 1.0 or row.source == "edit"
    assert {row.source for row in pairs(factory, "p")} == {"goal", "edit", "retrieval", "rollout"}
