"""Names of the skeletons in use are understood, whatever they call a shoulder; without names the tree speaks."""

from contextlib import suppress
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from irg_core.motion.roles import NO_ARMS, NO_LEGS, UNKNOWN_JOINT, CannotFit, Roles, find
from irg_core.motion.skeleton import JOINTS, LENGTHS, PARENTS

LEG, ARM = ("hip", "knee", "ankle", "foot"), ("collar", "shoulder", "elbow", "wrist")

# A rig: its spine from the pelvis up to where the arms leave, neck and head, then leg and arm with * for the side
# and ? for its first letter.
RIGS = {
    "CMU, MotionBuilder names": (
        "Hips LowerBack Spine Spine1", "Neck Neck1 Head",
        "?HipJoint *UpLeg *Leg *Foot *ToeBase", "*Shoulder *Arm *ForeArm *Hand *FingerBase", ("Left", "Right"),
    ),
    "Poser / DAZ": (
        "hip abdomen chest", "neck head", "*Buttock *Thigh *Shin *Foot", "*Collar *Shldr *ForeArm *Hand", "lr",
    ),
    "Character Creator": (
        "CC_Base_Hip CC_Base_Waist CC_Base_Spine01 CC_Base_Spine02", "CC_Base_NeckTwist01 CC_Base_Head",
        "CC_Base_*_Thigh CC_Base_*_Calf CC_Base_*_Foot CC_Base_*_ToeBase",
        "CC_Base_*_Clavicle CC_Base_*_Upperarm CC_Base_*_Forearm CC_Base_*_Hand", "LR",
    ),
    "Mixamo": (
        "mixamorig:Hips mixamorig:Spine mixamorig:Spine1 mixamorig:Spine2", "mixamorig:Neck mixamorig:Head",
        "mixamorig:*UpLeg mixamorig:*Leg mixamorig:*Foot mixamorig:*ToeBase",
        "mixamorig:*Shoulder mixamorig:*Arm mixamorig:*ForeArm mixamorig:*Hand mixamorig:*HandIndex1",
        ("Left", "Right"),
    ),
    "Biovision": (
        "Hips Chest Chest2", "Neck Head", "*Hip *Knee *Ankle *Toe", "*Collar *Shoulder *Elbow *Wrist",
        ("Left", "Right"),
    ),
    "SMPL": (
        "Pelvis Spine1 Spine2 Spine3", "Neck Head", "*_Hip *_Knee *_Ankle *_Foot",
        "*_Collar *_Shoulder *_Elbow *_Wrist *_Hand",
        "LR",
    ),
    "Unreal": (
        "pelvis spine_01 spine_02 spine_03", "neck_01 head", "thigh_* calf_* foot_* ball_*",
        "clavicle_* upperarm_* lowerarm_* hand_* index_01_*", "lr",
    ),
    "Unity": (
        "Hips Spine Chest UpperChest", "Neck Head", "*UpperLeg *LowerLeg *Foot *Toes",
        "*Shoulder *UpperArm *LowerArm *Hand", ("Left", "Right"),
    ),
    "Rigify": (
        "spine spine.001 spine.002 spine.003", "spine.004 spine.005 spine.006", "thigh.* shin.* foot.* toe.*",
        "shoulder.* upper_arm.* forearm.* hand.* palm.01.*", "LR",
    ),
    "3ds Max Biped": (
        "Bip01_Pelvis Bip01_Spine Bip01_Spine1", "Bip01_Neck Bip01_Head",
        "Bip01_*_Thigh Bip01_*_Calf Bip01_*_Foot Bip01_*_Toe0",
        "Bip01_*_Clavicle Bip01_*_UpperArm Bip01_*_Forearm Bip01_*_Hand Bip01_*_Finger0", "LR",
    ),
    "Xsens": (
        "Pelvis L5 L3 T12 T8", "Neck Head", "*UpperLeg *LowerLeg *Foot *Toe", "*Shoulder *UpperArm *Forearm *Hand",
        ("Left", "Right"),
    ),
    "OptiTrack": ("Hip Ab Chest", "Neck Head", "*Thigh *Shin *Foot *Toe", "*Shoulder *UArm *FArm *Hand", "LR"),
    "Noitom": (
        "Hips Spine Spine1 Spine2 Spine3", "Neck Neck1 Head", "*UpLeg *Leg *Foot",
        "*Shoulder *Arm *ForeArm *Hand *InHandIndex", ("Left", "Right"),
    ),
    "Acclaim": (
        "root lowerback upperback thorax", "lowerneck upperneck head", "*hipjoint *femur *tibia *foot *toes",
        "*clavicle *humerus *radius *wrist *hand *fingers", "lr",
    ),
    "our own": (
        "pelvis spine1 spine2 spine3", "neck head", "*_hip *_knee *_ankle *_foot",
        "*_collar *_shoulder *_elbow *_wrist",
        ("left", "right"),
    ),
}  # fmt: skip


def tree(rig: tuple) -> tuple[tuple[str, ...], tuple[int, ...], list[float]]:
    """Names, parents and bone lengths: a forearm of 0.25, a thigh of 0.4 and so on; extra joints have next to none."""
    spine, neck, leg, arm, sides = rig
    names, parents, lengths = [], [], []

    def chain(words: list[str], parent: int, bones: list[float]) -> int:
        for word, bone in zip(words, bones, strict=False):
            names.append(word)
            parents.append(parent)
            lengths.append(bone)
            parent = len(names) - 1
        return parent

    hub = chain(spine.split(), -1, [0.0, *[0.5 / (len(spine.split()) - 1)] * 9])
    chain(neck.split(), hub, [0.1, 0.08, 0.05])
    for side in sides:
        words = leg.replace("*", side).replace("?", side[0]).split()
        before = [0.0] if "Joint" in words[0] or "joint" in words[0] or "Buttock" in words[0] else []
        chain(words, 0, [*before, 0.12, 0.4, 0.42, 0.15])
        chain(arm.replace("*", side).split(), hub, [0.08, 0.14, 0.27, 0.25, 0.02, 0.02])
    return tuple(names), tuple(parents), lengths


def expected(rig: tuple) -> dict[str, str]:
    _, neck, leg, arm, sides = rig
    found = {"head": neck.split()[-1]}
    for ours, theirs in zip(("left", "right"), sides, strict=True):
        legs = [word for word in leg.replace("*", theirs).split() if "oint" not in word and "Buttock" not in word]
        found |= {f"{ours}_{part}": word for part, word in zip(LEG, legs, strict=False)}
        found |= {f"{ours}_{part}": word for part, word in zip(ARM, arm.replace("*", theirs).split(), strict=False)}
    return found


def named(roles: Roles, names: tuple[str, ...]) -> dict[str, str]:
    return {ours: names[joint] for ours, joint in roles.joints.items()}


@pytest.mark.parametrize("family", RIGS)
def test_the_names_of_each_kind_of_skeleton_are_understood(family: str) -> None:
    names, parents, lengths = tree(RIGS[family])
    roles = find(names, parents, lengths, {})
    wanted = expected(RIGS[family])
    found = named(roles, names)
    assert {ours: found.get(ours) for ours in wanted} == wanted
    assert roles.family == family
    assert roles.sided
    assert found["pelvis"] == RIGS[family][0].split()[0]
    assert set(found) <= set(JOINTS)


@pytest.mark.parametrize("family", RIGS)
def test_without_names_the_tree_has_legs_and_arms_all_the_same(family: str) -> None:
    names, parents, lengths = tree(RIGS[family])
    nameless = tuple(f"bone {number}" for number in range(len(names)))
    roles = find(nameless, parents, lengths, {})
    by_name = find(names, parents, lengths, {}).joints
    assert not roles.sided
    for part in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist"):
        assert {roles.joints[f"{side}_{part}"] for side in ("left", "right")} == {
            by_name[f"{side}_{part}"] for side in ("left", "right")
        }
    assert roles.joints["pelvis"] == by_name["pelvis"]


def test_an_explicit_map_wins_over_names() -> None:
    names, parents, lengths = tree(RIGS["Unity"])
    roles = find(names, parents, lengths, {"neck": "Head", "left_foot": "LeftFoot"})
    assert names[roles.joints["neck"]] == "Head"
    assert names[roles.joints["left_foot"]] == "LeftFoot"
    assert names[roles.joints["right_foot"]] == "RightToes"


@pytest.mark.parametrize("told", [{"tail": "Hips"}, {"neck": "Nekc"}])
def test_a_map_that_names_what_is_not_there_is_an_error_that_says_so(told: dict[str, str]) -> None:
    names, parents, lengths = tree(RIGS["Unity"])
    with pytest.raises(CannotFit) as error:
        find(names, parents, lengths, told)
    assert error.value.args[0] == UNKNOWN_JOINT
    assert next(iter(told)) in error.value.args[1]


def test_a_cat_a_chair_and_a_mere_trunk_are_refused_with_a_reason() -> None:
    with pytest.raises(CannotFit) as error:
        find(("root", "a", "b"), (-1, 0, 1), (0.0, 0.3, 0.3), {})
    assert error.value.args[0] == NO_LEGS
    legs = [0, 1, 2, 4, 5, 7, 8, 10, 11]
    parents = tuple(legs.index(PARENTS[joint]) if PARENTS[joint] >= 0 else -1 for joint in legs)
    with pytest.raises(CannotFit) as error:
        find(tuple(JOINTS[joint] for joint in legs), parents, [float(LENGTHS[joint]) for joint in legs], {})
    assert error.value.args[0] == NO_ARMS
    assert "left_shoulder" in error.value.args[1]


def test_twist_bones_fingers_and_faces_are_none_of_ours() -> None:
    names, parents, lengths = tree(RIGS["Unreal"])
    extra = ("upperarm_twist_01_l", "lowerarm_twist_01_l", "thigh_twist_01_r", "thumb_01_l", "ik_foot_l", "weapon_r")
    hangs = ("upperarm_l", "lowerarm_l", "thigh_r", "hand_l", "pelvis", "hand_r")
    parents += tuple(names.index(name) for name in hangs)
    before = find(names, parents[: len(names)], lengths, {}).joints
    after = find(names + extra, parents, [*lengths, *np.full(6, 0.2)], {}).joints
    assert dict(after) == dict(before)


WORDS = "Hips hip LeftHip L_Foot RightFoot r_arm LeftArm lShldr hand.R head neck spine1 thigh_l shin_r"


@given(names=st.lists(st.sampled_from(WORDS.split()), min_size=1, max_size=30), draw=st.randoms(use_true_random=False))
def test_odd_trees_are_understood_or_refused_and_nothing_else(names: list[str], draw: Random) -> None:
    parents = tuple(draw.randrange(-1, joint) if joint else -1 for joint in range(len(names)))
    lengths = [draw.choice([0.0, 0.1, 0.4]) for _ in names]
    told = {draw.choice(JOINTS): draw.choice(names) for _ in range(draw.randrange(3))}
    with suppress(CannotFit):
        roles = find(tuple(names), parents, lengths, told)
        assert set(roles.joints.values()) <= set(range(len(names)))
