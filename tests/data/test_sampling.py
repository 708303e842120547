"""Frame sampling against the published rules, written out as loops."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xreid.core.errors import ConfigError, DataError
from xreid.data.sampling import (
    FrameSampling,
    chunk_first,
    chunk_random,
    dense,
    linspace,
    num_clips,
    sample,
    sorted_random,
)

lengths = st.integers(1, 120)
clip_sizes = st.integers(1, 16)


def mitml_video_test(n: int, T: int) -> list[int]:
    """Pad with the last frame to k*T, take the first of each chunk."""
    k = math.ceil(n / T) if n >= T else 1
    padded = list(range(n))
    while len(padded) < k * T:
        padded.append(n - 1)
    return [padded[i * k] for i in range(T)]


def xreid_dense(n: int, T: int) -> list[list[int]]:
    """All clips of T; the last one loops."""
    clips, start = [], 0
    while n - start > T:
        clips.append(list(range(start, start + T)))
        start += T
    last = list(range(start, n))
    for index in last:  # the list grows while it is read, as in the published code
        if len(last) >= T:
            break
        last.append(index)
    return [*clips, last]


def test_examples_of_the_specification() -> None:
    assert chunk_first(24, 10).tolist() == [0, 3, 6, 9, 12, 15, 18, 21, 23, 23]
    assert chunk_first(12, 10).tolist() == [0, 2, 4, 6, 8, 10, 11, 11, 11, 11]
    assert linspace(24, 10).tolist() == [0, 2, 4, 7, 9, 12, 14, 16, 19, 21]


@given(n=lengths, T=clip_sizes)
def test_chunk_first_is_mitmls_rule(n: int, T: int) -> None:
    assert chunk_first(n, T).tolist() == mitml_video_test(n, T)


@given(n=lengths, T=clip_sizes)
def test_dense_is_the_published_loop(n: int, T: int) -> None:
    clips = dense(n, T)
    assert clips.tolist() == xreid_dense(n, T)
    assert len(clips) == num_clips(FrameSampling.DENSE, n, T)
    assert clips.dtype == np.int64


@given(n=lengths, T=clip_sizes, seed=st.integers(0, 2**32))
def test_chunk_random_takes_one_frame_of_each_chunk(n: int, T: int, seed: int) -> None:
    frames = chunk_random(n, T, np.random.default_rng(seed))
    k = math.ceil(n / T)
    for i, frame in enumerate(frames):
        assert min(i * k, n - 1) <= frame <= min(i * k + k - 1, n - 1)


def test_chunk_random_reaches_every_frame() -> None:
    generator = np.random.default_rng(0)
    seen = {int(f) for _ in range(200) for f in chunk_random(24, 6, generator)}
    assert seen == set(range(24))  # MITML's 'random' never sees the last frame


@given(n=lengths, T=clip_sizes, seed=st.integers(0, 2**32))
def test_sorted_random_is_sorted_and_without_repeats_where_possible(n: int, T: int, seed: int) -> None:
    frames = sorted_random(n, T, np.random.default_rng(seed)).tolist()
    assert frames == sorted(frames)
    assert len(frames) == T
    assert set(frames) <= set(range(n))
    assert n < T or len(set(frames)) == T


@pytest.mark.parametrize("sampling", list(FrameSampling))
def test_every_rule_gives_positions_inside_the_tracklet(sampling: FrameSampling) -> None:
    for n in (1, 5, 6, 7, 24, 25):
        clips = sample(sampling, n, 6, generator=np.random.default_rng(n))
        assert clips.shape == (num_clips(sampling, n, 6), 6)
        assert clips.dtype == np.int64
        assert 0 <= clips.min() <= clips.max() < n


def test_bad_requests() -> None:
    with pytest.raises(DataError, match="without frames"):
        chunk_first(0, 4)
    with pytest.raises(ConfigError, match="frames per clip"):
        linspace(4, 0)
    with pytest.raises(ConfigError, match="draws at random"):
        sample(FrameSampling.CHUNK_RANDOM, 10, 4)
