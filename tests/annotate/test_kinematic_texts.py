"""What the kinematic annotator says is true of what the synthesiser was told to do, which it never sees."""

from collections import Counter
from pathlib import Path

import pytest

from benchmarks import kinematic_texts
from benchmarks.kinematic_texts import Tally, Text, judged_by_truth, variety
from irg_core.annotate.grounding import CONTRADICTED, SUPPORTED
from irg_core.corpora import procedural
from irg_core.motion.thresholds import KinematicsParams
from irg_core.params import section

CLIPS, SEED = 14, 6


@pytest.fixture(scope="module")
def judged() -> tuple[list[Text], Tally, dict[str, dict[str, int]]]:
    takes = list(procedural.read(Path(kinematic_texts.GRAMMAR), clips=CLIPS, seed=SEED))
    return judged_by_truth(takes, section("kinematics", KinematicsParams))


def test_its_statements_are_true_by_the_parameters_of_the_motion(
    judged: tuple[list[Text], Tally, dict[str, dict[str, int]]],
) -> None:
    for kind, counts in judged[1].items():
        verdicts = Counter[str]()
        for (_, verdict), many in counts.items():
            verdicts[verdict] += many
        assert verdicts[SUPPORTED] > 50, kind
        assert verdicts[CONTRADICTED] <= 0.02 * verdicts[SUPPORTED], kind


def test_it_asks_for_nothing_to_be_mended_where_nothing_was_altered_and_for_something_where_it_was(
    judged: tuple[list[Text], Tally, dict[str, dict[str, int]]],
) -> None:
    wrong = {kind: row for kind, row in judged[2].items() if row["right"] != row["shown"]}
    assert not wrong


def test_its_texts_differ_and_keep_within_the_published_lengths(
    judged: tuple[list[Text], Tally, dict[str, dict[str, int]]],
) -> None:
    found = variety(judged[0])
    assert found["assessment"]["longest"] <= 81
    assert found["refinement"]["longest"] <= 66
    assert 20 <= found["assessment"]["words"] <= 38
    assert 12 <= found["refinement"]["words"] <= 29
    assert all(row["unique_texts"] > 0.9 for row in found.values())
    assert found["caption"]["openings"] >= CLIPS / 2
