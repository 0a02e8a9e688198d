"""analyse: what a goal asks for, said three ways: a checklist, paraphrases, and a detailed prompt."""

from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import Field

from irg_core.annotate import claims
from irg_core.annotate.asking import Reply, bullets, plain, question, read_reply
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


def asked(captions: Iterable[Caption]) -> dict[str, list[Phase]]:
    """What the words of each caption demand, by caption_id."""
    return {caption.caption_id: claims.claims(caption.text) for caption in captions}


def questions(captions: Iterable[Caption], demands: dict[str, list[Phase]], params: AnalyseParams) -> list[ChatRequest]:
    return [_question(caption, demands[caption.caption_id], params) for caption in captions]


def _question(caption: Caption, demand: list[Phase], params: AnalyseParams) -> ChatRequest:
    words = {"goal": caption.text, "asked": bullets(lines.of_phases(demand))}
    payload = {"goal": caption.text, "asked": plain(demand)}
    return question("analyse", caption.caption_id, params.seed, payload, words, Analysed)


def read(request: ChatRequest, text: str) -> tuple[str, Analysed] | Rejection:
    """(caption_id, its analysis)."""
    reply = read_reply(Analysed, request, text)
    return reply if isinstance(reply, Rejection) else (request.key, reply)


def analyses(
    captions: Iterable[Caption], demands: dict[str, list[Phase]], replies: dict[str, Analysed]
) -> list[Analysis]:
    """The rows of the captions that were answered."""
    return [
        Analysis(
            caption.caption_id,
            caption.clip_id,
            demands[caption.caption_id],
            reply.analysis,
            reply.paraphrases,
            reply.detailed,
        )
        for caption in captions
        if (reply := replies.get(caption.caption_id)) is not None
    ]
