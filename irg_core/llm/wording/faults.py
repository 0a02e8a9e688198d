"""What is wrong, one difference at a time: "the kick uses the left leg instead of the right one"."""

from collections.abc import Callable

from irg_core.llm.wording import lexicon
from irg_core.llm.wording.scene import (
    BASE,
    PACES,
    SIDES,
    THIRD,
    Difference,
    Scene,
    degrees,
    limb_of,
    neighbour_of,
    noun_of,
    other_limb,
)

_RATHER = ["instead of", "rather than"]


def fault(one: Difference, scene: Scene) -> str:
    return _FAULTS.get(one["attribute"], _other_action)(one, scene)


def _side(one: Difference, scene: Scene) -> str:
    action, noun = one["action"], scene.noun(one)
    if one["shown"] not in SIDES:
        return f"the {noun} does not use {limb_of(one['asked'], action)}"
    shown, asked = limb_of(one["shown"], action), other_limb(one["asked"], one["shown"], action)
    options = [
        f"the {noun} uses {shown} {scene.pick(_RATHER)} {asked}",
        f"the {noun} is done with {shown}, whereas the goal asks for {asked}",
    ]
    if scene.is_repeated(action):
        return scene.pick(options)
    return scene.pick(
        [*options, f"it is {shown} that {(BASE if one['shown'] == 'both' else THIRD)[action]}, not {asked}"]
    )


def _direction(one: Difference, scene: Scene) -> str:
    noun, shown, asked = scene.noun(one), one["shown"], lexicon.toward(one["asked"])
    went = "stays in place" if shown == "in place" else f"goes {lexicon.toward(shown)}"
    return scene.pick([
        f"the {noun} {went} {scene.pick(_RATHER)} {asked}", f"the {noun} {went}, but it should go {asked}",
        f"the {noun} {went} although the goal says {asked}",
    ])  # fmt: skip


def _turn(one: Difference, scene: Scene) -> str:
    noun, shown, asked = scene.noun(one), degrees(one["shown"]), degrees(one["asked"])
    if shown < asked:
        return scene.pick([
            f"the {noun} covers only about {shown} degrees {scene.pick(_RATHER)} {asked}",
            f"the {noun} stops short at about {shown} degrees, whereas {asked} are asked for",
        ])  # fmt: skip
    return scene.pick([
        f"the {noun} goes too far, by about {shown} degrees {scene.pick(_RATHER)} {asked}",
        f"the {noun} covers as much as {shown} degrees, whereas {asked} are asked for",
    ])  # fmt: skip


def _count(one: Difference, scene: Scene) -> str:
    action, shown, asked = one["action"], int(one["shown"]), int(one["asked"])
    only = "only " if shown < asked else ""
    happens = f"the {scene.noun(one)} happens {only}{lexicon.times(shown)} {scene.pick(_RATHER)} {lexicon.times(asked)}"
    if scene.is_repeated(action):
        return happens
    there = f"there {'is' if shown == 1 else 'are'} {only}{lexicon.number(shown)} {lexicon.noun(action, shown)}"
    return scene.pick([
        f"{there} {scene.pick(_RATHER)} {lexicon.number(asked)}", happens,
        f"{there}, whereas the goal asks for {lexicon.number(asked)}",
    ])  # fmt: skip


def _speed(one: Difference, scene: Scene) -> str:
    noun, shown, asked = scene.noun(one), PACES[one["shown"]], PACES[one["asked"]]
    return scene.pick([
        f"the {noun} is {shown} {scene.pick(_RATHER)} {asked}",
        f"the {noun} is {shown}, whereas the goal asks for a {asked} one",
        f"the pace of the {noun} is {shown}, though it should be {asked}",
    ])  # fmt: skip


def _amplitude(one: Difference, scene: Scene) -> str:
    sizes = lexicon.SIZES[one["action"]]
    noun, shown, asked = scene.noun(one), sizes[one["shown"]], sizes[one["asked"]]
    return scene.pick([
        f"the {noun} is {shown} {scene.pick(_RATHER)} {asked}",
        f"the {noun} is {shown}, whereas the goal asks for a {asked} one",
        f"the {noun} is {shown}, though it should be {asked}",
    ])  # fmt: skip


def _missing(one: Difference, scene: Scene) -> str:
    noun = lexicon.noun(one["action"], 1)
    if scene.is_shown(one["action"]):
        is_short = scene.is_repeated(one["action"])
        return f"the {noun} is done too few times" if is_short else _order(one, scene)
    return scene.pick([
        f"the {noun} is missing", f"the {noun} never comes", f"the {noun} that the goal asks for does not happen",
        f"there is no {noun}",
    ])  # fmt: skip


def _extra(one: Difference, scene: Scene) -> str:
    noun = lexicon.noun(one["action"], 1)
    if any(phase["action"] == one["action"] for phase in scene.asked):
        return scene.pick([f"the motion adds a further {noun}", f"there is another {noun} that nobody asked for"])
    return scene.pick([
        f"there is {lexicon.a(noun)} that nobody asked for", f"the motion adds {lexicon.a(noun)}",
        f"the {noun} is more than the goal asks for",
    ])  # fmt: skip


def _order(one: Difference, scene: Scene) -> str:
    noun = lexicon.noun(one["action"], 1)
    neighbour = neighbour_of(one, scene)
    if not neighbour:
        return f"the {noun} comes in the wrong place"
    wrong, right, other = neighbour
    early = "early" if wrong == "before" else "late"
    return scene.pick([
        f"the {noun} comes {wrong} the {other} {scene.pick(_RATHER)} {right} it",
        f"the {noun} comes too {early}, {wrong} the {other} instead of {right} it",
    ])  # fmt: skip


def _other_action(one: Difference, scene: Scene) -> str:
    noun, shown = lexicon.noun(one["action"], 1), noun_of(one["shown"])
    return scene.pick([
        f"there is {lexicon.a(shown)} {scene.pick(_RATHER)} {lexicon.a(noun)}",
        f"what should be {lexicon.a(noun)} is {lexicon.a(shown)}",
        f"where {lexicon.a(noun)} should be there is {lexicon.a(shown)}",
    ])  # fmt: skip


_FAULTS: dict[str, Callable[[Difference, Scene], str]] = {
    "side": _side, "direction": _direction, "turn": _turn, "count": _count, "speed": _speed, "amplitude": _amplitude,
    "missing": _missing, "extra": _extra, "order": _order,
}  # fmt: skip
