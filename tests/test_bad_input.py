"""A wrong set-up ends in one sentence that names the thing, the place and the way out, and leaves nothing behind."""

import sys

import pytest

from tests.checkouts import Checkout

INGEST = (
    "ingest", "deepmimic", "data/raw/deepmimic",
    "data/clips/deepmimic.parquet", "data/rejections/x.parquet", "data/findings/x.parquet",
)  # fmt: skip


def sentence(checkout: Checkout, *arguments: str) -> str:
    """What a failing stage says: one line, and no output."""
    said = checkout.stage(*arguments, code=2).strip()
    assert said.count("\n") == 0, said
    assert not list((checkout.root / "data").rglob("*.parquet"))
    return said


def test_a_missing_source_is_named(checkout: Checkout) -> None:
    assert "data/raw/deepmimic" in sentence(checkout, *INGEST)


def test_an_empty_source_is_named(checkout: Checkout) -> None:
    (checkout.root / "data/raw/deepmimic").mkdir(parents=True)
    assert "data/raw/deepmimic" in sentence(checkout, *INGEST)


def test_an_unknown_format_lists_those_that_exist(checkout: Checkout) -> None:
    checkout.edit("params.yaml", "format: deepmimic", "format: deepmimicc")
    (checkout.root / "data/raw/deepmimic").mkdir(parents=True)
    assert "no 'deepmimicc' in irg_core/corpora; it has: amass, bvh, cmu, deepmimic" in sentence(checkout, *INGEST)


def test_an_unknown_key_of_a_corpus_is_named(checkout: Checkout) -> None:
    checkout.edit("params.yaml", "format: deepmimic", "format: deepmimic\n    fsp: 20")
    (checkout.root / "data/raw/deepmimic").mkdir(parents=True)
    assert "fsp" in sentence(checkout, *INGEST)


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("  min_seconds:", "  min_secs:", "ingest.m"),
        ("  min_seconds:", "  colour: red\n  min_seconds:", "ingest.colour"),
        ("executor: process", "executor: cluster", "runtime.executor"),
        ("\ningest:", "\ningested:", "section 'ingest' is missing"),
    ],
)
def test_an_unknown_or_missing_parameter_is_named(checkout: Checkout, old: str, new: str, named: str) -> None:
    checkout.edit("params.yaml", old, new)
    (checkout.root / "data/raw/deepmimic").mkdir(parents=True)
    assert named in sentence(checkout, *INGEST)


def test_an_unknown_stage_lists_those_that_exist(checkout: Checkout) -> None:
    assert "no stage 'ingets' in pipelines; it has: analyse" in sentence(checkout, "ingets")


def test_a_wrong_number_of_arguments_lists_them(checkout: Checkout) -> None:
    assert "takes 5 arguments (corpus, root, out, rejections, findings), not 1" in sentence(
        checkout, "ingest", "deepmimic"
    )


def test_a_disk_that_takes_no_more_is_one_sentence_and_costs_nothing_that_was_there(checkout: Checkout) -> None:
    checkout.edit("params.yaml", "clips: 2000", "clips: 6")
    checkout.edit("params.yaml", "executor: process", "executor: local")
    outs = [f"data/{name}/procedural.parquet" for name in ("clips", "rejections/ingest", "findings")]
    ingest = ("ingest", "procedural", "irg_core/corpora/procedural.yaml", *outs)
    checkout.stage(*ingest)
    before = {name: (checkout.root / name).read_bytes() for name in outs}
    checkout.edit("params.yaml", "clips: 6", "clips: 12")
    limited = f"ulimit -f 40; exec {sys.executable} -m pipelines {' '.join(ingest)}"  # files of 20 or 40 KiB, by shell
    said = checkout.run("sh", "-c", limited, code=2).strip()
    assert said.count("\n") == 0, said
    assert "ingest: the disk refused to write" in said
    assert {name: (checkout.root / name).read_bytes() for name in outs} == before
    assert not list((checkout.root / "data").rglob("*.part"))
