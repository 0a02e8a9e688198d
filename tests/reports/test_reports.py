"""The report: rows in their order, numbers as they are, nothing from the net."""

import dataclasses
import io
import json
import re
from html import unescape
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from scipy import stats

from irg_core import dialogue
from irg_core.dialogue import SENTINEL, Round, Trace
from irg_core.motion import skeleton
from irg_core.motion.features import extract
from irg_core.motion.thresholds import KinematicsParams
from irg_core.params import section
from irg_core.records.annotation import Assessment, Caption, Flawed, Pair
from irg_core.records.changes import Effect, Step
from irg_core.records.evaluation import Generation, Score
from irg_core.records.motion import Clip, Facts, Phase, SourceCaption
from irg_core.records.reasoning import Probed, Rounds, Share
from irg_core.records.training import LogRow
from irg_core.reports import drawings, exhibits, findings, page, pictures, results
from irg_core.reports.dataset import Corpus, samples
from irg_core.reports.exhibits import Room
from irg_core.reports.gallery import Gallery
from irg_core.reports.judging import judging
from irg_core.reports.models import Ceiling, Model
from irg_core.reports.page import Report
from irg_core.reports.published import published
from irg_core.reports.readings import Round as Told
from irg_core.reports.readings import reading

LIMITS = section("kinematics", KinematicsParams)
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
    }


def test_findings_are_of_every_corpus_that_has_enough_clips() -> None:
    real = [dataclasses.replace(one, subset="mocap", n=40) for one in SCORES if one.subset == "synthetic"]
    few = [dataclasses.replace(one, subset="deepmimic", n=4) for one in SCORES if one.subset == "synthetic"]
    found = findings.findings(results.tables([*real, *few], MODELS))
    assert {one.subset for one in found} == {"mocap"}
    assert "what two intervals that do not touch show, on mocap clips" in findings.text(found)
    assert "mocap" in page.render(dataclasses.replace(report(), findings=found))
    assert {one.subset for one in findings.findings(results.tables(few, MODELS))} == {"deepmimic"}
    both = findings.findings(results.tables([*SCORES[:-2], *real], MODELS))
    assert list(findings.by_sentence(both)) == ["synthetic", "mocap"]
    assert findings.text(both).count("real motions are found") == 2


def test_a_model_that_ignores_its_captions_is_found_out() -> None:
    deaf = [dataclasses.replace(s, mean=0.45) if s.row == "base-shuffled" else s for s in SCORES]
    found = {f.sentence: f.is_shown for f in findings.findings(results.tables(deaf, MODELS))}
    assert not found["base loses half of its gain with shuffled captions"]


def generation(index: int, rounds: int) -> Generation:
    wrong = tuple(Round((1, 2, 3), "The arm is wrong.", "Use the <other> arm.") for _ in range(rounds - 1))
    answer = dialogue.render(Trace("A wave.", (*wrong, Round(tuple(range(12)), "It fits.", SENTINEL))))
    motions = [[1]] * rounds
    return Generation(f"m|{index}", f"c{index}", f"c{index}", "made", False, "wave", answer, motions, True, "satisfied")


def test_a_trace_reads_as_a_story_round_by_round() -> None:
    told = reading(generation(0, 2))
    assert told.analysis == "A wave."
    assert told.rounds == [
        Told([1, 2, 3], "The arm is wrong.", "Use the <other> arm."),
        Told(list(range(12)), "It fits.", SENTINEL),
    ]


def test_a_trace_that_breaks_off_is_read_as_far_as_it_goes() -> None:
    whole = generation(0, 2).answer
    cut = whole[: whole.index("Assessment: It fits") + 16]
    told = reading(dataclasses.replace(generation(0, 2), answer=cut))
    assert told.rounds[1] == Told(list(range(12)), "It f", "")
    told = reading(dataclasses.replace(generation(0, 1), answer="broken <Motion><Motion_7><Motion_8>"))
    assert told.rounds == [Told([7, 8], "", "")]
    assert reading(dataclasses.replace(generation(0, 1), answer="words only")).rounds == [Told([], "", "")]


def room() -> Room:
    """Goals whose motion stands still, and codes that decode to the same pose."""
    clips = {f"c{n}": Clip(f"c{n}", "made", f"c{n}", "stand", extract(STILL), [], "") for n in range(100)}
    return Room(clips, lambda codes: extract(np.tile(STILL[:1], (4 * len(codes) + 20, 1, 1))), LIMITS)


def test_exhibits_are_drawn_by_lot_whatever_the_order_of_rows() -> None:
    rows = [generation(index, 1 + index % 2) for index in range(40)]
    drawn = exhibits.traces(rows, room(), 6, seed=1).exhibits
    assert [one.about for one in drawn] == [one.about for one in exhibits.traces(rows[::-1], room(), 6, 1).exhibits]
    assert len({one.about for one in drawn}) == 6


def test_a_trace_is_shown_with_its_outcome_and_what_facts_say_of_its_words() -> None:
    row = dataclasses.replace(generation(0, 2), text="a person waves with the left hand")
    (shown,) = exhibits.traces([row], room(), 1, seed=1).exhibits
    assert shown.tags == {"outcome": "missed", "action": "wave", "motions": "2", "stop": "satisfied"}
    assert [track.label for track in shown.tracks] == ["goal motion", "round 1", "round 2"]
    assert [column.title for column in shown.columns] == ["Goal motion", "Round 1", "Round 2"]
    still = dataclasses.replace(row, text="a person stands still")
    assert exhibits.traces([still], room(), 1, seed=1).exhibits[0].tags["outcome"] == "fulfilled"


@pytest.mark.parametrize(
    ("kind", "accepts", "outcome"),
    [("none", True, "judged right"), ("none", False, "judged wrong"), ("mirror", True, "judged wrong"),
     ("mirror", False, "judged right")],
)  # fmt: skip
def test_a_known_flaw_is_shown_with_what_the_model_made_of_it(kind: str, accepts: bool, outcome: str) -> None:
    row = Probed(
        f"m|c0/0~{kind}", "c0/0", "c0", "made", "a person stands still", kind, "{}", [1, 2], "The body walks forward.",
        "Stand still.", [] if accepts else [[3, 4]], -1.0, accepts, True, True, False, True, True, [],
    )  # fmt: skip
    (shown,) = exhibits.probes([row], room(), 1, seed=1).exhibits
    assert shown.tags["outcome"] == outcome
    assert shown.tags["flaw"] == ("no flaw" if kind == "none" else kind)
    assert len(shown.tracks) == len(shown.columns) == (2 if accepts else 3)
    assert "contradicted" in shown.columns[1].sayings[0].marked, "nobody walks here"


def test_curves_have_round_ticks_within_their_axes() -> None:
    for high in (0.003, 0.7, 1.0, 38.0, 950.0):
        axis = drawings._Axis([0.0, high], 0.0, 1.0)
        assert 3 <= len(axis.ticks) <= 6
        assert all(0 <= tick <= high * 1.001 for tick in axis.ticks)
    assert "polyline" in drawings.curves({"loss": [(0, 1.0), (10, 1.0)]})


STILL = np.tile(skeleton.forward_kinematics(np.zeros((1, 3)), IDENTITY), (45, 1, 1))


def accepted(right: float, flawed: float) -> dict[tuple[str, str], Share]:
    values = {"none": right, "flawed": flawed}
    return {("accepted", group): Share("accepted", group, value, 0.05, 40) for group, value in values.items()}


def test_a_judge_that_has_learnt_to_accept_everything_stands_beside_what_became_of_its_motions() -> None:
    stops, stopped = {"clips": 387, "motions": {"1": 382, "2": 5}}, {"clips": 387, "motions": {"1": 235, "3": 152}}
    said = judging(accepted(0.8, 0.7), accepted(1.0, 0.975), stopped, stops)
    assert said == (
        "accepts 40 of 40 right and 39 of 40 flawed motions (before: 32 of 40 and 28 of 40): "
        "it does not tell them apart; "
        "shows one motion and stops in 382 of 387 answers (before: 235 of 387)"
    )
    step = Step("stage2, final", "stage3, final", [], [], said)
    assert page.told(step).endswith(said)
    assert judging(accepted(0.5, 0.5), None, stopped, stops) == "", "who does not judge is not told of"
    assert "before" not in judging(None, accepted(0.5, 0.5), stopped, stops)
    assert "it tells them apart" in judging(None, accepted(0.8, 0.4), stopped, stops)


def test_the_last_stage_is_told_of_first() -> None:
    pairs = [("base", "stage1, final"), ("stage1, final", "stage2, final"), ("stage1, first", "stage1, final"),
             ("stage2, first", "stage2, final")]  # fmt: skip
    told = [(step.one, step.two) for step in page._latest_first([Step(*pair, [], []) for pair in pairs])]
    assert told == [pairs[1], pairs[3], pairs[0], pairs[2]]


def test_of_many_numbers_that_changed_it_is_said_how_many() -> None:
    many = [Effect("motion", f"number {place}", 1.0, 2.0, 0.5, 1.5, 0.001, "worse") for place in range(7)]
    still = Effect("motion", "foot skate", 1.0, 1.0, -0.5, 0.5, 1.0, "no difference shown")
    assert (
        page.told(Step("a", "b", [*many, still], [])) == "worse in 7 of 8 numbers; no difference shown in the other one"
    )


def shares(*places: tuple[str, str], n: int = 40) -> dict[tuple[str, str], Share]:
    return {place: Share(*place, 0.7, 0.1, n) for place in places}


def report() -> Report:
    logs = {"base": [LogRow("0", 0, "loss", 2.0), LogRow("1", 10, "loss", 1.0), LogRow("2", 10, "heldout_loss", 1.5)]}
    counts = {"clips": 2, "failures": 0, "wellformed": 2, "stops": {"single": 2}, "motions": {"1": 2}}
    tables = results.tables(SCORES, MODELS)
    step = Step("base", "stage2, final", [
        Effect("held-out", "R@3 in pools", 0.5, 0.62, 0.08, 0.16, 0.001, "better"),
        Effect("motion", "foot skate", 1.0, 2.0, 0.5, 1.5, 0.001, "worse"),
    ], ["R@3 is paid for: foot skate (motion) got worse"],
    guards=[Effect("motion", "jerk, m/s³", 90.0, 99.0, 5.0, 13.0, 0.0123, "worse")])  # fmt: skip
    return Report(
        results=tables,
        pool=32,
        findings=findings.findings(tables),
        counts={"references": {}, "base": counts},
        logs=logs,
        verdicts={"clips": {"holds": True, "outcomes": [1, 2], "facts": {"made": {"train": 3}}}},
        rejections={"verify": {"wrong sentinel": 4}, "ingest": {}},
        steps=[step],
        subset="synthetic",
        compared=400,
        rewarded=["text_alignment", "wellformed"],
        held_out=["third"],
        shares={"stage2": shares(("accepted", "none"), ("closer by 'third'", "flawed"), ("grounded", "mirror"))},
        by_difficulty={"stage2": shares(("accepted", "easy"), ("alignment score", "hard"))},
        difficulties=["easy", "medium", "hard"],
        by_corpus={"synthetic": {"stage2": shares(("accepted", "none"))}},
        probed={"synthetic": 38, "mocap": 2},
        answered={"base": {"synthetic": 399, "mocap": 1}},
        models=[Model("tokenizer", "abcd", 2166090, 3500, "256 codes")],
        ceilings=[Ceiling("third", "val", 162, {"R@3": 0.9876})],
        locked={"ingest@mocap": "beef"},
        rounds={"stage2": [Rounds("report", "synthetic", [1.0, 0.9], 0.1, 0.02, 400)]},
        traces=exhibits.traces([generation(0, 2)], room(), 1, seed=1),
        probes=Gallery([]),
        corpora=["mocap"],
        published=published(["humanml3d"]),
        provenance={"commit when it was made": "0123abcd"},
    )


def without_library(html: str) -> str:
    """A page without three.js, which names its authors' sites in comments and messages."""
    return re.sub(r"<script>/\*\*.*?</script>", "", html, flags=re.DOTALL)


def test_the_report_is_one_file_and_escapes_what_models_say() -> None:
    html = page.render(report())
    assert "Use the &lt;other&gt; arm." in html
    assert "synthetic" in html
    assert "wrong sentinel" in html
    assert html.count('class="panel"') == 3
    assert "better in R@3 in pools (held-out); worse in foot skate (motion)" in html
    assert "R@3 is paid for" in html
    assert "0123abcd" in html
    assert "Known flaws" not in html
    assert "0.797" in html, "the published number of real motions stands beside a build of that corpus"
    assert not re.search(r"""(src|href)=["'](?!#|[\w/]+\.(html|md))""", without_library(html))
    assert "http" not in without_library(html)
    assert len(html) < 1_000_000


def rows_of(html: str, start: str) -> list[str]:
    """The texts of table rows that begin with `start`."""
    rows = [
        " ".join(unescape(re.sub(r"<[^>]+>", " ", row)).split()) for row in re.findall(r"<tr.*?</tr>", html, re.DOTALL)
    ]
    return [row for row in rows if row.startswith(start)]


def test_the_report_tells_p_values_and_what_only_guards() -> None:
    html = page.render(report())
    assert "better, p 0.001 with all comparisons counted together" in html
    assert rows_of(html, "jerk, m/s³") == ["jerk, m/s³ motion 90.000 99.000 +9.000 +5.000 to +13.000 0.012 worse"]


def test_the_report_tells_models_ceilings_cards_and_what_it_was_made_from() -> None:
    html = page.render(report())
    assert rows_of(html, "tokenizer") == ["tokenizer 2,166,090 3,500 256 codes abcd"]
    assert rows_of(html, "third val") == ["third val 162 0.988"]
    assert rows_of(html, "ingest@mocap") == ["ingest@mocap beef"]
    assert 'href="dataset.md"' in html


def test_judging_is_told_by_difficulty_and_of_whichever_evaluator_is_held_out() -> None:
    html = page.render(report())
    assert rows_of(html, "it is closer to the goal motion, held-out 'third'")[0].endswith("0.70 ±0.10, n 40")
    assert rows_of(html, "easy") == ["easy 0.70 n 40 – – –"]
    assert rows_of(html, "hard") == ["hard – – – 0.70 n 40"]
    assert rows_of(html, "mirror") == ["mirror – 0.70 n 40 – –"], "grounded, by kind of flaw"
    assert "report</em> did not" not in html, "no evaluator is called 'report' here"


def test_numbers_over_several_corpora_say_so() -> None:
    html = page.render(report())
    text = " ".join(re.sub(r"<[^>]+>", " ", html).split())
    assert "38 synthetic , 2 of mocap , all of them counted together below" in text
    assert "Of synthetic alone" in text
    assert rows_of(html, "base 2") == ["base 2 399 synthetic , 1 mocap 0 2 of 2 (100 %) – 1: 2 single 2"]


def test_a_share_of_few_probes_is_left_out_but_not_hidden() -> None:
    few = dataclasses.replace(report(), by_difficulty={"stage2": shares(("accepted", "hard"), n=2)})
    assert rows_of(page.render(few), "hard") == ["hard – n 2 – – –"]


@pytest.mark.parametrize(
    ("mean", "interval", "n", "metric", "told"),
    [
        (0.62, 0.02, 400, "r3", "±0.020"),
        (1.0, 0.326667, 4, "r3", "[0.507, 1.000]"),
        (0.0, 0.326667, 4, "fulfilled", "[0.000, 0.493]"),
        (0.99, 0.02, 400, "gallery_r3", "[0.968, 1.000]"),
        (3.4, 5.0, 4, "mm_dist", "±5.000"),
        (3.4, 0.0, 1, "mm_dist", "(one clip)"),
    ],
)
def test_no_interval_leaves_what_can_be_and_one_clip_has_none(
    mean: float, interval: float, n: int, metric: str, told: str
) -> None:
    one = dataclasses.replace(score("stage2", "final", metric, mean), interval=interval, n=n)
    assert results.margin(one) == told
    assert told in results.text(results.tables([one], MODELS), 32)


def test_the_ends_of_a_share_are_near_those_of_the_exact_interval() -> None:
    interval = 1.96 * (34 / 35 * 1 / 35 / 35) ** 0.5
    told = results.within(1.0, interval, 33, 3, results.centred(1.0, 33))
    exact = stats.binomtest(33, 33).proportion_ci(0.95)  # Clopper and Pearson (1934)
    assert float(told[1:6]) == pytest.approx(exact.low, abs=0.03)


def test_what_is_so_by_construction_is_marked_and_nothing_else() -> None:
    fid = [
        score(row, "only", metric, 0.3)
        for row in ("real", "random", "base", "base-shuffled", "reconstruction")
        for metric in ("fid", "diversity", "r3")
    ]
    lines = {line.name: line for table in results.tables(fid, MODELS) for line in table.lines}
    given = {(name, metric) for name, line in lines.items() for metric in line.scores if line.is_given(metric)}
    assert given == {("real", "fid"), ("random", "fid"), ("random", "diversity"), ("base, shuffled", "fid"),
                     ("base, shuffled", "diversity")}  # fmt: skip
    assert "0.300 =" in results.text(results.tables(fid, MODELS), 32)


def test_the_plain_table_names_whoever_is_held_out() -> None:
    third = [dataclasses.replace(one, evaluator=name) for one in SCORES for name in ("third", "reward")]
    said = results.text(results.tables(third, MODELS), 32)
    assert "Evaluator 'reward' trained Stage 3, 'third' not." in said
    tables = [table.evaluator for table in results.tables(third, MODELS) if table.subset == "synthetic"]
    assert tables == ["third", "reward"], "who is held out comes first, whatever the name"


def corpus(name: str, count: int) -> Corpus:
    """Clips of which the first three have a flawed twin: one made, one that is another clip, one judged as right."""
    clips = [
        Clip(f"{name}/{n}", name, f"{name}/{n}", "stand", extract(STILL), [SourceCaption("it <stands>", "")], "")
        for n in range(count)
    ]
    said = [Caption(f"{clip.clip_id}/0", clip.clip_id, 0, "it <stands>", "", "source") for clip in clips]
    phase = Phase("stand", 0.0, 2.2, "", "", float("nan"), 0, "", "", float("nan"))
    made = Flawed(f"{name}/0~mirror0", "edit", "mirror", "", [1, 2], [phase], 0.4)
    shown = {0: made.motion_id, 1: f"{name}/4", 2: f"{name}/2"}
    pairs = [
        Pair(f"{name}/{n}/0|{motion}", f"{name}/{n}/0", f"{name}/{n}", "it <stands>", motion, "edit", "mirror", "", 0.1)
        for n, motion in shown.items()
    ]
    verified = [
        Assessment(pair.pair_id, "It leans.", SENTINEL if pair.motion_id == f"{name}/2" else "Stand up.")
        for pair in pairs
    ]
    return Corpus(name, clips, said, [Facts(clip.clip_id, 2.2, [phase]) for clip in clips], [made], pairs, verified)


def decode(codes: list[int]) -> np.ndarray:
    return np.tile(STILL[:1], (4 * len(codes), 1, 1))


def test_samples_are_drawn_by_lot_from_all_corpora_and_show_flawed_twins() -> None:
    corpora = [corpus("a", 9), corpus("b", 5)]
    drawn = samples(corpora, 8, 1, decode)
    assert [len(row) for row in drawn.values()] == [4, 4]
    twinned = [sample for row in drawn.values() for sample in row if sample.twin]
    assert {sample.clip_id for sample in twinned} == {"a/0", "a/1", "b/0", "b/1"}
    assert {len(sample.twin.joints) for sample in twinned if sample.twin} == {8, 44}, "codes are decoded, clips shown"
    assert drawn["a"][0].facts == ["stand (0.0-2.2 s)"]
    turned = [dataclasses.replace(row, clips=list(reversed(row.clips))) for row in corpora]
    names = {name: [sample.clip_id for sample in row] for name, row in drawn.items()}
    assert names == {name: [sample.clip_id for sample in row] for name, row in samples(turned, 8, 1, decode).items()}


def test_a_small_corpus_gives_all_it_has() -> None:
    drawn = samples([corpus("a", 30), corpus("b", 5)], 20, 1, decode)
    assert [len(row) for row in drawn.values()] == [15, 5]


def test_the_dataset_page_shows_captions_facts_and_judgements() -> None:
    html = page.render_dataset(samples([corpus("a", 5)], 5, 1, decode))
    assert html.count("it &lt;stands&gt;") >= 5
    assert html.count('class="panel"') == 7, "five clips, two of them beside a flawed twin"
    assert "Stand up." in html
    assert "http" not in without_library(html)


def test_a_picture_shows_one_strip_a_row_and_equal_motions_give_equal_bytes() -> None:
    one, two = pictures.png((STILL, "it stands")), pictures.png((STILL, "it stands"), (STILL, "again"))
    assert Image.open(io.BytesIO(two)).height == 2 * Image.open(io.BytesIO(one)).height
    assert one == pictures.png((STILL, "it stands"))
    assert len(one) < 30_000


def test_a_clip_of_an_action_is_rather_one_that_a_person_moved() -> None:
    there = corpus("a", 6)
    program = [dataclasses.replace(clip, truth="{}") for clip in there.clips[:5]]
    assert pictures.clip_of("stand", [*program, there.clips[5]], there.facts, seed=1) == there.clips[5]
    assert pictures.clip_of("jump", there.clips, there.facts, seed=1) is None


def test_the_template_is_a_dependency_though_no_import_leads_to_it() -> None:
    stages = yaml.safe_load((Path(__file__).parents[2] / "dvc.yaml").read_text())["stages"]
    assert "irg_core/reports" in stages["report"]["deps"]
