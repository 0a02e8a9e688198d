"""The claim: do assessing and refining make generation better, stage after stage? Measured, beside what else could.

`make claim` (`python -m benchmarks.claim`) builds the DAG's stages with the values of profiles/claim.yaml under
`runs/claim/<fingerprint>/`. Corpora, tokenizer, evaluators and the data engine's rows are made once, with a base of the
first seed; base, the draw of examples and the three stages anew for each seed. Whatever was finished is not done again,
and a killed training goes on from its checkpoint. Seeds are done side by side, each on one processor (`--at-once`):
models as small gain little from a second one.

Beside the stages stand controls of as many supervised tokens: `base+` is base trained on for those of Stages 1 and 2,
`stage1+` is Stage 1 trained on for Stage 2's. Rows are compared clip by clip, under the evaluator that rewards and one
that no training has seen. The gates (`claim_gates`) say of the first seed whether a model can read, judge and obey at
all. `--ablations` adds models that lack one thing each, at half of the steps, with the first seed.

Results go to benchmarks/results/claim.json and claim.md.
"""

import argparse
import copy
import hashlib
import json
import os
import platform
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmarks.claim_gates import WANTED
from irg_core.annotate.compose import counted
from irg_core.evaluation.paired import Difference, difference
from irg_core.evaluation.scores import BODILY
from irg_core.files import whole_file, write_json, write_text
from irg_core.models.vocabulary import Vocabulary
from irg_core.records.annotation import Caption, visible_captions
from irg_core.records.evaluation import Values
from irg_core.records.motion import MotionTokens, Split
from irg_core.records.training import Example
from irg_core.tables import commit, read, read_all
from irg_core.training.packing import batches
from pipelines.train_base import example

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
SEEDS = (17, 18, 19)
SEEDED = ("train_base.training", "train_stage1", "train_stage2", "train_stage3", "compose")
LEFT_OUT = ("audit", "report")
"""Stages that only show."""
BASE, FIRST_OF_A_SEED = "train_base", "compose"
"""The model that also helps to make data, and the first stage that every seed does for itself after it."""
GATED = ("train_stage1", "train_stage2")
HALVED = ("train_stage1", "train_stage2", "train_stage3")
REWARDS = {"wellformed": 1.0, "text_alignment": 0.5, "goal_alignment": 0.5, "improvement": 0.5, "fulfilled": 0.5}
"""Of Stage 3; a profile could not add any. Facts are rewarded, and so are no independent witness of Stage 3."""
ONE_EVALUATOR = {name: weight for name, weight in REWARDS.items() if name not in ("improvement", "fulfilled")}
Tree = dict[str, Any]


# ---- the DAG, as dvc.yaml writes it ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Job:
    """One run of a stage."""

    name: str  # "<stage>" or "<stage>@<item>"
    words: tuple[str, ...]  # the stage and its arguments
    needs: tuple[str, ...]
    makes: tuple[str, ...]


def jobs(params: Tree) -> list[Job]:
    """All runs of stages that a build with these parameters has, each after those whose outs it needs."""
    found: list[Job] = []
    for stage, entry in yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"].items():
        if stage in LEFT_OUT:
            continue
        if "foreach" not in entry:
            found.append(_job(stage, entry, {}, params))
            continue
        items = _at(params, entry["foreach"].strip("${}"))
        found += [
            _job(f"{stage}@{key}", entry["do"], {"key": key, **_flat(item)}, params) for key, item in items.items()
        ]
    return _in_order(found)


def _job(name: str, entry: Tree, names: Mapping[str, str], params: Tree) -> Job:
    def said(text: str) -> str:
        return re.sub(r"\$\{([^}]*)\}", lambda match: str(names.get(match[1]) or _at(params, match[1])), text)

    outs = [*entry.get("outs", []), *entry.get("metrics", [])]
    paths = [out if isinstance(out, str) else next(iter(out)) for out in outs]
    words = shlex.split(said(entry["cmd"]))
    return Job(name, tuple(words[3:]), tuple(map(said, entry["deps"])), tuple(map(said, paths)))


def _flat(item: Any) -> dict[str, str]:
    return {f"item.{key}": value for key, value in item.items()} if isinstance(item, dict) else {}


def _at(tree: Tree, path: str) -> Any:
    for part in path.split("."):
        tree = tree[part]
    return tree


def feeds(job: Job, other: Job) -> bool:
    """Whether the other one reads what this one makes."""
    return any(out == need or out.startswith(f"{need}/") for out in job.makes for need in other.needs)


def _in_order(waiting: list[Job]) -> list[Job]:
    done: list[Job] = []
    while waiting:
        ready = next(job for job in waiting if not any(feeds(other, job) for other in waiting if other is not job))
        waiting = [job for job in waiting if job is not ready]
        done.append(ready)
    return done


def descendants(found: Sequence[Job], first: str) -> list[Job]:
    """The job of that name and all that come to depend on it."""
    kept: list[Job] = []
    for job in found:
        if job.name == first or any(feeds(one, job) for one in kept):
            kept.append(job)
    return kept


# ---- places to work in -----------------------------------------------------------------------------------------------


class Place:
    """A folder with parameters and tables of its own, in which stages run as in a checkout."""

    def __init__(self, root: Path, params: Tree) -> None:
        self.root, self.params = root, params
        root.mkdir(parents=True, exist_ok=True)
        write_text(root / "params.yaml", yaml.safe_dump(params, sort_keys=False, allow_unicode=True))
        if not (root / "irg_core").exists():
            (root / "irg_core").symlink_to(ROOT / "irg_core")  # the roots of embedded corpora are named from there

    def do(self, job: Job) -> None:
        """Run a stage, unless it was run to its end before."""
        self.call(job.name, [sys.executable, "-m", "pipelines", *job.words])

    def call(self, name: str, command: Sequence[str]) -> None:
        mark = self.root / "done" / f"{name}.json"
        if mark.exists():
            return
        started = time.monotonic()
        print(f"{time.strftime('%H:%M:%S')} {name} in {self.root}", flush=True)
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        said = subprocess.run(command, cwd=self.root, env=environment, capture_output=True, text=True, check=False)
        write_text(self.root / "said" / f"{name}.log", said.stdout + said.stderr)
        if said.returncode:
            sys.exit(f"{self.root}: {name} failed: {said.stderr.strip()[-2000:]}\nmend it and say `make claim` again")
        write_json(mark, {"seconds": round(time.monotonic() - started, 1)})

    def take(self, path: str, other: "Place") -> None:
        """Show an out of another place as if it had been made here."""
        here = self.root / path
        if not here.is_symlink():
            here.parent.mkdir(parents=True, exist_ok=True)
            here.symlink_to(other.root / path)

    @property
    def seconds(self) -> float:
        marks = (self.root / "done").glob("*.json")
        return round(sum(json.loads(mark.read_text(encoding="utf-8"))["seconds"] for mark in marks), 1)


def changed(params: Tree, changes: Mapping[str, Any]) -> Tree:
    """Parameters with other values; a key is a path with dots."""
    found = copy.deepcopy(params)
    for path, value in changes.items():
        parents, _, last = path.rpartition(".")
        _at(found, parents)[last] = value
    return found


def profiled(name: str) -> Tree:
    """The committed parameters with a profile's values over them."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    return _over(params, yaml.safe_load((ROOT / "profiles" / f"{name}.yaml").read_text(encoding="utf-8")), name)


def _over(values: Tree, changes: Tree, place: str) -> Tree:
    for key, change in changes.items():
        if key not in values:
            sys.exit(f"profiles/{place}.yaml: '{key}' is not in params.yaml; a profile changes values and adds none")
        is_deeper = isinstance(change, dict) and isinstance(values[key], dict)
        values[key] = _over(values[key], change, place) if is_deeper else change
    return values


def fingerprint(params: Tree) -> str:
    """Of parameters and code: work of another question is never gone on with."""
    digest = hashlib.sha256(json.dumps(params, sort_keys=True).encode())
    code = [file for folder in ("irg_core", "pipelines") for file in (ROOT / folder).rglob("*") if file.is_file()]
    own = [ROOT / "dvc.yaml", *(ROOT / "benchmarks").glob("claim*.py")]
    for file in sorted([file for file in code if file.suffix != ".pyc"] + own):
        digest.update(str(file.relative_to(ROOT)).encode() + file.read_bytes())
    digest.update(" ".join(f"{name} {version(name)}" for name in ("numpy", "torch", "transformers")).encode())
    return digest.hexdigest()[:12]


# ---- one seed --------------------------------------------------------------------------------------------------------


def prepared(folder: Path, params: Tree) -> Place:
    """Everything that is made once."""
    place = Place(folder / "shared", of_seed(params, SEEDS[0]))
    for job in shared(jobs(params)):
        place.do(job)
    return place


def of_seed(params: Tree, seed: int) -> Tree:
    return changed(params, {f"{section}.seed": seed for section in SEEDED})


def shared(found: Sequence[Job]) -> list[Job]:
    """All before the draw of examples: what no language model enters, a base, and the rows that it helps to make."""
    own = descendants(found, FIRST_OF_A_SEED)
    return [job for job in found if job not in own and not job.name.startswith("evaluate@")]


def seeded(folder: Path, params: Tree, common: Place, seed: int) -> Place:
    """Base, examples, the three stages and the controls, all asked the test goals."""
    place = Place(folder / str(seed), changed(of_seed(params, seed), {"runtime.executor": "local"}))
    found = jobs(place.params)
    once = [job for job in shared(found) if job.name != BASE or seed == SEEDS[0]]
    for job in once:
        for out in job.makes:
            place.take(out, common)
    own = [job for job in found if job not in once and not job.name.startswith("evaluate@")]
    for job in own:
        place.do(job)
        if seed == SEEDS[0] and job.name in GATED:
            gates(place, job.name.removeprefix("train_"))
    extra = controls(place)
    models = params["evaluate"]["models"] | {
        name: {"weights": f"data/models/{name}", "answers": kind} for name, kind in extra.items()
    }
    asking = Place(place.root, changed(place.params, {"evaluate.models": models}))
    for job in jobs(asking.params):
        if job.name.startswith("evaluate@"):
            asking.do(job)
    return asking


def gates(place: Place, model: str) -> None:
    kind = "composed" if model.startswith("stage1") else "trace"
    words = [sys.executable, "-m", "benchmarks.claim_gates", f"data/models/{model}", kind, f"gates/{model}.json"]
    (place.root / "gates").mkdir(exist_ok=True)
    place.call(f"gates@{model}", words)


def controls(place: Place) -> dict[str, str]:
    """Models that were trained on for as many supervised tokens as a stage had; how each is to be asked."""
    tables = {name: place.root / "data" / "examples" / f"{name}.parquet" for name in ("base", "stage1", "stage2")}
    if not tables["base"].exists():
        commit(tables["base"], base_examples(place), Example)
    spent = {name: supervised(tables[name], place.params[f"train_{name}"]) for name in ("stage1", "stage2")}
    wanted = {
        "base+": ("base", "base", spent["stage1"] + spent["stage2"], "direct"),
        "stage1+": ("stage1", "stage1", spent["stage2"], "composed"),
    }
    for name, (start, table, tokens, _) in wanted.items():
        steps = steps_for(tables[table], place.params["train_stage1"], tokens)
        apart = Place(place.root / "controls" / name, changed(place.params, {"train_stage1.steps": steps}))
        if not (apart.root / "data").exists():
            (apart.root / "data").symlink_to(place.root / "data")
        words = ("train_stage1", f"data/models/{start}", f"data/examples/{table}.parquet",
                 "data/reports/validation/examples.json", f"data/models/{name}")  # fmt: skip
        apart.do(Job(f"train_{name}", words, (), ()))
    return {name: kind for name, (*_, kind) in wanted.items()}


def base_examples(place: Place) -> Iterator[Example]:
    """What base is trained on, as a table like those of the stages."""
    data, corpora = place.root / "data", sorted(place.params["corpora"])
    splits = [row for row in read(data / "splits.parquet", Split) if row.split in ("train", "val")]
    part = {row.clip_id: row.split for row in splits}
    said = visible_captions(read_all(data / "captions", corpora, Caption), splits)
    codes = {row.clip_id: row.tokens for row in read_all(data / "tokens", corpora, MotionTokens)}
    rows = (example(caption, part[clip], codes[clip]) for clip, found in said.items() for caption in found)
    return counted(rows, Vocabulary.load(data / "models" / "base").encode_all)


def supervised(table: Path, params: Tree) -> int:
    """Supervised tokens that a training with these parameters sees."""
    return sum(islice(_by_step(table, params), params["steps"]))


def steps_for(table: Path, params: Tree, tokens: int) -> int:
    """Steps after which it has seen so many of them."""
    seen = 0
    for step, some in enumerate(_by_step(table, params), start=1):
        seen += some
        if seen >= tokens:
            return step
    raise AssertionError("batches have no end")


def _by_step(table: Path, params: Tree) -> Iterator[int]:
    """Supervised tokens of each step, without end. Counted, not estimated: how full a batch is depends on its rows."""
    train = [row for row in read(table, Example) if row.split == "train"]
    fits = [row for row in train if row.prompt_tokens + row.answer_tokens <= params["longest"]]
    lengths = np.array([row.prompt_tokens + row.answer_tokens for row in fits])
    for batch in batches(lengths, params["tokens"], params["seed"]):
        yield sum(fits[row].supervised_tokens for row in batch)


# ---- ablations -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ablation:
    """What is left out or done otherwise: other values or inputs of some stages, from the first that they concern."""

    name: str
    says: str
    first: str  # the stage from which on everything is done again
    changes: Mapping[str, Any]
    shows: tuple[str, ...] = ("stage2",)  # the models that are asked; stages after the last of them are not trained
    start: str = ""  # of Stage 2, where it does not start from Stage 1
    all_supervised: bool = False
    times: int = 1  # as many steps of Stage 2


TASKS_WITHOUT = {"generate": 0.6, "generate_detailed": 0.16, "caption": 0.14, "analyse": 0.1}
TASKS_ANALYSING = {
    "generate": 0.3, "generate_detailed": 0.05, "caption": 0.06, "analyse": 0.3, "assess": 0.12, "instruct": 0.04,
    "refine": 0.01, "refine_instructed": 0.12,
}  # fmt: skip
ABLATIONS = (
    Ablation("half", "everything, at half of the steps", "train_stage1", {}, ("stage2", "stage3")),
    Ablation("all supervised", "without Ignore-Incorrect", "train_stage2", {}, all_supervised=True),
    Ablation(
        "no refining", "without assessing and refining", "compose",
        {"compose.tasks": TASKS_WITHOUT, "compose.flawed_rounds": [1.0, 0.0, 0.0, 0.0, 0.0]},
    ),
    Ablation("no stage 1", "Stage 2 from base", "train_stage2", {}, start="base"),
    Ablation(
        "more analyses", "30 % of Stage 1 on what goals ask for", "compose", {"compose.tasks": TASKS_ANALYSING}
    ),
    Ablation("longer stage 2", "Stage 2 four times as long", "train_stage2", {}, times=4),
    Ablation(
        "one evaluator", "rewarded by the evaluator alone, by no measured fact", "train_stage3",
        {"train_stage3.rewards": ONE_EVALUATOR}, ("stage3",),
    ),
)  # fmt: skip


def steps_of(without: Ablation, params: Tree) -> dict[str, int]:
    """Half of the steps that the stages have otherwise; of Stage 2 as many times that as the ablation says."""
    halves = {f"{section}.steps": max(1, _at(params, section)["steps"] // 2) for section in HALVED}
    return halves | {"train_stage2.steps": halves["train_stage2.steps"] * without.times}


def ablated(seed: Place, half: Place, without: Ablation) -> Place:
    """One seed's chain without one thing, at half of the steps, asked the test goals. What comes before that thing is
    taken from the chain at half of the steps."""
    models = {name: seed.params["evaluate"]["models"][name] for name in without.shows}
    place = Place(
        seed.root / "ablations" / without.name.replace(" ", "-"),
        changed(seed.params, {**steps_of(without, seed.params), **without.changes, "evaluate.models": models}),
    )
    found = jobs(place.params)
    wanted = {"compose", "validate_examples", "train_stage1", "train_stage2"}
    wanted |= {name for model in without.shows for name in (f"train_{model}", f"evaluate@{model}")}
    again = [job for job in descendants(found, without.first) if job.name in wanted]
    for job in found:
        if job not in again:
            for out in job.makes:
                place.take(out, half)
    for job in again:
        if job.name == "train_stage2":
            job = _other_stage2(place, job, without)
        place.do(job)
    return place


def _other_stage2(place: Place, job: Job, without: Ablation) -> Job:
    stage, start, examples, *rest = job.words
    if without.all_supervised:
        table = place.root / "data" / "examples" / "stage2-all.parquet"
        if not table.exists():
            traces = read(place.root / examples, Example)
            commit(table, (replace(row, answer=[replace(part, supervised=True) for part in row.answer]) for row in traces), Example)  # fmt: skip  # noqa: E501
        examples = "data/examples/stage2-all.parquet"
    start = f"data/models/{without.start}" if without.start else start
    return replace(job, words=(stage, start, examples, *rest))


# ---- results ---------------------------------------------------------------------------------------------------------

HELD_OUT, REWARDING = "report", "reward"
SHOWN = {
    "r1": "R@1", "r2": "R@2", "r3": "R@3", "gallery_r3": "gallery R@3", "mm_dist": "MM-Dist", "fid": "FID",
    "fulfilled": "facts fulfilled",
}  # fmt: skip
ROWS = ("real", "reconstruction", "random", "base", "base+", "stage1", "stage1+", "stage2", "stage3")
"""In the order in which tables show them; other references say nothing of the claim."""
COMPARED = (
    ("stage1|first", "base|only"), ("stage1|first", "base+|only"), ("stage1|final", "stage1|first"),
    ("stage2|first", "base+|only"), ("stage2|final", "base+|only"), ("stage2|final", "stage1+|final"),
    ("stage2|final", "stage1|final"), ("stage2|final", "stage2|first"), ("stage3|final", "stage2|final"),
    ("stage3|final", "base+|only"), ("stage3|final", "stage3|first"),
)  # fmt: skip
"""Each later row against an earlier one, and against the control that had as many supervised tokens."""


def values_of(place: Place) -> dict[tuple[str, str, str], Values]:
    """All numbers over all clips of one place, by "<row>|<motion>", evaluator and metric; the largest subset's."""
    found: dict[tuple[str, str, str], Values] = {}
    for table in sorted((place.root / "data" / "values").glob("*.parquet")):
        rows = [row for row in read(table, Values) if row.metric in SHOWN]
        for row in sorted(rows, key=lambda row: len(row.values)):
            if "/" not in row.subset:
                found[f"{row.row}|{row.motion}", row.evaluator, row.metric] = row
    return found


def together(seeds: Sequence[Mapping[tuple[str, str, str], Values]]) -> dict[tuple[str, str, str], Values]:
    """The mean over seeds of each clip's number: the same clips under the same evaluators."""
    kept = set.intersection(*(set(one) for one in seeds))
    return {
        key: replace(
            seeds[0][key],
            mean=float(np.mean([one[key].mean for one in seeds])),
            values=np.mean([one[key].values for one in seeds], axis=0).tolist(),
        )
        for key in seeds[0]
        if key in kept
    }


def compared(
    found: Mapping[tuple[str, str, str], Values], pairs: Sequence[tuple[str, str]] = COMPARED
) -> list[Difference]:
    """Rows against rows, number by number."""
    places = sorted({(evaluator, metric) for _, evaluator, metric in found})
    return [
        difference(found[one, *place], found[two, *place], SEEDS[0])
        for one, two in pairs
        for place in places
        if (one, *place) in found and (two, *place) in found and found[one, *place].values
    ]


def report(place: Place) -> Tree:
    """One place's rows and what was counted of them."""
    found = values_of(place)
    counts = {
        path.stem: json.loads(path.read_text(encoding="utf-8"))
        for path in sorted((place.root / "data" / "reports" / "evaluation").glob("*.json"))
    }
    rows: Tree = {}
    for (row, evaluator, metric), one in found.items():
        rows.setdefault(row, {}).setdefault(evaluator, {})[metric] = round(one.mean, 5)
    judged = place.root / "gates"
    return {
        "seconds": place.seconds,
        "rows": rows,
        "counts": {name: told["counts"] for name, told in counts.items()},
        "judging": {name: told["shares"] for name, told in counts.items() if told["shares"]},
        "gates": {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(judged.glob("*.json"))},
    }


def provenance(name: str, params: Tree) -> Tree:
    said = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    sections = {
        key: params[key]
        for key in ("corpora", "compose", "inject", *sorted(k for k in params if k.startswith("train_")))
    }
    return {
        "profile": name, "commit": said.stdout.strip(), "params and code": fingerprint(params),
        "python": platform.python_version(), "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "finished": time.strftime("%Y-%m-%d"), "params": sections,
    }  # fmt: skip


def table(found: Mapping[tuple[str, str, str], Values], spread: Mapping[tuple[str, str, str], float]) -> str:
    """Rows under the held-out evaluator, under the rewarding one, and by measured facts."""
    names = list(dict.fromkeys(row for row, *_ in found))
    names.sort(key=lambda name: name.partition("|")[2], reverse=True)  # first before final
    rows = [name for row in ROWS for name in names if name.partition("|")[0].endswith(row)]
    parts = []
    for evaluator, title in ((HELD_OUT, "no training has seen"), (REWARDING, "that also rewards Stage 3")):
        metrics = [metric for metric in SHOWN if any(key[1:] == (evaluator, metric) for key in found)]
        head = (
            f"Evaluator `{evaluator}`, {title}\n\n|  | {' | '.join(SHOWN[m] for m in metrics)} | {SHOWN['fulfilled']} |"
        )
        lines = [head, f"|---|{'--:|' * (len(metrics) + 1)}"]
        for row in rows:
            places = [*((evaluator, metric) for metric in metrics), (BODILY, "fulfilled")]
            cells = [_cell(found, spread, (row, *place)) for place in places]
            lines.append(f"| {row.replace('|only', '').replace('|', ', ')} | {' | '.join(cells)} |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _cell(found: Mapping[Any, Values], spread: Mapping[Any, float], key: tuple[str, str, str]) -> str:
    if key not in found:
        return "–"
    return f"{found[key].mean:.3f}" + (f" ±{spread[key]:.3f}" if key in spread else "")


def differences_table(found: Sequence[Difference]) -> str:
    lines = ["| | than | | by | 95 % interval | p |", "|---|---|---|--:|--:|--:|"]
    for one in found:
        if (one.evaluator, one.metric) in (
            (HELD_OUT, "r3"), (HELD_OUT, "gallery_r3"), (HELD_OUT, "mm_dist"), (HELD_OUT, "fid"), (BODILY, "fulfilled"),
        ):  # fmt: skip
            names = [name.replace("|", ", ").replace(", only", "") for name in (one.one, one.two)]
            interval = f"{one.low:+.3f} … {one.high:+.3f}"
            lines.append(f"| {' | '.join(names)} | {SHOWN[one.metric]} | {one.mean:+.3f} | {interval} | {_p(one.p)} |")
    return "\n".join(lines)


def _p(p: float) -> str:
    return f"{p:.4f}" if p >= 0.0001 else "< 0.0001"


def gates_table(told: Mapping[str, Tree]) -> str:
    """Seed by seed, what each model passed."""
    lines = ["| seed | model | gate | measured | wanted |", "|---|---|---|--:|--:|"]
    for seed, one in told.items():
        for model, gate in one["gates"].items():
            numbers = gate["judgement"] | gate["obedience"]
            lines += [
                f"| {seed} | {model} | {name} | {numbers.get(name, '–')} | {least} |" for name, least in WANTED.items()
            ]
    return "\n".join(lines)


def written(name: str, params: Tree, places: Mapping[int, Place], without: Mapping[str, Place], to: Path) -> None:
    """claim.json and claim.md."""
    places = dict(sorted(places.items()))
    each = {seed: values_of(place) for seed, place in places.items()}
    whole = together(list(each.values()))
    found = compared(whole)
    spread = {key: float(np.std([one[key].mean for one in each.values()], ddof=1)) for key in whole if len(each) > 1}
    told = {str(seed): report(place) for seed, place in places.items()}
    clips = max((len(one.values) for one in whole.values() if one.over == "clips"), default=0)
    left_out = {name: report(place) for name, place in without.items()}
    write_json(to / "claim.json", {
        "provenance": provenance(name, params), "test texts": clips, "seeds": told,
        "compared": [asdict(one) for one in found], "ablations": left_out,
    })  # fmt: skip
    text = [
        f"# The claim, profile `{name}`",
        f"{clips} test texts, seeds {', '.join(map(str, places))}. Numbers are means over seeds, ± the standard "
        "deviation between them; first and final are a model's first and last motions. Facts fulfilled are rewarded in "
        "Stage 3, and no independent witness of it. `python -m benchmarks.claim`.",
        table(whole, spread), "## Step by step, clip by clip", differences_table(found), "## Gates", gates_table(told),
    ]  # fmt: skip
    if left_out:
        meant = [f"- `{one.name}`: {one.says}" for one in ABLATIONS if one.name in without]
        alone = {row: one for name, place in without.items() for row, one in _named(name, values_of(place))}
        text += [
            "## Ablations, one seed, half of the steps", "\n".join(meant), table(alone, {}),
            differences_table(compared(alone, against_half(alone))),
        ]  # fmt: skip
    with whole_file(to / "claim.md") as aside:
        aside.write_text("\n\n".join(text) + "\n", encoding="utf-8")


def _named(name: str, found: Mapping[tuple[str, str, str], Values]) -> Iterator[tuple[tuple[str, str, str], Values]]:
    """Rows of Stages 2 and 3 under an ablation's name."""
    for (row, evaluator, metric), one in found.items():
        if row.startswith(("stage2", "stage3")):
            yield (f"{name}: {row}", evaluator, metric), replace(one, row=f"{name}: {one.row}")


def against_half(alone: Mapping[tuple[str, str, str], Values]) -> list[tuple[str, str]]:
    """Each ablation's rows, beside the same rows of the chain that lacks nothing and had as many steps."""
    rows = list(dict.fromkeys(row for row, *_ in alone))
    whole = ABLATIONS[0].name
    return [(row, f"{whole}: {row.partition(': ')[2]}") for row in rows if not row.startswith(f"{whole}: ")]


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description="Does assessing and refining make generation better?")
    parser.add_argument("--profile", default="claim")
    parser.add_argument("--seeds", default=",".join(map(str, SEEDS)))
    parser.add_argument("--at-once", type=int, default=len(SEEDS), help="seeds, and ablations, side by side")
    parser.add_argument("--ablations", action="store_true")
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "claim")
    parser.add_argument("--results", type=Path, default=RESULTS)
    asked = parser.parse_args(arguments)
    params = changed(profiled(asked.profile), {"train_stage3.rewards": REWARDS})
    folder = asked.work.resolve() / fingerprint(params)
    common = prepared(folder, params)
    places, without = dict[int, Place](), dict[str, Place]()
    with ThreadPoolExecutor(asked.at_once) as side_by_side:
        seeds = {
            side_by_side.submit(seeded, folder, params, common, int(seed)): int(seed) for seed in asked.seeds.split(",")
        }
        for done in as_completed(seeds):
            places[seeds[done]] = done.result()
            written(asked.profile, params, places, without, asked.results)
        if asked.ablations:
            first = places[min(places)]
            whole, *others = ABLATIONS
            without[whole.name] = half = ablated(first, first, whole)
            found = {one.name: side_by_side.submit(ablated, first, half, one) for one in others}
            without |= {name: place.result() for name, place in found.items()}
            written(asked.profile, params, places, without, asked.results)
    print((asked.results / "claim.md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main(sys.argv[1:])
