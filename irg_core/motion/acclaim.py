"""Acclaim's pair of files: a skeleton (ASF) for each performer, and what its bones do (AMC).

A bone turns about axes of its own: relative to its parent it is C M C⁻¹, C being the bone's axis and M the turns that
the AMC lists for its degrees of freedom, both as turns about fixed axes in the order named. Here a joint is where a
bone begins; it carries the bone's name and its rotation, and the end of a last bone is the joint "<bone>_end". The rest
pose, where all is zero, has no rotation in it at all.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc

from irg_core.motion import hierarchies, rotations
from irg_core.motion.numbers import as_numbers, words
from irg_core.records.motion import Hierarchy

_TURNS = {"rx": "x", "ry": "y", "rz": "z"}
_MOVES = {"tx": 0, "ty": 1, "tz": 2}


@dataclass(frozen=True, slots=True)
class Bone:
    """One bone of an ASF; the root is one without length."""

    name: str
    vector: np.ndarray  # [3] float64, from its beginning to its end in the rest pose, in the file's unit
    axis: np.ndarray  # [4], the rotation C
    dof: tuple[str, ...]  # of what its numbers in the AMC are: rx ry rz, at the root also tx ty tz


@dataclass(frozen=True, slots=True)
class Skeleton:
    """A performer."""

    hierarchy: Hierarchy
    bones: tuple[Bone | None, ...]  # of each joint; None at the ends
    degrees: bool


def skeleton(text: str) -> Skeleton:
    """The performer of an ASF file. Raises `ValueError` where its parts do not fit together."""
    sections = _sections(text)
    if missing := [name for name in ("root", "bonedata", "hierarchy") if name not in sections]:
        raise ValueError(f"no :{missing[0]} section")
    degrees = _values(sections.get("units", [])).get("angle", ["deg"])[0].lower().startswith("deg")
    bones = {"root": _root(_values(sections["root"]), degrees)}
    for block in _blocks(sections["bonedata"]):
        bone = _bone(_values(block), degrees)
        if bone.name in bones:
            raise ValueError(f"two bones named '{bone.name[:40]}'")
        bones[bone.name] = bone
    hierarchies.check_size(0, len(bones))
    return _joined(bones, _children(sections["hierarchy"], bones), degrees)


def motion(text: bytes, performer: Skeleton) -> np.ndarray:
    """What an AMC file lists, [frames, sum of dof] in the order of the performer's joints; turns in radians.

    Each frame must list the same bones in the same order; what is not listed stays at rest. Raises `ValueError`.
    """
    header, body = _parted(text)
    found = words(body)
    layout = _layout(found[: 8 * hierarchies.MOST_JOINTS].to_pylist(), performer)
    stride = 1 + sum(1 + len(places) for places in layout.values())
    frames, rest = divmod(len(found), stride)
    if rest or not frames:
        raise ValueError(f"{len(found)} words, which makes no whole number of frames of {stride}")
    hierarchies.check_size(frames, len(performer.bones))
    for name, places in layout.items():
        if not pc.all(pc.equal(found.take(np.arange(places.start - 1, len(found), stride)), name)).as_py():
            raise ValueError(f"a frame does not list '{name[:40]}' where the first one does")
    if not (np.diff(as_numbers(found.take(np.arange(0, len(found), stride)))) == 1).all():
        raise ValueError("frames are not numbered one after the other")
    degrees = b":RADIANS" not in header.upper() if b":" in header else performer.degrees
    values = np.zeros((frames, sum(len(bone.dof) for bone in performer.bones if bone)))
    for column, (dof, place) in enumerate(_wanted(performer, layout)):
        if place:
            listed = as_numbers(found.take(np.arange(place, len(found), stride)))
            values[:, column] = np.radians(listed) if dof in _TURNS and degrees else listed
    return values


def pose(values: np.ndarray, performer: Skeleton) -> tuple[np.ndarray, np.ndarray]:
    """World positions [T, J, 3] and rotations [T, J, 4] of the joints, in the file's unit and axes."""
    local = np.zeros((len(values), len(performer.bones), 4))
    local[..., 0] = 1.0
    place = np.zeros((len(values), 3))
    column = 0
    for joint, bone in enumerate(performer.bones):
        if bone is None:
            continue
        turned = np.array([1.0, 0.0, 0.0, 0.0])
        for dof in bone.dof:
            if dof in _MOVES:
                place[:, _MOVES[dof]] = values[:, column]
            else:
                turned = rotations.multiply(rotations.about(_TURNS[dof], values[:, column]), turned)
            column += 1
        local[:, joint] = rotations.multiply(rotations.multiply(bone.axis, turned), rotations.inverse(bone.axis))
    return hierarchies.pose(performer.hierarchy, local, {0: place + performer.hierarchy.offsets[0]}, len(values))


# --- the skeleton's text --------------------------------------------------------------------------------------------


def _sections(text: str) -> dict[str, list[list[str]]]:
    """The lines of each `:section` as words; comments are gone."""
    sections: dict[str, list[list[str]]] = {}
    lines: list[list[str]] = []
    for line in text.splitlines():
        said = line.partition("#")[0].split()
        if said and said[0].startswith(":"):
            lines = sections.setdefault(said[0][1:].lower(), [])
        elif said:
            lines.append(said)
    return sections


def _values(lines: list[list[str]]) -> dict[str, list[str]]:
    return {line[0].lower(): line[1:] for line in lines if len(line) > 1}


def _blocks(lines: list[list[str]]) -> Iterator[list[list[str]]]:
    """What stands between each `begin` and its `end`."""
    block: list[list[str]] | None = None
    for line in lines:
        match line[0].lower():
            case "begin" if block is None:
                block = []
            case "end" if block is not None:
                yield block
                block = None
            case _ if block is not None:
                block.append(line)
            case _:
                raise ValueError(f"'{' '.join(line)[:40]}' stands outside of begin and end")
    if block is not None:
        raise ValueError("a begin without an end")


def _root(values: dict[str, list[str]], degrees: bool) -> Bone:
    order = tuple(name.lower() for name in values.get("order", ()))
    if unknown := set(order) - set(_TURNS) - set(_MOVES):
        raise ValueError(f"the root's order has an unknown '{min(unknown)[:40]}'")
    position = _three(values.get("position", ["0", "0", "0"]), "position")
    letters = values.get("axis", ["XYZ"])[0]
    return Bone("root", position, _axis(values.get("orientation", ["0", "0", "0"]), letters, degrees), order)


def _bone(values: dict[str, list[str]], degrees: bool) -> Bone:
    if missing := [name for name in ("name", "direction", "length") if name not in values]:
        raise ValueError(f"a bone without {missing[0]}")
    name = values["name"][0]
    dof = tuple(entry.lower() for entry in values.get("dof", ()))
    if unknown := set(dof) - set(_TURNS):
        raise ValueError(f"bone '{name[:40]}' has an unknown degree of freedom, '{min(unknown)[:40]}'")
    axis = values.get("axis", ["0", "0", "0", "XYZ"])
    length = float(values["length"][0])
    if not math.isfinite(length):
        raise ValueError(f"bone '{name[:40]}' is {length} long")
    vector = length * _three(values["direction"], "direction")
    return Bone(name, vector, _axis(axis[:3], axis[3] if len(axis) > 3 else "XYZ", degrees), dof)


def _axis(angles: list[str], letters: str, degrees: bool) -> np.ndarray:
    """The rotation [4] of three angles about fixed axes, in the order of the letters."""
    if sorted(letters.lower()) != ["x", "y", "z"]:
        raise ValueError(f"an axis in the order '{letters[:40]}'")
    turned = np.array([1.0, 0.0, 0.0, 0.0])
    for letter, angle in zip(letters.lower(), _three(angles, "axis"), strict=True):
        turned = rotations.multiply(rotations.about(letter, math.radians(angle) if degrees else angle), turned)
    return turned


def _three(texts: list[str], what: str) -> np.ndarray:
    values = np.array([float(text) for text in texts])
    if values.shape != (3,) or not np.isfinite(values).all():
        raise ValueError(f"{what} '{' '.join(texts)[:40]}' is not three numbers")
    return values


def _children(lines: list[list[str]], bones: dict[str, Bone]) -> dict[str, list[str]]:
    """Each bone's children; each bone but the root is a child of one."""
    children: dict[str, list[str]] = {}
    for line in (line for block in _blocks(lines) for line in block):
        children.setdefault(line[0], []).extend(line[1:])
    named = [child for listed in children.values() for child in listed]
    if unknown := {*named, *children} - set(bones):
        raise ValueError(f"the hierarchy names an unknown bone, '{min(unknown)[:40]}'")
    if len(named) != len(bones) - 1 or set(named) != set(bones) - {"root"}:
        raise ValueError("in the hierarchy each bone but the root must be the child of one")
    return children


def _joined(bones: dict[str, Bone], children: dict[str, list[str]], degrees: bool) -> Skeleton:
    """Bones as joints, depth first, each at the end of its parent."""
    names, parents, offsets = [], [], []
    pending = [("root", -1, bones["root"].vector)]
    while pending:
        name, parent, begins = pending.pop()
        names.append(name)
        parents.append(parent)
        offsets.append(begins)
        if bone := bones.get(name):
            # The root's own vector is where it stands, and no length between it and its children.
            end = bone.vector if parent >= 0 else np.zeros(3)
            follow = children.get(name) or [f"{name}_end"]
            pending += [(child, len(names) - 1, end) for child in reversed(follow)]
    held = [bones.get(name) for name in names]
    if sum(bone is not None for bone in held) < len(bones):
        raise ValueError("some bones hang together in a circle, away from the root")
    return Skeleton(Hierarchy(tuple(names), tuple(parents), np.array(offsets)), tuple(held), degrees)


# --- the motion's text ----------------------------------------------------------------------------------------------


def _parted(text: bytes) -> tuple[bytes, bytes]:
    """The comments and `:KEYWORDS` at the top, and what follows them."""
    start = 0
    while text[start : start + 1] in (b"#", b":"):
        end = text.find(b"\n", start)
        start = len(text) if end < 0 else end + 1
    return text[:start], text[start:]


def _layout(first: list[str], performer: Skeleton) -> dict[str, range]:
    """Which words of the first frame are whose numbers; the word after its last one is the next frame's number."""
    dof = {bone.name: len(bone.dof) for bone in performer.bones if bone}
    layout: dict[str, range] = {}
    place = 1
    while place < len(first) and (name := first[place]) in dof:
        if name in layout:
            raise ValueError(f"the first frame lists '{name[:40]}' twice")
        layout[name] = range(place + 1, place + 1 + dof[name])
        place += 1 + dof[name]
    if place < len(first) and not first[place].isdecimal():
        raise ValueError(f"the first frame lists '{first[place][:40]}', which is no bone, or a number too many")
    return layout


def _wanted(performer: Skeleton, layout: dict[str, range]) -> Iterator[tuple[str, int]]:
    """Each degree of freedom of the performer, and its word in a frame: 0 where none is listed."""
    for bone in performer.bones:
        if bone:
            places = layout.get(bone.name, range(0))
            yield from ((dof, places[index] if places else 0) for index, dof in enumerate(bone.dof))
