from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from irg_core import dialogue
from irg_core.errors import TableError
from irg_core.models.language import Language, LanguageConfig
from irg_core.models.vocabulary import Vocabulary
from irg_core.records.training import Example, Segment
from irg_core.seeds import rng
from irg_core.training import loop
from irg_core.training.checkpoint import Checkpoints
from irg_core.training.loop import IGNORED, SupervisedParams


def test_only_supervised_segments_and_the_end_carry_labels(language: Language) -> None:
    flawed, good = dialogue.Round((1, 2), "no", "turn"), dialogue.Round((3,), "yes", dialogue.SENTINEL)
    trace = dialogue.Trace("walk", (flawed, good))
    example = Example("x", "trace", "train", "a person walks.", dialogue.segments(trace), [])
    (found,) = loop.encode([example], language.vocabulary)
    spoken = language.vocabulary.decode([label for label in found.labels if label != IGNORED])
    assert spoken == dialogue.render(trace).replace(f"[generate]{dialogue.motion([1, 2])}[/generate]", "") + "<end>"
    assert language.vocabulary.decode(found.ids) == f"<user>a person walks.<assistant>{dialogue.render(trace)}<end>"
    assert all(label in (IGNORED, token) for token, label in zip(found.ids, found.labels, strict=True))


def test_an_unsupervised_motion_gets_no_gradient_of_its_own(language: Language) -> None:
    """The logits at an ignored position do not enter the loss, whatever the ignored token is."""
    segments = [Segment(dialogue.motion([1]), False), Segment(" fine", True)]
    (found,) = loop.encode([Example("x", "trace", "train", "walks", segments, [])], language.vocabulary)
    ids, labels = loop.padded([found], language.vocabulary.pad)
    supervised = sum(label != IGNORED for label in found.labels)
    assert len(loop.losses(language.model, ids, labels, "float32")) == supervised


@given(
    lengths=st.lists(st.integers(1, 80), min_size=1, max_size=60),
    tokens=st.integers(20, 300),
    seed=st.integers(0, 9),
)
def test_an_epoch_shows_every_row_once_within_the_budget(lengths: list[int], tokens: int, seed: int) -> None:
    stream, shown = loop.batches(lengths, tokens, seed), list[int]()
    while len(shown) < len(lengths):
        batch = next(stream)
        assert len(batch) == 1 or len(batch) * max(lengths[row] for row in batch) <= tokens
        shown += batch
    assert sorted(shown) == list(range(len(lengths)))


def test_epochs_differ_and_the_seed_decides_them() -> None:
    lengths = list(range(1, 41))
    one, same, other = ([*islice(loop.batches(lengths, 60, seed), 60)] for seed in (1, 1, 2))
    assert one == same
    assert one != other
    assert one[:20] != one[20:40]


def test_padding_changes_no_loss(language: Language, examples: list[Example]) -> None:
    rows = loop.encode(examples[:8], language.vocabulary)
    pad = language.vocabulary.pad
    with torch.inference_mode():
        together = loop.losses(language.model, *loop.padded(rows, pad), "float32")
        alone = [loop.losses(language.model, *loop.padded([row], pad), "float32") for row in rows]
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-5, rtol=1e-5)


def test_only_codes_of_the_answer_are_corrupted(language: Language, examples: list[Example]) -> None:
    prompt = f"mend {dialogue.motion([1] * 20)}"
    answer = replace(examples[0], prompt=prompt, answer=[Segment(dialogue.motion([2] * 40), True)])
    (row,) = loop.encode([answer], language.vocabulary)
    read = loop.corrupted(row, language.vocabulary, 0.5, rng(1))
    changed = [label for told, token, label in zip(row.ids, read.ids, row.labels, strict=True) if told != token]
    assert 10 < len(changed) < 30
    assert set(changed) == {language.vocabulary.first_code + 2}
    assert read.labels == row.labels
    assert loop.corrupted(row, language.vocabulary, 0.0, rng(1)) == row


class Pretended(loop.Team):
    """One member of a team, whose gradients wait for those of the others."""

    def __init__(self, rank: int, size: int) -> None:
        self.rank, self.size = rank, size
        self.given: list[torch.Tensor] = []

    def add_up(self, tensors: Sequence[torch.Tensor]) -> None:
        self.given = [tensor.detach().clone() for tensor in tensors]


@pytest.mark.parametrize("size", [2, 3, 12])
def test_the_shares_of_a_team_add_up_to_the_gradients_of_one(
    language: Language, examples: list[Example], supervised: SupervisedParams, size: int
) -> None:
    batch = loop.encode(examples[:10], language.vocabulary)
    count = sum(label != IGNORED for row in batch for label in row.labels)

    def given(team: Pretended) -> list[torch.Tensor]:
        share = batch[team.rank :: team.size]
        loop.gradients(supervised, language.model, share, language.vocabulary.pad, count, team)
        return team.given

    whole = given(Pretended(0, 1))
    summed = [sum(parts) for parts in zip(*(given(Pretended(rank, size)) for rank in range(size)), strict=True)]
    for one, several in zip(whole, summed, strict=True):
        torch.testing.assert_close(several, one, atol=1e-6, rtol=1e-5)


def test_a_word_and_its_code_are_learned(
    language: Language, examples: list[Example], supervised: SupervisedParams, tmp_path: Path
) -> None:
    journal, dropped = loop.train("train_base", supervised, language, examples, Checkpoints(tmp_path, 99))
    losses = [row.value for row in journal.rows if row.name == "loss"]
    assert losses[-1] < 0.5 * losses[0]
    assert not dropped
    # Chance is the entropy of 16 codes, 2.8; what is left is where a motion ends.
    heldout = journal.last("heldout_loss")
    assert heldout is not None
    assert heldout < 1.2


def test_what_is_too_long_is_dropped_and_counted(
    language: Language, examples: list[Example], supervised: SupervisedParams, tmp_path: Path
) -> None:
    long = Example("long", "refine", "train", "walks " * 100, [Segment("x", True)], [])
    short = replace(supervised, steps=1, warmup=1)
    _, dropped = loop.train("train_base", short, language, [*examples, long], Checkpoints(tmp_path, 99))
    assert dropped == Counter({"refine": 1})
    with pytest.raises(TableError, match=r"train_base\.longest"):
        loop.train("train_base", replace(short, longest=3), language, examples, Checkpoints(tmp_path, 99))


def test_two_interruptions_change_no_byte(
    examples: list[Example], supervised: SupervisedParams, dying: Callable[..., Checkpoints], tmp_path: Path
) -> None:
    def trained(kept: Checkpoints) -> tuple[Language, list[tuple[str, float]]]:
        language = _fresh()
        journal, _ = loop.train("train_base", supervised, language, examples, kept)
        return language, [(row.row, row.value) for row in journal.rows]

    whole, journal = trained(Checkpoints(tmp_path / "whole", 7))
    for last in (7, 21):
        with pytest.raises(KeyboardInterrupt):
            trained(dying(tmp_path / "cut", 7, last))
    resumed, journal_again = trained(Checkpoints(tmp_path / "cut", 7))
    assert journal == journal_again
    for name, weight in whole.model.state_dict().items():
        assert torch.equal(weight, resumed.model.state_dict()[name]), name


def _fresh() -> Language:
    vocabulary = Vocabulary.learn(["a person walks."], size=300, codes=16)
    return Language.create(LanguageConfig(layers=1, width=32, heads=2, feed_forward=48, positions=512), vocabulary, 3)
