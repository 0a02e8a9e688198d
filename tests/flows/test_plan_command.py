"""`irg plan` before a run, a run that stops at its budget, and what it comes to in the end."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from flows.cli import app
from irg_core.errors import BudgetSpent, ParamsError
from irg_core.llm.transcripts import kept_in
from pipelines import assess
from tests.llm import test_stage_over_the_wire as over_the_wire
from tests.llm.endpoint import Response, endpoint, said
from tests.llm.test_stage_over_the_wire import KEY, PAIRS, ROOT, tables

PRICE = {"input": 1.5, "output": 6.0}
OUT = [f"out/{name}.parquet" for name in ("assessments", "transcripts", "rejections")]
DAG = {
    "stages": {
        "inject": {"foreach": "${corpora}", "do": {"cmd": "x", "outs": ["pairs/${key}.parquet"]}},
        "assess": {
            "foreach": "${corpora}",
            "do": {
                "cmd": f"python -m flows assess ${{key}} pairs.parquet facts.parquet flawed.parquet {' '.join(OUT)}",
                "outs": [{OUT[0]: {"persist": True}}, *OUT[1:]],
            },
        },
    }
}


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def make(folder: Path, url: str) -> Path:
    made = over_the_wire.make(folder, url)
    (made / "dvc.yaml").write_text(yaml.safe_dump(DAG))
    edit(made, corpora={"c": {}}, inject={}, llm={"prices": {"m": PRICE}})
    return made


def edit(folder: Path, **sections: dict[str, Any]) -> None:
    params = yaml.safe_load((folder / "params.yaml").read_text())
    for name, values in sections.items():
        params[name] = {**params.get(name, {}), **values}
    (folder / "params.yaml").write_text(yaml.safe_dump(params))


def run() -> None:
    assess.main("c", Path("pairs.parquet"), Path("facts.parquet"), Path("flawed.parquet"), *map(Path, OUT))


def plan(*arguments: str) -> dict[str, Any]:
    result = CliRunner().invoke(app, ["plan", "--json", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    values: dict[str, Any] = json.loads(result.stdout)
    return values


def tokens(text: str) -> int:
    """As an endpoint counts them that we know nothing of: 3.7 bytes each, and a few for every line."""
    return math.ceil(len(text.encode()) / 3.7) + 2 * text.count("\n")


def judge(body: dict[str, Any]) -> Response:
    """Some judgements are longer than others, some cannot be read, and all say what they took."""
    number = int(body["messages"][1]["content"].partition("version ")[2].partition(".")[0])
    words = " ".join(["The kick is missing"] * (5 + number % 4))
    text = json.dumps({"assessment": f"{words} in {number}.", "refinement": "Kick with the left leg."})
    if len(body["messages"]) == 2 and number % 7 == 3:
        text = f"{words} in {number}, without an object"
    answer = json.loads(said(text).body)
    read = sum(7 + tokens(message["content"]) for message in body["messages"]) + 60  # for the schema
    answer["usage"] = {"prompt_tokens": read, "completion_tokens": tokens(text)}
    return Response(json.dumps(answer).encode())


def usage(folder: Path) -> tuple[int, int, int]:
    kept = list(kept_in(folder / "runs/ledger"))
    return len(kept), sum(line.tokens_in for line in kept), sum(line.tokens_out for line in kept)


def test_a_run_takes_what_was_planned_after_a_pilot_and_ends_with_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(over_the_wire, "PAIRS", 300)
    with endpoint(judge) as served:
        folder = make(tmp_path / "planned", served.url)
        monkeypatch.chdir(folder)
        edit(folder, runtime={"max_requests": 150})
        with pytest.raises(BudgetSpent, match=r"runtime\.max_requests 150 is reached"):
            run()
        assert len(served.requests) == 150
        before, sent = usage(folder), len(served.requests)
        said = plan("assess")
        (line,) = said["stages"]
        assert len(served.requests) == sent, "a plan asks nothing"
        assert (said["spent_requests"], said["max_requests"], line["plan"]["known"]) == (sent, sent, sent)
        edit(folder, runtime={"max_requests": None})
        run()
        undisturbed = make(tmp_path / "undisturbed", served.url)
        monkeypatch.chdir(undisturbed)
        run()
    assert tables(folder) == tables(undisturbed)
    requests, read, written = (after - early for after, early in zip(usage(folder), before, strict=True))
    assert line["plan"]["requests"] == pytest.approx(requests, rel=0.05)
    assert line["plan"]["tokens_in"] == pytest.approx(read, rel=0.05)
    assert line["plan"]["tokens_out"] == pytest.approx(written, rel=0.05)
    cost = (read * PRICE["input"] + written * PRICE["output"]) / 1e6
    assert line["plan"]["usd"] == pytest.approx(cost, rel=0.05)


def test_money_stops_a_run_before_it_is_overspent_and_more_money_lets_it_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with endpoint(judge) as served:
        folder = make(tmp_path / "poor", served.url)
        monkeypatch.chdir(folder)
        edit(folder, runtime={"budget_usd": 0.03})
        for _ in range(2):  # running it again spends nothing more
            with pytest.raises(BudgetSpent, match=r"of runtime\.budget_usd 0\.03 are spent"):
                run()
        paid = plan()["spent_usd"]
        assert 0.02 < paid <= 0.03
        assert not (folder / "out").exists()
        edit(folder, runtime={"budget_usd": 1.0})
        run()
        assert plan()["stages"][0]["plan"]["requests"] == 0
        undisturbed = make(tmp_path / "undisturbed", served.url)
        monkeypatch.chdir(undisturbed)
        run()
    assert tables(folder) == tables(undisturbed)
    assert len({json.dumps(body) for body in served.requests}) * 2 == len(served.requests), "each once a folder"


@pytest.mark.services
def test_a_stage_that_stops_at_its_budget_has_an_exit_status_of_its_own(tmp_path: Path) -> None:
    with endpoint(judge) as served:
        folder = make(tmp_path / "limited", served.url)
        edit(folder, runtime={"max_requests": 5})
        _, err = over_the_wire.finish(over_the_wire.start(folder), code=3)
    assert err == (
        "assess: stopped at the limit: runtime.max_requests 5 is reached; raise it and run again: "
        "what is answered is kept, and not asked twice\n"
    )


def test_without_any_reply_to_learn_from_the_question_is_counted_by_rule(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make(tmp_path / "fresh", "http://127.0.0.1:9/v1")
    monkeypatch.chdir(folder)
    (line,) = plan("assess@c")["stages"]
    one = line["plan"]
    assert (one["rows"], one["known"], one["requests"]) == (PAIRS, 0, PAIRS)
    assert one["tokens_in"] > PAIRS * 300
    assert one["usd"] == pytest.approx((one["tokens_in"] * PRICE["input"] + one["tokens_out"] * PRICE["output"]) / 1e6)


def test_batches_cost_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make(tmp_path / "fresh", "http://127.0.0.1:9/v1")
    monkeypatch.chdir(folder)
    (online,) = plan()["stages"]
    params = yaml.safe_load((folder / "params.yaml").read_text())
    edit(folder, llm={"openai": {**params["llm"]["openai"], "mode": "batch"}})
    (batched,) = plan()["stages"]
    assert batched["plan"]["usd"] == pytest.approx(online["plan"]["usd"] / 2)


def test_a_program_costs_nothing_whatever_the_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make(tmp_path / "local", "http://127.0.0.1:9/v1")
    monkeypatch.chdir(folder)
    edit(
        folder,
        assess={"provider": "kinematic", "model": "measured-facts"},
        runtime={"budget_usd": 0.0, "max_requests": 0},
    )
    run()
    values = plan()
    assert (values["spent_usd"], values["spent_requests"]) == (0.0, 0)
    assert values["stages"][0]["plan"]["usd"] == 0.0


def test_a_model_without_a_price_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make(tmp_path / "priceless", "http://127.0.0.1:9/v1")
    monkeypatch.chdir(folder)
    edit(folder, llm={"prices": {}}, runtime={"budget_usd": 1.0})
    shown = CliRunner().invoke(app, ["plan"], catch_exceptions=False).stdout
    assert "m: no price in params.yaml; add it to llm.prices" in shown
    assert plan()["stages"][0]["plan"]["usd"] is None
    with pytest.raises(ParamsError, match=r"llm\.prices has no price for 'm'"):
        run()


def test_what_must_run_first_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make(tmp_path / "early", "http://127.0.0.1:9/v1")
    monkeypatch.chdir(folder)
    dag = json.loads(json.dumps(DAG).replace("pairs.parquet", "pairs/c.parquet"))
    (folder / "dvc.yaml").write_text(yaml.safe_dump(dag))
    shown = CliRunner().invoke(app, ["plan"], catch_exceptions=False).stdout
    assert "assess@c: inject@c must run first" in shown


def test_the_stages_that_ask_are_those_of_the_dag(monkeypatch: pytest.MonkeyPatch) -> None:
    from flows.commands.plan import asking

    monkeypatch.chdir(ROOT)
    assert asking() == ["describe", "analyse", "assess"]
