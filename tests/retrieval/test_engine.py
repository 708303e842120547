"""Exact search against a naive loop."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xreid.retrieval.engine import ExactEngine


def _unit(rng: np.random.Generator, count: int, *, width: int = 6, distinct: int | None = None) -> np.ndarray:
    vectors = rng.normal(size=(distinct or max(count, 1), width)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors[rng.integers(0, len(vectors), size=count)] if distinct else vectors[:count]


def naive(queries: np.ndarray, gallery: np.ndarray, allowed: np.ndarray, k: int) -> list[list[int]]:
    answers = []
    for query, may in zip(queries, allowed, strict=True):
        scores = [(float(query @ vector), row) for row, vector in enumerate(gallery) if may[row]]
        answers.append([row for _, row in sorted(scores, key=lambda pair: (-round(pair[0], 5), pair[1]))[:k]])
    return answers


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    sizes=st.lists(st.integers(0, 25), min_size=1, max_size=4),
    k=st.integers(1, 12),
    block=st.integers(1, 40),
    share=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    ties=st.booleans(),
)
def test_equal_to_the_naive_search(
    seed: int, sizes: list[int], k: int, block: int, share: float, ties: bool
) -> None:
    rng = np.random.default_rng(seed)
    arrays = [_unit(rng, size, distinct=3 if ties else None) for size in sizes]
    gallery = np.concatenate(arrays)
    queries = _unit(rng, 3)
    allowed = rng.random((3, len(gallery))) < share
    found = ExactEngine(arrays, block=block).top(queries, k=k, allowed=lambda a, b: allowed[:, a:b])
    for query, nearest, expected, may in zip(
        queries, found, naive(queries, gallery, allowed, k), allowed, strict=True
    ):
        exact = gallery[nearest.rows] @ query if len(nearest.rows) else np.empty(0)
        assert nearest.scores == pytest.approx(exact, abs=1e-6)
        assert all(may[nearest.rows])
        if ties:  # equal vectors may differ in the last bit from block to block: compare scores
            assert gallery[nearest.rows] @ query == pytest.approx(gallery[expected] @ query, abs=1e-5)
        else:
            assert nearest.rows.tolist() == expected


def test_ties_come_in_order_of_rows() -> None:
    vectors = np.tile(np.array([[1.0, 0.0]], dtype=np.float32), (50, 1))
    found = ExactEngine([vectors], block=7).top(
        vectors[:1], k=10, allowed=lambda a, b: np.ones((1, b - a), dtype=bool)
    )
    assert found[0].rows.tolist() == list(range(10))
