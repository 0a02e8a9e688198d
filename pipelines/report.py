"""report: gather what the stages wrote into metrics, a plain table, pages where motions move, and pictures."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from irg_core.files import read_json, whole_folder, write_json, write_text
from irg_core.motion.representation import to_joints
from irg_core.motion.skeleton import FPS
from irg_core.params import mapping, names, section
from irg_core.records.annotation import Assessment, Caption, Flawed, Pair, Rejection
from irg_core.records.evaluation import Generation, Protocol, Score
from irg_core.records.motion import Clip, Facts
from irg_core.records.training import LogRow
from irg_core.reports import findings, pictures, results
from irg_core.reports import page as pages
from irg_core.reports.dataset import Corpus, Decode, samples
from irg_core.reports.page import Report, Story
from irg_core.reports.player import Track
from irg_core.reports.readings import Reading, readings
from irg_core.summaries import summarise
from irg_core.tables import read, read_all


@dataclass(frozen=True)
class ReportParams:
    """`report` in params.yaml."""

    seed: int
    traces: int
    """Answers that the report shows in full."""
    samples: int
    """Clips that the dataset page shows, spread over the corpora."""
    pictures: list[str]
    """Actions that a picture strip shows, one clip each; an action that no clip has gives no picture."""


def main(
    clips: Path, captions: Path, facts: Path, flawed: Path, pairs: Path, verified: Path,
    evaluation: Path, validation: Path, generations: Path, rejections: Path, models: Path,
    metrics: Path, page: Path, dataset: Path, strips: Path, table: Path,
) -> None:  # fmt: skip
    params = section("report", ReportParams)
    pool = section("evaluate.protocol", Protocol).pool
    answers = {model: entry["answers"] for model, entry in mapping("evaluate.models").items()}
    evaluated = {model: read_json(evaluation / f"{model}.json") for model in answers}
    scores = [Score(**score) for found in evaluated.values() for score in found["scores"]]
    found = results.tables(scores, list(answers))
    shown = findings.findings(found)
    corpora = [_corpus(name, clips, captions, facts, flawed, pairs, verified) for name in names("corpora")]
    decode = _decoder(models / "tokenizer")
    stories = _stories(
        generations, [model for model, kind in answers.items() if kind == "trace"], corpora, decode, params
    )

    report = Report(
        results=found,
        pool=pool,
        findings=shown,
        counts={model: outcome["counts"] for model, outcome in evaluated.items()},
        logs=_logs(models, [model for model, kind in answers.items() if kind != "references"]),
        verdicts={name: read_json(validation / f"{name}.json") for name in ("clips", "examples")},
        rejections=_rejections(rejections),
        stories=stories,
        corpora=names("corpora"),
    )
    write_json(metrics, results.metrics(scores))
    write_text(page, pages.render(report))
    write_text(dataset, pages.render_dataset(samples(corpora, params.samples, params.seed, decode)))
    _draw(strips, corpora, stories, params)
    write_text(table, results.text(found, pool) + "\n" + findings.text(shown))
    summarise("report", scores=len(scores), tables=len(found), stories=len(stories))


def _corpus(name: str, *folders: Path) -> Corpus:
    records: tuple[Any, ...] = (Clip, Caption, Facts, Flawed, Pair, Assessment)
    rows = (read(folder / f"{name}.parquet", record) for folder, record in zip(folders, records, strict=True))
    return Corpus(name, *rows)


def _decoder(tokenizer: Path) -> Decode:
    from irg_core.models.vqvae import MotionTokenizer

    net = MotionTokenizer.load(tokenizer)
    return lambda codes: to_joints(net.decode([codes])[0])


def _logs(models: Path, trained: Sequence[str]) -> dict[str, list[LogRow]]:
    """What each training wrote down, in the order of the stages."""
    judges = [f"evaluators/{name}" for name in names("train_evaluators")]
    return {name: read(models / name / "training.parquet", LogRow) for name in ("tokenizer", *judges, *trained)}


def _rejections(folder: Path) -> dict[str, dict[str, int]]:
    """Refused rows by stage and reason, over the corpora of this build."""
    found: dict[str, dict[str, int]] = {}
    for stage in sorted(path for path in folder.iterdir() if path.is_dir()):
        reasons = Counter(row.reason for row in read_all(stage, names("corpora"), Rejection))
        found[stage.name] = dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0])))
    return found


def _stories(
    folder: Path, tracers: Sequence[str], corpora: Sequence[Corpus], decode: Decode, params: ReportParams
) -> list[Story]:
    """Traces of the last stage that writes them, with their motions."""
    if not tracers:
        return []
    rows: list[Any] = read(folder / f"{tracers[-1]}.parquet", Generation)
    goals = {clip.clip_id: clip for corpus in corpora for clip in corpus.clips}
    told = readings(rows, tracers[-1], params.traces, params.seed)
    return [_story(reading, goals, decode) for reading in told]


def _story(reading: Reading, goals: Mapping[str, Clip], decode: Decode) -> Story:
    goal = to_joints(goals[reading.clip_id].features)
    rounds = [
        Track(f"round {number}", decode(one.codes)) for number, one in enumerate(reading.rounds, start=1) if one.codes
    ]
    return Story(reading, len(goal) / FPS, [Track("goal motion", goal), *rounds])


def _draw(folder: Path, corpora: Sequence[Corpus], stories: Sequence[Story], params: ReportParams) -> None:
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
        if stories:
            (aside / "trace.png").write_bytes(pictures.png(*_rows(stories[0])))


def _rows(story: Story) -> list[tuple[np.ndarray, str]]:
    """The goal motion, then each round under what was said of it."""
    said = [
        f"round {number}. {one.assessment} {one.refinement}"
        for number, one in enumerate(story.reading.rounds, 1)
        if one.codes
    ]
    words = [f"Goal: {story.reading.goal}", *said]
    return [(track.joints, text) for track, text in zip(story.tracks, words, strict=True)]
