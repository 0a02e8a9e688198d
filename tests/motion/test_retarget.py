"""Any body as ours: whatever the names, unit, axes and rest poses, the motion that comes out is the one performed."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irg_core.corpora import bvh as bvh_corpus
from irg_core.corpora import procedural
from irg_core.motion import features, rotations
from irg_core.motion.layout import TO_Y, Axes
from irg_core.motion.resampling import resample, resample_rotations
from irg_core.motion.retarget import NO_AXIS, NO_NUMBERS, NO_SHAPE, NO_SIDES, CannotFit, fit, understand
from irg_core.motion.skeleton import FPS, INDEX, JOINTS, KIT, LENGTHS, MIRROR, OFFSETS, PARENTS, forward_kinematics
from irg_core.records.motion import Conventions, Hierarchy, Take
from irg_core.sources.walking import Found

DATA = Path(__file__).parents[2] / "../shared/data"
CMU = pytest.mark.skipif(not DATA.exists(), reason="needs CMU's motions, which are not part of the project")
BONES = OFFSETS.copy()
BONES[1:3] = LENGTHS[1:3, None] * [[0.6, -0.8, 0.0], [-0.6, -0.8, 0.0]]
"""Our bones, but hips that hang a little below the pelvis, as everybody's do."""
OURS = Hierarchy(tuple(JOINTS), tuple(PARENTS), BONES)


def walk(frames: int = 90) -> tuple[np.ndarray, np.ndarray]:
    """Joints [T, 22, 3] and world rotations [T, 22, 4] of someone who walks 1.5 m to +z, knees bent."""
    t = np.arange(frames) / 30
    swing = np.sin(2 * np.pi * t)
    local = np.zeros((frames, 22, 4))
    local[..., 0] = 1.0
    for side, sign in (("left", 1.0), ("right", -1.0)):
        local[:, INDEX[f"{side}_knee"]] = rotations.about("x", -0.1 - 0.5 * sign * swing)
        local[:, INDEX[f"{side}_ankle"]] = rotations.about("x", 0.5 + 0.4 * sign * swing)
        local[:, INDEX[f"{side}_elbow"]] = rotations.about("x", 0.3 * sign * swing)
        local[:, INDEX[f"{side}_wrist"]] = rotations.about("x", -0.4 + 0 * t)
    # Local rotations turn what ends at a joint here, as chains do; FK turns what leaves it.
    own = np.zeros_like(local)
    own[..., 0] = 1.0
    for joint in range(1, 22):
        if sum(parent == PARENTS[joint] for parent in PARENTS) == 1:
            own[:, PARENTS[joint]] = local[:, joint]
    root = np.stack([0 * t, 0.9 + 0.01 * swing, 0.5 * t], axis=-1)
    turned = own.copy()
    for joint in range(1, 22):
        turned[:, joint] = rotations.multiply(turned[:, PARENTS[joint]], own[:, joint])
    return forward_kinematics(root, own, BONES), turned


def take(
    joints: np.ndarray, hierarchy: Hierarchy = OURS, turned: np.ndarray | None = None, **conventions: object
) -> Take:
    return Take("take", joints, 30.0, (), "", "", hierarchy, turned, Conventions(**conventions))  # type: ignore[arg-type]


def seen_from(up: str, unit: float, mirrored: bool, joints: np.ndarray) -> np.ndarray:
    """Our joints as a source with other conventions would hold them."""
    there = joints * np.array([-1.0, 1.0, 1.0]) if mirrored else joints
    return rotations.rotate(rotations.inverse(np.array(TO_Y[up])), there) / unit


def same(a: np.ndarray, b: np.ndarray) -> bool:
    """The same motion, wherever it stands and whichever way it faces."""
    return bool(np.abs(features.normalise(a) - features.normalise(b)).max() < 1e-6)


@given(
    up=st.sampled_from(sorted(TO_Y)), unit=st.sampled_from([1.0, 0.01, 0.001, 0.0254, 0.056444]), mirrored=st.booleans()
)
@settings(max_examples=40, deadline=None)
def test_unit_axes_and_handedness_are_found(up: str, unit: float, mirrored: bool) -> None:
    joints, _ = walk()
    strange = take(seen_from(up, unit, mirrored, joints), replace(OURS, offsets=seen_from(up, unit, mirrored, BONES)))
    found = understand(strange)
    assert (found.up, found.unit, found.mirrored) == (up, unit, mirrored)
    assert abs(found.facing) < 1 or abs(found.facing) > 179 or up[-1] != "y"
    assert same(fit(strange).joints, joints)


def test_positions_without_a_rest_pose_find_up_by_walking() -> None:
    grammar = Path(__file__).parents[2] / "irg_core/corpora/procedural.yaml"
    made = (source for source in procedural.read(grammar, clips=60, seed=3) if isinstance(source, Take))
    joints = next(source.joints for source in made if any(" walk" in caption.text for caption in source.captions))
    strange = take(seen_from("z", 0.01, False, joints))  # its rest pose is still y up, and in metres
    assert understand(strange).up == "z"
    assert same(fit(strange).joints, joints)


def test_one_who_lies_is_not_stood_up_where_the_file_knows_its_rest_pose() -> None:
    joints, turned = walk()
    still, turns = np.repeat(joints[:1], 40, axis=0), np.repeat(turned[:1], 40, axis=0)
    down = rotations.about("x", np.pi / 2)
    lying = take(rotations.rotate(down, still), turned=rotations.multiply(np.broadcast_to(down, turns.shape), turns))
    assert understand(lying).up == "y"
    assert understand(lying).problems
    assert np.abs(fit(lying).joints - lying.joints).max() < 1e-9


def test_joints_alone_have_no_rest_pose_and_the_body_tells_what_is_up() -> None:
    joints, _ = walk()
    still = np.repeat(joints[:1], 40, axis=0)
    assert understand(take(seen_from("z", 1.0, False, still))).up == "z"


def test_what_is_declared_is_believed() -> None:
    joints, _ = walk()
    assert same(fit(take(seen_from("-z", 1 / 0.02, False, joints), up="-z", unit=1 / 0.02)).joints, joints)
    assert fit(take(joints, unit=0.5)).joints[0, 0, 1] == pytest.approx(0.5 * joints[0, 0, 1])
    with pytest.raises(CannotFit) as error:
        fit(take(joints, up="upwards"))
    assert error.value.args[0] == NO_AXIS


def test_a_body_in_no_known_unit_becomes_a_person() -> None:
    joints, _ = walk()
    found = understand(take(joints * 7.0))
    assert found.height == pytest.approx(1.7)
    assert found.problems


def test_our_own_joints_pass_untouched() -> None:
    joints, turned = walk()
    plain = Take("take", joints * 1000, 20.0, (), "", "", rotations=turned)
    fitted = fit(plain)
    assert fitted.joints is plain.joints
    assert fitted.notes == ()
    assert fit(replace(plain, conventions=Conventions(unit=0.001))).joints == pytest.approx(joints)


def test_joints_that_are_missing_are_laid_in_where_a_body_has_them() -> None:
    joints, _ = walk()
    few = [
        name for name in JOINTS if name not in ("spine1", "spine2", "left_collar", "right_collar", "head", "left_foot")
    ]
    kept = [INDEX[name] for name in few]
    parents = []
    for name in few:
        parent = PARENTS[INDEX[name]]
        while parent >= 0 and parent not in kept:
            parent = PARENTS[parent]
        parents.append(kept.index(parent) if parent >= 0 else -1)
    offsets = np.stack([
        BONES[0] if parent < 0 else reference()[joint] - reference()[kept[parent]]
        for joint, parent in zip(kept, parents, strict=True)
    ])  # fmt: skip
    strange = take(joints[:, kept], Hierarchy(tuple(few), tuple(parents), offsets))
    found = understand(strange)
    assert set(JOINTS) - set(few) <= set(found.interpolated) <= set(JOINTS) - set(few) | {"spine3"}
    away = np.linalg.norm(fit(strange).joints - joints, axis=-1).mean(axis=0)
    assert away[[INDEX["spine1"], INDEX["spine2"]]].max() < 0.02
    assert away[[INDEX["left_collar"], INDEX["left_foot"]]].max() < 0.12
    assert away[INDEX["head"]] < 0.15


def reference() -> np.ndarray:
    """Our joints [22, 3] in the reference pose."""
    still = np.zeros((1, 22, 4))
    still[..., 0] = 1.0
    return forward_kinematics(np.zeros((1, 3)), still, BONES)[0]


def test_bones_of_no_length_do_no_harm() -> None:
    joints, turned = walk()
    doubled = [joint for joint in range(22) for _ in range(2)]
    names = tuple(f"{JOINTS[joint]}{'_dummy' if index % 2 == 0 else ''}" for index, joint in enumerate(doubled))
    parents = tuple(
        index - 1 if index % 2 else 2 * PARENTS[joint] + 1 if joint else -1 for index, joint in enumerate(doubled)
    )
    offsets = np.stack([BONES[joint] * (index % 2 == 0) for index, joint in enumerate(doubled)])
    fitted = fit(take(joints[:, doubled], Hierarchy(names, parents, offsets), turned[:, doubled]))
    assert np.isfinite(fitted.joints).all()
    assert fitted.rotations is not None
    assert np.isfinite(fitted.rotations).all()
    assert same(fitted.joints, joints)


def test_sides_without_names_are_told_by_knees_and_toes() -> None:
    joints, _ = walk()
    nameless = Hierarchy(tuple(f"node{joint}" for joint in range(22)), tuple(PARENTS), BONES)
    limbs = [joint for name, joint in INDEX.items() if name.endswith(("knee", "ankle", "foot", "elbow", "wrist"))]
    assert np.abs(fit(take(joints, nameless)).joints[:, limbs] - joints[:, limbs]).max() < 1e-9
    swapped = Hierarchy(nameless.names, nameless.parents, BONES[MIRROR])
    found = understand(take(joints[:, MIRROR], swapped)).joints
    assert found["left_wrist"] == f"node{INDEX['right_wrist']}"
    legless = np.zeros((22, 3))
    legless[:, 1] = joints[0, :, 1]
    legless[:, 0] = joints[0, :, 0]
    with pytest.raises(CannotFit) as error:
        fit(take(np.repeat(legless[None], 20, 0), nameless))
    assert error.value.args[0] == NO_SIDES


def test_a_rest_pose_before_the_motion_is_dropped_and_one_within_it_is_not() -> None:
    joints, _ = walk()
    bent = joints.copy()
    arms = [INDEX[f"{side}_{part}"] for side in ("left", "right") for part in ("elbow", "wrist")]
    bent[:, arms] += np.array([0.0, 0.25, 0.3])
    rest = (reference() + np.array([0.0, 0.9, 0.0]))[None]
    slide = 0.5 * rest + 0.5 * bent[:1]
    with_rest = fit(take(np.concatenate([rest, rest, slide, bent])))
    assert len(with_rest.joints) == len(bent)
    assert np.abs(with_rest.joints - bent).max() < 1e-9
    assert any("rest pose" in note for note in with_rest.notes)
    slowly = rest + np.linspace(0, 1, 60)[:, None, None] * (bent[:1] - rest)
    assert len(fit(take(np.concatenate([slowly, bent]))).joints) == 60 + len(bent)
    assert len(fit(take(np.concatenate([bent, rest, bent]))).joints) == 2 * len(bent) + 1


def test_frames_that_are_not_numbers_are_left_for_the_audit() -> None:
    joints, _ = walk()
    joints[5] = np.nan
    fitted = fit(take(joints * 100))
    assert np.isnan(fitted.joints[5]).all()
    assert np.isfinite(np.delete(fitted.joints, 5, axis=0)).all()
    with pytest.raises(CannotFit) as error:
        fit(take(np.full((9, 22, 3), np.nan)))
    assert error.value.args[0] == NO_NUMBERS


@given(up=st.sampled_from(sorted(TO_Y)), mirrored=st.booleans())
@settings(max_examples=12, deadline=None)
def test_rotations_come_along_and_point_the_bones(up: str, mirrored: bool) -> None:
    joints, turned = walk()
    # In the source's axes a rotation turns what is seen there: there · R · back.
    back = Axes(up, mirrored, 1.0)
    there = np.array(TO_Y[up])
    theirs = turned * np.array([1.0, 1.0, -1.0, -1.0]) if mirrored else turned
    theirs = rotations.multiply(rotations.multiply(rotations.inverse(there), theirs), there)
    hierarchy = replace(OURS, offsets=seen_from(up, 1.0, mirrored, BONES))
    fitted = fit(take(seen_from(up, 1.0, mirrored, joints), hierarchy, theirs))
    assert np.abs(back.turns(theirs) - turned).max() < 1e-9
    assert fitted.rotations is not None
    bones = rotations.rotate(fitted.rotations[:, PARENTS[1:]], np.broadcast_to(BONES[1:], (len(joints), 21, 3)))
    arms = [joint - 1 for joint in range(1, 22) if JOINTS[joint].endswith(("knee", "ankle", "foot", "elbow", "wrist"))]
    assert np.abs(bones - (fitted.joints[:, 1:] - fitted.joints[:, PARENTS[1:]]))[:, arms].max() < 1e-6


def test_kits_left_handed_axes_are_mirrored_back() -> None:
    joints, _ = walk()
    names = "root BP BT BLN BUN LS LE LW RS RE RW LH LK LA LMrot LF RH RK RA RMrot RF".split()  # noqa: SIM905
    ours = (
        "pelvis spine2 spine3 neck head left_shoulder left_elbow left_wrist right_shoulder right_elbow right_wrist "
        "left_hip left_knee left_ankle left_ankle left_foot right_hip right_knee right_ankle right_ankle right_foot"
    )
    stored = joints[:, [INDEX[name] for name in ours.split()]] * np.array([-1000.0, 1000.0, 1000.0])
    offsets = np.concatenate([stored[:1, 0] * 0, stored[0, 1:] - stored[0, KIT.parents[1:]]])
    found = understand(take(stored, Hierarchy(tuple(names), KIT.parents, offsets), unit=0.001))
    assert found.family == "KIT (MMM)"
    assert found.mirrored
    fitted = fit(take(stored, Hierarchy(tuple(names), KIT.parents, offsets), unit=0.001))
    limbs = [joint for name, joint in INDEX.items() if name.endswith(("knee", "ankle", "foot", "elbow", "wrist"))]
    assert np.abs(fitted.joints - joints)[:, limbs].max() < 1e-9


def test_joints_that_are_not_those_of_the_hierarchy_are_refused() -> None:
    with pytest.raises(CannotFit) as error:
        fit(take(walk()[0][:, :20]))
    assert error.value.args[0] == NO_SHAPE


# --- CMU's motions, three families of skeletons -----------------------------------------------------------------------


def cmu(*names: str) -> list[Take]:
    """Takes of CMU, read as any BVH folder is."""
    wanted = {f"cmu/bvh20/{name}.bvh" for name in names} | {f"formats/{name}.bvh" for name in names}
    read = []
    for path in sorted(wanted):
        if (DATA / path).exists():
            read.append(one(DATA / path))
    return read


def one(path: Path) -> Take:
    return replace(bvh_corpus.motion(Found(path, path.name)), name=path.stem)


def on_uniform_body(source: Take) -> np.ndarray:
    return features.retarget(resample(fit(source).joints, source.fps, FPS))


@CMU
def test_all_clips_of_cmu_become_people_who_stand_on_the_floor_and_face_ahead() -> None:
    with (DATA / "cmu/descriptions.csv").open(encoding="utf-8") as table:
        clips = [row["clip"] for row in csv.DictReader(table)]
    for name in clips:
        source = one(DATA / f"cmu/bvh20/{name}.bvh")
        found, fitted = understand(source), fit(source)
        assert 1.4 <= found.height <= 2.0, name
        assert (found.up, found.mirrored, found.problems) == ("y", False, ()), name
        joints = features.normalise(features.retarget(resample(fitted.joints, source.fps, FPS)))
        assert joints[..., 1].min() == 0
        left = joints[:, INDEX["left_hip"]] - joints[:, INDEX["right_hip"]]
        left = left + joints[:, INDEX["left_shoulder"]] - joints[:, INDEX["right_shoulder"]]
        assert left[0, 0] > 0, name
        assert abs(left[0, 2]) < 1e-9, name
        # Toes lie ahead and the left arm on the left: left is left.
        ahead = np.cross(left, [0.0, 1.0, 0.0])
        for side, sign in (("left", 1), ("right", -1)):
            toes = joints[:, INDEX[f"{side}_foot"]] - joints[:, INDEX[f"{side}_ankle"]]
            arm = joints[:, INDEX[f"{side}_elbow"]] - joints[:, INDEX["spine3"]]
            assert (toes * ahead).sum(-1).mean() > 0, name
            assert sign * (arm * left).sum(-1).mean() > 0, name
        # No rest pose is left: nobody leaps in the first step.
        pose = joints - joints[:, :1]
        steps = np.linalg.norm(pose[1:] - pose[:-1], axis=-1).mean(axis=-1)
        assert steps[0] < 4 * np.median(steps[:20]) + 0.01, name


@CMU
def test_every_family_drops_the_rest_poses_it_has() -> None:
    rests = {source.name: understand(source).rest_frames for source in cmu("02_01", "131_01", "60_01", "01_01")}
    assert rests["02_01"] == 1
    assert rests["131_01"] == 0
    assert rests["60_01"] >= 1
    assert rests["01_01"] == 0


@CMU
@pytest.mark.parametrize(("take_of", "again"), [("01_01", "assimp_01_01"), ("02_01", "iclone_002_01")])
def test_one_take_on_two_skeletons_is_one_motion(take_of: str, again: str) -> None:
    bodies = {source.name: source for source in cmu(take_of, again)}
    a, b = (features.normalise(on_uniform_body(bodies[name])) for name in (take_of, again))
    length = min(len(a), len(b))
    # One of them may have lost a frame at its start; proportions and joints differ.
    apart = min(
        float(np.median(np.linalg.norm(a[shift : length - 3] - b[: length - 3 - shift], axis=-1))) for shift in range(3)
    )
    assert apart < 0.08


@CMU
def test_exact_features_give_back_the_joints_by_rotations_and_by_positions() -> None:
    for source in cmu("02_01", "135_x07", "01_01", "131_01", "05_02"):
        fitted = fit(source)
        assert fitted.rotations is not None
        joints = features.retarget(resample(fitted.joints, source.fps, FPS))
        turned = resample_rotations(fitted.rotations, source.fps, FPS)
        wanted = features.normalise(joints)[:-1]
        rows = features.extract(joints, turned)
        assert np.abs(features.to_joints(rows) - wanted).max() < 1e-5
        assert np.abs(features.to_joints_by_rotations(rows, LENGTHS, exact=True) - wanted).max() < 1e-5
        again = features.to_joints(features.extract(features.to_joints(rows)))
        assert np.abs(again - features.normalise(wanted)[:-1]).max() < 1e-4


@CMU
def test_rates_agree_and_mirroring_twice_is_nothing() -> None:
    source = cmu("05_02")[-1]
    assert source.fps == 120
    joints = fit(source).joints
    fast, slow = resample(joints, 120.0, FPS), resample(joints[::2], 60.0, FPS)
    length = min(len(fast), len(slow))
    apart = np.linalg.norm(fast[:length] - slow[:length], axis=-1)
    assert apart.mean() < 0.0005
    assert apart.max() < 0.02  # in a pirouette, at the toes
    flip = np.array([-1.0, 1.0, 1.0])
    once = fast[:, MIRROR] * flip
    assert np.abs(once[:, MIRROR] * flip - fast).max() == 0
    back = features.to_joints(features.extract(features.retarget(once)))[:, MIRROR] * flip
    assert np.abs(back - features.to_joints(features.extract(features.retarget(fast)))).max() > 0.01
