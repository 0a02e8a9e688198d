"""The claim's bookkeeping, and one whole turn of it on the small chain."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from benchmarks import claim, claim_gates
from benchmarks.claim import Job, Place
from irg_core.records.evaluation import Values
from irg_core.records.training import Example
from irg_core.tables import commit, read
from tests.checkouts import Checkout

CI = claim.profiled("ci")


def test_every_job_comes_after_those_whose_outs_it_needs() -> None:
    found = claim.jobs(CI)
    places = {job.name: place for place, job in enumerate(found)}
    assert places["compose"] < places["train_stage1"] < places["train_stage2"] < places["evaluate@stage3"]
    assert not [
        (job.name, other.name) for job in found for other in found[: places[job.name]] if claim.feeds(job, other)
    ]


def test_data_is_made_once_and_each_seed_draws_and_trains_for_itself() -> None:
    found = claim.jobs(CI)
    once, own = claim.shared(found), claim.descendants(found, claim.FIRST_OF_A_SEED)
    assert not {job.name for job in once} & {job.name for job in own}
    assert {"train_tokenizer", "train_evaluators@report", "train_base", "verify@procedural"} <= {
        job.name for job in once
    }
    assert {"compose", "train_stage1", "train_stage2", "train_stage3"} <= {job.name for job in own}


def test_words_of_a_job_are_those_of_the_dag() -> None:
    (job,) = [job for job in claim.jobs(CI) if job.name == "evaluate@stage1"]
    assert job.words[:3] == ("evaluate", "stage1", "data/models/stage1")
    assert "data/values/stage1.parquet" in job.makes


def test_a_profile_that_names_what_is_not_there_ends_with_its_name() -> None:
    with pytest.raises(SystemExit, match="'nothing' is not in params"):
        claim._over({"some": 1}, {"nothing": 2}, "x")


def test_another_parameter_is_another_folder() -> None:
    assert claim.fingerprint(CI) == claim.fingerprint(claim.profiled("ci"))
    assert claim.fingerprint(CI) != claim.fingerprint(claim.changed(CI, {"train_stage1.steps": 21}))


def test_a_job_that_was_done_is_not_done_again(tmp_path: Path) -> None:
    place = Place(tmp_path / "place", CI)
    command = ["sh", "-c", "echo once >> times"]
    place.call("one", command)
    place.call("one", command)
    assert (place.root / "times").read_text() == "once\n"
    assert place.seconds >= 0.0


def test_a_job_that_fails_is_named_and_not_marked(tmp_path: Path) -> None:
    place = Place(tmp_path / "place", CI)
    with pytest.raises(SystemExit, match="one failed: no luck"):
        place.call("one", ["sh", "-c", "echo no luck >&2; exit 1"])
    assert not (place.root / "done" / "one.json").exists()


def test_controls_see_as_many_supervised_tokens_as_batches_really_hold(tmp_path: Path) -> None:
    """Three of 30 fit into a batch of 100, which is then not full; two of 50 fill it."""
    for name, prompt, answer in (("short", 20, 10), ("long", 30, 20)):
        rows = [
            Example(f"{n}", "base", "train", "", [], [], prompt_tokens=prompt, answer_tokens=answer,
                    supervised_tokens=answer)
            for n in range(12)
        ]  # fmt: skip
        huge = Example("huge", "base", "train", "", [], [], prompt_tokens=60, answer_tokens=9, supervised_tokens=9)
        commit(tmp_path / f"{name}.parquet", [*rows, huge], Example)
    params = {"steps": 8, "tokens": 100, "seed": 1, "longest": 60}
    assert claim.supervised(tmp_path / "short.parquet", params) == 8 * 30
    assert claim.supervised(tmp_path / "long.parquet", params) == 8 * 40
    assert claim.steps_for(tmp_path / "long.parquet", params, 8 * 30) == 6


def _values(row: str, numbers: list[float]) -> Values:
    name, motion = row.split("|")
    return Values(row, name, motion, "report", "synthetic", "r3", "clips", sum(numbers) / len(numbers), numbers)


def test_seeds_are_put_together_clip_by_clip() -> None:
    one = {("stage1|first", "report", "r3"): _values("stage1|first", [0.0, 1.0])}
    two = {("stage1|first", "report", "r3"): _values("stage1|first", [1.0, 1.0])}
    (whole,) = claim.together([one, two]).values()
    assert whole.values == [0.5, 1.0]
    assert whole.mean == pytest.approx(0.75)


def test_a_row_is_compared_with_its_control() -> None:
    better, worse = [1.0] * 30, [0.0] * 20 + [1.0] * 10
    found = {
        ("stage1|first", "report", "r3"): _values("stage1|first", better),
        ("base+|only", "report", "r3"): _values("base+|only", worse),
    }
    (apart,) = claim.compared(found)
    assert (apart.one, apart.two) == ("stage1|first", "base+|only")
    assert apart.low > 0.0


def test_an_ablation_is_compared_with_the_chain_that_lacks_nothing() -> None:
    alone = {
        key: one
        for name, numbers in (("half", [0.0] * 20 + [1.0] * 10), ("more analyses", [1.0] * 30))
        for key, one in claim._named(name, {("stage2|final", "report", "r3"): _values("stage2|final", numbers)})
    }
    (apart,) = claim.compared(alone, claim.against_half(alone))
    assert (apart.one, apart.two) == ("more analyses: stage2|final", "half: stage2|final")
    assert apart.low > 0.0


def test_ablations_have_half_of_the_steps_but_where_length_is_what_they_change() -> None:
    steps = {one.name: claim.steps_of(one, CI) for one in claim.ABLATIONS}
    assert steps["half"]["train_stage2.steps"] == CI["train_stage2"]["steps"] // 2
    assert steps["longer stage 2"]["train_stage2.steps"] == 4 * steps["half"]["train_stage2.steps"]
    assert steps["longer stage 2"]["train_stage1.steps"] == steps["half"]["train_stage1.steps"]


def test_chance_has_half_of_the_area_and_a_perfect_judge_all_of_it() -> None:
    assert claim_gates.auc([1.0, 2.0], [1.0, 2.0]) == 0.5
    assert claim_gates.auc([3.0, 4.0], [1.0, 2.0]) == 1.0
    assert claim_gates.auc([], [1.0]) == 0.5


def _adopted(place: Place, built: Place, found: list[Job]) -> None:
    """As if the jobs had been done in this place."""
    for job in found:
        for out in job.makes:
            place.take(out, built)
        (place.root / "done").mkdir(exist_ok=True)
        (place.root / "done" / f"{job.name}.json").write_text('{"seconds": 1.0}')


@pytest.mark.chain
def test_a_seed_gets_its_gates_its_controls_and_its_table(branch: Callable[[], Checkout], tmp_path: Path) -> None:
    built = branch().root
    params = yaml.safe_load((built / "params.yaml").read_text())
    common = Place(built, params)
    place = Place(tmp_path / "17", claim.changed(params, {f"{section}.seed": 17 for section in claim.SEEDED}))
    found = claim.jobs(params)
    _adopted(place, common, [job for job in found if job not in claim.shared(found)])

    worked = claim.seeded(tmp_path, params, common, 17)
    claim.written("ci", params, {17: worked}, {}, tmp_path)

    told = json.loads((tmp_path / "claim.json").read_text())["seeds"]["17"]
    assert {"base|only", "base+|only", "stage1+|final", "stage3|final", "real|only"} <= set(told["rows"])
    assert set(told["gates"]) == {"stage1", "stage2"}
    assert 0.0 <= told["gates"]["stage1"]["judgement"]["AUC: random"] <= 1.0
    assert set(told["gates"]["stage1"]["analysis"]) < set(told["gates"]["stage2"]["analysis"])
    assert "fulfilled after the true analysis" in told["gates"]["stage2"]["analysis"]
    steps = yaml.safe_load((tmp_path / "17" / "controls" / "base+" / "params.yaml").read_text())["train_stage1"][
        "steps"
    ]
    assert steps > params["train_stage1"]["steps"]
    said = (tmp_path / "claim.md").read_text()
    assert "| stage2, final |" in said
    assert "own right less own wrong" in said


def test_without_ignore_incorrect_all_of_a_trace_is_supervised(tmp_path: Path) -> None:
    from irg_core.dialogue import Round, Trace, segments

    trace = Trace("1. walk.", (Round((1,), "wrong", "walk"), Round((2,), "right", "No refinements needed.")))
    row = Example("t", "trace", "train", "walk", segments(trace), [])
    place = Place(tmp_path / "place", CI)
    commit(place.root / "data" / "examples" / "stage2.parquet", [row], Example)
    job = Job(
        "train_stage2", ("train_stage2", "data/models/stage1", "data/examples/stage2.parquet", "v", "out"), (), ()
    )
    (without,) = [one for one in claim.ABLATIONS if one.all_supervised]
    other = claim._other_stage2(place, job, without)
    (again,) = read(place.root / other.words[2], Example)
    assert all(part.supervised for part in again.answer)
    assert [part.text for part in again.answer] == [part.text for part in row.answer]
