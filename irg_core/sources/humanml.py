"""The folder layout of HumanML3D, which KIT-ML's release shares: motions by id, texts by id, lists of the splits.

A text line is `caption#word/POS word/POS …#from#to`, in seconds; `0.0#0.0` speaks of the whole clip, anything else of
a stretch, which becomes a take of its own. An id that begins with M is the mirror image of the one without.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from irg_core.errors import SourceError
from irg_core.records.annotation import Rejection
from irg_core.records.motion import SourceCaption, Take
from irg_core.sources import folders
from irg_core.sources.captions import NO_CAPTION, UNREADABLE_CAPTIONS, Captions
from irg_core.sources.entry import Entry
from irg_core.sources.names import safe_name, shown
from irg_core.sources.walking import MOST_BYTES, Found, rejection, walk

JOINTS, FEATURES, TEXTS = "new_joints", "new_joint_vecs", "texts"
WRONG_STRETCH = "caption of no stretch of the motion"
BROKEN_LINE = "broken caption line"
SLACK = 0.5
"""Seconds that a stretch may reach beyond the motion; the release rounds, and some motions were cut later."""

Motion = Callable[[Found], Take]
Stretch = tuple[float, float]
WHOLE: Stretch = (0.0, 0.0)


def takes(root: Path, from_joints: Motion, from_features: Motion, entry: Entry) -> Iterator[Take | Rejection]:
    """The takes of each id in the order of ids, from joints where the folder has them, else from features."""
    found = _motions(root)
    splits = _splits(root)
    told = (root / TEXTS).is_dir()
    for name, motion in sorted(found.items()):
        if isinstance(motion, Found):
            read = from_joints if motion.relative.startswith(f"{JOINTS}/") else from_features
            take = folders.take(motion, read, Captions(None), entry)
        if isinstance(motion, Rejection) or isinstance(take, Rejection):
            yield motion if isinstance(motion, Rejection) else take
            continue
        recording = name.removeprefix("M")
        take = replace(take, name=name, recording=recording, cell=recording, split=splits.get(name, ""))
        yield from _with_captions(root, motion, take) if told else [take]


def _motions(root: Path) -> dict[str, Found | Rejection]:
    """One file for each id."""
    there = [folder for folder in (JOINTS, FEATURES) if (root / folder).is_dir()]
    if not there:
        raise SourceError(f"{shown(root)} has neither {JOINTS}/ nor {FEATURES}/; so it has not HumanML3D's layout")
    found: dict[str, Found | Rejection] = {}
    for folder in there:
        for file in walk(root / folder, (".npy",)):
            if isinstance(file, Rejection):
                found.setdefault(file.key, file)
            else:
                found.setdefault(file.name, Found(file.path, f"{folder}/{file.relative}"))
    if not found:
        raise SourceError(f"{shown(root)} has no motion; *.npy is looked for in {' and '.join(there)}")
    return found


def _splits(root: Path) -> dict[str, str]:
    """Each id's split as the lists say; an id in two of them is tested with and not learnt from."""
    splits: dict[str, str] = {}
    for split in ("train", "val", "test"):
        path = root / f"{split}.txt"
        if path.exists():
            try:
                splits |= {safe_name(line.strip() + ".npy"): split for line in _lines(path)}
            except (OSError, ValueError) as error:
                raise SourceError(f"{shown(path)} is no list of ids ({shown(error)})") from error
    return splits


def _lines(path: Path) -> list[str]:
    """The lines of a text that say something. Raises `OSError` or `ValueError`."""
    if path.stat().st_size > MOST_BYTES or not path.is_file():
        raise ValueError(f"not a plain file, or more than {MOST_BYTES} bytes")
    return [line for line in path.read_bytes().decode("utf-8-sig").splitlines() if line.strip()]


# --- captions -------------------------------------------------------------------------------------------------------


def _with_captions(root: Path, motion: Found, take: Take) -> Iterator[Take | Rejection]:
    """A take for the whole motion and for each stretch that a line speaks of; lines of no sense are rejections."""
    relative = f"{TEXTS}/{motion.path.stem}.txt"
    try:
        lines = _lines(root / relative)
    except FileNotFoundError:
        lines = []
    except (OSError, ValueError) as error:
        yield rejection(take.source, UNREADABLE_CAPTIONS, f"{relative}: {error}")
        return
    said: dict[Stretch, list[SourceCaption]] = {}
    broken = []
    for line in lines:
        try:
            caption, stretch = _parsed(line)
        except ValueError as error:
            broken.append(str(error))
            continue
        said.setdefault(stretch, []).append(SourceCaption(caption, ""))
    if broken:
        yield rejection(relative, BROKEN_LINE, f"{len(broken)} of {len(lines)}: {broken[0]}")
    elif not said:
        yield rejection(take.source, NO_CAPTION, f"{relative} is missing or empty")
    for stretch, captions in said.items():
        yield _stretch(replace(take, captions=tuple(captions)), stretch)


def _parsed(line: str) -> tuple[str, Stretch]:
    """A line's caption and stretch. Raises `ValueError`."""
    parts = line.split("#")
    caption = " ".join(parts[0].split())
    if len(parts) not in (1, 4) or not caption:
        raise ValueError(f"'{line}' is not caption#tokens#from#to")
    start, end = (float(part) for part in parts[2:]) if len(parts) == 4 else WHOLE
    # The release itself has NaN where no stretch was given.
    return caption, WHOLE if math.isnan(start) or math.isnan(end) else (start, end)


def _stretch(take: Take, stretch: Stretch) -> Take | Rejection:
    if stretch == WHOLE:
        return take
    start, end = stretch
    seconds = len(take.joints) / take.fps
    if not 0 <= start < min(end, seconds) or end > seconds + SLACK:
        return rejection(take.source, WRONG_STRETCH, f"{start:g} to {end:g} s of {seconds:.2f} s")
    part = take.joints[round(start * take.fps) : round(end * take.fps)]
    return replace(take, name=f"{take.name}_{start:g}-{end:g}", joints=part)
