"""Builds with exact features: true rotations where a source has them, inverse kinematics where it has positions."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from irg_core.corpora import bvh as bvh_corpus
from irg_core.corpora import procedural
from irg_core.exports import bvh
from irg_core.motion import features, posing, representation, rotations
from irg_core.motion.audit import AuditParams
from irg_core.motion.ingest import UNTURNED, Ingested, IngestParams, ingest
from irg_core.motion.representation import COMPATIBLE, EXACT, KIT, KIT_LENGTHS, MODES, T2M, Representation
from irg_core.motion.skeleton import FPS, INDEX, LENGTHS, MIRROR, PARENTS, forward_kinematics
from irg_core.params import section
from irg_core.records.motion import Clip, SourceCaption, Take

PARAMS = IngestParams(min_seconds=2.0, max_seconds=10.0)
RULES = section("audit", AuditParams)
GRAMMAR = Path("irg_core/corpora/procedural.yaml")
CMU = Path("../shared/data/cmu/bvh20")
TRUE, COMPAT = (representation.made(T2M, mode) for mode in (EXACT, COMPATIBLE))
FOREARM = slice(67 + 6 * (INDEX["left_wrist"] - 1), 67 + 6 * INDEX["left_wrist"])


def turning(seconds: float = 6.0, fps: float = 60.0, twist: float = 1.0) -> Take:
    """One who turns on the spot by half a turn, swings an arm, and twists its forearm; with true rotations."""
    count = round(seconds * fps) + 1
    at = np.linspace(0.0, 1.0, count)
    local = np.zeros((count, 22, 4))
    local[..., 0] = 1.0
    local[:, 0] = rotations.about("y", np.pi * at)
    local[:, INDEX["right_shoulder"]] = rotations.about("x", -0.8 * np.sin(4 * np.pi * at))
    local[:, INDEX["left_knee"]] = rotations.about("x", 0.4 + 0.3 * np.sin(2 * np.pi * at))
    local[:, INDEX["neck"]] = rotations.about("x", np.full(count, -1.4))
    local[:, INDEX["left_elbow"]] = rotations.about("y", twist * at)
    joints = forward_kinematics(np.broadcast_to([0.0, 0.95, 0.0], (count, 3)), local)
    turned = local.copy()
    for joint, parent in enumerate(PARENTS[1:], start=1):
        turned[:, joint] = rotations.multiply(turned[:, parent], local[:, joint])
    return Take("a", joints, fps, (SourceCaption("somebody turns", ""),), "turn", "", rotations=turned)


def through(take: Take, kind: Representation = TRUE) -> Ingested:
    return ingest(take, "c", PARAMS, RULES, kind)


def clip(take: Take, kind: Representation = TRUE) -> Clip:
    ((only, _),) = through(take, kind).clips
    return only


def kinds(result: Ingested) -> set[str]:
    return {finding.kind for finding in result.findings}


def test_true_rotations_go_in_and_positions_come_back_by_either_half_of_the_row() -> None:
    take = turning()
    result, rows = through(take), clip(take).features
    assert result.true_turns
    assert UNTURNED not in kinds(result)
    wanted = features.normalise(take.joints[::3])[:-1]
    # Clips are rounded to six digits: at an even turn all roundings go one way, and add up.
    assert np.abs(features.to_joints(rows) - wanted).max() < 2e-4
    assert np.abs(features.to_joints_by_rotations(rows, LENGTHS, exact=True) - wanted).max() < 1e-3


def test_only_true_rotations_know_of_a_twist() -> None:
    still, twisted = turning(twist=0.0), turning(twist=1.0)
    assert np.abs(clip(still).features - clip(twisted).features)[:, FOREARM].max() > 0.5
    assert np.array_equal(clip(still, COMPAT).features, clip(twisted, COMPAT).features)
    one, other = (clip(replace(take, rotations=None)).features for take in (still, twisted))
    assert np.array_equal(one, other)


def test_joints_without_rotations_get_them_by_inverse_kinematics_and_it_is_told() -> None:
    bare = replace(turning(), rotations=None)
    result, rows = through(bare), clip(bare).features
    assert not result.true_turns
    assert UNTURNED in kinds(result)
    assert UNTURNED not in kinds(through(bare, COMPAT))
    wanted = features.to_joints(rows)
    assert np.abs(features.to_joints_by_rotations(rows, LENGTHS, exact=True) - wanted).max() < 1e-3
    # The heading of each frame, not one smoothed over seconds: half a turn in 120 rows.
    assert rows[20:100, 0] == pytest.approx(np.full(80, -np.pi / 2 / 120), abs=1e-3)


def test_rotations_that_no_longer_belong_to_the_mended_body_are_not_believed() -> None:
    take = turning()
    swapped = replace(take, joints=take.joints[:, MIRROR])
    result = through(swapped)
    assert {"left and right", UNTURNED} <= kinds(result)
    assert len(result.clips) == 1


def test_a_moment_without_rotations_is_bridged() -> None:
    take = turning()
    holes = take.rotations.copy() if take.rotations is not None else np.zeros(0)
    holes[100:104] = np.nan
    assert np.abs(clip(replace(take, rotations=holes)).features - clip(take).features).max() < 0.02
    holes[:] = np.nan
    assert UNTURNED in kinds(through(replace(take, rotations=holes)))


def test_an_exact_row_does_not_depend_on_where_the_body_faces() -> None:
    take = turning()
    assert take.rotations is not None
    turn = rotations.about("y", 2.0)
    turned = replace(
        take,
        joints=rotations.rotate(turn, take.joints),
        rotations=rotations.multiply(np.broadcast_to(turn, take.rotations.shape), take.rotations),
    )
    for one in (take, replace(take, rotations=None)):
        other = replace(turned, rotations=turned.rotations if one.rotations is not None else None)
        assert np.abs(clip(one).features - clip(other).features).max() < 1e-3


def test_kits_body_has_exact_rows_as_well() -> None:
    kind = representation.made(KIT, EXACT)
    for take in (turning(), replace(turning(), rotations=None)):
        rows = clip(take, kind).features
        assert rows.shape[1] == 251
        back = features.to_joints_by_rotations(rows, KIT_LENGTHS * KIT.metre, exact=True)
        assert np.abs(back - features.to_joints(rows)).max() < 1.0  # millimetre
        # No bone is turned about any more than the body and the twist are: no hip by half a turn, as in KIT's own rows.
        local = rows[:, 3 * 21 + 1 : 9 * 21 - 5].reshape(len(rows), 20, 6)
        steps = np.abs(np.diff(local, axis=0)).max(axis=(0, 2))
        assert steps.max() < 0.2


def test_inverse_kinematics_stands_in_the_reference_pose_and_bends_hinges_as_they_were() -> None:
    still = np.zeros((1, 22, 4))
    still[..., 0] = 1.0
    pose = forward_kinematics(np.zeros((1, 3)), still)
    assert np.abs(np.abs(posing.joints_turned(pose)[..., 0]) - 1.0).max() < 1e-6
    take = turning(twist=0.0)
    assert take.rotations is not None
    found = posing.joints_turned(take.joints)
    likeness = np.abs((found * take.rotations).sum(axis=-1))
    # The ends of chains turn about axes of their own, of which positions know nothing.
    known = [joint for joint in range(22) if joint in PARENTS]
    assert likeness[:, known].min() > 0.9999


@pytest.mark.parametrize("mode", MODES)
def test_every_corpus_comes_back_within_a_hundredth_of_a_millimetre(mode: str) -> None:
    kind = representation.made(T2M, mode)
    for take in list(procedural.read(GRAMMAR, clips=12, seed=3)):
        rows = kind.rows(take.joints, FPS)
        once = features.to_joints(rows)
        assert np.abs(once - features.normalise(take.joints)[:-1]).max() < 1e-5
        again = features.to_joints(kind.rows(once, FPS))
        assert np.abs(again - features.normalise(once)[:-1]).max() < 1e-5


def test_matrices_become_quaternions_again() -> None:
    rng = np.random.Generator(np.random.PCG64(5))
    whole = rotations.normalise(rng.normal(size=(500, 4)))
    whole[:4] = np.eye(4)  # half turns about the axes, and none
    back = rotations.from_matrix(rotations.matrix(whole))
    assert np.abs((back * whole).sum(axis=-1)) == pytest.approx(1.0)


def test_a_bvh_of_exact_rows_turns_bones_as_the_source_did(tmp_path: Path) -> None:
    rows = clip(turning()).features
    joints = representation.to_joints(rows)
    (tmp_path / "a.bvh").write_text(bvh.text(joints, turned=representation.bones_turned(rows, joints)))
    (tmp_path / "b.bvh").write_text(bvh.text(joints))
    exact, plain = (take for take in bvh_corpus.read(tmp_path) if isinstance(take, Take))
    again = clip(exact).features
    assert len(again) == len(rows) - 1
    assert np.abs(again - rows[:-1])[:, 4:193].max() < 0.01
    assert np.abs(clip(plain).features - rows[:-1])[:, FOREARM].max() > 0.5
    assert np.abs(plain.joints[:, 0] - exact.joints[:, 0]).max() < 1e-3


@pytest.mark.skipif(not CMU.exists(), reason="needs ../shared/data/cmu")
def test_recordings_of_every_family_go_in_exactly() -> None:
    takes = [take for take in bvh_corpus.read(CMU) if isinstance(take, Take)][::12]
    checked = 0
    for take in takes:
        result = through(take)
        for made, _ in result.clips:
            wanted = features.to_joints(made.features)
            back = features.to_joints_by_rotations(made.features, LENGTHS, exact=True)
            # Rows are rounded to six digits, and a chain adds up.
            assert np.abs(back - wanted).max() < 1e-3, made.clip_id
            checked += 1
        assert result.true_turns or not result.clips
    assert checked >= 10
