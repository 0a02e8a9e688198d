"""describe to compose, in one go, on a few clips and untrained models."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from irg_core import params
from irg_core.annotate.claims import claims
from irg_core.corpora import procedural
from irg_core.motion import features
from irg_core.records.annotation import Analysis, Assessment, Caption, Flawed, Pair, Rejection, Transcript
from irg_core.records.audit import Finding
from irg_core.records.motion import Clip, Facts, MotionTokens, Split, Take
from irg_core.records.training import Example, Goal
from irg_core.tables import commit, read
from pipelines import analyse, assess, compose, describe, inject, verify

ROOT = Path(__file__).parents[2]
CODES = 16


def make_inputs(folder: Path) -> None:
    """Forty procedural clips, their splits and tokens, and models that were never trained."""
    from irg_core.models.evaluator import Evaluator
    from irg_core.models.language import Language, LanguageConfig
    from irg_core.models.vocabulary import Vocabulary
    from irg_core.models.vqvae import MotionTokenizer, VqConfig, VqVae

    takes = procedural.read(Path(procedural.__file__).with_suffix(".yaml"), clips=40, seed=3)
    clips = [
        Clip(f"p/{take.name}", "p", f"p/{take.name}", take.cell, features.extract(take.joints), list(take.captions), "")
        for take in takes
        if isinstance(take, Take)
    ]
    commit(folder / "clips.parquet", clips, Clip)
    sides = ["test", "val", *["train"] * 6]
    splits = [Split(clip.clip_id, "p", sides[n % 8], False, [0, 1, 2]) for n, clip in enumerate(clips)]
    commit(folder / "splits.parquet", splits, Split)
    commit(folder / "twins.parquet", [], Finding)
    texts = [caption.text for clip in clips for caption in clip.captions]
    generator = torch.Generator().manual_seed(1)
    config = VqConfig(width=8, depth=1, codes=CODES, code_width=4)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        net = VqVae(config, 263)
        net.codebook.vectors.copy_(torch.randn(CODES, 4, generator=generator))
        tokenizer = MotionTokenizer(net, config)
        judge = Evaluator.create("guo", 16, 1, 8, texts, {"mean": [0.0] * 263, "std": [1.0] * 263})
    base = Language.create(LanguageConfig(1, 16, 2, 16, 512), Vocabulary.learn(texts, 300, CODES), seed=1)
    for name, model in (("tokenizer", tokenizer), ("reward", judge), ("base", base)):
        (folder / name).mkdir()
        model.save(folder / name)
    codes = tokenizer.encode([clip.features for clip in clips])
    rows = [MotionTokens(clip.clip_id, row) for clip, row in zip(clips, codes, strict=True)]
    commit(folder / "tokens" / "p.parquet", rows, MotionTokens)


def run_stages(at: Path, map_batches: Callable[..., object] = map) -> None:
    def table(name: str) -> Path:
        return at / name / "p.parquet"

    clips, splits = at / "clips.parquet", at / "splits.parquet"
    describe.main("p", clips, table("facts"), table("captions"), table("t1"), table("r1"), map_batches=map_batches)
    analyse.main("p", table("captions"), table("analyses"), table("t2"), table("r2"))
    inject.main(
        "p", clips, table("captions"), table("facts"), splits, at / "tokenizer", at / "reward", at / "base",
        table("flawed"), table("pairs"), map_batches=map_batches,
    )  # fmt: skip
    assess.main("p", table("pairs"), table("facts"), table("flawed"), table("assessments"), table("t3"), table("r3"))
    verify.main(
        "p", table("assessments"), table("r3"), table("pairs"), table("facts"), table("flawed"),
        table("verified"), table("r4"), at / "grounding" / "p.json",
    )  # fmt: skip
    compose.main(
        at / "tokens", at / "flawed", at / "captions", at / "analyses", at / "pairs", at / "verified", splits,
        at / "twins.parquet", at / "base", at / "stage1.parquet", at / "stage2.parquet", at / "stage3.parquet",
    )  # fmt: skip


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which all six stages ran."""
    folder = tmp_path_factory.mktemp("engine")
    text = (ROOT / "params.yaml").read_text()
    text = re.sub(
        r"^corpora:\n(?:[ #].*\n|\n)+", "corpora: {p: {format: procedural, root: x}}\n\n", text, flags=re.MULTILINE
    )
    text = text.replace("retrieval_gallery: 200", "retrieval_gallery: 20")
    (folder / "params.yaml").write_text(re.sub(r"threads: \d+", "threads: 1", text))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(params, "PATH", folder / "params.yaml")
        (folder / "data").mkdir()
        make_inputs(folder / "data")
        run_stages(folder / "data")
    return folder


def test_every_clip_has_facts_and_its_source_captions(engine: Path) -> None:
    clips = read(engine / "data/clips.parquet", Clip)
    facts = read(engine / "data/facts/p.parquet", Facts)
    written = read(engine / "data/captions/p.parquet", Caption)
    assert {row.clip_id for row in facts} == {clip.clip_id for clip in clips}
    assert sum(row.source == "source" for row in written) == sum(len(clip.captions) for clip in clips)
    assert sum(row.source == "kinematic" for row in written) > 0.9 * len(clips)


def test_a_written_caption_agrees_with_the_facts(engine: Path) -> None:
    facts = {row.clip_id: row.phases for row in read(engine / "data/facts/p.parquet", Facts)}
    for caption in read(engine / "data/captions/p.parquet", Caption):
        if caption.source == "kinematic":
            said, measured = claims(caption.text), facts[caption.clip_id]
            assert [phase.action for phase in said] == [phase.action for phase in measured]
            assert [phase.side for phase in said] == [phase.side for phase in measured]


def test_every_caption_has_an_analysis(engine: Path) -> None:
    analyses = read(engine / "data/analyses/p.parquet", Analysis)
    assert {row.caption_id for row in analyses} == {
        row.caption_id for row in read(engine / "data/captions/p.parquet", Caption)
    }


def test_pairs_show_the_goal_motion_and_flawed_ones_of_every_source(engine: Path) -> None:
    pairs = read(engine / "data/pairs/p.parquet", Pair)
    flawed = {row.motion_id for row in read(engine / "data/flawed/p.parquet", Flawed)}
    assert {pair.source for pair in pairs} == {"goal", "edit", "retrieval", "rollout"}
    assert all(pair.motion_id in flawed for pair in pairs if pair.source in ("edit", "rollout"))
    assert all(pair.distance == 0 for pair in pairs if pair.source == "goal")
    test_clips = {row.clip_id for row in read(engine / "data/splits.parquet", Split) if row.split == "test"}
    assert not test_clips & {pair.clip_id for pair in pairs}
    assert not test_clips & {pair.motion_id for pair in pairs}


def test_most_judgements_are_believed_and_none_is_lost(engine: Path) -> None:
    said = read(engine / "data/assessments/p.parquet", Assessment)
    kept = read(engine / "data/verified/p.parquet", Assessment)
    refused = read(engine / "data/r4/p.parquet", Rejection)
    assert len(kept) + len(refused) == len(said) == len(read(engine / "data/pairs/p.parquet", Pair))
    assert len(kept) > 0.9 * len(said)


def test_all_stages_of_training_have_their_examples(engine: Path) -> None:
    stage1 = read(engine / "data/stage1.parquet", Example)
    assert {example.task for example in stage1} == set(params_tasks(engine))
    assert {example.split for example in stage1} == {"train", "val"}
    assert read(engine / "data/stage2.parquet", Example)
    assert {goal.split for goal in read(engine / "data/stage3.parquet", Goal)} == {"train"}


def params_tasks(engine: Path) -> list[str]:
    block = (engine / "params.yaml").read_text().partition("compose:")[2].partition("stage1_examples")[0]
    return re.findall(r"^    (\w+):", block, flags=re.MULTILINE)


def test_a_second_run_asks_nothing_and_gives_the_same_bytes(engine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(engine)
    monkeypatch.setattr(params, "PATH", engine / "params.yaml")
    tables = sorted((engine / "data").rglob("*.parquet"))
    before = [path.read_bytes() for path in tables]
    ledgers = sorted((engine / "runs/ledger").rglob("*.jsonl"))
    asked = [path.stat().st_size for path in ledgers]
    run_stages(engine / "data", map_batches=backwards)
    assert [path.read_bytes() for path in tables] == before
    assert [path.stat().st_size for path in ledgers] == asked


def backwards(function: Callable[..., object], *batches: list[object]) -> list[object]:
    """A map that does its work in another order, as a pool does; like the builtin it ends with the shortest."""
    return list(reversed([function(*row) for row in reversed(list(zip(*batches, strict=False)))]))


def test_without_its_ledger_a_stage_starts_from_the_table(engine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(engine)
    monkeypatch.setattr(params, "PATH", engine / "params.yaml")
    shutil.rmtree(engine / "runs/ledger/analyse")
    at, before = engine / "data", (engine / "data/t2/p.parquet").read_bytes()
    analyse.main("p", at / "captions/p.parquet", at / "analyses/p.parquet", at / "t2/p.parquet", at / "r2/p.parquet")
    assert (at / "t2/p.parquet").read_bytes() == before
    lines = (engine / "runs/ledger/analyse/p.jsonl").read_text().splitlines()
    assert len(lines) == len(read(at / "t2/p.parquet", Transcript))
