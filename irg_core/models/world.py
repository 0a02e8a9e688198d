"""Where a body is: the sums of its root's speed and turning, for gradients and for codes that keep to a path."""

import torch
from torch import Tensor
from torch.nn import functional

from irg_core.motion import representation

NEARLY = 1e-8
"""Under roots of squared metres, whose slope is infinite at nothing."""


def gaps(rows: Tensor, others: Tensor) -> Tensor:
    """Vectors [batch, frames, joints, 3] in metres from joints of some rows to those of others, in the world."""
    return (world_joints(rows) - world_joints(others)) / representation.of(rows.shape[-1]).metre


def lengths(vectors: Tensor) -> Tensor:
    """Mean length [batch, frames] of vectors [batch, frames, joints, 3]."""
    return (vectors.square().sum(dim=-1) + NEARLY).sqrt().mean(dim=-1)


def world_joints(rows: Tensor) -> Tensor:
    """`features.to_joints` for gradients: joints [batch, frames, J, 3] of rows [batch, frames, 263 or 251], in the unit
    of the rows."""
    kind = representation.of(rows.shape[-1])
    half = _until(rows[..., 0]).cumsum(dim=1)
    cosine, sine = torch.cos(2.0 * half), -torch.sin(2.0 * half)
    x, z = (part.cumsum(dim=1) for part in _turned(cosine, sine, _until(rows[..., 1]), _until(rows[..., 2])))
    others = rows[..., kind.positions].unflatten(-1, (-1, 3))
    across, along = _turned(cosine[..., None], sine[..., None], others[..., 0], others[..., 2])
    root = torch.stack([x, rows[..., 3], z], dim=-1)
    return torch.cat(
        [root[..., None, :], torch.stack([across + x[..., None], others[..., 1], along + z[..., None]], dim=-1)], dim=-2
    )


def _turned(cosine: Tensor, sine: Tensor, x: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    return cosine * x + sine * z, cosine * z - sine * x


def _until(values: Tensor) -> Tensor:
    """What has happened before each frame [batch, frames], where a value tells of the way to the next."""
    return functional.pad(values[:, :-1], (1, 0))
