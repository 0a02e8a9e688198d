"""A build of KIT's skeleton: the real stages from a corpus to codes, then motions out again."""

import re
from pathlib import Path

import numpy as np
import pytest

from irg_core.annotate import inject
from irg_core.corpora import kitml
from irg_core.errors import ParamsError
from irg_core.exports import bvh, humanml3d
from irg_core.files import read_json
from irg_core.models.evaluator import Evaluator
from irg_core.models.vqvae import MotionTokenizer
from irg_core.motion import bvh as bvh_files
from irg_core.motion import features, representation
from irg_core.motion.skeleton import FPS, JOINTS
from irg_core.motion.thresholds import KinematicsParams
from irg_core.params import choice, section
from irg_core.records.annotation import Caption
from irg_core.records.exchange import Motion
from irg_core.records.motion import Clip, Facts, MotionTokens, Take
from irg_core.tables import read
from pipelines import describe, encode, ingest, split, train_evaluators, train_tokenizer, validate_clips
from tests.checkouts import Checkout, copy_of_the_project

TINY = {
    "clips: 2000": "clips: 12",
    "net: {width: 256, depth: 3, codes: 256, code_width: 32}": "net: {width: 16, depth: 1, codes: 16, code_width: 8}",
    "steps: 3500": "steps: 100",
    "precision: bfloat16": "precision: float32",
    "threads: 2": "threads: 1",
    "batch: 32\n  window: 64": "batch: 8\n  window: 32",
    "width: 128\n    layers: 1\n    embedding: 128": "width: 16\n    layers: 1\n    embedding: 16",
    "steps: 400": "steps: 3",
    "provider: kinematic  # a file in irg_core/llm": "provider: kinematic",
}


@pytest.fixture(scope="module")
def builds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One corpus of twelve clips in the `data/` of two copies of the project, one a skeleton."""
    made = {}
    for skeleton in ("t2m", "kit"):
        copy = copy_of_the_project(tmp_path_factory.mktemp(skeleton) / "project")
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(copy.root)
            _set_up(copy, skeleton)
            _measured()
            if skeleton == "kit":
                _trained()
        made[skeleton] = copy.root / "data"
    return made


def _set_up(copy: Checkout, skeleton: str) -> None:
    for old, new in TINY.items():
        copy.edit("params.yaml", old, new)
    copy.edit("params.yaml", "skeleton: t2m", f"skeleton: {skeleton}")
    text = (copy.root / "params.yaml").read_text()
    (copy.root / "params.yaml").write_text(re.sub(r"  deepmimic:\n    format.*\n    root.*\n", "", text))


def _measured() -> None:
    data, name = Path("data"), "procedural"
    clips, facts, captions = (data / f"{room}/{name}.parquet" for room in ("clips", "facts", "captions"))
    root = Path("irg_core/corpora/procedural.yaml")
    ingest.main(name, root, clips, data / "rejections/ingest.parquet", data / "findings/procedural.parquet")
    describe.main(name, clips, facts, captions, data / "transcripts.parquet", data / "rejections/describe.parquet")


def _trained() -> None:
    data = Path("data")
    clips, captions, splits, stats = (data / name for name in ("clips", "captions", "splits.parquet", "stats.json"))
    verdict, page = data / "verdict.json", data / "verdict.html"
    split.main(clips, splits, stats, data / "twins.parquet")
    validate_clips.main(clips, splits, data / "twins.parquet", data / "facts", verdict, page)
    train_tokenizer.main(clips, splits, stats, verdict, data / "models/tokenizer")
    encode.main("procedural", clips / "procedural.parquet", data / "models/tokenizer", data / "tokens.parquet")
    train_evaluators.main("reward", clips, captions, splits, stats, verdict, data / "models/reward")


@pytest.fixture
def kit(builds: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(builds["kit"].parent)
    return builds["kit"]


def clips_of(data: Path) -> list[Clip]:
    return read(data / "clips/procedural.parquet", Clip)


def motions_of(data: Path) -> list[Motion]:
    said = {clip.clip_id: [caption.text for caption in clip.captions] for clip in clips_of(data)}
    return [Motion(clip.clip_id, "p", "train", said[clip.clip_id], [], clip.features, "") for clip in clips_of(data)]


def test_the_same_clips_are_stored_in_251_numbers_at_twelve_and_a_half_a_second(builds: dict[str, Path]) -> None:
    ours, kits = (clips_of(builds[skeleton]) for skeleton in ("t2m", "kit"))
    assert [clip.clip_id for clip in ours] == [clip.clip_id for clip in kits]
    assert len(ours) == 12
    for one, other in zip(ours, kits, strict=True):
        assert (one.features.shape[1], other.features.shape[1]) == (263, 251)
        assert len(other.features) / 12.5 == pytest.approx(len(one.features) / 20, abs=0.13)
    assert np.median([clip.features[:, 3].mean() for clip in kits]) == pytest.approx(900, abs=100)  # millimetres


def test_what_is_found_in_a_motion_does_not_depend_on_the_skeleton(builds: dict[str, Path]) -> None:
    found = []
    for skeleton in ("t2m", "kit"):
        rows = read(builds[skeleton] / "facts/procedural.parquet", Facts)
        found.append(
            [[(phase.action, phase.side, phase.direction, phase.count) for phase in row.phases] for row in rows]
        )
    same = sum(ours == kits for ours, kits in zip(*found, strict=True))
    assert same >= 10, found


def test_statistics_tokenizer_and_evaluator_are_as_wide_as_the_rows(kit: Path) -> None:
    assert len(read_json(kit / "stats.json")["mean"]) == 251
    tokenizer = MotionTokenizer.load(kit / "models/tokenizer")
    codes = {row.clip_id: row.tokens for row in read(kit / "tokens.parquet", MotionTokens)}
    clips = clips_of(kit)
    assert [len(codes[clip.clip_id]) for clip in clips] == [len(clip.features) // 4 for clip in clips]
    decoded = tokenizer.decode([codes[clip.clip_id] for clip in clips])
    assert {rows.shape[1] for rows in decoded} == {251}
    points = Evaluator.load(kit / "models/reward").embed_motions([clips[0].features, *decoded])
    assert np.isfinite(points).all()
    joints = representation.to_joints(decoded[0])
    assert joints.shape == ((len(decoded[0]) - 1) * 8 // 5 + 1, 22, 3)
    assert np.isfinite(joints).all()


def test_training_brings_motions_nearer_than_the_mean_pose(kit: Path) -> None:
    tokenizer = MotionTokenizer.load(kit / "models/tokenizer")
    mean, std = (np.array(read_json(kit / "stats.json")[name]) for name in ("mean", "std"))
    learned, lazy = [], []
    for clip in clips_of(kit):
        (again,) = tokenizer.decode(tokenizer.encode([clip.features]))
        truth = clip.features[: len(again)]
        learned.append(np.abs((again - truth) / std).mean())
        lazy.append(np.abs((mean - truth) / std).mean())
    assert np.mean(learned) < 0.95 * np.mean(lazy)


def test_a_flawed_motion_is_made_of_the_rows_of_its_clip(kit: Path) -> None:
    params, limits = section("inject", inject.InjectParams), section("kinematics", KinematicsParams)
    said: dict[str, list[Caption]] = {}
    for caption in read(kit / "captions/procedural.parquet", Caption):
        said.setdefault(caption.clip_id, []).append(caption)
    facts = {row.clip_id: row for row in read(kit / "facts/procedural.parquet", Facts)}
    clips = {clip.clip_id: clip.features for clip in clips_of(kit)}
    aims = inject.aims(dict.fromkeys(clips, "train"), said, facts, 0, params)
    wanted = [aim for aim in aims if aim.wanted["edit"]]
    lent = [[(clips[name], facts[name].phases) for name in aim.lent] for aim in wanted]
    works = [inject.Work(aim, clips[aim.clip_id], others) for aim, others in zip(wanted, lent, strict=True)]
    made = inject.edited(works, params, limits, "compatible")
    assert len(made) > 3
    assert {flaw.features.shape[1] for flaw in made} == {251}
    assert all(flaw.facts.seconds == pytest.approx(len(flaw.features) / 12.5, abs=1e-3) for flaw in made)


def test_what_a_model_makes_is_measured_as_its_clips_are(kit: Path) -> None:
    params, limits = section("inject", inject.InjectParams), section("kinematics", KinematicsParams)
    said = {row.clip_id: [row] for row in read(kit / "captions/procedural.parquet", Caption)}
    facts = {row.clip_id: row for row in read(kit / "facts/procedural.parquet", Facts)}
    clips = {clip.clip_id: clip.features for clip in clips_of(kit)}
    aims = inject.aims(dict.fromkeys(clips, "train"), said, facts, 0, params)
    tokenizer = MotionTokenizer.load(kit / "models/tokenizer")
    decoded = tokenizer.decode([[0] * (4 * place) for place, _ in enumerate(aims)])
    tries = [inject.Attempt(f"{place}", aim, rows) for place, (aim, rows) in enumerate(zip(aims, decoded, strict=True))]
    made = inject.missed(tries, limits)
    assert len(made) > len(aims) / 2
    assert {flaw.features.shape[1] for flaw in made} == {251}
    assert all(flaw.facts.seconds == pytest.approx(len(flaw.features) / 12.5, abs=1e-3) for flaw in made)


def test_motions_leave_as_bvh_of_our_body(kit: Path, tmp_path: Path) -> None:
    motions = motions_of(kit)
    assert bvh.write(motions, tmp_path) == 12
    parsed = bvh_files.parse((tmp_path / f"{motions[0].name}.bvh").read_bytes())
    positions, _ = bvh_files.pose(parsed)
    ours = positions[:, [parsed.hierarchy.names.index(name) for name in JOINTS]] / bvh.CENTIMETRES
    assert parsed.fps == pytest.approx(FPS)
    assert np.abs(ours - representation.to_joints(motions[0].features)).max() < 0.001


def test_motions_leave_as_kits_own_folder_which_comes_in_again(kit: Path, tmp_path: Path) -> None:
    motions = motions_of(kit)
    assert humanml3d.write(motions, tmp_path) == 12
    takes = [take for take in kitml.read(tmp_path) if isinstance(take, Take)]
    assert len(takes) == 12
    assert {take.name for take in takes} == {motion.name.replace("/", "_") for motion in motions}
    stored = {motion.name.replace("/", "_"): features.to_joints(motion.features) for motion in motions}
    for take in takes:
        assert take.hierarchy
        hip, foot = (take.hierarchy.names.index(name) for name in ("LH", "LF"))
        assert np.abs(take.joints[:, [hip, foot]] - stored[take.name][:, [11, 15]]).max() < 0.01


def test_an_unknown_skeleton_is_one_sentence(kit: Path) -> None:
    with pytest.raises(ParamsError, match="skeleton: 'kit' is none of t2m, smpl"):
        choice("skeleton", ["t2m", "smpl"])
