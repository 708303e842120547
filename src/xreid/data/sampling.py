"""Which frames of a tracklet make a clip: the training and testing rules of the published code.

All rules return positions 0..n-1 into a tracklet's frames, int64 [T] (dense: [C, T]).
"""

from __future__ import annotations

from enum import StrEnum

import numpy as np
import numpy.typing as npt

from xreid.core.errors import ConfigError, DataError

Indices = npt.NDArray[np.int64]


class FrameSampling(StrEnum):
    """Names of the rules, as stored in configurations and embedding sets."""

    CHUNK_RANDOM = "chunk-random"
    SORTED_RANDOM = "sorted-random"
    CHUNK_FIRST = "chunk-first"
    LINSPACE = "linspace"
    DENSE = "dense"

    @property
    def is_random(self) -> bool:
        """Whether the rule draws, which testing must not."""
        return self in (FrameSampling.CHUNK_RANDOM, FrameSampling.SORTED_RANDOM)


def chunks(n: int, T: int) -> Indices:
    """T equal chunks of the tracklet, int64 [T, k]: k = ceil(n / T), padded with the last frame.

    Source: MITML's 'video_train' and 'video_test'.
    """
    _require(n, T)
    k = -(-n // T)
    return np.minimum(np.arange(k * T, dtype=np.int64), n - 1).reshape(T, k)


def chunk_random(n: int, T: int, generator: np.random.Generator) -> Indices:
    """One random frame of each of T equal chunks ("restricted random", the training rule)."""
    table = chunks(n, T)
    return table[np.arange(T), generator.integers(table.shape[1], size=T)]


def chunk_first(n: int, T: int) -> Indices:
    """The first frame of each of T equal chunks (testing; MITML, SAADG, M3-ReID, X-ReID)."""
    return chunks(n, T)[:, 0]


def sorted_random(n: int, T: int, generator: np.random.Generator) -> Indices:
    """T random frames in time order, without replacement where n >= T (training on BUPTCampus)."""
    _require(n, T)
    return np.sort(generator.choice(n, size=T, replace=n < T)).astype(np.int64)


def linspace(n: int, T: int) -> Indices:
    """T evenly spaced frames, the end left out (testing; BUPTCampus)."""
    _require(n, T)
    return np.linspace(0, n, T, endpoint=False, dtype=np.int64)


def dense(n: int, T: int) -> Indices:
    """All frames as consecutive clips, int64 [C, T]; the last clip repeats itself until it is full."""
    _require(n, T)
    full = (n - 1) // T * T  # the last clip holds 1..T frames
    tail = full + np.arange(T, dtype=np.int64) % (n - full)
    return np.concatenate([np.arange(full, dtype=np.int64).reshape(-1, T), tail[None]])


def sample(
    sampling: FrameSampling, n: int, T: int, *, generator: np.random.Generator | None = None
) -> Indices:
    """Clips of one tracklet by a named rule, int64 [C, T]; C is 1 but for "dense".

    Raises:
        ConfigError: The rule draws and no generator was given.
        DataError: The tracklet has no frames.
    """
    if sampling.is_random and generator is None:
        raise ConfigError(f"frame sampling {sampling} draws at random", todo="Use it for training only.")
    if sampling is FrameSampling.DENSE:
        return dense(n, T)
    if generator is not None and sampling is FrameSampling.CHUNK_RANDOM:
        return chunk_random(n, T, generator)[None]
    if generator is not None and sampling is FrameSampling.SORTED_RANDOM:
        return sorted_random(n, T, generator)[None]
    return (chunk_first(n, T) if sampling is FrameSampling.CHUNK_FIRST else linspace(n, T))[None]


def num_clips(sampling: FrameSampling, n: int, T: int) -> int:
    """How many clips a rule makes of a tracklet of n frames."""
    _require(n, T)
    return -(-n // T) if sampling is FrameSampling.DENSE else 1


def _require(n: int, T: int) -> None:
    if n < 1:
        raise DataError("cannot sample a tracklet without frames")
    if T < 1:
        raise ConfigError("a clip needs frames", expected="frames per clip >= 1", got=str(T))
