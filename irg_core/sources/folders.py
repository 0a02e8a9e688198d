"""A folder in which each file is one motion: one result for each file, whatever is in it.

Formats differ in how a file is read. What surrounds the file is the same for all of them and stands here: its name,
its captions, what the corpus's entry in params.yaml says about it, and what happens if it is broken.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from irg_core.errors import SourceError
from irg_core.records.annotation import Rejection
from irg_core.records.motion import Take
from irg_core.sources.captions import Captions, NoCaption
from irg_core.sources.entry import Entry
from irg_core.sources.names import shown
from irg_core.sources.walking import Found, rejection, walk

UNREADABLE = "unreadable motion file"
NOT_FINITE = "numbers that are not finite"
NO_RATE = "no frame rate"
NO_MOTION = "fewer than two frames"
TOO_FAR = "joints farther away than any place"
LOST = 0.01
"""Share of frames without numbers beyond which nothing is worth saving; around fewer the door cuts a long take."""
FARTHEST = 1e9
"""In any unit: even in millimetres this is beyond the horizon, and its squares are still numbers."""


def takes(
    root: Path, suffixes: tuple[str, ...], motion: Callable[[Found], Take], captions: Captions, entry: Entry
) -> Iterator[Take | Rejection]:
    """One take or rejection for each file below `root` with one of the suffixes.

    `motion` reads one file into a bare take (joints, fps, hierarchy, rotations) and raises `ValueError` or `OSError`
    where it cannot.
    """
    empty = True
    for found in walk(root, suffixes):
        empty = False
        yield found if isinstance(found, Rejection) else take(found, motion, captions, entry)
    if empty:
        raise SourceError(f"{shown(root)} holds no motion file; one named *{' or *'.join(suffixes)} is looked for")


def take(found: Found, motion: Callable[[Found], Take], captions: Captions, entry: Entry) -> Take | Rejection:
    """The take of one file with all that is known about it, or the reason why there is none."""
    try:
        said = captions.of(found)
    except NoCaption as error:
        return rejection(found.relative, *error.args)
    try:
        with np.errstate(all="ignore"):  # what overflows is found below, without warnings on the way
            bare = motion(found)
    except (ValueError, OSError) as error:
        return rejection(found.relative, UNREADABLE, error)
    if len(bare.joints) < 2:
        return rejection(found.relative, NO_MOTION, f"{len(bare.joints)} frames")
    fps = entry.fps or bare.fps
    if not (math.isfinite(fps) and fps > 0):
        return rejection(found.relative, NO_RATE, f"{fps} frames a second; give the corpus's entry an 'fps'")
    broken = ~np.isfinite(bare.joints).all(axis=(1, 2))
    if broken.mean() > LOST:
        return rejection(
            found.relative, NOT_FINITE, f"{int(broken.sum())} of {len(broken)} frames, first {int(broken.argmax())}"
        )
    sound = bare.joints[~broken] if broken.any() else bare.joints
    if (farthest := max(sound.max(), -sound.min())) > FARTHEST:
        return rejection(found.relative, TOO_FAR, f"{farthest:.3g} units from the origin")
    named = replace(
        bare, name=bare.name or found.name, fps=fps, captions=said or bare.captions, conventions=entry.conventions
    )
    return replace(named, cell=bare.cell or bare.recording or named.name, source=found.source)
