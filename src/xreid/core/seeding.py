"""Named, independent random streams derived from one seed: nothing here touches global state."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def stream_seed(seed: int, *names: object) -> int:
    """A 63-bit seed for the stream named by `names`, e.g. stream_seed(0, "augment", epoch, row).

    The same arguments give the same seed on every machine and in every process.
    """
    text = "/".join([str(seed), *map(str, names)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def numpy_generator(seed: int, *names: object) -> np.random.Generator:
    """A NumPy generator for the named stream."""
    return np.random.default_rng(stream_seed(seed, *names))


def torch_generator(seed: int, *names: object) -> torch.Generator:
    """A CPU torch generator for the named stream."""
    import torch

    return torch.Generator().manual_seed(stream_seed(seed, *names))
