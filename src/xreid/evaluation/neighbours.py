"""Exact nearest neighbours of every vector among all, in blocks of distances.

Shapes: N vectors, D width, K neighbours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from xreid.evaluation.metrics import Vectors

Positions = npt.NDArray[np.int32]
Tell = Callable[[int, int], None]  # called with what is done, and of how much


def quiet(done: int, total: int) -> None:
    """Tell nobody."""


@dataclass(frozen=True, kw_only=True)
class Neighbours:
    """Of each vector, its nearest among all.

    Attributes:
        nearest: int32 [N, K], nearest first. A vector is its own first neighbour, also where another equals
            it; equal distances stand in order of position.
        farthest: float32 [N], the squared distance to the farthest vector; 1 where all are equal.
    """

    nearest: Positions
    farthest: Vectors


def neighbours(vectors: Vectors, *, count: int, block_mib: int = 32, tell: Tell = quiet) -> Neighbours:
    """The `count` nearest of every vector by Euclidean distance, itself included.

    All N x N distances are computed and none is kept: memory beyond the vectors is that of two blocks.

    Args:
        vectors: float32 [N, D].
        count: K; cut to N.
        block_mib: Memory for distances in MiB.
        tell: Called with vectors done and N.
    """
    total = len(vectors)
    count = min(count, total)
    rows = max(1, min(total, block_mib * 2**20 // (2 * 4 * max(total, 1))))
    nearest = np.empty((total, count), dtype=np.int32)
    farthest = np.empty(total, dtype=np.float32)
    norms = squared_norms(vectors)
    buffer = np.empty((rows, total), dtype=np.float32)
    for start in range(0, total, rows):
        block = slice(start, min(start + rows, total))
        distances = buffer[: block.stop - start]
        squared_distances(vectors[block], vectors, norms=(norms[block], norms), out=distances)
        farthest[block] = distances.max(axis=1)
        own = np.arange(len(distances))
        distances[own, start + own] = -1.0
        nearest[block] = _first(distances, count)
        tell(block.stop, total)
    farthest[farthest == 0] = 1.0
    return Neighbours(nearest=nearest, farthest=farthest)


def squared_norms(vectors: Vectors) -> Vectors:
    """float32 [N], the squared length of each vector."""
    norms: Vectors = np.einsum("nd,nd->n", vectors, vectors)
    return norms


def squared_distances(left: Vectors, right: Vectors, *, norms: tuple[Vectors, Vectors], out: Vectors) -> None:
    """Fill `out`, float32 [N, M], with squared Euclidean distances; `norms`: both sides' squared norms."""
    np.matmul(left, right.T, out=out)
    out *= -2
    out += norms[0][:, None]
    out += norms[1]
    np.maximum(out, 0, out=out)  # rounding takes equal vectors below zero


def _first(distances: Vectors, count: int) -> Positions:
    """int32 [R, count]: columns of the smallest values of each row, by value, then by column."""
    bound = np.partition(distances, count - 1, axis=1)[:, count - 1]
    found = np.empty((len(distances), count), dtype=np.int32)
    for row, (values, limit) in enumerate(zip(distances, bound, strict=True)):
        within = np.flatnonzero(values <= limit)  # at least `count`, more where values are tied
        found[row] = within[np.argsort(values[within], kind="stable")[:count]]
    return found
