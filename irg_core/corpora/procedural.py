"""The procedural corpus: motions drawn from a seed, captions drawn from a grammar.

The grammar file is the corpus's root. A take draws a cell (ordered acts with side, direction, turn and count) from the
seed's pool, then how fast and how large, then its sentences; all of it from (seed, take), so that any number of takes
can be had and take 7 is the same in all of them.
"""

import dataclasses
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from irg_core.errors import SourceError
from irg_core.motion.acts import perform
from irg_core.motion.skeleton import FPS
from irg_core.motion.synthesis import Act
from irg_core.records.motion import Phase, SourceCaption, Take
from irg_core.seeds import rng

CAPTIONS = 4
VAGUE = 0.25
"""Share of captions that leave one attribute open."""
SINGLES, DOUBLES = 0.5, 0.32
"""Shares of takes with one act and with two; the rest have three."""
POOL = {2: 260, 3: 140}
"""Cells of two and of three acts in a seed's world."""
LONGEST = 9.8
"""Seconds. Slow takes of three acts may run over the limit of a clip; their speeds are drawn again."""

Cell = tuple[Act, ...]

SINGLE_CELLS: tuple[Act, ...] = (
    *(Act("walk", direction=way) for way in ("forward", "backward")),
    Act("run", direction="forward"),
    *(Act("jump", direction=way, count=n) for way in ("", "forward") for n in (1, 2, 3)),
    *(Act("turn", direction="left" if t > 0 else "right", turn=t) for t in (45, 90, 180, -45, -90, -180)),
    *(Act("sidestep", direction=way) for way in ("left", "right")),
    *(Act("wave", side=side, count=n) for side in ("left", "right") for n in (2, 3, 4)),
    *(Act("raise_arms", side=side, count=n) for side in ("left", "right", "both") for n in (1, 2)),
    *(Act("punch", side=side, count=n) for side in ("left", "right") for n in (1, 2, 3)),
    *(Act("kick", side=side, count=n) for side in ("left", "right") for n in (1, 2, 3)),
    *(Act("squat", count=n) for n in (1, 2, 3)),
    *(Act("bow", count=n) for n in (1, 2)),
    Act("stand"),
)
ACTIONS = tuple(dict.fromkeys(act.action for act in SINGLE_CELLS))
PACED = frozenset({"walk", "run", "turn", "sidestep", "raise_arms", "squat", "bow"})
SIZED = frozenset({"jump", "kick", "squat", "bow"})
SECONDS = {
    "walk": (3.2, 0.0), "run": (3.6, 0.0), "jump": (0.1, 1.6), "turn": (1.6, 0.0), "sidestep": (2.2, 0.0),
    "wave": (0.9, 0.55), "raise_arms": (0.0, 1.65), "punch": (0.7, 0.65), "kick": (0.5, 1.05), "squat": (0.0, 1.65),
    "bow": (0.0, 1.85), "stand": (2.8, 0.0),
}  # fmt: skip
"""Of an act, once and for each repetition."""
NEVER_OPEN = frozenset({"both"})
"""Values that no vague caption leaves out: "raises an arm" is not true of both."""


def read(root: Path, *, clips: int, seed: int) -> Iterator[Take]:
    """The first `clips` takes of the seed's world, with captions from the grammar at `root`."""
    grammar = read_grammar(root)
    world = pool(seed)
    for number in range(clips):
        yield take(number, seed, world, grammar)


def take(number: int, seed: int, world: dict[int, list[Cell]], grammar: "Grammar") -> Take:
    """One take, wholly decided by (seed, number)."""
    name = f"{number:05d}"
    source = rng(seed, "take", name)
    cell = _draw_cell(source, world)
    for _ in range(40):
        acts = [_with_manner(act, source) for act in cell]
        performance = perform(acts, source)
        if len(performance.joints) <= LONGEST * FPS:
            break
    else:
        acts = [_plain_manner(act) for act in cell]
        performance = perform(acts, source)
    captions, opened = describe(acts, grammar, rng(seed, "captions", name))
    truth = {"phases": [_as_json(phase) for phase in performance.phases], "open": opened}
    return Take(
        name=name,
        joints=np.round(performance.joints, 6),  # trigonometry may differ in its last bits from machine to machine
        fps=FPS,
        captions=tuple(captions),
        cell=" > ".join(act.cell for act in cell),
        truth=json.dumps(truth, sort_keys=True),
    )


# --- what there is to do --------------------------------------------------------------------------------------------


def pool(seed: int) -> dict[int, list[Cell]]:
    """The cells of a seed's world by number of acts."""
    source = rng(seed, "cells")
    world: dict[int, list[Cell]] = {1: [(act,) for act in SINGLE_CELLS]}
    for acts, wanted in POOL.items():
        found: dict[Cell, None] = {}
        while len(found) < wanted:
            cell = tuple(_draw_act(source) for _ in range(acts))
            if _is_sensible(cell):
                found[cell] = None
        world[acts] = list(found)
    return world


def _draw_act(source: np.random.Generator) -> Act:
    """Actions first, so that one with many variants is not the commonest."""
    action = ACTIONS[int(source.integers(len(ACTIONS)))]
    variants = [act for act in SINGLE_CELLS if act.action == action]
    return variants[int(source.integers(len(variants)))]


def _is_sensible(cell: Cell) -> bool:
    """No act may continue the one before it, and the whole must fit into a clip."""
    kinds = [(act.action, act.side, act.direction) for act in cell]
    return all(a != b for a, b in pairwise(kinds)) and sum(map(_seconds, cell)) <= 8.0


def _seconds(act: Act) -> float:
    """About how long an act takes at normal speed."""
    once, each = SECONDS[act.action]
    return once + each * act.count


def _draw_cell(source: np.random.Generator, world: dict[int, list[Cell]]) -> Cell:
    share = source.random()
    if share < SINGLES:
        return (_draw_act(source),)
    cells = world[2] if share < SINGLES + DOUBLES else world[3]
    return cells[int(source.integers(len(cells)))]


def _with_manner(act: Act, source: np.random.Generator) -> Act:
    speed = str(source.choice(["slow", "normal", "fast"], p=[0.25, 0.5, 0.25]))
    amplitude = str(source.choice(["small", "normal", "large"], p=[0.25, 0.5, 0.25]))
    speed = "" if abs(act.turn) == 45 else speed  # an eighth of a turn is over before it has a pace
    return dataclasses.replace(
        act, speed=speed if act.action in PACED else "", amplitude=amplitude if act.action in SIZED else ""
    )


def _plain_manner(act: Act) -> Act:
    return dataclasses.replace(
        act, speed="fast" if act.action in PACED else "", amplitude="normal" if act.action in SIZED else ""
    )


def _as_json(phase: Phase) -> dict[str, Any]:
    values = dataclasses.asdict(phase)
    return {k: None if v != v else round(v, 3) if isinstance(v, float) else v for k, v in values.items()}


# --- what is said about it ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Grammar:
    """The caption grammar as its file gives it."""

    subjects: list[str]
    templates: dict[str, list[str]]
    words: dict[str, dict[Any, list[str]]]
    phrases: dict[str, list[dict[str, Any]]]


SLOTS = {
    "speed": ["speed", "pace", "rate"],
    "direction": ["ahead", "jumping", "sideways", "sideward"],
    "side": ["hand", "fist", "leg", "arms"],
    "count": ["times", "number"],
    "turn": ["degrees", "part"],
    "amplitude": ["rise", "size-of-jump", "height", "depth", "size-of-dip"],
}
"""Which groups of words speak of which attribute."""


def read_grammar(path: Path) -> Grammar:
    if not path.exists():
        raise SourceError(
            f"{path}: no caption grammar there; its corpus must have a root such as irg_core/corpora/procedural.yaml"
        )
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        grammar = Grammar(**values)
    except (yaml.YAMLError, TypeError) as error:
        raise SourceError(
            f"{path} is no caption grammar ({error}); it takes subjects, templates, words, phrases"
        ) from error
    missing = [action for action in ACTIONS if action not in grammar.phrases]
    if missing:
        raise SourceError(f"{path}: no phrases for {', '.join(missing)}; every action needs one")
    return grammar


def describe(
    acts: Sequence[Act], grammar: Grammar, source: np.random.Generator
) -> tuple[list[SourceCaption], list[str]]:
    """Captions by as many templates, and for each the attribute it leaves open as "<act>.<attribute>" or ""."""
    names = list(grammar.templates)
    chosen = source.permutation(len(names))[:CAPTIONS]
    captions, opened = [], []
    for index in chosen:
        left_open = _opened(acts, source) if source.random() < VAGUE else ""
        sentence = _sentence(acts, left_open, grammar.templates[names[index]][len(acts) - 1], grammar, source)
        captions.append(SourceCaption(sentence, names[index]))
        opened.append(left_open)
    return captions, opened


def _opened(acts: Sequence[Act], source: np.random.Generator) -> str:
    candidates = [
        f"{position}.{attribute}"
        for position, act in enumerate(acts)
        for attribute in SLOTS
        if (value := getattr(act, attribute)) and value != "normal" and value not in NEVER_OPEN
    ]
    return candidates[int(source.integers(len(candidates)))] if candidates else ""


def _sentence(acts: Sequence[Act], left_open: str, frame: str, grammar: Grammar, source: np.random.Generator) -> str:
    clauses = {}
    for position, (letter, act) in enumerate(zip("abc", acts, strict=False)):
        number, _, attribute = left_open.partition(".")
        hidden = attribute if number == str(position) else ""
        clauses[letter] = Clause(act, hidden, grammar, source)
    subject = grammar.subjects[int(source.integers(len(grammar.subjects)))]
    return (
        " ".join(frame.format(s=subject, **clauses).split()).replace(" ,", ",").replace(" ;", ";").replace(" .", ".")
        + "."
    )


class Clause:
    """An act in words; `format` asks for its verb form: "" third person, "ing", "base"."""

    def __init__(self, act: Act, hidden: str, grammar: Grammar, source: np.random.Generator) -> None:
        # With the number left open, one jump is not "some jumps": only a verb can be silent about it.
        silent = hidden == "count" and act.count == 1
        phrases = [
            phrase
            for phrase in grammar.phrases[act.action]
            if not (silent and "noun" in phrase) and act.speed not in phrase.get("never", ())
        ]
        phrase = phrases[int(source.integers(len(phrases)))]
        slots = {}
        for attribute, groups in SLOTS.items():
            value = abs(act.turn) if attribute == "turn" else getattr(act, attribute)
            value = "open" if attribute == hidden else value
            for group in groups:
                options = grammar.words[group].get(value, [""])
                slots[group] = options[int(source.integers(len(options)))]
        if "noun" in phrase:
            slots["n"] = phrase["noun"][0 if act.count == 1 and hidden != "count" else 1]
        self._say, self._verbs, self._slots = phrase["say"], phrase["verb"], slots

    def __format__(self, form: str) -> str:
        return str(self._say).format(v=self._verbs[{"base": 0, "": 1, "ing": 2}[form]], **self._slots)
