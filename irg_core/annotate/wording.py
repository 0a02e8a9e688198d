"""How people speak of one attribute of an action: plainly ("twice", "with the left leg") or by comparison ("too low").

`lexicon` has the words of captions, which say what happens; judges also name limbs, heights and shortfalls.
"""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from irg_core.annotate import lexicon
from irg_core.annotate.lexicon import NUMBER, NUMBERS, Mention

_CONTRACTIONS = (
    (re.compile(r"[’‘]"), "'"), (re.compile(r"\bcan't\b"), "can not"), (re.compile(r"\bcannot\b"), "can not"),
    (re.compile(r"\bwon't\b"), "will not"), (re.compile(r"n't\b"), " not"), (re.compile(r"'s\b(?= )"), " is"),
    (re.compile(r"[\"“”`]"), " "), (re.compile(r"(?<=\w)-(?=\w)"), " "),
    (re.compile(r"^of the two, "), ""),
    (re.compile(r"\bnot (?:as|so|quite as) (?=(\w+) as\b)(\w+)"), r"not \1 enough"),
    (re.compile(r"\bno more often than\b"), "less often than"),
    (re.compile(r"\b(?:no|not) (?:higher|lower|further|farther|more|less) than\b"), "at"),
    (re.compile(r"\b(left|right|other|first|second|correct|wrong|same) one\b"), r"\1"),
    (re.compile(r"^of the (.+?) (?:that the goal \w+(?: for)?|asked for|requested|wanted),? "), r"asked is \1, "),
    (re.compile(r"\bas (?:high|far|low|deep) (?:up |down )?as\b"), "at"),
    (re.compile(r"\bat (?:its|the|his|her|their) (?:very )?(?:highest|lowest|deepest)(?: point)?\b"), "at most"),
    (re.compile(r"\bleft (?=to (?!the )|over\b|behind\b|undone\b)"), " "),
    (re.compile(r"\bnothing is left\b"), "nothing is"),
    (re.compile(r"\bshould (?:be|have been) (?=there )"), "should be, "),
    (
        re.compile(
            r"\b(?:do|does|should|must) not (\w+) (?:so|as|quite so) "
            r"(?=(?:far|fast|quickly|slowly|often|high|low|deep|deeply|many|much)\b)"
        ),
        r"\1 too ",
    ),
    (re.compile(r"\b(?:anything but|by no means|far from)\b"), "not"),
    (re.compile(r"^for (an? .+?) (?=(?:this|it|that)(?: one)? is\b)"), r"should be \1, "),
    (re.compile(r"\bstop (?:after|at|with|once)\b"), "do"),
    (re.compile(r"\bonce (?=the |it |he |she |they |this is |that |a )"), "after "),
)  # fmt: skip
_CORRECT = re.compile(
    r"\b(?:be|is|are|was|were|looks?|seems?) (?:all |just |quite |already )?right\b"
    r"(?! (?:arm|hand|leg|foot|side|turn|fist|one))"
)
"""Where nothing is left, "the turn is right" praises it."""
_STILL = re.compile(r"\b(?:still|in place|there|motionless|remain|stay|keep|paus|not move|the stand|a stand)")


def sentences(text: str) -> list[str]:
    """Sentences in small letters, without contractions."""
    said = " ".join(text.lower().split())
    for pattern, plain in _CONTRACTIONS:
        said = pattern.sub(plain, said)
    found = [one.strip() for one in re.split(r"[!?]|\.(?!\d)", said) if one.strip()]
    return [one if re.search(r"\bleft\b", one) else _CORRECT.sub(" ", one) for one in found]


@lru_cache(maxsize=lexicon.SENTENCES)
def mentions(words: str) -> Sequence[Mention]:
    """The actions named; that somebody stands while doing something else names none."""
    found = [one for one in lexicon.mentions(words) if one.action != "stand" or _is_still(words, one)]
    found = [one for one, before in zip(found, [None, *found], strict=False) if not _says_how(words, one, before)]
    behind = [*found[1:], None]
    return tuple(one for one, after in zip(found, behind, strict=False) if not _turns_another(words, one, after))


def _says_how(words: str, one: Mention, before: Mention | None) -> bool:
    """Whether a verb has another action for its subject: in "the walk runs backward" nobody runs."""
    if words[one.start : one.end] in ("lie", "lies") and re.match(
        r" (?:at|between|around|within|about)\b", words[one.end :]
    ):
        return True
    follows = before is not None and one.start - before.end == 1
    return follows and (one.action in ("run", "lie", "turn") or "in place" in words[one.start : one.end])


def _turns_another(words: str, one: Mention, after: Mention | None) -> bool:
    """Whether "turn" has another action for its object: "turn the kick round" turns nobody."""
    if one.action != "turn" or after is None:
        return False
    return bool(re.fullmatch(r" (?:the|this|that|your)(?: \w+)? ", words[one.end : after.start]))


def _is_still(words: str, mention: Mention) -> bool:
    return bool(_STILL.search(words[max(0, mention.start - 4) : mention.end]))


def stretches(words: str, found: Sequence[Mention]) -> list[str]:
    return lexicon.stretches(words, found)


# ---- plain values ----------------------------------------------------------------------------------------------------

ARM, LEG = "arm", "leg"
LIMBS = {"wave": ARM, "raise_arms": ARM, "punch": ARM, "kick": LEG}
"""The limb that an action is done with."""
PACED = frozenset({"walk", "run", "turn", "sidestep", "raise_arms", "squat", "bow", ""})
FLOOR = ("sit", "kneel", "lie", "crawl")
_LIMB_WORDS = {
    ARM: r"arms?|hands?|fists?|elbows?|wrists?|palms?", LEG: r"legs?|foot|feet|knees?|shins?|toes?|heels?",
}  # fmt: skip
_PARTS = {limb: re.compile(rf"\b(?:{words})\b") for limb, words in _LIMB_WORDS.items()}
_LIMB_OF = re.compile(rf"\b(?:left|right) (?:\w+ )?(?:{'|'.join(_LIMB_WORDS.values())})\b")
_RAISED = re.compile(
    r"\barm raises?\b|\b(?:rais|lift|put)\w* (?:\w+ ){0,4}?(?:arms?|hands?)\b|\braised (?:arms?|hands?)\b"
)
_SUPPORT = re.compile(
    r"\b(?:on|onto) (?:\w+ )?(?:left|right|one|other|both|standing|supporting|two) (?:leg|foot|legs|feet|knee|knees)\b"
)
_TOWARDS = re.compile(
    r"\b(?:to|towards?) (?:the |its |his |her |their )?(?:left|right)\b"
    r"(?! (?:\w+ )?(?:arm|hand|fist|leg|foot|knee|one|limb))"
)
_HEIGHTS = {
    "floor": "floor", "ankle": "floor", "knee": "knee", "hip": "hip", "waist": "hip", "chest": "chest",
    "shoulder": "chest",
    "head": "head", "face": "head",
}  # fmt: skip
_LEVEL = re.compile(
    rf"\b({'|'.join(_HEIGHTS)}) (?:height|level|high)\b"
    rf"|\b(?:to|at|up to|reach\w*|above) (?:the |its |his |her |their )?({'|'.join(_HEIGHTS)})s?\b(?! (?:of|and))"
)
_METRES = re.compile(r"\b(\d+(?:\.\d+)?) ?(cm|centimet(?:er|re)s?|m|met(?:er|re)s?)\b")
_STEPS = re.compile(rf"\b{NUMBER} (?:\w+ )?steps?\b")
_NUMBER_OF = re.compile(
    rf"\bnumber of \w+(?: \w+)?? (?:is |to |being |at |should be |must be |has to be |was |ought to be )*{NUMBER}\b"
)
_BARE = re.compile(rf"^(?:we \w+ |it is |there (?:is|are) |the |just |only |of )*{NUMBER}(?: of them)?$")
_EXACTLY = re.compile(rf"\b(?:an?) (?:\w+ )?{lexicon.COUNT_NOUNS}\b")
_MEDIUM = re.compile(r"\b(?:medium|moderate|average|mid sized)\b(?! (?:speed|pace))")
_NORMAL = re.compile(r"\b(?:normal|ordinary|(?:moderate|steady|usual|even|medium|average) (?:speed|pace))\b")
_IN_PLACE = re.compile(r"\b(?:in place|on the spot)\b")
_UPRIGHT = re.compile(r"\b(?:upright|on (?:its|his|her|their|the) feet)\b")
_STANDS = re.compile(
    r"(?<!the )(?<!a )\b(?:stands?|standing|stood)\b(?! (?:still|in place|there|motionless|up|leg|foot))"
)
_FLOOR_WORDS = re.compile(r"\bon all fours\b")


def values(words: str, action: str) -> Iterator[tuple[str, str | float]]:
    """(kind, value) of all that a stretch says plainly of an action."""
    yield from _sides(words, action)
    yield from _ways(words, action)
    yield from _counts(words, action)
    if action in PACED and (speed := _speed(words)):
        yield "speed", speed
    if amplitude := _amplitude(words, action):
        yield "amplitude", amplitude
    yield from _heights(words, action)


def postures(words: str) -> Iterator[str]:
    """Postures of the whole body that no action stands for."""
    is_still = any(one.action == "stand" for one in mentions(words))
    if _UPRIGHT.search(words) or (_STANDS.search(words) and not is_still):
        yield "upright"
    if _FLOOR_WORDS.search(words):
        yield "crawl"


def limb(words: str) -> str:
    """ARM or LEG, if one of them is named."""
    return next(
        (name for name, pattern in _PARTS.items() if pattern.search(_LEVEL.sub(" ", _RAISED.sub(" ", words)))), ""
    )


def _sides(words: str, action: str) -> Iterator[tuple[str, str]]:
    limbs = _SUPPORT.sub(" ", words)
    named = [limb for limb, pattern in _PARTS.items() if pattern.search(_LEVEL.sub(" ", _RAISED.sub(" ", limbs)))]
    if action in LIMBS and named:
        # A fist that strikes while a foot steps is no body part at fault: only a limb alone is "the" limb.
        yield from (("part", limb) for limb in named[:1] if len(named) == 1)
    if (action in lexicon.SIDED or (not action and named)) and (side := _side(limbs)):
        yield "side", side


def _side(words: str) -> str:
    if re.search(r"\bboth\b|\btwo (?:arms|hands)\b|\bleft and (?:the )?right\b|\bright and (?:the )?left\b", words):
        return "both"
    found = re.search(r"\b(left|right)\b", _TOWARDS.sub(" ", words.replace("left out", " ")))
    return found.group(1) if found else ""


def _ways(words: str, action: str) -> Iterator[tuple[str, str | float]]:
    words = _LIMB_OF.sub(" ", words.replace("left out", " "))
    way = lexicon.direction(action or "walk", words)
    if action in ("turn", ""):
        clock = re.search(r"\b(counter ?clockwise|anti ?clockwise|clockwise)\b", words)
        if (action and way) or clock:
            yield "turn sign", way if not clock else "right" if clock.group(1) == "clockwise" else "left"
        size = abs(lexicon.turn(words, "")) if action or lexicon.DEGREES.search(words) else float("nan")
        if size == size:
            yield "turn size", size
    if action != "turn" and way and (action or not re.search(r"\bback\b", words)):
        yield "direction", way
    if action == "jump" and _IN_PLACE.search(words):
        yield "direction", "in place"


def _counts(words: str, action: str) -> Iterator[tuple[str, str | float]]:
    if (
        action in ("walk", "run", "sidestep", "")
        and (found := _STEPS.search(words))
        and found.group(1) not in ("a", "an")
    ):
        yield "count", f"{_number(found.group(1))} steps"
        return
    if action not in lexicon.COUNTED and action:
        return
    found = _NUMBER_OF.search(words) or _BARE.search(words.strip())
    count = _number(found.group(1)) if found else lexicon.count(_EXACTLY.sub(" ", words))
    if count:
        yield "count", float(count)


def _number(word: str) -> int:
    return int(word) if word.isdigit() else NUMBERS[word]


def _speed(words: str) -> str:
    return lexicon.first(lexicon.SPEEDS, words) or ("normal" if _NORMAL.search(words) else "")


def _amplitude(words: str, action: str) -> str:
    grades = lexicon.AMPLITUDES.get(action, ())
    heights = _METRES.search(words) or _LEVEL.search(words)
    if not grades or heights:
        return ""
    return lexicon.first(grades, words) or ("normal" if _MEDIUM.search(words) else "")


def _heights(words: str, action: str) -> Iterator[tuple[str, str | float]]:
    if found := _METRES.search(words):
        metres = float(found.group(1)) * (0.01 if found.group(2).startswith("c") else 1.0)
        if action == "jump" and not re.search(r"\b(?:forwards?|far|long|ahead|distance)\b", words):
            yield "height", metres
        elif action in ("walk", "run", "sidestep"):
            yield "distance", metres
    elif action in ("kick", "punch") and (level := _LEVEL.search(words)):
        yield "height", _HEIGHTS[level.group(1) or level.group(2)]


# ---- comparisons -----------------------------------------------------------------------------------------------------

_HEDGE = r"(?:(?:slightly|a bit|a little|far|much|way|rather|somewhat|clearly|even|a lot|still|also) )?"
_MORE_OF = {  # adjective to (kind, sign); where both speeds and sizes are meant, the action decides
    r"fast|quick(?:ly)?|rapid(?:ly)?|hast(?:y|ily)|hurried(?:ly)?": ("speed", 1.0),
    r"slow(?:ly)?|leisurely": ("speed", -1.0),
    r"often|frequent(?:ly)?|many(?: \w+)?|many times": ("count", 1.0),
    r"seldom|rare(?:ly)?|few(?: \w+)?|few times": ("count", -1.0),
    r"high|deep(?:ly)?|big|large|great": ("amplitude", 1.0),
    r"shallow|small|little|slight(?:ly)?|tiny|flat": ("amplitude", -1.0),
    r"low": ("amplitude", -1.0),
    r"far|much|wide|long": ("turn size", 1.0),
    r"short": ("turn size", -1.0),
}  # fmt: skip
_COMPARED = {
    r"faster|quicker|brisker|more (?:quickly|rapidly|swiftly|briskly)|less slow(?:ly)?": ("speed", 1.0),
    r"speed(?:s|ed|ing)? up|hurry|accelerate": ("speed", 1.0),
    r"slower|more (?:slowly|leisurely|slow)|less (?:quickly|fast|quick|rapidly)": ("speed", -1.0),
    r"slow(?:s|ed|ing)? down|decelerate": ("speed", -1.0),
    r"more times|more often|more frequently": ("count", 1.0),
    rf"(?:another|an additional|an extra|one more|once more) (?:time|{lexicon.COUNT_NOUNS})": ("count", 1.0),
    r"fewer times|less often|less frequently|less times|fewer|more rarely": ("count", -1.0),
    r"higher|deeper|bigger|larger|more deeply|greater|less (?:shallow|low|small)": ("amplitude", 1.0),
    r"smaller|shallower|less (?:high|deep|deeply|big|large)|flatter|slighter": ("amplitude", -1.0),
    r"lower": ("amplitude", -1.0),
    r"farther|further|wider|longer": ("turn size", 1.0),
    r"less far|not (?:as|so) far|shorter|less": ("turn size", -1.0),
}  # fmt: skip
_TOO = [(re.compile(rf"\b{_HEDGE}too (?:{words})\b"), said) for words, said in _MORE_OF.items()]
_NOT_ENOUGH = [
    (re.compile(rf"\bnot (?:nearly |quite )?(?:{words}) enough\b"), said) for words, said in _MORE_OF.items()
]
_BY_COMPARISON = [(re.compile(rf"\b{_HEDGE}(?:{words})\b"), said) for words, said in _COMPARED.items()]
_MORE_NOUNS = re.compile(rf"\b(?:\w+ )?more {lexicon.COUNT_NOUNS}\b")
_ONE_TOO_MANY = re.compile(
    r"\b(?:once too often|(?:one|two|three) (?:\w+ ){0,2}?too many|(?:one|two|three) times too (?:many|often))\b"
)
_ONE_TOO_FEW = re.compile(r"\b(?:one|two|three) (?:\w+ ){0,2}?too few\b")

Change = tuple[str, float, bool | None]
"""Kind; +1.0 for more of it; whether that is said of the text's own subject (faster), or of what is amiss (too fast),
and then the sign says what would mend it (None)."""


def changes(words: str, action: str) -> tuple[list[Change], str]:
    """What a stretch says by comparison, and the stretch without that."""
    found: list[Change] = []
    rest = words
    for pattern, sign in ((_ONE_TOO_MANY, -1.0), (_ONE_TOO_FEW, 1.0)):
        if pattern.search(rest):
            found.append(("count", sign, None))
            rest = pattern.sub(" ", rest)
    for patterns, turned, is_own in ((_TOO, -1.0, None), (_NOT_ENOUGH, 1.0, None), (_BY_COMPARISON, 1.0, True)):
        for pattern, (kind, sign) in patterns:
            if match := pattern.search(rest):
                fitting = _fitting(kind, sign, match.group(), action)
                found.extend([(fitting[0], turned * fitting[1], is_own)] if fitting else [])
                rest = pattern.sub(" ", rest)
    if action in lexicon.COUNTED and _MORE_NOUNS.search(rest):
        found.append(("count", 1.0, True))
        rest = _MORE_NOUNS.sub(" ", rest)
    return found, rest


def _fitting(kind: str, sign: float, words: str, action: str) -> tuple[str, float] | None:
    """The kind and sign that a comparison has for this action; None where they do not go together."""
    if kind in ("amplitude", "turn size") and action == "turn":
        return "turn size", sign
    if kind == "amplitude" and action in lexicon.AMPLITUDES:
        is_sunk = action in ("squat", "bow") and re.search(r"\blow(?:er)?\b", words)
        return kind, -sign if is_sunk else sign
    if kind == "count" and (action in lexicon.COUNTED or not action):
        return kind, sign
    return (kind, sign) if kind == "speed" and action in PACED else None
