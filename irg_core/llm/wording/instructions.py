"""What to do about it, one difference at a time: "kick with the right leg instead of the left one"."""

from collections.abc import Callable

from irg_core.llm.wording import lexicon
from irg_core.llm.wording.clauses import Clause, tidy
from irg_core.llm.wording.scene import (
    BASE,
    DOING,
    PACES,
    SIDES,
    Difference,
    Scene,
    degrees,
    limb_of,
    neighbour_of,
    noun_of,
    other_limb,
)

_PACED = {"slow": "slowly", "normal": "at a normal pace", "fast": "quickly"}
_BIGGER = {
    ("jump", "large"): "jump higher than now", ("jump", "small"): "do not jump so high",
    ("kick", "large"): "kick higher than now", ("kick", "small"): "keep the kick low",
    ("squat", "large"): "squat deeper than now", ("squat", "small"): "do not squat so deep",
    ("bow", "large"): "bow deeper than now", ("bow", "small"): "do not bow so deep",
}  # fmt: skip


def instruction(one: Difference, scene: Scene) -> str:
    return _ORDERS.get(one["attribute"], _do_instead)(one, scene)


def _use(one: Difference, scene: Scene) -> str:
    action, asked, noun = one["action"], limb_of(one["asked"], one["action"]), scene.noun(one)
    if one["shown"] not in SIDES:
        return f"use {asked} for the {noun}"
    other = other_limb(one["shown"], one["asked"], action)
    if scene.is_repeated(action):
        return scene.pick(
            [f"use {asked} for the {noun}, not {other}", f"do the {noun} with {asked} instead of {other}"]
        )
    verb, by = BASE[action], "on " if action == "kneel" else "" if action == "raise_arms" else "with "
    return scene.pick([
        f"{verb} {by}{asked} instead of {other}", f"use {asked} for the {noun}, not {other}",
        f"{verb} {by}{asked} instead",
    ])  # fmt: skip


def _go(one: Difference, scene: Scene) -> str:
    action, asked = one["action"], lexicon.toward(one["asked"])
    shown = "in place" if one["shown"] == "in place" else lexicon.toward(one["shown"])
    if scene.is_repeated(action):
        return f"let the {scene.noun(one)} go {asked}, not {shown}"
    verb, turn = BASE[action], scene.wanted(action)["turn"]
    options = [f"{verb} {asked} instead of {shown}", f"{verb} {asked}, not {shown}", f"{verb} {asked} instead"]
    if action == "turn" and turn is not None:
        options.append(f"{verb} {asked} instead, by about {lexicon.rounded(turn)} degrees")
        if (share := lexicon.SHARES.get(lexicon.rounded(turn), "")) in ("quarter", "half"):
            options.append(f"{verb} {asked} instead, about a {share} turn")
    return scene.pick(options)


def _turn_by(one: Difference, scene: Scene) -> str:
    shown, asked, noun = degrees(one["shown"]), degrees(one["asked"]), scene.noun(one)
    if scene.is_repeated("turn"):
        return f"let the {noun} cover about {asked} degrees instead of {shown}"
    way = lexicon.toward(scene.wanted("turn")["direction"])
    if shown < asked:
        more = f"turn further {way}, by about {asked} degrees in all"
    else:
        more = f"do not turn so far: about {asked} degrees {way} are enough"
    return tidy(scene.pick([f"turn {way} by about {asked} degrees instead of {shown}", more]))


def _repeat(one: Difference, scene: Scene) -> str:
    action, shown, asked = one["action"], int(one["shown"]), int(one["asked"])
    if scene.is_repeated(action):
        return f"do the {scene.noun(one)} {lexicon.times(asked)}, not {lexicon.times(shown)}"
    verb = _verb(action, scene)
    plain = [f"{verb} {lexicon.times(asked)} instead of {lexicon.times(shown)}",
             f"{verb} {lexicon.times(asked)}, not {lexicon.times(shown)}"]  # fmt: skip
    if shown > asked:
        return scene.pick([*plain, f"{verb} only {lexicon.times(asked)}"])
    more = "another" if asked - shown == 1 else f"{lexicon.number(asked - shown)} more"
    total = f"add {more}, so that there are {lexicon.number(asked)} {lexicon.noun(action, asked)} in all"
    return scene.pick([*plain, f"{verb} {lexicon.times(asked)} in all", total])


def _pace(one: Difference, scene: Scene) -> str:
    action, shown, asked, noun = one["action"], one["shown"], one["asked"], scene.noun(one)
    if scene.is_repeated(action):
        return f"make the {noun} {PACES[asked]}, not {PACES[shown]}"
    verb = _verb(action, scene)
    if asked == "normal":
        return f"{verb} at a normal pace, not {_PACED[shown]}"
    slower, more = ("slow down", "more slowly") if asked == "slow" else ("speed up", "faster")
    return scene.pick([
        f"{verb} {_PACED[asked]}" + (f" instead of {_PACED[shown]}" if shown != "normal" else ""),
        f"{slower} the {noun}", f"{verb} {more} than now",
        f"make it a {PACES[asked]} {noun}, not a {PACES[shown]} one",
    ])  # fmt: skip


def _size(one: Difference, scene: Scene) -> str:
    action, sizes, noun = one["action"], lexicon.SIZES[one["action"]], scene.noun(one)
    shown, asked = sizes[one["shown"]], sizes[one["asked"]]
    options = [f"make the {noun} {asked}, not {shown}", f"make it a {asked} {noun} instead of a {shown} one"]
    bigger = _BIGGER.get((action, one["asked"]), "")
    return scene.pick([*options, bigger] if bigger and not scene.is_repeated(action) else options)


def _add(one: Difference, scene: Scene) -> str:
    action = one["action"]
    if action == "other":
        return "do what the goal describes"
    if scene.is_shown(action):
        return f"add another {lexicon.noun(action, 1)}" if scene.is_repeated(action) else _reorder(one, scene)
    said = f"{Clause(scene.wanted(action), scene.draw):base}"
    return scene.pick([f"{_place(action, scene)}{said}", f"add what is missing: {said}", f"do not forget to {said}"])


def _place(action: str, scene: Scene) -> str:
    """Where a missing act belongs, by the name of the act before it or after it."""
    order, there = [phase["action"] for phase in scene.asked], {phase["action"] for phase in scene.shown}
    at = order.index(action)
    for place, word in ((at - 1, "after"), (at + 1, "before")):
        if 0 <= place < len(order) and order[place] in there and order.count(order[place]) == 1:
            return f"{word} the {lexicon.noun(order[place], 1)}, "
    return ""


def _leave_out(one: Difference, scene: Scene) -> str:
    action = one["action"]
    if any(phase["action"] == action for phase in scene.asked):
        return f"{_verb(action, scene)} no more often than the goal asks for"
    what = "what else happens" if action == "other" else f"the {lexicon.noun(action, 1)}"
    return scene.pick([f"leave out {what}", f"drop {what}", f"do without {what}"])


def _reorder(one: Difference, scene: Scene) -> str:
    noun, neighbour = lexicon.noun(one["action"], 1), neighbour_of(one, scene)
    if not neighbour:
        return f"let the {noun} come where the goal has it"
    wrong, right, other = neighbour
    return scene.pick([
        f"do the {noun} {right} the {other}, not {wrong} it", f"let the {noun} come {right} the {other}",
        f"swap the order, so that the {noun} comes {right} the {other}",
    ])  # fmt: skip


def _do_instead(one: Difference, scene: Scene) -> str:
    if one["action"] == "other":
        return "do what the goal describes"
    said, shown = f"{Clause(scene.wanted(one['action']), scene.draw):base}", noun_of(one["shown"])
    doing = DOING.get(one["shown"].replace(" ", "_"), "what is done now")
    return scene.pick([f"{said} instead of {doing}", f"{said} in place of the {shown}", f"drop the {shown} and {said}"])


_ORDERS: dict[str, Callable[[Difference, Scene], str]] = {
    "side": _use, "direction": _go, "turn": _turn_by, "count": _repeat, "speed": _pace, "amplitude": _size,
    "missing": _add, "extra": _leave_out, "order": _reorder,
}  # fmt: skip


def _verb(action: str, scene: Scene) -> str:
    """What to do, with the arms that are to do it."""
    if action != "raise_arms":
        return BASE[action]
    side = scene.wanted(action)["side"]
    return f"raise {lexicon.limb(action, side) if side else 'the arm'}"
