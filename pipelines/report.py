"""report: gather what the stages wrote into metrics, a plain table, pages where motions move, and pictures."""

import hashlib
import json
import subprocess
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from irg_core.evaluation import changes, reasoning
from irg_core.evaluation.goals import SYNTHETIC
from irg_core.files import read_json, whole_folder, write_json, write_text
from irg_core.fingerprints import of_file
from irg_core.motion.flaws import CLASSES
from irg_core.motion.representation import to_joints
from irg_core.motion.thresholds import KinematicsParams
from irg_core.params import mapping, names, section
from irg_core.records.annotation import Assessment, Caption, Flawed, Pair, Rejection
from irg_core.records.changes import Step
from irg_core.records.evaluation import Generation, Protocol, Score, Values
from irg_core.records.motion import Clip, Facts
from irg_core.records.reasoning import Probed, Rounds, Share
from irg_core.records.training import LogRow
from irg_core.reports import card as cards
from irg_core.reports import exhibits, findings, pictures, results
from irg_core.reports import models as made
from irg_core.reports import page as pages
from irg_core.reports.dataset import Corpus, Decode, samples
from irg_core.reports.exhibits import Room
from irg_core.reports.gallery import Exhibit, Gallery
from irg_core.reports.judging import Shares, judging
from irg_core.reports.overview import overview
from irg_core.reports.page import FEW_PROBES, Report
from irg_core.reports.published import published
from irg_core.summaries import summarise
from irg_core.tables import columns, read, read_all

LOCK, REQUIREMENTS = Path("dvc.lock"), Path("requirements.lock")
STAGE = "report"


@dataclass(frozen=True)
class ReportParams:
    """`report` in params.yaml."""

    seed: int
    traces: int
    """Answers of the last stage that the report shows in full; each adds about 100 kB to the page."""
    probes: int
    """Known flaws, and what the last stage made of them, that the report shows in full."""
    samples: int
    """Clips that the dataset page shows, spread over the corpora."""
    pictures: list[str]
    """Actions that a picture strip shows, one clip each; an action that no clip has gives no picture."""


@dataclass(frozen=True)
class AnswerOf:
    """Of an answer, what is counted here."""

    generation_id: str
    corpus: str


def main(
    clips: Path, captions: Path, facts: Path, flawed: Path, pairs: Path, verified: Path,
    splits: Path, analyses: Path, examples: Path, grounding: Path,
    evaluation: Path, values: Path, validation: Path, generations: Path, probed: Path, rejections: Path, models: Path,
    metrics: Path, page: Path, dataset: Path, card: Path, strips: Path, table: Path,
) -> None:  # fmt: skip
    params = section("report", ReportParams)
    pool = section("evaluate.protocol", Protocol).pool
    answers = {model: entry["answers"] for model, entry in mapping("evaluate.models").items()}
    evaluated = {model: read_json(evaluation / f"{model}.json") for model in answers}
    scores = [Score(**score) for found in evaluated.values() for score in found["scores"]]
    rewarded = names("train_stage3.rewards")
    found = results.tables(scores, list(answers), rewarded)
    shown = findings.findings(found)
    corpora = [_corpus(name, clips, captions, facts, flawed, pairs, verified) for name in names("corpora")]
    decode = _decoder(models / "tokenizer")
    room = Room(
        {clip.clip_id: clip for corpus in corpora for clip in corpus.clips}, decode,
        section("kinematics", KinematicsParams),
    )  # fmt: skip
    last = [model for model, kind in answers.items() if kind == "trace"][-1:]
    rows: list[Any] = [row for model in last for row in read(generations / f"{model}.parquet", Generation)]
    judged = {model: read(probed / f"{model}.parquet", Probed) for model, found in evaluated.items() if found["shares"]}
    put = [row for model in last for row in judged.get(model, [])]
    traces = exhibits.traces(rows, room, params.traces, params.seed)
    trained = [model for model, kind in answers.items() if kind != "references"]
    subset, compared = _largest(scores)
    shares = {model: _shares([Share(**one) for one in evaluated[model]["shares"]]) for model in judged}
    by_corpus = _by_corpus(judged)
    logs = _logs(models, trained)
    counts = {model: outcome["counts"] for model, outcome in evaluated.items()}
    steps = _judged(_steps(values, trained, subset, params.seed, rewarded), shares, counts)

    report = Report(
        results=found,
        pool=pool,
        findings=shown,
        counts=counts,
        logs=logs,
        verdicts={name: read_json(validation / f"{name}.json") for name in ("clips", "examples")},
        rejections=_rejections(rejections),
        steps=steps,
        subset=subset,
        compared=compared,
        rewarded=rewarded,
        held_out=results.held_out(names("train_evaluators")),
        shares=shares,
        by_difficulty={model: _shares(reasoning.shares(_by_difficulty(rows))) for model, rows in judged.items()},
        difficulties=list(CLASSES),
        by_corpus={group: _each(by_corpus[group]) for group in _spoken(by_corpus)},
        probed={group: max(map(len, rows.values())) for group, rows in by_corpus.items()},
        answered={model: _answered(generations / f"{model}.parquet") for model, found in counts.items() if found},
        models=made.models(models, logs),
        ceilings=made.ceilings(models / "evaluators", names("train_evaluators")),
        locked=_locked(),
        rounds={model: [Rounds(**row) for row in outcome["rounds"]] for model, outcome in evaluated.items()},
        traces=traces,
        probes=exhibits.probes(put, room, params.probes, params.seed),
        corpora=names("corpora"),
        published=published(corpus["format"] for corpus in mapping("corpora").values()),
        provenance=_provenance(),
    )
    write_json(metrics, results.metrics(scores))
    write_text(page, pages.render(report))
    joints = partial(_joints, decode)
    refused = {stage.name: [stage / f"{name}.parquet" for name in names("corpora")] for stage in _folders(rejections)}
    counted = overview(corpora, splits, analyses, examples, refused)
    rates = {name: read_json(grounding / f"{name}.json") for name in names("corpora")}
    write_text(dataset, pages.render_dataset(samples(corpora, params.samples, params.seed, joints), counted))
    write_text(card, cards.render(counted, mapping("corpora"), rates))
    _draw(strips, corpora, traces, params)
    changed = "\n".join(pages.told_whole(step) for step in steps)
    write_text(table, f"{results.text(found, pool)}\n{findings.text(shown)}\n{changed}\n")
    flags = warn(steps)
    summarise("report", scores=len(scores), tables=len(found), exhibits=len(traces.exhibits), flags=flags)


def warn(steps: Sequence[Step]) -> int:
    """Say every doubt about a gain where who runs the factory sees it; returns how many there are."""
    flags = [f"{step.two} against {step.one}: {flag}" for step in steps for flag in step.flags]
    for flag in flags:
        print(f"report: BEWARE, {flag}", flush=True)
    return len(flags)


def _corpus(name: str, *folders: Path) -> Corpus:
    records: tuple[Any, ...] = (Clip, Caption, Facts, Flawed, Pair, Assessment)
    rows = (read(folder / f"{name}.parquet", record) for folder, record in zip(folders, records, strict=True))
    return Corpus(name, *rows)


def _decoder(tokenizer: Path) -> Decode:
    from irg_core.models.vqvae import MotionTokenizer

    net = MotionTokenizer.load(tokenizer)
    return lambda codes: net.decode([codes])[0]


def _joints(decode: Decode, codes: list[int]) -> np.ndarray:
    return to_joints(decode(codes))


def _largest(scores: Sequence[Score]) -> tuple[str, int]:
    """The whole subset with the most clips, and how many they are: there differences show best."""
    sizes = {score.subset: score.n for score in scores if "/" not in score.subset and score.metric == "r3"}
    return max(sizes.items(), key=lambda item: (item[1], item[0])) if sizes else ("", 0)


def _steps(folder: Path, models: Sequence[str], subset: str, seed: int, rewarded: Sequence[str]) -> list[Step]:
    of_model = {model: read(folder / f"{model}.parquet", Values) for model in models}
    rows = [
        (model, motion)
        for model, values in of_model.items()
        for motion in results.TRIES
        if any((one.row, one.motion) == (model, motion) for one in values)
    ]
    together = [one for values in of_model.values() for one in values]
    return changes.steps(together, subset, changes.chain(rows), seed, rewarded)


def _judged(steps: Sequence[Step], shares: Mapping[str, Shares], counts: Mapping[str, Mapping[str, Any]]) -> list[Step]:
    """The steps, of which the first to each model says what became of its judging."""
    told, found = set[str](), []
    for step in steps:
        one, two = (row.partition(",")[0] for row in (step.one, step.two))
        if one != two and two not in told:
            told.add(two)
            step = replace(step, judging=judging(shares.get(one), shares.get(two), counts[one], counts[two]))
        found.append(step)
    return found


def _shares(found: Sequence[Share]) -> Shares:
    return {(one.name, one.group): one for one in found}


def _by_difficulty(rows: Sequence[Probed]) -> list[Probed]:
    """Probes whose kind is the difficulty of their edit, where they are edits."""
    return [replace(row, kind=json.loads(row.truth).get("class", row.kind)) for row in rows]


def _grouped() -> Callable[[str], str]:
    """Under which name a corpus is counted: whatever a program made together."""
    made_up = {name for name, corpus in mapping("corpora").items() if corpus["format"] == "procedural"}
    return lambda corpus: SYNTHETIC if corpus in made_up else corpus


def _by_corpus(judged: Mapping[str, Sequence[Probed]]) -> dict[str, dict[str, list[Probed]]]:
    """Probes by corpus and model, the corpus with the most first."""
    group, found = _grouped(), dict[str, dict[str, list[Probed]]]()
    for model, rows in judged.items():
        for row in rows:
            found.setdefault(group(row.corpus), {}).setdefault(model, []).append(row)
    return dict(sorted(found.items(), key=lambda item: -sum(map(len, item[1].values()))))


def _each(rows: Mapping[str, Sequence[Probed]]) -> dict[str, Shares]:
    return {model: _shares(reasoning.shares(some)) for model, some in rows.items()}


def _spoken(by_corpus: Mapping[str, Mapping[str, Sequence[Probed]]]) -> list[str]:
    """The corpora of which there is anything to say, where it is not what is said of all of them."""
    found = [group for group, rows in by_corpus.items() if max(map(len, rows.values())) >= FEW_PROBES]
    return found if len(found) > 1 else []


def _answered(answers: Path) -> dict[str, int]:
    group = _grouped()
    counts = Counter(group(corpus) for corpus in columns(answers, AnswerOf).column("corpus").to_pylist())
    return dict(counts.most_common())


def _provenance() -> dict[str, str]:
    """What this report was made from, by content."""
    told = {"commit when it was made": _commit(), "params.yaml": of_file(Path("params.yaml"))}
    return told | ({REQUIREMENTS.name: of_file(REQUIREMENTS)} if REQUIREMENTS.exists() else {})


def _locked() -> dict[str, str]:
    """The entries of dvc.lock, by their content, but for this stage's own, which is not written yet."""
    if not LOCK.exists():
        return {}
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    stages = yaml.load(LOCK.read_text(encoding="utf-8"), loader).get("stages", {})
    told = {stage: json.dumps(entry, sort_keys=True) for stage, entry in stages.items() if stage != STAGE}
    return {stage: hashlib.sha256(entry.encode()).hexdigest() for stage, entry in told.items()}


def _commit() -> str:
    git = ["git", "describe", "--always", "--abbrev=40", "--dirty= with changes", "--exclude=*"]
    try:
        return subprocess.run(git, capture_output=True, text=True, check=True, timeout=20).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "not in a git checkout"


def _logs(models: Path, trained: Sequence[str]) -> dict[str, list[LogRow]]:
    """What each training wrote down, in the order of the stages."""
    judges = [f"evaluators/{name}" for name in names("train_evaluators")]
    return {name: read(models / name / "training.parquet", LogRow) for name in ("tokenizer", *judges, *trained)}


def _rejections(folder: Path) -> dict[str, dict[str, int]]:
    """Refused rows by stage and reason, over the corpora of this build."""
    found: dict[str, dict[str, int]] = {}
    for stage in _folders(folder):
        reasons = Counter(row.reason for row in read_all(stage, names("corpora"), Rejection))
        found[stage.name] = dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0])))
    return found


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir())


def _draw(folder: Path, corpora: Sequence[Corpus], traces: Gallery, params: ReportParams) -> None:
    clips = [clip for corpus in corpora for clip in corpus.clips]
    facts = [row for corpus in corpora for row in corpus.facts]
    chosen = {action: pictures.clip_of(action, clips, facts, params.seed) for action in params.pictures}
    with whole_folder(folder) as aside:
        for action, clip in chosen.items():
            if clip:
                drawn = pictures.png(
                    (to_joints(clip.features), clip.captions[0].text if clip.captions else clip.clip_id)
                )
                (aside / f"{action}.png").write_bytes(drawn)
        if longest := max(traces.exhibits, key=lambda one: len(one.tracks), default=None):
            (aside / "trace.png").write_bytes(pictures.png(*_rows(longest)))


def _rows(exhibit: Exhibit) -> list[tuple[np.ndarray, str]]:
    """The goal motion, then each round under what was said of it."""
    rounds = [column for column in exhibit.columns[1:] if column.sayings]
    words = [f"{one.title.lower()}. {' '.join(saying.text for saying in one.sayings)}" for one in rounds]
    said = [f"Goal: {exhibit.goal}", *words]
    return [(track.joints, text) for track, text in zip(exhibit.tracks, said, strict=False)]
