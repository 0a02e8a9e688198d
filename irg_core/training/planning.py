"""What the four trainings would take, by arithmetic alone: no data, no weights and no accelerator are needed.

Parameters are counted on a model of the right shape without storage. What a pass keeps for its way back is counted the
same way: the pass is made over tensors that have shapes and no numbers, and what autograd would keep is added up.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from irg_core.models.adapters import LoraParams
from irg_core.models.language import ATTENTION, hidden_states, logits
from irg_core.training.grpo import TrainStage3Params
from irg_core.training.loop import SupervisedParams
from irg_core.training.schedule import Precision, reduced

FLOAT = 4
"""Bytes of a weight, a gradient, and each of Adam's two moments: float32 in every stage."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One training, planned. Bytes are those of each worker: weights are whole on every one, or shared by all."""

    stage: str
    steps: int
    tokens: int
    """That all workers read together, prompts included, at most: a step's batch is seldom quite full."""
    sampled: int
    """That they write themselves, at most."""
    parameters: int
    trained: int
    weights: int
    """With the reference, where a stage has one of its own."""
    gradients: int
    moments: int
    activations: int
    """Kept for the way back, in a pass of the longest examples; or keys and values of sampling, if those are more."""

    @property
    def memory(self) -> int:
        return self.weights + self.gradients + self.moments + self.activations

    def hours(self, tokens_each_second: float, workers: int) -> float:
        """At so many tokens a second of each worker, read or written."""
        return (self.tokens + self.sampled) / tokens_each_second / workers / 3600


def supervised(stage: str, config: Any, new_rows: int, params: SupervisedParams) -> Plan:
    """A training of the loop. `new_rows`: tags and codes, which learn beside adapters."""
    model = shape(config)
    parameters, learning = count(model), trained_count(model, params.lora, new_rows)
    read = max(1, params.tokens // (params.workers * params.accumulate))
    rows = max(1, read // params.longest)
    kept = activations(config, rows, params.longest, params.precision)  # a longer example goes alone
    holders = params.workers if params.sharding == "full" else 1  # what is gathered of one layer comes and goes
    return Plan(
        stage, params.steps, params.steps * params.tokens, 0, parameters, learning,
        FLOAT * parameters // holders, FLOAT * learning // holders, 2 * FLOAT * learning // holders, kept,
    )  # fmt: skip


def reinforced(config: Any, new_rows: int, params: TrainStage3Params, prompt: int) -> Plan:
    """Stage 3: answers of at most `max_tokens` behind prompts of about `prompt` tokens."""
    model = shape(config)
    parameters, learning = count(model), trained_count(model, params.lora, new_rows)
    answers, longest = params.goals * params.group, prompt + params.max_tokens
    at_once = min(params.answers_at_once, max(1, answers // params.workers))
    kept = activations(config, at_once, longest, params.precision)
    has_reference = params.beta > 0 and params.lora is None
    return Plan(
        "train_stage3", params.steps, params.steps * answers * longest * params.updates,
        params.steps * answers * params.max_tokens, parameters, learning,
        FLOAT * parameters * (2 if has_reference else 1), FLOAT * learning, 2 * FLOAT * learning,
        max(kept, cache(config, answers // params.workers, longest)),
    )  # fmt: skip


def shape(config: Any) -> Any:
    """A model with the shapes of all weights and no numbers in them."""
    from transformers import AutoModelForCausalLM

    with torch.device("meta"), torch.random.fork_rng(devices=[]):
        return AutoModelForCausalLM.from_config(config, dtype=torch.float32, attn_implementation=ATTENTION)


def count(model: nn.Module) -> int:
    return sum(weight.numel() for weight in model.parameters())


def trained_count(model: Any, lora: LoraParams | None, new_rows: int) -> int:
    """Parameters that learn: all, or two thin matrices beside each target, and the new rows at both ends."""
    if lora is None:
        return count(model)
    head, embedding = model.get_output_embeddings(), model.get_input_embeddings()
    targets = [
        part
        for name, part in model.named_modules()
        if isinstance(part, nn.Linear)
        and part is not head
        and (lora.targets == "all-linear" or name.rpartition(".")[2] in lora.targets)
    ]
    ends = 1 if head.weight is embedding.weight else 2
    thin = sum(lora.rank * (part.in_features + part.out_features) for part in targets)
    return thin + ends * new_rows * embedding.embedding_dim


def activations(config: Any, rows: int, length: int, precision: Precision) -> int:
    """Bytes that autograd keeps of a pass over [rows, length] tokens, all of them supervised.

    Weights that are kept as they are cost nothing more, bfloat16 copies of them do. Adapters save little here: they
    keep the same inputs as the weights beside them.
    """
    from torch._subclasses.fake_tensor import FakeTensorMode
    from transformers import AutoModelForCausalLM

    with FakeTensorMode(allow_non_fake_inputs=True):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32, attn_implementation=ATTENTION)
        return kept_bytes(model, rows, length, precision)


def kept_bytes(model: Any, rows: int, length: int, precision: Precision) -> int:
    """Bytes of what autograd keeps of a pass, weights apart; each piece of memory counts once."""
    found: dict[int, int] = {}
    own = {_place(weight) for weight in model.parameters()}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        if (place := _place(tensor)) not in own:
            found[place] = tensor.untyped_storage().nbytes()
        alive.append(tensor)
        return tensor

    alive: list[torch.Tensor] = []  # or a later piece of memory might stand where one has gone
    ids = torch.zeros(rows, length, dtype=torch.long)
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        with reduced(precision):
            hidden = hidden_states(model.train(), input_ids=ids, use_cache=False)
            scores = logits(model, hidden)
        functional.cross_entropy(scores.float().flatten(0, 1), ids.flatten())
    return sum(found.values())


def _place(tensor: torch.Tensor) -> int:
    place: int = tensor.untyped_storage()._cdata
    return place


def cache(config: Any, rows: int, length: int) -> int:
    """Bytes of keys and values, float32, while so many answers of this length are sampled together."""
    text = config.get_text_config()
    heads = getattr(text, "num_key_value_heads", None) or text.num_attention_heads
    width = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    return int(2 * text.num_hidden_layers * heads * width * FLOAT * rows * length)
