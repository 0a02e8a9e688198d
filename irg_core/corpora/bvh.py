"""Any folder of BVH files, in all its sub-folders; the skeleton may be another one in each file."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from irg_core.motion import bvh
from irg_core.records.annotation import Rejection
from irg_core.records.motion import Take
from irg_core.sources.captions import captions as open_captions
from irg_core.sources.entry import entry
from irg_core.sources.folders import takes
from irg_core.sources.walking import Found


def read(
    root: Path, *, captions: Any = None, fps: Any = None, up: Any = None, unit: Any = None, joints: Any = None
) -> Iterator[Take | Rejection]:
    """One take for each *.bvh, in the order of their names; `fps` overrides the frame times of all of them."""
    options = entry(fps=fps, up=up, unit=unit, joints=joints)
    return takes(root, (".bvh",), motion, open_captions(root, captions), options)


def motion(found: Found) -> Take:
    """The bare take of one file. Raises `ValueError` where it is no BVH."""
    with found.path.open("rb") as file:
        parsed = bvh.load(file)
    positions, turned = bvh.pose(parsed)
    return Take("", positions, parsed.fps, (), "", "", hierarchy=parsed.hierarchy, rotations=turned)
