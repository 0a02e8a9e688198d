"""Clips as picture strips beside their captions: what no table shows is whether a motion reads as its words."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

from irg_core.motion.features import to_joints
from irg_core.motion.strips import strip
from irg_core.records.motion import Clip
from irg_core.seeds import derive

COLOURS = 32
"""Of a picture's palette; line drawings need no more, and the page stays small."""


@dataclass(frozen=True)
class Sample:
    """One clip as a picture."""

    clip_id: str
    captions: list[str]
    picture: str
    """A PNG as a data address."""


def samples(clips: Sequence[Clip], count: int, seed: int) -> list[Sample]:
    """Clips of one corpus, drawn by lot, in the order of their names."""
    drawn = sorted(clips, key=lambda clip: derive(seed, "sample", clip.clip_id))[:count]
    return [
        Sample(clip.clip_id, [caption.text for caption in clip.captions], _picture(clip))
        for clip in sorted(drawn, key=lambda clip: clip.clip_id)
    ]


def _picture(clip: Clip) -> str:
    stream = io.BytesIO()
    strip(to_joints(clip.features), clip.captions[0].text).quantize(COLOURS).save(stream, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()
