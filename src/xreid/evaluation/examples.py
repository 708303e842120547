"""Which rank lists to look at: the best, the typical and the worst queries, not the prettiest."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from xreid.core.embeddings import EmbeddingSet
from xreid.evaluation.evaluator import sides
from xreid.evaluation.metrics import METRICS, Ints, top_matches
from xreid.evaluation.results import EvaluationResult

KINDS = ("best", "typical", "worst")


@dataclass(frozen=True, kw_only=True)
class Match:
    """One gallery tracklet of a rank list.

    Attributes:
        row: Row of the embedding set's table.
        score: Inner product with the query, in [-1, 1]; of a re-ranked result, minus its distance.
        hit: Whether it shows the query's identity.
    """

    row: int
    score: float
    hit: bool


@dataclass(frozen=True, kw_only=True)
class RankList:
    """One query with the first tracklets it found.

    Attributes:
        kind: "best", "typical" or "worst".
        row: The query's row of the embedding set's table.
        average_precision: As a fraction.
        first_hit: Rank of the first positive.
        positives: Positives that count.
        matches: First gallery tracklets, best first.
    """

    kind: str
    row: int
    average_precision: float
    first_hit: int
    positives: int
    matches: tuple[Match, ...]


def rank_lists(
    result: EvaluationResult, embeddings: EmbeddingSet, *, per_kind: int = 3, length: int = 10
) -> tuple[RankList, ...]:
    """Rank lists of the best, the typical (around the median) and the worst queries by average precision.

    Among equals, best prefers queries with more positives and worst those whose first hit comes later; each
    kind shows different people where there are enough. No query is shown twice.
    """
    query, gallery = sides(embeddings, result.selection, protocol=result.protocol)
    lists = []
    for kind, position in _choose(result, per_kind=per_kind):
        top = top_matches(query, gallery, position=position, k=length, scores_of=result.scores)
        matches = zip(result.selection.gallery[top.gallery], top.scores, top.hits, strict=True)
        lists.append(
            RankList(
                kind=kind,
                row=int(result.selection.query[position]),
                average_precision=float(result.per_query[position, METRICS.index("mAP")]),
                first_hit=int(result.ranks.ranks[result.ranks.offsets[position]]),
                positives=int(result.ranks.counts[position]),
                matches=tuple(Match(row=int(r), score=float(s), hit=bool(h)) for r, s, h in matches),
            )
        )
    return tuple(lists)


def _choose(result: EvaluationResult, *, per_kind: int) -> list[tuple[str, int]]:
    valid = result.valid_rows()
    precision = result.per_query[valid, METRICS.index("mAP")]
    first = result.ranks.ranks[result.ranks.offsets[valid]]
    orders = {
        "best": np.lexsort((-result.ranks.counts[valid], -precision)),
        "worst": np.lexsort((-first, precision)),
        "typical": np.argsort(np.abs(precision - np.median(precision)), kind="stable"),
    }
    used: set[int] = set()
    chosen = {}
    for kind, order in orders.items():
        chosen[kind] = _different_people(valid[order], result.query_identities, used=used, count=per_kind)
    return [(kind, position) for kind in KINDS for position in chosen[kind]]


def _different_people(
    order: Ints, identities: tuple[str, ...], *, used: set[int], count: int
) -> Iterable[int]:
    """The first `count` unused positions of different identities, then of any; adds them to `used`."""
    free = [int(p) for p in order if int(p) not in used]
    seen: set[str] = set()
    fresh = []
    for position in free:
        if identities[position] not in seen:
            seen.add(identities[position])
            fresh.append(position)
        if len(fresh) == count:
            break
    rest = [p for p in free[: 2 * count] if p not in fresh]
    picked = [*fresh, *rest][:count]
    used.update(picked)
    return picked
