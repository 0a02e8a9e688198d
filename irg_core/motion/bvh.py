"""BVH, Biovision's hierarchy and motion in one text, in all its dialects.

Each CHANNELS line is taken at its word: any order of rotations, three or six channels or none, at any joint; a
position channel replaces that part of the joint's OFFSET. Angles are degrees and turn in the order they are listed,
each about the axes that those before it have turned. End sites become joints named "<parent>_end".
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from typing import BinaryIO

import numpy as np

from irg_core.motion import hierarchies
from irg_core.motion.numbers import stream
from irg_core.records.motion import Hierarchy

_MOTION = re.compile(rb"(?:^|[\r\n])[ \t]*MOTION[ \t]*[\r\n]")
_HEADER = re.compile(rb"\s*Frames\s*:\s*(\d+)\s+Frame\s+Time\s*:\s*(\S+)(?:\s|$)", re.IGNORECASE)
_HEADER_BYTES = 1000
_SKELETON_BYTES = 4 * 2**20
"""By then the motion must have begun; the skeleton of a thousand joints takes a twentieth of it."""
_CHANNEL = re.compile(r"([xyz])(position|rotation)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Bvh:
    """A file as it stands; nothing is computed yet."""

    hierarchy: Hierarchy  # end sites included
    channels: tuple[tuple[str, ...], ...]  # of each joint, such as "Xposition", "Zrotation"; none at end sites
    values: np.ndarray  # [frames, channels] float64; degrees and the file's unit of length
    fps: float  # NaN where the file gives no usable frame time


def parse(data: bytes) -> Bvh:
    """The skeleton and the numbers of a BVH file. Raises `ValueError` where they do not fit together."""
    return load(BytesIO(data))


def load(file: BinaryIO) -> Bvh:
    """The same from a file that is open; its text is never held as a whole, half an hour of it may have 300 MB."""
    data = file.read(_SKELETON_BYTES)
    found = _MOTION.search(data)
    if not found:
        raise ValueError("no MOTION section")
    header = _HEADER.match(data[found.end() : found.end() + _HEADER_BYTES])
    if not header:
        raise ValueError("no 'Frames:' and 'Frame Time:' after MOTION")
    hierarchy, channels = _skeleton(data[: found.start()].decode("utf-8-sig"))
    width, frames = sum(map(len, channels)), int(header[1])
    hierarchies.check_size(frames, max(len(channels), width // 3))
    if not width:
        raise ValueError("no joint has a channel")
    file.seek(found.end() + header.end())
    try:
        values = stream(file, frames * width)
    except ValueError as error:
        raise ValueError(f"{error}; {frames} frames of {width} channels are announced") from error
    return Bvh(hierarchy, channels, values.reshape(frames, width), rate(header[2].decode("ascii", "replace")))


def rate(frame_time: str) -> float:
    """Frames a second from the text of a frame time: a whole rate where rounding explains the rest."""
    try:
        seconds = float(frame_time)
    except ValueError:
        return math.nan
    if not (math.isfinite(seconds) and seconds > 0):
        return math.nan
    whole = round(1 / seconds)
    digits = len(frame_time.partition(".")[2].rstrip("0")) if frame_time.replace(".", "", 1).isdigit() else 15
    # Half a unit of the last digit is rounding, a whole one cutting off, a few come of thinned-out frames.
    explained = max(1.5 * 10.0**-digits, 1e-4 * seconds)
    return float(whole) if whole and abs(1 / whole - seconds) < explained else 1 / seconds


def pose(bvh: Bvh) -> tuple[np.ndarray, np.ndarray]:
    """World positions [T, J, 3] and rotations [T, J, 4] of the joints, in the file's unit and axes."""
    places: dict[int, np.ndarray] = {}
    turns: dict[tuple[int, str], list[tuple[int, int]]] = {}
    for joint, names in enumerate(bvh.channels):
        first = sum(map(len, bvh.channels[:joint]))
        rank = 0
        for column, name in enumerate(names, start=first):
            axis = name[0].lower()
            if name.endswith("position"):
                place = places.setdefault(joint, np.tile(bvh.hierarchy.offsets[joint], (len(bvh.values), 1)))
                place[:, "xyz".index(axis)] = bvh.values[:, column]
            else:
                turns.setdefault((rank, axis), []).append((joint, column))
                rank += 1
    return hierarchies.pose(bvh.hierarchy, partial(_local, bvh, sorted(turns.items())), places, len(bvh.values))


def _local(bvh: Bvh, turns: list[tuple[tuple[int, str], list[tuple[int, int]]]], part: slice) -> np.ndarray:
    """Parent-relative rotations [4, J, n] of some frames.

    `turns` are, first ones first, an axis and the joints that turn about it next, each with its column.
    """
    local = np.zeros((4, len(bvh.channels), len(bvh.values[part])))
    local[0] = 1.0
    half = np.radians(bvh.values[part].T / 2.0)
    for (_, axis), pairs in turns:
        joints, columns = (list(indices) for indices in zip(*pairs, strict=True))
        cosine, sine = np.cos(half[columns]), np.sin(half[columns])
        along = 1 + "xyz".index(axis)
        one, other = 1 + along % 3, 1 + (along + 1) % 3
        w, v, a, b = (local[component, joints] for component in (0, along, one, other))
        # The product with a turn about one axis, of which half is zeros.
        local[0, joints], local[along, joints] = w * cosine - v * sine, v * cosine + w * sine
        local[one, joints], local[other, joints] = a * cosine + b * sine, b * cosine - a * sine
    return local


# --- the skeleton's text --------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Joint:
    """A joint while its block is open."""

    name: str
    parent: int
    is_end: bool = False
    offset: list[float] = field(default_factory=list)
    channels: tuple[str, ...] = ()


def _skeleton(text: str) -> tuple[Hierarchy, tuple[tuple[str, ...], ...]]:
    """The joints above MOTION, parents first, and the channels of each."""
    joints: list[_Joint] = []
    inside: list[int] = []
    announced = False
    for line in _lines(text):
        word, _, rest = line.partition(" ")
        match word.upper():
            case "ROOT" | "JOINT" | "END" if not announced:
                joints.append(_announced(word.upper(), rest.strip(), joints, inside))
                announced = True
            case "{" if announced:
                inside.append(len(joints) - 1)
                announced = False
            case "}" if inside and not announced:
                inside.pop()
            case "OFFSET" if inside and not announced:
                joints[inside[-1]].offset = [float(number) for number in rest.split()]
            case "CHANNELS" if inside and not announced:
                joints[inside[-1]].channels = _channels(rest)
            case "HIERARCHY" if not joints:
                continue
            case _:
                raise ValueError(f"'{line[:40]}' does not belong there in a hierarchy")
    if inside or announced:
        raise ValueError(f"the hierarchy ends inside joint '{joints[-1].name}'")
    return _checked(joints), tuple(joint.channels for joint in joints)


def _lines(text: str) -> Iterator[str]:
    """Lines that say something, braces on lines of their own, blanks made one."""
    for line in text.replace("{", "\n{\n").replace("}", "\n}\n").splitlines():
        if words := line.split():
            yield " ".join(words)


def _announced(kind: str, name: str, joints: list[_Joint], inside: list[int]) -> _Joint:
    """The joint that a ROOT, JOINT or End Site line opens."""
    hierarchies.check_size(0, len(joints) + 1)
    if (kind == "ROOT") != (not inside):
        raise ValueError(f"'{kind} {name[:40]}' stands {'inside a joint' if inside else 'outside the root'}")
    if kind == "ROOT" and joints:
        raise ValueError(f"a second root, '{name[:40]}'; a file holds one body")
    if inside and joints[inside[-1]].is_end:
        raise ValueError(f"'{name[:40]}' hangs on an end site")
    if kind != "END":
        return _Joint(name, inside[-1] if inside else -1)
    ends = sum(joint.is_end and joint.parent == inside[-1] for joint in joints)
    return _Joint(f"{joints[inside[-1]].name}_end{ends + 1 if ends else ''}", inside[-1], is_end=True)


def _channels(text: str) -> tuple[str, ...]:
    count, *names = text.split()
    if not count.isdecimal() or int(count) != len(names):
        raise ValueError(f"'CHANNELS {text[:60]}' announces another number of channels than it lists")
    for name in names:
        if not _CHANNEL.fullmatch(name):
            raise ValueError(f"an unknown channel, '{name[:40]}'")
    return tuple(name[0].upper() + name[1:].lower() for name in names)


def _checked(joints: list[_Joint]) -> Hierarchy:
    if not joints:
        raise ValueError("no joints")
    names = tuple(joint.name for joint in joints)
    for joint in joints:
        if len(joint.offset) != 3 or not all(math.isfinite(number) for number in joint.offset):
            raise ValueError(f"joint '{joint.name[:40]}' has no OFFSET of three numbers")
        if not joint.name.isprintable() or not joint.name:
            raise ValueError(f"a joint named {joint.name[:40]!r}")
    if len(set(names)) < len(names):
        raise ValueError("two joints of one name: " + next(name for name in names if names.count(name) > 1)[:40])
    return Hierarchy(names, tuple(joint.parent for joint in joints), np.array([joint.offset for joint in joints]))
