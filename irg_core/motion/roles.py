"""Which joint of a foreign skeleton is which of ours: by names first, by the shape of the tree where names say nothing.

Names disagree about nearly everything: `LeftShoulder` is a collar beside `LeftArm` and a shoulder beside `LeftElbow`,
`left_foot` is an ankle or the ball of the foot, `hip` is the pelvis or a hip. So a name only says which places along
a limb it may stand for, and the limb as a whole decides.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import combinations, pairwise, product

from irg_core.motion.skeleton import INDEX

NO_LEGS, NO_ARMS, NO_SPINE = "no legs found", "no arms found", "no spine found"
UNKNOWN_JOINT = "joint map names an unknown joint"


class CannotFit(ValueError):
    """A body that cannot be ours; `args` are a fixed phrase to count by, and the detail."""


@dataclass(frozen=True, slots=True)
class Roles:
    """Our joints, as indices of theirs."""

    joints: Mapping[str, int]  # ours to theirs, as far as found
    spine: tuple[int, ...]  # from the pelvis to where the arms leave, both included
    neck: tuple[int, ...]  # above that, up to the head
    family: str
    sided: bool  # false where only the tree spoke: left may then be right


# --- words --------------------------------------------------------------------------------------------------------

LEG, ARM = "leg", "arm"
_LIMBS = {
    LEG: ("", "hip", "knee", "ankle", "foot"),
    ARM: ("collar", "shoulder", "elbow", "wrist", ""),
}
"""Our joints along a limb; a word of the tables below names places in this order."""
_NEEDED = (1, 2, 3)

_LEG_WORDS = {
    (1,): "upleg upperleg uleg legupper thigh femur hip hipjoint upperlimb",
    (1, 2): "leg",
    (2,): "knee lowleg lowerleg leglower lleg shin calf tibia crus foreleg",
    (3,): "ankle talus footankle",
    (3, 4): "foot",
    (4,): "toe toes toebase ball balltoe forefoot football mrot",
}
_ARM_WORDS = {
    (0,): "collar clavicle clav collarbone scapula thorax innershoulder shoulderblade",
    (0, 1): "shoulder",
    (1,): "arm upperarm uparm uarm armupper shldr humerus bicep",
    (2,): "elbow forearm lowerarm lowarm armlower farm larm radius ulna",
    (3,): "wrist hand palm",
}
_WORDS: dict[str, tuple[str, tuple[int, ...]]] = {
    word: (limb, ranks)
    for limb, table in ((LEG, _LEG_WORDS), (ARM, _ARM_WORDS))
    for ranks, words in table.items()
    for word in words.split()
}
_PELVIS = frozenset({"pelvis", "hip", "hips", "cog"})
_SIDES = {"left": "left", "l": "left", "lt": "left", "lft": "left", "right": "right", "r": "right", "rt": "right"}
_EVERYWHERE = (
    "cc base mixamorig bip bip01 bip001 valvebiped character char ctrl def org mch rig bone bones bind skin joint jnt "
    "jt sk skel skeleton avg smpl smplx smplh m f rl human body j c"
)
_NOISE = frozenset(_EVERYWHERE.split())
_IGNORED = re.compile(
    r"twist|roll|share|helper|thumb|index|middle|mid\d|ring|pinky|little|finger|metacarp|carpal|eye|jaw|teeth|tongue|"
    r"brow|lip|cheek|nose|hair|breast|ribs|nub|effector|pole|target|prop|weapon|camera|heel|_end\d*$|ik_|_ik|face|facial"
    r"|bigtoe|buttock|corrective|tweak|socket|attach",
    re.IGNORECASE,
)
_PARTS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+|[^\W\d_a-zA-Z]+")
_VERTEBRA = re.compile(r"(?:l|t|c)\d{1,2}", re.IGNORECASE)

_MMM = (
    "root=pelvis BP=spine1 BT=spine3 BLN=neck BUN=head LS=left_shoulder LE=left_elbow LW=left_wrist RS=right_shoulder "
    "RE=right_elbow RW=right_wrist LH=left_hip LK=left_knee LA=left_ankle LF=left_foot RH=right_hip RK=right_knee "
    "RA=right_ankle RF=right_foot"
)
_WHOLE = {"KIT (MMM)": dict(pair.split("=") for pair in _MMM.split())}
"""Skeletons whose names are no words."""
ALIKE = frozenset({"our own", "SMPL"})
"""Families whose joints are HumanML3D's, or what those were made from."""
_FAMILIES = (
    ("our own", {"left_collar", "spine3", "left_foot", "pelvis"}),
    ("CMU, MotionBuilder names", {"lhipjoint", "leftupleg", "lowerback"}),
    ("CMU, Biovision names", {"lhipjoint", "lefthip", "leftknee"}),
    ("Acclaim", {"lfemur", "lhumerus"}),
    ("Poser / DAZ", {"abdomen", "lshldr", "lthigh"}),
    ("Character Creator", {"cc_base_hip", "cc_base_l_thigh"}),
    ("Mixamo", {"mixamorig:leftupleg"}),
    ("3ds Max Biped", {"bip01_l_thigh"}),
    ("3ds Max Biped", {"bip001_l_thigh"}),
    ("SMPL", {"l_hip", "l_collar"}),
    ("SMPL", {"left_hip", "left_collar"}),
    ("Unreal", {"thigh_l", "calf_l"}),
    ("Rigify", {"upper_arm.l", "shin.l"}),
    ("Xsens", {"t8", "l5"}),
    ("OptiTrack", {"luarm", "lfarm"}),
    ("Unity", {"leftupperleg", "leftlowerleg"}),
    ("Noitom", {"leftupleg", "leftinhandindex"}),
    ("HumanIK", {"leftupleg", "leftforearm"}),
    ("Biovision", {"lefthip", "leftknee", "leftcollar"}),
)


@dataclass(frozen=True, slots=True)
class _Word:
    """What a joint's name says."""

    side: str  # "left" | "right" | ""
    core: str  # the name without side, numbers and what every bone is called


def _bare(name: str) -> str:
    """A name without the namespaces before it."""
    return name.rpartition(":")[2]


@cache
def _word(name: str) -> _Word:
    bare = _bare(name)
    if _VERTEBRA.fullmatch(bare):
        return _Word("", "spine")
    parts = [part.lower() for part in _PARTS.findall(bare)]
    sides = [_SIDES[part] for part in parts if part in _SIDES]
    rest = [part for part in parts if part not in _SIDES and part not in _NOISE and not part.isdigit()]
    core = "".join(rest)
    if sides or core in _WORDS or core in _PELVIS:
        return _Word(sides[0] if sides else "", core)
    for mark in ("left", "right", "l", "r"):
        if core.startswith(mark) and (core[len(mark) :] in _WORDS or core[len(mark) :] in _PELVIS):
            return _Word(_SIDES[mark], core[len(mark) :])
    return _Word("", core)


def family(names: Sequence[str]) -> str:
    """What kind of skeleton its names are those of."""
    there = {name.lower().replace(" ", "_") for name in names}
    for known, table in _WHOLE.items():
        if set(table) <= set(names):
            return known
    return next((known for known, marks in _FAMILIES if marks <= there), "unknown")


# --- the tree -----------------------------------------------------------------------------------------------------


class Tree:
    """Parents, with bone lengths beside them."""

    def __init__(self, parents: Sequence[int], lengths: Sequence[float]) -> None:
        self.parents, self.lengths = tuple(parents), tuple(lengths)
        self.children: list[list[int]] = [[] for _ in parents]
        for joint, parent in enumerate(parents):
            if parent >= 0:
                self.children[parent].append(joint)
        self.nothing = 0.01 * max(self.lengths, default=0.0)
        self.reach = [0.0] * len(self.parents)
        for joint in range(len(self.parents) - 1, 0, -1):
            parent = self.parents[joint]
            if parent >= 0:
                self.reach[parent] = max(self.reach[parent], self.reach[joint] + self.lengths[joint])

    def full(self, joint: int) -> float:
        """How far the farthest of what hangs on a joint is from the joint's parent."""
        return self.reach[joint] + self.lengths[joint]

    def up(self, joint: int) -> list[int]:
        """The joint and what it hangs on, up to the root."""
        way = [joint]
        while self.parents[way[-1]] >= 0:
            way.append(self.parents[way[-1]])
        return way

    def meeting(self, a: int, b: int) -> int:
        """The nearest joint that both hang on, -1 if none."""
        above = set(self.up(a))
        return next((joint for joint in self.up(b) if joint in above), -1)

    def way(self, start: int, end: int) -> list[int]:
        """The joints from one to another, both included."""
        top = self.meeting(start, end)
        rising, falling = self.up(start), self.up(end)
        return rising[: rising.index(top) + 1] + falling[: falling.index(top)][::-1] if top >= 0 else [start, end]

    def apart(self, above: int, below: int) -> float:
        """The length of the way down from one to the other."""
        return sum(self.lengths[joint] for joint in self.up(below)[: self.up(below).index(above)])


# --- by names -----------------------------------------------------------------------------------------------------


def find(names: tuple[str, ...], parents: tuple[int, ...], lengths: Sequence[float], told: Mapping[str, str]) -> Roles:
    """Our joints among theirs; `told` (ours to theirs) wins over what is found. Raises `CannotFit`."""
    # Lengths of one body vary with its recordings; to a hundredth of the longest bone they say the same.
    longest = max(lengths, default=0.0) or 1.0
    rounded = tuple(round(length / longest, 2) for length in lengths)
    return _find(names, parents, rounded, tuple(sorted(told.items())))


@lru_cache(maxsize=256)
def _find(
    names: tuple[str, ...], parents: tuple[int, ...], lengths: tuple[float, ...], told: tuple[tuple[str, str], ...]
) -> Roles:
    tree = Tree(parents, lengths)
    kind = family(names)
    given = _given(names, dict(told) or {})
    limbs: dict[str, int] = {}
    if kind in _WHOLE:
        limbs = {ours: names.index(theirs) for theirs, ours in _WHOLE[kind].items()}
    else:
        for side, limb in product(("left", "right"), (LEG, ARM)):
            limbs |= _limb(names, tree, side, limb)
    limbs = _with_ends(tree, limbs) | given
    missing = [name for name in _needed() if name not in limbs]
    sided = not missing
    if missing:
        try:
            by_shape = _by_shape(tree)
        except CannotFit as error:
            raise CannotFit(error.args[0], f"{error.args[1]}; by name: no {', '.join(missing)}") from None
        limbs = by_shape | given
    return _with_spine(names, tree, limbs, kind, sided or all(name in given for name in _needed()))


def _with_ends(tree: Tree, limbs: dict[str, int]) -> dict[str, int]:
    """Toes and wrists without a name of their own, where the foot or the forearm leads to one joint of some kind."""
    for side, (above, below) in product(("left", "right"), (("ankle", "foot"), ("elbow", "wrist"))):
        if f"{side}_{above}" in limbs and f"{side}_{below}" not in limbs:
            children = tree.children[limbs[f"{side}_{above}"]]
            far = max(children, key=lambda child: tree.lengths[child], default=-1)
            if far >= 0 and tree.lengths[far] > 3 * tree.nothing:
                limbs[f"{side}_{below}"] = far
    return limbs


def _needed() -> list[str]:
    return [f"{side}_{_LIMBS[limb][rank]}" for side, limb in product(("left", "right"), (LEG, ARM)) for rank in _NEEDED]


def _given(names: tuple[str, ...], told: Mapping[str, str]) -> dict[str, int]:
    for ours, theirs in told.items():
        if ours not in INDEX:
            raise CannotFit(UNKNOWN_JOINT, f"'{ours}' is none of ours: {' '.join(INDEX)}")
        if theirs not in names:
            raise CannotFit(UNKNOWN_JOINT, f"{ours}: '{theirs}' is not in the source, which has: {' '.join(names)}")
    return {ours: names.index(theirs) for ours, theirs in told.items()}


def _limb(names: tuple[str, ...], tree: Tree, side: str, limb: str) -> dict[str, int]:
    """Our joints along one limb, by the best reading of the names on one way down the tree."""
    ranks: dict[int, tuple[int, ...]] = {}
    for joint, name in enumerate(names):
        word = _word(name)
        kind, places = _WORDS.get(word.core, ("", ()))
        if kind == limb and word.side == side and not _IGNORED.search(_bare(name)):
            ranks[joint] = places
    best: tuple[tuple[float, ...], dict[int, int]] = ((-1.0,), {})
    for end in ranks:
        line = [joint for joint in reversed(tree.up(end)) if joint in ranks][-8:]
        for reading in product(*((-1, *ranks[joint]) for joint in line)):
            taken = [rank for rank in reading if rank >= 0]
            if taken != sorted(set(taken)):
                continue
            chosen = {rank: joint for rank, joint in zip(reading, line, strict=True) if rank >= 0}
            score = _score(tree, chosen, line)
            if score > best[0]:
                best = (score, chosen)
    return {f"{side}_{_LIMBS[limb][rank]}": joint for rank, joint in best[1].items() if _LIMBS[limb][rank]}


def _score(tree: Tree, chosen: Mapping[int, int], line: Sequence[int]) -> tuple[float, ...]:
    """How good a reading is: no bone of no length, all that is needed, then as much as possible, then by habit."""
    real = all(
        tree.apart(chosen[rank], chosen[rank + 1]) > tree.nothing for rank in (1, 2) if {rank, rank + 1} <= set(chosen)
    )
    # Of several `hip` the lowest is the joint, of several `hand` or `toe` the highest.
    habit = sum(line.index(joint) * (1 if rank < 2 else -1) for rank, joint in chosen.items())
    return (float(real), sum(rank in chosen for rank in _NEEDED), len(chosen), habit)


# --- by the shape of the tree -------------------------------------------------------------------------------------


def _by_shape(tree: Tree) -> dict[str, int]:
    """Limbs as the two places where the tree parts into equals: the lower one, near the root, has the legs.

    Which of a pair is left is a guess here.
    """
    pairs: dict[int, tuple[int, int]] = {}
    for joint, children in enumerate(tree.children):
        full = {child: tree.full(child) for child in _branches(tree, joint, children)}
        alike = [
            (abs(full[a] - full[b]), a, b)
            for a, b in combinations(sorted(full), 2)
            if min(full[a], full[b]) > 0.8 * max(full[a], full[b]) and min(full[a], full[b]) > 1.2
        ]
        if alike:
            pairs[joint] = min(alike)[1:]
    if len(pairs) < 2:
        raise CannotFit(NO_LEGS if not pairs else NO_ARMS, f"the tree parts into two equal limbs {len(pairs)} times")
    depth = {joint: len(tree.up(joint)) for joint in pairs}
    low, high = sorted(pairs, key=lambda joint: (depth[joint], joint))[:2]
    return _shaped(tree, pairs[low], LEG) | _shaped(tree, pairs[high], ARM)


def _branches(tree: Tree, joint: int, children: Sequence[int]) -> list[int]:
    """Children of a joint, with those of children that lie on the very same spot, save where one stands for a limb."""
    found: list[int] = []
    for child in children:
        same = tree.lengths[child] <= tree.nothing
        found += _branches(tree, child, tree.children[child]) if same and len(tree.children[child]) > 1 else [child]
    return found


def _shaped(tree: Tree, pair: tuple[int, int], limb: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for side, start in zip(("left", "right"), pair, strict=True):
        line = [start]
        while tree.children[line[-1]]:
            line.append(max(tree.children[line[-1]], key=lambda child: tree.full(child)))
        real = [line[0]] + [joint for joint in line[1:] if tree.lengths[joint] > tree.nothing]
        if len(real) < 3:
            raise CannotFit(NO_LEGS if limb == LEG else NO_ARMS, "a limb of less than three joints")
        bones = [tree.apart(a, b) for a, b in pairwise(real)]
        first = max(range(len(bones) - 1), key=lambda index: min(bones[index], bones[index + 1]))
        places = {1: real[first], 2: real[first + 1], 3: real[first + 2]}
        if limb == ARM and first > 0:
            places[0] = real[first - 1]
        if limb == LEG and len(real) > first + 3:
            places[4] = real[first + 3]
        found |= {f"{side}_{_LIMBS[limb][rank]}": joint for rank, joint in places.items()}
    return found


# --- pelvis, spine and head ---------------------------------------------------------------------------------------


def _with_spine(names: tuple[str, ...], tree: Tree, limbs: dict[str, int], kind: str, sided: bool) -> Roles:
    pelvis = limbs.get("pelvis", _pelvis(names, tree, tree.meeting(limbs["left_hip"], limbs["right_hip"])))
    starts = [limbs.get(f"{side}_collar", limbs[f"{side}_shoulder"]) for side in ("left", "right")]
    hub = tree.meeting(*starts)
    if hub in starts:
        hub = tree.parents[hub]
    if pelvis < 0 or hub < 0:
        raise CannotFit(NO_SPINE, "no joint that both legs, or both arms, hang on")
    spine = tree.way(pelvis, hub)
    found = limbs | {"pelvis": pelvis}
    if _word(names[hub]).core == "neck" and len(spine) > 2:
        found.setdefault("neck", spine.pop())
    neck = _neck(names, tree, hub, set(spine) | set(starts), limbs)
    if neck and (len(neck) > 1 or "neck" in found or _word(names[neck[-1]]).core == "head"):
        found.setdefault("head", neck[-1])
    lower = [joint for joint in neck if joint != found.get("head")]
    if lower:
        # A joint where the arms leave too is no neck; only where nothing else is there it must do.
        apart = [joint for joint in lower if tree.apart(hub, joint) > 3 * tree.nothing]
        found.setdefault("neck", (apart or lower)[0])
    levels = {name.lower(): joint for joint, name in enumerate(names)}
    if kind in ALIKE:
        found = {name: levels[name] for name in ("spine1", "spine2", "spine3") if name in levels} | found
    elif len(spine) == 4:
        found = {f"spine{level}": spine[level] for level in (1, 2, 3)} | found
    return Roles(found, tuple(spine), tuple(neck), kind, sided)


def _pelvis(names: tuple[str, ...], tree: Tree, meeting: int) -> int:
    """Where both legs hang, or the pelvis by name just above it: some rigs hang the legs on the lowest of the spine."""
    if meeting < 0 or _word(names[meeting]).core in _PELVIS:
        return meeting
    named = [
        joint for joint in tree.up(meeting) if _word(names[joint]).core in _PELVIS and not _word(names[joint]).side
    ]
    return named[0] if named else meeting


def _neck(names: tuple[str, ...], tree: Tree, hub: int, taken: set[int], limbs: Mapping[str, int]) -> list[int]:
    """The joints above the place where the arms leave, up to the head."""
    if "head" in limbs and hub in tree.up(limbs["head"]):
        return tree.way(hub, limbs["head"])[1:]
    heads = [joint for joint, name in enumerate(names) if _word(name).core == "head" and not _word(name).side]
    above = [joint for joint in heads if hub in tree.up(joint)]
    if above:
        return tree.way(hub, above[0])[1:]
    line: list[int] = []
    while (free := _free(names, tree, line[-1] if line else hub, taken)) and len(line) < 4:
        line.append(max(free, key=lambda child: (_word(names[child]).core == "neck", tree.full(child))))
    return line


def _free(names: tuple[str, ...], tree: Tree, joint: int, taken: set[int]) -> list[int]:
    """What hangs on a joint and may belong to neck and head."""
    return [
        child
        for child in tree.children[joint]
        if child not in taken and not _word(names[child]).side and not _IGNORED.search(_bare(names[child]))
    ]
