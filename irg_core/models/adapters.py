"""LoRA: small matrices beside the large ones learn, and with them the rows of tags and motion codes.

Rows that a pretrained model never saw must be learned whole. Of the embedding and of the head only those rows get a
gradient and moments: with 256,000 pieces the whole matrices would be most of what has to be kept in memory.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import Parameter, functional

from irg_core.errors import ParamsError


@dataclass(frozen=True)
class LoraParams:
    """Adapters of one training; without them all weights are trained.

    There is no dropout: nothing in a training may draw from a source of randomness that a checkpoint does not hold.
    """

    rank: int
    """Of the two matrices beside each weight. More can learn more and is larger."""
    alpha: int
    """What they say is scaled by alpha / rank."""
    targets: Literal["all-linear"] | list[str]
    """Names of the projections that get adapters, or all but the head."""

    def __str__(self) -> str:
        targets = self.targets if isinstance(self.targets, str) else ", ".join(self.targets)
        return f"LoRA of rank {self.rank}, alpha {self.alpha:g}, on {targets}; rows of tags and codes"


def adapt(model: Any, lora: LoraParams, rows: Sequence[int], seed: int) -> Any:
    """The model with adapters, at first without effect; all but these and `rows` of its vocabulary is frozen."""
    from peft import LoraConfig, get_peft_model  # takes seconds, and few trainings need it

    targets = lora.targets if isinstance(lora.targets, str) else list(lora.targets)
    config = LoraConfig(
        r=lora.rank, lora_alpha=lora.alpha, lora_dropout=0.0, target_modules=targets, task_type="CAUSAL_LM"
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed % 2**63)
        try:
            adapted = get_peft_model(model, config)
        except ValueError as error:
            linear = sorted({name.split(".")[-1] for name, one in model.named_modules() if isinstance(one, nn.Linear)})
            raise ParamsError(f"lora.targets {targets} are not in this model; it has: {', '.join(linear)}") from error
    places = torch.tensor(sorted(rows))
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    known = Parameter(embedding.weight.detach()[places].clone())
    said = known if head.weight is embedding.weight else Parameter(head.weight.detach()[places].clone())
    model.set_input_embeddings(_Embedding(embedding, known, places))
    model.set_output_embeddings(_Head(head, said, places))
    return adapted


def merge(adapted: Any) -> Any:
    """The plain model that says the same: adapters added to their weights, rows put back, everything trainable."""
    model = adapted.merge_and_unload()
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    for part in (embedding, head):
        part.put_back()
    model.set_input_embeddings(embedding.whole)
    model.set_output_embeddings(head.whole)
    return model.requires_grad_(True)


@contextmanager
def unadapted(adapted: Any) -> Iterator[None]:
    """For as long as this lasts the model says what it said before it had adapters."""
    model = adapted.get_base_model()
    parts = (model.get_input_embeddings(), model.get_output_embeddings())
    with adapted.disable_adapter():
        for part in parts:
            part.is_asleep = True
        try:
            yield
        finally:
            for part in parts:
                part.is_asleep = False


class _Rows(nn.Module):
    """A frozen matrix [vocabulary, width], some rows of which are learned apart."""

    places: Tensor

    def __init__(self, whole: Any, rows: Parameter, places: Tensor) -> None:
        super().__init__()
        self.whole = whole.requires_grad_(False)
        self.rows = rows
        self.register_buffer("places", places, persistent=False)
        self.is_asleep = False

    @property
    def weight(self) -> Tensor:
        """What transformers asks for type and place."""
        weight: Tensor = self.whole.weight
        return weight

    @torch.no_grad()
    def put_back(self) -> None:
        self.whole.weight[self.places] = self.rows


class _Embedding(_Rows):
    slots: Tensor

    def __init__(self, whole: Any, rows: Parameter, places: Tensor) -> None:
        super().__init__(whole, rows, places)
        slots = torch.full((whole.num_embeddings,), -1)
        slots[places] = torch.arange(len(places))
        self.register_buffer("slots", slots, persistent=False)

    def forward(self, ids: Tensor) -> Tensor:
        found: Tensor = self.whole(ids)
        if self.is_asleep:
            return found
        slots = self.slots[ids]
        # Gemma 3 scales inside of its embedding.
        learned = functional.embedding(slots.clamp(min=0), self.rows) * getattr(self.whole, "embed_scale", 1.0)
        return torch.where(slots[..., None] >= 0, learned, found)


class _Head(_Rows):
    def forward(self, hidden: Tensor) -> Tensor:
        scores: Tensor = self.whole(hidden)
        if self.is_asleep:
            return scores
        bias = None if self.whole.bias is None else self.whole.bias[self.places]
        return scores.index_copy(-1, self.places, functional.linear(hidden, self.rows, bias))
