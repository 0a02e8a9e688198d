"""verify: hold each judgement against the facts and the known flaw; accept it, or refuse it for a fixed reason.

The reasons are counted in the report, so each is a phrase that never changes from row to row. The same checks read a
reply while its writer can still be asked to mend it.
"""

import json
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from irg_core.annotate import grounding
from irg_core.annotate.demands import asks_for
from irg_core.annotate.grounding import CONTRADICTED, SUPPORTED, UNVERIFIABLE, Finding, Known
from irg_core.annotate.statements import ASKED, SHOWN
from irg_core.dialogue import SENTINEL
from irg_core.llm.chat import ChatRequest
from irg_core.motion.differences import differences
from irg_core.motion.thresholds import KinematicsParams
from irg_core.records.annotation import Assessment, Outcome, Pair, Rejection
from irg_core.records.motion import Facts, Measure, Phase

GOAL_REFUSED = "goal motion judged as flawed"
WRONG_SENTINEL = "wrong sentinel: a known flaw judged fine"
NEEDLESS = "fault found where none is"
NOT_ASKED = "flaw the goal does not ask about"
BLURRED = "sentinel not to the letter"
CONTRADICTION = "contradicts goal and facts"
UNGROUNDED = "names nothing that can be checked"
LEAK = "leaked words"
MARKUP = "markup"
LENGTH = "too long or too short"
ALIKE = "too many rows say the same"

PARROTED = 6
"""Words in a row that two texts do not share by chance."""

Fault = tuple[str, str] | None  # a reason and what exactly

LEAKED = re.compile(
    r"\b(captions?|prompts?|(?<!in )facts?|tokens?|frames?|indices|index(?! finger)|measured|measurements?"
    r"|json|schema|data ?sets?"
    r"|ground truth|annotat\w+|known (?:differences?|flaws?)|phase by phase|system|assistant|language model|as an ai"
    r"|you (?:judge|see|are|caption|read|write|work|must|will)|answer with|(?:previous|above|these) instructions"
    r"|i (?:can ?not|am|will)|sorry)\b",
    re.IGNORECASE,
)
"""Words that give away how a judgement was made, or who was told to make it."""
MARKED = re.compile(
    r"[<>{}\[\]`|\\#*_~^=]|https?:|www\.|&\w+;"
    r"|[\x00-\x08\x0b-\x1f\x7f\u200b-\u200f\u2028-\u202e\ufeff☀-➿\U0001f000-\U0001faff]"
)
"""What no plain sentence has."""
FOREIGN = re.compile(r"[^\W\d_a-zA-ZÀ-ɏ]")
"""Letters of another alphabet: what they say cannot be read here."""
NEARLY_SENTINEL = re.compile(
    r"\b(?:no|nothing)\b.{0,20}\b(?:refine\w*|chang\w*|correct\w*|adjust\w*|improv\w*|mend\w*)\b.{0,20}"
    r"\b(?:needed|required|necessary|to (?:be )?\w+)\b|\bnothing (?:needs|has|is) to be \w+|^(?:none|nothing|n/?a)\W*$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class VerifyParams:
    """Limits of what a judge may say."""

    min_words: int
    """Fewer words than this say nothing; a higher limit rejects terse judges."""
    max_assessment_words: int
    """Longer assessments make traces too long to train on; a lower limit rejects more."""
    max_refinement_words: int
    """Longer instructions are refused."""
    most_alike: float
    """Share of a corpus's judgements that may say nearly the same; a lower one drops more rows for more variety."""

    def __post_init__(self) -> None:
        if not 0.0 < self.most_alike <= 1.0:
            raise ValueError(f"verify.most_alike is {self.most_alike}; a share lies above 0 and is at most 1")


# ---- while a reply is read -------------------------------------------------------------------------------------------


def faults(request: ChatRequest, said: Assessment) -> Rejection | None:
    """What is wrong with a judgement by the facts in its own request, in words that its writer can act on; or None."""
    payload = request.payload
    asked, shown = (known_phases(payload[name]) for name in ("asked", "shown"))
    goal = grounding.of_goal(payload.get("goal", ""))
    known = Known(asked, shown, known_measures(payload.get("measures", ())), goal=goal)
    found = (
        _parroted([said.assessment, said.refinement], request)
        or _readable([said.assessment, said.refinement])
        or _blurred(said)
        or _early_sentinel(said, payload["differences"])
        or _contradiction(judged(said, known))
    )
    return Rejection(request.key, request.kind, *found) if found else None


def unfaithful(request: ChatRequest, texts: Sequence[str], name: str) -> Rejection | None:
    """What is wrong with texts about the phases that the request's payload holds under a name; or None."""
    phases = known_phases(request.payload[name])
    goal = grounding.of_goal(request.payload.get("goal", ""))
    known = Known(phases, phases, known_measures(request.payload.get("measures", ())), goal=goal)
    of = ASKED if goal else SHOWN
    stated = [one for text in texts for one in grounding.findings(text, of, known)]
    found = _parroted(texts, request) or _readable(texts) or _contradiction(stated)
    return Rejection(request.key, request.kind, *found) if found else None


def _parroted(texts: Sequence[str], request: ChatRequest) -> Fault:
    """A run of words out of the instructions; their examples are there to be imitated."""
    told = [text for text in request.system.split("\n\n") if not text.startswith("Example")]
    known = {run for text in told for run in _runs(text)}
    found = next((run for text in texts for run in _runs(text) if run in known), None)
    return (LEAK, f"do not repeat the instructions: '{found}'") if found else None


def _runs(text: str) -> Iterator[str]:
    words = re.findall(r"\w+", text.lower())
    return (" ".join(words[start : start + PARROTED]) for start in range(len(words) - PARROTED + 1))


def known_phases(plain: Sequence[dict[str, Any]]) -> list[Phase]:
    """Phases as a request's payload holds them, whose unknown numbers are null."""
    return [Phase(**_whole(one)) for one in plain]


def known_measures(plain: Iterable[dict[str, Any]]) -> list[Measure]:
    """Measures as a request's payload holds them."""
    return [Measure(**_whole(one)) for one in plain]


def _whole(plain: dict[str, Any]) -> dict[str, Any]:
    return {name: math.nan if value is None else value for name, value in plain.items()}


def _early_sentinel(said: Assessment, found: Sequence[object]) -> Fault:
    is_satisfied = said.refinement == SENTINEL
    if is_satisfied and found:
        return WRONG_SENTINEL, "the motion differs from the goal, and the refinement says nothing is to be mended"
    if not (is_satisfied or found):
        return NEEDLESS, f"the motion does all that the goal asks for; the refinement must be exactly: {SENTINEL}"
    return None


# ---- when all is known -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a judgement."""

    outcome: Outcome  # of all that it states, whether it is kept or not
    rejection: Rejection | None


def check(
    said: Assessment, pair: Pair, asked: Sequence[Phase], shown: Facts, params: VerifyParams, limits: KinematicsParams
) -> Verdict:
    """Everything that a judgement states, counted, and the first reason to refuse it."""
    known = Known(asked, shown.phases, shown.measures, grounding.changes_of(pair.truth), grounding.of_goal(pair.goal))
    found = judged(said, known)
    fault = (
        _readable([said.assessment, said.refinement])
        or _length(said, params)
        or _blurred(said)
        or _sentinel(said, pair, asked, shown.phases, limits)
        or _contradiction(found)
        or _ungrounded(said, found)
    )
    return Verdict(outcome(found), rejection(said, *fault) if fault else None)


def rejection(said: Assessment, reason: str, detail: str) -> Rejection:
    return Rejection(said.pair_id, "verify", reason, f"{detail} | {said.assessment} | {said.refinement}")


def judged(said: Assessment, known: Known) -> list[Finding]:
    """Every statement of a judgement, held against what is known."""
    found = grounding.findings(said.assessment, SHOWN, known)
    return found if said.refinement == SENTINEL else found + grounding.findings(said.refinement, ASKED, known)


def outcome(found: Sequence[Finding]) -> Outcome:
    counts = grounding.counted(found)
    return Outcome(counts[SUPPORTED], counts[CONTRADICTED], counts[UNVERIFIABLE])


def _readable(texts: Sequence[str]) -> Fault:
    """Plain English that does not speak of how it came about."""
    for text in texts:
        if found := LEAKED.search(text):
            return LEAK, f"do not speak of '{found.group()}'"
        if found := MARKED.search(text) or FOREIGN.search(text):
            return MARKUP, f"write plain sentences, without {found.group()!r}"
    return None


def _length(said: Assessment, params: VerifyParams) -> Fault:
    sizes = len(said.assessment.split()), len(said.refinement.split())
    is_long = sizes[0] > params.max_assessment_words or sizes[1] > params.max_refinement_words
    return (LENGTH, f"{sizes[0]} and {sizes[1]} words") if is_long or min(sizes) < params.min_words else None


def _blurred(said: Assessment) -> Fault:
    if said.refinement != SENTINEL and NEARLY_SENTINEL.search(said.refinement):
        return BLURRED, f"where nothing is to be mended the refinement is exactly: {SENTINEL}"
    return None


def _sentinel(
    said: Assessment, pair: Pair, asked: Sequence[Phase], shown: Sequence[Phase], limits: KinematicsParams
) -> Fault:
    """The sentinel belongs to motions that fulfil their goal, and to no other."""
    is_satisfied = said.refinement == SENTINEL
    if pair.source == "goal":
        return None if is_satisfied else (GOAL_REFUSED, "the goal motion itself")
    if not is_satisfied:
        differs = breaks_goal(pair, asked, shown, limits) or differences(list(asked), list(shown), limits)
        return None if differs else (NEEDLESS, f"{pair.kind} {pair.truth}")
    if breaks_goal(pair, asked, shown, limits):
        return WRONG_SENTINEL, f"{pair.kind} {pair.truth}"
    return NOT_ASKED, f"{pair.kind} {pair.truth}"


def breaks_goal(pair: Pair, asked: Sequence[Phase], shown: Sequence[Phase], limits: KinematicsParams) -> bool:
    """Whether what is known to be wrong concerns the goal: an edit by its truth, any other motion by its facts."""
    changes = json.loads(pair.truth).get("changes")
    if changes is None:
        return bool(differences(list(asked), list(shown), limits))
    return any(asks_for(asked, change["attribute"], change["action"]) for change in changes)


def _contradiction(found: Sequence[Finding]) -> Fault:
    wrong = next((one for one in found if one.verdict == CONTRADICTED), None)
    return (CONTRADICTION, wrong.told) if wrong else None


def _ungrounded(said: Assessment, found: Sequence[Finding]) -> Fault:
    """An instruction of which nothing can be checked may be anything: another row's, a model's small talk."""
    if said.refinement == SENTINEL or any(one.verdict == SUPPORTED for one in found):
        return None
    return UNGROUNDED, "no statement that the facts bear out"
