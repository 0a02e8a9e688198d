"""Tiny trainings are killed, or their checkpoints damaged; each rerun must end as if nothing had happened.

`python -m benchmarks.training_kills` runs every trial that benchmarks/results/training_kills.json does not have yet,
and writes that file and its table as it goes: for each training ten kills at step boundaries, ten at moments inside of
saves, and in all a hundred damaged checkpoints; besides, every call that a save makes dies, fails or finds the disk
full. `--few` prints a few trials of each kind as JSON, for the tests.

Every run is a fork of one process that has imported all there is to import. Before it starts, the global random states
of Python, NumPy and torch are scrambled, each time in another way: had a training one draw from them, its bytes would
differ. What kills or fails is put around calls of `os` in the fork: the code under test knows nothing of it.
"""

import errno
import hashlib
import inspect
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as _pandas  # noqa: F401  # pyarrow imports it with the first column of a table
import torch
import yaml
from transformers.models.llama import modeling_llama as _llama  # noqa: F401  # imported by name

import pipelines.train_base
import pipelines.train_evaluators
import pipelines.train_stage1
import pipelines.train_stage2
import pipelines.train_stage3
import pipelines.train_tokenizer
from irg_core import dialogue
from irg_core.files import read_json, write_json, write_text
from irg_core.records.annotation import Caption
from irg_core.records.motion import Clip, MotionTokens, SourceCaption, Split
from irg_core.records.training import Example, Goal, Segment
from irg_core.rewards import length
from irg_core.seeds import derive, rng
from irg_core.tables import commit
from irg_core.training import checkpoint
from irg_core.training.checkpoint import STATE, Checkpoints, Saved

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "training_kills.json"
STAGES = ("train_tokenizer", "train_evaluators", "train_base", "train_stage1", "train_stage2", "train_stage3")
KILLS, CORRUPTIONS = 10, 100
"""Kills of each kind and training; damaged checkpoints over all trainings."""
EVERY = 4
"""Steps between checkpoints."""
CALLS = ("open", "mkdir", "fsync", "rename", "replace", "unlink", "rmdir")
"""Functions of `os` that a save comes by; the weights themselves are written by a library."""
KINDS = ("step", "save")
CODES = 16
CLIPS = 12
Calls = list[str]


# ---- the trainings ---------------------------------------------------------------------------------------------------


def parameters() -> dict[str, Any]:
    """params.yaml as it is, but for sizes: a training takes less than a second."""
    found = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    others = ("backbones", "features", "kinematics", "runtime", "skeleton")  # all the rest takes time to read
    params = {name: found[name] for name in (*STAGES, *others)}
    common = {"threads": 1, "workers": 1, "warmup": 2, "log_every": 3, "checkpoint_every": EVERY}
    supervised = {"steps": 18, "tokens": 200, "longest": 400, "precision": "float32"}
    looks = {"measure_every": 6, "measured": 2, "patience": 9}  # the best weights are the result
    small = {"layers": 1, "width": 16, "heads": 2, "feed_forward": 16, "positions": 512}
    _set(params["train_tokenizer"], common | looks | {"steps": 18, "batch": 4, "window": 16})
    _set(params["train_tokenizer"]["net"], {"width": 8, "depth": 1, "codes": CODES, "code_width": 4})
    params["train_evaluators"] = {"reward": params["train_evaluators"]["reward"]}
    _set(params["train_evaluators"]["reward"], common | {"width": 8, "layers": 1, "embedding": 8, "steps": 18})
    _set(params["train_evaluators"]["reward"], {"batch": 4})
    _set(params["backbones"]["tiny"], {"pieces": 600, "net": small})
    for section in (params["train_base"]["training"], params["train_stage1"], params["train_stage2"]):
        _set(section, common | looks | supervised)
    sizes = {"steps": 10, "goals": 2, "group": 3, "max_tokens": 24, "max_codes": 5, "max_rounds": 2, "log_every": 1}
    params["train_stage3"]["rewards"] = {"wellformed": 1.0, "length": 1.0}
    _set(params["train_stage3"], common | sizes | {"learning_rate": 0.01, "checkpoint_every": every("train_stage3")})
    return params | {"corpora": {"toy": {}}}


def _set(section: dict[str, Any], values: dict[str, Any]) -> None:
    """Change what the section has; a training need not have every parameter."""
    section |= {key: value for key, value in values.items() if key in section}


def tables(folder: Path) -> None:
    """What all trainings read."""
    os.chdir(folder)
    write_text(Path("params.yaml"), yaml.safe_dump(parameters(), sort_keys=False))
    clips, splits, captions, tokens = [], [], [], []
    words = ("walks", "jumps", "waves", "turns left")
    for index in range(CLIPS):
        name, split = f"toy/{index:02d}", "val" if index > CLIPS - 4 else "train"
        text = f"a person {words[index % len(words)]}."
        features = rng(index, "clip").normal(0, 0.1, size=(42, 263)).astype(np.float32)
        clips.append(Clip(name, "toy", name, "", features, [SourceCaption(text, "")], ""))
        splits.append(Split(name, "toy", split, False, [0]))
        captions.append(Caption(f"{name}/0", name, 0, text, "", "source"))
        tokens.append(MotionTokens(name, rng(index, "codes").integers(CODES, size=10).tolist()))
    commit(Path("clips/toy.parquet"), clips, Clip)
    commit(Path("splits.parquet"), splits, Split)
    commit(Path("captions/toy.parquet"), captions, Caption)
    commit(Path("tokens/toy.parquet"), tokens, MotionTokens)
    write_json(Path("stats.json"), {"mean": [0.0] * 263, "std": [0.1] * 263})
    _examples(words)


def _examples(words: Sequence[str]) -> None:
    tasks, traces, goals = [], [], []
    for index in range(24):
        key, split, text = f"{index:02d}", "val" if index > 19 else "train", f"a person {words[index % len(words)]}."
        codes = rng(index, "codes").integers(CODES, size=4 + index % 5).tolist()
        fits = dialogue.Round(tuple(codes), "it fits", dialogue.SENTINEL)
        first = dialogue.Round(tuple(codes[:3]), "too short", "longer")
        trace = dialogue.Trace(text, (first, fits) if index % 2 else (fits,))
        task = ("caption", "generate")[index % 2]
        tasks.append(Example(key, task, split, dialogue.motion(codes), [Segment(text, True)], []))
        traces.append(Example(key, "trace", split, dialogue.prompt(text), dialogue.segments(trace), []))
        goals.append(Goal(key, f"toy/{index % CLIPS:02d}", split, text, dialogue.prompt(text), codes))
    commit(Path("stage1.parquet"), tasks, Example)
    commit(Path("stage2.parquet"), traces, Example)
    commit(Path("goals.parquet"), goals, Goal)


PLACES = {
    "clips": "clips", "captions": "captions", "tokens": "tokens", "splits": "splits.parquet", "stats": "stats.json",
    "verdict": "stats.json", "goals": "goals.parquet", "tokenizer": "models/train_tokenizer",
    "base": "models/train_base", "stage1": "models/train_stage1", "stage2": "models/train_stage2",
    "evaluator": "models/train_evaluators", "out": "out",
}  # fmt: skip


def train(stage: str) -> None:
    """One training in the working directory, into `out`."""
    main = getattr(pipelines, stage).main
    own: dict[str, Any] = {name: Path(place) for name, place in PLACES.items()}
    own["examples"] = Path(f"{stage.removeprefix('train_')}.parquet")
    if stage == "train_evaluators":
        own["evaluator"] = "reward"
    wanted = [p.name for p in inspect.signature(main).parameters.values() if p.kind is not p.KEYWORD_ONLY]
    main(*(own[name] for name in wanted))


# ---- runs ------------------------------------------------------------------------------------------------------------


def fork(work: Callable[[], None]) -> int:
    """A process that does nothing but this, waited for; 0 where it came to an end, negative where it was killed."""
    sys.stdout.flush()
    if process := os.fork():
        return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    status = 1
    try:
        work()
        status = 0
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        status = getattr(error, "status", 1)
    finally:
        sys.stdout.flush()
        os._exit(status)


def run(folder: Path, stage: str, seed: int, sabotage: Callable[[], object]) -> None:
    """What a fork does: a training, logged, with its steps noted, disturbed at will."""
    os.chdir(folder)
    with Path("log").open("a") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    scramble(seed)
    # No answer of so small a model is well-formed, and without a reward that tells answers apart nothing would move.
    setattr(length, "score", lambda rollouts: [-float(len(rollout.answer)) for rollout in rollouts])  # noqa: B010
    sabotage()
    train(stage)


def scramble(seed: int) -> None:
    random.seed(seed)
    np.random.seed(derive(seed, "numpy") % 2**32)  # the state that nothing may draw from
    torch.manual_seed(derive(seed, "torch") % 2**63)


class Steps:
    """Notes each finished step in a file, and dies after the n-th of this run."""

    def __init__(self, last: int = -1) -> None:
        self._honest, self._left = Checkpoints.due, last
        self._file = os.open("steps", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        note = self

        def due(self: Checkpoints, step: int) -> bool:
            note.add(step)
            return note._honest(self, step)

        setattr(Checkpoints, "due", due)  # noqa: B010  # mypy knows that a method is no variable

    def add(self, step: int) -> None:
        os.write(self._file, f"{step}\n".encode())
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


class Saves:
    """Stands around the calls of `os` inside of saves: names each, and acts at the n-th."""

    def __init__(self, nth: int, act: Callable[[Callable[..., Any], tuple[Any, ...]], Any]) -> None:
        self.seen: Calls = []
        self._nth, self._act, self._is_saving = nth, act, False
        self._honest = Checkpoints.save
        around = self

        def save(self: Checkpoints, saved: Saved) -> None:
            around._is_saving = True
            around._honest(self, saved)
            around._is_saving = False

        setattr(Checkpoints, "save", save)  # noqa: B010
        for name in CALLS:
            setattr(os, name, partial(self._call, name, getattr(os, name)))
        setattr(checkpoint, "save_file", partial(self._call, "save_file", checkpoint.save_file))  # noqa: B010

    def _call(self, name: str, honest: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        if not self._is_saving:
            return honest(*arguments, **named)
        self.seen.append(name)
        if len(self.seen) - 1 == self._nth:
            return self._act(partial(honest, **named), arguments)
        return honest(*arguments, **named)


def dies(when: str) -> Callable[[Callable[..., Any], tuple[Any, ...]], Any]:
    """Kill the process before a call, after it, or with half of a file written."""

    def act(honest: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        try:
            if when != "before":
                honest(*arguments)
            if when == "half":
                os.truncate(arguments[1], Path(arguments[1]).stat().st_size // 2)
        finally:
            os.kill(os.getpid(), signal.SIGKILL)  # also where the call would have failed, as some may

    return act


def fails(code: int) -> Callable[[Callable[..., Any], tuple[Any, ...]], Any]:
    """A call that fails."""

    def act(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    return act


def nothing(honest: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    return honest(*arguments)


# ---- trials ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trial:
    """What one trial came to."""

    stage: str
    kind: str  # "step" | "save" | "damage"
    number: int
    moment: str
    status: int  # of the disturbed run: negative where it was killed
    repeated: int  # steps that the rerun did again
    most: int  # of them that the promise allows; for damaged checkpoints, just as many as lie after the last good one
    lost: int  # damaged checkpoints that are newer than the last good one
    warned: int  # of them, those that the rerun named
    is_equal: bool  # whether the rerun came to its end, with every byte of the undisturbed run
    said: str = ""  # by a run that failed

    @property
    def key(self) -> str:
        return f"{self.stage} {self.kind} {self.number}"

    @property
    def is_good(self) -> bool:
        is_bounded = self.repeated == self.most if self.kind == "damage" else 0 <= self.repeated <= self.most
        return self.is_equal and self.warned == self.lost and is_bounded


class Bench:
    """Tables, and what undisturbed trainings make of them."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self.calm = place / "calm"
        self.calm.mkdir()
        (self.calm / "models").mkdir()
        assert fork(partial(tables, self.calm)) == 0, "the tables could not be made"
        self.steps: dict[str, int] = {}
        self.calls: dict[str, Calls] = {}
        for stage in STAGES:
            self._undisturbed(stage)

    def _undisturbed(self, stage: str) -> None:
        """The model that others are compared with and that the next stage begins with; its steps, and its saves."""

        def sabotage() -> None:
            Steps()
            saves = Saves(-1, nothing)
            honest = Checkpoints.discard

            def discard(self: Checkpoints) -> None:
                write_json(Path("calls.json"), saves.seen)
                honest(self)

            setattr(Checkpoints, "discard", discard)  # noqa: B010

        folder = self._folder(f"undisturbed-{stage}")
        assert fork(lambda: run(folder, stage, 0, sabotage)) == 0, (folder / "log").read_text()
        (folder / "out").rename(self.calm / "models" / stage)
        self.steps[stage] = len((folder / "steps").read_text().split())
        self.calls[stage] = json.loads((folder / "calls.json").read_text())

    def step(self, stage: str, number: int) -> Trial:
        """Killed after one of its steps, before that could be saved."""
        last = 1 + round((self.steps[stage] - 1) * (number + 0.5) / KILLS)
        return self._killed(stage, "step", number, f"after step {last}", lambda: Steps(last))

    def save(self, stage: str, number: int) -> Trial:
        """Killed before or after one of the calls that its saves make, or with half of the weights written."""
        calls = self.calls[stage]
        draw = rng(number, "moment", stage)
        nth = int(draw.integers(len(calls) * number // KILLS, len(calls) * (number + 1) // KILLS))
        if is_half := number % 4 == 3:
            nth = min((place for place, name in enumerate(calls) if name == "save_file"), key=lambda p: abs(p - nth))
        when = "half" if is_half else ("before", "after")[number % 2]
        moment = f"{when} {calls[nth]}, call {nth + 1} of {len(calls)}"
        return self._killed(stage, "save", number, moment, lambda: (Steps(), Saves(nth, dies(when))))

    def _killed(self, stage: str, kind: str, number: int, moment: str, sabotage: Callable[[], object]) -> Trial:
        folder = self._folder(f"{stage}-{kind}-{number}")
        status = fork(lambda: run(folder, stage, derive(1, number), sabotage))
        return self._rerun(folder, Trial(stage, kind, number, moment, status, 0, every(stage), 0, 0, False))

    def damage(self, number: int) -> Trial:
        """Killed late; then its newest checkpoint is damaged, or, one time in ten, all are."""
        stage, draw = STAGES[number % len(STAGES)], rng(number, "damage")
        folder = self._folder(f"damage-{number}")
        last = self.steps[stage] - int(draw.integers(0, 3))
        status = fork(lambda: run(folder, stage, derive(2, number), lambda: Steps(last)))
        (kept,) = (folder / "runs").glob("*/*")
        steps = sorted(kept.glob("step-*"))
        doomed = steps if number % 10 == 9 else steps[-1:]
        best = {place: read_json(place / STATE)["best"] for place in steps}  # which each step relies on
        told: dict[Path, str] = {}
        for place in doomed:
            told |= {} if place in told else damaged(place, steps, draw)
        doomed = [place for place in steps if place in told or f"step-{best[place] or 0:08d}" in {p.name for p in told}]
        good = max((int(place.name[5:]) for place in steps if place not in doomed), default=0)
        lost = sum(int(place.name[5:]) > good for place in doomed)
        moment = "; ".join(f"{place.name}/{what}" for place, what in sorted(told.items()))
        return self._rerun(folder, Trial(stage, "damage", number, moment, status, 0, last - good, lost, 0, False))

    def _folder(self, name: str) -> Path:
        folder = self._place / name
        folder.mkdir()
        for entry in self.calm.iterdir():
            (folder / entry.name).symlink_to(entry)
        return folder

    def _rerun(self, folder: Path, trial: Trial) -> Trial:
        done = fork(lambda: run(folder, trial.stage, derive(3, trial.number), Steps)) == 0
        log, noted = (folder / "log").read_text(), (folder / "steps").read_text().split()
        is_equal = done and _bytes(folder / "out") == _bytes(self.calm / "models" / trial.stage)
        shutil.rmtree(folder)
        repeated = len(noted) - len(set(noted)) if done else -1
        warned, said = log.count(" is damaged ("), "" if is_equal else log[-1500:]
        return replace(trial, repeated=repeated, warned=warned, is_equal=is_equal, said=said)


def every(stage: str) -> int:
    """Steps between checkpoints."""
    return EVERY // 2 if stage == "train_stage3" else EVERY


def _bytes(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def damaged(place: Path, steps: Sequence[Path], draw: np.random.Generator) -> dict[Path, str]:
    """Damage a checkpoint; the steps that are no longer whole, and what was done to each."""
    file = sorted(place.iterdir())[int(draw.integers(3))]
    data = bytearray(file.read_bytes())
    where = int(draw.integers(len(data)))
    kinds = ["flip", "cut", "zero", "remove", "swap", *(["ledger"] if (place.parent / "rollouts").exists() else [])]
    match kinds[int(draw.integers(len(kinds)))]:
        case "flip":
            data[where] ^= 1 << int(draw.integers(8))
            file.write_bytes(data)
            return {place: f"{file.name}: one bit flipped"}
        case "cut":
            file.write_bytes(data[:where])
            return {place: f"{file.name}: cut off"}
        case "zero":
            end = min(len(data), where + 64)
            data[where:end] = bytes(end - where)
            if bytes(data) == file.read_bytes():
                data[:8] = bytes(8)
            file.write_bytes(data)
            return {place: f"{file.name}: zeros"}
        case "remove":
            file.unlink()
            return {place: f"{file.name}: missing"}
        case "swap":
            other = steps[0] / file.name if place != steps[0] else steps[-1] / file.name
            if len(steps) == 1 or not other.exists():
                file.write_bytes(b"")
                return {place: f"{file.name}: empty"}
            aside = other.read_bytes()
            other.write_bytes(data)
            file.write_bytes(aside)
            return {place: f"{file.name}: another step's", other.parent: f"{file.name}: another step's"}
        case _:
            return ledgers(place, steps)


def ledgers(place: Path, steps: Sequence[Path]) -> dict[Path, str]:
    """Damage the last table of rollouts that a checkpoint relies on, and with it all that rely on it as well."""
    name = max(read_json(place / STATE)["beside"])
    file = place.parent / name
    file.write_bytes(file.read_bytes()[:-1])
    return {step: f"{name}: cut off" for step in steps if name in read_json(step / STATE)["beside"]}


# ---- one save --------------------------------------------------------------------------------------------------------

OLD, NEW = 4, 8
ROOMS = (0, 1, 60, 400, 4000)
"""Bytes that a file may take, where the disk is full."""


def faults(place: Path) -> list[dict[str, Any]]:
    """Every call that a save makes dies or fails, and the disk is full after some bytes: is the old or the new read?"""
    counted = place / "counted"
    assert fork(lambda: _one_save(counted, lambda: Saves(-1, nothing), is_noted=True)) == 0
    calls = json.loads((counted / "calls.json").read_text())
    tries: list[tuple[str, Callable[[], object]]] = [
        (f"{how} {name} {nth}", partial(Saves, nth, act))
        for nth, name in enumerate(calls)
        for how, act in (
            ("killed before", dies("before")), ("killed after", dies("after")),
            ("no space at", fails(errno.ENOSPC)), ("input/output error at", fails(errno.EIO)),
        )
    ]  # fmt: skip
    halves = [nth for nth, name in enumerate(calls) if name == "save_file"]
    tries += [(f"killed with half written {nth}", partial(Saves, nth, dies("half"))) for nth in halves]
    tries += [(f"{size} bytes a file", partial(_full, size)) for size in ROOMS]
    return [_fault(place / f"{number}", told, act) for number, (told, act) in enumerate(tries)]


def _full(size: int) -> None:
    """The system itself refuses what is beyond, with half-written files and all."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def _weights(step: int) -> dict[str, torch.Tensor]:
    return {"weight": torch.full((2000,), float(step)), "bias": torch.full((3,), float(step))}


def _saved(step: int) -> Saved:
    return Saved(step, _weights(step), {"journal": [[step, "loss", 1.0 / step]] * 20}, score=1.0 / step)


def _kept(folder: Path) -> Checkpoints:
    return Checkpoints(folder / "train_x" / "f", EVERY, {"params": {"steps": 9}})


def _one_save(folder: Path, sabotage: Callable[[], object], is_noted: bool = False) -> None:
    """A third step is saved; its save drops the first, for the second is newer and better."""
    kept = _kept(folder)
    kept.save(_saved(2))
    kept.save(_saved(OLD))
    saboteur = sabotage()
    kept.save(_saved(NEW))
    if is_noted and isinstance(saboteur, Saves):
        (folder / "calls.json").write_text(json.dumps(saboteur.seen))


def _fault(folder: Path, told: str, sabotage: Callable[[], object]) -> dict[str, Any]:
    folder.mkdir()

    listen, tell = os.pipe()

    def work() -> None:
        os.dup2(tell, 2)
        _one_save(folder, sabotage)

    status = fork(work)
    os.close(tell)
    with os.fdopen(listen) as heard:
        said = heard.read().replace(f"{folder}", "…")[-400:]
    kept = _kept(folder)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        found = kept.newest()
    step = found.step if found else 0
    is_whole = found is not None and all(torch.equal(found.tensors[k], v) for k, v in _weights(step).items())
    kept.save(_saved(NEW + EVERY))  # whatever was left behind is in nobody's way
    after = kept.newest()
    is_good = is_whole and step in (OLD, NEW) and not warned and after is not None and after.step == NEW + EVERY
    shutil.rmtree(folder)
    return {"fault": told, "status": status, "step": step, "said": said, "is_good": is_good}


# ---- results ---------------------------------------------------------------------------------------------------------


def table(trials: Sequence[Trial], faulty: Sequence[dict[str, Any]]) -> str:
    lines = [
        f"# {len(trials)} disturbed trainings, each run again",
        "",
        "Tiny trainings, one thread; global random states scrambled before every run. Equal: every file of the model",
        f"has the bytes of the undisturbed run. A checkpoint every {EVERY} steps (Stage 3: {every(STAGES[-1])}).",
        "",
        "| training | killed at steps | equal | killed in saves | equal | steps repeated, most | damaged runs"
        " | all found, last good one used | equal |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for stage in STAGES:
        own = [trial for trial in trials if trial.stage == stage]
        by = {kind: [trial for trial in own if trial.kind == kind] for kind in ("step", "save", "damage")}
        killed = [trial.repeated for trial in by["step"] + by["save"]]
        cells = [
            len(by["step"]), sum(t.is_equal for t in by["step"]), len(by["save"]), sum(t.is_equal for t in by["save"]),
            max(killed, default=0), len(by["damage"]), sum(t.is_good for t in by["damage"]),
            sum(t.is_equal for t in by["damage"]),
        ]  # fmt: skip
        lines.append(f"| {stage.removeprefix('train_')} | " + " | ".join(map(str, cells)) + " |")
    bad = [trial.key for trial in trials if not trial.is_good]
    lines += ["", f"Trials that broke a promise: {', '.join(bad) if bad else 'none'}."]
    if faulty:
        half = sum(not fault["is_good"] for fault in faulty)
        kinds = f"{len(faulty)} times one save died, failed or found the disk full, at every call that it makes"
        lines += ["", f"{kinds}: readers then saw something half-done {half} times."]
    return "\n".join(lines) + "\n"


def note(trials: dict[str, Trial], faulty: Sequence[dict[str, Any]]) -> str:
    ordered = [trials[key] for key in sorted(trials)]
    write_json(RESULTS, {"trials": [asdict(trial) for trial in ordered], "faults": list(faulty)})
    write_text(RESULTS.with_suffix(".md"), told := table(ordered, faulty))
    return told


def wanted(kills: int, corruptions: int) -> list[tuple[str, str, int]]:
    """All trials of so many of each kind, mixed: whoever stops half-way has some of each."""
    found = [(number / kills, stage, kind, number) for number in range(kills) for stage in STAGES for kind in KINDS]
    found += [(n / corruptions, STAGES[n % len(STAGES)], "damage", n) for n in range(corruptions)]
    return [trial[1:] for trial in sorted(found)]


def trial(bench: Bench, stage: str, kind: str, number: int) -> Trial:
    if kind == "damage":
        return bench.damage(number)
    return bench.step(stage, number) if kind == "step" else bench.save(stage, number)


def main(arguments: list[str]) -> None:
    place = Path(tempfile.mkdtemp(prefix="training-kills-"))
    try:
        bench = Bench(place)
        if arguments == ["--few"]:
            # One kill of each kind near the end: there are most things that could be forgotten.
            chosen = [(stage, kind, 7) for stage in STAGES for kind in KINDS]
            few = [trial(bench, *one) for one in [*chosen, *wanted(0, 10)]]
            told = {"trials": [asdict(one) | {"is_good": one.is_good} for one in few], "faults": faults(place)}
            print(json.dumps(told))
            return
        stored = read_json(RESULTS) if RESULTS.exists() else {"trials": [], "faults": []}
        known, faulty = {one.key: one for one in (Trial(**row) for row in stored["trials"])}, stored["faults"]
        faulty = faulty or faults(place)
        for stage, kind, number in wanted(KILLS, CORRUPTIONS):
            if f"{stage} {kind} {number}" not in known:
                found = trial(bench, stage, kind, number)
                known[found.key] = found
                note(known, faulty)
        print(note(known, faulty))
    finally:
        shutil.rmtree(place)


if __name__ == "__main__":
    assert threading.active_count() == 1, "a fork has only the thread that forks"
    main(sys.argv[1:])
