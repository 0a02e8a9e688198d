"""The CMU motion capture database in the forms in which it goes round: ASF/AMC, BVH, exponential maps.

An AMC belongs to the ASF whose name its own begins with (02_01.amc to 02.asf), in its folder or else anywhere in the
corpus. Where one take is there in several forms, the one nearest to the recording is read. Other databases in ASF/AMC
are read as well, at their own rate with `fps`.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from irg_core.errors import SourceError
from irg_core.motion import acclaim, bvh, hierarchies, rotations
from irg_core.motion.numbers import numbers
from irg_core.records.annotation import Rejection
from irg_core.records.motion import Hierarchy, Take
from irg_core.sources import folders
from irg_core.sources.captions import captions as open_captions
from irg_core.sources.entry import entry
from irg_core.sources.names import shown
from irg_core.sources.walking import Found, rejection, walk

FPS = 120.0
"""Of all of CMU's recordings, nearly; neither AMC files nor exponential maps name a rate."""
FORMS = (".amc", ".bvh", "_expmap.txt")
"""How the files of takes end, the nearest to the recording first."""
OTHER_FORM = "another form of a take"
_NUMBERED = re.compile(r"\d{2,3}_\d{2}")

# The 31-joint conversion to BVH has lost the length of every bone that forks: its children begin where it begins, and
# shoulders sit 12 cm low. It shows in zero offsets. In CMU's skeletons the upper of the two spine bones concerned is as
# long as the lower one and points the same way, to 4 mm, and the wrist's bone is half the forearm, exactly.
_FORKED = {16: 1.0, 20: 1.0, 29: 1.0, 24: 0.5, 27: 0.5, 33: 0.5, 36: 0.5}
"""Joint after a fork to the length of the lost bone, as a share of the bone before it."""
# fmt: off
_PARENTS = (-1, 0, 1, 2, 3, 4, 5, 0, 7, 8, 9, 10, 11, 0, 13, 14, 15, 16, 17, 18, 15, 20, 21, 22, 23, 24, 25, 23, 27,
            15, 29, 30, 31, 32, 33, 34, 32, 36)
# fmt: on


def read(
    root: Path, *, captions: Any = None, fps: Any = None, up: Any = None, unit: Any = None, joints: Any = None
) -> Iterator[Take | Rejection]:
    """One take for each recording, in the order of the files' names; each further form of it is a rejection."""
    options = entry(fps=fps, up=up, unit=unit, joints=joints)
    said = open_captions(root, captions)
    files = list(walk(root, (*FORMS, ".asf")))
    performers = [found for found in files if isinstance(found, Found) and found.relative.lower().endswith(".asf")]
    results = [found for found in files if found not in performers]
    if not results:
        raise SourceError(
            f"{shown(root)} holds no motion of CMU's; one named *.amc, *.bvh or *_expmap.txt is looked for"
        )
    motion = _reader(performers, [found for found in results if isinstance(found, Found)])
    best = _best_forms(results)
    for found in results:
        if isinstance(found, Rejection):
            yield found
        elif (chosen := best[_recording(found)]) != found:
            yield rejection(found.relative, OTHER_FORM, f"{chosen.relative} is read")
        else:
            yield folders.take(found, motion, said, options)


def _form(found: Found) -> int:
    return next(place for place, ending in enumerate(FORMS) if found.relative.lower().endswith(ending))


def _stem(found: Found) -> str:
    """The file's name without what its form adds to it: 02_01."""
    return found.path.name[: -len(FORMS[_form(found)])].lower()


def _recording(found: Found) -> str:
    """What tells one take from another: CMU's own numbers in any folder, any other name in its folder alone."""
    stem = _stem(found)
    return stem if _NUMBERED.fullmatch(stem) else f"{found.path.parent}/{stem}"


def _best_forms(results: list[Found | Rejection]) -> dict[str, Found]:
    best: dict[str, Found] = {}
    for found in results:
        if isinstance(found, Found):
            known = best.setdefault(_recording(found), found)
            if _form(found) < _form(known):
                best[_recording(found)] = found
    return best


def _reader(performers: list[Found], motions: list[Found]) -> Callable[[Found], Take]:
    """Reads a file of any form; a performer is read once for all takes."""
    skeletons = cache(lambda path: acclaim.skeleton(path.read_bytes().decode("utf-8-sig")))

    def motion(found: Found) -> Take:
        match _form(found):
            case 0:
                performer = skeletons(_performer(found, performers).path)
                values = acclaim.motion(found.path.read_bytes(), performer)
                return _take(performer.hierarchy, *acclaim.pose(values, performer), FPS)
            case 1:
                with found.path.open("rb") as file:
                    parsed = bvh.load(file)
                parsed = replace(parsed, hierarchy=mended(parsed.hierarchy))
                return _take(parsed.hierarchy, *bvh.pose(parsed), parsed.fps)
            case _:
                return _exponential(found, _hierarchy(found, motions))

    return motion


def _take(hierarchy: Hierarchy, joints: np.ndarray, turned: np.ndarray, fps: float) -> Take:
    return Take("", joints, fps, (), "", "", hierarchy=hierarchy, rotations=turned)


def _performer(found: Found, performers: list[Found]) -> Found:
    """The ASF of an AMC: the longest name that this one begins with, in the same folder if there is one."""
    stem = _stem(found)
    named = [one for one in performers if (stem + "_").startswith(one.path.stem.lower() + "_")]
    if not named:
        raise ValueError(f"no ASF of its performer; {stem.partition('_')[0]}.asf is looked for")
    return max(named, key=lambda one: (one.path.parent == found.path.parent, len(one.path.stem)))


def mended(hierarchy: Hierarchy) -> Hierarchy:
    """The 31-joint skeleton with the bones that its conversion has lost; any other one as it is."""
    lost = [joint for joint in _FORKED if hierarchy.parents == _PARENTS and not hierarchy.offsets[joint].any()]
    offsets = hierarchy.offsets.copy()
    for joint in lost:
        offsets[joint] = _FORKED[joint] * offsets[_PARENTS[joint]]
    return replace(hierarchy, offsets=offsets)


def _hierarchy(found: Found, motions: list[Found]) -> Hierarchy:
    """The skeleton of an exponential map, which has none of its own: that of a BVH of the same performer."""
    performer = _stem(found).rpartition("_")[0] + "_"
    named = [one for one in motions if _form(one) == 1 and one.path.name.lower().startswith(performer)]
    if not named:
        raise ValueError(f"no BVH of its performer, from which to take the skeleton; {performer}*.bvh is looked for")
    nearest = max(named, key=lambda one: (_stem(one) == _stem(found), one.path.parent == found.path.parent))
    return mended(bvh.parse(nearest.path.read_bytes()).hierarchy)


def _exponential(found: Found, hierarchy: Hierarchy) -> Take:
    """Rows of the root's place and a rotation vector for each joint, end sites included, depth first.

    Each is the vector of the inverse of the joint's rotation relative to its parent.
    """
    values = numbers(found.path.read_bytes())
    width = 3 + 3 * len(hierarchy.names)
    if not values.size or values.size % width:
        raise ValueError(f"{values.size} numbers, no whole number of rows of {width}")
    rows = values.reshape(-1, width)
    hierarchies.check_size(len(rows), len(hierarchy.names))
    local = hierarchies.from_vectors(-rows[:, 3:].reshape(len(rows), -1, 3))
    local[:, 0] = _root_in_order(local[:, 0])
    return _take(hierarchy, *hierarchies.pose(hierarchy, local, {0: rows[:, :3]}, len(rows)), FPS)


def _root_in_order(turned: np.ndarray) -> np.ndarray:
    """The root's rotations [T, 4] as they were meant.

    The converter has put the root's angles together as Z X Y, where its BVH, and the recording, say Z Y X; for the
    other joints it keeps to Z Y X. So the angles are taken out of the one and put into the other.
    """
    matrix = rotations.matrix(turned)
    x = np.arcsin(np.clip(matrix[:, 2, 1], -1.0, 1.0))
    y = np.arctan2(-matrix[:, 2, 0], matrix[:, 2, 2])
    z = np.arctan2(-matrix[:, 0, 1], matrix[:, 1, 1])
    about_zy = rotations.multiply(rotations.about("z", z), rotations.about("y", y))
    return rotations.multiply(about_zy, rotations.about("x", x))
