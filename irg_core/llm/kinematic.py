"""A local annotator: words measured facts by a small grammar, without a network and without a model.

It stands where a language model would: the same requests, the same JSON back. What it says is as true as the facts
behind the request, and worded differently from row to row by the request's seed.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from irg_core.errors import ParamsError
from irg_core.llm.chat import ChatRequest
from irg_core.seeds import rng

MODEL = "measured-facts"

Phase = dict[str, Any]  # a records.motion.Phase as JSON
Difference = dict[str, str]  # a records.motion.Difference as JSON

# ---- words -----------------------------------------------------------------------------------------------------------

_VERBS = {  # base, third person, -ing
    "walk": ["walk walks walking"], "run": ["run runs running"], "jump": ["jump jumps jumping", "leap leaps leaping"],
    "turn": ["turn turns turning", "rotate rotates rotating"], "sidestep": ["sidestep sidesteps sidestepping"],
    "wave": ["wave waves waving"], "raise_arms": ["raise raises raising", "lift lifts lifting"],
    "punch": ["punch punches punching"], "kick": ["kick kicks kicking"], "squat": ["squat squats squatting"],
    "bow": ["bow bows bowing"], "stand": ["stand stands standing"], "sit": ["sit sits sitting"],
    "kneel": ["kneel kneels kneeling"], "lie": ["lie lies lying"], "crawl": ["crawl crawls crawling"],
    "other": ["move moves moving"],
}  # fmt: skip
_BASE, _THIRD, _ING = range(3)
_NOUNS = {
    "walk": "walk", "run": "run", "jump": "jump", "turn": "turn", "sidestep": "sidestep", "wave": "wave",
    "raise_arms": "arm raise", "punch": "punch", "kick": "kick", "squat": "squat", "bow": "bow",
    "stand": "standing still", "sit": "sitting", "kneel": "kneeling", "lie": "lying", "crawl": "crawl",
    "other": "described movement",
}  # fmt: skip
_LIMBS = {"wave": "hand", "raise_arms": "arm", "punch": "hand", "kick": "leg", "kneel": "knee"}
_PARTS = {
    "walk": "legs", "run": "legs and arms", "jump": "both legs", "turn": "whole body", "sidestep": "legs",
    "wave": "hand", "raise_arms": "arm", "punch": "arm", "kick": "leg", "squat": "knees and hips",
    "bow": "upper body", "stand": "whole body", "sit": "hips and legs", "kneel": "knee", "lie": "whole body",
    "crawl": "hands and knees", "other": "whole body",
}  # fmt: skip
_SPEEDS = {"slow": ["slowly"], "fast": ["quickly", "fast"]}
_AMPLITUDES = {
    "squat": {"small": "slightly", "large": "deeply"}, "bow": {"small": "slightly", "large": "deeply"},
    "jump": {"small": "a little", "large": "high"}, "kick": {"small": "low", "large": "high"},
}  # fmt: skip
_SIZES = {
    "jump": {"small": "low", "normal": "medium", "large": "high"},
    "kick": {"small": "low", "normal": "medium", "large": "high"},
    "squat": {"small": "shallow", "normal": "medium", "large": "deep"},
    "bow": {"small": "slight", "normal": "medium", "large": "deep"},
}
_TIMES = ["", "once", "twice", "three times", "four times", "five times", "six times", "seven times", "eight times"]
_SUBJECTS = ["a person", "someone", "the person", "a figure"]
_JOINTS = [", then ", " and then ", ", and then "]
_FRAMES = [
    ("{s} {a}.", _THIRD), ("{s} is {a}.", _ING), ("there is {s} who {a}.", _THIRD), ("{s} starts {a}.", _ING),
    ("we see {s} {a}.", _ING), ("{s} wants to {a}.", _BASE),
]  # fmt: skip
"""Sentences around acts that are all in one form."""


@dataclass(frozen=True)
class Settings:
    """Nothing to set: it answers here."""


class Provider:
    """Answers every request at once, and the same one always alike."""

    reads_payload = True
    tries = 1

    def __init__(self, model: str, settings: Settings) -> None:
        if model != MODEL:
            raise ParamsError(f"irg_core/llm/kinematic.py has no model '{model}'; it has: {MODEL}")
        source = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
        self.identity = f"kinematic/{model}/{source[:16]}"

    async def complete(self, request: ChatRequest) -> str:
        draw = rng(request.seed, request.attempt)
        return json.dumps(_WRITERS[request.kind](request.payload, draw), ensure_ascii=False)

    async def close(self) -> None:
        """Nothing is held open."""


def describe(facts: dict[str, Any], draw: np.random.Generator) -> dict[str, Any]:
    return {"caption": sentence(facts["phases"], _FRAMES[0], draw)}


def analyse(facts: dict[str, Any], draw: np.random.Generator) -> dict[str, Any]:
    """A checklist, three paraphrases and a detailed caption; a goal that the lexicon cannot read is only passed on."""
    asked = facts["asked"]
    if not asked or any(phase["action"] == "other" for phase in asked):
        return _pass_on(facts["goal"])
    steps = [f"{number}. {checklist_item(phase)}" for number, phase in enumerate(asked, start=1)]
    frames = [_FRAMES[place] for place in draw.permutation(len(_FRAMES))[:3]]
    paraphrases = [sentence(asked, frame, draw) for frame in frames]
    return {"analysis": " ".join(steps), "paraphrases": paraphrases, "detailed": detailed(asked, draw)}


def _pass_on(goal: str) -> dict[str, Any]:
    said = goal.strip().rstrip(".")
    used = next((subject for subject in _SUBJECTS if said.lower().startswith(f"{subject} ")), "")
    said = said[len(used) :].strip()
    others = [subject for subject in _SUBJECTS if subject != used][:3]
    paraphrases = [f"{subject} {said}." for subject in others]
    return {"analysis": f"1. {said}.", "paraphrases": paraphrases, "detailed": f"a person {said} (whole body)."}


def assess(facts: dict[str, Any], draw: np.random.Generator) -> dict[str, Any]:
    """What fits, what does not, and what to do about it."""
    differences: list[Difference] = [
        one for n, one in enumerate(facts["differences"]) if one not in facts["differences"][:n]
    ]
    asked: list[Phase] = facts["asked"]
    if not differences:
        said = _pick(_SATISFIED, draw).format(fits=_nouns(asked))
        return {"assessment": said, "refinement": facts["sentinel"]}
    told = differences[:_MOST_TOLD]
    missed = {difference["action"] for difference in differences if difference["attribute"] != "extra"}
    fitting = _nouns([phase for phase in asked if phase["action"] not in missed])
    faults = "; ".join(fault(difference, draw) for difference in told)
    opening = _pick(_FITTING, draw).format(fits=fitting) if fitting else ""
    orders = [instruction(difference, asked, draw) for difference in told]
    return {"assessment": f"{opening}{_capital(faults)}.", "refinement": f"{_capital('; '.join(orders))}."}


_MOST_TOLD = 3
"""Differences that one judgement speaks of: a motion with more is another motion, and the rest would be noise."""
_SATISFIED = [
    "All as asked: {fits}.", "Everything asked for is there: {fits}.", "The motion shows the {fits} as asked.",
    "This is what the goal asks for: {fits}.",
]  # fmt: skip
_FITTING = ["This is as it should be: {fits}. ", "This fits the goal: {fits}. ", "As asked: {fits}. "]


def fault(difference: Difference, draw: np.random.Generator) -> str:
    """What is wrong: "the kick uses the left leg instead of the right one"."""
    action, asked, shown = (difference[name] for name in ("action", "asked", "shown"))
    noun, limb = _NOUNS[action], _LIMBS.get(action, "side")
    wanted = _pick(["instead of", "rather than"], draw)
    match difference["attribute"]:
        case "side":
            return f"the {noun} uses {_which(shown, limb)} {wanted} {_which(asked, limb)}"
        case "direction":
            return f"the {noun} goes {shown or 'nowhere'} {wanted} {asked}"
        case "turn":
            return f"the {noun} covers {_near(shown)} {wanted} {_near(asked)}"
        case "count":
            return f"the {noun} happens {_often(shown)} {wanted} {_often(asked)}"
        case "speed":
            return f"the {noun} is {shown} {wanted} {asked}"
        case "amplitude":
            return f"the {noun} is {_SIZES[action][shown]} {wanted} {_SIZES[action][asked]}"
        case "missing":
            return f"the {noun} {_pick(['is missing', 'is not there', 'does not happen'], draw)}"
        case "extra":
            noun = "movement" if action == "other" else noun
            return f"{_pick(['there is', 'the motion adds'], draw)} {_article(noun)} that was not asked for"
        case "order":
            return f"the {noun} comes {shown} {wanted} {asked}"
        case _:
            return f"there is {_article(_noun_of(shown))} {wanted} the {noun}"


def instruction(difference: Difference, asked: list[Phase], draw: np.random.Generator) -> str:
    """What to do about it: "kick with the right leg, not the left"."""
    action, wanted, shown = (difference[name] for name in ("action", "asked", "shown"))
    noun, verb = _NOUNS[action], _do(action, draw)
    match difference["attribute"]:
        case "side":
            return f"use {_which(wanted, _LIMBS.get(action, 'side'))} for the {noun}"
        case "direction":
            return f"{verb} {_toward(wanted)}{', not ' + _toward(shown) if shown else ''}"
        case "turn":
            return f"{verb} {_near(wanted)}, not {_near(shown)}"
        case "count":
            return f"{verb} {_often(wanted)}, not {_often(shown)}"
        case "speed":
            return f"{verb} {_PACES[wanted]}, not {_PACES[shown]}"
        case "amplitude":
            return f"make the {noun} {_SIZES[action][wanted]}, not {_SIZES[action][shown]}"
        case "missing":
            return f"{_pick(['add this', 'do not leave this out'], draw)}: {_command_of(action, asked, draw)}"
        case "extra":
            return f"{_pick(['leave out', 'drop'], draw)} {'what else happens' if action == 'other' else 'the ' + noun}"
        case "order":
            return f"{verb} {wanted}, not {shown}"
        case _:
            return f"{_command_of(action, asked, draw)} instead of the {_noun_of(shown)}"


_PACES = {"slow": "slowly", "normal": "at a normal pace", "fast": "quickly"}


def _do(action: str, draw: np.random.Generator) -> str:
    verb = _pick(_VERBS[action], draw).split()[_BASE]
    return f"{verb} the arms" if action == "raise_arms" else verb


def _command_of(action: str, asked: list[Phase], draw: np.random.Generator) -> str:
    """The asked act as an order, with all that is asked of it."""
    if action == "other":
        return "do what the goal describes"
    return clause(next(phase for phase in asked if phase["action"] == action), _BASE, draw)


def _noun_of(name: str) -> str:
    """The noun of an action as differences name it."""
    return _NOUNS.get(name.replace(" ", "_"), "movement")


def _which(side: str, limb: str) -> str:
    return {"": f"neither {limb}", "both": f"both {limb}s"}.get(side, f"the {side} {limb}")


def _toward(direction: str) -> str:
    return f"to the {direction}" if direction in ("left", "right") else direction


def _near(turn: str) -> str:
    """A measured turn such as "87 degrees" as people say it."""
    return f"{degrees(float(turn.split()[0]))} degrees"


def _often(count: str) -> str:
    return _TIMES[int(count)] if int(count) < len(_TIMES) else f"{count} times"


def _article(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else noun if noun.endswith(("still", "ing")) else f"a {noun}"


def _nouns(phases: list[Phase]) -> str:
    unique = list(dict.fromkeys(_NOUNS[phase["action"]] for phase in phases))
    return " and ".join(filter(None, [", ".join(unique[:-1]), *unique[-1:]]))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


# ---- sentences -------------------------------------------------------------------------------------------------------


def sentence(phases: list[Phase], frame: tuple[str, int], draw: np.random.Generator) -> str:
    """All acts in one sentence: "someone walks forward, then kicks with the left leg twice."."""
    pattern, form = frame
    clauses = [clause(phase, form, draw) for phase in phases]
    said = clauses[0] + "".join(_pick(_JOINTS, draw) + later for later in clauses[1:])
    return pattern.format(s=_pick(_SUBJECTS, draw), a=said)


def detailed(phases: list[Phase], draw: np.random.Generator) -> str:
    """A caption that names the body parts of each step."""
    steps = []
    for number, phase in enumerate(phases):
        said, moving = clause(phase, _THIRD, draw), part(phase)
        opener = "" if len(phases) == 1 else "next " if number else "first "
        steps.append(opener + (said if moving in said else f"{said} ({moving})"))
    return f"a person {', '.join(steps)}."


def clause(phase: Phase, form: int, draw: np.random.Generator) -> str:
    """An act without its subject: "kicks with the left leg twice"."""
    return " ".join([_pick(_VERBS[phase["action"]], draw).split()[form], *_modifiers(phase, draw)])


def checklist_item(phase: Phase) -> str:
    """Action, direction, count, manner and body parts in telegram style; what is left open is left out."""
    manner = [phase["speed"] if phase["speed"] != "normal" else "", _amplitude(phase)]
    items = [_path(phase), _times(phase), *manner, part(phase)]
    return f"{_NOUNS[phase['action']]}: {', '.join(filter(None, items))}."


def part(phase: Phase) -> str:
    limb, side = _PARTS[phase["action"]], phase["side"]
    if phase["action"] not in _LIMBS:
        return limb
    return f"both {limb}s" if side == "both" else f"{side} {limb}".strip()


def _modifiers(phase: Phase, draw: np.random.Generator) -> list[str]:
    manner = _pick(_SPEEDS[phase["speed"]], draw) if phase["speed"] in _SPEEDS else ""
    words = [_object(phase), _amplitude(phase), _path(phase), _limb(phase), _times(phase), manner]
    return [word for word in words if word]


_PLACED = {"stand": "still", "lie": "on the floor"}


def _object(phase: Phase) -> str:
    if phase["action"] in _PLACED:
        return _PLACED[phase["action"]]
    if phase["action"] != "raise_arms":
        return ""
    return {"both": "both arms", "": "an arm"}.get(phase["side"], f"the {phase['side']} arm")


def _limb(phase: Phase) -> str:
    if phase["action"] not in ("wave", "punch", "kick", "kneel") or not phase["side"]:
        return ""
    limb, by = _LIMBS[phase["action"]], "on" if phase["action"] == "kneel" else "with"
    return f"{by} both {limb}s" if phase["side"] == "both" else f"{by} the {phase['side']} {limb}"


def _path(phase: Phase) -> str:
    # What turns under way is said of no other action: "walks forward turning left" reads as two things.
    turn = f"{degrees(phase['turn'])} degrees" if phase["turn"] is not None and phase["action"] == "turn" else ""
    direction = phase["direction"]
    way = f"to the {direction}" if direction in ("left", "right") else direction
    return f"{turn} {way}".strip()


def degrees(turn: float) -> int:
    """The size of a turn as people say it: in steps of 15 degrees."""
    return max(15, 15 * round(abs(turn) / 15))


def _times(phase: Phase) -> str:
    count = phase["count"]
    return _TIMES[count] if count < len(_TIMES) else f"{count} times"


def _amplitude(phase: Phase) -> str:
    return _AMPLITUDES.get(phase["action"], {}).get(phase["amplitude"], "")


def _pick(words: list[str], draw: np.random.Generator) -> str:
    return words[draw.integers(len(words))]


_WRITERS = {"describe": describe, "analyse": analyse, "assess": assess}
