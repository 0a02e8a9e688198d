"""verify: hold each judgement against the facts and the known flaw; accept it, or refuse it for a fixed reason.

The reasons are counted in the report, so each is a phrase that never changes from row to row.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from irg_core.annotate import claims
from irg_core.annotate.demands import asks_for, is_set
from irg_core.dialogue import SENTINEL
from irg_core.motion.differences import differences
from irg_core.motion.thresholds import KinematicsParams
from irg_core.records.annotation import Assessment, Pair, Rejection
from irg_core.records.motion import Phase

GOAL_REFUSED = "goal motion judged as flawed"
WRONG_SENTINEL = "wrong sentinel: a known flaw judged fine"
NOT_ASKED = "flaw the goal does not ask about"
CONTRADICTION = "contradicts goal and facts"
LEAK = "leaked words"
LENGTH = "too long or too short"

LEAKED = re.compile(r"\b(captions?|prompts?|facts?|tokens?|frames?|measured|json|dataset)\b", re.IGNORECASE)
"""Words that give away how a judgement was made."""
CLAUSES = re.compile(r"[,.;:]| (?:but|and|instead of|rather than|not) ")
"""Where one statement ends and the next, perhaps opposite one begins."""
DENIED = re.compile(r"\b(instead of|rather than|not)\b[^,.;:]*", re.IGNORECASE)
"""What an instruction says to stop doing; the rest is what it says to do."""


@dataclass(frozen=True)
class VerifyParams:
    """Limits of what a judge may say."""

    min_words: int
    """Fewer words than this say nothing; a higher limit rejects terse judges."""
    max_assessment_words: int
    """Longer assessments make traces too long to train on; a lower limit rejects more."""
    max_refinement_words: int
    """Longer instructions are refused."""


def check(
    said: Assessment, pair: Pair, asked: Sequence[Phase], shown: Sequence[Phase], params: VerifyParams,
    limits: KinematicsParams,
) -> Rejection | None:  # fmt: skip
    """The first reason to refuse a judgement, or None."""
    faults = (
        _sentinel(said, pair, asked, shown, limits)
        or _words(said, params)
        or _contradiction(said.assessment, [*asked, *shown])
        or _contradiction(DENIED.sub("", said.refinement), asked)
    )
    if not faults:
        return None
    reason, detail = faults
    return Rejection(said.pair_id, "verify", reason, f"{detail} | {said.assessment} | {said.refinement}")


Fault = tuple[str, str] | None  # a reason and what exactly


def _sentinel(
    said: Assessment, pair: Pair, asked: Sequence[Phase], shown: Sequence[Phase], limits: KinematicsParams
) -> Fault:
    """The sentinel belongs to motions that fulfil their goal, and to no other."""
    is_satisfied = said.refinement == SENTINEL
    if pair.source == "goal":
        return None if is_satisfied else (GOAL_REFUSED, "the goal motion itself")
    if not is_satisfied:
        return None
    if breaks_goal(pair, asked, shown, limits):
        return WRONG_SENTINEL, f"{pair.kind} {pair.truth}"
    return NOT_ASKED, f"{pair.kind} {pair.truth}"


def breaks_goal(pair: Pair, asked: Sequence[Phase], shown: Sequence[Phase], limits: KinematicsParams) -> bool:
    """Whether what is known to be wrong concerns the goal: an edit by its truth, any other motion by its facts."""
    changes = json.loads(pair.truth).get("changes")
    if changes is None:
        return bool(differences(list(asked), list(shown), limits))
    return any(asks_for(asked, change["attribute"], change["action"]) for change in changes)


def _words(said: Assessment, params: VerifyParams) -> Fault:
    for text in (said.assessment, said.refinement):
        if found := LEAKED.search(text):
            return LEAK, found.group()
    sizes = len(said.assessment.split()), len(said.refinement.split())
    if (
        min(sizes) < params.min_words
        or sizes[0] > params.max_assessment_words
        or sizes[1] > params.max_refinement_words
    ):
        return LENGTH, f"{sizes[0]} and {sizes[1]} words"
    return None


def _contradiction(text: str, allowed: Sequence[Phase]) -> Fault:
    """A mentioned side, direction or count of an action that neither the goal nor the motion has."""
    # "Left out" is no side.
    for clause in CLAUSES.split(text.replace("left out", "missing")):
        for phase in claims.claims(clause):
            same = [other for other in allowed if other.action == phase.action]
            for attribute in ("side", "direction", "count"):
                value, known = getattr(phase, attribute), [getattr(other, attribute) for other in same]
                if is_set(value) and any(map(is_set, known)) and value not in known and not _is_article(phase, clause):
                    return CONTRADICTION, f"{attribute} {value} of {phase.action}: {clause.strip()}"
    return None


def _is_article(phase: Phase, clause: str) -> bool:
    """Whether a count is only the article of "there is a kick"."""
    return phase.count == 1 and not re.search(r"\b(once|one|single|1)\b", clause)
