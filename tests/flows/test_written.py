"""Where answers are put: none in the place of another one."""

import itertools

import pytest

from flows.written import LETTERS, folder_for

LONG = "a person walks forward, turns round twice, sits down and then kicks with the"


def test_a_folder_reads_like_its_goal() -> None:
    assert folder_for("A person jumps twice!", 7).as_posix() == "runs/generated/a-person-jumps-twice-7"
    assert folder_for("走る", 7).name.startswith("motion-")


@pytest.mark.parametrize(
    "goals",
    [
        (LONG + " left leg", LONG + " right leg"),
        ("走る", "跳ぶ", "!", "?"),
        ("a person runs", "a person runs 走る"),
        ("a person jumps", "refined a person jumps"),
    ],
    ids=["long", "no letter", "some letters", "refined"],
)
def test_other_goals_and_other_seeds_have_folders_of_their_own(goals: tuple[str, ...]) -> None:
    folders = {folder_for(goal, seed) for goal, seed in itertools.product(goals, (1, 2))}
    assert len(folders) == 2 * len(goals)
    assert all(len(folder.name) < LETTERS + 20 for folder in folders)
