"""The principal components of four frames at a time, from which the motion tokenizer begins."""

import torch
from torch import Tensor

from irg_core.models.vqvae import FRAMES_PER_CODE, Components

LEAST = 1e-12
"""Stands for no variance, and for no weight, where they divide."""


def components(patches: Tensor, weights: Tensor, count: int, main: int) -> Components:
    """The first `count` components of z-normalised patches [n, 4, features], a number's variance counted by its weight
    [features]; the first `main` of their coordinates have mean square one."""
    flat = patches.flatten(1)
    scale = weights.clamp(min=LEAST).sqrt().repeat(FRAMES_PER_CODE)
    centre = flat.mean(dim=0)
    weighted = (flat - centre) * scale
    variances, directions = torch.linalg.eigh((weighted.T @ weighted / len(flat)).double())
    found = variances.flip(0)[:count].clamp(min=LEAST)
    unit = found[:main].mean().sqrt()
    across = directions.flip(1)[:, :count].float()
    into, back = (across * scale[:, None] / unit).T, across * unit / scale[:, None]
    return Components(centre, into.float(), back.float(), (found.sqrt() / unit).float())
