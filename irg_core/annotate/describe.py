"""describe: measured facts of each clip, and one detailed caption written from them.

The writer sees facts only, not the human captions: some of those are held out for the test, and must not leak into
a text that every split may see.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from irg_core.annotate.asking import Reply, bullets, plain, question, read_reply
from irg_core.annotate.demands import is_understood
from irg_core.annotate.facts import facts
from irg_core.llm.chat import ChatRequest
from irg_core.motion import lines
from irg_core.motion.actions import USED_IN_TEXTS
from irg_core.motion.thresholds import KinematicsParams
from irg_core.records.annotation import Caption, Rejection
from irg_core.records.motion import Clip, Facts, Phase


@dataclass(frozen=True)
class DescribeParams:
    """Who writes the detailed captions."""

    provider: str
    """File in irg_core/llm that answers."""
    model: str
    """Which of the provider's models."""
    seed: int
    """Another seed words the same facts differently."""
    attempts: int
    """How often an unreadable reply is asked for again; more saves rows and costs requests."""
    batch: int
    """Clips measured in one batch of the executor; larger is faster until memory or balance suffers."""
    facts_shown: int
    """Measures that the writer reads beside the phases, the most telling ones; more make captions longer."""


class Written(Reply):
    caption: str


def measure(clips: Sequence[Clip], limits: KinematicsParams) -> list[Facts]:
    """The facts of a batch of clips."""
    return [facts(clip.clip_id, clip.features, limits) for clip in clips]


def questions(rows: Iterable[Facts], params: DescribeParams) -> list[ChatRequest]:
    """One request for each clip whose every phase has a name: of half-understood motion nothing true can be written."""
    return [_question(row, params) for row in rows if is_understood(row.phases)]


def _question(row: Facts, params: DescribeParams) -> ChatRequest:
    phases = [usable(phase) for phase in row.phases]
    words = {
        "phases": bullets(lines.of_phases(phases)),
        "measures": bullets(lines.of_measures(row.measures, params.facts_shown)),
    }
    return question("describe", row.clip_id, params.seed, {"phases": plain(phases)}, words, Written)


def usable(phase: Phase) -> Phase:
    """The phase without the kinds of fact that are measured too badly to be put into words."""
    empty: dict[str, Any] = {"side": "", "direction": "", "turn": math.nan, "count": 0, "speed": "", "amplitude": ""}
    return replace(phase, **{name: value for name, value in empty.items() if name not in USED_IN_TEXTS})


def read(request: ChatRequest, text: str) -> tuple[str, str] | Rejection:
    """(clip_id, written caption)."""
    reply = read_reply(Written, request, text)
    return reply if isinstance(reply, Rejection) else (request.key, reply.caption)


def captions(clips: Iterable[Clip], written: dict[str, str], provider: str) -> list[Caption]:
    """The captions that came with the clips, and behind them those written here."""
    rows = []
    for clip in clips:
        for index, source in enumerate(clip.captions):
            rows.append(Caption(f"{clip.clip_id}/{index}", clip.clip_id, index, source.text, source.template, "source"))
        if clip.clip_id in written:
            index = len(clip.captions)
            text = written[clip.clip_id]
            rows.append(Caption(f"{clip.clip_id}/{index}", clip.clip_id, index, text, "", provider))
    return rows
