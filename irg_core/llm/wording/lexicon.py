"""The words for measured facts: verbs, nouns, limbs, sizes, numbers.

A verb stands as "base third -ing". What an act can be said with is a list of ways; a slot in braces is filled by an
attribute of the act, and a way is only used for acts of which it can say everything.
"""

from dataclasses import dataclass
from typing import Any

Phase = dict[str, Any]  # a records.motion.Phase as JSON: an unknown number is None


@dataclass(frozen=True, slots=True)
class Way:
    """One way of saying an act."""

    verb: list[str]  # base, third person, -ing
    pattern: str  # {v} is the verb
    needs: frozenset[str]  # attributes without which it is no English


def _ways(*told: tuple[str, ...]) -> list[Way]:
    return [Way(verb.split(), pattern, frozenset(needs)) for verb, pattern, *needs in told]


_TAKE, _MAKE, _DO, _GIVE = "take takes taking", "make makes making", "do does doing", "give gives giving"

WAYS: dict[str, list[Way]] = {
    "walk": _ways(
        ("walk walks walking", "{v} {way} {adv} {far}"), ("walk walks walking", "{adv} {v} {way} {far}"),
        ("walk walks walking", "{v} {way} {far} at a {pace} pace", "speed"), (_TAKE, "{v} some {pace} steps {way}"),
        (_TAKE, "{v} a {pace} walk {way}", "speed"),
    ),
    "run": _ways(
        ("run runs running", "{v} {way} {adv} {far}"), ("run runs running", "{adv} {v} {way} {far}"),
        ("run runs running", "{v} {way} {far} at a {pace} pace", "speed"),
    ),
    "jump": _ways(
        ("jump jumps jumping", "{v} {high} {way} {times}"), ("leap leaps leaping", "{v} {high} {way} {times}"),
        (_MAKE, "{v} {n} {big} {noun} {way}", "count"), (_DO, "{v} {n} {big} {noun} {way}", "count"),
        ("jump jumps jumping", "{v} {way} {high} {times}"),
    ),
    "turn": _ways(
        ("turn turns turning", "{v} {degrees} {way} {adv}"), ("rotate rotates rotating", "{v} {degrees} {way} {adv}"),
        ("turn turns turning", "{adv} {v} {way} by {degrees}", "turn"),
        ("turn turns turning", "{adv} {v} {degrees} {way}"),
        (_MAKE, "{v} a {pace} {share} turn {way}", "share"), (_MAKE, "{v} a {pace} turn {way}", "speed"),
    ),
    "sidestep": _ways(
        ("sidestep sidesteps sidestepping", "{v} {way} {adv} {far}"), (_TAKE, "{v} some {pace} side steps {way}"),
        ("step steps stepping", "{v} sideways {way} {adv} {far}"),
        ("move moves moving", "{v} sideways {way} {adv} {far}"),
        ("step steps stepping", "{adv} {v} {way} {far}", "direction"),
    ),
    "wave": _ways(
        ("wave waves waving", "{v} {limb} {times}"), ("wave waves waving", "{v} {arm} {times}"),
        (_GIVE, "{v} {n} {noun} {limb}", "count"), ("wave waves waving", "{v} {times} {limb}"),
    ),
    "raise_arms": _ways(
        ("raise raises raising", "{v} {arm} {adv} {times}"), ("lift lifts lifting", "{v} {arm} {times} {adv}"),
        ("raise raises raising", "{adv} {v} {arm} {times}"), ("lift lifts lifting", "{adv} {v} up {arm} {times}"),
    ),
    "punch": _ways(
        ("punch punches punching", "{v} {limb} {times}"), ("punch punches punching", "{v} {times} {limb}"),
        ("throw throws throwing", "{v} {n} {noun} {limb}", "count"), ("jab jabs jabbing", "{v} {limb} {times}"),
    ),
    "kick": _ways(
        ("kick kicks kicking", "{v} {high} {limb} {times}"), ("kick kicks kicking", "{v} {high} {times} {limb}"),
        (_DO, "{v} {n} {big} {noun} {limb}", "count"),
        ("deliver delivers delivering", "{v} {n} {big} {noun} {limb}", "count"),
    ),
    "squat": _ways(
        ("squat squats squatting", "{adv} {v} down {high} {times}"),
        ("squat squats squatting", "{adv} {v} {high} {times}"), (_DO, "{v} {n} {pace} {big} {noun}", "count"),
        ("perform performs performing", "{v} {n} {pace} {big} {noun}", "count"),
    ),
    "bow": _ways(
        ("bow bows bowing", "{adv} {v} {high} {times}"), ("bow bows bowing", "{adv} {v} down {high} {times}"),
        (_MAKE, "{v} {n} {pace} {big} {noun}", "count"), (_GIVE, "{v} {n} {pace} {big} {noun}", "count"),
    ),
    "stand": _ways(
        ("stand stands standing", "{v} still"), ("stay stays staying", "{v} in place"),
        ("remain remains remaining", "{v} standing still"), ("stand stands standing", "{v} motionless"),
    ),
    "sit": _ways(("sit sits sitting", "{v}"), ("sit sits sitting", "{v} down")),
    "kneel": _ways(("kneel kneels kneeling", "{v} {limb}"), ("kneel kneels kneeling", "{v} down {limb}")),
    "lie": _ways(("lie lies lying", "{v} on the floor"), ("lie lies lying", "{v} down on the floor")),
    "crawl": _ways(("crawl crawls crawling", "{v} {way} {adv}"), ("crawl crawls crawling", "{adv} {v} {way}")),
    "other": _ways(("move moves moving", "{v} in another way")),
}  # fmt: skip
"""Slots: v verb; way direction; adv, pace speed; far distance; limb, arm side; times, n count, noun as many as these;
high, big amplitude; degrees, share the size of a turn."""

NOUNS = {
    "walk": "walk walks", "run": "run runs", "jump": "jump jumps", "turn": "turn turns",
    "sidestep": "sidestep sidesteps", "wave": "wave waves", "raise_arms": "arm raise|arm raises",
    "punch": "punch punches", "kick": "kick kicks", "squat": "squat squats", "bow": "bow bows",
    "stand": "pause pauses", "sit": "sitting sitting", "kneel": "kneeling kneeling", "lie": "lying lying",
    "crawl": "crawl crawls", "other": "other movement|other movements",
}  # fmt: skip
"""One and many."""
LIMBS = {"wave": "hand", "raise_arms": "arm", "punch": "hand", "kick": "leg", "kneel": "knee"}
PARTS = {
    "walk": "the legs", "run": "legs and arms", "jump": "the legs", "turn": "the whole body",
    "sidestep": "the legs", "wave": "a hand", "raise_arms": "an arm", "punch": "an arm", "kick": "a leg",
    "squat": "knees and hips", "bow": "the upper body", "stand": "the whole body", "sit": "hips and legs",
    "kneel": "the knees", "lie": "the whole body", "crawl": "hands and knees", "other": "the whole body",
}  # fmt: skip
ADVERBS = {"slow": ["slowly"], "fast": ["quickly", "rapidly"], "normal": [""]}
PACES = {"slow": ["slow"], "fast": ["quick", "fast"], "normal": [""]}
HEIGHTS = {
    "jump": {"small": ["a little", "slightly"], "large": ["high"]}, "kick": {"small": ["low"], "large": ["high"]},
    "squat": {"small": ["slightly", "a little"], "large": ["deeply"]},
    "bow": {"small": ["slightly"], "large": ["deeply"]},
}  # fmt: skip
SIZES = {
    "jump": {"small": "small", "normal": "medium", "large": "high"},
    "kick": {"small": "low", "normal": "medium", "large": "high"},
    "squat": {"small": "shallow", "normal": "medium", "large": "deep"},
    "bow": {"small": "slight", "normal": "medium", "large": "deep"},
}
NUMBERS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
TIMES = ["", "once", "twice", *(f"{number} times" for number in NUMBERS[3:])]
SHARES = {45: "slight", 90: "quarter", 180: "half", 360: "full"}
"""Turns that have a name."""


def noun(action: str, count: int) -> str:
    """The name of an act, as many as there are."""
    forms = NOUNS[action]
    return forms.split("|" if "|" in forms else " ")[count > 1]


def number(count: int) -> str:
    return NUMBERS[count] if count < len(NUMBERS) else str(count)


def times(count: int) -> str:
    return TIMES[count] if count < len(TIMES) else f"{count} times"


def size(phase: Phase) -> str:
    """How large an act is, as an adjective; "" where that is usual or open."""
    return SIZES.get(phase["action"], {}).get(phase["amplitude"], "") if phase["amplitude"] != "normal" else ""


def rounded(turn: float) -> int:
    """The size of a turn as people say it: in steps of 15 degrees."""
    return max(15, 15 * round(abs(turn) / 15))


def toward(direction: str) -> str:
    return f"to the {direction}" if direction in ("left", "right") else direction


def limb(action: str, side: str) -> str:
    """The limb that does it: "the left leg", "both arms"."""
    name = LIMBS[action]
    return {"": a(name), "both": f"both {name}s"}.get(side, f"the {side} {name}")


def part(phase: Phase) -> str:
    """What moves: "the legs", "the left arm"."""
    action, side = phase["action"], phase["side"]
    return limb(action, side) if action in LIMBS and side else PARTS[action]


def a(noun: str) -> str:
    """The noun with its article: "a kick", "an arm raise", but "sitting"."""
    if noun.endswith("ing"):
        return noun
    return f"an {noun}" if noun[:1] in "aeiou" else f"a {noun}"
