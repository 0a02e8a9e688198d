import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from irg_core import dialogue
from irg_core.errors import ModelError, ParamsError, TableError
from irg_core.models.language import Language, LanguageConfig
from irg_core.models.vocabulary import Vocabulary
from irg_core.records.training import Example, Segment
from irg_core.training import loop
from irg_core.training.checkpoint import Checkpoints, Saved
from irg_core.training.journal import Journal
from irg_core.training.loop import SupervisedParams
from irg_core.training.packing import pack
from irg_core.training.rows import IGNORED, Encoded, encode
from irg_core.training.schedule import learning_rate, rate


def test_an_unsupervised_motion_gets_no_gradient_of_its_own(language: Language) -> None:
    """The logits at an ignored position do not enter the loss, whatever the ignored token is."""
    segments = [Segment(dialogue.motion([1]), False), Segment(" fine", True)]
    (found,) = encode([Example("x", "trace", "train", "walks", segments, [])], language.vocabulary)
    supervised = sum(label != IGNORED for label in found.labels)
    assert len(loop.losses(language.model, pack([found], language.vocabulary.pad), "float32")) == supervised


# ---- against the formulas --------------------------------------------------------------------------------------------


def oracle(weights: dict[str, torch.Tensor], config: Any, row: Encoded) -> torch.Tensor:
    """-log p of every supervised token of one example, summed: a Llama written from its formulas, in float64."""

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        return weights[f"{name}.weight"] * x / (x.pow(2).mean(-1, keepdim=True) + config.rms_norm_eps).sqrt()

    def turned(x: torch.Tensor) -> torch.Tensor:  # rotary positions: pairs (i, i + half) as complex numbers
        half = x.shape[-1] // 2
        rates = config.rope_parameters["rope_theta"] ** (-torch.arange(half, dtype=torch.float64) / half)
        angle = torch.arange(x.shape[1], dtype=torch.float64)[:, None] * rates
        both = torch.complex(x[..., :half], x[..., half:]) * torch.polar(torch.ones_like(angle), angle)
        return torch.cat([both.real, both.imag], dim=-1)

    ids = torch.from_numpy(row.ids).long()
    x = weights["model.embed_tokens.weight"][ids]
    heads = config.num_attention_heads
    for layer in range(config.num_hidden_layers):
        at = f"model.layers.{layer}"
        read = norm(x, f"{at}.input_layernorm")
        q, k, v = (
            (read @ weights[f"{at}.self_attn.{name}_proj.weight"].T).unflatten(-1, (heads, -1)).transpose(0, 1)
            for name in "qkv"
        )
        scores = turned(q) @ turned(k).transpose(1, 2) / math.sqrt(q.shape[-1])
        future = torch.ones(len(ids), len(ids), dtype=torch.bool).triu(1)
        said = scores.masked_fill(future, -torch.inf).softmax(-1) @ v
        x = x + said.transpose(0, 1).flatten(1) @ weights[f"{at}.self_attn.o_proj.weight"].T
        read = norm(x, f"{at}.post_attention_layernorm")
        gate, up = (read @ weights[f"{at}.mlp.{name}_proj.weight"].T for name in ("gate", "up"))
        x = x + (gate / (1 + (-gate).exp()) * up) @ weights[f"{at}.mlp.down_proj.weight"].T
    scores = norm(x, "model.norm") @ weights["model.embed_tokens.weight"].T
    chances = scores.exp() / scores.exp().sum(-1, keepdim=True)
    is_wanted = row.labels[1:] != IGNORED
    return -chances[:-1][torch.arange(len(ids) - 1), ids[1:]].log()[torch.from_numpy(is_wanted)].sum()


def test_loss_and_gradient_are_those_of_the_formulas(examples: list[Example], supervised: SupervisedParams) -> None:
    language = fresh(layers=2)
    language.model.double()
    trace = dialogue.Trace(
        "walk", (dialogue.Round((1, 2), "no", "turn"), dialogue.Round((3,), "yes", dialogue.SENTINEL))
    )
    mixed = [*examples[:9], Example("x", "trace", "train", "a person walks.", dialogue.segments(trace), [])]
    batch = encode(mixed, language.vocabulary)
    count = loop.supervised_tokens(batch)
    loss = loop.gradients(replace(supervised, accumulate=3), language, batch, count, loop.Team())

    weights = {name: weight.detach().clone().requires_grad_() for name, weight in language.model.named_parameters()}
    wanted = torch.stack([oracle(weights, language.model.config, row) for row in batch]).sum() / count
    wanted.backward()
    assert loss.item() == pytest.approx(wanted.item(), rel=1e-6)
    for name, weight in language.model.named_parameters():
        assert weight.grad is not None
        assert weights[name].grad is not None
        apart = (weight.grad - weights[name].grad).norm() / weights[name].grad.norm()
        assert apart < 1e-6, name


# ---- shares of a batch -----------------------------------------------------------------------------------------------


class Pretended(loop.Team):
    """One member of a team, whose gradients wait for those of the others."""

    def __init__(self, rank: int, size: int) -> None:
        self.rank, self.size = rank, size
        self.given: list[torch.Tensor] = []

    def add_up(self, tensors: Sequence[torch.Tensor]) -> None:
        self.given = [tensor.detach().clone() for tensor in tensors]


@pytest.mark.parametrize("size", [1, 2, 3, 12])
@pytest.mark.parametrize("accumulate", [1, 2, 4, 8])
def test_workers_and_passes_change_no_gradient(
    language: Language, examples: list[Example], supervised: SupervisedParams, size: int, accumulate: int
) -> None:
    """Examples of unlike length: a mean of means would weigh them otherwise."""
    batch = encode(examples[:10], language.vocabulary)
    count = loop.supervised_tokens(batch)

    def given(team: Pretended, passes: int) -> list[torch.Tensor]:
        share = batch[team.rank :: team.size]
        loop.gradients(replace(supervised, accumulate=passes), language, share, count, team)
        return team.given

    whole = given(Pretended(0, 1), 1)
    shares = (given(Pretended(rank, size), accumulate) for rank in range(size))
    summed = [sum(parts) for parts in zip(*shares, strict=True)]
    for one, several in zip(whole, summed, strict=True):
        torch.testing.assert_close(several, one, atol=1e-6, rtol=1e-5)


def test_passes_change_no_loss_curve(examples: list[Example], supervised: SupervisedParams, tmp_path: Path) -> None:
    def curve(accumulate: int) -> list[float]:
        # A rate at which Adam does not blow up the last bits of gradients near zero.
        params = replace(supervised, accumulate=accumulate, steps=12, log_every=1, learning_rate=0.001)
        kept = Checkpoints(tmp_path / str(accumulate), 99)
        return [row.value for row in loop.train("train_base", params, fresh(), examples, kept)[0].rows]

    once = curve(1)
    for accumulate in (2, 4, 8):
        assert curve(accumulate) == pytest.approx(once, rel=1e-5)


def test_a_constant_rate_is_warmed_up_and_stays() -> None:
    found = [rate("constant", step, 1.0, 4, 20) for step in range(20)]
    assert found == [0.25, 0.5, 0.75, *[1.0] * 17]
    assert [rate("cosine", step, 1.0, 4, 20) for step in range(20)] == [
        learning_rate(step, 1.0, 4, 20) for step in range(20)
    ]


# ---- whole trainings -------------------------------------------------------------------------------------------------


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
        loop.train("train_base", replace(short, longest=3), language, examples, Checkpoints(tmp_path / "none", 99))


def test_two_interruptions_change_no_byte(
    examples: list[Example], supervised: SupervisedParams, dying: Callable[..., Checkpoints], tmp_path: Path
) -> None:
    def trained(kept: Checkpoints) -> tuple[Language, list[tuple[str, float]]]:
        language = fresh()
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


def test_a_training_that_learns_nothing_more_ends_early_with_its_best_weights(
    examples: list[Example], supervised: SupervisedParams, dying: Callable[..., Checkpoints], tmp_path: Path
) -> None:
    """A rate that is too high: it gets better, then worse."""
    params = replace(supervised, steps=400, measure_every=2, patience=3, learning_rate=0.1, schedule="constant")

    def trained(kept: Checkpoints) -> tuple[Language, Journal]:
        language = fresh()
        return language, loop.train("train_base", params, language, examples, kept)[0]

    language, journal = trained(Checkpoints(tmp_path / "whole", 50))
    looks = [(row.value, row.step) for row in journal.rows if row.name == "heldout_loss"]
    assert looks[-1][1] < 400
    assert looks.index(min(looks)) == len(looks) - 4
    heldout = loop.prepared("train_base", params, language, [], Checkpoints(tmp_path / "whole", 50)).heldout
    found = loop.measure(language, heldout, params, loop.Team())
    assert found["heldout_loss"] == min(looks)[0]

    # And a kill in between changes nothing: what was best is among the checkpoints.
    with pytest.raises(KeyboardInterrupt):
        trained(dying(tmp_path / "cut", 3, min(looks)[1]))
    resumed, again = trained(Checkpoints(tmp_path / "cut", 3))
    assert again.rows == journal.rows
    for name, weight in language.model.state_dict().items():
        assert torch.equal(weight, resumed.model.state_dict()[name]), name


def test_patience_needs_something_to_look_at(supervised: SupervisedParams) -> None:
    with pytest.raises(ParamsError, match="patience"):
        replace(supervised, patience=2, measured=0)


def test_answers_are_generated_where_a_stage_asks(
    examples: list[Example], supervised: SupervisedParams, tmp_path: Path
) -> None:
    """From nonsense to motions that end and hold the right code."""
    params, language = replace(supervised, generated=4, steps=60, measure_every=10, tokens=512), fresh()
    journal, _ = loop.train("train_base", params, language, examples, Checkpoints(tmp_path, 99))
    wellformed = [row.value for row in journal.rows if row.name == "generated_wellformed"]
    right = [row.value for row in journal.rows if row.name == "generated_accuracy"]
    assert len(wellformed) == 6
    assert wellformed[-1] == 1.0
    assert right[-1] > 0.5
    assert 0.5 < (journal.last("heldout_accuracy") or 0) <= 1.0


def test_a_trace_is_wellformed_where_it_can_be_read(language: Language) -> None:
    trace = dialogue.render(dialogue.Trace("walk", (dialogue.Round((3,), "yes", dialogue.SENTINEL),)))

    def said(text: str, task: str) -> bool:
        ids = [*language.vocabulary.encode(text), language.vocabulary.end]
        return loop.is_wellformed(loop.Answer(text, ids, [], "satisfied", []), task, language.vocabulary)

    assert said(trace, "trace")
    assert not said(trace.replace("[assess]", ""), "trace")
    assert said(dialogue.motion([1, 2]), "base")
    assert not loop.is_wellformed(loop.Answer("walk", [5], [], "tokens", []), "base", language.vocabulary)


def test_a_loss_that_is_no_number_stops_the_run_and_names_the_examples(
    examples: list[Example], supervised: SupervisedParams, tmp_path: Path
) -> None:
    class Poisonous(Checkpoints):
        """Spoils a weight once the second checkpoint is written."""

        def save(self, saved: Saved) -> None:
            super().save(saved)
            if saved.step == 2:
                with torch.no_grad():
                    language.model.get_input_embeddings().weight[0].fill_(torch.nan)
                    language.model.model.norm.weight.fill_(torch.nan)

    language, kept = fresh(), Poisonous(tmp_path, 1)
    with pytest.raises(ModelError, match=r"train_base: the loss is nan .*at step 3, on the examples \d\d, .* more; "):
        loop.train("train_base", supervised, language, examples, kept)
    newest = kept.newest()
    assert newest is not None
    assert newest.step == 2


def fresh(layers: int = 1) -> Language:
    vocabulary = Vocabulary.learn(["a person walks."], size=300, codes=16)
    config = LanguageConfig(layers=layers, width=32, heads=2, feed_forward=48, positions=512)
    return Language.create(config, vocabulary, 3)
