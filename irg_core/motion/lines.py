"""Facts as terse lines, for a reader or a language model."""

from collections.abc import Sequence
from itertools import groupby
from operator import attrgetter

from irg_core.motion.actions import USED_IN_TEXTS
from irg_core.records.motion import Measure, Phase

_DO = {"raise_arms": "raise arms", "other": "something else"}
SHORT = 0.35
"""Metres: nobody would mention a shorter way."""


def of_phases(phases: Sequence[Phase]) -> list[str]:
    """One terse line a phase, for a reader or a language model: what, in which manner, and when if that is known."""
    times = [f" ({phase.start:.1f}-{phase.end:.1f} s)" if phase.start == phase.start else "" for phase in phases]
    return [_told(phase) + time for phase, time in zip(phases, times, strict=True)]


def name(phase: Phase) -> str:
    """The action in words."""
    return _DO.get(phase.action, phase.action)


def _told(phase: Phase) -> str:
    parts = [name(phase)]
    if phase.side and "side" in USED_IN_TEXTS:
        parts.append({"both": "both sides"}.get(phase.side, f"{phase.side} side"))
    if phase.direction and "direction" in USED_IN_TEXTS:
        parts.append(phase.direction)
    if phase.turn == phase.turn and "turn" in USED_IN_TEXTS:
        under_way = "" if phase.action == "turn" else f" turning {_way(phase.turn)}"
        parts.append(f"{abs(phase.turn):.0f} degrees{under_way}")
    if phase.count and "count" in USED_IN_TEXTS:
        parts.append(f"{phase.count} times" if phase.count > 1 else "once")
    if phase.speed and "speed" in USED_IN_TEXTS:
        parts.append(f"{phase.speed} speed")
    if phase.amplitude and "amplitude" in USED_IN_TEXTS:
        parts.append(f"{phase.amplitude} amplitude")
    if phase.distance == phase.distance and phase.distance >= SHORT and "distance" in USED_IN_TEXTS:
        parts.append(f"{phase.distance:.1f} m")
    return ", ".join(parts)


def _way(turn: float) -> str:
    return "left" if turn > 0 else "right"


# --- measures ---------------------------------------------------------------------------------------------------------

_TEMPLATES = {
    "lie": "lies {manner} for {amount:.1f} s", "sit": "sits for {amount:.1f} s", "crawl": "crawls for {amount:.1f} s",
    "kneel": "kneels on {limb} for {amount:.1f} s", "heading": "turns {direction} by {amount:.0f} degrees in all",
    "circle": "the path is a circle to the {direction}", "curve": "the path curves {direction} by {amount:.0f} degrees",
    "back and forth": "goes back and forth, {amount:.0f} ways", "punch": "{limb}: punch at {height}",
    "kick": "{limb}: kick {direction} to {height}{amount:.2f} m", "jump": "jumps {amount:.2f} m high {direction}",
    "bend": "trunk bends {direction} by {amount:.0f} degrees", "raise": "{limb}: raised by {amount:.0f} degrees",
    "squat": "hips sink by {amount:.2f} m", "crossed": "arms crossed for {amount:.1f} s",
    "reach": "{limb}: reach {direction} at {height}", "repetition": "{manner} {amount:.0f} times",
    "twist": "shoulders twist {direction} by {amount:.0f} degrees", "steps": "{amount:.0f} steps, {side} foot first",
    "distance": "covers {amount:.1f} m {direction}", "pace": "{amount:.1f} m/s {direction}",
    "cadence": "{amount:.0f} steps a minute", "straight": "the path is straight", "take-off": "takes off from {limb}",
    "landing": "lands on {limb}", "stillness": "still for {amount:.1f} s", "period": "{manner} every {amount:.1f} s",
    "activity": "{limb}: {amount:.0f} % of what the arms do", "contact": "{limb} on the floor, {amount:.0f} % of it",
}  # fmt: skip
"""A line for each kind of measure (of a path: for each shape), the most telling kinds first."""
_LIMBS = {"feet": ("foot", "feet"), "arm": ("arm", "arms"), "leg": ("leg", "legs"), "body": ("knee", "knees")}
_RANK = {kind: rank for rank, kind in enumerate(_TEMPLATES)}


def of_measures(measures: Sequence[Measure], most: int) -> list[str]:
    """One terse line for each of the `most` telling measures, in the order of time; equal ones share a line."""
    alike = attrgetter("kind", "part", "side", "direction", "manner")
    groups = [list(group) for _, group in groupby(sorted(measures, key=lambda one: (*alike(one), one.start)), alike)]
    telling = sorted(groups, key=lambda group: (_RANK[_kind(group[0])], group[0].start))[:most]
    return [_line(group) for group in sorted(telling, key=lambda group: (group[0].start, _RANK[_kind(group[0])]))]


def _kind(measure: Measure) -> str:
    return measure.manner if measure.kind == "path" else measure.kind


def _line(group: Sequence[Measure]) -> str:
    """A line for measures that differ in amount and time only; the amount is the middle one."""
    first, middle = group[0], sorted(group, key=attrgetter("amount"))[len(group) // 2]
    whole = "the whole motion" if first.kind in ("repetition", "period") else ""
    said = _TEMPLATES[_kind(first)].format(
        limb=_limb(first), side=first.side, direction=first.direction, amount=middle.amount,
        manner=first.manner.replace("_", " ") or whole, height=_height(first),
    )  # fmt: skip
    said = " ".join(said.split()).replace(" at (", " (").removesuffix(" at")
    times = f"{len(group)} times, " if len(group) > 1 else ""
    return f"{said} ({times}{first.start:.1f}-{max(one.end for one in group):.1f} s)"


def _limb(measure: Measure) -> str:
    one, both = _LIMBS.get(measure.part, ("", ""))
    return {"both": f"both {both}", "": f"no {one}"}.get(measure.side, f"{measure.side} {one}")


def _height(measure: Measure) -> str:
    if measure.kind == "kick":
        return f"{measure.manner} height, " if measure.manner else ""
    return f"{measure.manner} height" if measure.manner else ""
