"""What all trainings share about steps: the rate at each, and the machine settings that their bytes depend on."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch

Precision = Literal["float32", "bfloat16"]
Schedule = Literal["cosine", "constant"]


def rate(schedule: Schedule, step: int, peak: float, warmup: int, steps: int) -> float:
    """The learning rate of a step: `learning_rate`, or after the same warm-up `peak` to the end."""
    return learning_rate(min(step, warmup) if schedule == "constant" else step, peak, warmup, steps)


def learning_rate(step: int, peak: float, warmup: int, steps: int) -> float:
    """Linear warm-up to `peak` in `warmup` steps, then a cosine down to a tenth of it at the last."""
    if step < warmup:
        return peak * (step + 1) / warmup
    progress = (step - warmup) / max(1, steps - warmup)
    return peak * (0.1 + 0.45 * (1 + math.cos(math.pi * min(1.0, progress))))


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate


def generator(seed: int) -> torch.Generator:
    """A torch generator of its own; the global one is never touched."""
    return torch.Generator().manual_seed(seed % 2**63)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Fixed threads: their number changes the last bits of sums, and with them every byte of the weights."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def reduced(precision: Precision, device: str = "cpu") -> torch.autocast:
    """For the forward pass of a net only: losses and codebooks are summed in float32."""
    return torch.autocast(device, dtype=torch.bfloat16, enabled=precision == "bfloat16")


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """What libraries draw from torch's global state, such as dropout, comes from `seed`; the state is put back after.

    A step that is repeated after a kill draws the same again, and no checkpoint need keep that state.
    """
    with torch.random.fork_rng(devices=range(torch.cuda.device_count()) if torch.cuda.is_initialized() else []):
        torch.manual_seed(seed % 2**63)
        yield
