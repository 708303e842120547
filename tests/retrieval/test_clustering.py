"""Constrained average linkage against a naive loop, and its rules by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xreid.retrieval.clustering import cluster


def naive(affinity: np.ndarray, apart: np.ndarray, least: float) -> list[list[int]]:
    clusters = [[i] for i in range(len(affinity))]
    while True:
        best = None
        for i, a in enumerate(clusters):
            for j in range(i + 1, len(clusters)):
                b = clusters[j]
                if any(apart[x, y] for x in a for y in b):
                    continue
                mean = float(np.mean([affinity[x, y] for x in a for y in b]))
                if best is None or mean > best[0] + 1e-12:
                    best = mean, i, j
        if best is None or best[0] <= least:
            return sorted(sorted(c) for c in clusters)
        clusters[best[1]] += clusters.pop(best[2])


def _matrices(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    affinity = rng.normal(size=(count, count))
    apart = rng.random((count, count)) < 0.15
    return affinity + affinity.T, apart | apart.T


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 12), st.integers(0, 10_000), st.sampled_from([-0.5, 0.0, 0.7]))
def test_equals_the_naive_loop(count: int, seed: int, least: float) -> None:
    affinity, apart = _matrices(count, seed)
    assert cluster(affinity, apart, least=least) == naive(affinity, apart, least)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 15), st.integers(0, 10_000))
def test_what_must_stay_apart_stays_apart(count: int, seed: int) -> None:
    affinity, apart = _matrices(count, seed)
    found = cluster(affinity + 5, apart)
    assert sorted(row for rows in found for row in rows) == list(range(count))
    assert not any(apart[a, b] for rows in found for a in rows for b in rows if a != b)


def test_groups_to_start_from_and_a_hand_worked_case() -> None:
    affinity = np.array([[0, 3, -1, -9], [3, 0, 2, -9], [-1, 2, 0, -9], [-9, -9, -9, 0]], dtype=float)
    free = np.zeros((4, 4), dtype=bool)
    # 0 and 1 join (3); their mean affinity to 2 is (-1 + 2) / 2 = 0.5
    assert cluster(affinity, free) == [[0, 1, 2], [3]]
    assert cluster(affinity, free, least=0.5) == [[0, 1], [2], [3]]
    apart = free.copy()
    apart[0, 2] = apart[2, 0] = True
    assert cluster(affinity, apart) == [[0, 1], [2], [3]]
    assert cluster(affinity, apart, together=[[3, 0]]) == [[0, 3], [1, 2]]
    assert cluster(affinity, apart, together=[[0, 2]]) == [[0, 1, 2], [3]]


@pytest.mark.parametrize("count", [0, 1])
def test_nothing_to_join(count: int) -> None:
    assert cluster(np.zeros((count, count)), np.zeros((count, count), dtype=bool)) == [[0]][:count]
