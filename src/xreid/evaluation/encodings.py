"""k-reciprocal encodings of tracklets: which others they see as neighbours that see them too, and how near.

Shapes: N tracklets, D width. All N x N matrices are sparse (scipy.sparse, CSR).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from xreid.evaluation.metrics import Ints, Side, Vectors
from xreid.evaluation.neighbours import Positions, Tell, neighbours, quiet, squared_norms

Sparse = Any  # scipy.sparse.csr_array, which has no types


@dataclass(frozen=True, kw_only=True)
class Joint:
    """The different tracklets of queries and gallery.

    Attributes:
        vectors: float32 [N, D], queries first.
        query: int64 [Q], position of each query.
        gallery: int64 [G], position of each gallery tracklet.
    """

    vectors: Vectors
    query: Ints
    gallery: Ints


def joint(query: Side, gallery: Side) -> Joint:
    """Queries and gallery as one; a tracklet that stands on both sides is taken once."""
    vectors = np.concatenate([query.vectors, gallery.vectors])
    position = np.arange(len(vectors))
    if query.rows is not None and gallery.rows is not None:
        rows = np.concatenate([query.rows, gallery.rows])
        _, first, inverse = np.unique(rows, return_index=True, return_inverse=True)
        if len(first) < len(rows):
            order = np.argsort(first)
            vectors = vectors[first[order]]
            position = np.argsort(order)[inverse]
    return Joint(vectors=vectors, query=position[: len(query)], gallery=position[len(query) :])


@dataclass(frozen=True, kw_only=True)
class Encodings:
    """What re-ranking compares.

    Attributes:
        rows: Sparse float32 [N, N]: V of eq. 7, averaged over neighbours as in eq. 11; each row sums to 1.
        farthest: float32 [N], each tracklet's largest original distance.
    """

    rows: Sparse
    farthest: Vectors


def k_reciprocal_encodings(
    vectors: Vectors,
    *,
    k1: int,
    k2: int,
    distance: Literal["squared", "euclidean"],
    block_mib: int = 32,
    tell: Tell = quiet,
) -> Encodings:
    """Encode every tracklet by its k-reciprocal neighbours (Zhong et al. 2017, eq. 2 to 7 and 11).

    Args:
        vectors: float32 [N, D].
        k1: Neighbours that can be reciprocal, beside the tracklet itself.
        k2: Neighbours, itself included, whose encodings are averaged.
        distance: Original distance, whose exponential weighs the neighbours.
        block_mib: Memory for distances in MiB.
        tell: Called with tracklets done and N.
    """
    found = neighbours(vectors, count=max(k1 + 1, k2), block_mib=block_mib, tell=tell)
    farthest = np.sqrt(found.farthest) if distance == "euclidean" else found.farthest
    sets = _expanded(found.nearest, k1=k1, block_mib=block_mib)
    sets.data = _weights(sets, vectors, farthest=farthest, root=distance == "euclidean")
    if k2 > 1:
        near = _indicator(found.nearest[:, :k2], dtype=np.float32)
        near.data /= min(k2, len(vectors))
        sets = near @ sets
    return Encodings(rows=sets, farthest=farthest)


def _indicator(columns: Positions, *, dtype: type) -> Sparse:
    """Sparse [N, N] with a one at every (row, columns[row, ...])."""
    from scipy.sparse import csr_array

    total, count = columns.shape
    starts = np.arange(0, total * count + 1, count)
    matrix = csr_array((np.ones(total * count, dtype), columns.ravel(), starts), shape=(total, total))
    matrix.sort_indices()
    return matrix


def _reciprocal(nearest: Positions, k: int) -> Sparse:
    """Pairs that are among each other's k nearest, the tracklet itself aside (eq. 3); symmetric."""
    near = _indicator(nearest[:, : k + 1], dtype=np.int32)
    return near.multiply(near.T).tocsr()


def _expanded(nearest: Positions, *, k1: int, block_mib: int) -> Sparse:
    """R* of eq. 4: R(i, k1), and R(j, k1 / 2) of each j in it that has over two thirds of it in R(i, k1)."""
    from scipy.sparse import vstack

    whole, half = _reciprocal(nearest, k1), _reciprocal(nearest, round(k1 / 2))
    sizes = half.sum(axis=1)
    rows = max(1, block_mib * 2**20 // (16 * (k1 + 1) * (k1 // 2 + 2)))
    parts = []
    for start in range(0, len(nearest), rows):
        part = whole[start : start + rows]
        common = (
            (part @ half).multiply(part).tocsr()
        )  # [i, j] = |R(i, k1) and R(j, k1 / 2)|; half is symmetric
        common.data = (3 * common.data > 2 * sizes[common.indices]).astype(np.int32)
        parts.append(part + common @ half)
    expanded = vstack(parts, format="csr")
    expanded.eliminate_zeros()
    expanded.sort_indices()
    return expanded


def _weights(sets: Sparse, vectors: Vectors, *, farthest: Vectors, root: bool) -> Vectors:
    """float32, one per entry of `sets`: exp(-distance / farthest of the row); rows sum to 1 (eq. 7)."""
    norms = squared_norms(vectors)
    weights = np.empty(len(sets.indices), dtype=np.float32)
    for row in range(len(vectors)):
        entries = slice(sets.indptr[row], sets.indptr[row + 1])
        others = sets.indices[entries]
        distances = norms[row] + norms[others] - 2 * (vectors[others] @ vectors[row])
        distances[others == row] = 0
        distances = np.maximum(distances, 0)
        if root:
            distances = np.sqrt(distances)
        near = np.exp(-distances / farthest[row])
        weights[entries] = near / near.sum()
    return weights
