"""The dataset in numbers, on its page and on its card."""

from dataclasses import replace
from pathlib import Path

import pytest

from irg_core import tables
from irg_core.records.annotation import UNWRITTEN, Analysis, Rejection
from irg_core.records.motion import Split
from irg_core.records.training import Example
from irg_core.reports import card, page
from irg_core.reports.overview import Overview, _in_steps, overview
from tests.reports.test_reports import corpus, without_library

ORIGIN = replace(UNWRITTEN, provider="openai", model="m-1", prompt="analyse.md", prompt_version=2, prompt_hash="ab12")
ENTRIES = {"a": {"format": "bvh", "licence": "CC-BY-4.0"}}
GROUNDING = {
    "a": {"judges": {"openai/m-1 assess.md v3": {
        "judgements": 40, "kept_share": 0.75, "grounded_share": 0.985, "checkable_share": 0.5}}}
}  # fmt: skip


@pytest.fixture
def found(tmp_path: Path) -> Overview:
    there = corpus("a", 5)
    splits = [Split(clip.clip_id, "a", "test" if n == 4 else "train", n == 4, []) for n, clip in enumerate(there.clips)]
    analyses = [
        Analysis(row.caption_id, row.clip_id, [], "it stands", ["1", "2", "3"], "d", ORIGIN) for row in there.captions
    ]
    examples = [
        Example(f"e{n}", "assess", "train", "p", [], [], "stand", ["mirror"] * (n % 2), 3, 40, 10 * n) for n in range(6)
    ]
    traces = [replace(examples[n], example_id=f"t{n}", task="trace", flaws=["mirror"] * n) for n in range(3)]
    refused = [Rejection(f"k{n}", "verify", "leaked <words>", f"said <b>caption</b> {n}") for n in range(4)]
    for name, rows, record in (
        ("splits", splits, Split), ("analyses/a", analyses, Analysis), ("examples/stage1", examples, Example),
        ("examples/stage2", traces, Example), ("verify/a", refused, Rejection),
    ):  # fmt: skip
        tables.commit(tmp_path / f"{name}.parquet", rows, record)
    return overview(
        [there], tmp_path / "splits.parquet", tmp_path / "analyses", tmp_path / "examples",
        {"verify": [tmp_path / "verify/a.parquet"]},
    )  # fmt: skip


def test_everything_is_counted_once(found: Overview) -> None:
    told = {title: dict(values) for title, values in found.distributions.items()}
    assert told["Clips by split"] == {"train": 4, "test, unseen kind": 1}
    assert told["Examples by task"] == {"assess": 6, "trace": 3}
    assert told["Flawed motions of a trace"] == {"0": 1, "1": 1, "2": 1}
    assert told["Flaws shown in examples"] == {"mirror": 6}
    assert sum(told["Tokens of an example"].values()) == 9
    assert found.writers["analyses"] == {"openai, m-1, analyse.md version 2 (ab12)": 5}
    (refused,) = found.refused
    assert (refused.rows, len(refused.samples)) == (4, 2)
    assert found.corpora["a"].splits == {"train": 4, "val": 0, "test": 1}


@pytest.mark.parametrize("values", [[], [0.0], [0.3, 0.3, 9.99], [1.0, 400.0], [-3.0, 5.0]])
def test_steps_hold_every_value_and_are_few(values: list[float]) -> None:
    steps = _in_steps(values, 0.1)
    assert sum(count for _, count in steps) == len(values)
    assert len(steps) <= 14


def test_the_card_names_licences_writers_rates_and_limits(found: Overview) -> None:
    said = card.render(found, ENTRIES, GROUNDING)
    for part in ("| a | bvh | CC-BY-4.0 | 4 | 0 | 1 |", "openai, m-1, analyse.md version 2 (ab12) | 5 |",
                 "| a | openai/m-1 assess.md v3 | 40 | 75.0% | 98.5% | 50.0% |", "| verify | leaked <words> | 4 |",
                 "Known limits"):  # fmt: skip
        assert part in said
    assert said == card.render(found, ENTRIES, GROUNDING)


def test_the_page_shows_the_numbers_and_what_was_refused(found: Overview) -> None:
    html = page.render_dataset({"a": []}, found)
    assert "said &lt;b&gt;caption&lt;/b&gt; 0" in html
    assert "Difficulty of a flaw" in html
    assert "http" not in without_library(html)
