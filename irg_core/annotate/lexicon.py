"""The words for what a body does: which action, which side, which way, how far, how often, how fast, how large.

Whatever reads sentences, be they goals or judgements, finds actions and attributes by these.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

NAN = float("nan")


def any_of(*words: str) -> re.Pattern[str]:
    return re.compile(r"\b(?:" + "|".join(words) + r")\b")


_LIMB = r"(?:\w+ ){0,4}?(?:arms?|hands?)"
ACTIONS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("other", any_of(
        r"cartwheel\w*", r"(?:back|front)?flips?", r"flipping", r"somersault\w*", r"roll(?:s|ing|ed)?", r"danc\w+",
        r"climb\w*", r"(?:get|gets|getting|stand|stands|standing) (?:back )?up", r"swim\w*",
        r"(?:get|gets|getting|rise|rises|rising) to (?:\w+ )?feet", r"(?:push|pushes|pushing) up", r"clap\w*",
        r"throw(?:s|ing)? (?:a |the )?ball", r"spin ?kick\w*", r"handstand\w*", r"fall(?:s|ing)?",
    )),
    ("sit", any_of(r"(?:sit|sits|sitting|sat)(?: down)?", "seated")),
    ("kneel", any_of(r"kneel\w*", "knelt")),
    ("lie", any_of(r"(?:lie|lies|lying|lay)(?: down)?")),
    ("crawl", any_of(r"crawl\w*", r"creep\w*", r"crept")),
    ("sidestep", any_of(
        r"side ?-?steps?", r"side ?-?stepp\w+", r"(?:step|mov|shuffl|walk)\w* (?:\w+ )?(?:sideways|sideward|laterally)",
        r"(?:step|shuffl)(?:s|p?ing|ped|es|e)? to (?:the|his|her|their|its) (?:left|right)",
    )),
    ("walk", any_of(
        r"walk\w*", r"stroll\w*", r"(?:take|takes|taking|took) (?:\w+ ){0,4}?steps",
        r"(?:step|steps|stepping|stepped) (?:forwards?|backwards?|back|ahead)",
    )),
    ("run", any_of(r"run", r"runs", r"running", r"ran", r"jog\w*", r"sprint\w*")),
    ("jump", any_of(r"jump\w*", r"hop", r"hops", r"hopp\w+", r"leap\w*")),
    ("turn", any_of(r"turn\w*", r"rotat\w+", r"spin", r"spins", r"spinning", r"pivot\w*")),
    ("raise_arms", any_of(
        rf"(?:rais|lift|put)\w* {_LIMB}", r"arm raises?", r"arms? (?:is |are )?(?:raised|lifted)",
        r"raised (?:arms?|hands?)", r"arms? (?:that )?(?:raises?|rises?|lifts?|(?:goes|go|comes|come|moves|move) up)",
    )),
    ("wave", any_of(r"wav(?:e|es|ing|ed)")),
    ("punch", any_of(r"punch\w*", r"jab\w*")),
    ("kick", any_of(r"kick\w*")),
    ("squat", any_of(r"squat\w*")),
    ("bow", any_of(r"bow", r"bows", r"bowing", r"bowed")),
    ("stand", any_of(
        r"(?:remain|stay|keep)\w* (?:standing )?(?:still|in place)", r"paus(?:e|es|ing)", r"(?:does|do) not move",
        r"(?<!ends )(?<!while )stand(?:s|ing)?(?: (?:still|in place|there|motionless))?", r"stood(?: still)?",
    )),
)  # fmt: skip
"""Earlier patterns take their words before later ones see them: "steps to the left" is no walk, "stands up" no stand.
"""

BOUNDARY = re.compile(r"[,;.]|\b(?:and|then|before|after|next|finally|followed by|while|but|ends by|finishes by)\b")
SIDED = frozenset({"wave", "raise_arms", "punch", "kick", "kneel"})
COUNTED = frozenset({"jump", "wave", "raise_arms", "punch", "kick", "squat", "bow"})
NUMBERS = {
    "a": 1, "an": 1, "one": 1, "single": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7,
    "eight": 8, "nine": 9, "ten": 10,
}  # fmt: skip
NUMBER = r"(\d+|" + "|".join(NUMBERS) + r")"
SIZES = (
    r"(?:(?:small|little|high|big|long|deep|low|slight|shallow|quick|slow|fast|large|huge|single|more|\w+ly)\s+){0,3}?"
)
TIMES = re.compile(rf"\b{NUMBER} (?:\w+ )?times?\b")
COUNT_NOUNS = r"(?:jumps?|hops?|leaps?|waves?|punch(?:es)?|jabs?|kicks?|squats?|bows?|arm raises?)"
NOUNS = re.compile(rf"\b{NUMBER} {SIZES}{COUNT_NOUNS}\b")
SINGULAR = re.compile(rf"\b(?:a|an) {SIZES}(?:jumps|hops|waves|punches|jabs|kicks|squats|bows)\b")

SPEEDS = (
    ("slow", any_of(r"slow\w*", "leisurely")),
    ("fast", any_of(r"quick\w*", r"fast\w*", r"rapid\w*", r"brisk\w*", r"sprint\w*", "swiftly")),
    ("normal", any_of(r"(?:normal|moderate|steady|usual|even) (?:speed|pace)")),
)  # fmt: skip
LITTLE = (r"slight\w*", r"(?:a )?little", r"a bit", r"small\w*", r"shallow\w*", r"tiny")
AMPLITUDES = {
    "jump": (("small", any_of(*LITTLE, "low")), ("large", any_of(r"high\w*", "big", "large", "huge"))),
    "kick": (("small", any_of("low", *LITTLE)), ("large", any_of(r"high\w*", "big", "large"))),
    "squat": (("small", any_of(*LITTLE)), ("large", any_of(r"deep\w*", "low", "big", "large", "all the way down"))),
    "bow": (("small", any_of(*LITTLE)), ("large", any_of(r"deep\w*", "low", "big", "large"))),
}
TURNS = (
    (360.0, any_of(r"full (?:turn|circle|rotation)", "all the way around", r"(?:in )?a circle")),
    (270.0, any_of(r"three[ -]quarters?")),
    (90.0, any_of("quarter", "right angle")),
    (180.0, any_of("half", "halfway", "around", "about[ -]face")),
    (45.0, any_of(*LITTLE, "eighth")),
)
SENTENCES = 8192
"""Of which what they name is remembered: the same words are looked at several times over, and return in other texts."""
BACK = re.compile(r"\b(?:walk|run|jog|jump|hop|leap|step)\w* back\b(?! (?:and|to)\b)")
DEGREES = re.compile(r"\b(\d+) ?(?:-? ?degrees?|°)")


@dataclass(frozen=True, slots=True)
class Mention:
    """An action named in a sentence, and where."""

    action: str
    start: int
    end: int


@lru_cache(maxsize=SENTENCES)
def mentions(sentence: str) -> Sequence[Mention]:
    """The actions that a sentence of small letters names, in the order of its words."""
    left, found = sentence, []
    for action, pattern in ACTIONS:
        for match in list(pattern.finditer(left)):
            found.append(Mention(action, match.start(), match.end()))
            left = left[: match.start()] + "#" * len(match.group()) + left[match.end() :]
    found.sort(key=lambda mention: mention.start)
    repeats = {later.start for earlier, later in pairwise(found) if _repeats(sentence, earlier, later)}
    return tuple(mention for mention in found if mention.start not in repeats)


def _repeats(sentence: str, earlier: Mention, later: Mention) -> bool:
    """Whether two words speak of one thing, as in "turns a quarter turn"."""
    return earlier.action == later.action and not BOUNDARY.search(sentence, earlier.end, later.start)


def stretches(sentence: str, mentions: Sequence[Mention]) -> list[str]:
    """The stretch of words that belongs to each mention: up to the last connective before the next one."""
    cuts = [0]
    for earlier, later in pairwise(mentions):
        between = [m.start() for m in BOUNDARY.finditer(sentence, earlier.end, later.start)]
        cuts.append(between[-1] if between else later.start)
    return [sentence[a:b] for a, b in zip(cuts, [*cuts[1:], len(sentence)], strict=False)][: len(mentions)]


def first(options: tuple[tuple[str, re.Pattern[str]], ...], said: str) -> str:
    return next((name for name, pattern in options if pattern.search(said)), "")


def side(said: str) -> str:
    if re.search(r"\bboth\b|\btwo (?:arms|hands)\b|\bleft and (?:the )?right\b|\bright and (?:the )?left\b", said):
        return "both"
    match = re.search(r"(?<!to the )(?<!to )\b(left|right)\b", said)
    return match.group(1) if match else ""


def direction(action: str, said: str) -> str:
    if action in ("turn", "sidestep"):
        if re.search(r"\b(?:counter ?clockwise|anti ?clockwise)\b", said):
            return "left"
        if re.search(r"\bclockwise\b", said):
            return "right"
        match = re.search(r"\b(left|right)\b", said)
        return match.group(1) if match else ""
    if action not in ("walk", "run", "jump"):
        return ""
    if re.search(r"\b(?:backwards?|in reverse)\b", said) or BACK.search(said):
        return "backward"
    if re.search(r"\b(?:forwards?|ahead|onwards?)\b", said):
        return "forward"
    match = re.search(r"\bto (?:the|his|her|their|its) (left|right)\b", said) if action == "jump" else None
    return match.group(1) if match else ""


def turn(said: str, direction: str) -> float:
    """Signed by the direction; where that is open the number is a size only."""
    match = DEGREES.search(said)
    size = float(match.group(1)) if match else next((degrees for degrees, p in TURNS if p.search(said)), NAN)
    return -size if direction == "right" else size


def count(said: str) -> int:
    if re.search(r"\bonce\b", said):
        return 1
    if re.search(r"\b(?:twice|double)\b", said):
        return 2
    if re.search(r"\bthrice\b", said):
        return 3
    match = TIMES.search(said) or NOUNS.search(said)
    if match is None or SINGULAR.search(match.group()):
        return 0
    word = match.group(1)
    return int(word) if word.isdigit() else NUMBERS[word]
