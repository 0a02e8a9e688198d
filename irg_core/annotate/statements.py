"""What a judge's text states, one thing at a time: of the motion shown, of the motion asked for, or of what parts them.

An assessment speaks of the motion unless its words ("should", "the goal asks for", "instead of") turn to the goal; a
refinement speaks of what is asked for unless they turn back ("not", "stop", "replace"). A sentence falls into pieces
at commas and conjunctions; each piece has a mood, and the words in it belong to the action that it names, or else to
the action that the sentence is about.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from irg_core.annotate import moods, wording
from irg_core.annotate.lexicon import Mention, any_of

SHOWN, ASKED, CHANGE = "shown", "asked", "change"
KINDS = (
    "side", "direction", "turn sign", "turn size", "count", "speed", "amplitude", "part", "order", "presence",
    "absence", "posture", "height", "distance",
)  # fmt: skip
"""What a statement can be about."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One checkable thing that a text says."""

    kind: str  # one of KINDS
    of: str  # SHOWN | ASKED | CHANGE, which leads from what is shown to what is asked for
    action: str  # one of actions.ACTIONS; "" for any; of an order: the earlier one
    value: str | float  # in the words of `Phase`; of a change: +1.0 for more, -1.0 for less; of an order: the later one
    holds: bool  # whether the text says so, or denies it
    words: str  # the piece of text that says so


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a sentence that has one mood."""

    text: str
    of: str
    holds: bool
    is_missing: bool = False  # says that something asked for does not happen
    is_surplus: bool = False  # says that something happens that is not to
    is_contrast: bool = False  # what is not done, beside what is


def statements(text: str, of: str) -> list[Statement]:
    """All that a text says; `of` is what it speaks of where its words leave that open: SHOWN, or ASKED if it orders."""
    found: list[Statement] = []
    topic = ""
    for sentence in wording.sentences(text):
        mentions = wording.mentions(sentence)
        about = mentions[0].action if mentions else topic
        pieces = _pieces(sentence, of)
        for piece in pieces:
            about = next((one.action for one in wording.mentions(piece.text)), about)
            found += _of_piece(piece, about)
        found += _orders(sentence, of)
        topic = about
    return list(dict.fromkeys(found))


# ---- pieces and their moods ------------------------------------------------------------------------------------------


def _pieces(sentence: str, default: str) -> list[Piece]:
    """The sentence cut where its mood may change."""
    pieces: list[Piece] = []
    current = default
    for connector, words in _cut(moods.rewritten(sentence)):
        is_unasked = bool(moods.UNASKED.search(words))
        if is_unasked and pieces and not wording.mentions(words):
            pieces[-1] = replace(pieces[-1], is_surplus=True)
            continue
        bare = " ".join(moods.AGREES.sub(" ", words).split())
        marked = ASKED if moods.ASKS.search(moods.KEEPS.sub(" ", bare)) else SHOWN if moods.SHOWS.search(bare) else ""
        if is_unasked:
            pieces.append(Piece(moods.UNASKED.sub(" ", bare), SHOWN, True, is_surplus=True))
        elif connector == "opposed":
            of = SHOWN if default == ASKED else marked or _other(current)
            pieces.append(Piece(bare, of, True, is_contrast=default == SHOWN))
        elif connector == "not":
            pieces.append(Piece(bare, SHOWN if current == ASKED else current, current == ASKED))
        else:
            current = marked or (default if _is_finite(bare) or connector == "start" else current)
            is_listed = connector == "and" and moods.NOUN.match(bare) and not (marked or _is_finite(bare))
            if is_listed and pieces and not pieces[-1].holds:
                pieces.append(replace(pieces[-1], text=bare))
            else:
                pieces.append(_plain(bare, current, default))
    return pieces


def _plain(words: str, of: str, default: str) -> Piece:
    """A piece that stands for itself, with what it denies."""
    if moods.KEEPS.search(words) or (default == ASKED and moods.ADDS.search(words)):
        is_new = not re.search(r"\b(?:more|another|again|second|third|times)\b", words)
        return Piece(moods.ADDS.sub(" ", moods.KEEPS.sub(" ", words)), ASKED, True, is_missing=is_new)
    if of == ASKED and moods.STOPS.search(words):
        return Piece(moods.STOPS.sub(" ", words), ASKED, False, is_surplus=True)
    if of == SHOWN and moods.MISSING.search(words):
        return Piece(words, SHOWN, False, is_missing=True)
    if moods.MISSING.search(words):
        return Piece(moods.ASKS.sub(" ", words), SHOWN, False, is_missing=True)
    return Piece(words, of, not moods.DENIES.search(words))


def _is_finite(words: str) -> bool:
    """Whether words have a verb of their own: "it goes left", "the jump lands"; "a kick to the left" has none."""
    if moods.FINITE.search(words):
        return True
    found = wording.mentions(words)
    return bool(found and moods.NOUN.match(words) and re.match(r" \w+[^s' ]s\b", words[found[0].end :]))


def _other(of: str) -> str:
    return ASKED if of == SHOWN else SHOWN


def _cut(sentence: str) -> Iterator[tuple[str, str]]:
    """(connector, words) of each piece; "and" cuts only where a whole statement lies behind it."""
    start, connector = 0, "start"
    for match in moods.CONNECTOR.finditer(sentence):
        kind = str(match.lastgroup)
        left = sentence[start : match.start()]
        if kind == "and" and not _is_whole(left):
            continue
        if left.strip():
            yield connector, left.strip()
        # A comma before another connector adds nothing.
        connector = kind if left.strip() or connector in ("start", "cut", "and") else connector
        start = match.end()
    if sentence[start:].strip():
        yield connector, sentence[start:].strip()


def _is_whole(words: str) -> bool:
    """Whether words before an "and" say something by themselves: "the kick" in "the kick and the punch" does not."""
    if moods.FINITE.search(words) or moods.STOPS.search(words):
        return True
    return bool(wording.mentions(words)) and not moods.NOUN.match(words.strip())


# ---- what a piece says -----------------------------------------------------------------------------------------------


def _of_piece(piece: Piece, topic: str) -> Iterator[Statement]:
    """The statements of a piece; where it names no action they belong to the topic."""
    named = wording.mentions(piece.text)
    stretches = wording.stretches(piece.text, named) if named else [piece.text]
    if not named and wording.limb(piece.text) and topic not in wording.LIMBS:
        topic = ""
    if not piece.holds and len(named) > 1 and re.search(r"\b(?:before|after)\b", piece.text):
        return  # not the acts are denied, but their order
    for words, mention in zip(stretches, named or [Mention(topic, 0, 0)], strict=True):
        for statement in _of_words(piece, words, mention.action, is_named=bool(named)):
            yield _undone(statement) if piece.is_contrast else statement
    for value in wording.postures(piece.text):
        statement = Statement("posture", piece.of, "", value, piece.holds, piece.text)
        yield _undone(statement) if piece.is_contrast else statement


def _undone(statement: Statement) -> Statement:
    """In contrasts, limbs and postures are what is not used or taken; that the goal asks for them is not implied."""
    if statement.kind in ("part", "posture"):
        return replace(statement, of=SHOWN, holds=False)
    if statement.kind == "presence" and statement.action in wording.FLOOR:
        return replace(statement, kind="absence", of=SHOWN)
    return statement


_DONE_BY = re.compile(r"\b(?:with|by|using|uses?|used|does|performs?|comes from)\b")
"""Without the action beside it, a limb that merely moves is nobody's tool."""


def _of_words(piece: Piece, words: str, action: str, *, is_named: bool) -> Iterator[Statement]:
    changes, rest = wording.changes(words, action)
    for kind, sign, is_order in changes:
        # "Faster" says how it should be where one speaks of the goal, and how it is where one speaks of the motion.
        turned = 1.0 if is_order is None else (1.0 if piece.of == ASKED else -1.0)
        if piece.holds:
            yield Statement(kind, CHANGE, action, sign * turned, True, piece.text)
    values = [one for one in wording.values(rest, action) if is_named or one[0] != "part" or _DONE_BY.search(rest)]
    if piece.holds or not values:
        for kind, value in values:
            yield Statement(kind, piece.of, action, value, True, piece.text)
        if is_named and not changes:
            yield from _occurrence(piece, action, bool(values))
        elif is_named and piece.holds:
            yield Statement("presence", SHOWN, action, "", True, piece.text)
    else:
        # Of "not twice with the left leg" nobody knows which is denied; that it is a leg is not.
        told = [(kind, value) for kind, value in values if kind != "part"] or values
        for kind, value in told if len(told) == 1 else []:
            yield Statement(kind, piece.of, action, value, False, piece.text)
            if piece.is_surplus:
                yield Statement(kind, SHOWN, action, value, True, piece.text)


def _occurrence(piece: Piece, action: str, has_values: bool) -> Iterator[Statement]:
    """That the action happens, or is to happen, or not."""
    if not piece.holds:
        yield Statement("absence", piece.of, action, "", True, piece.text)
        if piece.is_missing:
            yield Statement("presence", ASKED, action, "", True, piece.text)
        if piece.is_surplus:
            yield Statement("presence", SHOWN, action, "", True, piece.text)
        return
    yield Statement("presence", piece.of, action, "", True, piece.text)
    if piece.is_missing and not has_values:
        yield Statement("absence", SHOWN, action, "", True, piece.text)
    if piece.is_surplus:
        yield Statement("absence", ASKED, action, "", True, piece.text)


# ---- order -----------------------------------------------------------------------------------------------------------

_BEFORE = any_of(
    r"before", r"precedes?", r"preceding", r"ahead of", r"prior to", r"in front of", r"earlier than", r"then", r"next",
    r"leads? (?:in)?to", r"followed by", r"finally", r"later(?: on)?", r"afterwards", r"subsequently",
    r"ends? (?:with|by)", r"finish\w* (?:with|by)", r"goes on to", r"moves on to",
)  # fmt: skip
_AFTER = any_of(r"after(?! that)", r"follows?", r"following", r"behind", r"later than", r"preceded by")
_BACK_REFERENCES = (
    (re.compile(r"\b(?:instead of|rather than|not|and not) (?:before|after|behind|ahead of) (?:it|that|this)\b"), " "),
    (re.compile(r"\b(?:after|following) (?:that|it|this)\b"), " then "),
    (re.compile(r"\bbefore (?:that|it|this)\b"), " after "),
)
_PLACES = {
    "first": "first", "second": "second", "third": "third", "last": "last", "in the end": "last", "at the end": "last",
    "finally": "last", "at the start": "first", "to begin with": "first",
}  # fmt: skip
_PLACE = re.compile(r"\b(" + "|".join(_PLACES) + r")\b")
_OPENS = any_of(
    r"(?:starts?|begins?|opens?|commences?) (?:with|by)", r"what comes first is", r"first (?:comes|there is|is|the|an?)"
)
_CLOSES = any_of(r"(?:ends?|finish\w*|closes?|concludes?) (?:with|by)", r"what comes last is", r"last (?:comes|is)")
_CONTRAST = re.compile(
    r"\b(?:but|although|though|yet|whereas|while|however|instead of|rather than|and (?=(?:after|before|once)\b))\b"
    r"|;|, not\b|\band not\b"
)


def _orders(sentence: str, default: str) -> Iterator[Statement]:
    """What comes before what, and what comes first."""
    plain = sentence
    for pattern, instead in _BACK_REFERENCES:
        plain = pattern.sub(instead, plain)
    current = default
    for part in _CONTRAST.split(plain):
        found = wording.mentions(part)
        bare = moods.AGREES.sub(" ", part)
        of = ASKED if moods.ASKS.search(bare) else current if not moods.FINITE.search(bare) else default
        current = of
        if found and not moods.DENIES.search(part):
            yield from _orders_of(part, found, of)
        elif len(found) == 2:
            yield from map(_reversed, _orders_of(part, found, of))


def _orders_of(part: str, found: Sequence[Mention], of: str) -> Iterator[Statement]:
    head = part[: found[0].start]
    if len(found) > 1 and re.search(r"\b(?:before|prior to)\b", head):
        yield _order(part, found[1], found[0], of)
        found = found[1:]
    elif len(found) > 1 and re.search(r"\b(?:after|once)\b", head):
        yield _order(part, found[0], found[1], of)
        found = found[1:]
    for one, other in pairwise(found):
        between = part[one.end : other.start]
        if _AFTER.search(between):
            yield _order(part, other, one, of)
        elif _BEFORE.search(between) or re.search(r"\bfirst\b", between):
            yield _order(part, one, other, of)
    for number, mention in enumerate(found):
        stop = found[number + 1].start if number + 1 < len(found) else len(part)
        before, behind = part[found[number - 1].end if number else 0 : mention.start], part[mention.end : stop]
        # What stands between two actions belongs to the first, unless a new stretch begins there.
        place = _PLACE.search(re.split(r",|\band\b|\bthen\b|\bis\b(?= the)", behind)[0])
        if place and not re.search(r"\bfirst (?:and|then)\b.*", behind[:0]):
            yield Statement("order", of, mention.action, _PLACES[place.group(1)], True, part.strip())
        elif _OPENS.search(before):
            yield Statement("order", of, mention.action, "first", True, part.strip())
        elif _CLOSES.search(before):
            yield Statement("order", of, mention.action, "last", True, part.strip())


def _reversed(statement: Statement) -> Statement:
    """Of two acts whose order is denied, the other one is meant."""
    return replace(statement, action=str(statement.value), value=statement.action)


def _order(part: str, earlier: Mention, later: Mention, of: str) -> Statement:
    return Statement("order", of, earlier.action, later.action, earlier.action != later.action, part.strip())
