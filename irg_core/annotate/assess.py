"""assess: ask how a motion misses its goal, and what would mend it.

The judge reads what was measured in the motion, not the words that somebody once wrote about it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from irg_core.annotate.asking import Reply, bullets, plain, question, read_reply
from irg_core.annotate.demands import demand
from irg_core.dialogue import SENTINEL
from irg_core.llm.chat import ChatRequest
from irg_core.motion import lines
from irg_core.motion.differences import differences
from irg_core.motion.thresholds import KinematicsParams
from irg_core.records.annotation import Assessment, Pair, Rejection
from irg_core.records.motion import Difference, Facts, Phase


@dataclass(frozen=True)
class AssessParams:
    """Who judges."""

    provider: str
    """File in irg_core/llm that answers."""
    model: str
    """Which of the provider's models."""
    seed: int
    """Another seed words the same judgements differently."""
    attempts: int
    """How often an unreadable reply is asked for again; more saves rows and costs requests."""
    facts_shown: int
    """Measures that the judge reads beside the phases, the most telling ones; more make longer questions."""


class Judged(Reply):
    assessment: str
    refinement: str


def questions(
    pairs: Sequence[Pair], shown: Mapping[str, Facts], params: AssessParams, limits: KinematicsParams
) -> list[ChatRequest]:
    asked = (demand(pair.goal, shown[pair.clip_id].phases) for pair in pairs)
    return [
        _question(pair, demanded, shown[pair.motion_id], params, limits)
        for pair, demanded in zip(pairs, asked, strict=True)
    ]


def _question(
    pair: Pair, asked: list[Phase], shown: Facts, params: AssessParams, limits: KinematicsParams
) -> ChatRequest:
    found = differences(asked, shown.phases, limits)
    payload = {
        "asked": plain(asked),
        "shown": plain(shown.phases),
        "differences": [asdict(difference) for difference in found],
        "sentinel": SENTINEL,
    }
    words = {
        "goal": pair.goal,
        "shown": bullets(lines.of_phases(shown.phases)),
        "measures": bullets(lines.of_measures(shown.measures, params.facts_shown)),
        "differences": bullets([_line(difference) for difference in found]),
        "sentinel": SENTINEL,
    }
    return question("assess", pair.pair_id, params.seed, payload, words, Judged)


def _line(difference: Difference) -> str:
    asked, shown = difference.asked or "nothing", difference.shown or "nothing"
    return f"{difference.attribute} of {difference.action}: asked for {asked}, shown {shown}"


def read(request: ChatRequest, text: str) -> Assessment | Rejection:
    reply = read_reply(Judged, request, text)
    return reply if isinstance(reply, Rejection) else Assessment(request.key, reply.assessment, reply.refinement)
