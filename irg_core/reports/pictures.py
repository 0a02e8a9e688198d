"""Picture strips as PNG files, for places where nothing moves: one clip an action, one flaw, one trace."""

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from irg_core.motion.strips import strip
from irg_core.records.motion import Clip, Facts
from irg_core.seeds import derive

COLOURS = 48
"""Of a picture's palette; line drawings need no more, and the files stay small."""


def png(*rows: tuple[np.ndarray, str]) -> bytes:
    """Strips of joints [frames, 22, 3] with their captions, one below the other; equal motions give equal bytes."""
    drawn = [strip(joints, caption) for joints, caption in rows]
    picture = Image.new("RGB", (drawn[0].width, sum(one.height for one in drawn)), "white")
    for index, one in enumerate(drawn):
        picture.paste(one, (0, sum(above.height for above in drawn[:index])))
    stream = io.BytesIO()
    picture.quantize(COLOURS).save(stream, "PNG", optimize=True)
    return stream.getvalue()


def clip_of(action: str, clips: Sequence[Clip], facts: Sequence[Facts], seed: int) -> Clip | None:
    """A clip in which this action takes most of the time, rather of a person than of a program."""
    share = {row.clip_id: sum(p.end - p.start for p in row.phases if p.action == action) / row.seconds for row in facts}
    fitting = [clip for clip in clips if share.get(clip.clip_id, 0.0) >= 0.5]
    by_lot = sorted(fitting, key=lambda clip: (bool(clip.truth), derive(seed, "picture", clip.clip_id)))
    return by_lot[0] if by_lot else None
