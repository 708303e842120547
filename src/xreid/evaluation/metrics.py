"""Ranks of the positives, and the scores that follow from them, without sorting by index.

Shapes: Q queries, G gallery tracklets, D width, P positives of all queries together.

Every score here needs only the RANKS OF A QUERY'S POSITIVES. A rank is a count, so each block of scores is
sorted by value (which is several times faster than an argsort) and the positives are looked up in it.

**Ties.** The gallery is ranked by falling score; equal scores keep gallery order, exactly as a stable argsort
of the negated scores does. Scores are float32: inner products, or what another source of scores gives (see
`reranking`); everything else is the same code for all sources.

**Pairs that do not count** (same identity and same camera, or the very same tracklet) are removed before
ranking, as in the published evaluators. A query left without a positive has no score.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from xreid.core.errors import DataError

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Vectors = npt.NDArray[np.float32]

RANKS = (1, 5, 10, 20)
METRICS = (*(f"Rank-{k}" for k in RANKS), "mAP", "mINP")


@dataclass(frozen=True, kw_only=True)
class Side:
    """The tracklets that ask, or those that answer.

    Attributes:
        vectors: float32 [N, D], finite; of unit length where scores shall be cosines.
        identities: int64 [N], one code per person, shared by both sides.
        cameras: int64 [N], one code per camera, shared by both sides; -1 is never filtered. None: no filter.
        rows: int64 [N], the tracklets themselves, so that none matches itself. None: two disjoint sets.
    """

    vectors: Vectors
    identities: Ints
    cameras: Ints | None = None
    rows: Ints | None = None

    def __post_init__(self) -> None:
        count = len(self.vectors)
        if self.vectors.ndim != 2 or not np.isfinite(self.vectors).all():
            raise DataError(
                "vectors cannot be ranked", expected="finite [N, D]", got=f"{list(self.vectors.shape)}"
            )
        for name in ("identities", "cameras", "rows"):
            codes = getattr(self, name)
            if codes is not None and codes.shape != (count,):
                raise DataError(
                    f"{name} do not fit the vectors", expected=f"[{count}]", got=str(list(codes.shape))
                )

    def __len__(self) -> int:
        return len(self.vectors)


class ScoreSource(Protocol):
    """Where scores come from, one block of queries at a time."""

    def __call__(self, query: Side, gallery: Side, *, block: slice, out: Vectors) -> None:
        """Fill `out`, float32 [queries in the block, G], with finite scores; higher is nearer."""


def inner_products(query: Side, gallery: Side, *, block: slice, out: Vectors) -> None:
    """The plain scores: cosines where the vectors are of unit length."""
    np.matmul(query.vectors[block], gallery.vectors.T, out=out)


@dataclass(frozen=True, kw_only=True)
class PositiveRanks:
    """Where the positives of each query stand.

    Attributes:
        ranks: int64 [P], 1-based, rising within each query.
        offsets: int64 [Q + 1]; query q owns ranks[offsets[q]:offsets[q + 1]].
        candidates: int64 [Q], gallery tracklets that count for the query.
        tied: Positives that share their score with another candidate.
    """

    ranks: Ints
    offsets: Ints
    candidates: Ints
    tied: int

    @property
    def counts(self) -> Ints:
        """int64 [Q], positives of each query; 0 where a query has none left."""
        return np.diff(self.offsets)

    def per_query(self) -> Floats:
        """float64 [Q, len(METRICS)]: each query's contribution to each metric; NaN without positives.

        Rank-k: 1 with a positive among the first k (every tracklet counts, not every identity).
        mAP: mean over the positives of (positives so far) / rank. mINP: positives / rank of the last one.
        """
        values = np.full((len(self.counts), len(METRICS)), np.nan)
        valid = self.counts > 0
        starts, counts = self.offsets[:-1][valid], self.counts[valid]
        if not len(starts):
            return values
        found = np.arange(len(self.ranks)) - np.repeat(starts, counts) + 1
        precision = np.add.reduceat(found / self.ranks, starts) / counts
        hits = [self.ranks[starts] <= k for k in RANKS]
        values[valid] = np.column_stack([*hits, precision, counts / self.ranks[starts + counts - 1]])
        return values

    def cmc(self, length: int) -> Floats:
        """float64 [length]: share of valid queries with a positive among the first 1, 2, .. tracklets."""
        first = self.ranks[self.offsets[:-1][self.counts > 0]]
        within = np.bincount(np.minimum(first, length + 1), minlength=length + 2)[1 : length + 1]
        return np.cumsum(within) / max(len(first), 1)

    @property
    def chance(self) -> float:
        """Rank-1 that a random order is expected to reach."""
        valid = self.counts > 0
        return float(np.mean(self.counts[valid] / self.candidates[valid])) if valid.any() else 0.0


def rank_positives(
    query: Side, gallery: Side, *, scores_of: ScoreSource = inner_products, block_mib: int = 32
) -> PositiveRanks:
    """Rank of every positive of every query.

    Args:
        query: The tracklets that ask.
        gallery: The tracklets that answer.
        scores_of: Where the scores come from.
        block_mib: Memory for scores in MiB; decides how many queries are ranked at once, not the result
            (beyond the last bit of a float32 product).

    Returns:
        The ranks; see `PositiveRanks`.
    """
    rows = max(1, min(len(query), block_mib * 2**20 // (2 * 4 * max(len(gallery), 1))))
    index = _IdentityIndex(gallery.identities)
    scores = np.empty((rows, len(gallery)), dtype=np.float32)
    ordered = np.empty_like(scores)
    ranks, counts, candidates, tied = [], [], [], 0
    for start in range(0, len(query), rows):
        block = slice(start, min(start + rows, len(query)))
        size = block.stop - start
        scores_of(query, gallery, block=block, out=scores[:size])
        asking, answering, forbidden = index.pairs(query, gallery, block=block)
        scores[asking[forbidden], answering[forbidden]] = -np.inf
        np.copyto(ordered[:size], scores[:size])
        ordered[:size].sort(axis=1)
        found = asking[~forbidden], answering[~forbidden]
        block_ranks, block_tied = _ranks_of_block(scores, ordered, asking=found[0], answering=found[1])
        ranks.append(block_ranks)
        counts.append(np.bincount(found[0], minlength=size))
        candidates.append(len(gallery) - np.bincount(asking[forbidden], minlength=size))
        tied += block_tied
    offsets = np.concatenate([[0], np.cumsum(np.concatenate(counts))]).astype(np.int64)
    return PositiveRanks(
        ranks=np.concatenate(ranks), offsets=offsets, candidates=np.concatenate(candidates), tied=tied
    )


def _ranks_of_block(scores: Vectors, ordered: Vectors, *, asking: Ints, answering: Ints) -> tuple[Ints, int]:
    """Ranks of the positives (asking[p], answering[p]), rising within each query, and how many are tied.

    `ordered` is `scores` with every row sorted by value; `asking` rises.
    """
    ranks = np.empty(len(asking), dtype=np.int64)
    values = scores[asking, answering]
    queries, starts = np.unique(asking, return_index=True)
    tied, width = 0, scores.shape[1]
    stops = starts + np.bincount(asking, minlength=1)[queries]
    for query, start, stop in zip(queries, starts, stops, strict=True):
        row, wanted = ordered[query], values[start:stop]
        above = width - row.searchsorted(wanted, side="right")
        equal = width - row.searchsorted(wanted, side="left") - above
        if (equal > 1).any():  # rare: equal scores stand in gallery order, so an index sort is needed
            tied += int((equal > 1).sum())
            position = np.empty(width, dtype=np.int64)
            position[np.argsort(-scores[query], kind="stable")] = np.arange(width)
            above = position[answering[start:stop]]
        ranks[start:stop] = np.sort(above) + 1
    return ranks, tied


class _IdentityIndex:
    """Finds the gallery tracklets of each query's identity without a [Q, G] mask."""

    def __init__(self, identities: Ints) -> None:
        self._order = np.argsort(identities, kind="stable")
        self._sorted = identities[self._order]

    def pairs(self, query: Side, gallery: Side, *, block: slice) -> tuple[Ints, Ints, npt.NDArray[np.bool_]]:
        """Pairs of one identity: query within the block (rising), gallery row, whether it must not count."""
        wanted = query.identities[block]
        first = self._sorted.searchsorted(wanted, side="left")
        counts = self._sorted.searchsorted(wanted, side="right") - first
        asking = np.repeat(np.arange(len(wanted)), counts)
        within = np.arange(len(asking)) - np.repeat(np.cumsum(counts) - counts, counts)
        answering = self._order[np.repeat(first, counts) + within]
        forbidden = np.zeros(len(asking), dtype=bool)
        if query.cameras is not None and gallery.cameras is not None:
            camera = query.cameras[block][asking]
            forbidden |= (camera >= 0) & (camera == gallery.cameras[answering])
        if query.rows is not None and gallery.rows is not None:
            forbidden |= query.rows[block][asking] == gallery.rows[answering]
        return asking, answering, forbidden


@dataclass(frozen=True, kw_only=True)
class TopMatches:
    """The first gallery tracklets of one query.

    Attributes:
        gallery: int64 [k], positions in the gallery, best first.
        scores: float32 [k], by the source that ranked them.
        hits: bool [k], whether the identity is the query's.
    """

    gallery: Ints
    scores: Vectors
    hits: npt.NDArray[np.bool_]


def top_matches(
    query: Side, gallery: Side, *, position: int, k: int, scores_of: ScoreSource = inner_products
) -> TopMatches:
    """The first k gallery tracklets of the query at `position`, by the same rules as `rank_positives`.

    Fewer than k where fewer count.
    """
    block = slice(position, position + 1)
    scores = np.empty((1, len(gallery)), dtype=np.float32)
    scores_of(query, gallery, block=block, out=scores)
    scores = scores[0]
    _, answering, forbidden = _IdentityIndex(gallery.identities).pairs(query, gallery, block=block)
    scores[answering[forbidden]] = -np.inf
    order = np.argsort(-scores, kind="stable")[: min(k, len(scores) - int(forbidden.sum()))]
    return TopMatches(
        gallery=order,
        scores=scores[order],
        hits=gallery.identities[order] == query.identities[position],
    )
