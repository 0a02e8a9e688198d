"""Numbers that are none stop a training at the step in which they come up, and the rows behind them are named."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from irg_core import dialogue
from irg_core.errors import ModelError
from irg_core.models.language import Language
from irg_core.records.training import Example, Goal, Segment
from irg_core.training import grpo, loop
from irg_core.training.checkpoint import Checkpoints
from irg_core.training.judge import Judge
from irg_core.training.loop import SupervisedParams
from tests.training.test_grpo import PARAMS, fresh

RARE = 15
"""A code that only the odd example says."""


def odd(split: str) -> Example:
    return Example("odd", "base", split, "a person walks.", [Segment(dialogue.motion([RARE]), True)], [])


def spoil(language: Language, value: float) -> None:
    """A row of the embedding that only the odd example reads; the head has another matrix, and stays whole."""
    vocabulary, model = language.vocabulary, language.model
    model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())
    with torch.no_grad():
        model.get_input_embeddings().weight[vocabulary.first_code + RARE] = value


@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
def test_of_a_large_batch_the_one_odd_example_is_named(
    language: Language, examples: list[Example], supervised: SupervisedParams, tmp_path: Path, broken: float
) -> None:
    """And the last good checkpoint stays."""
    params = replace(supervised, tokens=1024, checkpoint_every=1, log_every=99, corrupted=0.0, packing=False)

    class Late(Checkpoints):
        def save(self, saved: loop.Saved) -> None:
            super().save(saved)
            if saved.step == 2:
                spoil(language, broken)

    kept = Late(tmp_path, 1)
    with pytest.raises(ModelError, match=r"loss is \S+ and its gradient \S+ at step 3, on the examples odd; ") as told:
        loop.train("train_base", params, language, [*examples, odd("train")], kept)
    assert "\n" not in str(told.value)
    newest = kept.newest()
    assert newest is not None
    assert newest.step == 2


def test_an_infinite_gradient_of_a_finite_loss_is_found_too(
    language: Language, examples: list[Example], supervised: SupervisedParams, tmp_path: Path
) -> None:
    class Steep(torch.autograd.Function):
        @staticmethod
        def forward(_: object, x: torch.Tensor) -> torch.Tensor:
            return x.clone()

        @staticmethod
        def backward(_: object, slope: torch.Tensor) -> torch.Tensor:
            return slope * torch.inf

    language.model.model.norm.register_forward_hook(lambda _module, _given, found: Steep.apply(found))
    before = {name: weight.clone() for name, weight in language.model.state_dict().items()}
    with pytest.raises(ModelError, match=r"the loss is \d\S+ and its gradient (nan|inf) at step 1, on the examples \d"):
        loop.train("train_base", supervised, language, examples, Checkpoints(tmp_path, 1))
    for name, weight in language.model.state_dict().items():
        assert torch.equal(weight, before[name]), name


def test_heldout_examples_are_named_too(
    language: Language, examples: list[Example], supervised: SupervisedParams, tmp_path: Path
) -> None:
    params = replace(supervised, steps=1, warmup=1, measured=99, packing=False, corrupted=0.0)
    spoil(language, float("nan"))
    with pytest.raises(ModelError, match=r"heldout examples is nan after step 1, on the examples odd; checkpoints"):
        loop.train("train_base", params, language, [*examples, odd("val")], Checkpoints(tmp_path, 1))
    assert Checkpoints(tmp_path, 1).newest() is None


def test_a_broken_policy_stops_where_no_group_would_teach(
    goals: list[Goal],
    brief: Judge,
    tmp_path: Path,
) -> None:
    """All its answers are alike, so that no loss is ever worked out."""
    language, kept = fresh(), Checkpoints(tmp_path, 99)
    with torch.no_grad():
        language.model.model.norm.weight.fill_(torch.nan)
    with pytest.raises(ModelError, match=r"probabilities are no numbers at step 1, on the goals g\d, g\d; checkpoints"):
        grpo.train(PARAMS, language, fresh(), goals, brief, kept)


def test_of_several_goals_those_of_the_broken_pass_are_named(
    goals: list[Goal],
    brief: Judge,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[str] = []
    taken: Callable[..., torch.Tensor] = grpo.log_probabilities

    def broken(model: object, batch: grpo.Batch, *rest: object) -> torch.Tensor:
        found = taken(model, batch, *rest)
        return found * torch.nan if len(seen) == 1 else found

    def named(language: Language, prompts: Sequence[str], *rest: object) -> grpo.Batch:
        batch = made(language, prompts, *rest)
        seen.append(next(goal.goal_id for goal in prompted if goal.prompt == prompts[0]))
        return batch

    made: Callable[..., grpo.Batch] = grpo.batch_of
    prompted = [replace(goal, prompt=f"{goal.prompt} {goal.goal_id}") for goal in goals]
    monkeypatch.setattr(grpo, "log_probabilities", broken)
    monkeypatch.setattr(grpo, "batch_of", named)
    params = replace(PARAMS, answers_at_once=1, beta=0.0)
    with pytest.raises(ModelError, match=r"the loss is nan .* at step 1, on the goals (g\d);") as told:
        grpo.train(params, fresh(), None, prompted, brief, Checkpoints(tmp_path, 99))
    assert f"goals {seen[0]};" in str(told.value)
