"""describe: measured facts of each clip, and one detailed caption written from them.

The writer sees facts only, not the human captions: some of those are held out for the test, and must not leak into
a text that every split may see.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from irg_core.annotate import verify
from irg_core.annotate.asking import Reply, Subject, bullets, plain, question, read_reply
from irg_core.annotate.demands import is_understood
from irg_core.annotate.facts import facts
from irg_core.llm.chat import ChatRequest
from irg_core.motion import lines
from irg_core.motion.actions import USED_IN_TEXTS
from irg_core.motion.thresholds import KinematicsParams
from irg_core.records.annotation import Caption, Rejection
from irg_core.records.motion import Clip, Facts, Phase, SourceCaption


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


WORDLESS = "nothing to say of a clip without a caption"


@dataclass(frozen=True, slots=True)
class Said:
    """A clip without its motion: the captions that came with it."""

    clip_id: str
    captions: list[SourceCaption]


def measure(clips: Sequence[Clip], limits: KinematicsParams) -> list[Facts]:
    """The facts of a batch of clips."""
    return [facts(clip.clip_id, clip.features, limits) for clip in clips]


def questions(
    clips: Iterable[Clip | Said], measured: Iterable[Facts], params: DescribeParams, version: str
) -> Iterator[ChatRequest]:
    """One request for each clip whose every phase has a name: of half-understood motion nothing true can be written.

    `measured` are the facts of the clips, in their order, by the rules of `version`.
    """
    for clip, row in zip(clips, measured, strict=True):
        if is_understood(row.phases):
            about = Subject("describe", f"{clip.clip_id}/{len(clip.captions)}", clip.clip_id, version)
            yield _question(about, row, params)


def wordless(clips: Iterable[Clip | Said], measured: Iterable[Facts]) -> Iterator[Rejection]:
    """The clips of which nobody speaks: they came without a caption, and too little is understood to write one."""
    for clip, row in zip(clips, measured, strict=True):
        if not clip.captions and not is_understood(row.phases):
            detail = "it came without one, and not all of it can be named: only the tokenizer learns from it"
            yield Rejection(clip.clip_id, "describe", WORDLESS, detail)


def _question(about: Subject, row: Facts, params: DescribeParams) -> ChatRequest:
    phases = [usable(phase) for phase in row.phases]
    words = {
        "phases": bullets(lines.of_phases(phases)),
        "measures": bullets(lines.of_measures(row.measures, params.facts_shown)),
    }
    return question(
        about, params, "describe.md", words, {"phases": plain(phases), "measures": plain(row.measures)}, Written
    )


def usable(phase: Phase) -> Phase:
    """The phase without the kinds of fact that are measured too badly to be put into words."""
    empty: dict[str, Any] = {"side": "", "direction": "", "turn": math.nan, "count": 0, "speed": "", "amplitude": ""}
    return replace(phase, **{name: value for name, value in empty.items() if name not in USED_IN_TEXTS})


def read(request: ChatRequest, text: str) -> Caption | Rejection:
    """The written caption, which stands behind those that came with the clip."""
    reply = read_reply(Written, request, text)
    if isinstance(reply, Rejection):
        return reply
    if fault := verify.unfaithful(request, [reply.caption], "phases"):
        return fault
    origin, index = request.origin, int(request.key.rpartition("/")[2])
    return Caption(request.key, origin.clip_id, index, reply.caption, "", origin.provider, origin)


def source_captions(clips: Iterable[Clip | Said]) -> Iterator[Caption]:
    """The captions that came with the clips."""
    for clip in clips:
        for index, said in enumerate(clip.captions):
            yield Caption(f"{clip.clip_id}/{index}", clip.clip_id, index, said.text, said.template, "source")
