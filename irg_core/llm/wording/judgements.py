"""What fits and what does not, and what to do about it: differences in words.

A judgement says what is seen, what is right, and each fault once; an instruction says what to keep and what to do
instead. Whatever is said of the motion is measured in it, and whatever is said of the goal is asked for.
"""

from collections.abc import Sequence

import numpy as np

from irg_core.llm.wording.clauses import Clause, attributes, capital, listed, named, pick, tidy
from irg_core.llm.wording.faults import fault
from irg_core.llm.wording.instructions import instruction
from irg_core.llm.wording.lexicon import Phase
from irg_core.llm.wording.scene import MOST_SEEN, MOST_TOLD, OPEN, Scene

MOST_WORDS = 55
"""Of an assessment; beyond, only the faults are told."""

_SUBJECTS = ["the person", "the figure"]
_NEW = ["a person", "someone", "a figure"]
_SATISFIED = [
    "The motion does what the goal asks for: {subject} {acts}.", "All that was asked for is there: {subject} {acts}.",
    "Nothing is missing and nothing is wrong: {subject} {acts}, just as the goal wants it.",
    "This is what the goal describes: {subject} {acts}.", "As asked, {subject} {acts}.",
    "The goal is met. {Subject} {acts}, and nothing needs to change.",
    "{Subject} {acts}, which is what the goal asks for.",
]  # fmt: skip
_SEEN = [
    "The motion shows {new} {acts:ing}. ", "In the motion, {subject} {acts}. ",
    "What can be seen is {new} {acts:ing}. ", "Here {subject} {acts}. ", "{Subject} {acts}. ",
]  # fmt: skip
_FITS = [
    "{Fits} {match} the goal. ", "{Fits} {are} as asked. ", "{Fits} {are} fine. ",
    "{Fits} {are} as {they} should be. ", "What was asked for is partly there: {fits}. ",
]  # fmt: skip
_ALL_THERE = [
    "Everything that the goal asks for is there: {fits}. ", "{Fits} {are} as asked. ", "{Fits} {match} the goal. ",
]  # fmt: skip
_BUT = ["However, ", "But ", "Yet ", "Still, ", "All the same, "]
_ALSO = [", and ", ". Besides, ", ". Also, ", "; "]
_ANOTHER = [
    "This is another motion. {Subject} {shown}, whereas the goal asks for {new} to {asked}.",
    "Nothing of what was asked for is there: {subject} {shown}, although {they} should {asked}.",
    "{Subject} {shown}, but the goal asks for something else: to {asked}.",
]  # fmt: skip


def assessment(scene: Scene) -> str:
    """What is seen, what fits, and what does not."""
    subject = scene.pick(_SUBJECTS)
    if not scene.differences:
        acts = _acts(_agreed(scene), "", scene.draw) or "does all of it"
        return _sentences(scene.pick(_SATISFIED).format(subject=subject, Subject=capital(subject), acts=acts))
    if scene.is_another:
        words = {"subject": subject, "Subject": capital(subject), "new": scene.pick(_NEW), "they": "they"}
        shown = _acts(_seen_of(scene), "", scene.draw) or "does other things"
        asked = _acts(scene.asked, "base", scene.draw)
        return _sentences(scene.pick(_ANOTHER).format(shown=shown, asked=asked, **words))
    return _faulty(scene)


def _faulty(scene: Scene) -> str:
    faults = [fault(one, scene) for one in scene.differences[:MOST_TOLD]]
    fits, seen = _fits(scene), _seen(scene)
    # Of several faults each takes its place, so only one thing is said before them.
    opening = scene.pick([fits + seen, seen + fits] if len(faults) == 1 else [fits or seen, seen or fits])
    but = scene.pick(_BUT) if fits and opening.endswith(fits) else ""
    said = faults[0] + "".join(scene.pick(_ALSO) + fault for fault in faults[1:])
    whole = _sentences(f"{opening}{but}{said if but else capital(said)}.")
    return whole if len(whole.split()) <= MOST_WORDS else _sentences(f"{capital(said)}.")


def plain(scene: Scene) -> str:
    """All that the motion shows, whatever the goal speaks of; then whether that is what was asked for."""
    known = [phase for phase in scene.shown if phase["action"] != "other"]
    acts = _acts(known, "ing", scene.draw) or "doing other things"
    faults = [fault(one, scene) for one in scene.differences[:MOST_TOLD]] or ["that is what the goal asks for"]
    return _sentences(f"The motion shows {scene.pick(_NEW)} {acts}. {'. '.join(faults)}.")


def _agreed(scene: Scene) -> list[Phase]:
    """What is asked, as far as the motion is seen to do it: what could not be measured is not praised."""
    left, agreed = list(scene.shown), []
    for phase in scene.asked:
        twin = next((other for other in left if other["action"] == phase["action"]), phase)
        left = [other for other in left if other is not twin]
        agreed.append({name: value if name in _ALWAYS or value == twin[name] else OPEN[name]
                       for name, value in phase.items()})  # fmt: skip
    return agreed


_ALWAYS = ("action", "turn")


def _seen(scene: Scene) -> str:
    """What the motion shows, as a sentence; "" where that is too much to tell."""
    phases = _seen_of(scene)
    if not phases:
        return ""
    frame, subject = scene.pick(_SEEN), scene.pick(_SUBJECTS)
    acts = _acts(phases, "ing" if ":ing" in frame else "", scene.draw)
    words = {"subject": subject, "Subject": capital(subject), "new": scene.pick(_NEW)}
    return frame.replace(":ing", "").format(acts=acts, **words)


def _seen_of(scene: Scene) -> list[Phase]:
    """The acts of the motion, in the attributes that the goal speaks of; none where they are too many to tell."""
    phases = [_told_of(phase, scene.asked) for phase in scene.shown if _counts(phase, scene)]
    is_clear = len(phases) <= MOST_SEEN and all(phase["action"] != "other" for phase in phases)
    return phases if is_clear else []


def _counts(phase: Phase, scene: Scene) -> bool:
    """A pause that nobody asked for is not worth a word."""
    return phase["action"] != "stand" or any(other["action"] == "stand" for other in scene.asked)


def _told_of(phase: Phase, asked: Sequence[Phase]) -> Phase:
    same = [other for other in asked if other["action"] == phase["action"]]
    kept = {"action", "side", "direction", *(name for other in same for name, value in other.items() if value)}
    return {name: value if name in kept else OPEN[name] for name, value in phase.items()}


def _acts(phases: Sequence[Phase], form: str, draw: np.random.Generator) -> str:
    said = [format(Clause(phase, draw), form) for phase in phases]
    return said[0] + "".join(pick([", then ", " and then "], draw) + other for other in said[1:]) if said else ""


def _fits(scene: Scene) -> str:
    """What is as it should be, by name."""
    missed = {one["action"] for one in scene.differences if one["attribute"] != "extra"}
    right = _names([phase for phase in scene.asked if phase["action"] not in missed])
    if not right:
        return ""
    if len(right) > 1 or right[0].endswith("s"):
        words = {"are": "are", "match": "match", "they": "they"}
    else:
        words = {"are": "is", "match": "matches", "they": "it"}
    fits = listed([f"the {name}" for name in right])
    return scene.pick(_FITS if missed else _ALL_THERE).format(fits=fits, Fits=capital(fits), **words)


def _names(phases: Sequence[Phase]) -> list[str]:
    """Acts as things, each once: "walk", "two kicks"."""
    return list(dict.fromkeys(named({**phase, "speed": "", "amplitude": ""}) for phase in phases))


# ---- refinements -----------------------------------------------------------------------------------------------------

_KEEP = ["Keep the {kept} as {it_is}, but ", "Leave the {kept} as {it_is}, but ", "The {kept} can stay. ", ""]
_THEN = [", and ", "; ", ". Then ", ". Also, "]
_AIMS = ["", "", ", so that {subject} {acts}", ". In the end, {subject} {acts}", ". The aim: {subject} {acts}"]
_DO_ANOTHER = [
    "Do something else altogether: {asked}.", "Start over and {asked}.", "Do not do that. Instead, {asked}.",
    "Forget what was done and {asked}.",
]  # fmt: skip


def refinement(scene: Scene) -> str:
    """What to keep and what to do instead, as instructions."""
    if scene.is_another:
        return _sentences(scene.pick(_DO_ANOTHER).format(asked=_acts(scene.asked, "base", scene.draw)))
    orders = [instruction(one, scene) for one in scene.differences[:MOST_TOLD]]
    keep = _keep(scene)
    said = orders[0] + "".join(scene.pick(_THEN) + order for order in orders[1:])
    aim = _aim(scene) if "so that" not in said else ""
    return _sentences(f"{keep}{said if keep.endswith(', but ') else capital(said)}{aim}.")


def _keep(scene: Scene) -> str:
    missed = {one["action"] for one in scene.differences}
    right = _names([phase for phase in scene.asked if phase["action"] not in missed])
    if not right:
        return ""
    it_is = "they are" if len(right) > 1 or right[0].endswith("s") else "it is"
    return scene.pick(_KEEP).format(kept=listed([right[0], *(f"the {other}" for other in right[1:])]), it_is=it_is)


def _aim(scene: Scene) -> str:
    """What the mended motion will be, at times; "" where it was just said, or would be a tale."""
    first = scene.differences[0]["attribute"]
    is_said = len(scene.asked) == 1 and (first in ("action", "missing") or len(attributes(scene.asked[0])) < 2)
    is_told = len(scene.differences) <= MOST_TOLD and 0 < len(scene.asked) <= MOST_SEEN
    if is_said or not is_told:
        return ""
    return scene.pick(_AIMS).format(subject=scene.pick(_SUBJECTS), acts=_acts(scene.asked, "", scene.draw))


def _sentences(text: str) -> str:
    """Each sentence with a capital."""
    first, *others = tidy(text).split(". ")
    return ". ".join([capital(first), *map(capital, others)])
