"""Weights that lie in shares on the workers of a team, for models that no one of them could hold with its moments.

Each layer's weights are gathered when a pass comes to it and let go after, and gradients arrive as shares, summed over
the team. A checkpoint knows nothing of it: it holds whole tensors under the same names, and can be gone on from by any
number of workers, sharded or not.
"""

from collections.abc import Callable
from types import MethodType
from typing import Any, Literal

import torch
from torch import Tensor, distributed
from torch.distributed.tensor import DTensor, distribute_tensor

from irg_core.models.language import causal

Sharding = Literal["none", "full"]


def shard(model: Any, device: torch.device, scores: Callable[..., Tensor]) -> None:
    """Leave on this worker its share of a model's weights, in place; all members call this with the same model.

    What is gathered in one go: a layer, and what is no layer's. Those who read such a model call `model.scores(batch)`,
    which is `scores(model, batch)` with the weights in place; its parts by themselves have no weights to go by.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method

    mesh = init_device_mesh(device.type, (distributed.get_world_size(),))
    names = set(causal(model)._no_split_modules or ())
    model.scores = MethodType(scores, model)
    for part in [*(part for part in model.modules() if type(part).__name__ in names), model]:
        fully_shard(part, mesh=mesh, reshard_after_forward=True)
    for part in model.modules():
        if isinstance(part, FSDPModule):
            # A loss is divided by the supervised tokens of the whole batch: gradients are summed, not averaged.
            part.set_gradient_divide_factor(1.0)
            part.set_force_sum_reduction_for_comms(True)  # gloo knows no multiplication on the way
    register_fsdp_forward_method(model, "scores")


def whole(tensor: Tensor) -> Tensor:
    """A tensor out of its shares, on the CPU; all members take part, and the first has it. Others stay as they are."""
    if not isinstance(tensor, DTensor):
        return tensor
    full: Tensor = tensor.full_tensor()
    return full.cpu() if distributed.get_rank() == 0 else full.new_empty(0)


def alike(tensor: Tensor, like: Tensor) -> Tensor:
    """This worker's share of a tensor that all have whole, where that is how `like` is held."""
    if not isinstance(like, DTensor) or tensor.shape != like.shape:
        return tensor
    found: Tensor = distribute_tensor(tensor.to(like.device), like.device_mesh, like.placements, src_data_rank=None)
    return found


def number(tensor: Tensor) -> float:
    """Of a tensor with one, however it is held."""
    found: Tensor = tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
    return float(found.item())
