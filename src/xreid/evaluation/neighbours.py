"""Exact nearest neighbours of every vector among all, in tiles of distances.

Shapes: N vectors, D width, K neighbours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from xreid.evaluation.metrics import Ints, Vectors

Positions = npt.NDArray[np.int32]
Keys = npt.NDArray[np.uint64]
Tell = Callable[[int, int], None]  # called with what is done, and of how much


_BITS = np.uint64(32)
_POSITION = np.uint64(2**32 - 1)
_NOBODY = np.uint64(2**64 - 1)
_BYTES = 36  # of an entry of a tile: the distance, and four copies of its key at the worst


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

    Distances are computed in square tiles, each once for both of its sides, and none is kept.

    Args:
        vectors: float32 [N, D].
        count: K; cut to N.
        block_mib: Memory for a tile in MiB; does not change the result (beyond the last bit of a product).
        tell: Called with vectors done and N.
    """
    total = len(vectors)
    nearest = np.full((total, min(count, total)), _NOBODY, dtype=np.uint64)
    farthest = np.zeros(total, dtype=np.float32)
    norms = squared_norms(vectors)
    side = max(1, int((block_mib * 2**20 / _BYTES) ** 0.5))
    tiles = [slice(start, min(start + side, total)) for start in range(0, total, side)]
    buffer = np.empty(side * side, dtype=np.float32)
    for number, down in enumerate(tiles):
        for across in tiles[number:]:
            shape = down.stop - down.start, across.stop - across.start
            tile = buffer[: shape[0] * shape[1]].reshape(shape)
            squared_distances(vectors[down], vectors[across], norms=(norms[down], norms[across]), out=tile)
            _update(nearest[down], farthest[down], tile, columns=across, own=down == across)
            if down != across:
                _update(nearest[across], farthest[across], tile.T, columns=down, own=False)
        tell(down.stop, total)
    nearest.sort(axis=1)
    farthest[farthest == 0] = 1.0
    return Neighbours(nearest=(nearest & _POSITION).astype(np.int32), farthest=farthest)


def _update(nearest: Keys, farthest: Vectors, tile: Vectors, *, columns: slice, own: bool) -> None:
    """Merge the distances of some rows to some columns into what is known of the rows."""
    np.maximum(farthest, tile.max(axis=1), out=farthest)
    rows, places = _within(tile, _limits(nearest))
    positions = (columns.start + places).astype(np.uint64)
    # Order of keys is order of distance, then of position: a float32 above zero sorts like its bits.
    keys = ((tile[rows, places].view(np.uint32).astype(np.uint64) + 1) << _BITS) | positions
    if own:
        keys = np.where(rows == places, positions, keys)  # itself first, before any at distance zero
    counts = np.bincount(rows, minlength=len(tile))
    candidates = np.full((len(tile), counts.max()), _NOBODY)
    candidates[rows, np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)] = keys
    joined = np.concatenate([nearest, candidates], axis=1)
    nearest[:] = np.partition(joined, nearest.shape[1] - 1, axis=1)[:, : nearest.shape[1]]


def _limits(nearest: Keys) -> Vectors:
    """float32 [R]: the largest distance that can still be among the nearest."""
    last = nearest.max(axis=1)
    bits = (np.maximum(last >> _BITS, 1) - 1).astype(np.uint32)
    return np.where(last == _NOBODY, np.float32(np.inf), bits.view(np.float32))


def _within(tile: Vectors, limits: Vectors) -> tuple[Ints, Ints]:
    """Rows (rising) and columns of the entries that are not above their row's limit."""
    found = np.flatnonzero((tile <= limits[:, None]).ravel(order="K"))  # in the order of memory: no copy
    if tile.flags.c_contiguous:
        rows, places = np.divmod(found, tile.shape[1])
        return rows, places
    places, rows = np.divmod(found, tile.shape[0])
    small = rows.astype(np.min_scalar_type(tile.shape[0]))  # 16 bits are sorted by radix
    order = np.argsort(small, kind="stable")
    return rows[order], places[order]


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
