"""What a sentence says that a body does: the reading counterpart of measured facts.

A lexicon finds the actions, the words around each give its attributes, and before and after put them in order. An
attribute that no word mentions stays empty. Activities that kinematics cannot measure (a cartwheel, a dance) are
"other"; a verb that the lexicon does not know claims nothing, for nothing can be checked against it.
"""

import re
from collections.abc import Sequence

from irg_core.annotate import lexicon
from irg_core.annotate.lexicon import NAN, Mention
from irg_core.records.motion import Phase

_DENIED = lexicon.any_of(
    r"not", r"never", r"without", r"instead of", r"rather than", r"no", r"lacks?", r"miss(?:es|ing)"
)
_NOT_MOVING = re.compile(r"\b(?:does|do) not move\b")


def claims(text: str) -> list[Phase]:
    """The phases that a text speaks of, in the order in which they are to happen; start, end and distance unknown."""
    phases: list[Phase] = []
    for sentence in re.split(r"[.;!?]\s+|[.;!?]$|\n", text.lower().replace("-", " ")):
        phases += _ordered(sentence)
    return phases


def _ordered(sentence: str) -> list[Phase]:
    mentions = lexicon.mentions(sentence)
    words = lexicon.stretches(sentence, mentions)
    phases = [_phase(mention.action, said) for mention, said in zip(mentions, words, strict=True)]
    keep = [not _is_denied(sentence, mention) for mention in mentions]
    order = _in_time(sentence, mentions)
    return [phases[i] for i in order if keep[i]]


def _is_denied(sentence: str, mention: Mention) -> bool:
    before = " ".join(sentence[: mention.start].split()[-3:])
    clause = lexicon.BOUNDARY.split(before)[-1]
    return bool(_DENIED.search(clause)) and not _NOT_MOVING.search(sentence[mention.start : mention.end])


def _in_time(sentence: str, mentions: Sequence[Mention]) -> list[int]:
    """Indices of the mentions in the order of time, which "before x, y" and "y after x" turn round."""
    order = list(range(len(mentions)))
    if len(mentions) < 2:
        return order
    head = sentence[: mentions[0].start]
    if re.search(r"\bbefore\b", head):
        return [*order[1:], order[0]]
    for i in order[1:]:
        between = sentence[mentions[i - 1].end : mentions[i].start]
        if re.search(r"\bafter\b(?! that)", between) and not re.search(r"\b(?:shortly|soon) after\b", between):
            return [*order[i:], *order[:i]]
    return order


def _phase(action: str, said: str) -> Phase:
    direction = lexicon.direction(action, said)
    return Phase(
        action=action,
        start=NAN,
        end=NAN,
        side=lexicon.side(said) if action in lexicon.SIDED else "",
        direction=direction,
        turn=lexicon.turn(said, direction) if action == "turn" else NAN,
        count=lexicon.count(said) if action in lexicon.COUNTED else 0,
        speed=lexicon.first(lexicon.SPEEDS, said),
        amplitude=lexicon.first(lexicon.AMPLITUDES.get(action, ()), said),
        distance=NAN,
    )
