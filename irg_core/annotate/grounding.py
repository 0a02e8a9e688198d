"""Statements held against what is known: measured facts, what the words of a goal ask for, and a known flaw.

A statement is contradicted only where everything known speaks against it; where something is open it is unverifiable.
"""

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from irg_core.annotate.demands import is_set
from irg_core.annotate.statements import ASKED, CHANGE, SHOWN, Statement, statements
from irg_core.annotate.wording import FLOOR, LIMBS
from irg_core.motion.actions import ACTIONS
from irg_core.records.motion import Measure, Phase

SUPPORTED, CONTRADICTED, UNVERIFIABLE = "supported", "contradicted", "unverifiable"

TURN = 25.0
"""Degrees by which a turn in words may miss a measured one: a quarter turn is still no eighth and no half."""
WAY = 0.35
"""Share by which a way, or a height, in words may miss a measured one."""
_GRADES = {"slow": 0, "normal": 1, "fast": 2, "small": 0, "large": 2}
_ORDINALS = {"first": 0, "second": 1, "third": 2}


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a pair, behind which no text may fall."""

    asked: Sequence[Phase]  # empty attributes are left open by the goal
    shown: Sequence[Phase]
    measures: Sequence[Measure] = ()  # of the motion shown
    changes: Sequence[dict[str, object]] = field(default=())  # what an edit changed, as `Pair.truth` says
    goal: frozenset[tuple[str, str, str | float, bool]] = (
        frozenset()
    )  # what its own words say, of which `asked` may lack some


def of_goal(text: str) -> frozenset[tuple[str, str, str | float, bool]]:
    """What the words of a goal state; nobody who says the same contradicts it."""
    return frozenset(map(_essence, statements(text, SHOWN)))


def _essence(statement: Statement) -> tuple[str, str, str | float, bool]:
    return statement.kind, statement.action, statement.value, statement.holds


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of a statement."""

    statement: Statement
    verdict: str  # SUPPORTED | CONTRADICTED | UNVERIFIABLE
    known: str  # in words, what speaks against a contradicted one

    @property
    def told(self) -> str:
        """The contradiction, for whoever is to mend it."""
        of = {ASKED: "asked for", SHOWN: "measured", CHANGE: "measured and asked for"}[self.statement.of]
        return f'you say "{self.statement.words}"; {of}: {self.known}'


def changes_of(truth: str) -> list[dict[str, object]]:
    """What an edit changed; nothing for a motion that no edit made."""
    return list(json.loads(truth or "{}").get("changes") or [])


def findings(text: str, of: str, known: Known) -> list[Finding]:
    """Every statement of a text, judged."""
    return [_judged(statement, known) for statement in statements(text, of)]


def counted(found: Sequence[Finding]) -> Counter[str]:
    """Findings by verdict."""
    return Counter(one.verdict for one in found)


def _judged(statement: Statement, known: Known) -> Finding:
    if statement.of == CHANGE:
        verdict, told = _change(statement, known)
    else:
        verdict, told = _said(statement, known)
    return Finding(statement, verdict, told if verdict == CONTRADICTED else "")


Judgement = tuple[str, str]  # a verdict, and what is known in words
OPEN: Judgement = (UNVERIFIABLE, "")


def _said(statement: Statement, known: Known) -> Judgement:
    """Statements about one of the two motions."""
    phases = known.asked if statement.of == ASKED else known.shown
    if statement.of == ASKED and _essence(statement) in known.goal:
        return SUPPORTED, ""
    match statement.kind:
        case "presence":
            return _presence(statement, known, phases)
        case "absence":
            return _absence(statement, known, phases)
        case "order":
            return _order(statement, phases)
        case "posture":
            return _posture(statement, phases)
        case "part":
            return _part(statement, phases)
    concerned = [phase for phase in phases if statement.action in ("", phase.action)]
    if not concerned:
        return OPEN
    fits = _fits(statement, concerned, known)
    if fits is None:
        return OPEN
    told = f"{_name(statement.action)} {_told(statement, concerned, known)}"
    return _turned(_verdict(fits, told), told) if not statement.holds else _verdict(fits, told)


def _verdict(fits: bool, told: str) -> Judgement:
    return (SUPPORTED, "") if fits else (CONTRADICTED, told)


def _turned(judgement: Judgement, told: str) -> Judgement:
    """The judgement of the opposite."""
    opposite = {SUPPORTED: (CONTRADICTED, told), CONTRADICTED: (SUPPORTED, "")}
    return opposite.get(judgement[0], OPEN)


def _name(action: str) -> str:
    return {"raise_arms": "arm raise", "": "motion"}.get(action, action)


# ---- whether, in which order, in which posture -----------------------------------------------------------------------

_MEASURED = {"turn": ("heading",), "stand": ("stillness",), "bow": ("bend",), "jump": ("jump",)}
"""Measures that show an action which no phase is named after."""


def _presence(statement: Statement, known: Known, phases: Sequence[Phase]) -> Judgement:
    action = statement.action
    if action not in ACTIONS or not phases:
        return OPEN
    if any(phase.action == action for phase in phases):
        return SUPPORTED, ""
    is_hinted = statement.of == SHOWN and any(one.kind in _MEASURED.get(action, ()) for one in known.measures)
    if is_hinted or any(phase.action == "other" for phase in phases):
        return OPEN
    return CONTRADICTED, f"no {_name(action)}, only {', '.join(_name(phase.action) for phase in phases)}"


def _absence(statement: Statement, known: Known, phases: Sequence[Phase]) -> Judgement:
    """A second turn may be missing, or be one too many, where there is a turn."""
    asked, shown = (sum(phase.action == statement.action for phase in phases) for phases in (known.asked, known.shown))
    if 0 < shown < asked if statement.of == SHOWN else 0 < asked < shown:
        return SUPPORTED, ""
    return _turned(_presence(statement, known, phases), f"there is {_name(statement.action)}")


def _order(statement: Statement, phases: Sequence[Phase]) -> Judgement:
    names = [phase.action for phase in phases]
    told = ", then ".join(map(_name, names))
    if str(statement.value) in (*_ORDINALS, "last"):
        # A pause is no act, unless one speaks of it.
        orders = [names, [name for name in names if name != "stand"]]
        if statement.action not in names or len(names) < 2:
            return OPEN
        places = [_place(str(statement.value), order) for order in orders]
        return _verdict(statement.action in places, told)
    if statement.action not in names or statement.value not in names or not statement.holds:
        return OPEN
    last = len(names) - 1 - names[::-1].index(str(statement.value))
    return _verdict(names.index(statement.action) < last, told)


def _place(ordinal: str, names: Sequence[str]) -> str:
    place = len(names) - 1 if ordinal == "last" else _ORDINALS[ordinal]
    return names[place] if 0 <= place < len(names) else ""


def _posture(statement: Statement, phases: Sequence[Phase]) -> Judgement:
    """Whether the body is upright at some time; other postures are actions of their own."""
    if not phases or any(phase.action == "other" for phase in phases):
        return OPEN
    upright = [phase for phase in phases if phase.action not in FLOOR]
    told = "on the floor or seated" if not upright else "on its feet"
    is_crawling = any(phase.action == "crawl" for phase in phases)
    is_true = is_crawling if statement.value == "crawl" else bool(upright)
    return _verdict(is_true == statement.holds, told)


def _part(statement: Statement, phases: Sequence[Phase]) -> Judgement:
    """Which limb an action is done with is known by its name."""
    if not any(phase.action == statement.action for phase in phases):
        return OPEN
    limb = LIMBS[statement.action]
    return _verdict(
        (statement.value == limb) == statement.holds, f"a {_name(statement.action)} is done with the {limb}"
    )


# ---- attributes ------------------------------------------------------------------------------------------------------


def _fits(statement: Statement, concerned: Sequence[Phase], known: Known) -> bool | None:
    """Whether some phase has the value; None where that is open."""
    value = statement.value
    found = _values(statement, concerned, known)
    if statement.kind == "turn size":
        return None if not found else any(abs(float(value) - float(one)) <= TURN for one in found)
    if statement.kind in ("distance", "height") and isinstance(value, float):
        return None if not found else any(abs(value - float(one)) <= max(0.06, WAY * float(one)) for one in found)
    if value in found:
        return True
    if not found or _is_open(statement.kind, concerned):
        return None
    return False


def _values(statement: Statement, concerned: Sequence[Phase], known: Known) -> list[str | float]:
    """All values that an attribute truly has, by phases, measures and the known flaw."""
    is_shown = statement.of != ASKED
    measures = [one for one in known.measures if is_shown]
    flaw = [change for change in known.changes if is_shown and change.get("action") == statement.action]
    match statement.kind:
        case "side":
            sides = {phase.side for phase in concerned if phase.side}
            named = {str(change["now"]) for change in flaw if change.get("attribute") == "side"}
            return sorted(sides | named | ({"both"} if {"left", "right"} <= sides else set()))
        case "direction":
            ways = {phase.direction or ("in place" if is_shown else "") for phase in concerned}
            return sorted((ways | {str(c["now"]) for c in flaw if c.get("attribute") == "direction"}) - {""})
        case "turn sign":
            turned = {_sign(phase) for phase in concerned if phase.action == "turn" or phase.turn == phase.turn}
            turned |= {"left" if float(str(c["now"])) > 0 else "right" for c in flaw if c.get("attribute") == "turn"}
            return sorted((turned | {one.direction for one in measures if one.kind == "heading"}) - {""})
        case "turn size":
            degrees = [phase.turn for phase in concerned if phase.turn == phase.turn]
            sums = [abs(sum(degrees))] if len(degrees) > 1 else []
            made = [abs(float(str(c["now"]))) for c in flaw if c.get("attribute") == "turn"]
            return [*map(abs, degrees), *made, *sums, *(one.amount for one in measures if one.kind == "heading")]
        case "count":
            return _known_counts(statement, concerned, measures)
        case "height":
            return [*_heights(statement, measures)]
        case "distance":
            metres = [phase.distance for phase in concerned if is_set(phase.distance) and is_shown]
            return [*metres, *([sum(metres)] if len(metres) > 1 else [])]
    named_values = [getattr(phase, statement.kind) for phase in concerned]
    return [one for one in named_values if one] + [str(c["now"]) for c in flaw if c.get("attribute") == statement.kind]


def _sign(phase: Phase) -> str:
    if math.isnan(phase.turn):
        return phase.direction
    return phase.direction or ("left" if phase.turn > 0 else "right")


def _known_counts(statement: Statement, concerned: Sequence[Phase], measures: Sequence[Measure]) -> list[str | float]:
    if str(statement.value).endswith("steps"):
        return [f"{one.amount:.0f} steps" for one in measures if one.kind == "steps"]
    by_side = Counter[tuple[str, str]]()
    for phase in concerned:
        by_side[phase.action, phase.side] += phase.count
        by_side[phase.action, "all"] += phase.count
    counts = {phase.count for phase in concerned} | set(by_side.values())
    return [float(count) for count in sorted(counts - {0})]


def _heights(statement: Statement, measures: Sequence[Measure]) -> list[str | float]:
    if isinstance(statement.value, float):
        return [one.amount for one in measures if one.kind == statement.action]
    levels = [one.manner for one in measures if one.kind == statement.action]
    return [] if "" in levels else sorted(set(levels))


_ATTRIBUTES = {"side": "side", "speed": "speed", "amplitude": "amplitude", "count": "count"}


def _is_open(kind: str, concerned: Sequence[Phase]) -> bool:
    """Whether a phase leaves the attribute open, so that it may well have the value."""
    attribute = _ATTRIBUTES.get(kind)
    return attribute is not None and not all(is_set(getattr(phase, attribute)) for phase in concerned)


def _told(statement: Statement, concerned: Sequence[Phase], known: Known) -> str:
    found = _values(statement, concerned, replace(known, changes=()))
    return f"{statement.kind} {' or '.join(dict.fromkeys(_plain(one) for one in found)) or 'other'}"


def _plain(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:g}"


# ---- from shown to asked ---------------------------------------------------------------------------------------------


def _change(statement: Statement, known: Known) -> Judgement:
    """Whether the way from what is shown to what is asked for leads where the text says: up or down."""
    shown, asked = (_amounts(statement, phases) for phases in (known.shown, known.asked))
    flaw = [
        one for one in known.changes if (one.get("action"), one.get("attribute")) == (statement.action, statement.kind)
    ]
    shown = shown or [amount for one in flaw if (amount := _amount(one.get("now"))) is not None]
    asked = asked or [amount for one in flaw if (amount := _amount(one.get("was"))) is not None]
    sign = float(statement.value)
    if shown and asked:
        fits = any((wanted - now) * sign > 0 for wanted in asked for now in shown)
        return _verdict(fits, f"{_name(statement.action)} {statement.kind} {_list(shown)}, asked for {_list(asked)}")
    # What is slow already cannot be too fast for anybody.
    end = None if statement.kind not in ("speed", "amplitude") else 2.0 if sign > 0 else 0.0
    if shown and all(now == end for now in shown):
        return CONTRADICTED, f"{_name(statement.action)} {statement.kind} {_list(shown)}"
    return OPEN


def _amounts(statement: Statement, phases: Sequence[Phase]) -> list[float]:
    """Ranks, counts or degrees of the action; nothing where a phase leaves it open."""
    concerned = [phase for phase in phases if statement.action in ("", phase.action)]
    name = {"turn size": "turn"}.get(statement.kind, statement.kind)
    found = [_amount(getattr(phase, name)) for phase in concerned]
    known = [one for one in found if one is not None]
    if len(known) < len(found):
        return []
    return [*known, sum(known)] if statement.kind == "count" and len(known) > 1 else known


def _amount(value: object) -> float | None:
    if isinstance(value, str):
        return float(_GRADES[value]) if value in _GRADES else None
    if isinstance(value, int | float) and is_set(value):
        return abs(float(value))
    return None


def _list(amounts: Sequence[float]) -> str:
    return " or ".join(f"{amount:g}" for amount in dict.fromkeys(amounts))
