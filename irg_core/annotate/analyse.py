"""analyse: what a goal asks for, said three ways: a checklist, paraphrases, and a detailed prompt."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pydantic import Field

from irg_core.annotate import claims, verify
from irg_core.annotate.asking import Reply, Subject, bullets, plain, question, quoted, read_reply
from irg_core.llm.chat import ChatRequest
from irg_core.motion import lines
from irg_core.records.annotation import Analysis, Caption, Rejection
from irg_core.records.motion import Phase


@dataclass(frozen=True)
class AnalyseParams:
    """Who analyses the goals."""

    provider: str
    """File in irg_core/llm that answers."""
    model: str
    """Which of the provider's models."""
    seed: int
    """Another seed words the same analysis differently."""
    attempts: int
    """How often an unreadable reply is asked for again; more saves rows and costs requests."""


class Analysed(Reply):
    analysis: str
    paraphrases: list[str] = Field(min_length=3, max_length=3)
    detailed: str


def questions(captions: Iterable[Caption], params: AnalyseParams) -> Iterator[ChatRequest]:
    """One request for each caption, with what its words demand as far as the lexicon can tell."""
    return (_question(caption, params) for caption in captions)


def _question(caption: Caption, params: AnalyseParams) -> ChatRequest:
    asked = claims.claims(caption.text)
    words = {"goal": quoted(caption.text), "asked": bullets(lines.of_phases(asked))}
    about = Subject("analyse", caption.caption_id, caption.clip_id, facts="")
    return question(about, params, "analyse.md", words, {"goal": caption.text, "asked": plain(asked)}, Analysed)


def read(request: ChatRequest, text: str) -> Analysis | Rejection:
    reply = read_reply(Analysed, request, text)
    if isinstance(reply, Rejection):
        return reply
    asked, origin = verify.known_phases(request.payload["asked"]), request.origin
    if fault := verify.unfaithful(request, [*reply.paraphrases, reply.detailed], "asked"):
        return fault
    for text in (reply.analysis, *reply.paraphrases, reply.detailed):
        if not _is_about(text, asked):
            return Rejection(request.key, request.kind, verify.UNGROUNDED, f"no action of the goal is in: {text}")
    return Analysis(request.key, origin.clip_id, asked, reply.analysis, reply.paraphrases, reply.detailed, origin)


def _is_about(text: str, asked: Sequence[Phase]) -> bool:
    """Whether a text names an action that the goal names, if the lexicon knows any of them."""
    wanted = {phase.action for phase in asked}
    return not wanted or bool(wanted & {phase.action for phase in claims.claims(text)})
