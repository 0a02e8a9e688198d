"""assess: ask how a motion misses its goal, and what would mend it.

The judge reads what was measured in the motion and in the goal's own, beside the words that people wrote; as a teacher
it is also told what is known to be wrong.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from irg_core.annotate import verify
from irg_core.annotate.asking import Reply, Subject, bullets, plain, question, quoted, read_reply
from irg_core.annotate.demands import asks_for, demand
from irg_core.annotate.facts import version
from irg_core.dialogue import SENTINEL
from irg_core.llm.chat import ChatRequest
from irg_core.motion import lines
from irg_core.motion.actions import USED_IN_TEXTS
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
    """Measures of each motion that the judge reads beside its phases, the most telling; more make longer questions."""
    teacher: bool
    """Whether the judge is told the flaw, where it is known, and the measured differences: truer, and no test of it."""


PROMPTS = {False: "assess.md", True: "assess.teacher.md"}
MOST_CAPTIONS = 3
"""Captions of the motion to be judged that the judge reads."""


class Judged(Reply):
    assessment: str
    refinement: str


def questions(
    pairs: Iterable[Pair], shown: Mapping[str, Facts], params: AssessParams, limits: KinematicsParams
) -> Iterator[ChatRequest]:
    """One request for each pair; `shown` has the facts of every motion that a pair names, by the rules of `limits`."""
    rules = version(limits)
    for pair in pairs:
        about = Subject("assess", pair.pair_id, pair.clip_id, rules)
        yield _question(about, pair, Sight(shown[pair.clip_id], shown[pair.motion_id]), params, limits)


@dataclass(frozen=True, slots=True)
class Sight:
    """The facts of the goal's own motion, and of the motion to be judged."""

    own: Facts
    shown: Facts


def _question(about: Subject, pair: Pair, sight: Sight, params: AssessParams, limits: KinematicsParams) -> ChatRequest:
    asked = demand(pair.goal, sight.own.phases)
    found = differences(asked, sight.shown.phases, limits)
    if params.teacher:
        found = with_truth(found, pair, asked)
    payload = {
        "goal": pair.goal,
        "asked": plain(asked),
        "shown": plain(sight.shown.phases),
        "measures": plain(sight.shown.measures),
        "differences": [asdict(difference) for difference in found],
        "sentinel": SENTINEL,
    }
    words = _seen("own", sight.own, params) | _seen("shown", sight.shown, params)
    words |= {"goal": quoted(pair.goal), "captions": bullets(map(quoted, pair.captions[:MOST_CAPTIONS]))}
    words |= {"differences": bullets(map(_line, found)), "sentinel": SENTINEL}
    return question(about, params, PROMPTS[params.teacher], words, payload, Judged)


def _seen(name: str, facts: Facts, params: AssessParams) -> dict[str, str]:
    return {
        name: bullets(lines.of_phases(facts.phases)),
        f"{name}_measures": bullets(lines.of_measures(facts.measures, params.facts_shown)),
    }


def with_truth(found: Sequence[Difference], pair: Pair, asked: Sequence[Phase]) -> list[Difference]:
    """Measured differences, put right by what is known: an edit's changes, and that a goal's own motion has none.

    Of what was changed, only what the goal asks for is a difference.
    """
    if pair.source == "goal":
        return []
    measured = {(one.attribute, one.action) for one in found}
    made = [_difference(change) for change in json.loads(pair.truth).get("changes", [])]
    missed = [one for one in made if one.attribute in USED_IN_TEXTS and asks_for(asked, one.attribute, one.action)]
    return [*found, *(one for one in missed if (one.attribute, one.action) not in measured)]


def _difference(change: Mapping[str, Any]) -> Difference:
    """A change of an edit, which is a difference from what was."""
    attribute, was, now = change["attribute"], change["was"], change["now"]
    if attribute != "turn":
        return Difference(attribute, change["action"], str(was), str(now))
    if was * now < 0:
        return Difference("direction", change["action"], _way(was), _way(now))
    return Difference(attribute, change["action"], f"{abs(was):.0f} degrees", f"{abs(now):.0f} degrees")


def _way(turn: float) -> str:
    return "left" if turn > 0 else "right"


def _line(difference: Difference) -> str:
    asked, shown = difference.asked or "nothing", difference.shown or "nothing"
    return f"{difference.attribute} of {difference.action}: asked for {asked}, shown {shown}"


def read(request: ChatRequest, text: str) -> Assessment | Rejection:
    reply = read_reply(Judged, request, text)
    if isinstance(reply, Rejection):
        return reply
    said = Assessment(request.key, reply.assessment, reply.refinement, request.origin)
    return verify.faults(request, said) or said
