"""What a sentence says that a body does: the reading counterpart of measured facts.

A lexicon finds the actions, the words around each give its attributes, and before and after put them in order. An
attribute that no word mentions stays empty. Activities that kinematics cannot measure (a cartwheel, a dance) are
"other"; a verb that the lexicon does not know claims nothing, for nothing can be checked against it.
"""

import re
from dataclasses import dataclass
from itertools import pairwise

from irg_core.records.motion import Phase

NAN = float("nan")


def _any(*words: str) -> re.Pattern[str]:
    return re.compile(r"\b(?:" + "|".join(words) + r")\b")


_LIMB = r"(?:\w+ ){0,4}?(?:arms?|hands?)"
_ACTIONS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("other", _any(
        r"cartwheel\w*", r"(?:back|front)?flips?", r"flipping", r"somersault\w*", r"roll(?:s|ing|ed)?", r"danc\w+",
        r"climb\w*", r"(?:get|gets|getting|stand|stands|standing) (?:back )?up", r"swim\w*",
        r"(?:get|gets|getting|rise|rises|rising) to (?:\w+ )?feet", r"(?:push|pushes|pushing) up", r"clap\w*",
        r"throw(?:s|ing)? (?:a |the )?ball", r"spin ?kick\w*", r"handstand\w*", r"fall(?:s|ing)?",
    )),
    ("sit", _any(r"(?:sit|sits|sitting|sat)(?: down)?", "seated")),
    ("kneel", _any(r"kneel\w*", "knelt")),
    ("lie", _any(r"(?:lie|lies|lying|lay)(?: down)?")),
    ("crawl", _any(r"crawl\w*", r"creep\w*", r"crept")),
    ("sidestep", _any(
        r"side ?-?steps?", r"side ?-?stepp\w+", r"(?:step|mov|shuffl|walk)\w* (?:\w+ )?(?:sideways|sideward|laterally)",
        r"(?:step|shuffl)(?:s|p?ing|ped|es|e)? to (?:the|his|her|their|its) (?:left|right)",
    )),
    ("walk", _any(
        r"walk\w*", r"stroll\w*", r"(?:take|takes|taking|took) (?:\w+ ){0,4}?steps",
        r"(?:step|steps|stepping|stepped) (?:forwards?|backwards?|back|ahead)",
    )),
    ("run", _any(r"run", r"runs", r"running", r"ran", r"jog\w*", r"sprint\w*")),
    ("jump", _any(r"jump\w*", r"hop", r"hops", r"hopp\w+", r"leap\w*")),
    ("turn", _any(r"turn\w*", r"rotat\w+", r"spin", r"spins", r"spinning", r"pivot\w*")),
    ("raise_arms", _any(rf"(?:rais|lift|put)\w* {_LIMB}")),
    ("wave", _any(r"wav(?:e|es|ing|ed)")),
    ("punch", _any(r"punch\w*", r"jab\w*")),
    ("kick", _any(r"kick\w*")),
    ("squat", _any(r"squat\w*")),
    ("bow", _any(r"bow", r"bows", r"bowing", r"bowed")),
    ("stand", _any(
        r"(?:remain|stay|keep)\w* (?:standing )?(?:still|in place)", r"paus(?:e|es|ing)", r"(?:does|do) not move",
        r"(?<!ends )(?<!while )stand(?:s|ing)?(?: (?:still|in place|there|motionless))?", r"stood(?: still)?",
    )),
)  # fmt: skip
"""Earlier patterns take their words before later ones see them: "steps to the left" is no walk, "stands up" no stand.
"""

_BOUNDARY = re.compile(r"[,;.]|\b(?:and|then|before|after|next|finally|followed by|while|but|ends by|finishes by)\b")
_DENIED = _any(r"not", r"never", r"without", r"instead of", r"rather than", r"no", r"lacks?", r"miss(?:es|ing)")
_NOT_MOVING = re.compile(r"\b(?:does|do) not move\b")

_SIDED = frozenset({"wave", "raise_arms", "punch", "kick", "kneel"})
_COUNTED = frozenset({"jump", "wave", "raise_arms", "punch", "kick", "squat", "bow"})
_NUMBERS = {
    "a": 1, "an": 1, "one": 1, "single": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7,
    "eight": 8, "nine": 9, "ten": 10,
}  # fmt: skip
_NUMBER = r"(\d+|" + "|".join(_NUMBERS) + r")"
_SIZES = (
    r"(?:(?:small|little|high|big|long|deep|low|slight|shallow|quick|slow|fast|large|huge|single|more|\w+ly)\s+){0,3}?"
)
_TIMES = re.compile(rf"\b{_NUMBER} (?:\w+ )?times?\b")
_NOUNS = re.compile(rf"\b{_NUMBER} {_SIZES}(?:jumps?|hops?|waves?|punch(?:es)?|jabs?|kicks?|squats?|bows?)\b")
_SINGULAR = re.compile(rf"\b(?:a|an) {_SIZES}(?:jumps|hops|waves|punches|jabs|kicks|squats|bows)\b")

_SPEEDS = (
    ("slow", _any(r"slow\w*", "leisurely")),
    ("fast", _any(r"quick\w*", r"fast\w*", r"rapid\w*", r"brisk\w*", r"sprint\w*", "swiftly")),
    ("normal", _any(r"(?:normal|moderate|steady|usual|even) (?:speed|pace)")),
)  # fmt: skip
_LITTLE = (r"slight\w*", r"(?:a )?little", r"a bit", r"small\w*", r"shallow\w*", r"tiny")
_AMPLITUDES = {
    "jump": (("small", _any(*_LITTLE, "low")), ("large", _any(r"high\w*", "big", "large", "huge"))),
    "kick": (("small", _any("low", *_LITTLE)), ("large", _any(r"high\w*", "big", "large"))),
    "squat": (("small", _any(*_LITTLE)), ("large", _any(r"deep\w*", "low", "big", "large", "all the way down"))),
    "bow": (("small", _any(*_LITTLE)), ("large", _any(r"deep\w*", "low", "big", "large"))),
}
_TURNS = (
    (360.0, _any(r"full (?:turn|circle|rotation)", "all the way around", r"(?:in )?a circle")),
    (270.0, _any(r"three[ -]quarters?")),
    (90.0, _any("quarter", "right angle")),
    (180.0, _any("half", "halfway", "around", "about[ -]face")),
    (45.0, _any(*_LITTLE, "eighth")),
)
_BACK = re.compile(r"\b(?:walk|run|jog|jump|hop|leap|step)\w* back\b(?! (?:and|to)\b)")
_DEGREES = re.compile(r"\b(\d+) ?(?:-? ?degrees?|°)")


@dataclass(frozen=True, slots=True)
class _Mention:
    action: str
    start: int
    end: int


def claims(text: str) -> list[Phase]:
    """The phases that a text speaks of, in the order in which they are to happen; start, end and distance unknown."""
    phases: list[Phase] = []
    for sentence in re.split(r"[.;!?]\s+|[.;!?]$|\n", text.lower().replace("-", " ")):
        phases += _ordered(sentence)
    return phases


def _ordered(sentence: str) -> list[Phase]:
    mentions = _mentions(sentence)
    words = _words_of(sentence, mentions)
    phases = [_phase(mention.action, said) for mention, said in zip(mentions, words, strict=True)]
    keep = [not _is_denied(sentence, mention) for mention in mentions]
    order = _in_time(sentence, mentions)
    return [phases[i] for i in order if keep[i]]


def _mentions(sentence: str) -> list[_Mention]:
    left, found = sentence, []
    for action, pattern in _ACTIONS:
        for match in pattern.finditer(left):
            found.append(_Mention(action, match.start(), match.end()))
        left = pattern.sub(lambda match: "#" * len(match.group()), left)
    found.sort(key=lambda mention: mention.start)
    repeats = {later.start for earlier, later in pairwise(found) if _repeats(sentence, earlier, later)}
    return [mention for mention in found if mention.start not in repeats]


def _repeats(sentence: str, earlier: _Mention, later: _Mention) -> bool:
    """Whether two words speak of one thing, as in "turns a quarter turn"."""
    return earlier.action == later.action and not _BOUNDARY.search(sentence, earlier.end, later.start)


def _words_of(sentence: str, mentions: list[_Mention]) -> list[str]:
    """The stretch of words that belongs to each mention: up to the last connective before the next one."""
    cuts = [0]
    for earlier, later in pairwise(mentions):
        between = [m.start() for m in _BOUNDARY.finditer(sentence, earlier.end, later.start)]
        cuts.append(between[-1] if between else later.start)
    return [sentence[a:b] for a, b in zip(cuts, [*cuts[1:], len(sentence)], strict=False)][: len(mentions)]


def _is_denied(sentence: str, mention: _Mention) -> bool:
    before = " ".join(sentence[: mention.start].split()[-3:])
    clause = _BOUNDARY.split(before)[-1]
    return bool(_DENIED.search(clause)) and not _NOT_MOVING.search(sentence[mention.start : mention.end])


def _in_time(sentence: str, mentions: list[_Mention]) -> list[int]:
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
    direction = _direction(action, said)
    return Phase(
        action=action,
        start=NAN,
        end=NAN,
        side=_side(said) if action in _SIDED else "",
        direction=direction,
        turn=_turn(said, direction) if action == "turn" else NAN,
        count=_count(said) if action in _COUNTED else 0,
        speed=_first(_SPEEDS, said),
        amplitude=_first(_AMPLITUDES.get(action, ()), said),
        distance=NAN,
    )


def _first(options: tuple[tuple[str, re.Pattern[str]], ...], said: str) -> str:
    return next((name for name, pattern in options if pattern.search(said)), "")


def _side(said: str) -> str:
    if re.search(r"\bboth\b|\btwo (?:arms|hands)\b|\bleft and (?:the )?right\b|\bright and (?:the )?left\b", said):
        return "both"
    match = re.search(r"(?<!to the )(?<!to )\b(left|right)\b", said)
    return match.group(1) if match else ""


def _direction(action: str, said: str) -> str:
    if action in ("turn", "sidestep"):
        if re.search(r"\b(?:counter ?clockwise|anti ?clockwise)\b", said):
            return "left"
        if re.search(r"\bclockwise\b", said):
            return "right"
        match = re.search(r"\b(left|right)\b", said)
        return match.group(1) if match else ""
    if action not in ("walk", "run", "jump"):
        return ""
    if re.search(r"\b(?:backwards?|in reverse)\b", said) or _BACK.search(said):
        return "backward"
    if re.search(r"\b(?:forwards?|ahead|onwards?)\b", said):
        return "forward"
    match = re.search(r"\bto (?:the|his|her|their|its) (left|right)\b", said) if action == "jump" else None
    return match.group(1) if match else ""


def _turn(said: str, direction: str) -> float:
    """Signed by the direction; where that is open the number is a size only."""
    match = _DEGREES.search(said)
    size = float(match.group(1)) if match else next((degrees for degrees, p in _TURNS if p.search(said)), NAN)
    return -size if direction == "right" else size


def _count(said: str) -> int:
    if re.search(r"\bonce\b", said):
        return 1
    if re.search(r"\b(?:twice|double)\b", said):
        return 2
    if re.search(r"\bthrice\b", said):
        return 3
    match = _TIMES.search(said) or _NOUNS.search(said)
    if match is None or _SINGULAR.search(match.group()):
        return 0
    word = match.group(1)
    return int(word) if word.isdigit() else _NUMBERS[word]
