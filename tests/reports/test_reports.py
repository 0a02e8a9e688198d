"""The report: rows in their order, numbers as they are, nothing from the net."""

import base64
import dataclasses
import io
import json
from pathlib import Path

import numpy as np
import yaml
from PIL import Image

from irg_core import dialogue
from irg_core.dialogue import SENTINEL, Round, Trace
from irg_core.motion import skeleton
from irg_core.motion.features import extract
from irg_core.motion.strips import strip
from irg_core.records.evaluation import Generation, Score
from irg_core.records.motion import Clip, SourceCaption
from irg_core.records.training import LogRow
from irg_core.reports import drawings, findings, page, results
from irg_core.reports.page import Report
from irg_core.reports.readings import paragraphs, readings
from irg_core.reports.samples import Sample, samples

IDENTITY = np.tile([1.0, 0.0, 0.0, 0.0], (1, 22, 1))
MODELS = ["references", "base", "stage2"]


def score(row: str, motion: str, metric: str, mean: float, subset: str = "synthetic") -> Score:
    return Score(row, motion, "report", subset, metric, mean, 0.02, 0.01, 400)


SCORES = [
    score("stage2", "final", "r3", 0.62), score("stage2", "first", "r3", 0.6), score("base", "only", "r3", 0.5),
    score("base-shuffled", "only", "r3", 0.1), score("random", "only", "r3", 0.1), score("real", "only", "r3", 0.97),
    score("mean-pose", "only", "fid", 2.0), score("reconstruction", "only", "fid", 0.2),
    score("real", "only", "r3", 0.9, subset="deepmimic"), score("real", "only", "r3", 0.9, subset="synthetic/unseen"),
]  # fmt: skip


def test_references_lead_and_first_motions_stand_before_final_ones() -> None:
    synthetic, unseen, deepmimic = results.tables(SCORES, MODELS)
    assert [table.subset for table in (synthetic, unseen, deepmimic)] == ["synthetic", "synthetic/unseen", "deepmimic"]
    names = [line.name for line in synthetic.lines]
    assert names == [
        "real",
        "random",
        "mean-pose",
        "reconstruction",
        "base",
        "base, shuffled",
        "stage2, first",
        "stage2, final",
    ]


def test_metrics_nest_from_row_to_metric_and_are_json() -> None:
    nested = json.loads(json.dumps(results.metrics(SCORES)))
    assert nested["stage2"]["final"]["report"]["synthetic"]["r3"] == {"mean": 0.62, "interval": 0.02, "n": 400}


def test_the_plain_table_marks_what_is_synthetic() -> None:
    text = results.text(results.tables(SCORES, MODELS), 32)
    assert "*synthetic*, evaluator 'report', 400 test clips" in text
    assert "0.970 ±0.020" in text


def test_findings_say_what_the_intervals_allow() -> None:
    found = {f.sentence: f.is_shown for f in findings.findings(results.tables(SCORES, MODELS))}
    assert found == {
        "real motions are found: R@3 of at least 0.8": True,
        "reconstruction beats mean-pose in FID": True,
        "base is above random in R@3": True,
        "base loses half of its gain with shuffled captions": True,
        "stage2, first is above random in R@3": True,
        "stage2, final is above random in R@3": True,
        "stage2, final is above base in R@3": True,
        "stage2, final is above its first motion in R@3": False,
    }


def test_a_model_that_ignores_its_captions_is_found_out() -> None:
    deaf = [dataclasses.replace(s, mean=0.45) if s.row == "base-shuffled" else s for s in SCORES]
    found = {f.sentence: f.is_shown for f in findings.findings(results.tables(deaf, MODELS))}
    assert not found["base loses half of its gain with shuffled captions"]


def generation(index: int, rounds: int) -> Generation:
    wrong = tuple(Round((1, 2, 3), "The arm is wrong.", "Use the <other> arm.") for _ in range(rounds - 1))
    answer = dialogue.render(Trace("A wave.", (*wrong, Round(tuple(range(12)), "It fits.", SENTINEL))))
    motions = [[1]] * rounds
    return Generation(f"m|{index}", f"c{index}", f"c{index}", "made", False, "wave", answer, motions, True, "satisfied")


def test_a_trace_reads_as_paragraphs_with_short_motions() -> None:
    assert paragraphs(generation(0, 2).answer) == [
        ("Analysis", "A wave."),
        ("Motion", "3 codes, 0.6 s: 1 2 3"),
        ("Judgement", "Assessment: The arm is wrong.\nRefinement: Use the <other> arm."),
        ("Motion", "12 codes, 2.4 s: 0 1 2 3 4 5 6 7 …"),
        ("Judgement", f"Assessment: It fits.\nRefinement: {SENTINEL}"),
    ]
    assert paragraphs("broken <Motion><Motion_7>") == [("Answer", "broken 1 codes, 0.2 s: 7")]


def test_traces_are_drawn_so_that_loops_are_seen() -> None:
    rows = [generation(index, 1) for index in range(20)] + [generation(99, 2)]
    drawn = readings(rows, "m", 3, seed=1)
    assert [sum(heading == "Motion" for heading, _ in reading.paragraphs) for reading in drawn] == [2, 1, 1]
    assert drawn == readings(list(reversed(rows)), "m", 3, seed=1)


def test_curves_have_round_ticks_within_their_axes() -> None:
    for high in (0.003, 0.7, 1.0, 38.0, 950.0):
        axis = drawings._Axis([0.0, high], 0.0, 1.0)
        assert 3 <= len(axis.ticks) <= 6
        assert all(0 <= tick <= high * 1.001 for tick in axis.ticks)
    assert "polyline" in drawings.curves({"loss": [(0, 1.0), (10, 1.0)]})


def test_the_page_is_one_file_and_escapes_what_models_say() -> None:
    logs = {"base": [LogRow("0", 0, "loss", 2.0), LogRow("1", 10, "loss", 1.0), LogRow("2", 10, "heldout_loss", 1.5)]}
    counts = {"clips": 2, "failures": 0, "wellformed": 2, "stops": {"single": 2}, "motions": {"1": 2}}
    tables = results.tables(SCORES, MODELS)
    html = page.render(
        Report(
            results=tables,
            pool=32,
            findings=findings.findings(tables),
            counts={"references": {}, "base": counts},
            logs=logs,
            verdicts={"clips": {"holds": True, "outcomes": [1, 2], "facts": {"made": {"train": 3}}}},
            rejections={"verify": {"wrong sentinel": 4}, "ingest": {}},
            readings=readings([generation(0, 2)], "stage2", 3, seed=1),
            samples={"mocap": [Sample("mocap/walk", ["a person <walks>."], "data:image/png;base64,AAAA")]},
        )
    )
    assert "Use the &lt;other&gt; arm." in html
    assert "synthetic" in html
    assert "wrong sentinel" in html
    assert "a person &lt;walks&gt;." in html
    assert html.count("src=") == html.count('src="data:image/png')
    assert "http" not in html


def test_samples_are_drawn_by_lot_and_can_be_opened() -> None:
    still = np.tile(skeleton.forward_kinematics(np.zeros((1, 3)), IDENTITY), (45, 1, 1))
    clips = [
        Clip(f"c/{n}", "c", f"c/{n}", "stand", extract(still), [SourceCaption("it stands", "")], "") for n in range(9)
    ]
    drawn = samples(clips, 3, seed=1)
    assert len({sample.clip_id for sample in drawn}) == 3
    assert drawn == samples(list(reversed(clips)), 3, seed=1)
    picture = base64.b64decode(drawn[0].picture.removeprefix("data:image/png;base64,"))
    assert Image.open(io.BytesIO(picture)).size == strip(still, "it stands").size
    assert len(picture) < 30_000


def test_the_template_is_a_dependency_though_no_import_leads_to_it() -> None:
    stages = yaml.safe_load((Path(__file__).parents[2] / "dvc.yaml").read_text())["stages"]
    assert "irg_core/reports" in stages["report"]["deps"]
