"""compose: from verified rows to what the language model trains on: Stage-1 examples, Stage-2 traces, Stage-3 goals.

Everything is drawn here, once, from (seed, row key): a trainer that decides nothing can be resumed and read. Drawing
takes two passes: the first only counts what could be composed, the second writes what was drawn.
"""

import itertools
import math
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from irg_core import dialogue
from irg_core.dialogue import Round, Trace
from irg_core.records.annotation import Analysis
from irg_core.records.material import Material, Shown
from irg_core.records.training import Example, Goal
from irg_core.seeds import derive, rng

DIMENSIONS = ("flaw_kind", "action", "length", "difficulty")
LENGTHS = (15, 25, 35)
"""Motion codes up to which a motion counts as short, middling and long; five are a second at 20 frames a second."""
LENGTH_NAMES = ("short", "middling", "long", "very long")
DIFFICULTIES = (1 / 3, 2 / 3)
DIFFICULTY_NAMES = ("easy", "medium", "hard")
NO_FLAW = ""
COUNTED_TOGETHER = 512
"""Examples whose tokens are counted in one go."""

Cell = tuple[str, str, str, str]
"""The value of a row on each of DIMENSIONS."""
TokensOf = Callable[[Sequence[str]], Sequence[Sequence[int]]]
Examples = Callable[[Sequence[Material], int], Iterable[Example]]
"""What a file of irg_core/tasks makes of materials, from a seed."""


@dataclass(frozen=True)
class ComposeParams:
    """How many examples of which kind."""

    seed: int
    """Another seed draws other prompts, other examples and other rounds from the same rows."""
    tasks: dict[str, float]
    """Files of irg_core/tasks to their share of Stage 1; a larger share of one leaves less for the others."""
    balance: dict[str, float]
    """How far rare flaw kinds, actions, lengths and difficulties are favoured: 0 draws them as they come, 1 each value
    about as often as any other, as long as there are rows. A row's weight in the lot is the product over the dimensions
    of (mean rows of a value / rows of its value) ** strength."""
    stage1_examples: int
    """Cap of Stage 1 over all tasks; more are more varied and seen less often in the same number of steps."""
    stage2_examples: int
    """Cap of Stage 2."""
    flawed_rounds: list[float]
    """Shares of traces with 0, 1, 2 … flawed motions before the right one; more rounds make longer traces. A goal with
    fewer flawed motions than drawn shows what it has."""
    goals_per_clip: int
    """Captions of each train clip that Stage 3 may answer; more are more varied."""
    stage3_goals: int
    """Cap of Stage 3."""

    def __post_init__(self) -> None:
        for name, shares in (("tasks", list(self.tasks.values())), ("flawed_rounds", self.flawed_rounds)):
            if not math.isclose(sum(shares), 1.0, abs_tol=1e-6):
                raise ValueError(f"compose.{name} must add up to 1, not {sum(shares):g}")
        if set(self.balance) != set(DIMENSIONS) or not all(0 <= value <= 1 for value in self.balance.values()):
            raise ValueError(f"compose.balance takes {', '.join(DIMENSIONS)}, each from 0 to 1")


# ---- the lot ---------------------------------------------------------------------------------------------------------


class Lot:
    """Rows of which some are drawn: of each, only where it stands, what it is and its number in the lot are kept."""

    def __init__(self) -> None:
        self._cells: dict[Cell, int] = {}
        self._cell, self._clip, self._number = array("l"), array("l"), array("l")
        self._draw = array("d")

    def add(self, clip: int, number: int, cell: Cell, draw: float) -> None:
        """Row `number` of clip `clip`; `draw` lies between 0 and 1 and belongs to the row."""
        self._cell.append(self._cells.setdefault(cell, len(self._cells)))
        self._clip.append(clip)
        self._number.append(number)
        self._draw.append(draw)

    def __len__(self) -> int:
        return len(self._draw)

    def drawn(self, count: int, balance: Mapping[str, float]) -> dict[int, list[int]]:
        """The numbers of `count` rows by their clip; of all rows where there are fewer.

        Each row waits for an exponentially distributed time with its weight as the rate, and the first ones are drawn:
        a weighted lot without putting back, in which a row's own number decides (Efraimidis and Spirakis, 2006).
        """
        cells = np.array(self._cell, dtype=np.int64)
        rows = np.bincount(cells, minlength=len(self._cells)).tolist()
        weights = np.array(cell_weights(list(self._cells), rows, balance), dtype=np.float64)
        waits = -np.log1p(-np.array(self._draw, dtype=np.float64)) / weights[cells]
        first = np.sort(np.argsort(waits, kind="stable")[:count])
        found: dict[int, list[int]] = {}
        for place in first.tolist():
            found.setdefault(self._clip[place], []).append(self._number[place])
        return found


def cell_weights(cells: Sequence[Cell], rows: Sequence[int], balance: Mapping[str, float]) -> list[float]:
    """The weight of a row of each cell, by the rule of `ComposeParams.balance`; `rows` counts those of each cell."""
    weights = [1.0] * len(cells)
    for place, dimension in enumerate(DIMENSIONS):
        counts: dict[str, int] = {}
        for cell, count in zip(cells, rows, strict=True):
            counts[cell[place]] = counts.get(cell[place], 0) + count
        mean = sum(counts.values()) / max(1, len(counts))
        for number, cell in enumerate(cells):
            weights[number] *= (mean / counts[cell[place]]) ** balance[dimension]
    return weights


def cell_of(material: Material, shown: Shown | None) -> Cell:
    """What a row is on each dimension; where no motion is judged, the flaw and its difficulty are empty."""
    codes = len(material.tokens)
    length = LENGTH_NAMES[sum(codes > limit for limit in LENGTHS)]
    if shown is None or not shown.is_flawed:
        return NO_FLAW, material.action, length, NO_FLAW
    return shown.kind, material.action, length, DIFFICULTY_NAMES[sum(shown.difficulty >= cut for cut in DIFFICULTIES)]


def draw_of(seed: int, key: str) -> float:
    """A row's own number from 0 on and below 1: the same whatever other rows there are."""
    return (derive(seed, key) >> 11) / 2**53


# ---- Stage 1 ---------------------------------------------------------------------------------------------------------


def offers(task: Examples, materials: Sequence[Material], seed: int) -> Iterator[tuple[Example, Cell]]:
    """What one task could make of one clip, in a fixed order."""
    for material in materials:
        shown = {row.pair_id: row for row in material.shown}
        for example in task([material], seed):
            judged = next((shown[key] for key in example.lineage if key in shown), None)
            flaws = [judged.kind] if judged and judged.is_flawed else []
            yield replace(example, action=material.action, flaws=flaws), cell_of(material, judged)


# ---- Stage 2 ---------------------------------------------------------------------------------------------------------


class Rounds:
    """Which flawed motions a trace shows: the rarer ones rather, by the rule of `ComposeParams.balance`."""

    def __init__(self, params: ComposeParams) -> None:
        self._params = params
        self._counts: dict[Cell, int] = {}
        self._weights: dict[Cell, float] = {}

    def count(self, material: Material) -> None:
        for shown in material.shown:
            if shown.is_flawed:
                cell = cell_of(material, shown)
                self._counts[cell] = self._counts.get(cell, 0) + 1

    def weigh(self) -> None:
        """To be called once all are counted."""
        weights = cell_weights(list(self._counts), list(self._counts.values()), self._params.balance)
        self._weights = dict(zip(self._counts, weights, strict=True))

    def drawn(self, material: Material) -> list[Shown]:
        """The flawed motions of the goal's trace, worst first."""
        draw = rng(self._params.seed, "trace", material.caption.caption_id)
        flawed = [shown for shown in material.shown if shown.is_flawed]
        count = min(len(flawed), int(draw.choice(len(self._params.flawed_rounds), p=self._params.flawed_rounds)))
        if not count:
            return []
        weights = np.array([self._weights[cell_of(material, shown)] for shown in flawed])
        kept = draw.choice(len(flawed), size=count, replace=False, p=weights / weights.sum())
        return [flawed[place] for place in sorted(kept.tolist())]


def right_motion(material: Material) -> Shown | None:
    """The goal's own motion, where it was judged right: without it there is no trace."""
    found = (shown for shown in material.shown if not shown.is_flawed and shown.tokens == material.tokens)
    return next(found, None) if material.analysis else None


def trace(material: Material, analysis: Analysis, flawed: Sequence[Shown], right: Shown) -> Example:
    """Flawed motions from worst to best, then the right one."""
    shown = [*flawed, right]
    rounds = tuple(Round(tuple(one.tokens), one.assessment, one.refinement) for one in shown)
    return Example(
        example_id=f"trace|{material.caption.caption_id}",
        task="trace",
        split=material.split,
        prompt=dialogue.prompt(material.caption.text),
        answer=dialogue.segments(Trace(analysis.analysis, rounds)),
        lineage=[material.caption.caption_id, *(one.pair_id for one in shown)],
        action=material.action,
        flaws=[one.kind for one in flawed],
    )


# ---- Stage 3 ---------------------------------------------------------------------------------------------------------


def goals_of(materials: Sequence[Material], params: ComposeParams) -> list[Material]:
    """Of one clip's captions, those that Stage 3 may answer: of train clips only, drawn by lot."""
    train = [material for material in materials if material.split == "train"]
    return sorted(train, key=lambda row: derive(params.seed, "goal", row.caption.caption_id))[: params.goals_per_clip]


def goal(material: Material) -> Goal:
    caption = material.caption
    prompt = dialogue.prompt(caption.text)
    return Goal(
        caption.caption_id, caption.clip_id, material.split, caption.text, prompt, material.tokens, material.action
    )


# ---- two passes ------------------------------------------------------------------------------------------------------


class Survey:
    """The first pass: what could be composed, and how often each kind occurs."""

    def __init__(self, params: ComposeParams, tasks: Mapping[str, Examples]) -> None:
        self._params, self._tasks = params, tasks
        self._rounds = Rounds(params)
        self._lots = {task: Lot() for task in tasks}
        self._traces, self._goals = Lot(), Lot()

    def look(self, clip: int, materials: Sequence[Material]) -> None:
        """Enter what clip number `clip` offers."""
        seed = self._params.seed
        for task, lot in self._lots.items():
            for number, (example, cell) in enumerate(offers(self._tasks[task], materials, seed)):
                lot.add(clip, number, cell, draw_of(seed, example.example_id))
        for number, material in enumerate(materials):
            if right_motion(material):
                self._rounds.count(material)
                draw = draw_of(seed, f"trace|{material.caption.caption_id}")
                self._traces.add(clip, number, cell_of(material, None), draw)
        for number, material in enumerate(goals_of(materials, self._params)):
            draw = draw_of(seed, f"goal|{material.caption.caption_id}")
            self._goals.add(clip, number, cell_of(material, None), draw)

    def draw(self) -> "Drawn":
        params = self._params
        self._rounds.weigh()
        examples = {
            task: lot.drawn(round(params.tasks[task] * params.stage1_examples), params.balance)
            for task, lot in self._lots.items()
        }
        traces = self._traces.drawn(params.stage2_examples, params.balance)
        goals = self._goals.drawn(params.stage3_goals, params.balance)
        return Drawn(params, self._tasks, self._rounds, examples, traces, goals)


@dataclass(frozen=True)
class Drawn:
    """The second pass: the numbers of what was drawn, by clip, and what becomes of them."""

    params: ComposeParams
    tasks: Mapping[str, Examples]
    rounds: Rounds
    examples: Mapping[str, Mapping[int, list[int]]]  # by task
    traces: Mapping[int, list[int]]
    goals: Mapping[int, list[int]]

    @property
    def clips(self) -> set[int]:
        """Those of which Stage 1 has an example."""
        return {clip for drawn in self.examples.values() for clip in drawn}

    def stage1(self, clip: int, materials: Sequence[Material]) -> Iterator[Example]:
        for task, drawn in self.examples.items():
            if clip in drawn:
                made = [example for example, _ in offers(self.tasks[task], materials, self.params.seed)]
                yield from (made[number] for number in drawn[clip])

    def stage2(self, clip: int, materials: Sequence[Material]) -> Iterator[Example]:
        for material in (materials[number] for number in self.traces[clip]):
            right = right_motion(material)
            if right and material.analysis:
                yield trace(material, material.analysis, self.rounds.drawn(material), right)

    def stage3(self, clip: int, materials: Sequence[Material]) -> Iterator[Goal]:
        offered = goals_of(materials, self.params)
        yield from (goal(offered[number]) for number in self.goals[clip])


# ---- sizes -----------------------------------------------------------------------------------------------------------


def counted(examples: Iterable[Example], tokens_of: TokensOf) -> Iterator[Example]:
    """The examples with their sizes, as a trainer reads them: `<user>prompt<assistant>answer<end>`."""
    remaining = iter(examples)
    while some := list(itertools.islice(remaining, COUNTED_TOGETHER)):
        texts = [text for example in some for text in (example.prompt, *(part.text for part in example.answer))]
        sizes = iter([len(tokens) for tokens in tokens_of(texts)])
        for example in some:
            prompt, parts = next(sizes), [next(sizes) for _ in example.answer]
            supervised = sum(size for size, part in zip(parts, example.answer, strict=True) if part.supervised)
            codes = sum(text.count("<Motion_") for text in (example.prompt, *(part.text for part in example.answer)))
            yield replace(
                example,
                codes=codes,
                prompt_tokens=prompt + 2,
                answer_tokens=sum(parts) + 1,
                supervised_tokens=supervised + 1,
            )


def counted_goals(goals: Iterable[Goal], tokens_of: TokensOf) -> Iterator[Goal]:
    remaining = iter(goals)
    while some := list(itertools.islice(remaining, COUNTED_TOGETHER)):
        sizes = [len(tokens) + 2 for tokens in tokens_of([goal.prompt for goal in some])]
        yield from (replace(goal, prompt_tokens=size) for goal, size in zip(some, sizes, strict=True))
