"""How well the verifier tells true sentences about motions from false ones, by what it never sees: who made the motion.

    python -m benchmarks.verification

Procedural motions are performed for a goal in which one thing is different; every phrasing of verification.yaml is
filled once with what the synthesiser did (true) and once the other way round (false). The verifier sees the goal's
words and the facts measured in the motion; what it contradicts, `verify` refuses. The last phrasings were never looked
at while it was written.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from irg_core.annotate.demands import demand
from irg_core.annotate.grounding import CONTRADICTED, SUPPORTED, Known, findings
from irg_core.annotate.statements import ASKED, SHOWN
from irg_core.corpora import procedural
from irg_core.files import write_json, write_text
from irg_core.motion import features, kinematics
from irg_core.motion.acts import perform
from irg_core.motion.synthesis import Act
from irg_core.motion.thresholds import KinematicsParams
from irg_core.params import section
from irg_core.records.motion import Measure, Phase
from irg_core.seeds import rng

RESULTS = Path(__file__).parent / "results"
PHRASINGS = Path(__file__).with_suffix(".yaml")
GRAMMAR = Path(__file__).parents[1] / "irg_core/corpora/procedural.yaml"
SEED = 29
DRAWS = 2
"""Motions for each phrasing, each with a true and a false sentence."""
HALVES = ("developed", "held_out")
SPEAKS_OF = {"A": SHOWN, "C": SHOWN, "R": ASKED}

Slots = dict[str, str]


@dataclass(frozen=True, slots=True)
class Case:
    """A goal, a motion that misses it in one thing, and how both are called; swapping the two makes sentences false."""

    asked: tuple[Act, ...]
    shown: tuple[Act, ...]
    true: Slots
    false: Slots


@dataclass(frozen=True, slots=True)
class Claim:
    """A sentence of the labelled set."""

    kind: str
    half: str
    of: str  # SHOWN | ASKED, what it speaks of by default
    text: str
    is_true: bool
    known: Known


def main() -> None:
    tables = table(claims(DRAWS))
    write_json(RESULTS / "verification.json", {"seed": SEED, "draws": DRAWS, "tables": tables})
    write_text(RESULTS / "verification.md", markdown(tables))
    print(markdown(tables))


def claims(draws: int) -> Iterator[Claim]:
    """The labelled set, always the same for as many draws."""
    phrasings = yaml.safe_load(PHRASINGS.read_text(encoding="utf-8"))
    for kind, halves in phrasings.items():
        for half in HALVES:
            for number, phrasing in enumerate(halves[half]):
                speaker, template = phrasing.split(" ", 1)
                for draw in range(draws):
                    source = rng(SEED, kind, half, number, draw)
                    case = CASES[kind](template, source)
                    known = _known(case, rng(SEED, "motion", kind, half, number, draw))
                    for slots, is_true in ((case.true, True), (case.false, False)):
                        yield Claim(kind, half, SPEAKS_OF[speaker], _filled(template, slots), is_true, known)


def is_refused(claim: Claim) -> bool:
    return any(one.verdict == CONTRADICTED for one in findings(claim.text, claim.of, claim.known))


def _filled(template: str, slots: Slots) -> str:
    text = template.format(**slots)
    return text[:1].upper() + text[1:]


def _known(case: Case, source: np.random.Generator) -> Known:
    phases, measures = _facts(case.shown, source)
    return Known(demand(_goal(case.asked, source), []), phases, measures)


def _facts(acts: tuple[Act, ...], source: np.random.Generator) -> tuple[list[Phase], list[Measure]]:
    joints = perform(acts, source).joints
    return kinematics.facts(features.to_joints(features.extract(joints)), _limits())


def _goal(acts: tuple[Act, ...], source: np.random.Generator) -> str:
    """A caption that leaves nothing open."""
    while True:
        captions, opened = procedural.describe(acts, _grammar(), source)
        whole = [caption.text for caption, left_open in zip(captions, opened, strict=True) if not left_open]
        if whole:
            return whole[0]


@cache
def _grammar() -> procedural.Grammar:
    return procedural.read_grammar(GRAMMAR)


@cache
def _limits() -> KinematicsParams:
    return section("kinematics", KinematicsParams)


# ---- what is different -----------------------------------------------------------------------------------------------

WORDS = {  # noun, plural, base, third person, -ing, limb
    "walk": ("walk", "walks", "walk", "walks", "walking", "leg"),
    "run": ("run", "runs", "run", "runs", "running", "leg"),
    "jump": ("jump", "jumps", "jump", "jumps", "jumping", "leg"),
    "turn": ("turn", "turns", "turn", "turns", "turning", "body"),
    "sidestep": ("sidestep", "sidesteps", "sidestep", "sidesteps", "sidestepping", "leg"),
    "wave": ("wave", "waves", "wave", "waves", "waving", "hand"),
    "punch": ("punch", "punches", "punch", "punches", "punching", "arm"),
    "kick": ("kick", "kicks", "kick", "kicks", "kicking", "leg"),
    "squat": ("squat", "squats", "squat", "squats", "squatting", "body"),
    "bow": ("bow", "bows", "bow", "bows", "bowing", "body"),
}
TIMES = ("", "once", "twice", "three times", "four times")
NUMBERS = ("", "one", "two", "three", "four")


def _words(action: str) -> Slots:
    noun, nouns, do, does, doing, limb = WORDS[action]
    said = {"noun": noun, "nouns": nouns, "do": do, "does": does, "doing": doing, "limb": limb}
    return said | {"Do": do.capitalize(), "Doing": doing.capitalize()}


def _act(action: str, source: np.random.Generator, **fixed: Any) -> Act:
    """An act as the generator may draw it, but for what is fixed."""
    variants = [act for act in procedural.SINGLE_CELLS if act.action == action]
    drawn = variants[int(source.integers(len(variants)))]
    plain: dict[str, Any] = {name: getattr(drawn, name) for name in ("side", "direction", "turn", "count")}
    plain |= {"speed": "normal" if action in procedural.PACED and abs(drawn.turn) != 45 else ""}
    plain |= {"amplitude": "normal" if action in procedural.SIZED else ""}
    return Act(action, **(plain | fixed))


def _pick(options: Any, source: np.random.Generator) -> Any:
    return options[int(source.integers(len(options)))]


def _side(template: str, source: np.random.Generator) -> Case:
    action = _pick(("kick", "punch", "wave"), source)
    shown, asked = _two(("left", "right"), source)
    act = _act(action, source, side=shown)
    return _case(act, _with(act, side=asked), _words(action), lambda a, b: {"shown": a, "asked": b}, (shown, asked))


def _direction(template: str, source: np.random.Generator) -> Case:
    action = _pick(("walk", "sidestep"), source)
    ways = ("forward", "backward") if action == "walk" else ("left", "right")
    shown, asked = _two(ways, source)
    act = _act(action, source, direction=shown)

    def say(way: str) -> str:
        return f"to the {way}" if action == "sidestep" else way

    return _case(
        act,
        _with(act, direction=asked),
        _words(action),
        lambda a, b: {"shown": say(a), "asked": say(b)},
        (shown, asked),
    )


CLOCK = {"left": "counterclockwise", "right": "clockwise"}


def _turn_sign(template: str, source: np.random.Generator) -> Case:
    size = _pick((45, 90, 180), source)
    shown, asked = _two(("left", "right"), source)
    signs = {"left": size, "right": -size}
    act, other = (_act("turn", source, direction=way, turn=signs[way], speed="") for way in (shown, asked))

    def slots(a: str, b: str) -> Slots:
        return {"shown": a, "asked": b, "shown_clock": CLOCK[a], "asked_clock": CLOCK[b]}

    return _case(act, other, _words("turn"), slots, (shown, asked))


PARTS = {45: "an eighth of a turn", 90: "a quarter turn", 180: "a half turn"}


def _turn_size(template: str, source: np.random.Generator) -> Case:
    shown, asked = _two((45, 90, 180), source)
    way = _pick(("left", "right"), source)
    sign = 1 if way == "left" else -1
    act, other = (_act("turn", source, direction=way, turn=sign * size, speed="") for size in (shown, asked))

    def slots(a: int, b: int) -> Slots:
        return {
            "shown": f"{a} degrees", "asked": f"{b} degrees", "part_shown": PARTS[a], "part_asked": PARTS[b],
            "too": "too far" if a > b else "not far enough", "farther": "farther" if b > a else "less far",
        }  # fmt: skip

    return _case(act, other, _words("turn"), slots, (shown, asked))


def _count(template: str, source: np.random.Generator) -> Case:
    action = _pick(("jump", "punch", "kick", "squat", "wave"), source)
    counts = (2, 3) if "{n_" in template or action == "wave" else (1, 2, 3)
    shown, asked = _two(counts, source)
    act = _act(action, source, count=shown)

    def slots(a: int, b: int) -> Slots:
        return {
            "shown": TIMES[a], "asked": TIMES[b], "n_shown": NUMBERS[a], "n_asked": NUMBERS[b],
            "N_shown": NUMBERS[a].capitalize(), "too": "too many" if a > b else "too few",
            "more": "more" if b > a else "fewer", "too_often": "too often" if a > b else "too rarely",
        }  # fmt: skip

    return _case(act, _with(act, count=asked), _words(action), slots, (shown, asked))


def _speed(template: str, source: np.random.Generator) -> Case:
    action = _pick(("walk", "run", "sidestep", "squat", "bow"), source)
    shown, asked = _two(("slow", "fast"), source)
    act = _act(action, source, speed=shown)

    def slots(a: str, b: str) -> Slots:
        adverbs = {"slow": "slowly", "fast": "quickly"}
        said = {"shown": a, "asked": b, "shownly": adverbs[a], "askedly": adverbs[b], "too": f"too {a}"}
        return said | {"faster": f"{b}er", "Speed_up": "Speed up" if b == "fast" else "Slow down"}

    return _case(act, _with(act, speed=asked), _words(action), slots, (shown, asked))


SIZES = {
    "jump": {"small": "low", "large": "high"}, "kick": {"small": "low", "large": "high"},
    "squat": {"small": "shallow", "large": "deep"}, "bow": {"small": "slight", "large": "deep"},
}  # fmt: skip


def _amplitude(template: str, source: np.random.Generator) -> Case:
    action = _pick(tuple(SIZES), source)
    shown, asked = _two(("small", "large"), source)
    act = _act(action, source, amplitude=shown)

    def slots(a: str, b: str) -> Slots:
        said, other = SIZES[action][a], SIZES[action][b]
        compared = f"{other}er" if other != "slight" else "less deep"
        return {"shown": said, "asked": other, "too": f"too {said}", "higher": compared}

    return _case(act, _with(act, amplitude=asked), _words(action), slots, (shown, asked))


def _part(template: str, source: np.random.Generator) -> Case:
    action = _pick(("kick", "punch", "wave"), source)
    limbs = {"kick": ("leg", "foot"), "punch": ("arm", "fist", "hand"), "wave": ("hand", "arm")}
    right = _pick(limbs[action], source)
    wrong = _pick(("arm", "hand") if action == "kick" else ("leg", "foot"), source)
    act = _act(action, source)
    return _case(act, act, _words(action), lambda a, b: {"shown": a, "asked": b}, (right, wrong))


def _order(template: str, source: np.random.Generator) -> Case:
    one, two = _two(("jump", "wave", "punch", "kick", "squat", "bow", "turn", "walk"), source)
    acts = tuple(_act(action, source) for action in (one, two))

    def slots(a: str, b: str) -> Slots:
        return _numbered("one", a) | _numbered("two", b)

    return Case(acts[::-1], acts, slots(one, two), slots(two, one))


def _numbered(name: str, action: str) -> Slots:
    noun, _, do, does, doing, _ = WORDS[action]
    said = {name: noun, f"do_{name}": do, f"does_{name}": does, f"doing_{name}": doing}
    return said | {f"Do_{name}": do.capitalize()}


def _presence(template: str, source: np.random.Generator) -> Case:
    common, extra, missing = (
        ("walk", "jump", "wave", "punch", "kick", "squat", "bow", "turn")[place]
        for place in source.choice(8, 3, replace=False)
    )
    shown = _act(common, source)

    def slots(a: str, b: str) -> Slots:
        return _numbered("extra", a) | _numbered("missing", b)

    return Case(
        (shown, _act(missing, source)), (shown, _act(extra, source)), slots(extra, missing), slots(missing, extra)
    )


UPRIGHT = ("upright", "stand", "stands"), ("on its feet", "stand", "stands"), ("standing", "stand", "stands")
DOWN = (
    ("sitting", "sit", "sits"),
    ("kneeling", "kneel", "kneels"),
    ("lying", "lie", "lies"),
    ("crawling", "crawl", "crawls"),
)


def _posture(template: str, source: np.random.Generator) -> Case:
    act = _act(_pick(("walk", "wave", "punch", "kick", "jump", "turn"), source), source)
    up, down = _pick(UPRIGHT if "no {asked}" not in template else UPRIGHT[2:], source), _pick(DOWN, source)

    def slots(a: tuple[str, ...], b: tuple[str, ...]) -> Slots:
        return {"shown": a[0], "shows": a[2], "asked": b[0], "ask": b[1], "asks": b[2]}

    return Case((act,), (act,), slots(up, down), slots(down, up))


HEIGHTS = {"kick": {"normal": "knee height", "large": "waist height"}, "jump": {"small": "12 cm", "large": "45 cm"}}


def _height(template: str, source: np.random.Generator) -> Case:
    action = _pick(("kick", "jump"), source)
    shown, asked = _two(tuple(HEIGHTS[action]), source)
    act = _act(action, source, amplitude=shown)

    def slots(a: str, b: str) -> Slots:
        said, other = HEIGHTS[action][a], HEIGHTS[action][b]
        return {"shown": said, "asked": other, "Shown": said.capitalize()}

    return _case(act, _with(act, amplitude=asked), _words(action), slots, (shown, asked))


def _two(options: tuple[Any, ...], source: np.random.Generator) -> tuple[Any, Any]:
    """Two different ones."""
    one, other = source.choice(len(options), 2, replace=False).tolist()
    return options[one], options[other]


def _with(act: Act, **changed: Any) -> Act:
    values = {name: getattr(act, name) for name in ("side", "direction", "turn", "count", "speed", "amplitude")}
    return Act(act.action, **(values | changed))


def _case(shown: Act, asked: Act, words: Slots, slots: Callable[[Any, Any], Slots], values: tuple[Any, Any]) -> Case:
    return Case((asked,), (shown,), words | slots(*values), words | slots(*values[::-1]))


CASES: dict[str, Callable[[str, np.random.Generator], Case]] = {
    "side": _side, "direction": _direction, "turn sign": _turn_sign, "turn size": _turn_size, "count": _count,
    "speed": _speed, "amplitude": _amplitude, "part": _part, "order": _order, "presence": _presence,
    "absence": _presence, "posture": _posture, "height": _height,
}  # fmt: skip


# ---- tables ----------------------------------------------------------------------------------------------------------


def table(made: Iterator[Claim]) -> dict[str, dict[str, dict[str, float]]]:
    """For each half and kind: precision and recall of refusals, and the share of true sentences that are supported."""
    tally: Counter[tuple[str, str, str]] = Counter()
    for claim in made:
        verdicts = {one.verdict for one in findings(claim.text, claim.of, claim.known)}
        refused = CONTRADICTED in verdicts
        outcome = {(True, True): "wrong", (True, False): "passed", (False, True): "found", (False, False): "lost"}
        for kind in (claim.kind, "all"):
            tally[claim.half, kind, outcome[claim.is_true, refused]] += 1
            tally[claim.half, kind, "supported"] += claim.is_true and not refused and SUPPORTED in verdicts
    return {
        half: {kind: _row(tally, half, kind) for kind in (*CASES, "all")}
        for half in HALVES
    }  # fmt: skip


def _row(tally: Counter[tuple[str, str, str]], half: str, kind: str) -> dict[str, float]:
    wrong, passed, found, lost = (tally[half, kind, name] for name in ("wrong", "passed", "found", "lost"))
    return {
        "claims": wrong + passed + found + lost,
        "precision": round(found / max(1, found + wrong), 4),
        "recall": round(found / max(1, found + lost), 4),
        "supported": round(tally[half, kind, "supported"] / max(1, wrong + passed), 4),
    }


def markdown(tables: dict[str, dict[str, dict[str, float]]]) -> str:
    lines = [f"True and false sentences about procedural motions (seed {SEED}); refusals by what they are about."]
    for half in HALVES:
        lines += ["", f"**{half.replace('_', ' ')} phrasings**", ""]
        lines += ["| claim | sentences | precision | recall | true ones supported |", "|---|---|---|---|---|"]
        for kind, row in tables[half].items():
            numbers = f"{row['precision']:.3f} | {row['recall']:.3f} | {row['supported']:.3f}"
            lines.append(f"| {kind} | {row['claims']} | {numbers} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
