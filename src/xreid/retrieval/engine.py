"""Nearest vectors, exactly: blocked matrix products over memory-mapped arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]
Allowed = Callable[[int, int], npt.NDArray[np.bool_]]


@dataclass(frozen=True, kw_only=True)
class Nearest:
    """The best rows of one query, best first, at most k.

    Attributes:
        rows: int64 [n], counted over all arrays in order.
        scores: float32 [n], cosine in -1..1.
    """

    rows: Rows
    scores: Vectors


class ExactEngine:
    """Exact search, memory bounded by blocks; right up to some 100,000 vectors.

    Args:
        arrays: float32 [n_i, D] each, rows of unit length; may be memory-mapped.
        rank: int64 [N], the order of rows whose scores are equal; default that of the rows.
        block: Rows at once.
    """

    def __init__(self, arrays: Sequence[Vectors], *, rank: Rows | None = None, block: int = 8192) -> None:
        self.arrays, self.block = arrays, block
        self.rank = np.arange(sum(map(len, arrays)), dtype=np.int64) if rank is None else rank

    def top(self, queries: Vectors, *, k: int, allowed: Allowed) -> list[Nearest]:
        """The k allowed rows of greatest cosine for each query; equal ones in order of `rank`.

        Args:
            queries: float32 [Q, D] of unit length.
            k: How many.
            allowed: (start, stop) -> bool [Q, stop - start]: which of those rows each query may find.
        """
        best = [_empty() for _ in queries]
        offset = 0
        for array in self.arrays:
            for start in range(0, len(array), self.block):
                stop = min(start + self.block, len(array))
                may = allowed(offset + start, offset + stop)
                some = np.flatnonzero(may.any(axis=0))
                if not len(some):
                    continue
                # Few rows: read only those from the disk; many: one contiguous read.
                few = 4 * len(some) < stop - start
                rows = start + some if few else np.arange(start, stop)
                vectors = array[rows] if few else np.asarray(array[start:stop])
                may = may[:, some] if few else may
                scores = np.where(may, queries @ vectors.T, -np.inf)
                best = [
                    self._merge(old, rows + offset, line, k=k) for old, line in zip(best, scores, strict=True)
                ]
            offset += len(array)
        return best

    def _merge(self, old: Nearest, rows: Rows, scores: Vectors, *, k: int) -> Nearest:
        if len(scores) > k:
            # Everything that ties with the k-th best stays: ties are broken by rank and not by chance.
            floor = np.partition(scores, len(scores) - k)[len(scores) - k]
            chosen = np.flatnonzero((scores >= floor) & (scores > -np.inf))
        else:
            chosen = np.flatnonzero(scores > -np.inf)
        all_rows = np.concatenate([old.rows, rows[chosen]])
        all_scores = np.concatenate([old.scores, scores[chosen]]).astype(np.float32)
        order = np.lexsort((self.rank[all_rows], -all_scores))[:k]
        return Nearest(rows=all_rows[order], scores=all_scores[order])


def _empty() -> Nearest:
    return Nearest(rows=np.empty(0, dtype=np.int64), scores=np.empty(0, dtype=np.float32))
