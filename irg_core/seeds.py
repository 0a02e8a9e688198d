"""Randomness that belongs to a row, not to a moment.

`rng(seed, key)` is the same generator on any machine, in any order, with any number of workers.
"""

import hashlib

import numpy as np


def derive(seed: int, *key: object) -> int:
    """A 64-bit seed for one row: SHA-256 over the run's seed and the row's key."""
    text = "\x1f".join([str(seed), *map(str, key)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def rng(seed: int, *key: object) -> np.random.Generator:
    """The generator of one row. PCG64 is named outright: NumPy may change what `default_rng` means."""
    return np.random.Generator(np.random.PCG64(derive(seed, *key)))
